"""A page or an SVG -> a PNG, by a headless chromium, with few colours so that it is small."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from medreward.files.atomic import replacing


def shoot(
    page: Path, path: Path, size: tuple[int, int], colours: int = 128, scale: int = 1
) -> None:
    """Write what the top of a page looks like.

    Args:
        page: HTML or SVG.
        path: the PNG to write.
        size: width and height of the window.
        colours: how many the PNG has at most.
        scale: pixels of the PNG for one of the window.
    """
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        sys.exit("pictures of pages need a chromium")
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "shot.png"
        subprocess.run(
            [
                *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                *(f"--user-data-dir={folder}/profile", f"--force-device-scale-factor={scale}"),
                *(f"--screenshot={shot}", f"--window-size={size[0]},{size[1]}", page.as_uri()),
            ],
            check=True,
            capture_output=True,
        )
        save(Image.open(shot), path, colours)


def save(image: Image.Image, path: Path, colours: int) -> None:
    """Write an image with few colours."""
    small = image.convert("RGB").quantize(colours, dither=Image.Dither.NONE)
    with replacing(path) as scratch:
        small.save(scratch, format="PNG", optimize=True)
