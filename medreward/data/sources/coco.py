"""COCO json files of boxes: [x, y, width, height] from 0 -> [x, y, x + width, y + height]."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medreward.data.picture import load_file
from medreward.data.sources.base import IMAGES, SourceType, option
from medreward.data.sources.boxes import clean_boxes, missing_names
from medreward.data.sources.record import NamedBox, Record, Remark, Source, printable
from medreward.data.sources.table import check_folder
from medreward.data.splits import split_name
from medreward.errors import ConfigError, quote
from medreward.files.reading import parse_json, read_text

_CROWD = "crowd annotation dropped (a region of many objects, not a box of one)"
_EMPTIED = "left out: none of its boxes can be used"


class CocoFiles(SourceType):
    """Images and COCO annotations, one file or one a split."""

    flags = (
        IMAGES,
        option(
            "--coco",
            metavar="[SPLIT=]FILE",
            action="append",
            help="COCO json, with --images; may be repeated, one a split",
        ),
    )

    def open(self, arguments: argparse.Namespace) -> Source:
        """Return the images that the files annotate."""
        return open_coco(files_by_split(arguments.coco), arguments.images)


def files_by_split(given: Sequence[str]) -> dict[str | None, str]:
    """Return the file of each split out of ``SPLIT=FILE``, or of None out of a single file.

    Raises:
        ConfigError: if one of several is not in this form, or a split has two.
    """
    if len(given) == 1 and "=" not in given[0]:
        return {None: given[0]}
    files: dict[str | None, str] = {}
    for text in given:
        split, equals, file = text.partition("=")
        if not equals or split in files:
            raise ConfigError(f"--coco: {quote(text)} is not SPLIT=FILE with a split of its own")
        files[split] = file
    return files


def open_coco(files: Mapping[str | None, str | Path], images: str | Path) -> Source:
    """Return the images of COCO files and their boxes.

    Args:
        files: split -> json file; the split None is for a single file without splits.
        images: the folder that `file_name` is relative to.

    Raises:
        ConfigError: if a file cannot be read or is not laid out as COCO's.

    >>> import json, tempfile
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> Image.new("L", (64, 48)).save(folder / "1.png")
    >>> content = {
    ...     "images": [{"id": 1, "file_name": "1.png", "width": 64, "height": 48}],
    ...     "categories": [{"id": 1, "name": "nodule"}],
    ...     "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [8, 8, 16, 22]}],
    ... }
    >>> _ = (folder / "coco.json").write_text(json.dumps(content))
    >>> open_coco({None: folder / "coco.json"}, folder).records[0].boxes[0].box
    (8.0, 8.0, 24.0, 30.0)
    """
    check_folder(images)
    records: list[Record] = []
    remarks: list[Remark] = []
    for split, file in files.items():
        found, said = _read(Path(file), images, split and split_name(split), len(records))
        records += found
        remarks += said
    if not records:
        raise ConfigError(f"{', '.join(map(str, files.values()))}: no images")
    name = "COCO " + ", ".join(Path(file).name for file in files.values())
    return Source(name, records, load_file, remarks=tuple(remarks))


def _read(
    file: Path, folder: str | Path, split: str | None, before: int
) -> tuple[list[Record], list[Remark]]:
    text = read_text(file)
    try:
        content = parse_json(text)
        boxes, crowds = _boxes(content)
        images = [_image(image) for image in content["images"]]
    except KeyError as error:
        raise ConfigError(f"{file}: not a COCO file: {error} is missing") from error
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise ConfigError(f"{file}: not a COCO file: {error}") from error
    records, remarks = [], []
    for number, (key, name, size) in enumerate(images, start=before + 1):
        where = printable(name)
        remarks += [Remark(where, _CROWD)] * len(crowds[key])
        kept, said = clean_boxes(boxes[key], size, where)
        remarks += said
        if boxes[key] and not kept:
            remarks.append(Remark(where, _EMPTIED))
            continue
        place = (str(folder), name)
        dropped = (*missing_names(boxes[key], kept), *crowds[key])
        records.append(
            Record(
                id=f"image-{number:06d}",
                where=where,
                place=place,
                boxes=kept,
                size=size,
                split=split,
                key=name,
                dropped=dropped,
                crowds=tuple(crowds[key]),
            )
        )
    return records, remarks


def _boxes(content: Any) -> tuple[dict[Any, list[NamedBox]], dict[Any, list[str]]]:
    """Return the boxes of each image, by its id, and of what there are crowds."""
    names = {category["id"]: str(category["name"]) for category in content["categories"]}
    boxes: dict[Any, list[NamedBox]] = defaultdict(list)
    crowds: dict[Any, list[str]] = defaultdict(list)
    for note in content["annotations"]:
        if note.get("iscrowd"):
            crowds[note["image_id"]].append(names[note["category_id"]])
            continue
        x, y, width, height = (float(v) for v in note["bbox"])
        if not all(abs(v) < 1e9 for v in (x, y, width, height)):
            raise ValueError(
                f"annotation {note.get('id')}: bbox {quote(note['bbox'])} is not finite"
            )
        box = NamedBox(names[note["category_id"]], (x, y, x + width, y + height))
        boxes[note["image_id"]].append(box)
    return boxes, crowds


def _image(image: Any) -> tuple[Any, str, tuple[int, int] | None]:
    size = int(image.get("width") or 0), int(image.get("height") or 0)
    hash(image["id"])  # a list is no id: TypeError
    if not all(0 <= side < 1e9 for side in size):
        raise ValueError(f"image {quote(image['id'])}: {quote(size)} is not a width and a height")
    return image["id"], str(image["file_name"]), size if all(size) else None
