"""What annotation files draw around an object -> the pixels of it.

Polygons are drawn by pycocotools; of an ellipse, the pixels whose middle lies in it are taken.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from medreward.data.sources.boxes import box_around, check_pixels
from medreward.data.sources.record import NamedBox
from medreward.errors import ConfigError, quote
from medreward.geometry.masks import (
    MAX_SIDE,
    MaskError,
    coco,
    parse_mask,
    rle_of_counts,
    rle_of_polygons,
)

CUT = "an outline that leaves the image: what is outside of it is cut off"
NO_AREA = "a polygon with fewer than three corners dropped: it has no area"
_FAR = 1.0  # a polygon may lie outside by so many times the image's longer side


class Outline(NamedTuple):
    """The pixels of an object, as COCO's packed run lengths, and what is to be said of them.

    Attributes:
        counts: the run lengths; None where there is no outline, or none that holds a pixel.
        said: what was done.
    """

    counts: str | None
    said: tuple[str, ...] = ()


def read_outline(given: Any, name: str, size: tuple[int, int], where: str) -> Outline:
    """Return the pixels of a COCO ``segmentation``: polygons, or run lengths, packed or listed.

    Args:
        given: the segmentation; several polygons are parts of one object. Or an array, rows by
            columns, of which what is not 0 is taken.
        name: what the object is.
        size: width and height of its image.
        where: names the annotation in messages.

    Raises:
        ConfigError: if it has another form, is for an image of another size, in fractions of the
            image, or far outside of it.

    >>> square = [[2, 1, 6, 1, 6, 4, 2, 4]]
    >>> read_outline(square, "cell", (10, 8), "annotation 1").counts
    'a03500000o0'
    """
    width, height = size
    if max(size) > MAX_SIDE:
        raise ConfigError(f"{where}: its image has more than {MAX_SIDE} pixels on a side")
    try:
        if isinstance(given, np.ndarray):
            return Outline(parse_mask(given.astype(np.uint8)).counts if given.any() else None)
        if isinstance(given, Mapping):
            rle = rle_of_counts(given.get("counts"), given.get("size"), width, height)
            return Outline(_packed(rle))
        return _of_polygons(given, name, size, where)
    except MaskError as error:
        raise ConfigError(f"{where}: its segmentation: {error}") from error


def draw_ellipse(
    middle: tuple[float, float],
    radii: tuple[float, float],
    degrees: float,
    size: tuple[int, int],
) -> np.ndarray:
    """Return the pixels in an ellipse that is turned clockwise about its middle.

    >>> draw_ellipse((2, 1.5), (2, 1), 0, (4, 3)).sum(axis=1).tolist()
    [0, 4, 0]
    """
    width, height = size
    down, across = np.mgrid[0:height, 0:width] + 0.5
    x, y, angle = across - middle[0], down - middle[1], math.radians(degrees)
    along = x * math.cos(angle) + y * math.sin(angle)
    beside = y * math.cos(angle) - x * math.sin(angle)
    flat = not (radii[0] > 0 and radii[1] > 0)
    within: np.ndarray = (along / (radii[0] or 1)) ** 2 + (beside / (radii[1] or 1)) ** 2 <= 1
    return np.zeros_like(within) if flat else within


def union(counts: Sequence[str], size: tuple[int, int]) -> str:
    """Return the run lengths of all pixels of several masks.

    >>> union([], (3, 2))
    '6'
    """
    width, height = size
    if not counts:
        return _packed_text(rle_of_polygons([], width, height))
    rles = [{"size": [height, width], "counts": text.encode("ascii")} for text in counts]
    return _packed_text(coco().merge(rles))


def _of_polygons(given: Any, name: str, size: tuple[int, int], where: str) -> Outline:
    polygons = _polygons(given, where)
    width, height = size
    drawn = [polygon for polygon in polygons if len(polygon) >= 6]
    said = [NO_AREA] * (len(polygons) - len(drawn))
    if not drawn:
        return Outline(None, tuple(said))
    box = box_around([*zip(*[iter(v for one in drawn for v in one)] * 2, strict=True)])
    check_pixels([NamedBox(name, box)], where)
    if box[0] < 0 or box[1] < 0 or box[2] > width or box[3] > height:
        said.append(CUT)
    rle = rle_of_polygons(drawn, width, height, beyond=_FAR * max(size))
    return Outline(_packed(rle), tuple(said))


def _polygons(given: Any, where: str) -> list[list[float]]:
    """Return the polygons of a segmentation, which may be one list of numbers.

    Raises:
        ConfigError: if it is neither, or a number is not finite.
    """
    if not given:
        return []
    several = [given] if isinstance(given, list) and isinstance(given[0], Real) else given
    if isinstance(several, list) and all(map(_is_numbers, several)):
        return [[float(v) for v in polygon] for polygon in several]
    raise ConfigError(
        f"{where}: its segmentation {quote(str(given)[:80])} is neither polygons "
        f"[[x1, y1, x2, y2, …], …] nor run lengths"
    )


def _is_numbers(polygon: Any) -> bool:
    return (
        isinstance(polygon, list)
        and len(polygon) % 2 == 0
        and all(isinstance(v, Real) and math.isfinite(v) for v in polygon)
    )


def _packed(rle: Mapping[str, Any]) -> str | None:
    """Return run lengths as text, None where no pixel is set."""
    return _packed_text(rle) if coco().area(rle) else None


def _packed_text(rle: Mapping[str, Any]) -> str:
    text: str = rle["counts"].decode("ascii")
    return text
