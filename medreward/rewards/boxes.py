"""Localisation: how well predicted boxes cover the true ones.

Predicted and true boxes are matched one to one so that the sum of their IoU is largest, and::

    R_box = (sum of the matched IoU) / max(number predicted, number true)

so that surplus, repeated and missing boxes all cost. With nothing to find, an empty list earns 1
and anything else 0. IoU is intersection over union of half-open boxes [x1, y1, x2, y2] in pixels of
the image as it was given to the model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from medreward.regions import MAX_BOXES, Box
from medreward.rewards.reading import unreadable
from medreward.rewards.verdict import Verdict

_EXACT = 1 - 1e-9


def iou(one: Box, other: Box) -> float:
    """Return intersection over union of two boxes with positive area, in [0, 1].

    >>> iou((0, 0, 2, 2), (1, 0, 3, 2)).__round__(4)
    0.3333
    """
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (_area(one) + _area(other) - shared)


def box_reward(answer: str | None, target: Sequence[Box]) -> Verdict:
    """Return R_box in [0, 1] of the boxes in `answer`: a JSON list of boxes, or one box.

    >>> box_reward("[[0, 0, 10, 10]]", [(0, 0, 10, 5)]).value
    0.5
    """
    reason = unreadable(answer)
    if reason:
        return Verdict(0.0, reason)
    boxes = read_boxes(answer or "")
    if boxes is None:
        return Verdict(0.0, "boxes_unreadable")
    value = _matched_iou(boxes, target) / max(len(boxes), len(target), 1)
    if not boxes and not target:
        value = 1.0
    reason = "correct" if value >= _EXACT else "box_partial" if value > 0 else "box_missed"
    return Verdict(min(value, 1.0), reason, json.dumps([list(box) for box in boxes]))


def read_boxes(answer: str) -> list[Box] | None:
    """Return the boxes in an answer, or None if it is not a list of well-formed boxes."""
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    if _is_box(value):
        value = [value]
    if not isinstance(value, list) or len(value) > MAX_BOXES or not all(map(_is_box, value)):
        return None
    return [(float(x1), float(y1), float(x2), float(y2)) for x1, y1, x2, y2 in value]


def _is_box(value: Any) -> bool:
    """Whether `value` is [x1, y1, x2, y2] with finite numbers, x1 < x2 and y1 < y2."""
    if not isinstance(value, list) or len(value) != 4:
        return False
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in value)
    if not numeric or not all(abs(v) <= 1e9 and math.isfinite(v) for v in value):
        return False
    return bool(value[0] < value[2] and value[1] < value[3])


def _matched_iou(boxes: Sequence[Box], target: Sequence[Box]) -> float:
    if not boxes or not target:
        return 0.0
    table = [[iou(box, true) for true in target] for box in boxes]
    return _best_assignment(table)


def _best_assignment(table: list[list[float]]) -> float:
    """Return the largest sum of one-to-one matches."""
    if min(len(table), len(table[0])) == 1:
        return max(max(row) for row in table)
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(table, maximize=True)
    return float(sum(table[i][j] for i, j in zip(rows, columns, strict=True)))


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
