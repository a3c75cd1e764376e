"""What the readers of annotation tools have in common: shapes and tags of an image -> a record."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any, NamedTuple
from xml.etree import ElementTree

from medreward.data.image_file import open_image, path_within
from medreward.data.sources.boxes import EMPTIED, TURNED, check_pixels, clean_boxes, missing_names
from medreward.data.sources.outlines import read_outline
from medreward.data.sources.record import NamedBox, NamedMasks, Record, Remark, UnusableError
from medreward.data.sources.table import files_in, is_picture
from medreward.data.splits import split_or_none
from medreward.errors import ConfigError, quote
from medreward.files.reading import read_text
from medreward.geometry.regions import Box

_UPLOAD = re.compile(r"[0-9a-f]{8}-(?P<name>.+)")  # what Label Studio puts before a name


class DrawnShape(NamedTuple):
    """What is drawn around an object.

    Attributes:
        name: what the object is.
        kind: how the tool calls the shape.
        box: around it; None for a shape that has none, such as a point.
        draw: gives its pixels in an image of some width and height, as `read_outline` takes them;
            None for a shape that has none.
        is_turned: whether the box is the upright one around a turned one.
    """

    name: str
    kind: str
    box: Box | None = None
    draw: Callable[[tuple[int, int]], Any] | None = None
    is_turned: bool = False


@dataclass
class AnnotatedImage:
    """An image of an annotation tool.

    Attributes:
        where: names it in reports.
        place: the folder and the path of its file.
        size: width and height that its shapes refer to, where they are known.
        shapes: what is drawn in it.
        labels: what the image as a whole is tagged with.
        said: what was done to it.
        split: its split, where the tool says one.
        unsaid: whether nobody seems to have looked at it.
        origin: names the entry that is about it.
    """

    where: str
    place: tuple[str, str]
    size: tuple[int, int] | None = None
    shapes: list[DrawnShape] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    split: str | None = None
    unsaid: bool = False
    origin: str = ""


def annotated_records(
    file: Path, images: Sequence[AnnotatedImage], *, pixels: bool = False
) -> tuple[list[Record], list[Remark]]:
    """Return a record for each image, and what was done.

    Shapes count where there are any in the whole source, with a remark on tags beside them; without
    shapes, the tags are the labels. An image of whose shapes none has a box is left out.

    Args:
        file: what the images were read from.
        images: the images.
        pixels: whether shapes are taken as masks by their names (`NamedMasks`), not as boxes.

    Raises:
        ConfigError: if there is no image, one of them is there twice, or a shape is in fractions.
    """
    if not images:
        raise ConfigError(f"{file}: no image in it")
    _check_once(file, images)
    has_shapes = any(image.shapes for image in images)
    by_tags = not has_shapes and any(image.labels for image in images)
    records: list[Record] = []
    remarks: list[Remark] = []
    for number, image in enumerate(images, start=1):
        remarks += [Remark(image.where, what) for what in image.said]
        if has_shapes and image.labels:
            what = "tags of the image are not used, as the source has shapes"
            remarks.append(Remark(image.where, what, ", ".join(image.labels)))
        bare = Record(
            id=f"image-{number:06d}",
            where=image.where,
            place=image.place,
            label=_label(image.labels) if by_tags else None,
            size=image.size,
            split=image.split,
            key=image.place[1],
            unsaid=image.unsaid or (by_tags and not image.labels),
        )
        if by_tags:
            records.append(bare)
            continue
        record, said = (_with_masks if pixels else _with_boxes)(bare, image, file)
        remarks += said
        records += [] if record is None else [record]
    return records, remarks


def _with_boxes(
    record: Record, image: AnnotatedImage, file: Path
) -> tuple[Record | None, list[Remark]]:
    """Return the record with the boxes around its shapes, None where it has shapes and no box."""
    given = [NamedBox(shape.name, shape.box) for shape in image.shapes if shape.box]
    check_pixels(given, f"{file}: image {image.where}")
    boxes, said = clean_boxes(given, image.size, image.where)
    said = [Remark(image.where, TURNED) for shape in image.shapes if shape.is_turned] + said
    unboxed = [shape for shape in image.shapes if shape.box is None]
    said += [Remark(image.where, f"a {x.kind} of {x.name} has no box; dropped") for x in unboxed]
    lost = (*missing_names(given, boxes), *(shape.name for shape in unboxed))
    if lost and not boxes:
        return None, [*said, Remark(image.where, EMPTIED)]
    return replace(record, boxes=boxes, dropped=lost), said


def _with_masks(
    record: Record, image: AnnotatedImage, file: Path
) -> tuple[Record | None, list[Remark]]:
    """Return the record with the masks of its shapes."""
    size = image.size or _size_of(image.place)
    if size is None:  # the file cannot be read, which is said when that is tried
        return replace(record, label=NamedMasks((1, 1), ())), []
    parts: list[tuple[str, str]] = []
    unmasked, said = [], []
    for number, shape in enumerate(image.shapes, start=1):
        where = f"{file}: image {image.where}: shape {number} ({shape.kind} of {shape.name})"
        given = shape.draw and shape.draw(size)
        counts, notes = read_outline(given, shape.name, size, where)
        said += [Remark(image.where, note) for note in notes]
        if counts is None:
            unmasked.append(shape.name)
            what = f"a {shape.kind} of {shape.name} without an outline that holds a pixel"
            said.append(Remark(image.where, what))
        else:
            parts.append((shape.name, counts))
    label = NamedMasks(size, tuple(parts), tuple(unmasked))
    return replace(record, label=label, size=size), said


def _size_of(place: tuple[str, str]) -> tuple[int, int] | None:
    try:
        with open_image(path_within(*place)) as opened:
            width, height = opened.size
            return width, height
    except UnusableError:
        return None


def _check_once(file: Path, images: Sequence[AnnotatedImage]) -> None:
    seen: dict[tuple[str, str], str] = {}
    for number, image in enumerate(images, start=1):
        before = seen.setdefault(image.place, image.origin or f"image {number}")
        own = image.origin or f"image {number}"
        if before != own:
            raise ConfigError(
                f"{file}: two of its entries are about {quote(image.place[1])}, {before} and "
                f"{own}; each would have a part of its shapes"
            )


def _label(labels: Sequence[str]) -> str | tuple[str, ...]:
    return labels[0] if len(labels) == 1 else tuple(labels)


class PictureFinder:
    """Finds the pictures of a folder by the paths that annotation tools write.

    A path is tried as it is and then by its name alone, also without the eight digits that Label
    Studio puts before names; a name that several files have finds none of them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths = [path for path in files_in(folder) if is_picture(path)]
        self._known = {*self.paths}
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for path in self.paths:
            self._by_name[os.path.basename(path)].append(path)

    def place(self, written: str, *beside: str) -> tuple[str, str]:
        """Return the folder and the path of a picture; of one that is not there, as written.

        Args:
            written: the path in the annotation.
            *beside: folders in which it is looked for first.
        """
        path = written.replace("\\", "/").removeprefix("./")
        for one in beside:
            joined = os.path.normpath(os.path.join(one, path))
            if joined in self._known:
                return str(self.folder), joined
        name = PurePath(path).name
        upload = _UPLOAD.fullmatch(name)
        for found in (name, upload["name"] if upload else ""):
            paths = self._by_name.get(found, [])
            if len(paths) == 1:
                return str(self.folder), paths[0]
        return str(self.folder), path.lstrip("/")


def split_of_path(path: str) -> str | None:
    """Return the split that a folder of a path is named as, None if there is none.

    >>> split_of_path("Train/images/1.png"), split_of_path("images/1.png")
    ('train', None)
    """
    return next(filter(None, map(split_or_none, PurePath(path).parts[:-1])), None)


def plain_xml(path: Path) -> str:
    """Return the text of an XML file; its entities could stand for more than memory holds.

    Raises:
        ConfigError: if the file cannot be read.
        ValueError: if it declares entities.
    """
    text = read_text(path)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("it declares a document type or entities; an annotation needs none")
    return text


def read_xml(path: Path) -> ElementTree.Element:
    """Return the root of an XML file.

    Raises:
        ConfigError: if it cannot be read, is no XML, or declares entities.
    """
    try:
        return ElementTree.fromstring(plain_xml(path))  # noqa: S314 - without entities
    except (ElementTree.ParseError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{path}: not an XML file: {error}") from error
