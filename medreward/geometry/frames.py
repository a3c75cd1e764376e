"""Frames of coordinates: from the one in which an answer's boxes are to pixels of the stored image.

With the stored image of width w and height h, and w', h' its sides after the processor's resize::

    pixels     x, y
    resized    x * w / w',     y * h / h'
    unit       x * w,          y * h
    per-mille  x * w / 1000,   y * h / 1000
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from medreward.errors import ConfigError, quote
from medreward.geometry.regions import Box, BoxTarget, Size, around

FRAMES = {
    "pixels": "pixels of the stored image",
    "resized": "pixels of the image after the processor's resize (Qwen2.5-VL)",
    "unit": "0 to 1 of the image's width and height",
    "per-mille": "0 to 1000 of the image's width and height (Qwen2-VL, Qwen3-VL)",
}
# How far beyond the image's edge a corner may lie, as a share of the side: rounding, no more.
SLACK = 0.01
# What an answer cannot be held to: half a step of the numbers that models write in a frame.
_STEP = {"pixels": 1.0, "resized": 1.0, "unit": 0.001, "per-mille": 1.0}
_NEEDED = {"unit": "size", "per-mille": "size", "resized": "seen"}


class OnImage(Protocol):
    """A target that says of what size its image is: width and height, as stored and as seen."""

    @property
    def size(self) -> Size | None:
        """Of the stored image, in pixels."""

    @property
    def seen(self) -> Size | None:
        """After the processor's resize."""


class Frame(NamedTuple):
    """A frame of one image.

    Attributes:
        across: pixels of the stored image a unit of x.
        down: pixels of the stored image a unit of y.
        extent: the largest x and y in the image, in the frame's units; None where not known.
        step: the step of the numbers that models write.
    """

    across: float
    down: float
    extent: Size | None
    step: float

    def pixels(self, box: Box) -> Box:
        """Return a box of this frame in pixels of the stored image."""
        x1, y1, x2, y2 = box
        return x1 * self.across, y1 * self.down, x2 * self.across, y2 * self.down

    def all_pixels(self, boxes: Sequence[Box]) -> Sequence[Box]:
        """Return boxes of this frame in pixels of the stored image."""
        return boxes if self.across == self.down == 1 else [*map(self.pixels, boxes)]

    def written(self, box: Box) -> Box:
        """Return a box in pixels of the stored image as a model would write it in this frame."""
        scale = (self.across, self.down, self.across, self.down)
        steps = (round(v / unit / self.step) for v, unit in zip(box, scale, strict=True))
        x1, y1, x2, y2 = (round(count * self.step, 3) for count in steps)
        return x1, y1, x2, y2

    @property
    def tolerance(self) -> tuple[float, float]:
        """Half a step across and down, in pixels of the stored image."""
        return self.step / 2 * self.across + 1e-6, self.step / 2 * self.down + 1e-6

    def holds(self, box: Box) -> bool:
        """Whether a box lies in the image, up to rounding; where that is known."""
        if self.extent is None:
            return min(box[0], box[1]) >= -self.step
        width, height = self.extent
        left, top = -width * SLACK, -height * SLACK
        return (
            box[0] >= left and box[1] >= top and box[2] <= width - left and box[3] <= height - top
        )


def frame_of(name: str, target: OnImage) -> Frame:
    """Return the frame of that name for a target's image.

    Raises:
        ConfigError: if the target lacks the sizes that the frame needs.

    >>> frame_of("per-mille", BoxTarget(((),), size=(640.0, 480.0))).pixels((500, 500, 1000, 1000))
    (320.0, 240.0, 640.0, 480.0)
    """
    size, seen = target.size, target.seen
    step = _STEP[name]
    if name == "pixels":
        return Frame(1.0, 1.0, size, step)
    if size is None or (name == "resized" and seen is None):
        field = "size" if size is None else "seen"
        raise ConfigError(
            f"target: it has no {quote(field)}, which boxes in frame {quote(name)} need "
            f"({{'boxes': [...], 'size': [width, height], 'seen': [width, height]}})"
        )
    extent: Size = (1.0, 1.0) if name == "unit" else (1000.0, 1000.0)
    if name == "resized" and seen is not None:
        extent = seen
    return Frame(size[0] / extent[0], size[1] / extent[1], extent, step)


def is_suspect(
    boxes: Collection[Box], name: str, target: BoxTarget, outer: Box | None = None
) -> bool:
    """Whether boxes cannot be in the frame `name`, but all fit into another one.

    They cannot be when all numbers are fractions within [0, 1] and the frame is none of such
    numbers, or when one lies beyond the image by more than a tenth of its side.

    >>> target = BoxTarget(((),), size=(640.0, 480.0))
    >>> is_suspect([(0.1, 0.2, 0.5, 0.75)], "pixels", target)
    True
    """
    if not boxes:
        return False
    left, top, right, bottom = outer or around(boxes)
    low = min(left, top)
    if low >= 0 and max(right, bottom) <= 1 and any(v % 1 for box in boxes for v in box):
        return name != "unit"
    extents = known_extents(target)
    if name not in extents or not _exceeds(right, bottom, extents[name], 1.1):
        return False
    others = (extent for other, extent in extents.items() if other not in (name, "unit"))
    return low >= 0 and not all(_exceeds(right, bottom, extent, 1 + SLACK) for extent in others)


def _exceeds(right: float, bottom: float, extent: Size, factor: float) -> bool:
    return right > extent[0] * factor or bottom > extent[1] * factor


def known_extents(target: BoxTarget) -> dict[str, Size]:
    """Return the largest x and y in the image in each frame where these are known."""
    extents: dict[str, Size | None] = {
        "pixels": target.size,
        "resized": target.seen,
        "unit": (1.0, 1.0),
        "per-mille": (1000.0, 1000.0),
    }
    return {name: extents[name] for name in FRAMES if extents[name]}  # type: ignore[misc]


def qwen_resized(
    size: tuple[int, int], factor: int = 28, min_pixels: int = 3136, max_pixels: int = 1_003_520
) -> tuple[int, int]:
    """Return the width and height that Qwen's image processors resize an image to: `seen`.

    Both sides become multiples of `factor` (28 for Qwen2-VL and Qwen2.5-VL, 32 for Qwen3-VL), with
    an area within [min_pixels, max_pixels], in proportion as far as that goes. The same as
    ``smart_resize`` of transformers' Qwen2-VL, which takes and gives height first; the defaults are
    its own, a model's ``preprocessor_config.json`` may have others.

    Args:
        size: width and height of the image.
        factor: patch size times merge size of the processor.
        min_pixels: the processor's least number of pixels (``size["shortest_edge"]``).
        max_pixels: its largest (``size["longest_edge"]``).

    Raises:
        ConfigError: if a side is not positive, or one is more than 200 times the other.

    >>> qwen_resized((640, 480)), qwen_resized((640, 480), max_pixels=100_352)
    ((644, 476), (364, 252))
    """
    width, height = size
    if min(size) <= 0 or max(size) / min(size) > 200:
        raise ConfigError(
            f"size: {quote(size)} has a side that is not positive, or a ratio above 200"
        )
    across, down = (round(side / factor) * factor for side in size)
    if across * down > max_pixels:
        shrink = math.sqrt(width * height / max_pixels)
        across, down = (max(factor, math.floor(s / shrink / factor) * factor) for s in size)
    elif across * down < min_pixels:
        grow = math.sqrt(min_pixels / (width * height))
        across, down = (math.ceil(side * grow / factor) * factor for side in size)
    return across, down
