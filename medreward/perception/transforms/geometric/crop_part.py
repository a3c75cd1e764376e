"""CropPart: keep a share of an image, anywhere on it."""

from __future__ import annotations

from dataclasses import dataclass

from medreward.perception.affine import KEEP
from medreward.perception.sample import Sample
from medreward.perception.transforms.geometric.crop import cropped
from medreward.perception.transforms.parameter import Number, bounds, number
from medreward.perception.transforms.transform import Transform


@dataclass(frozen=True)
class CropPart(Transform):
    """Keep a part of the image with sides of a share of the image's.

    Attributes:
        share: length of the sides, from 0.05 to 1.
        x: where it lies: 0 at the left border, 1 at the right.
        y: 0 at the top, 1 at the bottom.
        keep: share of a box that must still be in the image for the box to stay.
    """

    share: Number = number(1.0, 0.05, 1)
    x: Number = number(0.5, 0, 1)
    y: Number = number(0.5, 0, 1)
    keep: Number = number(KEEP, 0, 1)

    @property
    def cuts(self) -> bool:
        """It cuts."""
        return True

    def apply(self, sample: Sample) -> Sample:
        """Return the part."""
        sizes, share = sample.size, bounds(self.share)[0]
        sides = [max(1, round(size * share)) for size in sizes]
        places = (bounds(self.x)[0], bounds(self.y)[0])
        x, y = (
            round((size - side) * place)
            for size, side, place in zip(sizes, sides, places, strict=True)
        )
        return cropped(sample, (x, y, x + sides[0], y + sides[1]), bounds(self.keep)[0])
