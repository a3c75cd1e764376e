"""Letterbox: bring an image to a size without changing its proportions."""

from __future__ import annotations

from dataclasses import dataclass

from medreward.perception.affine import moved, resized, window
from medreward.perception.sample import Sample
from medreward.perception.transforms.parameter import Number, bounds, whole
from medreward.perception.transforms.transform import Transform


@dataclass(frozen=True)
class Letterbox(Transform):
    """Scale the image so that it just fits, and centre it on a ground of exactly that size.

    With the size that the model's processor works at, nothing is resized after it, so boxes in
    pixels mean the same to the reward and to the model.

    Attributes:
        width: of the new image, in pixels, from 1 to 8192.
        height: of the new image.
        fill: grey value of the ground, from 0 to 255.
    """

    width: Number = whole(448, 1, 8192)
    height: Number = whole(448, 1, 8192)
    fill: Number = whole(0, 0, 255)

    def apply(self, sample: Sample) -> Sample:
        """Return the sample at that size."""
        width, height, fill = (int(bounds(v)[0]) for v in (self.width, self.height, self.fill))
        return letterboxed(sample, (width, height), fill)


def letterboxed(sample: Sample, size: tuple[int, int], fill: int = 0) -> Sample:
    """Return a sample scaled to fit a size, and centred on a ground of that size."""
    (width, height), (old_width, old_height) = size, sample.size
    scale = min(width / old_width, height / old_height)
    new = max(1, round(old_width * scale)), max(1, round(old_height * scale))
    x, y = (new[0] - width) // 2, (new[1] - height) // 2
    scaled = moved(sample, resized(sample.size, new))
    return moved(scaled, window(new, (x, y, x + width, y + height), fill))
