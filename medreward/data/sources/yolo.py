"""YOLO: a text file a picture, a line an object, in fractions; a file names the classes.

That is data.yaml, or a list with a name a line, as labelImg, Label Studio and CVAT write it
(``classes.txt``, ``obj.names``).

A line is ``class x y width height`` with the middle of the box, or ``class x1 y1 x2 y2 …`` with the
corners of a polygon, around which the box is drawn. The text file of ``…/images/1.jpg`` is
``…/labels/1.txt``, or ``1.txt`` beside it. An empty file says that nothing is there; a picture
without a file may not have been looked at. Splits are folders named so (``train/images``,
``images/train``).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from medreward.data.image_file import open_image
from medreward.data.picture import load_file
from medreward.data.sources.annotated import split_of_path
from medreward.data.sources.base import SourceType, option
from medreward.data.sources.boxes import NO_BOX, clean_boxes, missing_names
from medreward.data.sources.record import (
    NamedBox,
    Record,
    Remark,
    Source,
    UnusableError,
    printable,
)
from medreward.data.sources.table import check_folder, files_in, is_picture
from medreward.errors import ConfigError, quote
from medreward.files.progress import show_progress
from medreward.files.reading import parse_yaml, read_text

_NAMES = ("data.yaml", "data.yml", "dataset.yaml")
_LISTS = ("classes.txt", "obj.names", "labels.txt")
_FAR = 0.1  # of the picture's side
_SLACK = 1e-3  # by which rounded fractions may leave the picture


class YoloFolder(SourceType):
    """YOLO's text files and pictures."""

    flags = (option("--yolo", metavar="DIR", help="YOLO: pictures, labels/*.txt and data.yaml"),)
    example = "--task cells.yaml --yolo export"

    def open(self, arguments: argparse.Namespace) -> Source:
        """Return the pictures with their boxes."""
        return open_yolo(arguments.yolo)


def open_yolo(folder: str | Path) -> Source:
    """Return the pictures of a folder in YOLO's layout, with their boxes.

    Raises:
        ConfigError: if there is no data.yaml, no picture, or a line that is no object.

    >>> import tempfile
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> Image.new("L", (60, 40)).save(folder / "1.png")
    >>> _ = (folder / "1.txt").write_text("0 0.5 0.5 0.5 0.25")
    >>> _ = (folder / "data.yaml").write_text("names: [nodule]")
    >>> open_yolo(folder).records[0].boxes[0]
    NamedBox(name='nodule', box=(15.0, 15.0, 45.0, 25.0))
    """
    check_folder(folder)
    folder = Path(folder)
    paths = files_in(folder)
    names = _class_names(folder, paths)
    pictures = [path for path in paths if is_picture(path)]
    if not pictures:
        raise ConfigError(f"{folder}: no picture in it")
    there = {_lower_ending(path): path for path in paths}
    records: list[Record] = []
    remarks: list[Remark] = []
    drawn: list[tuple[NamedBox, tuple[int, int]]] = []
    for number, path in enumerate(show_progress(pictures, desc="labels", unit="file"), 1):
        labels = next((there[one] for one in _label_files(path) if one in there), None)
        where = printable(path)
        try:
            size = _size(folder / path)
        except UnusableError as error:
            size, labels = None, None
            remarks.append(Remark(where, f"its size cannot be read: {error}"))
        found = [] if labels is None or size is None else _boxes(folder / labels, names, size)
        drawn += [(box, size) for box in found if size]
        boxes, said = clean_boxes(found, size, where)
        remarks += said
        if found and not boxes:
            remarks.append(Remark(where, NO_BOX))
            continue
        records.append(
            Record(
                id=f"image-{number:06d}",
                where=where,
                place=(str(folder), path),
                boxes=boxes,
                size=size,
                split=split_of_path(path),
                key=path,
                dropped=missing_names(found, boxes),
                unsaid=labels is None,
            )
        )
    _check_middles(folder, drawn)
    return Source(f"YOLO {folder.name}", records, load_file, remarks=tuple(remarks))


def _check_middles(folder: Path, drawn: Sequence[tuple[NamedBox, tuple[int, int]]]) -> None:
    """Raise `ConfigError` for corners in place of the middle, width and height.

    They are taken as such where half of the boxes reach far over the border of their pictures, and
    all of them make sense as corners.
    """
    far = 0
    for (_, (x1, y1, x2, y2)), (across, down) in drawn:
        if not ((x1 + x2) / 2 < x2 - x1 and (y1 + y2) / 2 < y2 - y1):
            return
        over = max(-x1 / across, -y1 / down, x2 / across - 1, y2 / down - 1)
        far += over > _FAR
    if len(drawn) > 1 and far >= len(drawn) / 2:
        raise ConfigError(
            f"{folder}: {far} of {len(drawn)} boxes reach far over the border of their pictures as "
            f"x, y, width, height with the middle in x, y, and all of them fit as x1, y1, x2, y2; "
            f"convert them"
        )


def _class_names(folder: Path, paths: Sequence[str]) -> dict[int, str]:
    file = next((folder / name for name in _NAMES if (folder / name).is_file()), None)
    if file is None:
        return _listed_names(folder, paths)
    try:
        content: Any = parse_yaml(read_text(file))
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from error
    names = content.get("names") if isinstance(content, Mapping) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, Mapping) or not all(
        isinstance(key, int) and isinstance(name, str | int) for key, name in names.items()
    ):
        raise ConfigError(f"{file}: names: {quote(names)} is not a list of classes")
    count = content.get("nc")
    if isinstance(count, int) and count != len(names):
        raise ConfigError(f"{file}: nc is {count}, and names has {len(names)} classes; correct one")
    return {key: str(name) for key, name in names.items()}


def _listed_names(folder: Path, paths: Sequence[str]) -> dict[int, str]:
    """Return the names of a list with one a line, which may lie beside the labels."""
    files = [path for path in paths if os.path.basename(path) in _LISTS]
    lists = {path: tuple(read_text(folder / path, "utf-8-sig").splitlines()) for path in files}
    if len({*lists.values()}) != 1:
        found = f"; {' and '.join(files)} differ" if lists else ""
        raise ConfigError(
            f"{folder}: none of {', '.join((*_NAMES, *_LISTS))} is in it, which names the classes: "
            f"names: [first, second]{found}"
        )
    lines = next(iter(lists.values()))
    return {number: line.strip() for number, line in enumerate(lines) if line.strip()}


def _label_files(path: str) -> list[str]:
    """Return where the text file of a picture may be."""
    stem = PurePath(os.path.splitext(path)[0])
    parts = list(stem.parts)
    places = [i for i, part in enumerate(parts[:-1]) if part.lower() == "images"]
    swapped = [*parts]
    if places:
        swapped[places[-1]] = "labels"
    beside = f"{stem}.txt"
    return [f"{PurePath(*swapped)}.txt", beside] if places else [beside]


def _lower_ending(path: str) -> str:
    """Return a path whose ending is in small letters, as that of 1.TXT is not."""
    stem, ending = os.path.splitext(path)
    return stem + ending.lower()


def _size(path: Path) -> tuple[int, int]:
    with open_image(path) as opened:
        width, height = opened.size
    return width, height


def _boxes(file: Path, names: Mapping[int, str], size: tuple[int, int]) -> list[NamedBox]:
    found = []
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        if line.strip():
            found.append(_box(f"{file} line {number}", line.split(), names, size))
    return found


def _box(where: str, words: list[str], names: Mapping[int, str], size: tuple[int, int]) -> NamedBox:
    try:
        key, values = int(float(words[0])), [float(word) for word in words[1:]]
    except ValueError:
        raise ConfigError(f"{where}: {quote(' '.join(words))} is not a line of numbers") from None
    if key not in names:
        known = ", ".join(f"{k} ({name})" for k, name in names.items())
        raise ConfigError(f"{where}: class {key} is none of those that are named: {known}")
    is_polygon = len(values) >= 6 and len(values) % 2 == 0
    if len(values) != 4 and not is_polygon:
        raise ConfigError(
            f"{where}: {len(values)} numbers behind the class; 4 are a box (x, y, width, height), "
            f"6 and more in pairs a polygon; a fifth is a model's confidence, which labels have not"
        )
    if not all(-_SLACK <= value <= 1 + _SLACK for value in values):
        raise ConfigError(
            f"{where}: {quote(' '.join(words))}: YOLO's numbers are fractions, 0 to 1"
        )
    if is_polygon:
        corners = min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])
    else:
        x, y, width, height = values
        corners = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    across, down = size
    x1, y1, x2, y2 = corners
    return NamedBox(names[key], (x1 * across, y1 * down, x2 * across, y2 * down))
