"""Opening an image file that may be anything: what is done to it, and what is refused.

==============================  =================================================================
found                           treatment
==============================  =================================================================
EXIF orientation                turned upright
palette, transparency           composited on black, RGB (grey with transparency: grey)
CMYK, YCbCr, Lab, HSV           converted to RGB, embedded profiles ignored
16-bit grey                     v -> round(v / 257): 0..65535, the type's range, to 0..255
1-bit                           0 and 255
several frames (GIF, TIFF)      the first
32-bit or float grey            refused: its range is not known
over `MAX_PIXELS` by header     refused before any pixel is decoded
0 bytes, damaged, no image      refused
no plain file, or out of root   refused, also when a symbolic link or ``..`` leads there
==============================  =================================================================

Grey stays grey ("L"), all else becomes "RGB"; nothing but pixels is kept (no EXIF, no profile).
"""

from __future__ import annotations

import os
import stat
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

MAX_PIXELS = 100_000_000
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
_FORMATS = ("PNG", "JPEG", "JPEG2000", "BMP", "GIF", "TIFF", "WEBP", "PPM")
_ORIENTATION = 0x0112
# What Pillow's decoders raise on damaged input.
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
)


class FileProblemError(ValueError):
    """One file cannot be used: the message says why, and whoever catches it knows which one."""


@dataclass(frozen=True)
class Picture:
    """An image in mode "L" or "RGB", and what was done to it or is known of it.

    Attributes:
        image: the pixels, without metadata.
        notes: one line for each treatment; the same words for the same treatment.
        facts: facts of the source that may be published, such as the modality.
    """

    image: Image.Image
    notes: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = field(default=())


@dataclass(frozen=True)
class ImageFile:
    """An image file in a folder, opened when it is its turn; travels between processes."""

    root: Path
    relative: str

    def digest(self) -> bytes:
        """Return the SHA-256 of the file's bytes."""
        with inside(self.root, self.relative).open("rb") as file:
            return _digest(file.read())

    def open(self) -> Picture:
        """Return the image, treated as this module says."""
        return open_image(inside(self.root, self.relative))


@dataclass(frozen=True)
class ArrayImage:
    """An image that is an array already: (height, width) or (height, width, 3), 8 bits."""

    pixels: np.ndarray

    def digest(self) -> bytes:
        """Return the SHA-256 of the pixels and their shape."""
        return _digest(repr(self.pixels.shape).encode() + self.pixels.tobytes())

    def open(self) -> Picture:
        """Return the image."""
        return Picture(Image.fromarray(self.pixels))


def _digest(content: bytes) -> bytes:
    return sha256(content).digest()


def inside(root: Path, relative: str) -> Path:
    """Return the path of a plain, non-empty file in the folder `root`.

    Raises:
        FileProblemError: if it is not there, not a plain file, empty, or outside the folder.
    """
    try:
        found = (root / relative).resolve(strict=True)
        status = found.stat()
    except (OSError, ValueError, RuntimeError) as error:  # ValueError: a NUL in the name
        raise FileProblemError(getattr(error, "strerror", None) or "not a file's name") from error
    if not found.is_relative_to(root.resolve()):
        raise FileProblemError("is outside the folder, by a symbolic link or its path: refused")
    if not stat.S_ISREG(status.st_mode):
        raise FileProblemError("is not a plain file")
    if not os.access(found, os.R_OK):
        raise FileProblemError("Permission denied")
    if not status.st_size:
        raise FileProblemError("is empty (0 bytes)")
    return found


def open_image(path: Path) -> Picture:
    """Return the image in a file, upright, in 8 bits, grey or RGB, without metadata.

    Raises:
        FileProblemError: if it is no image, damaged or too large.
    """
    with _refusing(), path.open("rb") as file, Image.open(file, formats=_FORMATS) as image:
        check_size(*image.size)
        notes = []
        if getattr(image, "n_frames", 1) > 1:
            notes.append("several frames: the first is used")
        image.load()
        if image.getexif().get(_ORIENTATION, 1) in range(2, 9):
            notes.append("EXIF orientation: turned upright")
        treated, note = _eight_bits(ImageOps.exif_transpose(image))
        clean = treated.copy()
        clean.info = {}
        return Picture(clean, tuple(notes) + ((note,) if note else ()))


def check_size(width: int, height: int) -> None:
    """Refuse an image of over `MAX_PIXELS` by its header, before its pixels take memory."""
    if width * height > MAX_PIXELS:
        raise FileProblemError(
            f"has {width} x {height} pixels by its header; at most {MAX_PIXELS:,} are allowed"
        )


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn whatever a damaged file makes Pillow raise into a `FileProblemError`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except FileProblemError:
        raise
    except Image.DecompressionBombError as error:
        raise FileProblemError(f"has too many pixels by its header: {error}") from error
    except Image.UnidentifiedImageError as error:
        raise FileProblemError("is not an image in a format that is read") from error
    except _DAMAGED as error:
        raise FileProblemError(f"is damaged: {error or type(error).__name__}") from error


def _eight_bits(image: Image.Image) -> tuple[Image.Image, str]:
    """Return an image in mode "L" or "RGB", and what was done if that is worth a line."""
    mode = image.mode
    if mode.startswith("I;16"):
        return to_eight_bits(np.asarray(image)), "16-bit grey: scaled to 8 bits, 0..65535 to 0..255"
    if mode in ("I", "F"):
        raise FileProblemError(f"has 32-bit pixels (mode {mode}), whose range is not known")
    if image.has_transparency_data:
        black = Image.new("RGBA", image.size, "black")
        flat = Image.alpha_composite(black, image.convert("RGBA"))
        return flat.convert("L" if mode in ("L", "LA", "La") else "RGB"), (
            "transparency: composited on black"
        )
    if mode in ("1", "L", "RGB"):
        return image.convert("L") if mode == "1" else image, ""
    return image.convert("RGB"), f"{'palette' if mode == 'P' else mode}: converted to RGB"


def to_eight_bits(values: np.ndarray) -> Image.Image:
    """Return 16-bit values as an 8-bit image: v -> round(v / 257), 0..65535 to 0..255."""
    return Image.fromarray(np.round(values.astype(np.float64) / 257).astype(np.uint8))
