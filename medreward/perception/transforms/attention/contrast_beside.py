"""ContrastBeside: the image once more, with its contrast enhanced."""

from __future__ import annotations

from dataclasses import dataclass, replace

from medreward.perception.sample import Sample
from medreward.perception.transforms.intensity.clahe import CLAHE, equalised
from medreward.perception.transforms.parameter import bounds

NOTE = "The image is shown twice, the second time with its local contrast enhanced."


@dataclass(frozen=True)
class ContrastBeside(CLAHE):
    """Add the first image once more with `CLAHE` as the last one, and say so in the prompt.

    Pixels of both are at the same places, so boxes hold for either.
    """

    def apply(self, sample: Sample) -> Sample:
        """Return the sample with one more image."""
        (limit,), (tiles,) = bounds(self.clip_limit), bounds(self.tiles)
        second = equalised(sample.image, limit, int(tiles))
        return replace(sample, images=(*sample.images, second), notes=(*sample.notes, NOTE))
