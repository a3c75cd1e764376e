"""Pascal VOC: ``Annotations/*.xml`` with boxes, ``JPEGImages/`` with the images.

VOC's coordinates are 1-based pixels, and the last one belongs to the box; a box here is half-open
and 0-based: [xmin - 1, ymin - 1, xmax, ymax]. A box that the file gives no width or height
(xmax <= xmin or ymax <= ymin) is dropped with a line in the report. An annotation's image is the
one with its name; what ``filename`` says is often wrong. Python's XML parser resolves no external
entity and stops at entities that multiply.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from medreward.data.images import ImageFile
from medreward.data.sources.record import Found, Record, folder, image_files, safe_ids, shown
from medreward.errors import ConfigError, expected
from medreward.task import Box

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


class _Annotation(NamedTuple):
    """The name of an image, the size it was annotated at, and objects with VOC's coordinates."""

    file: str
    frame: tuple[int, int] | None
    objects: list[tuple[str, Box]]


def records(path: Path, objects: Iterable[str] = ()) -> Found:
    """Return the images of a folder in VOC's layout with the boxes of some kinds of `objects`.

    Args:
        path: the folder with ``Annotations`` and ``JPEGImages``.
        objects: names of the objects whose boxes to keep; all, if none is given.

    Raises:
        ConfigError: if an annotation cannot be read, or no file has an object of a name.
    """
    files = sorted(folder(path / "Annotations").glob("*.xml"))
    if not files:
        raise ConfigError(f"{shown(path)}: there are no annotations (Annotations/*.xml)")
    names = image_files(folder(path / "JPEGImages"))
    images = {Path(name).stem: name for name in names if "/" not in name}
    read = [_read(file, images) for file in files]
    wanted = _wanted(read, list(objects))
    ids = safe_ids(a.file for a in read)
    notes: list[str] = []
    found = [_record(path, a, new, wanted, notes) for a, new in zip(read, ids, strict=True)]
    listed = {a.file for a in read}
    notes += [f"without an annotation, left out: {shown(n)}" for n in names if n not in listed]
    return Found(found, notes)


def _wanted(read: list[_Annotation], objects: list[str]) -> set[str]:
    counts = Counter(name for annotation in read for name, _ in annotation.objects)
    for name in objects:
        if name not in counts:
            raise expected("--object", name, [f"{n} ({c})" for n, c in counts.most_common()])
    return set(objects or counts)


def _record(
    path: Path, annotation: _Annotation, new: str, wanted: set[str], notes: list[str]
) -> Record:
    boxes = []
    for name, box in annotation.objects:
        if name in wanted and box[0] < box[2] and box[1] < box[3]:
            boxes.append((box[0] - 1, box[1] - 1, box[2], box[3]))
        elif name in wanted:
            notes.append(
                f"box without area dropped: {shown(annotation.file)} {shown(name)} {list(box)}"
            )
    image = ImageFile(path / "JPEGImages", annotation.file)
    return Record(new, image, shown(annotation.file), boxes=tuple(boxes), frame=annotation.frame)


def _read(file: Path, images: dict[str, str]) -> _Annotation:
    try:
        root = ElementTree.fromstring(file.read_bytes())  # noqa: S314 - see the module's docstring
        frame = tuple(int(root.findtext(f"size/{side}", "0")) for side in ("width", "height"))
        objects = [_object(element) for element in root.iter("object")]
    except (OSError, ValueError, LookupError, ElementTree.ParseError) as error:
        raise ConfigError(f"{shown(file.name)}: not a VOC annotation: {error}") from error
    name = images.get(file.stem, f"{file.stem}.jpg")
    return _Annotation(name, (frame[0], frame[1]) if all(frame) else None, objects)


def _object(element: ElementTree.Element) -> tuple[str, Box]:
    name = element.findtext("name", "").strip()
    corners = [float(element.findtext(f"bndbox/{corner}", "missing")) for corner in _CORNERS]
    if not name or not all(map(math.isfinite, corners)):
        raise ValueError(f"object {name!r} with box {corners}")
    x1, y1, x2, y2 = (int(v) if v.is_integer() else v for v in corners)
    return name, (x1, y1, x2, y2)
