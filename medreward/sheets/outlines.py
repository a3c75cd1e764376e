"""The outlines of masks, to draw them over pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from medreward.geometry.masks import coco
from medreward.sheets.pictures import Shape

if TYPE_CHECKING:
    import numpy as np

_MOST = 256  # cells on the longer side of what an outline follows


def mask_shape(rle: Mapping[str, Any], name: str, style: int, note: str) -> Shape | None:
    """Return the outline of a mask in pycocotools' run lengths, None where no pixel is set."""
    if not coco().area(rle):
        return None
    x, y, width, height = (float(v) for v in coco().toBbox(rle))
    path = svg_outline(coco().decode(rle))
    return Shape((x, y, x + width, y + height), name, style, note, path)


def svg_outline(mask: np.ndarray, most: int = _MOST) -> str:
    """Return the border of a mask's pixels as an SVG path in its pixels.

    A mask of more than `most` pixels on a side is made coarser: a cell of several pixels is set
    where one of them is.

    >>> import numpy as np
    >>> svg_outline(np.array([[0, 0, 0], [0, 1, 1]]))
    'M1 1H3M1 2H3M1 1V2M3 1V2'
    """
    import numpy as np

    height, width = mask.shape
    step = max(1, -(-max(height, width) // most))
    cells = np.pad(mask != 0, ((0, -height % step), (0, -width % step)))
    cells = cells.reshape(cells.shape[0] // step, step, cells.shape[1] // step, step)
    padded = np.pad(cells.any(axis=(1, 3)), 1)
    across = _runs(padded[1:] != padded[:-1])
    down = _runs((padded[:, 1:] != padded[:, :-1]).T)
    x = np.minimum(np.arange(padded.shape[1]) * step, width).tolist()
    y = np.minimum(np.arange(padded.shape[0]) * step, height).tolist()
    parts = [f"M{x[start]} {y[line]}H{x[stop]}" for line, start, stop in across]
    parts += [f"M{x[line]} {y[start]}V{y[stop]}" for line, start, stop in down]
    return "".join(parts)


def _runs(changes: np.ndarray) -> list[tuple[int, int, int]]:
    """Return the line, start and stop of each run of changes; lines have none at their ends."""
    import numpy as np

    flat: np.ndarray = np.diff(changes.astype(np.int8).ravel(), prepend=0, append=0)
    lines, starts = np.divmod(np.flatnonzero(flat == 1), changes.shape[1])
    stops = np.flatnonzero(flat == -1) % changes.shape[1]
    return [*zip(lines.tolist(), (starts - 1).tolist(), (stops - 1).tolist(), strict=True)]
