"""Noise: add random values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medreward.perception.sample import Sample
from medreward.perception.transforms.intensity.values import computed
from medreward.perception.transforms.parameter import Number, bounds, number, seed
from medreward.perception.transforms.transform import Transform


@dataclass(frozen=True)
class Noise(Transform):
    """Add Gaussian noise, independent for each pixel and channel.

    Attributes:
        std: its standard deviation, in 8-bit values, from 0 to 128.
        seed: of the noise; drawn if it is not given.
    """

    std: Number = number(5.0, 0, 128)
    seed: int | None = seed()

    def apply(self, sample: Sample) -> Sample:
        """Return the sample with noise."""
        (std,) = bounds(self.std)
        random = np.random.default_rng(self.seed)
        change = computed(lambda values: values + random.normal(0.0, std, values.shape))
        return sample.with_images(change)
