"""What an answer says: the one label it asserts, or the reason why none can be read.

The reading depends on the answer and the task alone, never on the target, so that no wording can
be right for more than one label.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

from medreward.language.answer_text import split_answer
from medreward.language.claims import stances_of
from medreward.language.understanding import Understanding
from medreward.task.task import Task

# An answer is a phrase or a sentence or two; anything longer is reasoning in the wrong place.
MAX_ANSWER_LENGTH = 1000
_FENCED = re.compile(r"\s*```(?:json)?\s*(.*?)\s*```\s*", re.DOTALL)


class LabelReading(NamedTuple):
    """The index of the label that an answer asserts, or None and the reason code.

    `unread` is the first thing in the answer that was not understood.
    """

    label: int | None
    reason: str = ""
    unread: str = ""


def read_label(answer: str | None, task: Task, noun: str = "label") -> LabelReading:
    """Return the one label of `task` that `answer` asserts; `noun` is what reason codes call it.

    An answer is read when every word, number and mark of it is understood and it asserts exactly
    one label; labels that it denies may stand beside it ("malignant, not benign"), and so may an
    explanation. Of two labels, one of which says that the other is absent, a denial of the other
    one asserts the first: "no pneumonia" is normal.

    >>> task = Task("demo", labels=["normal", "pneumonia"])
    >>> read_label("The diagnosis is pneumonia.", task)
    LabelReading(label=1, reason='', unread='')
    >>> read_label("pneumonia or normal", task).reason
    'several_labels'
    >>> read_label("pneumonia, probablement", task)
    LabelReading(label=None, reason='answer_not_understood', unread='probablement')
    """
    reason = unreadable(answer)
    if reason:
        return LabelReading(None, reason)

    def read(answer: str) -> LabelReading:
        text = split_answer(answer)
        exact = task.lexicon.exact(text)
        if exact is not None:
            return LabelReading(exact)
        return read_one_asserted(task.reader.read_text(text), task, noun)

    return task.reader.recall(noun, answer or "", read)


def unreadable(answer: str | None, longest: int = MAX_ANSWER_LENGTH) -> str:
    """Return why an answer cannot be read whatever the task ("" if it can)."""
    if not answer:
        return "no_answer" if answer is None else "empty_answer"
    return "answer_too_long" if len(answer) > longest else ""


def read_one_asserted(said: Understanding, task: Task, noun: str) -> LabelReading:
    """Return the one label that is asserted, never denied, beside no other that is left open."""
    if not said.names_label:
        is_number = noun == "grade" and said.unread[:1].isdigit()
        return LabelReading(
            None, "grade_out_of_scale" if is_number else f"{noun}_unknown", said.unread
        )
    if said.unread:
        return LabelReading(None, "answer_not_understood", said.unread)
    asserted, denied, doubted, left_open = stances_of(said.claims)
    if len(asserted | left_open) > 1:
        return LabelReading(None, f"several_{noun}s")
    if left_open:
        return LabelReading(None, f"{noun}_open")
    if not asserted:
        opposite = None if doubted else _opposite(denied, task)
        return LabelReading(opposite, "" if opposite is not None else f"{noun}_denied")
    (label,) = asserted
    is_denied = label in denied | doubted
    return LabelReading(None, f"{noun}_denied") if is_denied else LabelReading(label)


def _opposite(denied: Collection[int], task: Task) -> int | None:
    """Return the label that says that the only other one of the task is absent, if it is denied."""
    if len(task.labels) != 2 or len(task.absences) != 1 or len(denied) != 1:
        return None
    (absence,) = task.absences
    return absence if absence not in denied else None


def unfenced(answer: str) -> str:
    r"""Return an answer without the code fence around all of it, and without outer space.

    >>> unfenced("```json\n[1]\n```"), unfenced(" [1] ")
    ('[1]', '[1]')
    """
    fenced = _FENCED.fullmatch(answer)
    return fenced[1] if fenced else answer.strip()
