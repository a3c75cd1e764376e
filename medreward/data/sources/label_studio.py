"""Label Studio's JSON export: tasks with annotations, shapes in per cent of the image.

A rectangle, polygon, ellipse or brush stroke becomes the box around it, or, where the card asks for
masks, its pixels; key points and bitmasks have none that can be read. Choices about the image are
its labels where there are no shapes. A task without an annotation, or with skipped ones only, may
not have been looked at. Predictions are not used.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from medreward.data.picture import load_file
from medreward.data.sources.annotated import (
    AnnotatedImage,
    DrawnShape,
    PictureFinder,
    annotated_records,
    split_of_path,
)
from medreward.data.sources.base import IMAGES, SourceType, option
from medreward.data.sources.boxes import box_around
from medreward.data.sources.brush import read_brush
from medreward.data.sources.masks import PIXELS, boxes_of
from medreward.data.sources.outlines import draw_ellipse
from medreward.data.sources.record import Source, printable
from medreward.data.sources.table import check_folder, is_picture
from medreward.errors import ConfigError, quote
from medreward.files.reading import parse_json, read_text

Size = tuple[int, int]
_NO_BOX = ("keypointlabels", "keypoint", "bitmasklabels", "bitmask")
_SHAPES = {
    "rectanglelabels": "rectangle",
    "polygonlabels": "polygon",
    "ellipselabels": "ellipse",
    "brushlabels": "brush",
}
_BARE = frozenset(_SHAPES.values())  # shapes whose label stands in a result of its own


class LabelStudioFile(SourceType):
    """Images and Label Studio's JSON export."""

    flags = (
        IMAGES,
        option("--label-studio", metavar="FILE", help="Label Studio's JSON export, with --images"),
    )
    example = "--task cells.yaml --images images --label-studio export.json"

    def open(self, arguments: argparse.Namespace) -> Source:
        """Return the images with their boxes or choices."""
        pixels = arguments.mask_regions == PIXELS
        return open_label_studio(arguments.label_studio, arguments.images, pixels=pixels)


def open_label_studio(file: str | Path, images: str | Path, *, pixels: bool = False) -> Source:
    """Return the images of Label Studio's JSON export, with their boxes or choices.

    Args:
        file: the export, of the form "JSON" (not "JSON-MIN").
        images: the folder of the images; they are found by their names.
        pixels: whether shapes are taken as masks by their names, not as boxes.

    Raises:
        ConfigError: if the file is no such export, a task has annotations of several people and
            none of them is marked as ground truth, or a shape has no label.

    >>> import json, tempfile
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> Image.new("L", (64, 48)).save(folder / "1.png")
    >>> value = {"x": 25, "y": 50, "width": 50, "height": 25, "rectanglelabels": ["nodule"]}
    >>> shape = {"type": "rectanglelabels", "original_width": 64, "original_height": 48}
    >>> task = {"id": 7, "data": {"image": "/data/upload/1/0a1b2c3d-1.png"}}
    >>> task["annotations"] = [{"result": [{**shape, "value": value}]}]
    >>> _ = (folder / "export.json").write_text(json.dumps([task]))
    >>> open_label_studio(folder / "export.json", folder).records[0].boxes[0]
    NamedBox(name='nodule', box=(16.0, 24.0, 48.0, 36.0))
    """
    check_folder(images)
    file = Path(file)
    try:
        content = parse_json(read_text(file))
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from error
    if not isinstance(content, list) or not all(isinstance(task, Mapping) for task in content):
        raise ConfigError(f"{file}: not a list of tasks, as Label Studio's JSON export is")
    pictures = PictureFinder(Path(images))
    found = []
    for number, task in enumerate(content, start=1):
        where = f"{file}: task {quote(task.get('id', f'number {number}'))}"
        try:
            found.append(_image(task, where, pictures))
        except ConfigError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            said = f"{type(error).__name__} {error}"
            raise ConfigError(f"{where}: not as Label Studio exports it: {said}") from error
    records, remarks = annotated_records(file, found, pixels=pixels)
    return Source(f"Label Studio {file.name}", records, load_file, remarks=tuple(remarks))


def _image(task: Mapping[str, Any], where: str, pictures: PictureFinder) -> AnnotatedImage:
    if "annotations" not in task:
        forms = "'completions' are of an old version" if "completions" in task else "JSON-MIN"
        raise ConfigError(f"{where}: no 'annotations' ({forms}); export as JSON")
    path = _path_of(task["data"], where)
    image = AnnotatedImage(printable(path), pictures.place(path, ""), split=split_of_path(path))
    image.origin = where.rpartition(": ")[2]
    results = _results(task["annotations"], where)
    image.unsaid = results is None
    if image.unsaid and task.get("predictions"):
        image.said.append("predictions of a model are not used")
    labels = {r["id"]: _names(r) for r in results or () if r["type"] == "labels" and "id" in r}
    for result in results or ():
        _add(image, result, labels, where)
    return image


def _path_of(data: Mapping[str, Any], where: str) -> str:
    """Return the path of the one image of a task."""
    found = []
    for value in data.values():
        if isinstance(value, str):
            parts = urlsplit(value)
            given = parse_qs(parts.query).get("d")
            path = given[0] if given else unquote(parts.path)
            if is_picture(path):
                found.append(path)
    if len(found) != 1:
        raise ConfigError(
            f"{where}: data {quote(dict(data))} names {len(found)} images; one is expected"
        )
    return found[0]


def _results(annotations: Sequence[Any], where: str) -> list[Any] | None:
    """Return the results of the annotation that counts, None if there is none."""
    done = [one for one in annotations if not one.get("was_cancelled")]
    if len(done) > 1:
        marked = [one for one in done if one.get("ground_truth")]
        if len(marked) != 1:
            raise ConfigError(
                f"{where}: {len(done)} annotations, of which {len(marked)} are marked as ground "
                f"truth; mark one, or export one a task"
            )
        done = marked
    return list(done[0]["result"]) if done else None


def _names(result: Mapping[str, Any]) -> list[str]:
    """Return the labels of a result."""
    value = result["value"]
    return [str(name) for name in value.get(result["type"], value.get("labels")) or ()]


def _add(
    image: AnnotatedImage,
    result: Mapping[str, Any],
    labels: Mapping[str, list[str]],
    where: str,
) -> None:
    kind = result["type"]
    if kind in ("relation", "labels"):
        return
    if kind == "choices":
        image.labels += [str(name) for name in result["value"]["choices"]]
        return
    if kind not in _SHAPES and kind not in _BARE and kind not in _NO_BOX:
        image.said.append(f"a result of type {kind} is not used")
        return
    names = _names(result) or labels.get(result.get("id", ""), [])
    if not names:
        raise ConfigError(f"{where}: a {kind} has no label")
    if kind in _NO_BOX:
        image.shapes += [DrawnShape(name, kind) for name in names]
        return
    shape = _shape(result, _SHAPES.get(kind, kind), image, where)
    image.shapes += [shape._replace(name=name) for name in names]


def _shape(result: Mapping[str, Any], kind: str, image: AnnotatedImage, where: str) -> DrawnShape:
    """Return a shape without a name, in pixels, and note the image's size."""
    if result.get("image_rotation"):
        raise ConfigError(
            f"{where}: image_rotation {quote(result['image_rotation'])}: its shapes were drawn on "
            f"the turned image; turn the file itself, and annotate that"
        )
    size = int(result["original_width"]), int(result["original_height"])
    if image.size not in (None, size):
        raise ConfigError(f"{where}: its shapes are for images of {image.size} and {size} pixels")
    image.size = size
    value = result["value"]
    if kind == "brush":
        return _brush(value, size, where)
    points = _OUTLINES[kind](value, size)
    if not all(abs(v) < 1e9 for point in points for v in point):
        raise ConfigError(f"{where}: a {kind} has no finite numbers")
    is_turned = bool(float(value.get("rotation") or 0))
    draw = partial(_draw_ellipse if kind == "ellipse" else _draw_corners, value, points)
    return DrawnShape("", kind, box_around(points), draw, is_turned)


def _brush(value: Mapping[str, Any], size: Size, where: str) -> DrawnShape:
    """Return a brush stroke, with the box around its pixels if it has any."""
    if value.get("format", "rle") != "rle" or "rle" not in value:
        raise ConfigError(f"{where}: a brush stroke has no rle")
    try:
        painted = read_brush(value["rle"], size)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    boxes = [*boxes_of(painted.astype(int), "whole")]
    return DrawnShape(
        "", "brush", boxes[0].box if boxes else None, partial(_draw_brush, value, where)
    )


def _draw_brush(value: Mapping[str, Any], where: str, size: Size) -> Any:
    return read_brush(value["rle"], size)


def _draw_corners(value: Any, points: list[tuple[float, float]], size: Size) -> Any:
    return [[v for point in points for v in point]]


def _draw_ellipse(value: Any, points: list[tuple[float, float]], size: Size) -> Any:
    middle, radii = _middle_and_radii(value, size)
    return draw_ellipse(middle, radii, float(value.get("rotation") or 0), size)


def _scaled(x: float, y: float, size: tuple[int, int]) -> tuple[float, float]:
    return float(x) * size[0] / 100, float(y) * size[1] / 100


def _rectangle(value: Mapping[str, Any], size: tuple[int, int]) -> list[tuple[float, float]]:
    """Return the corners; a rectangle is turned clockwise about its first one."""
    x, y = _scaled(value["x"], value["y"], size)
    width, height = _scaled(value["width"], value["height"], size)
    angle = math.radians(float(value.get("rotation") or 0))
    sine, cosine = math.sin(angle), math.cos(angle)
    sides = [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)]
    return [(x + a * cosine - b * sine, y + a * sine + b * cosine) for a, b in sides]


def _polygon(value: Mapping[str, Any], size: tuple[int, int]) -> list[tuple[float, float]]:
    return [_scaled(x, y, size) for x, y in value["points"]]


def _middle_and_radii(
    value: Mapping[str, Any], size: Size
) -> tuple[tuple[float, float], tuple[float, float]]:
    return _scaled(value["x"], value["y"], size), _scaled(value["radiusX"], value["radiusY"], size)


def _ellipse(value: Mapping[str, Any], size: Size) -> list[tuple[float, float]]:
    """Return the corners around an ellipse, which is turned about its middle."""
    (x, y), (across, down) = _middle_and_radii(value, size)
    angle = math.radians(float(value.get("rotation") or 0))
    half = (
        math.hypot(across * math.cos(angle), down * math.sin(angle)),
        math.hypot(across * math.sin(angle), down * math.cos(angle)),
    )
    return [(x - half[0], y - half[1]), (x + half[0], y + half[1])]


_OUTLINES = {"rectangle": _rectangle, "polygon": _polygon, "ellipse": _ellipse}
