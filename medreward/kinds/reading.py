"""What an answer says: the one label it asserts, or the reason why none can be read.

The reading depends on the answer and the task alone, never on the target, so that no wording can
be right for more than one label.
"""

from __future__ import annotations

import html
from typing import NamedTuple

from medreward.language.lexicon import Mention
from medreward.language.scope import Stance, stances
from medreward.task.task import Task
from medreward.text.words import Words, mixes_scripts, split

# An answer is a phrase or a sentence or two; anything longer is reasoning in the wrong place.
MAX_ANSWER_LENGTH = 1000


class LabelReading(NamedTuple):
    """The index of the label that an answer asserts, or None and the reason code."""

    label: int | None
    reason: str = ""


def read_label(answer: str | None, task: Task) -> LabelReading:
    """Return the one label of `task` that `answer` asserts.

    An answer is read when it names exactly one label that it neither denies nor leaves open;
    labels that it denies may stand beside it ("malignant, not benign").

    >>> task = Task("demo", labels=["normal", "pneumonia"])
    >>> read_label("The diagnosis is pneumonia.", task)
    LabelReading(label=1, reason='')
    >>> read_label("pneumonia or normal", task)
    LabelReading(label=None, reason='several_labels')
    """
    reason = unreadable(answer)
    if reason:
        return LabelReading(None, reason)
    text = split(unescape_answer(answer or ""))
    exact = task.lexicon.exact(text)
    if exact is not None:
        return LabelReading(exact)
    mentions = task.lexicon.find(text)
    return read_one_asserted(text, mentions, stances(text, mentions, task.absences), "label")


def unreadable(answer: str | None, longest: int = MAX_ANSWER_LENGTH) -> str:
    """Return why an answer cannot be read whatever the task ("" if it can)."""
    if not answer:
        return "no_answer" if answer is None else "empty_answer"
    return "answer_too_long" if len(answer) > longest else ""


def unescape_answer(answer: str) -> str:
    """Return an answer as a page shows it: "&#110;o&nbsp;pneumonia" is "no pneumonia".

    >>> unescape_answer("&not;pneumonia")
    '¬pneumonia'
    """
    return html.unescape(answer) if "&" in answer else answer


def read_one_asserted(
    text: Words, mentions: list[Mention], found: list[Stance], noun: str
) -> LabelReading:
    """Return the one label that is asserted, never denied, beside no other that is left open."""
    if any(map(mixes_scripts, text.words)):
        return LabelReading(None, "mixed_scripts")
    by_stance = {
        stance: {m.label for m, s in zip(mentions, found, strict=True) if s is stance}
        for stance in Stance
    }
    asserted, left_open = by_stance[Stance.ASSERTED], by_stance[Stance.OPEN]
    if not mentions:
        return LabelReading(None, f"{noun}_unknown")
    if len(asserted | left_open) > 1:
        return LabelReading(None, f"several_{noun}s")
    if not asserted or asserted & (by_stance[Stance.DENIED] | left_open):
        return LabelReading(None, f"{noun}_denied")
    return LabelReading(asserted.pop())
