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
from typing import Any, NamedTuple, TypeAlias

from medreward.regions import Box

Table: TypeAlias = Any  # a numpy array of shape (predicted, true); numpy is imported late

GIOU_SHARE = 0.1
_REACH = 2.0  # widths or heights of the true box at which `centre` ends


class _Pairs(NamedTuple):
    """Corners of the predicted boxes (as columns) and of the true ones (as rows), in pixels."""

    predicted: tuple[Table, Table, Table, Table]
    true: tuple[Table, Table, Table, Table]


def quality_table(
    predicted: Sequence[Box] | Table, true: Sequence[Box] | Table, quality: str = "iou"
) -> Table:
    """Return the quality of each predicted box for each true one, shape (predicted, true).

    Boxes have a positive area; `quality` is one of `medreward.settings.BOX_QUALITIES`.

    >>> quality_table([(0, 0, 2, 2), (9, 9, 10, 10)], [(1, 0, 3, 2)], "iou").round(4).tolist()
    [[0.3333], [0.0]]
    """
    import numpy as np

    left = np.asarray(predicted, dtype=np.float64).reshape(-1, 4)
    right = np.asarray(true, dtype=np.float64).reshape(-1, 4)
    columns = tuple(left[:, i, None] for i in range(4))
    rows = tuple(right[None, :, i] for i in range(4))
    return np.minimum(np.maximum(_QUALITIES[quality](_Pairs(columns, rows)), 0.0), 1.0)


def iou(one: Box, other: Box) -> float:
    """Return intersection over union of two boxes with positive area, in [0, 1].

    >>> iou((0, 0, 2, 2), (1, 0, 3, 2)).__round__(4)
    0.3333
    """
    return float(quality_table([one], [other], "iou")[0, 0])


def _overlap(pairs: _Pairs) -> tuple[Table, Table]:
    """Return the areas of intersection and of union."""
    import numpy as np

    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = pairs
    width = np.maximum(np.minimum(ax2, bx2) - np.maximum(ax1, bx1), 0.0)
    height = np.maximum(np.minimum(ay2, by2) - np.maximum(ay1, by1), 0.0)
    shared = width * height
    return shared, (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - shared


def _iou(pairs: _Pairs) -> Table:
    shared, union = _overlap(pairs)
    return shared / union


def _giou(pairs: _Pairs) -> Table:
    import numpy as np

    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = pairs
    shared, union = _overlap(pairs)
    width = np.maximum(ax2, bx2) - np.minimum(ax1, bx1)
    height = np.maximum(ay2, by2) - np.minimum(ay1, by1)
    around = width * height
    overlap = shared / union
    generalised = overlap - (around - union) / around
    return (1 - GIOU_SHARE) * overlap + GIOU_SHARE * (1 + generalised) / 2


def _soft_iou(pairs: _Pairs) -> Table:
    overlap = _iou(pairs)
    return overlap * overlap * (3 - 2 * overlap)


def _centre(pairs: _Pairs) -> Table:
    import numpy as np

    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = pairs
    a_width, a_height, b_width, b_height = ax2 - ax1, ay2 - ay1, bx2 - bx1, by2 - by1
    across = np.abs(ax1 + ax2 - bx1 - bx2) / (2 * b_width)
    down = np.abs(ay1 + ay2 - by1 - by2) / (2 * b_height)
    closeness = np.maximum(1 - np.maximum(across, down) / _REACH, 0.0) ** 4
    shared = np.minimum(a_width, b_width) * np.minimum(a_height, b_height)
    return closeness * shared / (a_width * a_height + b_width * b_height - shared)


_QUALITIES: dict[str, Callable[[_Pairs], Table]] = {
    "iou": _iou,
    "giou": _giou,
    "soft_iou": _soft_iou,
    "centre": _centre,
}
