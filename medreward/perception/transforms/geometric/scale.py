"""Scale: make an image, or what is on it, larger or smaller."""

from __future__ import annotations

from dataclasses import dataclass

from medreward.perception.affine import KEEP, moved, resized, window
from medreward.perception.sample import Sample
from medreward.perception.transforms.parameter import Flag, Number, bounds, flag, number
from medreward.perception.transforms.transform import Transform


@dataclass(frozen=True)
class Scale(Transform):
    """Scale the image by a factor in both directions (bicubic; averaged where it shrinks).

    Attributes:
        factor: how much longer each side becomes, from 0.05 to 20.
        same_size: whether the image keeps its size: its borders are cut off, or black is added.
        keep: share of a box that must still be in the image for the box to stay.
    """

    factor: Number = number(1.0, 0.05, 20)
    same_size: Flag = flag(False)
    keep: Number = number(KEEP, 0, 1)

    @property
    def cuts(self) -> bool:
        """It cuts if it may enlarge what is on an image that keeps its size."""
        return self.same_size is not False and max(bounds(self.factor)) > 1

    def apply(self, sample: Sample) -> Sample:
        """Return the scaled sample."""
        (factor,) = bounds(self.factor)
        width, height = sample.size
        new = max(1, round(width * factor)), max(1, round(height * factor))
        scaled = moved(sample, resized(sample.size, new))
        if not self.same_size:
            return scaled
        x, y = (new[0] - width) // 2, (new[1] - height) // 2
        return moved(scaled, window(new, (x, y, x + width, y + height)), bounds(self.keep)[0])
