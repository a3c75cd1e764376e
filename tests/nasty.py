"""A folder of images as they come: each file needs its own treatment, or cannot be used."""

from __future__ import annotations

import os
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

GOOD = {
    "cmyk.jpg": "CMYK: converted to RGB",
    "grey16.png": "16-bit grey",
    "line\nbreak.png": "",
    "palette.png": "transparency",
    "plain.png": "",
    "rotated.jpg": "EXIF orientation",
}
BAD = {
    "bomb.png": "pixels by its header",
    "corrupt.jpg": "damaged",
    "empty.png": "0 bytes",
    "folder.png": "not a plain file",
    "link.png": "outside the folder",
    "pipe.png": "not a plain file",
    "text.png": "not an image",
}


def nasty_folder(folder: Path, real: Path) -> Path:
    """Make the folder from a real image, with a class named "a" and one named "b"."""
    (folder / "a").mkdir(parents=True)
    (folder / "b").mkdir()
    a, image = folder / "a", Image.open(real).convert("RGB")
    image.convert("CMYK").save(a / "cmyk.jpg")
    wide = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)
    Image.fromarray(wide).save(a / "grey16.png")
    image.convert("L").save(a / "line\nbreak.png")
    palette = image.quantize(16)
    palette.info["transparency"] = 0
    palette.save(a / "palette.png", transparency=0)
    shutil.copy(real, folder / "b" / "plain.png")
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Camera of John Doe"
    image.resize((40, 20)).save(a / "rotated.jpg", exif=exif)
    (a / "bomb.png").write_bytes(png_header(20_000, 20_000))
    image.save(a / "whole.jpg")
    whole = (a / "whole.jpg").read_bytes()
    (a / "whole.jpg").unlink()
    (a / "corrupt.jpg").write_bytes(whole[: len(whole) // 2])
    (a / "empty.png").touch()
    (a / "folder.png").mkdir()
    image.resize((9, 9)).save(folder.parent / "outside.png")
    (a / "link.png").symlink_to(folder.parent / "outside.png")
    os.mkfifo(a / "pipe.png")
    (a / "text.png").write_text("no image")
    return folder


def png_header(width: int, height: int) -> bytes:
    """Return a PNG file that says it is of a size, and has few pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    size = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", size)
        + chunk(b"IDAT", zlib.compress(bytes(100)))
        + chunk(b"IEND", b"")
    )
