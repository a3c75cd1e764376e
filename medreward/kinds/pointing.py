"""Pointing: how many of the true boxes have a point in them.

Points and true boxes are matched one to one so that as many as possible are hits, and::

    R_point = hits / max(number of points, number of true boxes)

A point (x, y) hits a box [x1, y1, x2, y2] if x1 <= x < x2 and y1 <= y < y2, after conversion from
the frame of the answer to pixels of the stored image. So surplus points cost as missing ones do,
and with nothing to find the answer that says so earns 1 and any point 0. This is the pointing game
(Zhang et al., International Journal of Computer Vision 126:1084-1102, 2018) for several objects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from medreward.geometry.consensus import over_annotators
from medreward.geometry.frames import frame_of
from medreward.geometry.regions import MAX_BOXES, BoxTarget, TrueBox, short
from medreward.kinds.boxes.reading import MAX_LENGTH, says_nothing
from medreward.kinds.boxes.scan import offers_empty, scan
from medreward.kinds.reading import unreadable
from medreward.kinds.verdict import Verdict, cap_partial
from medreward.language.commitment import is_committed
from medreward.task.settings import RewardSettings
from medreward.task.task import Task

Point: TypeAlias = tuple[float, float]

_NUMBER = r"[-+]?[0-9]{1,9}(?:\.[0-9]{1,12})?"
_PAIR = re.compile(rf"[\[(]\s*({_NUMBER})\s*,\s*({_NUMBER})\s*[\])]")
_BARE = re.compile(rf"\s*({_NUMBER})\s*,\s*({_NUMBER})\s*")
_KEY = re.compile(r"\b(?:point|coord|coords)_?2d\b", re.IGNORECASE)
_NO_NUMBER = re.compile(r"\b(?:nan|inf(?:inity)?)\b", re.IGNORECASE)


class PointReading(NamedTuple):
    """The points in an answer (none: it says that there is nothing), or None and the reason."""

    points: tuple[Point, ...] | None
    reason: str = ""


def point_reward(
    answer: str | None, target: BoxTarget, task: Task, settings: RewardSettings
) -> Verdict:
    """Return R_point in [0, 1] of the points in `answer`.

    Raises:
        ConfigError: if the target lacks the size that the frame needs.

    >>> task = Task("lesion", kind="localisation")
    >>> target = task.parse_target([[0, 0, 10, 5], [20, 0, 30, 5]])
    >>> point_reward("[[2, 3], [50, 50]]", target, task, RewardSettings()).value
    0.5
    """
    frame = frame_of(settings.frame, target)
    points, reason = read_points(answer, task)
    if points is None:
        return Verdict(0.0, reason)
    placed = [frame.pixels((x, y, x, y))[:2] for x, y in points]
    earned = over_annotators(target, settings.annotators, lambda boxes: _hit_share(placed, boxes))
    value = cap_partial(earned)
    reason = "correct" if value >= 1 else "points_partial" if value > 0 else "point_missed"
    return Verdict(value, reason, json.dumps([[short(x), short(y)] for x, y in placed]))


def read_points(answer: str | None, task: Task) -> PointReading:
    """Return the points in `answer`: pairs of numbers in brackets, in whatever is around them.

    Other numbers beside the points make an answer unreadable, so that no box and no size passes
    for a point.

    >>> task = Task("lesion", kind="localisation")
    >>> read_points('[{"point_2d": [3, 4.5], "label": "lesion"}]', task).points
    ((3.0, 4.5),)
    >>> read_points("[1, 2, 3, 4]", task).reason, read_points("[]", task).points
    ('points_unreadable', ())
    """
    reason = unreadable(answer, MAX_LENGTH)
    if reason:
        return PointReading(None, reason)
    text = _KEY.sub(" ", answer or "")
    bare = _BARE.fullmatch(text)
    pairs = [bare] if bare else [*_PAIR.finditer(text)]
    rest = "" if bare else _PAIR.sub(";", text)
    if any(character.isdigit() for character in rest) or _NO_NUMBER.search(rest):
        return PointReading(None, "points_unreadable")
    if len(pairs) > MAX_BOXES:
        return PointReading(None, "too_many_boxes")
    nothing = says_nothing(text, scan(text), task)
    if pairs and (nothing or not is_committed(text, [pair.span() for pair in pairs])):
        return PointReading(None, "boxes_and_none" if nothing else "boxes_open")
    if not pairs and (not nothing or offers_empty(text)):
        return PointReading(None, "points_unreadable")
    return PointReading(tuple((float(pair[1]), float(pair[2])) for pair in pairs))


def _hit_share(points: Sequence[Point], boxes: Sequence[TrueBox]) -> float:
    if not points or not boxes:
        return float(len(points) == len(boxes))
    from scipy.optimize import linear_sum_assignment

    table = [[_hits(point, true) for true in boxes] for point in points]
    rows, columns = linear_sum_assignment(table, maximize=True)
    hits = sum(table[i][j] for i, j in zip(rows, columns, strict=True))
    return float(hits / max(len(points), len(boxes)))


def _hits(point: Point, true: TrueBox) -> bool:
    (x, y), (x1, y1, x2, y2) = point, true.box
    return x1 <= x < x2 and y1 <= y < y2
