"""MarkerOverlay: mark the middle of regions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medreward.perception.sample import Region, Sample
from medreward.perception.transforms.attention.drawing import COLOURS, SHOWN, drawn
from medreward.perception.transforms.parameter import Number, Word, bounds, text, whole, word
from medreward.perception.transforms.transform import Transform

if TYPE_CHECKING:
    from PIL import ImageDraw


@dataclass(frozen=True)
class MarkerOverlay(Transform):
    """Draw a circle around the middle of each region's box, or a cross at it, in RGB.

    Attributes:
        shape: "circle" or "cross".
        size: radius of the circle or half the length of the cross, in pixels, from 1 to 512.
        width: of the line in pixels, from 1 to 64.
        colour: yellow, cyan, magenta or green.
        label: only regions of this label; "": of any.
    """

    shape: Word = word("circle", "circle", "cross")
    size: Number = whole(8, 1, 512)
    width: Number = whole(2, 1, 64)
    colour: Word = word("yellow", *COLOURS)
    label: Word = text("")

    @property
    def reveals(self) -> str:
        """It shows where the regions are."""
        return SHOWN

    def apply(self, sample: Sample) -> Sample:
        """Return the sample with markers drawn."""
        size, width = int(bounds(self.size)[0]), int(bounds(self.width)[0])
        colour = COLOURS[str(self.colour)]

        def draw(pen: ImageDraw.ImageDraw, region: Region) -> None:
            x1, y1, x2, y2 = region.box
            x, y = (x1 + x2) / 2, (y1 + y2) / 2
            if self.shape == "circle":
                pen.ellipse((x - size, y - size, x + size, y + size), outline=colour, width=width)
                return
            pen.line((x - size, y, x + size, y), fill=colour, width=width)
            pen.line((x, y - size, x, y + size), fill=colour, width=width)

        return drawn(sample, str(self.label), draw)
