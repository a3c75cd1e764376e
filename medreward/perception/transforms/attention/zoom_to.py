"""ZoomTo: fill the image with the marked regions."""

from __future__ import annotations

from dataclasses import dataclass

from medreward.perception.sample import Sample
from medreward.perception.transforms.geometric.crop_around import CropAround
from medreward.perception.transforms.geometric.letterbox import letterboxed


@dataclass(frozen=True)
class ZoomTo(CropAround):
    """Crop around regions as `CropAround` does, and enlarge that to the image's size."""

    def apply(self, sample: Sample) -> Sample:
        """Return the enlarged window, on black where its proportions are others."""
        return letterboxed(super().apply(sample), sample.size)
