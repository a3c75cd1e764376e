"""CVAT for images 1.1: ``annotations.xml`` with all images, shapes in pixels, tags.

A box, polygon, ellipse or mask becomes the box around it, or, where the card asks for masks, its
pixels; polylines, points, cuboids and skeletons have neither. An image without an annotation may
not have been looked at. ``subset`` is the split.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from medreward.data.picture import load_file
from medreward.data.sources.annotated import (
    AnnotatedImage,
    DrawnShape,
    PictureFinder,
    annotated_records,
    read_xml,
)
from medreward.data.sources.base import SourceType, option
from medreward.data.sources.boxes import around_rotated, box_around, shown_box, turned_corners
from medreward.data.sources.masks import PIXELS
from medreward.data.sources.outlines import draw_ellipse
from medreward.data.sources.record import Source, printable
from medreward.data.splits import split_or_none
from medreward.errors import ConfigError, expected, quote
from medreward.geometry.regions import Box

Size = tuple[int, int]
_FILE = "annotations.xml"
_NO_BOX = ("polyline", "points", "cuboid", "skeleton")
_CORNERS = ("xtl", "ytl", "xbr", "ybr")


class CvatFile(SourceType):
    """CVAT's xml file and images."""

    flags = (
        option(
            "--cvat", metavar="DIR|FILE", help="CVAT for images 1.1: annotations.xml and images"
        ),
    )
    example = "--task cells.yaml --cvat export"

    def open(self, arguments: argparse.Namespace) -> Source:
        """Return the images with their boxes or tags."""
        return open_cvat(arguments.cvat, pixels=arguments.mask_regions == PIXELS)


def open_cvat(path: str | Path, *, pixels: bool = False) -> Source:
    """Return the images of an export of "CVAT for images 1.1", with their boxes or tags.

    Args:
        path: the unpacked folder, which has annotations.xml and the images, or such a file with the
            images beside it.
        pixels: whether shapes are taken as masks by their names, not as boxes.

    Raises:
        ConfigError: if there is no such file, it is of a video, or has a shape that is none.

    >>> import tempfile
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> Image.new("L", (64, 48)).save(folder / "1.png")
    >>> box = '<box label="nodule" xtl="8" ytl="8" xbr="24" ybr="30"/>'
    >>> image = f'<image id="0" name="1.png" width="64" height="48">{box}</image>'
    >>> _ = (folder / "annotations.xml").write_text(f"<annotations>{image}</annotations>")
    >>> open_cvat(folder).records[0].boxes[0]
    NamedBox(name='nodule', box=(8.0, 8.0, 24.0, 30.0))
    """
    file = Path(path) / _FILE if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise ConfigError(f"{file}: no such file; CVAT's export has {_FILE} beside its images")
    root = read_xml(file)
    if root.find("track") is not None:
        raise ConfigError(
            f"{file}: it is of a video (it has tracks); export the task as 'CVAT for images 1.1'"
        )
    pictures = PictureFinder(file.parent)
    images = []
    for item in root.iter("image"):
        try:
            images.append(_image(item, pictures))
        except (ValueError, TypeError, KeyError) as error:
            name = quote(item.get("name"))
            raise ConfigError(f"{file}: image {name}: {error}") from error
    records, remarks = annotated_records(file, images, pixels=pixels)
    return Source(f"CVAT {file.parent.name}", records, load_file, remarks=tuple(remarks))


def _image(item: ElementTree.Element, pictures: PictureFinder) -> AnnotatedImage:
    name, subset = item.attrib["name"], item.get("subset") or ""
    size = int(item.get("width") or 0), int(item.get("height") or 0)
    beside = ("images", f"images/{subset}", subset, "")
    image = AnnotatedImage(
        where=printable(name),
        place=pictures.place(name, *beside),
        size=size if all(size) else None,
        split=split_or_none(subset),
        unsaid=not any(True for _ in item),
    )
    for number, shape in enumerate(item, start=1):
        _add(image, shape, number)
    return image


def _add(image: AnnotatedImage, shape: ElementTree.Element, number: int) -> None:
    name = (shape.get("label") or "").strip()
    if not name:
        raise ConfigError(f"annotation {number} ({shape.tag}) has no label")
    if shape.tag == "tag":
        image.labels.append(name)
    elif shape.tag in _NO_BOX:
        image.shapes.append(DrawnShape(name, shape.tag))
    elif shape.tag in _SHAPES:
        box = _SHAPES[shape.tag](shape)
        if not all(abs(value) < 1e9 for value in box):
            raise ConfigError(f"annotation {number} ({shape.tag}) has no finite numbers")
        degrees = float(shape.get("rotation") or 0) if shape.tag in ("box", "ellipse") else 0.0
        around = around_rotated(box, degrees) if degrees else box
        draw = partial(_DRAWN[shape.tag], shape, box, degrees)
        image.shapes.append(DrawnShape(name, shape.tag, around, draw, bool(degrees)))
    else:
        allowed = [*_SHAPES, "tag", *_NO_BOX]
        raise expected(f"annotation {number}: kind of shape", shape.tag, allowed)


def _corners(shape: ElementTree.Element) -> Box:
    x1, y1, x2, y2 = (float(shape.attrib[name]) for name in _CORNERS)
    return x1, y1, x2, y2


def _points(shape: ElementTree.Element) -> list[tuple[float, float]]:
    pairs = (pair.split(",") for pair in shape.attrib["points"].split(";"))
    return [(float(x), float(y)) for x, y in pairs]


def _polygon(shape: ElementTree.Element) -> Box:
    return box_around(_points(shape))


def _ellipse(shape: ElementTree.Element) -> Box:
    x, y, across, down = (float(shape.attrib[name]) for name in ("cx", "cy", "rx", "ry"))
    return x - across, y - down, x + across, y + down


def _mask(shape: ElementTree.Element) -> Box:
    x, y, width, height = (float(shape.attrib[n]) for n in ("left", "top", "width", "height"))
    return x, y, x + width, y + height


_SHAPES = {"box": _corners, "polygon": _polygon, "ellipse": _ellipse, "mask": _mask}


def _draw_box(shape: ElementTree.Element, box: Box, degrees: float, size: Size) -> Any:
    return [[value for point in turned_corners(box, degrees) for value in point]]


def _draw_polygon(shape: ElementTree.Element, box: Box, degrees: float, size: Size) -> Any:
    return [[value for point in _points(shape) for value in point]]


def _draw_ellipse(shape: ElementTree.Element, box: Box, degrees: float, size: Size) -> Any:
    middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return draw_ellipse(middle, (box[2] - middle[0], box[3] - middle[1]), degrees, size)


def _draw_mask(shape: ElementTree.Element, box: Box, degrees: float, size: Size) -> Any:
    """Return a mask: run lengths of 0s and 1s in turn, row by row, in its box.

    Raises:
        ConfigError: if they do not fill the box, or it leaves the image.
    """
    x1, y1, x2, y2 = map(int, box)
    runs = [int(run) for run in shape.attrib["rle"].split(",")]
    if min(runs) < 0 or sum(runs) != (x2 - x1) * (y2 - y1):
        raise ConfigError(f"rle: its runs sum to {sum(runs)}, not to {x2 - x1} x {y2 - y1}")
    if not (0 <= x1 <= x2 <= size[0] and 0 <= y1 <= y2 <= size[1]):
        raise ConfigError(f"a mask in {shown_box(box)} leaves its image of {size[0]} x {size[1]}")
    drawn: np.ndarray = np.zeros(size[::-1], np.uint8)
    bits: np.ndarray = np.repeat(np.arange(len(runs)) % 2, runs)
    drawn[y1:y2, x1:x2] = bits.reshape(y2 - y1, x2 - x1)
    return drawn


_DRAWN = {
    "box": _draw_box,
    "polygon": _draw_polygon,
    "ellipse": _draw_ellipse,
    "mask": _draw_mask,
}
