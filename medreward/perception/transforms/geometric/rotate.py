"""Rotate: turn an image by any angle."""

from __future__ import annotations

from dataclasses import dataclass

from medreward.perception.affine import KEEP, around, moved, rotation, turned, warped, window
from medreward.perception.sample import Sample
from medreward.perception.transforms.notation import Choice
from medreward.perception.transforms.parameter import Flag, Number, bounds, flag, number, whole
from medreward.perception.transforms.transform import Transform
from medreward.task.laterality import Mirror


@dataclass(frozen=True)
class Rotate(Transform):
    """Turn the image about its centre, counter-clockwise.

    By multiples of 90 degrees without loss, else bicubic. A box becomes the smallest upright box
    around its turned corners, so it grows: a square one by up to 2 in area, at 45 degrees. A region
    with a mask keeps the tight box of the turned mask.

    A turn of 45 degrees or less leaves sides where they are. One of about 180 degrees is a
    horizontal and a vertical flip; one of about 90 is refused where words depend on side.

    Attributes:
        degrees: the angle, from -360 to 360.
        expand: whether the image grows to hold all of the turned one, or keeps its size.
        keep: share of a box that must still be in the image for the box to stay.
        fill: grey value of the new corners, from 0 to 255.
    """

    degrees: Number = number(0.0, -360, 360)
    expand: Flag = flag(False)
    keep: Number = number(KEEP, 0, 1)
    fill: Number = whole(0, 0, 255)

    @property
    def mirrors(self) -> tuple[Mirror, ...] | None:
        """Both flips if it may turn by about 180 degrees, None if it may by about 90."""
        quarters = {round(angle / 90) for angle in bounds(self.degrees)}
        if not isinstance(self.degrees, Choice):
            quarters = set(range(min(quarters), max(quarters) + 1))
        if any(quarter % 2 for quarter in quarters):
            return None
        return ("horizontal", "vertical") if any(quarter % 4 for quarter in quarters) else ()

    @property
    def cuts(self) -> bool:
        """It cuts corners unless the image grows."""
        return self.expand is not True

    def apply(self, sample: Sample) -> Sample:
        """Return the turned sample."""
        mirrors = self.mirrors
        if mirrors is None:
            sample.on_side()
        for mirror in mirrors or ():
            sample = sample.mirrored(mirror)
        (degrees,) = bounds(self.degrees)
        if degrees % 90 == 0:
            return self._quarters(sample, int(degrees) % 360)
        new = around(degrees, sample.size) if self.expand else sample.size
        affine = rotation(degrees, sample.size, new)
        return moved(sample, warped(affine, new, self._fill), self._keep)

    def _quarters(self, sample: Sample, degrees: int) -> Sample:
        width, height = sample.size
        if degrees:
            sample = moved(sample, turned(sample.size, degrees))
        if self.expand or sample.size == (width, height):
            return sample
        x, y = (sample.size[0] - width) // 2, (sample.size[1] - height) // 2
        cut = window(sample.size, (x, y, x + width, y + height), self._fill)
        return moved(sample, cut, self._keep)

    @property
    def _keep(self) -> float:
        return bounds(self.keep)[0]

    @property
    def _fill(self) -> int:
        return int(bounds(self.fill)[0])
