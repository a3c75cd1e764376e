"""A row's pictures for a sheet: small enough for one file, with boxes as shapes over them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from medreward.data.image_file import image_of_row, open_image
from medreward.data.sources.record import UnusableError
from medreward.geometry.regions import Box

_CRISP = 96  # up to this side in pixels, a picture is kept as it is and drawn with hard pixels
_QUALITY = 85
STYLES = 6  # colours, each with a dash pattern of its own


@dataclass(frozen=True)
class Shape:
    """A box, a point or a mask over a picture.

    Attributes:
        box: in pixels of the stored picture; of a point, its place twice.
        name: its class, or "" where there are no classes.
        style: which colour and dash pattern, from 0 to `STYLES` - 1.
        note: what is said of it beside its class and corners.
        path: of a mask, its outline as an SVG path in pixels of the stored picture; `box` is
            around it.
    """

    box: Box
    name: str
    style: int
    note: str = ""
    path: str = ""

    @property
    def is_point(self) -> bool:
        """Whether it is a point."""
        return self.box[:2] == self.box[2:]

    @property
    def title(self) -> str:
        """The box or point in words."""
        corners = ", ".join(f"{v:g}" for v in self.box[: 2 if self.is_point else 4])
        return " ".join(part for part in (self.note, self.name, f"[{corners}]") if part)


@dataclass(frozen=True)
class EmbeddedPicture:
    """A picture as the sheet holds it.

    Attributes:
        url: a data URL; empty if the picture cannot be decoded.
        width: of the stored picture in pixels, which boxes refer to.
        height: the same.
        crisp: whether to draw its pixels as squares.
        problem: why there is none.
    """

    url: str
    width: int
    height: int
    crisp: bool = False
    problem: str = ""


def picture(content: Any, most: int, image_root: Path | None = None) -> EmbeddedPicture:
    """Return a row's picture, given as its entry in ``images``, at most `most` pixels wide or high.

    A path is taken under `image_root` only.
    A picture that cannot be decoded gives one with a problem, and does not raise.
    """
    try:
        with open_image(image_of_row(content, image_root)) as opened:
            opened.load()
            return _encoded(opened, most)
    except UnusableError as error:
        return EmbeddedPicture("", 4, 3, problem=f"this image cannot be shown: {error}")


def styles(names: Sequence[str]) -> dict[str, int]:
    """Return a style for each class, in order.

    >>> styles(["RBC", "WBC"])
    {'RBC': 0, 'WBC': 1}
    """
    return {name: i % STYLES for i, name in enumerate(dict.fromkeys(names))}


def _encoded(image: Image.Image, most: int) -> EmbeddedPicture:
    width, height = image.size
    crisp = max(width, height) <= _CRISP
    small = image if crisp else _shrunk(image, most)
    kind = "PNG" if crisp else "JPEG"
    buffer = io.BytesIO()
    mode = "L" if small.mode in ("1", "L") else "RGB"
    small.convert(mode).save(buffer, format=kind, quality=_QUALITY)
    text = base64.b64encode(buffer.getvalue()).decode()
    return EmbeddedPicture(f"data:image/{kind.lower()};base64,{text}", width, height, crisp)


def _shrunk(image: Image.Image, most: int) -> Image.Image:
    small = image.convert("L" if image.mode in ("1", "L") else "RGB")
    small.thumbnail((most, most), Image.Resampling.LANCZOS)
    return small
