"""Window: spread a band of values over all of them."""

from __future__ import annotations

from dataclasses import dataclass

from medreward.perception.sample import Sample
from medreward.perception.transforms.intensity.values import looked_up
from medreward.perception.transforms.parameter import Number, bounds, number
from medreward.perception.transforms.transform import Transform


@dataclass(frozen=True)
class Window(Transform):
    """Map the values from level - width / 2 to level + width / 2 linearly to 0 to 255.

    These are the 8-bit values of the stored image. For Hounsfield units, window while the data are
    read (``medreward prepare --intensity LOW HIGH``): what 8 bits have lost does not come back.

    Attributes:
        level: the middle of the band, from 0 to 255.
        width: of the band, from 1 to 510.
    """

    level: Number = number(127.5, 0, 255)
    width: Number = number(255.0, 1, 510)

    def apply(self, sample: Sample) -> Sample:
        """Return the sample with other values."""
        (level,), (width,) = bounds(self.level), bounds(self.width)
        low = level - width / 2
        return sample.with_images(looked_up(lambda value: 255 * (value - low) / width))
