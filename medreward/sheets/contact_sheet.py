"""A picture of some of the rows, to see at a glance whether images and targets belong together."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from medreward.data.image_file import open_image
from medreward.data.render import resize_image, scale_box
from medreward.data.sources.record import NamedBox, Record
from medreward.files.atomic import replacing

COLUMNS, MOST = 6, 24
_CANDIDATES = 5
_SIDE, _MARGIN, _LINE = 200, 8, 16
_QUICK = 1  # compression of 0 to 9: the usual 6 takes longer than all the rest of the sheet
_COLOURS = ("#ffd400", "#00c8ff", "#ff5a8c", "#6ee05a", "#ff9a1f", "#c08cff")


class Tile(NamedTuple):
    """One image of the sheet, with what is written under it."""

    rank: int
    title: str
    id: str
    png: bytes
    boxes: Sequence[NamedBox] = ()


def rank_records(records: Sequence[Record]) -> dict[str, int]:
    """Return the rank of records to show, by id: each split and label in turn, all by hash.

    There are more of them than a sheet shows, as some may turn out to be unusable.
    """
    most = _CANDIDATES * MOST
    strata: dict[bytes, list[tuple[bytes, str]]] = {}
    last = b"\xff" * 32  # strata and records behind these are not among the first `most`
    for record in records:
        label = str(bool(record.boxes)) if record.boxes is not None else str(record.label)
        label = label.partition(",")[0].rstrip("]")  # sets are too many: their first labels
        key = _digest(f"{record.split}/{label}")
        if key > last:
            continue
        own = strata.setdefault(key, [])
        own.append((_digest(record.id), record.id))
        if len(own) > 2 * most:
            own[:] = sorted(own)[:most]
        if len(strata) > 2 * most:
            strata = {key: strata[key] for key in sorted(strata)[:most]}
            last = max(strata)
    drawn = [sorted(own) for _, own in sorted(strata.items())]
    turns = [one[1] for turn in zip_longest(*drawn) for one in turn if one is not None]
    return {name: rank for rank, name in enumerate(turns[:most])}


def _digest(text: str) -> bytes:
    return sha256(text.encode()).digest()


def contact_sheet(tiles: Sequence[Tile], path: str | Path) -> None:
    """Write a PNG with the images of lowest rank, boxes drawn on them, and targets below."""
    tiles = sorted(tiles, key=lambda tile: tile.rank)[:MOST]
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    width, height = _SIDE + _MARGIN, _SIDE + 2 * _LINE + _MARGIN
    sheet = Image.new("RGB", (columns * width + _MARGIN, rows * height + _MARGIN), "#202020")
    names = sorted({box.name for tile in tiles for box in tile.boxes})
    colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}
    for i, tile in enumerate(sorted(tiles, key=lambda t: (t.title, t.id))):
        corner = _MARGIN + i % columns * width, _MARGIN + i // columns * height
        _draw(sheet, tile, corner, colours)
    with replacing(path) as scratch:
        sheet.save(scratch, format="PNG", compress_level=_QUICK)


def _draw(sheet: Image.Image, tile: Tile, corner: tuple[int, int], colours: dict[str, str]) -> None:
    with open_image(tile.png) as opened:
        small = resize_image(opened, _SIDE).convert("RGB")
        boxes = [scale_box(box, opened.size, small.size) for box in tile.boxes]
    pen = ImageDraw.Draw(small)
    for name, (x1, y1, x2, y2) in boxes:
        pen.rectangle((x1, y1, x2 - 1, y2 - 1), outline=colours[name], width=2)
    x, y = corner
    sheet.paste(small, (x + (_SIDE - small.width) // 2, y + (_SIDE - small.height) // 2))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=13)
    pen.text((x, y + _SIDE + 1), _fitting(tile.title, font), fill="white", font=font)
    pen.text((x, y + _SIDE + _LINE), _fitting(tile.id, font), fill="#a0a0a0", font=font)


def _fitting(text: str, font: ImageFont.FreeTypeFont) -> str:
    while font.getlength(text) > _SIDE and len(text) > 2:
        text = text[:-2] + "…"
    return text
