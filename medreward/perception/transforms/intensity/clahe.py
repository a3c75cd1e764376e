"""CLAHE: bring out local contrast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from medreward.perception.sample import Sample
from medreward.perception.transforms.parameter import Number, bounds, number, whole
from medreward.perception.transforms.transform import Transform


@dataclass(frozen=True)
class CLAHE(Transform):
    """Contrast-limited adaptive histogram equalisation (Zuiderveld, Graphics Gems IV, 1994).

    By scikit-image; of a colour image, it works on the value of HSV and leaves hue and saturation.

    Attributes:
        clip_limit: how much contrast it may add, from 0.001 to 1 (scikit-image's clip_limit).
        tiles: into how many tiles each side is divided, from 1 to 64.
    """

    clip_limit: Number = number(0.01, 0.001, 1)
    tiles: Number = whole(8, 1, 64)

    def apply(self, sample: Sample) -> Sample:
        """Return the sample with other values."""
        (limit,), (tiles,) = bounds(self.clip_limit), bounds(self.tiles)
        return sample.with_images(lambda image: equalised(image, limit, int(tiles)))


def equalised(image: Image.Image, clip_limit: float, tiles: int) -> Image.Image:
    """Return an image with its local contrast equalised."""
    from skimage.exposure import equalize_adapthist

    sides = [max(1, side // tiles) for side in (image.height, image.width)]
    values = equalize_adapthist(np.asarray(image), kernel_size=sides, clip_limit=clip_limit)
    return Image.fromarray(np.rint(values * 255).astype(np.uint8))
