"""One map of the plane for image, masks and boxes alike, so that they cannot part.

A point (x, y) of the old image goes to (a x + b y + c, d x + e y + f) of the new one. Coordinates
are those of half-open boxes: pixel (0, 0) covers [0, 1) x [0, 1), its centre is at 0.5.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import cos, radians, sin
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from medreward.geometry.regions import Box
from medreward.perception.sample import Region, Sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

KEEP = 0.3  # share of a box that must stay in the image for the box to stay
_TURN = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}


class Affine(NamedTuple):
    """An affine map of the plane; see the module."""

    a: float = 1.0
    b: float = 0.0
    c: float = 0.0
    d: float = 0.0
    e: float = 1.0
    f: float = 0.0

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point goes."""
        return self.a * x + self.b * y + self.c, self.d * x + self.e * y + self.f

    def box(self, box: Box) -> Box:
        """Return the smallest upright box around where a box's corners go."""
        x1, y1, x2, y2 = box
        corners = self.point(x1, y1), self.point(x1, y2), self.point(x2, y1), self.point(x2, y2)
        xs, ys = zip(*corners, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    def inverse(self) -> Affine:
        """Return the map back."""
        a, b, c, d, e, f = self
        det = a * e - b * d
        return Affine(
            e / det, -b / det, (b * f - c * e) / det, -d / det, a / det, (c * d - a * f) / det
        )

    @property
    def area(self) -> float:
        """By how much areas grow."""
        return abs(self.a * self.e - self.b * self.d)


@dataclass(frozen=True)
class Move:
    """A map with the pixel work that carries it out.

    Attributes:
        affine: where points go.
        size: width and height of the new image.
        pixels: does the same to an image; the flag says to keep values as they are (masks).
    """

    affine: Affine
    size: tuple[int, int]
    pixels: Callable[[Image.Image, bool], Image.Image]


def moved(sample: Sample, move: Move, keep: float = KEEP) -> Sample:
    """Return the sample with images, masks and boxes moved.

    A box of which less than the share `keep` is still in the image is dropped, but not if none of
    its annotator's were left while a part of one still shows: a sample without boxes always means
    that there is nothing to see.
    """
    found: dict[int, list[tuple[float, Region]]] = defaultdict(list)
    for region in sample.regions:
        share, new = _region(region, move)
        if new is not None:
            found[region.annotator].append((share, new))
    regions = [region for group in found.values() for region in _visible(group, keep)]
    order = {region.key: place for place, region in enumerate(sample.regions)}
    return replace(
        sample,
        images=tuple(move.pixels(image, False) for image in sample.images),
        regions=tuple(sorted(regions, key=lambda region: order[region.key])),
    )


def turned(size: tuple[int, int], degrees: int) -> Move:
    """Return a turn by 90, 180 or 270 degrees, counter-clockwise, without loss."""
    width, height = size
    affine, new = {
        90: (Affine(0, 1, 0, -1, 0, width), (height, width)),
        180: (Affine(-1, 0, width, 0, -1, height), size),
        270: (Affine(0, -1, height, 1, 0, 0), (height, width)),
    }[degrees]
    return Move(affine, new, lambda image, _: image.transpose(_TURN[degrees]))


def window(size: tuple[int, int], box: tuple[int, int, int, int], fill: int = 0) -> Move:
    """Return the move to a window of whole pixels, filled where it is not on the image."""
    x1, y1, x2, y2 = box
    new = x2 - x1, y2 - y1

    def cut(image: Image.Image, values: bool) -> Image.Image:
        if min(x1, y1) >= 0 and x2 <= image.width and y2 <= image.height:
            return image.crop(box)
        ground = Image.new(image.mode, new, _colour(image, 0 if values else fill))
        ground.paste(image, (-x1, -y1))
        return ground

    return Move(Affine(c=-x1, f=-y1), new, cut)


def resized(size: tuple[int, int], new: tuple[int, int]) -> Move:
    """Return the move to another size: bicubic, with what is smaller than a pixel averaged."""

    def resize(image: Image.Image, values: bool) -> Image.Image:
        if image.size == new:
            return image
        method = Image.Resampling.NEAREST if values else Image.Resampling.BICUBIC
        return image.resize(new, method)

    return Move(Affine(a=new[0] / size[0], e=new[1] / size[1]), new, resize)


def warped(affine: Affine, new: tuple[int, int], fill: int = 0) -> Move:
    """Return the move of any affine map, bicubic."""
    back = tuple(affine.inverse())

    def warp(image: Image.Image, values: bool) -> Image.Image:
        method = Image.Resampling.NEAREST if values else Image.Resampling.BICUBIC
        colour = _colour(image, 0 if values else fill)
        return image.transform(new, Image.Transform.AFFINE, back, method, fillcolor=colour)

    return Move(affine, new, warp)


def rotation(degrees: float, size: tuple[int, int], new: tuple[int, int]) -> Affine:
    """Return the turn, counter-clockwise, about the centre of an image to that of a new one."""
    c, s = cos(radians(degrees)), sin(radians(degrees))
    x, y = size[0] / 2, size[1] / 2
    return Affine(c, s, new[0] / 2 - c * x - s * y, -s, c, new[1] / 2 + s * x - c * y)


def around(degrees: float, size: tuple[int, int]) -> tuple[int, int]:
    """Return the size of the image that holds all of a turned one."""
    x1, y1, x2, y2 = rotation(degrees, size, size).box((0, 0, *size))
    return round(x2 - x1), round(y2 - y1)


def box_area(box: Box) -> float:
    """Return the area of a box, 0 if it has none."""
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _region(region: Region, move: Move) -> tuple[float, Region | None]:
    """Return the share of a region that is still in the image, and the region; None: nothing."""
    if region.mask is not None:
        return _masked(region, region.mask, move)
    whole = move.affine.box(region.box)
    x1, y1, x2, y2 = whole
    width, height = move.size
    clipped = max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))
    if not (clipped[0] < clipped[2] and clipped[1] < clipped[3]):
        return 0.0, None
    return box_area(clipped) / box_area(whole), replace(region, box=clipped)


def _masked(region: Region, mask: Image.Image, move: Move) -> tuple[float, Region | None]:
    new = move.pixels(mask, True)
    if new.getbbox() is None:
        new = _points(mask, move)
    box = new.getbbox()
    if box is None:
        return 0.0, None
    expected = _count(mask) * move.affine.area
    return min(1.0, _count(new) / expected), replace(region, box=box, mask=new)


def _points(mask: Image.Image, move: Move) -> Image.Image:
    """Return a mask moved pixel by pixel: nearest-neighbour sampling can miss a very small one."""
    a, b, c, d, e, f = move.affine
    ys, xs = np.nonzero(np.asarray(mask))
    columns = np.floor(a * (xs + 0.5) + b * (ys + 0.5) + c).astype(int)
    rows = np.floor(d * (xs + 0.5) + e * (ys + 0.5) + f).astype(int)
    width, height = move.size
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    values: NDArray[np.uint8] = np.zeros((height, width), np.uint8)
    values[rows[inside], columns[inside]] = 255
    return Image.fromarray(values)


def _visible(group: list[tuple[float, Region]], keep: float) -> Iterable[Region]:
    """Return the regions that stay; all that show if none would (see `moved`)."""
    kept = [region for share, region in group if share >= keep]
    return kept or [region for _, region in group]


def _count(mask: Image.Image) -> int:
    empty: int = mask.histogram()[0]
    return int(mask.width * mask.height - empty)


def _colour(image: Image.Image, value: int) -> int | tuple[int, ...]:
    return value if image.mode == "L" else (value,) * len(image.getbands())
