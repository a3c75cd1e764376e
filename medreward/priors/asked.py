"""What a prompt asks for, held against what the reward reads: completion format and frame."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from medreward.errors import quote
from medreward.kinds.base import kind_of
from medreward.priors.template import load_templates
from medreward.task.completion_format import format_signature
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.text.formats.base import ABOUT_IMAGE, REASON
from medreward.text.formats.registry import format_names, format_of

_MARK = "\0"
_WITH_AND_WITHOUT_IMAGE = f"{re.escape(REASON)}(?:{re.escape(ABOUT_IMAGE.removeprefix(REASON))})?"


def contradictions(prompt: str, task: Task, settings: RewardSettings) -> Iterator[str]:
    """Yield where a prompt asks for another thing than the reward reads, one sentence each.

    Only the sentences of the shipped prompts say for sure what is asked for: a prompt in words of
    its own may have its format from a system prompt or a trainer's template.

    Args:
        prompt: the texts of all of its messages.
        task: the row's task.
        settings: the settings of the reward.

    >>> from medreward.priors.prompt import build_prompt
    >>> task = Task.load("pneumoniamnist")
    >>> text, boxed = build_prompt(task).text, task.reward.updated({"completion_format": "boxed"})
    >>> [*contradictions(text, task, task.reward)], [*contradictions(text, task, boxed)]
    ([], ["prompt: it asks for the completion format 'think_answer', and the reward reads 'boxed'"])
    """
    wanted = settings.completion_format
    asked = [name for name in (wanted, *format_names()) if _asks_for(name).search(prompt)]
    if asked and wanted not in asked:
        yield (
            f"prompt: it asks for the completion format {quote(asked[0])}, and the reward reads "
            f"{quote(format_signature(wanted))}"
        )
    frame = frame_of(task, settings)
    if frame:
        sentences = load_templates().frames
        others = [name for name, text in sentences.items() if name != frame and text in prompt]
        if others and sentences[frame] not in prompt:
            yield (
                f"prompt: it asks for coordinates in the frame {quote(others[0])}, and the reward "
                f"reads {quote(frame)}"
            )


@lru_cache(maxsize=64)
def _asks_for(name: str) -> re.Pattern[str]:
    """Return what matches the sentence that asks for a format, whatever is to be answered."""
    before, _, after = format_of(name).instruct(_MARK).partition(_MARK)
    start = re.escape(before).replace(re.escape(ABOUT_IMAGE), _WITH_AND_WITHOUT_IMAGE)
    return re.compile(rf"{start}[^\n]{{1,400}}?{re.escape(after)}")


def frame_of(task: Task, settings: RewardSettings) -> str:
    """Return the frame that answers are read in, "" where they have no coordinates."""
    if task.place_field is not None:
        return task.fields[task.place_field].reward.frame
    return settings.frame if "frame" in kind_of(task).settings else ""
