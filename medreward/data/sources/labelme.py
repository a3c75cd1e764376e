"""LabelMe: a json file a picture, with shapes in pixels.

A rectangle, polygon, circle or mask becomes the box around it, or, where the card asks for masks,
its pixels; points and lines have neither. A file without shapes says that nothing is there; a
picture without a file may not have been looked at.
"""

from __future__ import annotations

import argparse
import base64
import math
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from medreward.data.image_file import open_image
from medreward.data.picture import load_file
from medreward.data.sources.annotated import (
    AnnotatedImage,
    DrawnShape,
    PictureFinder,
    annotated_records,
    split_of_path,
)
from medreward.data.sources.base import SourceType, option
from medreward.data.sources.boxes import box_around, turned_corners
from medreward.data.sources.masks import PIXELS
from medreward.data.sources.outlines import draw_ellipse
from medreward.data.sources.record import Source, UnusableError, printable
from medreward.data.sources.table import check_folder, files_in
from medreward.errors import ConfigError, expected, quote
from medreward.files.progress import show_progress
from medreward.files.reading import parse_json, read_text
from medreward.geometry.regions import Box

Point = tuple[float, float]
_TURNED = ("oriented_rectangle", "rotation")  # of four corners
_NO_BOX = ("point", "points", "line", "linestrip")


class LabelMeFolder(SourceType):
    """LabelMe's json files and pictures."""

    flags = (option("--labelme", metavar="DIR", help="LabelMe: pictures and a json file for each"),)
    example = "--task cells.yaml --labelme labelled"

    def open(self, arguments: argparse.Namespace) -> Source:
        """Return the pictures with their boxes."""
        return open_labelme(arguments.labelme, pixels=arguments.mask_regions == PIXELS)


def open_labelme(folder: str | Path, *, pixels: bool = False) -> Source:
    """Return the pictures of a folder with what LabelMe's json files say of them.

    Args:
        folder: pictures and json files.
        pixels: whether shapes are taken as masks by their names, not as boxes.

    Raises:
        ConfigError: if there is no json file of LabelMe, or one has a shape that is none.

    >>> import json, tempfile
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> Image.new("L", (64, 48)).save(folder / "1.png")
    >>> shape = {"label": "nodule", "shape_type": "rectangle", "points": [[24, 30], [8, 8]]}
    >>> content = {"imagePath": "1.png", "shapes": [shape]}
    >>> _ = (folder / "1.json").write_text(json.dumps(content))
    >>> open_labelme(folder).records[0].boxes[0]
    NamedBox(name='nodule', box=(8.0, 8.0, 24.0, 30.0))
    """
    check_folder(folder)
    folder = Path(folder)
    pictures = PictureFinder(folder)
    files = [path for path in files_in(folder) if path.endswith(".json")]
    images = []
    for path in show_progress(files, desc="annotations", unit="file"):
        image = _read(folder, path, pictures)
        if image is not None:
            images.append(image)
    if not images:
        raise ConfigError(
            f"{folder}: no json file of LabelMe in it, which has 'shapes' and 'imagePath'"
        )
    named = {image.place[1] for image in images}
    images += [
        AnnotatedImage(printable(p), (str(folder), p), split=split_of_path(p), unsaid=True)
        for p in pictures.paths
        if p not in named
    ]
    records, remarks = annotated_records(folder, images, pixels=pixels)
    return Source(f"LabelMe {folder.name}", records, load_file, remarks=tuple(remarks))


def _read(folder: Path, path: str, pictures: PictureFinder) -> AnnotatedImage | None:
    """Return what a json file says of its picture, None if it is not one of LabelMe's."""
    file = folder / path
    try:
        content = parse_json(read_text(file))
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        return None
    try:
        return _image(folder, path, content, pictures)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{file}: not a LabelMe file: {type(error).__name__} {error}") from error


def _image(folder: Path, path: str, content: Any, pictures: PictureFinder) -> AnnotatedImage:
    beside = os.path.dirname(path)
    place = pictures.place(str(content.get("imagePath") or ""), beside)
    if not (folder / place[1]).is_file():
        stem = os.path.splitext(path)[0]
        place = next(
            ((str(folder), p) for p in pictures.paths if os.path.splitext(p)[0] == stem), place
        )
    size = int(content.get("imageWidth") or 0), int(content.get("imageHeight") or 0)
    image = AnnotatedImage(
        where=printable(place[1]),
        place=place,
        size=size if all(size) else None,
        split=split_of_path(place[1]),
        origin=path,
    )
    for number, shape in enumerate(content["shapes"], start=1):
        _add(image, shape, f"{folder / path}: shape {number}")
    grouped = sum(shape.get("group_id") is not None for shape in content["shapes"])
    if grouped:
        image.said.append(_GROUPED)
    flags = content.get("flags") or {}
    if isinstance(flags, dict) and any(flags.values()):
        image.labels += [name for name, is_set in flags.items() if is_set]
    return image


def _add(image: AnnotatedImage, shape: Any, where: str) -> None:
    name = str(shape.get("label") or "").strip()
    if not name:
        raise ConfigError(f"{where} has no label")
    kind = shape.get("shape_type") or "polygon"  # as LabelMe takes it in its old files
    points = [(float(x), float(y)) for x, y in shape["points"]]
    if kind in _NO_BOX:
        image.shapes.append(DrawnShape(name, kind))
        return
    if kind not in _DRAWN:
        raise expected(f"{where}: shape_type", str(kind), [*_DRAWN, *_NO_BOX])
    if len(points) < 2 or not all(math.isfinite(v) for point in points for v in point):
        raise ConfigError(f"{where}: {quote(shape['points'])} are no points of a {kind}")
    box = {"circle": _circle, "mask": _box_of_mask}.get(kind, box_around)(points)
    draw = partial(_DRAWN[kind], shape, points, where)
    image.shapes.append(DrawnShape(name, kind, box, draw, kind in _TURNED))


def _circle(points: list[Point]) -> Box:
    """Return the box around a circle, given by its centre and a point of its edge."""
    (x, y), edge = points[0], points[1]
    radius = math.dist((x, y), edge)
    return x - radius, y - radius, x + radius, y + radius


def _draw_corners(shape: Any, points: list[Point], where: str, size: tuple[int, int]) -> Any:
    return [[value for point in points for value in point]]


def _draw_rectangle(shape: Any, points: list[Point], where: str, size: tuple[int, int]) -> Any:
    return [[value for point in turned_corners(box_around(points), 0) for value in point]]


def _draw_circle(shape: Any, points: list[Point], where: str, size: tuple[int, int]) -> Any:
    radius = math.dist(points[0], points[1])
    return draw_ellipse(points[0], (radius, radius), 0, size)


def _draw_mask(shape: Any, points: list[Point], where: str, size: tuple[int, int]) -> Any:
    """Return a mask: a picture of its box, in base64.

    Raises:
        ConfigError: if there is no such picture, or it is of another size than its box.
    """
    x1, y1, x2, y2 = map(round, _box_of_mask(points))
    try:
        with open_image(base64.b64decode(shape["mask"], validate=True)) as opened:
            values = np.asarray(opened.convert("L")) != 0
    except (UnusableError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{where}: its mask cannot be read: {error}") from error
    if values.shape != (y2 - y1, x2 - x1) or min(x1, y1) < 0 or x2 > size[0] or y2 > size[1]:
        shown = " x ".join(map(str, values.shape[::-1]))
        raise ConfigError(
            f"{where}: its mask has {shown} pixels and does not fit into {[x1, y1, x2, y2]} of an "
            f"image of {size[0]} x {size[1]}"
        )
    drawn: np.ndarray = np.zeros(size[::-1], np.uint8)
    drawn[y1:y2, x1:x2] = values
    return drawn


def _box_of_mask(points: list[Point]) -> Box:
    """Return the box of a mask, whose second corner is its last pixel."""
    x1, y1, x2, y2 = box_around(points)
    return x1, y1, x2 + 1, y2 + 1


_GROUPED = "shapes with a group_id, which may be parts of one object: each is one of its own"
_DRAWN = {
    "polygon": _draw_corners,
    "rectangle": _draw_rectangle,
    **dict.fromkeys(_TURNED, _draw_corners),
    "circle": _draw_circle,
    "mask": _draw_mask,
}
