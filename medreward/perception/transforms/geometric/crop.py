"""Crop: keep a region of an image, given in pixels."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

from medreward.errors import ConfigError, quote
from medreward.geometry.regions import Box
from medreward.perception.affine import KEEP, moved, window
from medreward.perception.sample import Sample
from medreward.perception.transforms.parameter import Number, Pixels, bounds, box, number
from medreward.perception.transforms.transform import Transform


@dataclass(frozen=True)
class Crop(Transform):
    """Keep the part of the image in a box.

    Attributes:
        box: [x1, y1, x2, y2] in pixels; grown to whole pixels, and cut at the image's border.
        keep: share of a box that must still be in the image for the box to stay.
    """

    box: Pixels = box()
    keep: Number = number(KEEP, 0, 1)

    @property
    def cuts(self) -> bool:
        """It cuts."""
        return True

    def apply(self, sample: Sample) -> Sample:
        """Return the part in the box; raises `ConfigError` if it is not on the image."""
        return cropped(sample, self.box, bounds(self.keep)[0])


def cropped(sample: Sample, box: Box, keep: float) -> Sample:
    """Return the part of a sample in a box, as whole pixels on the image.

    Raises:
        ConfigError: if nothing of the box is on the image.
    """
    width, height = sample.size
    x1, y1 = max(0, floor(box[0])), max(0, floor(box[1]))
    x2, y2 = min(width, ceil(box[2])), min(height, ceil(box[3]))
    if x1 >= x2 or y1 >= y2:
        raise ConfigError(f"box: {quote(box)} is not on the image of {width} x {height} pixels")
    return moved(sample, window(sample.size, (x1, y1, x2, y2)), keep)
