"""The boxes of an answer, as the reward takes them; the usual answers are read at once.

They are JSON and nothing else: ``[[x1, y1, x2, y2], …]``, or a list of
``{"bbox_2d": [x1, y1, x2, y2], "label": "WBC"}``, in a code fence or not. A regular expression
tells them, and a JSON parser reads them. What `read_boxes` looks at besides is missing: around the
numbers there is no word but labels, no empty list and no other number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from operator import sub
from typing import NamedTuple

from medreward.geometry.regions import MAX_BOXES, MIN_SIDE, Box, around
from medreward.kinds.boxes.reading import MAX_LENGTH, ReadBox, read_boxes
from medreward.task.task import Task
from medreward.text.words import split, tokenize


class Predicted(NamedTuple):
    """The boxes of an answer, in its frame.

    Attributes:
        total: how many there are, with those that cannot be right.
        boxes: those of four numbers and with an area.
        labels: the index of the label of each of `boxes`, None where there is none to be read.
        outer: the smallest box around `boxes`.
        problems: reason codes of those that cannot be right.
        text: all of it as JSON, as a target has it, where that is known already.
    """

    total: int
    boxes: Sequence[Box]
    labels: Sequence[int | None]
    outer: Box
    problems: frozenset[str] = frozenset()
    text: str = ""


def predicted_boxes(answer: str | None, task: Task) -> tuple[Predicted | None, str]:
    """Return the boxes in `answer` as `read_boxes` reads them, or None and the reason code.

    >>> predicted_boxes("[[1, 2, 3, 4]]", Task("lesion", kind="localisation"))[0].boxes
    [(1, 2, 3, 4)]
    """
    plain = _plain(answer or "", task)
    if plain:
        return plain, ""
    read, reason = read_boxes(answer, task)
    if read is None:
        return None, reason
    boxes = [one.box for one in read if one.box]
    labels = [one.label for one in read if one.box]
    problems = frozenset(one.problem for one in read if one.problem)
    return Predicted(len(read), boxes, labels, around(boxes), problems), ""


def _lists(number: str, space: str, after: str, fences: tuple[str, str]) -> re.Pattern[str]:
    """Return what matches a list of boxes, or of objects with a box and a label each.

    Args:
        number: a number.
        space: what may stand around brackets and before commas and colons.
        after: what stands after commas and colons.
        fences: what may stand before and behind the list.
    """
    comma, colon = f"{space},{after}", f"{space}:{after}"
    box = rf"\[{space}{comma.join([number] * 4)}{space}\]"
    entries = rf'"bbox_2d"{colon}{box}{comma}"label"{colon}"[\w .,/+-]{{1,100}}+"'
    kinds = (box, rf"\{{{space}{entries}{space}\}}")
    lists = (rf"{one}(?:{comma}{one}){{0,{MAX_BOXES - 1}}}+" for one in kinds)
    body = rf"\[{space}(?:{'|'.join(lists)}){space}\]"
    return re.compile(f"{fences[0]}{body}{fences[1]}", re.ASCII)


# Numbers as JSON has them, below the largest that a box may have; quantifiers give nothing back.
_WHOLE = r"(?:0|[1-9]\d{0,8}+)"
_NUMBER = rf"-?+{_WHOLE}(?:\.\d{{1,15}}+)?+"
_SPACE = r"[ \t\r\n]{0,40}+"
_FENCES = rf"{_SPACE}(?:```(?:json)?)?+{_SPACE}", rf"{_SPACE}(?:```)?+{_SPACE}"
_PLAIN = _lists(_NUMBER, _SPACE, _SPACE, _FENCES)
_DUMPED = _lists(_WHOLE, "", " ", ("", ""))  # whole numbers as json.dumps writes them


def _plain(answer: str, task: Task) -> Predicted | None:
    """Return the boxes of a usual answer if each has an area and a label that is told at once."""
    is_dumped = _DUMPED.fullmatch(answer) is not None
    if len(answer) > MAX_LENGTH or not (is_dumped or _PLAIN.fullmatch(answer)):
        return None
    items = json.loads(answer[answer.index("[") : answer.rindex("]") + 1])
    names = [""] * len(items)
    if "{" in answer:
        items, names = [one["bbox_2d"] for one in items], [one["label"] for one in items]
    x1, y1, x2, y2 = zip(*items, strict=True)
    have_areas = min(map(sub, x2, x1)) > MIN_SIDE and min(map(sub, y2, y1)) > MIN_SIDE
    labels = _labels(names, task) if have_areas else None
    if not labels:
        return None
    text = _as_in_targets(answer, names, task) if is_dumped else ""
    boxes: list[Box] = [*map(tuple, items)]
    outer = min(x1), min(y1), max(x2), max(y2)
    return Predicted(len(boxes), boxes, labels, outer, text=text)


def _as_in_targets(answer: str, names: Sequence[str], task: Task) -> str:
    """Return an answer in the form of json.dumps as a target has it, "" if it names otherwise."""
    if not task.labels:
        return "" if names[0] else answer
    is_exact = {label.name for label in task.labels}.issuperset(names)
    return answer.replace('"bbox_2d"', '"box"') if is_exact else ""


def _labels(names: Sequence[str], task: Task) -> list[int | None] | None:
    """Return the labels of that name ("": none is named), None if one is not told at once."""
    known: dict[str, int | None] = {}
    for name in set(names):
        box = _alone(name, task) if len(known) <= len(task.labels) else None
        if box is None:
            return None
        known[name] = box.label
    return [known[name] for name in names]


@lru_cache(maxsize=4096)
def _alone(name: str, task: Task) -> ReadBox | None:
    """Return a box of that label as `read_boxes` reads it, None where other boxes may change that.

    They cannot where its label says nothing of there being nothing, and no form that the task
    knows goes on over the beginning of a next box.
    """
    answer = json.dumps([{"bbox_2d": [0, 0, 1, 1], "label": name} if name else [0, 0, 1, 1]])
    boxes = read_boxes(answer, task).boxes
    mentioned = {mention.label for mention in task.lexicon.find(split(answer))}
    if not boxes or boxes[0].problem or len(task.labels) in mentioned:
        return None
    goes_on = "bbox" in tokenize(f"{task.labels} {task.no_finding}")
    return None if goes_on else boxes[0]
