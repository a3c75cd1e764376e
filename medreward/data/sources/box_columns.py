"""Columns of a table that hold boxes: found by their names, and held against the option's form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from medreward.errors import ConfigError, quote

EMPTY_WORDS = ("", "nan", "na", "n/a", "none", "null", "nil", "-")
_SIDES = (("x", "y", "width", "height"), ("x", "y", "w", "h"), ("x", "y", "dx", "dy"))
_MINS = (("xmin", "ymin"), ("minx", "miny"), ("left", "top"), ("x1", "y1"), ("x0", "y0"))
_CORNERS = (
    ("xmin", "ymin", "xmax", "ymax"),
    ("minx", "miny", "maxx", "maxy"),
    ("left", "top", "right", "bottom"),
    ("x1", "y1", "x2", "y2"),
    ("x0", "y0", "x1", "y1"),
    ("xtl", "ytl", "xbr", "ybr"),
    ("xstart", "ystart", "xend", "yend"),
)
_WITH_SIDES = (*_SIDES, *((x, y, *rest) for x, y in _MINS for rest in (_SIDES[0][2:], ("w", "h"))))
_AS_SIDES = {"width", "height", "w", "h", "dx", "dy"}
_AS_CORNERS = {name for four in _CORNERS for name in four[2:]}
_NEAR = 1.0  # by which sides of a box may be rounded
_ONE = ("bbox", "bboxes", "box", "boundingbox")


class BoxColumns(NamedTuple):
    """Columns of a box: of x, y, width and height or, with `corners`, of x1, y1, x2 and y2."""

    names: tuple[str, ...]
    corners: bool

    @property
    def option(self) -> str:
        """The option that names them."""
        return "--corner-columns" if self.corners else "--box-columns"


def find_box_columns(names: Sequence[str]) -> BoxColumns | None:
    """Return the columns that are named as a box is, None where there are none.

    Where corners are there, columns of width and height are the image's.

    >>> find_box_columns(["Image Index", "Bbox [x", "y", "w", "h]"])
    BoxColumns(names=('Bbox [x', 'y', 'w', 'h]'), corners=False)
    >>> find_box_columns(["image_id", "x_min", "y_min", "x_max", "y_max", "width"]).corners
    True
    """
    plain = {_plain(name): name for name in reversed(names)}
    for corners, sets in ((True, _CORNERS), (False, _WITH_SIDES)):
        for four in sets:
            if all(name in plain for name in four):
                return BoxColumns(tuple(plain[name] for name in four), corners)
    return None


def find_cell_of_boxes(names: Sequence[str]) -> str | None:
    """Return the column that by its name holds a box a cell.

    >>> find_cell_of_boxes(["image_id", "bbox"])
    'bbox'
    """
    return next((name for name in names if re.sub(r"[^a-z]", "", name.lower()) in _ONE), None)


def check_box_columns(names: Sequence[str], *, corners: bool) -> None:
    """Raise `ConfigError` for another number than four or one, and for names of the other form.

    >>> check_box_columns(["xmin", "ymin", "xmax", "ymax"], corners=False)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    medreward.errors.ConfigError: --box-columns: 'xmax' and 'ymax' are named as corners, and ...
    """
    own, other = ("--corner-columns", "--box-columns") if corners else ("--box-columns", "")
    other = other or "--corner-columns"
    if len(names) not in (1, 4):
        raise ConfigError(
            f"{own}: {len(names)} columns are named; a box has four, or one whose cells hold all "
            f"four numbers"
        )
    ends = [name for name in names[2:] if _plain(name) in (_AS_SIDES if corners else _AS_CORNERS)]
    if len(ends) == 2:
        found, wanted = ("sides", "corners") if corners else ("corners", "width and height")
        raise ConfigError(
            f"{own}: {quote(ends[0])} and {quote(ends[1])} are named as {found}, and this option "
            f"is for {wanted}: {other} {' '.join(names)}"
        )


def find_size_columns(names: Sequence[str], used: Sequence[str]) -> tuple[str, str] | None:
    """Return the columns that by their names hold width and height of the image, if any.

    >>> find_size_columns(["image", "x1", "y1", "x2", "y2", "Width", "Height"], ["x1"])
    ('Width', 'Height')
    """
    plain = {_plain(name): name for name in reversed(names) if name not in used}
    for before in ("image", "img", "original", "orig", "full", ""):
        width, height = plain.get(f"{before}width"), plain.get(f"{before}height")
        if width and height:
            return width, height
    return None


def is_size_of_boxes(
    rows: Iterable[Mapping[str, str]], box: Sequence[str], size: tuple[str, str], *, corners: bool
) -> bool:
    """Whether columns of a width and height are the boxes' own, beside their corners.

    >>> row = {"x1": "2", "y1": "3", "x2": "12", "y2": "8", "width": "10", "height": "5"}
    >>> is_size_of_boxes([row], ("x1", "y1", "x2", "y2"), ("width", "height"), corners=True)
    True
    """
    found = False
    for row in rows:
        texts = [*numbers_of(row, box), *(row[name].strip() for name in size)]
        try:
            x1, y1, right, down, width, height = map(float, texts)
        except ValueError:
            continue  # without a box, or without a size
        sides = (right - x1, down - y1) if corners else (right, down)
        if abs(sides[0] - width) > _NEAR or abs(sides[1] - height) > _NEAR:
            return False
        found = True
    return found


def size_of(row: Mapping[str, str], columns: tuple[str, str] | None) -> tuple[int, int] | None:
    """Return the width and height of the image in a row, None where these are no whole numbers."""
    if columns is None:
        return None
    try:
        width, height = (float(row[name]) for name in columns)
    except ValueError:
        return None
    is_whole = width >= 1 and height >= 1 and width % 1 == 0 and height % 1 == 0
    return (int(width), int(height)) if is_whole else None


def numbers_of(row: Mapping[str, str], columns: Sequence[str]) -> list[str]:
    """Return the texts of a box's numbers in a row: four cells, or what one cell has in brackets.

    A cell that says that there is no number, such as NaN, is an empty text.

    >>> numbers_of({"bbox": "[834.0, 222.0, 56.0, 36.0]"}, ["bbox"])
    ['834.0', '222.0', '56.0', '36.0']
    >>> numbers_of({"x": "nan", "y": ""}, ["x", "y"])
    ['', '']
    """
    texts = [row[name].strip() for name in columns]
    if len(columns) == 1:
        texts = re.split(r"[\s,;]+", texts[0].strip("[](){} \t"))
    return ["" if text.lower() in EMPTY_WORDS else text for text in texts]


def _plain(name: str) -> str:
    """Return a name in small letters, without signs and without "bbox" before it."""
    bare = re.sub(r"[^a-z0-9]", "", name.lower())
    return re.sub(r"^(bounding)?b?box(es)?", "", bare)
