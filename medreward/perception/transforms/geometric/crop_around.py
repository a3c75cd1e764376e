"""CropAround: keep what is around the marked regions."""

from __future__ import annotations

from dataclasses import dataclass

from medreward.geometry.regions import Box
from medreward.perception.affine import KEEP, box_area
from medreward.perception.sample import Sample
from medreward.perception.transforms.geometric.crop import cropped
from medreward.perception.transforms.notation import Range
from medreward.perception.transforms.parameter import Number, Word, bounds, number, text, word
from medreward.perception.transforms.transform import Transform

CENTRED = (
    "it puts the region at the same place of every image; give margin, shift_x and shift_y as "
    "ranges"
)


@dataclass(frozen=True)
class CropAround(Transform):
    """Keep a window around regions; a sample without any stays as it is.

    Where regions are what is to be found, the window gives them away unless its place is random.

    Attributes:
        margin: what is added on each side of the box, in lengths of that side, from 0 to 50.
        shift_x: how far the window moves, in margins: -1 puts the box at its right border, 1 at
            its left.
        shift_y: the same up (-1) and down (1).
        of: "all" regions together, or the "largest".
        label: only regions of this label; "": of any.
        keep: share of another box that must still be in the image for that box to stay.
    """

    margin: Number = number(0.25, 0, 50)
    shift_x: Number = number(0.0, -1, 1)
    shift_y: Number = number(0.0, -1, 1)
    of: Word = word("all", "all", "largest")
    label: Word = text("")
    keep: Number = number(KEEP, 0, 1)

    @property
    def reveals(self) -> str:
        """A fixed window has its region always at the same place."""
        places = (self.margin, self.shift_x, self.shift_y)
        return "" if all(isinstance(place, Range) for place in places) else CENTRED

    @property
    def cuts(self) -> bool:
        """It cuts."""
        return True

    def apply(self, sample: Sample) -> Sample:
        """Return the window around the regions."""
        box = chosen(sample, str(self.of), str(self.label))
        if box is None:
            return sample
        (margin,), (right,), (down,) = map(bounds, (self.margin, self.shift_x, self.shift_y))
        x1, y1, x2, y2 = box
        x, y = margin * (x2 - x1), margin * (y2 - y1)
        around = (x1 - x + right * x, y1 - y + down * y, x2 + x + right * x, y2 + y + down * y)
        return cropped(sample, around, bounds(self.keep)[0])


def chosen(sample: Sample, of: str, label: str) -> Box | None:
    """Return the box of the largest region of a label or around all, or None if there is none."""
    boxes = [region.box for region in sample.regions if label in ("", region.label)]
    if not boxes:
        return None
    if of == "largest":
        return max(boxes, key=box_area)
    x1, y1, x2, y2 = zip(*boxes, strict=True)
    return min(x1), min(y1), max(x2), max(y2)
