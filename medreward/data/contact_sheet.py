"""A contact sheet: small pictures of prepared images with their answers, to look at."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from medreward.data.atomic import replacing

TILE, _CAPTION, _GAP, _COLUMNS = 144, 34, 6, 8
_BOX, _INK, _PAPER = "#ffd400", "#e8e8e8", "#202020"


class Sample(NamedTuple):
    """An image as it is in a row, with the row's answer and id."""

    png: bytes
    truth: str
    id: str


def write_contact_sheet(path: Path, samples: Sequence[Sample]) -> None:
    """Write the samples as a PNG of tiles, 8 in a row; boxes are drawn into their images."""
    columns = min(_COLUMNS, len(samples))
    lines = -(-len(samples) // columns)
    width, height = TILE + _GAP, TILE + _CAPTION + _GAP
    sheet = Image.new("RGB", (columns * width + _GAP, lines * height + _GAP), _PAPER)
    for i, sample in enumerate(samples):
        corner = _GAP + i % columns * width, _GAP + i // columns * height
        _paste(sheet, sample, corner)
    with replacing(path) as scratch:
        sheet.save(scratch, format="PNG")


def _paste(sheet: Image.Image, sample: Sample, corner: tuple[int, int]) -> None:
    with Image.open(io.BytesIO(sample.png)) as opened:
        image = opened.convert("RGB")
    boxes = json.loads(sample.truth) if sample.truth.startswith("[") else None
    factor = TILE / max(image.size)
    tile = image.resize([max(1, round(side * factor)) for side in image.size])
    pen = ImageDraw.Draw(tile)
    for box in boxes or ():
        x1, y1, x2, y2 = (v * factor for v in box)
        pen.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=_BOX)
    sheet.paste(tile, corner)
    truth = sample.truth if boxes is None else f"{len(boxes)} box{'es' if len(boxes) != 1 else ''}"
    _write(ImageDraw.Draw(sheet), (corner[0], corner[1] + TILE + 2), (truth, sample.id))


def _write(pen: ImageDraw.ImageDraw, corner: tuple[int, int], lines: Sequence[str]) -> None:
    font = ImageFont.load_default(size=12)
    for i, line in enumerate(lines):
        shown = line
        while pen.textlength(shown, font) > TILE:  # the end tells images apart
            shown = "…" + shown[2:]
        pen.text((corner[0], corner[1] + 15 * i), shown, _INK, font)
