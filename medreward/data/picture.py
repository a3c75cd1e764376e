"""Picture files of any kind -> 8-bit grey or RGB without metadata.

==============================  =================================================================
input                           treatment
==============================  =================================================================
more than 8 bits grey, float    linear, lowest value of the image -> 0, highest -> 255; or
                                ``Reading.intensity``, the same for all images
transparency                    composited on black
CMYK                            converted to RGB by Pillow, without a colour profile
16 bits a colour                the upper 8, with a remark
0 is white (TIFF)               inverted
pixels that are not square      as they are stored, with a remark
EXIF orientation                applied
several frames                  the first, or those that a column names
empty, corrupt, truncated       refused
more than ``max_pixels``        refused from the header, without decoding
a path out of the folder        refused, also through a symbolic link
==============================  =================================================================
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from medreward.data.image_file import open_image, path_within
from medreward.data.sources.record import Picture, ReadingOptions, UnusableError

TURNED = "turned as its EXIF orientation says"
_SQUARE = 0.02  # by how much the sides of a pixel may differ
_PHOTOMETRIC = 262  # the TIFF tag
_DARK = ", and none of them is bright: fewer than 14 bits seem to be in use, so that it is dark"


def load_file(place: tuple[str, str], reading: ReadingOptions) -> Picture:
    """Return the picture in a file, given as a folder and a path within it.

    Raises:
        UnusableError: if the file is missing, leads out of the folder, or is no usable picture.
    """
    return read_picture(_found(*place), reading)


def load_frames(place: tuple[str, str, Sequence[int]], reading: ReadingOptions) -> list[Picture]:
    """Return frames of a file, given as a folder, a path within it and their numbers.

    Raises:
        UnusableError: as `load_file` does, or if there is no such frame.
    """
    folder, relative, frames = place
    path = _found(folder, relative)
    if not frames:
        return [read_picture(path, reading)]
    return [read_picture(path, reading, frame) for frame in frames]


def _found(folder: str, relative: str) -> Path:
    try:
        return path_within(folder, relative)
    except UnusableError as error:
        raise UnusableError(f"{error}{_hint(folder, relative)}") from error


def _hint(folder: str, name: str) -> str:
    """Return what is there in place of a file: in another case, or with other slashes."""
    written = name.replace("\\", "/")
    slashes = "; its name has backslashes" if written != name else ""
    base = written.rpartition("/")[2]
    for path in (written, base):
        if path != name and (Path(folder) / path).is_file():
            return f"{slashes}; {path} is there"
    parent = str(Path(folder) / Path(written).parent)
    alike = _names_by(parent, str.lower).get(base.lower(), [])
    if alike:
        return f"; {alike[0]} is there (names differ in case)"
    others = [n for n in _names_by(parent, _stem).get(_stem(base), []) if n != base]
    return f"; {others[0]} is there" if others else ""


def _stem(name: str) -> str:
    """Return a name without its ending, in lower case."""
    return (name.rpartition(".")[0] or name).lower()


@lru_cache(maxsize=128)
def _names_by(folder: str, key: Callable[[str], str]) -> dict[str, list[str]]:
    """Return the names of a folder's files by what `key` makes of them."""
    found: dict[str, list[str]] = {}
    for name in _listed(folder):
        found.setdefault(key(name), []).append(name)
    return found


def _listed(folder: str) -> list[str]:
    try:
        return sorted(path.name for path in Path(folder).iterdir() if path.is_file())
    except OSError:
        return []


def load_bytes(content: bytes, reading: ReadingOptions) -> Picture:
    """Return the picture in the content of a file; raises `UnusableError` as `load_file` does."""
    return read_picture(content, reading)


def read_picture(
    source: Path | bytes, reading: ReadingOptions, frame: int | None = None
) -> Picture:
    """Return the picture in a file or its content; see the module for what is done to it.

    Args:
        source: the file or its content.
        reading: how pictures are read.
        frame: which frame is taken, from 0; None: the first, with a remark if there are several.
    """
    with open_image(source, reading.max_pixels) as opened:
        if frame is not None:
            count = getattr(opened, "n_frames", 1)
            if frame >= count:
                raise UnusableError(f"frame {frame} asked for; there are {count}, from 0")
            opened.seek(frame)
        return _picture(opened, reading, is_chosen=frame is not None)


def png_bytes(image: Image.Image) -> bytes:
    """Return an image as PNG, with none of the metadata it came with."""
    bare = image.copy()
    bare.info = {}
    buffer = io.BytesIO()
    bare.save(buffer, format="PNG")
    return buffer.getvalue()


def picture_size(encoded: bytes) -> tuple[int, int]:
    """Return width and height of an encoded image; pixels are not decoded."""
    with open_image(encoded) as image:
        width, height = image.size
    return width, height


def stretch_values(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return 8-bit values, linear from `low` (0) to `high` (255), clipped; 0 if they are equal.

    >>> stretch_values(np.array([0, 100, 200, 300]), 0, 200)
    array([  0, 128, 255, 255], dtype=uint8)
    """
    width = high - low if high > low else np.inf
    share = (np.nan_to_num(values.astype(np.float64), nan=low) - low) / width
    eight_bit: np.ndarray = np.round(255 * np.clip(share, 0, 1)).astype(np.uint8)
    return eight_bit


def _picture(opened: Image.Image, reading: ReadingOptions, *, is_chosen: bool = False) -> Picture:
    notes = []
    frames = getattr(opened, "n_frames", 1)
    if frames > 1 and not is_chosen and opened.format != "MPO":
        notes.append("several frames: the first is taken")
    deep = opened.mode == "RGB" and any(";16" in str(tile[3]) for tile in opened.tile)
    is_white_zero = _is_white_zero(opened)
    if not _has_square_pixels(opened.info):
        notes.append("its pixels are not square; shown as they are stored")
    opened.load()
    orientation = opened.getexif().get(0x0112, 1)
    upright = ImageOps.exif_transpose(opened) if orientation != 1 else opened
    if orientation != 1:
        notes.append(TURNED)
    if deep:
        most = max(high for _, high in upright.getextrema())
        notes.append(f"16 bits a colour: the upper 8 are taken{_DARK if most < 64 else ''}")
    image, note = _eight_bit(upright, reading)
    if is_white_zero and image.mode == "L":
        image = ImageOps.invert(image)
        notes.append("0 is white in it: inverted")
    return Picture(image, (*notes, note) if note else tuple(notes))


def _has_square_pixels(info: Mapping[Any, Any]) -> bool:
    """Whether a file says that its pixels are as high as wide, or says nothing of that.

    >>> _has_square_pixels({"dpi": (72, 72.01)}), _has_square_pixels({"aspect": (1, 2)})
    (True, False)
    """
    for name in ("aspect", "dpi", "jfif_density"):
        try:
            across, down = (float(value) for value in info.get(name) or ())
        except (TypeError, ValueError):
            continue
        if across > 0 and down > 0:
            return abs(across / down - 1) < _SQUARE
    return True


def _is_white_zero(opened: Image.Image) -> bool:
    """Whether 0 stands for white in a TIFF of more than 8 bits; Pillow inverts 8 bits itself."""
    tags = getattr(opened, "tag_v2", None)
    return opened.mode.startswith("I") and tags is not None and tags.get(_PHOTOMETRIC) == 0


def _eight_bit(image: Image.Image, reading: ReadingOptions) -> tuple[Image.Image, str]:
    mode = image.mode
    if mode.startswith(("I", "F")):
        return _rescaled(image, reading)
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        return on_black(image), "transparency composited on black"
    if mode in ("L", "RGB"):
        return image, ""
    if mode == "1":
        return image.convert("L"), ""
    note = "CMYK converted to RGB without a colour profile" if mode == "CMYK" else ""
    return image.convert("RGB"), note


def _rescaled(image: Image.Image, reading: ReadingOptions) -> tuple[Image.Image, str]:
    values = np.asarray(image)
    if reading.intensity:
        note = "more than 8 bits: rescaled linearly from the given intensity range"
        return Image.fromarray(stretch_values(values, *reading.intensity)), note
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0, 0)
    note = "more than 8 bits: rescaled linearly from its lowest to its highest value"
    return Image.fromarray(stretch_values(values, float(low), float(high))), note


def on_black(image: Image.Image) -> Image.Image:
    """Return a picture with its transparency composited on black, grey or RGB."""
    grey = image.mode in ("LA", "La", "L", "1")
    layer = image.convert("RGBA")
    ground = Image.new("RGBA", layer.size, (0, 0, 0, 255))
    return Image.alpha_composite(ground, layer).convert("L" if grey else "RGB")
