"""LabelMe: a json file a picture, with shapes in pixels.

A rectangle, polygon, circle or mask becomes the box around it; points and lines have none. A file
without shapes says that nothing is there; a picture without a file may not have been looked at.
"""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path
from typing import Any

from medreward.data.picture import load_file
from medreward.data.sources.annotated import (
    AnnotatedImage,
    PictureFinder,
    annotated_records,
    box_around,
    split_of_path,
)
from medreward.data.sources.base import SourceType, option
from medreward.data.sources.boxes import TURNED
from medreward.data.sources.record import NamedBox, Source, printable
from medreward.data.sources.table import check_folder, files_in
from medreward.errors import ConfigError, expected, quote
from medreward.files.progress import show_progress
from medreward.files.reading import parse_json, read_text
from medreward.geometry.regions import Box

_TURNED = ("oriented_rectangle", "rotation")  # of four corners
_AROUND = ("polygon", "rectangle", *_TURNED, "mask")  # the box around their points is theirs
_NO_BOX = ("point", "points", "line", "linestrip")


class LabelMeFolder(SourceType):
    """LabelMe's json files and pictures."""

    flags = (option("--labelme", metavar="DIR", help="LabelMe: pictures and a json file for each"),)
    example = "--task cells.yaml --labelme labelled"

    def open(self, arguments: argparse.Namespace) -> Source:
        """Return the pictures with their boxes."""
        return open_labelme(arguments.labelme)


def open_labelme(folder: str | Path) -> Source:
    """Return the pictures of a folder with what LabelMe's json files say of them.

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
    records, remarks = annotated_records(folder, images)
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
        image.unboxed.append(name)
        image.said.append(f"a {kind} of {name} has no box; dropped")
    elif kind in _AROUND or kind == "circle":
        if len(points) < 2 or not all(math.isfinite(v) for point in points for v in point):
            raise ConfigError(f"{where}: {quote(shape['points'])} are no points of a {kind}")
        if kind in _TURNED:
            image.said.append(TURNED)
        image.boxes.append(
            NamedBox(name, _circle(points) if kind == "circle" else box_around(points))
        )
    else:
        raise expected(f"{where}: shape_type", str(kind), [*_AROUND, "circle", *_NO_BOX])


def _circle(points: list[tuple[float, float]]) -> Box:
    """Return the box around a circle, given by its centre and a point of its edge."""
    (x, y), edge = points[0], points[1]
    radius = math.dist((x, y), edge)
    return x - radius, y - radius, x + radius, y + radius
