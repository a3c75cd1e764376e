"""Gamma: make an image brighter or darker, most in the middle."""

from __future__ import annotations

from dataclasses import dataclass

from medreward.perception.sample import Sample
from medreward.perception.transforms.intensity.values import looked_up
from medreward.perception.transforms.parameter import Number, bounds, number
from medreward.perception.transforms.transform import Transform


@dataclass(frozen=True)
class Gamma(Transform):
    """Raise values to a power: v becomes 255 (v / 255) ** gamma, for each channel.

    Attributes:
        gamma: the power, from 0.1 to 10; below 1 brighter, above 1 darker.
    """

    gamma: Number = number(1.0, 0.1, 10)

    def apply(self, sample: Sample) -> Sample:
        """Return the sample with other values."""
        (gamma,) = bounds(self.gamma)
        return sample.with_images(looked_up(lambda value: 255 * (value / 255) ** gamma))
