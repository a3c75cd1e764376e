"""The only opener of pictures: an explicit list of formats, a limit of pixels, one error.

Pillow opens formats that start other programs (EPS runs Ghostscript) and follows any path. What
comes from a file or a row goes through here, so that neither happens.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from medreward.data.sources.record import UnusableError
from medreward.errors import quote

# None of them starts a program.
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "GIF", "WEBP", "PPM", "JPEG2000")
SUFFIXES = frozenset(
    ".png .jpg .jpeg .jpe .jfif .bmp .dib .tif .tiff .gif .webp .pgm .ppm .pnm .jp2 .j2k".split()
)
MAX_PIXELS = 100_000_000
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


@contextmanager
def open_image(source: Path | bytes, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """Open a picture by its path or content; what fails while it is used is caught as well.

    Raises:
        UnusableError: if it is no regular file, empty, in none of `FORMATS`, has more than
            `max_pixels`, or cannot be decoded.

    >>> content = io.BytesIO()
    >>> Image.new("L", (64, 48)).save(content, "PNG")
    >>> with open_image(content.getvalue()) as image:
    ...     image.size
    (64, 48)
    """
    if isinstance(source, Path) and not source.is_file():
        raise UnusableError("no such file")  # a device or a pipe neither
    if not (source if isinstance(source, bytes) else source.stat().st_size):
        raise UnusableError("the file is empty (0 bytes)")
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    with warnings.catch_warnings(), _pillow_limit(max_pixels):
        warnings.simplefilter("ignore")
        try:
            with Image.open(file, formats=FORMATS) as opened:
                check_pixels(opened.width, opened.height, max_pixels)
                yield opened
        except UnidentifiedImageError as error:
            raise UnusableError(
                "not a picture in a known format, or its header is damaged"
            ) from error
        except Image.DecompressionBombError as error:
            raise UnusableError(f"more than {max_pixels:,} pixels; not decoded") from error
        except UnusableError:
            raise
        except DECODER_ERRORS as error:
            raise UnusableError(f"cannot be decoded: {reason_of(error)}") from error


@contextmanager
def _pillow_limit(max_pixels: int) -> Iterator[None]:
    """Keep Pillow from refusing what `max_pixels` allows; it refuses twice its own limit."""
    before = Image.MAX_IMAGE_PIXELS
    if before is not None and max_pixels > before:
        Image.MAX_IMAGE_PIXELS = max_pixels
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Raise `UnusableError` for a picture of more pixels than allowed."""
    if width * height > max_pixels:
        raise UnusableError(f"{width} x {height} is more than {max_pixels:,} pixels; not decoded")


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


def image_of_row(entry: Any, image_root: str | Path | None = None) -> Path | bytes:
    """Return what a row's entry in ``images`` holds: bytes, or a file under a folder.

    Args:
        entry: bytes, a path, or a mapping with one of them.
        image_root: the folder that the user named for the pictures of rows; None: none, so that
            rows hold bytes.

    Raises:
        UnusableError: if it is neither, or names a file that is not under the folder.
    """
    content, path = entry, entry
    if isinstance(entry, Mapping):
        content, path = entry.get("bytes"), entry.get("path")
    if isinstance(content, bytes | bytearray | memoryview):
        return bytes(content)
    if not isinstance(path, str):
        raise UnusableError(f"neither bytes nor a path: {quote(entry)}")
    if image_root is None:
        raise UnusableError(
            f"it names the file {quote(path)}, and rows do not choose what is read; store the "
            f"file's bytes, or name the pictures' folder: --images DIR (image_root= in Python)"
        )
    try:
        return path_within(str(image_root), path)
    except UnusableError as error:
        raise UnusableError(f"{quote(path)}: {error}") from error


def reason_of(error: BaseException) -> str:
    """Return what a decoder says, without the path that system errors carry."""
    said: Any = getattr(error, "strerror", None) or str(error)
    return str(said).splitlines()[0] if said else type(error).__name__
