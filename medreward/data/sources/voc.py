"""Pascal VOC: ``Annotations/*.xml``, ``JPEGImages/*`` and, optionally, ``ImageSets/Main``.

VOC counts pixels from 1 and includes the last one, so a box is read as
[xmin - 1, ymin - 1, xmax, ymax], half-open (as Detectron2 does). A box with xmin = xmax or
ymin = ymax has no area in the file's own terms and is dropped.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from xml.etree import ElementTree

from medreward.data.picture import load_file
from medreward.data.sources.base import SourceType, option
from medreward.data.sources.boxes import clean_boxes, missing_names
from medreward.data.sources.record import NamedBox, Record, Remark, Source, printable
from medreward.data.sources.table import check_folder, files_in, is_picture
from medreward.data.splits import SPLITS
from medreward.errors import ConfigError, quote
from medreward.files.reading import read_text

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_ABSENT = "no annotation names it; left out"
_EMPTIED = "left out: none of its boxes can be used"


class VocFolder(SourceType):
    """Pascal VOC."""

    flags = (option("--voc", metavar="DIR", help="Pascal VOC: Annotations and JPEGImages"),)

    def open(self, arguments: argparse.Namespace) -> Source:
        """Return the images with their boxes."""
        return open_voc(arguments.voc)


def open_voc(folder: str | Path) -> Source:
    """Return the annotated images of a folder in Pascal VOC's layout.

    Raises:
        ConfigError: if the folder lacks annotations, or one cannot be read.

    In the folder there are Annotations/NAME.xml and JPEGImages/NAME.jpg::

        source = open_voc("bccd")
    """
    folder = Path(folder)
    for part in ("Annotations", "JPEGImages"):
        check_folder(folder / part)
    files = [p for p in files_in(folder / "Annotations") if p.endswith(".xml")]
    if not files:
        raise ConfigError(f"{folder / 'Annotations'}: no annotation (*.xml)")
    splits = _official_splits(folder)
    images = {os.path.splitext(p)[0]: p for p in files_in(folder / "JPEGImages") if is_picture(p)}
    records: list[Record] = []
    remarks: list[Remark] = []
    for number, file in enumerate(files, start=1):
        stem = os.path.splitext(file)[0]
        image = images.pop(stem, stem + ".jpg")
        size, found = _annotation(folder / "Annotations" / file)
        boxes, said = clean_boxes(found, size, printable(f"Annotations/{file}"))
        remarks += said
        where = printable(f"JPEGImages/{image}")
        if found and not boxes:
            remarks.append(Remark(where, _EMPTIED))
            continue
        records.append(
            Record(
                id=f"image-{number:06d}",
                where=where,
                place=(str(folder), f"JPEGImages/{image}"),
                boxes=boxes,
                size=size,
                split=splits.get(stem),
                key=stem,
                dropped=missing_names(found, boxes),
            )
        )
    remarks += [Remark(printable(f"JPEGImages/{p}"), _ABSENT) for p in images.values()]
    return Source(f"Pascal VOC {folder.name}", records, load_file, remarks=tuple(remarks))


def _annotation(path: Path) -> tuple[tuple[int, int] | None, list[NamedBox]]:
    """Return the image's width and height, if given, and the boxes, half-open from 0."""
    try:
        root = ElementTree.fromstring(_plain_xml(path))  # noqa: S314 - without entities
        size = tuple(int(root.findtext(f"size/{side}") or 0) for side in ("width", "height"))
        boxes = [_box(item) for item in root.iter("object")]
    except (OSError, ElementTree.ParseError, ValueError, TypeError, LookupError) as error:
        raise ConfigError(f"{path}: not a Pascal VOC annotation: {error}") from error
    if not all(0 <= side < 1e9 for side in size):
        raise ConfigError(f"{path}: size: {quote(size)} is not a width and a height in pixels")
    return ((size[0], size[1]) if all(size) else None), boxes


def _plain_xml(path: Path) -> str:
    """Return the text of an annotation; its entities could stand for more than memory holds."""
    text = read_text(path)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("it declares a document type or entities; an annotation needs none")
    return text


def _box(item: ElementTree.Element) -> NamedBox:
    name = (item.findtext("name") or "").strip()
    x1, y1, x2, y2 = (float(item.findtext(f"bndbox/{c}") or "nan") for c in _CORNERS)
    if not all(abs(v) < 1e9 for v in (x1, y1, x2, y2)):
        raise ValueError(f"object {quote(name)}: its bndbox lacks a finite number")
    if not (x1 < x2 and y1 < y2):
        return NamedBox(name, (x1, y1, x2, y2))  # degenerate as it stands: dropped with a remark
    return NamedBox(name, (x1 - 1, y1 - 1, x2, y2))


def _official_splits(folder: Path) -> dict[str, str]:
    """Return the split of each image that ``ImageSets/Main/{train,val,test}.txt`` lists."""
    splits: dict[str, str] = {}
    for split in SPLITS:
        file = folder / "ImageSets" / "Main" / f"{split}.txt"
        if not file.is_file():
            continue
        for line in read_text(file).splitlines():
            stem = line.strip()
            if stem and splits.setdefault(stem, split) != split:
                raise ConfigError(f"{file}: image {quote(stem)} is in {splits[stem]}.txt too")
    return splits
