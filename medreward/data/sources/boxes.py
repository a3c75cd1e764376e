"""Boxes as annotators left them -> boxes that can be a target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from medreward.data.sources.record import NamedBox, Remark


def clean_boxes(
    boxes: Iterable[NamedBox], size: tuple[int, int] | None, where: str
) -> tuple[tuple[NamedBox, ...], list[Remark]]:
    """Return the boxes clipped to the image, without degenerate ones, and what was done.

    A box is degenerate if it has no area, as given or within the image.
    """
    kept, remarks = [], []
    for name, box in boxes:
        clipped = _clipped(box, size) if size else box
        if not (clipped[0] < clipped[2] and clipped[1] < clipped[3]):
            remarks.append(Remark(where, "degenerate box dropped", f"{name} {_shown(box)}"))
            continue
        if clipped != box:
            remarks.append(Remark(where, "box clipped to the image", f"{name} {_shown(box)}"))
        kept.append(NamedBox(name, clipped))
    return tuple(kept), remarks


def missing_names(given: Iterable[NamedBox], kept: Iterable[NamedBox]) -> tuple[str, ...]:
    """Return the name of each box that was given and not kept, sorted.

    >>> a, b = NamedBox("a", (0, 0, 1, 1)), NamedBox("b", (0, 0, 0, 0))
    >>> missing_names([a, b, b], [a])
    ('b', 'b')
    """
    missing = Counter(box.name for box in given) - Counter(box.name for box in kept)
    return tuple(sorted(missing.elements()))


def _clipped(
    box: tuple[float, float, float, float], size: tuple[int, int]
) -> tuple[float, float, float, float]:
    width, height = size
    x1, y1, x2, y2 = box
    return max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))


def _shown(box: tuple[float, float, float, float]) -> str:
    return "[" + ", ".join(f"{v:g}" for v in box) + "]"
