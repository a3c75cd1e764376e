"""Boxes in an answer, as models write them.

What is read: lists of lists; one list; ``[{"bbox_2d": [...], "label": ...}]`` under any key;
``{"WBC": [[...]]}``; ``<box>…</box>`` and ``<|box_start|>…<|box_end|>``; pairs of corners
``(x1,y1),(x2,y2)``; all with single quotes, code fences, floats or text around them. The reading
depends on the answer and the task alone, never on the target.

A group of numbers that is no box still counts as a predicted box, one that cannot be right, so that
nothing is gained by writing boxes badly. The order of coordinates is x1, y1, x2, y2 and never
guessed.
"""

from __future__ import annotations

from typing import NamedTuple

from medreward.geometry.regions import MAX_BOXES, MIN_SIDE, Box
from medreward.kinds.boxes.labels import box_labels
from medreward.kinds.boxes.scan import Group, Scan, offers_empty, scan, without_markup
from medreward.kinds.reading import unreadable
from medreward.language.commitment import is_committed
from medreward.language.lexicon import Mention
from medreward.language.scope import Stance, stances
from medreward.task.task import Task
from medreward.text.words import Words, split

# A hundred boxes with labels take about 6,000 characters.
MAX_LENGTH = 20_000
_LARGEST = 1e9
# Telling asserted from denied takes quadratic time in the number of labels named.
_MOST_MENTIONS = 4 * MAX_BOXES


class ReadBox(NamedTuple):
    """A predicted box in the answer's frame, or None and why it cannot be one.

    `label` is the index of its label, None where there is none to be read.
    """

    box: Box | None
    label: int | None = None
    problem: str = ""


class BoxReading(NamedTuple):
    """The boxes in an answer (none: it says that there is nothing), or None and the reason code."""

    boxes: tuple[ReadBox, ...] | None
    reason: str = ""


def read_boxes(answer: str | None, task: Task) -> BoxReading:
    """Return the boxes in `answer` with their labels.

    >>> task = Task("smear", kind="localisation", labels=["RBC", "WBC"])
    >>> read_boxes("<ref>WBC</ref><box>(1,2),(30,40)</box>", task).boxes
    (ReadBox(box=(1.0, 2.0, 30.0, 40.0), label=1, problem=''),)
    >>> read_boxes("nothing there", task).boxes, read_boxes("left", task).reason
    ((), 'boxes_unreadable')
    """
    reason = unreadable(answer, MAX_LENGTH)
    if reason:
        return BoxReading(None, reason)
    text = answer or ""
    found = scan(text)
    groups = found.groups
    if len(groups) > MAX_BOXES:
        return BoxReading(None, "too_many_boxes")
    nothing = says_nothing(text, found, task)
    if not groups:
        is_given = nothing and not offers_empty(text)
        return BoxReading(()) if is_given else BoxReading(None, "boxes_unreadable")
    if nothing:
        return BoxReading(None, "boxes_and_none")
    if not is_committed(text, [(group.start, group.stop) for group in groups]):
        return BoxReading(None, "boxes_open")
    labels = box_labels(text, found, task)
    boxes = (_checked(group, label, task) for group, label in zip(groups, labels, strict=True))
    return BoxReading(tuple(boxes))


def _checked(group: Group, label: int | None, task: Task) -> ReadBox:
    """Return a group as a box, or with the reason why it cannot be right."""
    if len(group.numbers) != 4 or not all(abs(v) <= _LARGEST for v in group.numbers):
        return ReadBox(None, label, "box_malformed")
    x1, y1, x2, y2 = group.numbers
    if not (x2 - x1 > MIN_SIDE and y2 - y1 > MIN_SIDE):
        return ReadBox(None, label, "box_inverted")
    problem = "box_label_unknown" if task.labels and label is None else ""
    return ReadBox((x1, y1, x2, y2), label, problem)


def says_nothing(text: str, found: Scan, task: Task) -> bool:
    """Whether an answer says that there is nothing to find, in words or by an empty list.

    In a task with several labels, "platelets: none" says so of the platelets only, and an answer
    without boxes has to say so of every label, or of all.
    """
    nothing = len(task.labels)
    said = split(_outside(text, found))
    mentions = task.lexicon.find(said)
    if len(mentions) > _MOST_MENTIONS or all(m.label != nothing for m in mentions):
        return found.has_empty or (not found.groups and found.has_empty_in_brace)
    allowed = {Stance.ASSERTED, Stance.OPEN} if found.groups else {Stance.ASSERTED}
    of_label: set[int] = set()
    last: Mention | None = None
    for mention, stance in zip(mentions, stances(said, mentions, task.absences), strict=True):
        is_nothing = mention.label == nothing
        if is_nothing and stance in allowed:
            if last is None or nothing < 2 or _is_closed(said, last, mention):
                return True
            of_label.add(last.label)
        last = None if is_nothing else mention
    if found.groups:
        return found.has_empty
    return found.has_empty or found.has_empty_in_brace or 0 < nothing == len(of_label)


def _is_closed(said: Words, one: Mention, other: Mention) -> bool:
    """Whether an entry or a line ends between two mentions: `"label": "RBC"}] or nothing`."""
    between = "".join(said.gaps[one.stop : other.start + 1])
    return not {"}", "]", "\n"}.isdisjoint(between)


def _outside(text: str, found: Scan) -> str:
    """Return what stands outside of the groups of numbers."""
    edges = [0, *(group.stop for group in found.groups)]
    starts = [*(group.start for group in found.groups), len(text)]
    parts = (text[stop:start] for stop, start in zip(edges, starts, strict=True))
    return without_markup("; ".join(parts))
