"""A picture of some of the rows, to see at a glance whether images and targets belong together."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from medreward.data.image_file import open_image
from medreward.data.render import resize_image, scale_box
from medreward.data.sources.record import NamedBox, Record
from medreward.files.atomic import replacing
from medreward.geometry.masks import coco

COLUMNS, MOST = 6, 24
_CANDIDATES = 5
_SIDE, _MARGIN, _LINE = 200, 8, 16
_QUICK = 1  # compression of 0 to 9: the usual 6 takes longer than all the rest of the sheet
_MOST_NAMES, _MOST_LINES = 60, 3
_INNER = ImageFilter.MinFilter(3)
_COLOURS = ("#ffd400", "#00c8ff", "#ff5a8c", "#6ee05a", "#ff9a1f", "#c08cff")


class Tile(NamedTuple):
    """One image of the sheet, with what is drawn on it and written under it.

    Masks are packed run lengths of the image's size.
    """

    rank: int
    title: str
    id: str
    png: bytes
    boxes: Sequence[NamedBox] = ()
    masks: Sequence[str] = ()


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
    """Write a PNG with the images of lowest rank, boxes and outlines of masks drawn on them.

    Targets stand below each, and the names of boxes in their colours below all.
    """
    tiles = sorted(tiles, key=lambda tile: tile.rank)[:MOST]
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    deep = max(len(_wrapped(tile.title)) for tile in tiles)
    width, height = _SIDE + _MARGIN, _SIDE + (1 + deep) * _LINE + _MARGIN
    names = sorted({box.name for tile in tiles for box in tile.boxes})
    colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}
    lines = _legend([name for name in names if name], columns * width - _MARGIN)
    below = rows * height + _MARGIN
    size = columns * width + _MARGIN, below + len(lines) * _LINE + bool(lines) * _MARGIN
    sheet = Image.new("RGB", size, "#202020")
    for i, tile in enumerate(sorted(tiles, key=lambda t: (t.title, t.id))):
        corner = _MARGIN + i % columns * width, _MARGIN + i // columns * height
        _draw(sheet, tile, corner, colours)
    pen, font = ImageDraw.Draw(sheet), _font()
    for i, line in enumerate(lines):
        for x, name in line:
            place = _MARGIN + x, below + i * _LINE
            pen.text(place, _fitting(name, font), fill=colours[name], font=font)
    with replacing(path) as scratch:
        sheet.save(scratch, format="PNG", compress_level=_QUICK)


def _draw(sheet: Image.Image, tile: Tile, corner: tuple[int, int], colours: dict[str, str]) -> None:
    with open_image(tile.png) as opened:
        small = resize_image(opened, _SIDE).convert("RGB")
        boxes = [scale_box(box, opened.size, small.size) for box in tile.boxes]
        for counts in tile.masks:
            _outline(small, counts, opened.size)
    pen = ImageDraw.Draw(small)
    for name, (x1, y1, x2, y2) in boxes:
        pen.rectangle((x1, y1, x2 - 1, y2 - 1), outline=colours[name], width=2)
    x, y = corner
    sheet.paste(small, (x + (_SIDE - small.width) // 2, y + (_SIDE - small.height) // 2))
    pen, font = ImageDraw.Draw(sheet), _font()
    lines = [(line, "white") for line in _wrapped(tile.title)] + [(tile.id, "#a0a0a0")]
    for i, (line, colour) in enumerate(lines):
        pen.text((x, y + _SIDE + 1 + i * _LINE), _fitting(line, font), fill=colour, font=font)


def _wrapped(title: str) -> list[str]:
    """Return a title in a few lines that break between words."""
    lines, font = [""], _font()
    for word in title.split():
        longer = f"{lines[-1]} {word}".strip()
        if len(lines) < _MOST_LINES and lines[-1] and font.getlength(longer) > _SIDE:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _outline(small: Image.Image, counts: str, size: tuple[int, int]) -> None:
    """Draw the outline of a mask of an image on the same image of another size."""
    rle = {"size": [size[1], size[0]], "counts": counts.encode("ascii")}
    mask = Image.fromarray(coco().decode(rle) * 255)
    shrunk = mask.resize(small.size, Image.Resampling.BOX).point(lambda v: 255 if v else 0)
    rim = ImageChops.subtract(shrunk.filter(ImageFilter.MaxFilter(3)), shrunk.filter(_INNER))
    small.paste(_COLOURS[0], mask=rim)


def _legend(names: Sequence[str], width: int) -> list[list[tuple[int, str]]]:
    """Return lines of names, each with its place from the left."""
    lines: list[list[tuple[int, str]]] = []
    font, x = _font(), width
    for name in names[:_MOST_NAMES]:
        own = int(font.getlength(_fitting(name, font))) + 2 * _MARGIN
        if x + own > width:
            lines.append([])
            x = 0
        lines[-1].append((x, name))
        x += own
    return lines


def _font() -> Any:
    return ImageFont.load_default(size=13)


def _fitting(text: str, font: ImageFont.FreeTypeFont) -> str:
    while font.getlength(text) > _SIDE and len(text) > 2:
        text = text[:-2] + "…"
    return text
