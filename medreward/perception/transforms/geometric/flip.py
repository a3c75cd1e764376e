"""Flip: mirror an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from PIL import Image

from medreward.perception.affine import Affine, Move, moved
from medreward.perception.sample import Sample
from medreward.perception.transforms.notation import Choice
from medreward.perception.transforms.parameter import Word, word
from medreward.perception.transforms.transform import Transform
from medreward.task.laterality import Mirror


@dataclass(frozen=True)
class Flip(Transform):
    """Mirror the image, left to right ("horizontal") or top to bottom ("vertical").

    A mirrored image shows the other side's anatomy, so words that depend on side are swapped as
    the card says, or else the flip is refused.

    Attributes:
        axis: the direction in which pixels change places.
    """

    axis: Word = word("horizontal", "horizontal", "vertical")

    @property
    def mirrors(self) -> tuple[Mirror, ...]:
        """The flips that may be drawn."""
        values = self.axis.values if isinstance(self.axis, Choice) else (self.axis,)
        return tuple(cast("Mirror", value) for value in values)

    def apply(self, sample: Sample) -> Sample:
        """Return the mirrored sample."""
        width, height = sample.size
        mirror = self.mirrors[0]
        if mirror == "horizontal":
            affine, method = Affine(a=-1, c=width), Image.Transpose.FLIP_LEFT_RIGHT
        else:
            affine, method = Affine(e=-1, f=height), Image.Transpose.FLIP_TOP_BOTTOM
        move = Move(affine, sample.size, lambda image, _: image.transpose(method))
        return moved(sample.mirrored(mirror), move)
