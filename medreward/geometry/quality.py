"""How well one box covers another: tables of quality in [0, 1], predicted boxes by true boxes.

With A a predicted and B a true box, H the smallest box around both, u = |A ∩ B| / |A ∪ B|::

    iou       u
    giou      0.9 * u + 0.1 * (1 + GIoU) / 2,   GIoU = u - (|H| - |A ∪ B|) / |H|
    soft_iou  3 u^2 - 2 u^3
    centre    max(0, 1 - d/2)^4 * u0

d is the distance of the centres, the larger of its two components, in widths and heights of B; u0
is the IoU that A would have if its centre were moved onto that of B. Each is 1 for A = B only.

GIoU is by Rezatofighi et al., CVPR 2019, pages 658-666. It lies in [-1, 1], is at most 0 for boxes
that do not overlap and tends to -1 as they part. Mapped to [0, 1] as it stands, a random box would
earn up to a half; with a share of 0.1, boxes that do not overlap earn at most 0.05. `soft_iou` is
the smoothstep: a threshold at one half without its jump. `centre` is above 0 up to two widths or
heights away; boxes that do not overlap earn at most 0.08, a random box about as much as by IoU, and
an image-sized box at most the true box's share of the image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

from medreward.geometry.regions import Box

Table: TypeAlias = Any  # a numpy array of shape (predicted, true); numpy is imported late

GIOU_SHARE = 0.1
_REACH = 2.0  # widths or heights of the true box at which `centre` ends


class Pairs(NamedTuple):
    """x1, y1, x2, y2 of the predicted boxes (as columns) and of the true ones (as rows), in pixels.

    Their shapes are (4, predicted, 1) and (4, 1, true).
    """

    predicted: Table
    true: Table

    @classmethod
    def of(cls, predicted: Table, true: Table) -> Pairs:
        """Return the pairs of two lists of boxes, given as `columns`."""
        return cls(predicted[:, :, None], true[:, None])


def quality_table(
    predicted: Sequence[Box] | Table, true: Sequence[Box] | Table, quality: str = "iou"
) -> Table:
    """Return the quality of each predicted box for each true one, shape (predicted, true).

    Boxes have a positive area; `quality` is one of `medreward.task.settings.BOX_QUALITIES`.

    >>> quality_table([(0, 0, 2, 2), (9, 9, 10, 10)], [(1, 0, 3, 2)], "iou").round(4).tolist()
    [[0.3333], [0.0]]
    """
    return quality_of_pairs(Pairs.of(columns(predicted), columns(true)), quality)


def columns(boxes: Sequence[Box]) -> Table:
    """Return x1, y1, x2, y2 of boxes as four rows of numbers, each in one piece of memory."""
    import numpy as np

    numbers = np.fromiter(chain.from_iterable(boxes), np.float64, 4 * len(boxes))
    return numbers.reshape(-1, 4).T.copy()


def quality_of_pairs(pairs: Pairs, quality: str, most: float = 1.0) -> Table:
    """Return the quality of each pair, at most `most`."""
    import numpy as np

    table = _QUALITIES[quality](pairs)
    return np.minimum(table, most, out=table)


def iou(one: Box, other: Box) -> float:
    """Return intersection over union of two boxes with positive area, in [0, 1].

    >>> iou((0, 0, 2, 2), (1, 0, 3, 2)).__round__(4)
    0.3333
    """
    return float(quality_table([one], [other], "iou")[0, 0])


def _overlap(pairs: Pairs) -> tuple[Table, Table]:
    """Return the areas of intersection and of union."""
    import numpy as np

    a, b = pairs
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    np.maximum(sides, 0.0, out=sides)
    shared = sides[0] * sides[1]
    return shared, _area(a) + _area(b) - shared


def _area(boxes: Table) -> Table:
    return (boxes[2] - boxes[0]) * (boxes[3] - boxes[1])


def _iou(pairs: Pairs) -> Table:
    shared, union = _overlap(pairs)
    return shared / union


def _giou(pairs: Pairs) -> Table:
    import numpy as np

    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = pairs
    shared, union = _overlap(pairs)
    width = np.maximum(ax2, bx2) - np.minimum(ax1, bx1)
    height = np.maximum(ay2, by2) - np.minimum(ay1, by1)
    around = width * height
    overlap = shared / union
    generalised = overlap - (around - union) / around
    return np.maximum((1 - GIOU_SHARE) * overlap + GIOU_SHARE * (1 + generalised) / 2, 0.0)


def _soft_iou(pairs: Pairs) -> Table:
    overlap = _iou(pairs)
    return overlap * overlap * (3 - 2 * overlap)


def _centre(pairs: Pairs) -> Table:
    import numpy as np

    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = pairs
    a_width, a_height, b_width, b_height = ax2 - ax1, ay2 - ay1, bx2 - bx1, by2 - by1
    across = np.abs(ax1 + ax2 - bx1 - bx2) / (2 * b_width)
    down = np.abs(ay1 + ay2 - by1 - by2) / (2 * b_height)
    closeness = np.maximum(1 - np.maximum(across, down) / _REACH, 0.0) ** 4
    shared = np.minimum(a_width, b_width) * np.minimum(a_height, b_height)
    return closeness * shared / (a_width * a_height + b_width * b_height - shared)


_QUALITIES: dict[str, Callable[[Pairs], Table]] = {
    "iou": _iou,
    "giou": _giou,
    "soft_iou": _soft_iou,
    "centre": _centre,
}
