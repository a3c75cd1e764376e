"""Boxes as annotators left them -> boxes that can be a target."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice

from medreward.data.sources.record import NamedBox, Record, Remark
from medreward.errors import ConfigError
from medreward.geometry.regions import Box

EMPTIED = "left out: none of what is annotated in it has a box that can be used"
NO_BOX = "left out: none of its boxes can be used"
AGAIN = "the same box with the same name again: kept once"
FAR = "box reaches far out of the image, clipped: was it drawn on an image of another size?"
_FAR = 0.05  # of the image's side
TURNED = "a turned box: the upright one around it is taken"


def check_pixels(boxes: Iterable[NamedBox], where: str) -> None:
    """Raise `ConfigError` for a box within one pixel: fractions of the image, by all appearances.

    >>> check_pixels([NamedBox("cell", (0.1, 0.2, 0.5, 0.6))], "image 1")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    medreward.errors.ConfigError: image 1: the box [0.1, 0.2, 0.5, 0.6] of cell ...
    """
    for name, box in boxes:
        if min(box) >= 0 and max(box) <= 1 and box[0] < box[2] and box[1] < box[3]:
            raise ConfigError(
                f"{where}: the box {shown_box(box)} of {name} lies within one pixel, so that it is "
                f"in fractions of the image, and pixels are needed; multiply by width and height"
            )


def box_around(points: Iterable[Sequence[float]]) -> Box:
    """Return the box around points.

    >>> box_around([(3, 4), (1, 9), (2, 2)])
    (1.0, 2.0, 3.0, 9.0)
    """
    xs, ys = zip(*((float(x), float(y)) for x, y in points), strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def turned_corners(box: Box, degrees: float) -> list[tuple[float, float]]:
    """Return the four corners of a box, in order, that is turned clockwise about its centre.

    >>> [(round(x), round(y)) for x, y in turned_corners((0, 0, 10, 20), 90)]
    [(15, 5), (15, 15), (-5, 15), (-5, 5)]
    """
    x1, y1, x2, y2 = box
    x, y, angle = (x1 + x2) / 2, (y1 + y2) / 2, math.radians(degrees)
    sine, cosine = math.sin(angle), math.cos(angle)
    corners = ((x1 - x, y1 - y), (x2 - x, y1 - y), (x2 - x, y2 - y), (x1 - x, y2 - y))
    return [(x + a * cosine - b * sine, y + a * sine + b * cosine) for a, b in corners]


def around_rotated(box: Box, degrees: float) -> Box:
    """Return the upright box around a box that is turned about its centre.

    >>> [round(v, 6) for v in around_rotated((0.0, 0.0, 10.0, 20.0), 90)]
    [-5.0, 5.0, 15.0, 15.0]
    """
    x1, y1, x2, y2 = box
    width, height, angle = x2 - x1, y2 - y1, math.radians(degrees)
    sine, cosine = abs(math.sin(angle)), abs(math.cos(angle))
    across, down = width * cosine + height * sine, width * sine + height * cosine
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    return x - across / 2, y - down / 2, x + across / 2, y + down / 2


def clean_boxes(
    boxes: Iterable[NamedBox], size: tuple[int, int] | None, where: str
) -> tuple[tuple[NamedBox, ...], list[Remark]]:
    """Return the boxes clipped to the image, without degenerate ones, and what was done.

    A box is degenerate if it has no area, as given or within the image. The same one is kept once.

    >>> nodule = NamedBox("nodule", (2, 2, 9, 9))
    >>> clean_boxes([nodule, nodule], (20, 20), "1.png")[0]
    (NamedBox(name='nodule', box=(2, 2, 9, 9)),)
    """
    given = [*boxes]
    once = dict.fromkeys(given)
    kept, remarks = [], [Remark(where, AGAIN)] * (len(once) < len(given))
    for name, box in once:
        clipped = _clipped(box, size) if size else box
        if not (clipped[0] < clipped[2] and clipped[1] < clipped[3]):
            remarks.append(Remark(where, "degenerate box dropped", f"{name} {shown_box(box)}"))
            continue
        if clipped != box:
            what = FAR if size and _is_far(box, size) else "box clipped to the image"
            remarks.append(Remark(where, what, f"{name} {shown_box(box)}"))
        kept.append(NamedBox(name, clipped))
    return tuple(kept), remarks


def _is_far(box: Box, size: tuple[int, int]) -> bool:
    width, height = size
    over = max(-box[0] / width, -box[1] / height, box[2] / width - 1, box[3] / height - 1)
    return over > _FAR


def by_reader(
    boxes: Sequence[NamedBox], readers: Sequence[tuple[str, int]]
) -> list[tuple[str, tuple[NamedBox, ...]]]:
    """Return the boxes of each reader; of one without a name, where nobody is named.

    >>> a, b = NamedBox("a", (0, 0, 1, 1)), NamedBox("b", (0, 0, 2, 2))
    >>> [(who, len(drawn)) for who, drawn in by_reader([a, b], [("R1", 0), ("R2", 2)])]
    [('R1', 0), ('R2', 2)]
    """
    left, found = iter(boxes), []
    for reader, count in readers or (("", len(boxes)),):
        found.append((reader, tuple(islice(left, count))))
    return found


def check_one_reader(records: Iterable[Record], what: str) -> None:
    """Raise `ConfigError` if several readers' boxes are to be made what one reader's can be."""
    for record in records:
        if len(record.readers) > 1:
            raise ConfigError(
                f"{record.where}: {len(record.readers)} readers drew its boxes (--reader-column), "
                f"and {what}; keep the rows of one reader an image, or leave the option out, which "
                f"takes the boxes of all together"
            )


def missing_names(given: Iterable[NamedBox], kept: Iterable[NamedBox]) -> tuple[str, ...]:
    """Return the name of each box that was given and not kept, sorted.

    >>> a, b = NamedBox("a", (0, 0, 1, 1)), NamedBox("b", (0, 0, 0, 0))
    >>> missing_names([a, a, b], [a])
    ('b',)
    """
    once = dict.fromkeys(given)  # as `clean_boxes` keeps them
    missing = Counter(box.name for box in once) - Counter(box.name for box in dict.fromkeys(kept))
    return tuple(sorted(missing.elements()))


def _clipped(
    box: tuple[float, float, float, float], size: tuple[int, int]
) -> tuple[float, float, float, float]:
    width, height = size
    x1, y1, x2, y2 = box
    return max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))


def shown_box(box: Box) -> str:
    """Return a box as messages show it."""
    return "[" + ", ".join(f"{v:g}" for v in box) + "]"
