"""Frames of coordinates: in which one boxes are by all appearances, and what Qwen's images become.

What a frame does to coordinates is in `medreward.geometry.regions`.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from medreward.errors import ConfigError, quote
from medreward.geometry.regions import SLACK, Box, OnImage, Size, around

FRAMES = {
    "pixels": "pixels of the stored image",
    "resized": "pixels of the image after the processor's resize (Qwen2.5-VL)",
    "unit": "0 to 1 of the image's width and height",
    "per-mille": "0 to 1000 of the image's width and height (Qwen2-VL, Qwen3-VL)",
}


def is_suspect(
    boxes: Collection[Box], name: str, target: OnImage, outer: Box | None = None
) -> bool:
    """Whether boxes cannot be in the frame `name`, but all fit into another one.

    They cannot be when all numbers are fractions within [0, 1] and the frame is none of such
    numbers, or when one lies beyond the image by more than a tenth of its side.

    >>> from medreward.geometry.regions import BoxTarget
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


def known_extents(target: OnImage) -> dict[str, Size]:
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
