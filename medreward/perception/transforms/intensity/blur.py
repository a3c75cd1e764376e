"""Blur: take fine detail away."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import ImageFilter

from medreward.perception.sample import Sample
from medreward.perception.transforms.parameter import Number, bounds, number
from medreward.perception.transforms.transform import Transform


@dataclass(frozen=True)
class Blur(Transform):
    """Blur with a Gaussian, as Pillow approximates it.

    Attributes:
        sigma: its standard deviation in pixels, from 0 to 64.
    """

    sigma: Number = number(1.0, 0, 64)

    def apply(self, sample: Sample) -> Sample:
        """Return the blurred sample."""
        blur = ImageFilter.GaussianBlur(bounds(self.sigma)[0])
        return sample.with_images(lambda image: image.filter(blur))
