"""What the overlays share: colours, and a pen that draws on each image."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Iterable

    from medreward.perception.sample import Region, Sample

COLOURS = {"yellow": "#ffd400", "cyan": "#00c8ff", "magenta": "#ff3c96", "green": "#50dc50"}
SHOWN = "it shows where the regions are, which is what is asked"


def drawn(
    sample: Sample, label: str, draw: Callable[[ImageDraw.ImageDraw, Region], None]
) -> Sample:
    """Return a sample, in colour, with something drawn at each region of a label ("": any)."""
    regions: Iterable[Region] = [r for r in sample.regions if label in ("", r.label)]

    def painted(image: Image.Image) -> Image.Image:
        canvas = image.convert("RGB")
        pen = ImageDraw.Draw(canvas)
        for region in regions:
            draw(pen, region)
        return canvas

    return sample.with_images(painted)
