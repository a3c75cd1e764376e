"""One file of a mask -> a class a pixel: whole numbers, indices of a palette, or colours.

Black, or 0, is background. Equal channels are grey, and so are nearly equal ones of a file with
losses, such as JPEG, of which only black and white are kept. Other colours are classes, each named
"R,G,B" or as CVAT's ``labelmap.txt`` beside the masks says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from medreward.data.image_file import open_image, path_within
from medreward.data.sources.record import UnusableError, printable
from medreward.errors import ConfigError, quote
from medreward.files.reading import read_text

if TYPE_CHECKING:
    from PIL import Image

LABELMAP = "labelmap.txt"
BY_COLOUR = "coloured: each colour is a class of its own"
BY_TABLE = f"coloured: named as {LABELMAP} says"
TABLE_UNUSED = f"grey or of whole numbers: {LABELMAP} beside them is not used"
CLEAR = "its transparent pixels are taken as background"
_LOSSLESS = (".png", ".tif", ".tiff", ".bmp", ".gif", ".pgm", ".ppm", ".pnm", ".dib")
_LOSS, _MOST_BETWEEN = 64, 0.02  # how far JPEG takes a value, and how many at edges
_MOST_COLOURS, _MOST_SHOWN = 256, 5
_LINE = re.compile(r"(?P<name>.+?):(?P<rgb>\d{1,3},\d{1,3},\d{1,3})(?::.*)?")


class Mask(NamedTuple):
    """What is in a file.

    Attributes:
        values: rows by columns; 0 is background.
        names: of colours, the name of each value; of whole numbers, nothing.
        notes: what is to be said of it.
        palette: the colour of each index that is used, where the file has a palette.
    """

    values: np.ndarray
    names: Mapping[int, str] = {}
    notes: tuple[str, ...] = ()
    palette: Mapping[int, int] = {}

    def name(self, value: int) -> str:
        """Return what a value is called."""
        return self.names.get(value, str(value))


@dataclass
class _File:
    """A file that was opened, with what is known of its pixels."""

    what: str
    is_lossy: bool
    colours: np.ndarray | None = None  # packed, rows by columns
    values: np.ndarray | None = None  # whole numbers, or indices of a palette
    palette: dict[int, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_labelmap(folder: str | Path) -> dict[int, str] | None:
    """Return the names of colours from CVAT's table in a folder of masks or above it, if any.

    Raises:
        ConfigError: if a line is not ``NAME:R,G,B``, or one colour has two names.
    """
    own = Path(folder).resolve()
    path = next((p for p in (own / LABELMAP, own.parent / LABELMAP) if p.is_file()), None)
    if path is None:
        return None
    table: dict[int, str] = {}
    for number, line in enumerate(read_text(path, "utf-8-sig").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        rgb = [int(part) for part in found["rgb"].split(",")] if found else [256]
        if found is None or max(rgb) > 255:
            raise ConfigError(
                f"{path} line {number}: {quote(line)} is not NAME:R,G,B; mend "
                f"it, or move the file away if it is no table of colours"
            )
        colour, name = _pack(*rgb), found["name"].strip()
        if table.setdefault(colour, name) != name:
            raise ConfigError(
                f"{path} line {number}: {found['rgb']} is the colour of {quote(table[colour])} and "
                f"of {quote(name)}; a mask cannot tell them apart"
            )
    return table


def read_mask(folder: str, name: str, table: Mapping[int, str] | None = None) -> Mask:
    """Return the classes in a mask file; of a palette image the indices.

    Args:
        folder: the masks.
        name: the path of the file in it.
        table: the names of colours, as `read_labelmap` gives them.

    Raises:
        UnusableError: if it cannot be read, has neither whole numbers nor a few colours, or a
            colour that the table does not have.
    """
    what = f"its mask {printable(name)}"
    file = _File(what, Path(name).suffix.lower() not in _LOSSLESS)
    try:
        with open_image(path_within(folder, name)) as opened:
            pages = getattr(opened, "n_frames", 1)
            if pages == 1:
                _read_pixels(opened, file)
    except UnusableError as error:
        raise UnusableError(f"{what}: it cannot be read: {error}") from error
    if pages != 1:
        raise UnusableError(f"{what}: it has {pages} pages; a mask has one, store them as files")
    if file.colours is not None:
        _take_grey(file)
    if file.values is not None:
        return _of_values(file, file.values, table)
    assert file.colours is not None  # noqa: S101 - for the type checker
    return _of_colours(file, file.colours, table)


def _pack(red: Any, green: Any, blue: Any) -> Any:
    return (red << 16) | (green << 8) | blue


def _shown(colour: int) -> str:
    return f"{colour >> 16},{colour >> 8 & 255},{colour & 255}"


def _read_pixels(opened: Image.Image, file: _File) -> None:
    """Note the colours or the values of an open file.

    Raises:
        UnusableError: if it has neither, or is partly transparent in more than two ways.
    """
    if opened.mode in ("LA", "PA", "RGBA"):
        pixels = np.asarray(opened.convert("RGBA"))
        file.colours = _packed(_on_black(pixels, file))
    elif opened.mode == "RGB":
        file.colours = _packed(np.asarray(opened))
    else:
        values = np.asarray(opened)
        if values.ndim != 2 or values.dtype.kind not in "iub":
            raise UnusableError("a mask has a whole number or a colour a pixel, 0 for background")
        file.values = values.astype(np.int64)
        if opened.mode == "P":
            _take_palette(opened, file, file.values)


def _packed(pixels: np.ndarray) -> np.ndarray:
    wide: np.ndarray = pixels[..., :3].astype(np.int64)
    packed: np.ndarray = _pack(wide[..., 0], wide[..., 1], wide[..., 2])
    return packed


def _on_black(pixels: np.ndarray, file: _File) -> np.ndarray:
    """Return pixels with those made black that are transparent.

    Raises:
        UnusableError: if others are partly transparent, or all of them are.
    """
    alpha = pixels[..., 3]
    if (alpha == 255).all():
        return pixels
    found = np.unique(alpha).tolist()
    if found != [0, 255]:
        shown = ", ".join(map(str, found[:_MOST_SHOWN])) + (", …" if found[_MOST_SHOWN:] else "")
        raise UnusableError(
            f"its pixels have the opacity {shown} (0 to 255); of a mask each is seen or not: "
            f"store it without transparency"
        )
    file.notes.append(CLEAR)
    seen: np.ndarray = np.where((alpha == 255)[..., None], pixels, 0)
    return seen


def _take_palette(opened: Image.Image, file: _File, values: np.ndarray) -> None:
    """Note the colours of the indices, and take these where index 0 is not the one that is black.

    Otherwise a class and the background would change places.
    """
    flat = opened.getpalette("RGB") or []
    flat += [0] * (768 - len(flat))
    used = np.unique(values).tolist()
    file.palette = {i: _pack(*flat[3 * i : 3 * i + 3]) for i in used}
    black = [i for i, colour in file.palette.items() if colour == 0]
    if black and 0 not in black and file.palette.get(0, 0) != 0:
        lookup = np.array([_pack(*flat[3 * i : 3 * i + 3]) for i in range(256)], np.int64)
        file.colours, file.values, file.palette = lookup[values], None, {}


def _take_grey(file: _File) -> None:
    """Take the values of colours that are grey; the others stay colours.

    Raises:
        UnusableError: for colours in a file with losses.
    """
    assert file.colours is not None  # noqa: S101 - for the type checker
    parts = [file.colours >> 16, file.colours >> 8 & 255, file.colours & 255]
    spread = np.maximum.reduce(parts) - np.minimum.reduce(parts)
    if file.is_lossy and int(spread.max()) > _LOSS:
        raise UnusableError(
            f"{file.what}: it has colours ({_counted(file.colours)}), and a file with losses such "
            f"as JPEG keeps none of them exactly; store the mask as PNG"
        )
    if file.is_lossy or not spread.any():
        file.values, file.colours = sum(parts) // 3, None


def _of_values(file: _File, values: np.ndarray, table: Mapping[int, str] | None) -> Mask:
    """Return a mask of whole numbers, or of the names that a table has for what these look like."""
    if file.is_lossy:
        values = _two_valued(values, file.what)
    notes = tuple(file.notes)
    if table is None:
        return Mask(values, {}, notes, file.palette)
    looks = {v: file.palette.get(v, _pack(v, v, v)) for v in np.unique(values).tolist() if v}
    named = {v: table[colour] for v, colour in looks.items() if colour in table}
    if named and len(named) < len(looks):
        lacking = {looks[v]: int((values == v).sum()) for v in looks if v not in named}
        raise _not_named(file.what, lacking)
    said = BY_TABLE if named else TABLE_UNUSED
    return Mask(values, named, (*notes, said) if looks else notes, file.palette)


def _of_colours(file: _File, colours: np.ndarray, table: Mapping[int, str] | None) -> Mask:
    found, counts = np.unique(colours, return_counts=True)
    if len(found) > _MOST_COLOURS:
        raise UnusableError(
            f"{file.what}: it has {len(found):,} colours ({_counted(colours)}), and a mask has one "
            f"for each class; is it a picture, or drawn with soft edges? Store a mask whose pixels "
            f"have the colour of their class exactly"
        )
    classes = {int(c): int(n) for c, n in zip(found, counts, strict=True) if c}
    if table is None:
        names = {colour: _shown(colour) for colour in classes}
        return Mask(colours, names, (*file.notes, BY_COLOUR))
    lacking = {colour: n for colour, n in classes.items() if colour not in table}
    if lacking:
        raise _not_named(file.what, lacking)
    return Mask(colours, {colour: table[colour] for colour in classes}, (*file.notes, BY_TABLE))


def _not_named(what: str, lacking: Mapping[int, int]) -> UnusableError:
    most = sorted(lacking.items(), key=lambda item: -item[1])[:_MOST_SHOWN]
    shown = "; ".join(f"{_shown(colour)}: {n} pixels" for colour, n in most)
    more = f" and {len(lacking) - len(most)} more" if len(lacking) > len(most) else ""
    return UnusableError(
        f"{what}: {LABELMAP} has no name for the colours {shown}{more}; add a line NAME:R,G,B for "
        f"each"
    )


def _counted(colours: np.ndarray) -> str:
    """Return the most frequent colours with how many pixels have them."""
    found, counts = np.unique(colours, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_MOST_SHOWN]
    shown = "; ".join(f"{_shown(int(found[i]))}: {int(counts[i])} pixels" for i in order)
    more = len(found) - len(order)
    return shown + (f"; and {more:,} more" if more else "")


def _two_valued(values: np.ndarray, mask: str) -> np.ndarray:
    """Return 0 and 255 for a mask that was stored with losses, which spread around the two.

    Raises:
        UnusableError: if the values are not near 0 or 255, so that they may be classes.
    """
    far = np.minimum(values, 255 - values) > _LOSS
    if far.mean() > _MOST_BETWEEN:
        raise UnusableError(
            f"{mask}: {far.mean():.0%} of its values are neither near 0 nor near 255, and a file "
            f"with losses such as JPEG keeps no others; store the mask as PNG"
        )
    brightest = int(values.max(initial=0))
    if 0 < brightest < 255 - _LOSS:
        raise UnusableError(
            f"{mask}: its brightest value is {brightest}, so that its values may be classes, and a "
            f"file with losses such as JPEG keeps black and white only; store the mask as PNG"
        )
    two: np.ndarray = np.where(values > 127, 255, 0)
    return two
