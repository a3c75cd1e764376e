"""Pad: add borders."""

from __future__ import annotations

from dataclasses import dataclass

from medreward.perception.affine import moved, window
from medreward.perception.sample import Sample
from medreward.perception.transforms.parameter import Number, bounds, whole
from medreward.perception.transforms.transform import Transform


@dataclass(frozen=True)
class Pad(Transform):
    """Add pixels at the borders.

    Attributes:
        left: pixels added at the left, from 0 to 8192; so for the others.
        top: at the top.
        right: at the right.
        bottom: at the bottom.
        fill: their grey value, from 0 to 255.
    """

    left: Number = whole(0, 0, 8192)
    top: Number = whole(0, 0, 8192)
    right: Number = whole(0, 0, 8192)
    bottom: Number = whole(0, 0, 8192)
    fill: Number = whole(0, 0, 255)

    def apply(self, sample: Sample) -> Sample:
        """Return the sample with borders."""
        width, height = sample.size
        left, top, right, bottom, fill = (
            int(bounds(value)[0])
            for value in (self.left, self.top, self.right, self.bottom, self.fill)
        )
        box = (-left, -top, width + right, height + bottom)
        return moved(sample, window(sample.size, box, fill))
