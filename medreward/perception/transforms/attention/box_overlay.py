"""BoxOverlay: draw the boxes of regions."""

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
class BoxOverlay(Transform):
    """Draw the border of each region's box, within the box; the image becomes RGB.

    Attributes:
        width: of the line in pixels, from 1 to 64.
        colour: yellow, cyan, magenta or green.
        label: only regions of this label; "": of any.
    """

    width: Number = whole(2, 1, 64)
    colour: Word = word("yellow", *COLOURS)
    label: Word = text("")

    @property
    def reveals(self) -> str:
        """It shows the boxes."""
        return SHOWN

    def apply(self, sample: Sample) -> Sample:
        """Return the sample with boxes drawn."""
        width, colour = int(bounds(self.width)[0]), COLOURS[str(self.colour)]

        def draw(pen: ImageDraw.ImageDraw, region: Region) -> None:
            x1, y1, x2, y2 = map(round, region.box)
            corners = (x1, y1, max(x1, x2 - 1), max(y1, y2 - 1))
            pen.rectangle(corners, outline=colour, width=width)

        return drawn(sample, str(self.label), draw)
