"""Pascal VOC: ``Annotations/*.xml``, ``JPEGImages/*`` and, optionally, ``ImageSets/Main``.

VOC counts pixels from 1 and includes the last one, so a box is read as
[xmin - 1, ymin - 1, xmax, ymax], half-open (as Detectron2 does). A box with xmin = xmax or
ymin = ymax has no area in the file's own terms and is dropped.
"""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from medreward.data.picture import load_file
from medreward.data.sources.annotated import plain_xml
from medreward.data.sources.base import SourceType, option
from medreward.data.sources.boxes import (
    NO_BOX,
    TURNED,
    around_rotated,
    check_pixels,
    clean_boxes,
    missing_names,
)
from medreward.data.sources.record import NamedBox, Record, Remark, Source, printable
from medreward.data.sources.table import check_folder, files_in, is_picture
from medreward.data.splits import SPLITS, split_or_none
from medreward.errors import ConfigError, quote
from medreward.files.reading import read_text

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_RENAMED = "their <filename> is of another file: the image named as the xml file is taken"
_DIFFICULT = "an object marked as difficult: taken as the others"
_ABSENT = "no annotation names it; left out"


class VocFolder(SourceType):
    """Pascal VOC."""

    flags = (
        option(
            "--voc",
            metavar="DIR",
            help="Pascal VOC: Annotations and JPEGImages, or xml beside images",
        ),
    )
    example = "--task cells.yaml --voc BCCD --box-label WBC"

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
    notes, pictures = _parts(folder)
    files = [p for p in files_in(folder / notes) if p.endswith(".xml")]
    if not files:
        raise ConfigError(f"{folder / notes}: no annotation (*.xml)")
    splits = _official_splits(folder)
    images = {os.path.splitext(p)[0]: p for p in files_in(folder / pictures) if is_picture(p)}
    records: list[Record] = []
    remarks: list[Remark] = []
    renamed: list[str] = []
    for number, file in enumerate(files, start=1):
        stem = os.path.splitext(file)[0]
        image = images.pop(stem, stem + ".jpg")
        size, found, turned, note = _annotation(folder / notes / file)
        check_pixels(found, str(folder / notes / file))
        boxes, said = clean_boxes(found, size, printable(os.path.join(notes, file)))
        remarks += said
        where = printable(os.path.join(pictures, image))
        remarks += [Remark(where, TURNED)] * turned + [Remark(where, _DIFFICULT)] * note.difficult
        if note.image and os.path.splitext(note.image)[0] != os.path.basename(stem):
            renamed.append(f"{printable(os.path.basename(file))} has {printable(note.image)}")
        if found and not boxes:
            remarks.append(Remark(where, NO_BOX))
            continue
        records.append(
            Record(
                id=f"image-{number:06d}",
                where=where,
                place=(str(folder), os.path.join(pictures, image)),
                boxes=boxes,
                size=size,
                split=splits.get(stem) or _split_of_folder(stem),
                key=stem,
                dropped=missing_names(found, boxes),
            )
        )
    remarks += [Remark(printable(os.path.join(pictures, p)), _ABSENT) for p in images.values()]
    if renamed:
        remarks.append(Remark(f"{len(renamed)} annotations", _RENAMED, f"such as {renamed[0]}"))
    return Source(f"Pascal VOC {folder.name}", records, load_file, remarks=tuple(remarks))


def _parts(folder: Path) -> tuple[str, str]:
    """Return the folders of annotations and of images: VOC's, or the same one for both."""
    check_folder(folder)
    voc = ("Annotations", "JPEGImages")
    there = [part for part in voc if (folder / part).is_dir()]
    if len(there) == len(voc):
        return voc
    if there or not any(path.endswith(".xml") for path in files_in(folder)):
        missing = next(part for part in voc if part not in there)
        raise ConfigError(
            f"{folder / missing}: no such folder; Pascal VOC has Annotations and JPEGImages, or "
            f"each *.xml beside its image"
        )
    return ("", "")


def _split_of_folder(stem: str) -> str | None:
    """Return the split that the top folder of an image is named as, such as "valid"."""
    top, slash, _ = stem.replace(os.sep, "/").partition("/")
    return split_or_none(top) if slash else None


class _Note(NamedTuple):
    """What else an annotation says: the name of its image, "" for none, and difficult objects."""

    image: str
    difficult: int


def _annotation(path: Path) -> tuple[tuple[int, int] | None, list[NamedBox], int, _Note]:
    """Return the image's width and height, if given, the boxes, half-open from 0, how many turned.

    A turned box is the upright one around it.
    """
    try:
        root = ElementTree.fromstring(plain_xml(path))  # noqa: S314 - without entities
        size = tuple(int(root.findtext(f"size/{side}") or 0) for side in ("width", "height"))
        items = [*root.iter("object")]
        boxes = [_box(item, number) for number, item in enumerate(items, start=1)]
    except (OSError, ElementTree.ParseError, ValueError, TypeError, LookupError) as error:
        raise ConfigError(f"{path}: not a Pascal VOC annotation: {error}") from error
    if not all(0 <= side < 1e9 for side in size):
        raise ConfigError(f"{path}: size: {quote(size)} is not a width and a height in pixels")
    turned = sum(_angle(item) != 0 for item in items)
    image = re.split(r"[/\\]", (root.findtext("filename") or "").strip())[-1]
    difficult = sum((item.findtext("difficult") or "").strip() == "1" for item in items)
    return ((size[0], size[1]) if all(size) else None), boxes, turned, _Note(image, difficult)


def _box(item: ElementTree.Element, number: int) -> NamedBox:
    name = (item.findtext("name") or "").strip()
    if not name:
        raise ValueError(f"object {number} has no name")
    x1, y1, x2, y2 = (float(item.findtext(f"bndbox/{c}") or "nan") for c in _CORNERS)
    if not all(abs(v) < 1e9 for v in (x1, y1, x2, y2)):
        raise ValueError(f"object {quote(name)}: its bndbox lacks a finite number")
    if not (x1 < x2 and y1 < y2):
        return NamedBox(name, (x1, y1, x2, y2))  # degenerate as it stands: dropped with a remark
    if max(x1, y1, x2, y2) <= 1 and (x1 % 1 or y1 % 1 or x2 % 1 or y2 % 1):
        return NamedBox(name, (x1, y1, x2, y2))  # fractions: refused as such
    box = (x1 - 1, y1 - 1, x2, y2)
    angle = _angle(item)
    return NamedBox(name, around_rotated(box, angle) if angle else box)


def _angle(item: ElementTree.Element) -> float:
    """Return the angle in degrees by which an object's box is turned, 0 if it is not."""
    for path in ("bndbox/angle", "angle", "attributes/attribute[name='rotation']/value"):
        given = item.findtext(path)
        if given:
            return float(given)
    return 0.0


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
