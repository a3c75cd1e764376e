"""The boxes of an answer, as the reward takes them; the usual answer is read at once.

The usual answer is a JSON list of boxes and nothing else. A regular expression tells it, and it is
read by a JSON parser. All that `read_boxes` looks at besides is missing: no word that says
"nothing" or names a label, no empty list, no number that is left over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from operator import sub
from typing import NamedTuple

from medreward.regions import MAX_BOXES, MIN_SIDE, Box, around
from medreward.rewards.box_reading import MAX_LENGTH, read_boxes
from medreward.task import Task


class Predicted(NamedTuple):
    """The boxes of an answer, in its frame.

    Attributes:
        total: how many there are, with those that cannot be right.
        boxes: those of four numbers and with an area.
        labels: the index of the label of each of `boxes`, None where there is none to be read.
        outer: the smallest box around `boxes`.
        problems: reason codes of those that cannot be right.
        text: the answer, where it is what json.dumps makes of `boxes`.
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
    plain = _plain(answer, task) if answer and len(task.labels) < 2 else None
    if plain:
        return plain, ""
    read, reason = read_boxes(answer, task)
    if read is None:
        return None, reason
    boxes = [one.box for one in read if one.box]
    labels = [one.label for one in read if one.box]
    problems = frozenset(one.problem for one in read if one.problem)
    return Predicted(len(read), boxes, labels, around(boxes), problems), ""


def _list_of_boxes(number: str, space: str, comma: str) -> re.Pattern[str]:
    box = rf"\[{space}{comma.join([number] * 4)}{space}\]"
    more = rf"(?:{comma}{box}){{0,{MAX_BOXES - 1}}}+"
    return re.compile(rf"{space}\[{space}{box}{more}{space}\]{space}", re.ASCII)


# Numbers as JSON has them, below the largest that a box may have; quantifiers give nothing back.
_WHOLE = r"(?:0|[1-9]\d{0,8}+)"
_SPACE = r"[ \t\r\n]*+"
_DUMPED = _list_of_boxes(_WHOLE, "", ", ")
_PLAIN = _list_of_boxes(rf"-?+{_WHOLE}(?:\.\d{{1,15}}+)?+", _SPACE, f"{_SPACE},{_SPACE}")


def _plain(answer: str, task: Task) -> Predicted | None:
    """Return the boxes of an answer that is a list of them, all with an area, and nothing else."""
    is_dumped = _DUMPED.fullmatch(answer) is not None
    if len(answer) > MAX_LENGTH or not (is_dumped or _PLAIN.fullmatch(answer)):
        return None
    x1, y1, x2, y2 = zip(*json.loads(answer), strict=True)
    if not (min(map(sub, x2, x1)) > MIN_SIDE and min(map(sub, y2, y1)) > MIN_SIDE):
        return None
    boxes = list(zip(x1, y1, x2, y2, strict=True))
    labels = [0 if task.labels else None] * len(boxes)
    outer = min(x1), min(y1), max(x2), max(y2)
    return Predicted(len(boxes), boxes, labels, outer, text=answer if is_dumped else "")
