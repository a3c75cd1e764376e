"""A right answer as a model would write it: for demonstrations and checks of rewards."""

from __future__ import annotations

from medreward.kinds.base import kind_of
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.text.formats.registry import format_of
from medreward.text.formats.table import DEFAULT_FORMAT


def right_answer(task: Task, target: object, settings: RewardSettings | None = None) -> str:
    """Return the answer that is right for a target, as the task's prompt asks for it.

    Boxes are those of the first annotator, in the settings' frame and rounded to its steps: half a
    pixel, or half a thousandth of the image's side, is the most that they are off. Points are the
    middles of boxes or masks, or near to them: no two are the same. A mask is run lengths.

    Args:
        task: the task.
        target: what `Task.parse_target` takes.
        settings: the reward's settings (default: the card's).

    Raises:
        ConfigError: if the target is not one of the task's, or lacks the size that the frame needs.

    >>> right_answer(Task.load("retinamnist"), 2)
    '2'
    >>> right_answer(Task.load("chestmnist"), [])
    'no finding'
    >>> right_answer(Task.load("bccd"), [{"box": [64, 48, 320, 240], "label": "WBC"}])
    '[{"bbox_2d": [64, 48, 320, 240], "label": "WBC"}]'
    """
    kind = kind_of(task)
    return kind.right(task, kind.parse(task, target), settings or task.reward)


def completion_with(
    answer: str, reasoning: str = "Looking closely.", completion_format: str = DEFAULT_FORMAT
) -> str:
    """Return a well-formed completion with an answer.

    >>> completion_with("2")
    '<think>Looking closely.</think><answer>2</answer>'
    """
    return format_of(completion_format).write(reasoning, answer)
