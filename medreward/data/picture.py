"""Picture files of any kind -> 8-bit grey or RGB without metadata.

==============================  =================================================================
input                           treatment
==============================  =================================================================
more than 8 bits grey, float    linear, lowest value of the image -> 0, highest -> 255; or
                                ``Reading.intensity``, the same for all images
transparency                    composited on black
CMYK                            converted to RGB by Pillow, without a colour profile
EXIF orientation                applied
several frames                  the first
empty, corrupt, truncated       refused
more than ``max_pixels``        refused from the header, without decoding
a path out of the folder        refused, also through a symbolic link
==============================  =================================================================
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from medreward.data.sources.record import Picture, ReadingOptions, UnusableError

# Pillow also opens formats that run other programs (EPS); these do not.
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "GIF", "WEBP", "PPM", "JPEG2000")
SUFFIXES = frozenset(
    ".png .jpg .jpeg .jpe .bmp .dib .tif .tiff .gif .webp .pgm .ppm .pnm .jp2 .j2k".split()
)
# What Pillow's decoders raise on broken files.
DECODER_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    NotImplementedError,
    ArithmeticError,
    MemoryError,
    struct.error,
    zlib.error,
)


def load_file(place: tuple[str, str], reading: ReadingOptions) -> Picture:
    """Return the picture in a file, given as a folder and a path within it.

    Raises:
        UnusableError: if the file is missing, leads out of the folder, or is no usable picture.
    """
    path = path_within(*place)
    if path.stat().st_size == 0:
        raise UnusableError("the file is empty (0 bytes)")
    return read_picture(path, reading)


def load_bytes(content: bytes, reading: ReadingOptions) -> Picture:
    """Return the picture in the content of a file; raises `UnusableError` as `load_file` does."""
    if not content:
        raise UnusableError("the file is empty (0 bytes)")
    return read_picture(io.BytesIO(content), reading)


def path_within(folder: str, relative: str) -> Path:
    """Return the file at a path relative to a folder, with links followed.

    Raises:
        UnusableError: if there is no such file, or it is not in the folder.
    """
    root = Path(folder).resolve()
    try:
        path = (root / relative).resolve()
        within, exists = path.is_relative_to(root), path.is_file()
    except (OSError, ValueError, RuntimeError) as error:
        raise UnusableError("the path cannot be followed") from error
    if not within:
        raise UnusableError("the path leads out of the folder")
    if not exists:
        raise UnusableError("no such file")
    return path


def read_picture(file: Path | io.BytesIO, reading: ReadingOptions) -> Picture:
    """Return the picture in an open or named file; see the module for what is done to it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(file, formats=FORMATS) as opened:
                check_pixels(opened.width, opened.height, reading)
                return _picture(opened, reading)
        except UnidentifiedImageError as error:
            raise UnusableError(
                "not a picture in a known format, or its header is damaged"
            ) from error
        except Image.DecompressionBombError as error:
            raise UnusableError(f"more than {reading.max_pixels:,} pixels; not decoded") from error
        except UnusableError:
            raise
        except DECODER_ERRORS as error:
            raise UnusableError(f"cannot be decoded: {_reason(error)}") from error


def check_pixels(width: int, height: int, reading: ReadingOptions) -> None:
    """Raise `UnusableError` for a picture of more pixels than allowed."""
    if width * height > reading.max_pixels:
        raise UnusableError(
            f"{width} x {height} is more than {reading.max_pixels:,} pixels; not decoded"
        )


def png_bytes(image: Image.Image) -> bytes:
    """Return an image as PNG, with none of the metadata it came with."""
    bare = image.copy()
    bare.info = {}
    buffer = io.BytesIO()
    bare.save(buffer, format="PNG")
    return buffer.getvalue()


def stretch_values(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return 8-bit values, linear from `low` (0) to `high` (255), clipped; 0 if they are equal.

    >>> stretch_values(np.array([0, 100, 200, 300]), 0, 200)
    array([  0, 128, 255, 255], dtype=uint8)
    """
    width = high - low if high > low else np.inf
    share = (np.nan_to_num(values.astype(np.float64), nan=low) - low) / width
    eight_bit: np.ndarray = np.round(255 * np.clip(share, 0, 1)).astype(np.uint8)
    return eight_bit


def _picture(opened: Image.Image, reading: ReadingOptions) -> Picture:
    notes = []
    frames = getattr(opened, "n_frames", 1)
    if frames > 1 and opened.format != "MPO":
        notes.append("several frames: the first is taken")
    opened.load()
    orientation = opened.getexif().get(0x0112, 1)
    upright = ImageOps.exif_transpose(opened) if orientation != 1 else opened
    if orientation != 1:
        notes.append("turned as its EXIF orientation says")
    image, note = _eight_bit(upright, reading)
    return Picture(image, (*notes, note) if note else tuple(notes))


def _eight_bit(image: Image.Image, reading: ReadingOptions) -> tuple[Image.Image, str]:
    mode = image.mode
    if mode.startswith(("I", "F")):
        return _rescaled(image, reading)
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        return _on_black(image), "transparency composited on black"
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


def _on_black(image: Image.Image) -> Image.Image:
    grey = image.mode in ("LA", "La", "L", "1")
    layer = image.convert("RGBA")
    ground = Image.new("RGBA", layer.size, (0, 0, 0, 255))
    return Image.alpha_composite(ground, layer).convert("L" if grey else "RGB")


def _reason(error: BaseException) -> str:
    """Return what a decoder says, without the path that system errors carry."""
    said: Any = getattr(error, "strerror", None) or str(error)
    return str(said).splitlines()[0] if said else type(error).__name__
