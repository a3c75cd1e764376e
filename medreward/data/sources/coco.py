"""COCO json files: boxes [x, y, width, height] -> [x, y, x + width, y + height]; or masks.

Where the card asks for masks, the objects' polygons and run lengths are taken in place of their
boxes, regions of many objects (``iscrowd``) among them.
"""

from __future__ import annotations

import argparse
import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from medreward.data.picture import load_file
from medreward.data.sources.annotated import PictureFinder
from medreward.data.sources.base import IMAGES, SourceType, option
from medreward.data.sources.boxes import (
    EMPTIED,
    TURNED,
    around_rotated,
    box_around,
    check_pixels,
    clean_boxes,
    missing_names,
)
from medreward.data.sources.masks import PIXELS
from medreward.data.sources.outlines import read_outline
from medreward.data.sources.record import (
    NamedBox,
    NamedMasks,
    Record,
    Remark,
    Source,
    printable,
    report_lines,
)
from medreward.data.sources.table import check_folder
from medreward.data.splits import split_name
from medreward.errors import ConfigError, quote
from medreward.files.reading import parse_json, read_text

_CROWD = "crowd annotation dropped (a region of many objects, not a box of one)"
_DOUBTFUL = {
    "score": "with a score, as a model's predictions have: taken as what is in the image",
    "ignore": "marked to be ignored in scoring: taken as what is in the image",
}
_FAR = 1.1  # times the image's side
_NEAR = 1.5  # pixels by which a box and the one around its outline may differ
_CROWD_MASK = "crowd annotation: its pixels are taken, as all of its name are one mask"


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
    example = "--task cells.yaml --images images --coco train=a.json --coco val=b.json"

    def open(self, arguments: argparse.Namespace) -> Source:
        """Return the images that the files annotate."""
        files = files_by_split(arguments.coco)
        return open_coco(files, arguments.images, pixels=arguments.mask_regions == PIXELS)


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


def open_coco(
    files: Mapping[str | None, str | Path], images: str | Path, *, pixels: bool = False
) -> Source:
    """Return the images of COCO files and their boxes, or masks.

    Args:
        files: split -> json file; the split None is for a single file without splits.
        images: the folder that `file_name` is relative to.
        pixels: whether objects are taken as masks by their names (`NamedMasks`), not as boxes.

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
        own = split and split_name(split)
        found, said = _read(Path(file), images, own, len(records), pixels=pixels)
        records += found
        remarks += said
    if not records:
        raise ConfigError(f"{', '.join(map(str, files.values()))}: no images")
    name = "COCO " + ", ".join(Path(file).name for file in files.values())
    return Source(name, records, load_file, remarks=tuple(remarks))


def _read(
    file: Path, folder: str | Path, split: str | None, before: int, *, pixels: bool
) -> tuple[list[Record], list[Remark]]:
    text = read_text(file)
    try:
        content = parse_json(text)
        images = [_image(image) for image in content["images"]]
        notes = (_MaskNotes if pixels else _BoxNotes)(content, images)
    except ConfigError as error:
        raise ConfigError(f"{file}: not a usable COCO file: {error}") from error
    except KeyError as error:
        raise ConfigError(f"{file}: not a COCO file: {error} is missing") from error
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise ConfigError(f"{file}: not a COCO file: {error}") from error
    _check_once(file, images)
    notes.check_form(file)
    records, remarks = [], list(notes.remarks)
    finder, moved = PictureFinder(Path(folder)), 0
    for number, (key, name, size) in enumerate(images, start=before + 1):
        where = printable(name)
        place = _place(file, folder, name)
        if place is None:
            place = finder.place(name, "") if "\\" not in name else (str(folder), name)
            moved += place[1] != name
        bare = Record(
            id=f"image-{number:06d}", where=where, place=place, size=size, split=split, key=name
        )
        remarks += [Remark(where, what) for what in notes.said[key]]
        record, said = notes.add_targets(bare, key, file)
        remarks += said
        if record is None:
            remarks.append(Remark(where, EMPTIED))
        else:
            records.append(record)
    if moved:
        remarks.append(Remark(f"{moved} images of {file.name}", "in another folder, found by name"))
    if images and not records:
        raise ConfigError(
            "\n".join([f"{file}: no image is left of {len(images)}:", *report_lines(remarks)])
        )
    return records, remarks


def _check_once(file: Path, images: Sequence[_CocoImage]) -> None:
    """Raise `ConfigError` for an image that the file lists twice."""
    ids: dict[Any, str] = {}
    names: dict[str, Any] = {}
    for key, name, _ in images:
        if key in ids:
            raise ConfigError(
                f"{file}: two images have the id {quote(key)}: {quote(ids[key])} and "
                f"{quote(name)}; its annotations could be of either"
            )
        if name in names:
            raise ConfigError(
                f"{file}: {quote(name)} is listed twice, with the ids {quote(names[name])} and "
                f"{quote(key)}; each would have a part of its boxes"
            )
        ids[key], names[name] = name, key


def _place(file: Path, folder: str | Path, name: str) -> tuple[str, str] | None:
    """Return where an image is: in the folder of images, or beside the file, as Roboflow has it.

    None where it is at neither place.
    """
    written = name.replace("\\", "/")
    for root in (str(folder), str(file.parent)):
        for path in dict.fromkeys((name, written)):
            if (Path(root) / path).is_file():
                return root, path
    return None


class _Notes(ABC):
    """The annotations of a COCO file, by the id of their image.

    Raises:
        ConfigError: for an annotation of an unknown image or category, with its id.
    """

    def __init__(self, content: Any, images: Sequence[_CocoImage]) -> None:
        keys = [key for key, _, _ in images]
        self.sizes = {key: size for key, _, size in images}
        self.names = _class_names(content["categories"])
        self.said: dict[Any, list[str]] = defaultdict(list)
        self.remarks: list[Remark] = []
        self._by_text = {str(key): key for key in keys}
        self._known = {*keys} if len(self._by_text) == len({*keys}) else set()
        self._retyped = 0
        for number, note in enumerate(content["annotations"]):
            self._add(note, f"annotation {quote(note.get('id', f'number {number}'))}")
        for field, what in _DOUBTFUL.items():
            count = sum(bool(note.get(field)) for note in content["annotations"])
            if count:
                self.remarks.append(Remark(f"{count} annotations", what))
        if self._retyped:
            what = "its image_id and the image's id are a text and a number; taken as the same"
            self.remarks.append(Remark(f"{self._retyped} annotations", what))

    @abstractmethod
    def check_form(self, file: Path) -> None:
        """Raise `ConfigError` for targets that are all in another form than COCO's."""

    @abstractmethod
    def add_targets(
        self, record: Record, key: Any, file: Path
    ) -> tuple[Record | None, list[Remark]]:
        """Return the record of an image with its targets, and what was done to these.

        None where something is annotated in the image, and nothing of that can be used.
        """

    @abstractmethod
    def _take(self, note: Any, key: Any, name: str, where: str) -> None:
        """Take in an annotation of an object of that name."""

    def _add(self, note: Any, where: str) -> None:
        key, name = self._image(note["image_id"], where), self._name(note["category_id"], where)
        self._take(note, key, name, where)

    def _image(self, key: Any, where: str) -> Any:
        if key in self._known:
            return key
        found = self._by_text.get(str(key))
        if found is None:
            raise ConfigError(f"{where}: no image has its image_id {quote(key)}")
        self._retyped += found != key
        return found

    def _name(self, key: Any, where: str) -> str:
        if key not in self.names:
            known = ", ".join(f"{k} ({name})" for k, name in list(self.names.items())[:20])
            raise ConfigError(f"{where}: category {quote(key)} is none of the file's: {known}")
        return self.names[key]


class _BoxNotes(_Notes):
    """The boxes of a COCO file."""

    def __init__(self, content: Any, images: Sequence[_CocoImage]) -> None:
        self.boxes: dict[Any, list[NamedBox]] = defaultdict(list)
        self.crowds: dict[Any, list[str]] = defaultdict(list)
        self.unboxed: dict[Any, list[str]] = defaultdict(list)
        self.corners = self.sides = 0  # boxes that by area or outline are the one or the other
        super().__init__(content, images)

    def add_targets(
        self, record: Record, key: Any, file: Path
    ) -> tuple[Record | None, list[Remark]]:
        """Return the record with its boxes, clipped to the image."""
        boxes, crowds = self.boxes[key], self.crowds[key]
        check_pixels(boxes, f"{file}: image {record.where}")
        kept, said = clean_boxes(boxes, record.size, record.where)
        lost = (*missing_names(boxes, kept), *crowds, *self.unboxed[key])
        if lost and not kept and not crowds:
            return None, said
        boxed = replace(record, boxes=kept, dropped=lost, crowds=tuple(crowds))
        return replace(boxed, unsaid=not (kept or lost)), said

    def check_form(self, file: Path) -> None:
        """Raise `ConfigError` for corners in place of x, y, width, height.

        They are taken as such where half of the boxes would reach far over the border of their
        images, and all of them make sense as corners; or where area or outline say so.
        """
        if self.corners > self.sides:
            raise ConfigError(
                f"{file}: {self.corners} of {self.corners + self.sides} boxes are x1, y1, x2, y2 "
                f"by the area or outline of their annotations; COCO's form is x, y, x2 - x1, "
                f"y2 - y1: convert them"
            )
        total = far = 0
        for key, boxes in self.boxes.items():
            width, height = self.sizes[key] or (0, 0)
            for _, (x1, y1, x2, y2) in boxes:
                if not (x1 < x2 - x1 <= width and y1 < y2 - y1 <= height):
                    return
                total += 1
                far += x2 > _FAR * width or y2 > _FAR * height
        if total > 1 and far >= total / 2:
            raise ConfigError(
                f"{file}: {far} of {total} boxes reach far over the border of their images as x, "
                f"y, width, height, and all of them fit as x1, y1, x2, y2; COCO's form is x, y, "
                f"x2 - x1, y2 - y1: convert them"
            )

    def _take(self, note: Any, key: Any, name: str, where: str) -> None:
        if note.get("iscrowd"):
            self.crowds[key].append(name)
            self.said[key].append(_CROWD)
            return
        numbers = note.get("bbox") or ()
        if not numbers:
            self.unboxed[key].append(name)
            self.said[key].append(f"an annotation of {name} without a box dropped")
            return
        if len(numbers) != 4:
            raise ConfigError(
                f"{where}: bbox {quote(numbers)} has {len(numbers)} numbers; COCO's is x, y, "
                f"width, height, and a fifth would be an angle, which a box cannot keep"
            )
        x, y, width, height = (float(v) for v in numbers)
        if not all(abs(v) < 1e9 for v in (x, y, width, height)):
            raise ValueError(f"{where}: bbox {quote(note['bbox'])} is not finite")
        form = _form_of(note, (x, y, width, height))
        self.corners += form == "corners"
        self.sides += form == "sides"
        box = x, y, x + width, y + height
        angle = _angle(note)
        if angle:
            box = around_rotated(box, angle)
            self.said[key].append(TURNED)
        self.boxes[key].append(NamedBox(name, box))


def _form_of(note: Any, numbers: tuple[float, float, float, float]) -> str:
    """Return "corners" or "sides" where a box's area or polygons fit one of them alone, else "".

    >>> _form_of({"area": 80}, (10, 10, 20, 18)), _form_of({"area": 360}, (10, 10, 20, 18))
    ('corners', 'sides')
    """
    x, y, right, down = numbers
    boxes = {"sides": (x, y, x + right, y + down), "corners": (x, y, right, down)}
    points = [*_points(note.get("segmentation"))]
    area = note.get("area")
    fitting = set()
    for form, (x1, y1, x2, y2) in boxes.items():
        if points:
            around = box_around(points)
            fits = all(abs(a - b) <= _NEAR for a, b in zip(around, (x1, y1, x2, y2), strict=True))
        else:
            fits = isinstance(area, int | float) and math.isclose(
                area, (x2 - x1) * (y2 - y1), rel_tol=0.01
            )
        fitting |= {form} if fits and x1 < x2 and y1 < y2 else set()
    return fitting.pop() if len(fitting) == 1 else ""


def _points(segmentation: Any) -> Iterator[tuple[float, float]]:
    """Yield the corners of polygons; none of what has another form, which is looked at later."""
    for polygon in segmentation if isinstance(segmentation, list) else ():
        if isinstance(polygon, list) and all(isinstance(v, int | float) for v in polygon):
            yield from zip(polygon[::2], polygon[1::2], strict=False)


class _MaskNotes(_Notes):
    """The masks of a COCO file: polygons and run lengths, each by its name."""

    def __init__(self, content: Any, images: Sequence[_CocoImage]) -> None:
        self.parts: dict[Any, list[tuple[str, str]]] = defaultdict(list)
        self.unmasked: dict[Any, list[str]] = defaultdict(list)
        super().__init__(content, images)

    def check_form(self, file: Path) -> None:
        """Do nothing: `read_outline` has looked at each outline by itself."""

    def add_targets(
        self, record: Record, key: Any, file: Path
    ) -> tuple[Record | None, list[Remark]]:
        """Return the record with its masks."""
        parts, unmasked = tuple(self.parts[key]), tuple(self.unmasked[key])
        label = record.size and NamedMasks(record.size, parts, unmasked)
        return replace(record, label=label, unsaid=not (parts or unmasked)), []

    def _take(self, note: Any, key: Any, name: str, where: str) -> None:
        size = self.sizes[key]
        if size is None:
            raise ConfigError(
                f"{where}: width and height of its image {quote(key)} are missing, and masks need "
                f"them"
            )
        counts, said = read_outline(note.get("segmentation"), name, size, where)
        self.said[key] += said
        if counts is None:
            self.unmasked[key].append(name)
            self.said[key].append(f"an annotation of {name} without an outline that holds a pixel")
            return
        if note.get("iscrowd"):
            self.said[key].append(_CROWD_MASK)
        self.parts[key].append((name, counts))


def _class_names(categories: Any) -> dict[Any, str]:
    """Return the names of categories by their ids; raises `ConfigError` for an id of two names."""
    names: dict[Any, str] = {}
    for one in categories:
        name = str(one["name"])
        if names.setdefault(one["id"], name) != name:
            raise ConfigError(
                f"the id {quote(one['id'])} is of two categories, {quote(names[one['id']])} and "
                f"{quote(name)}; its annotations could be of either"
            )
    return names


def _angle(note: Any) -> float:
    """Return the angle in degrees by which a box is turned, as CVAT exports it; 0 if it is not."""
    own = note.get("attributes")
    given = own.get("rotation") if isinstance(own, Mapping) else None
    return float(given or note.get("rotation") or 0.0)


_CocoImage: TypeAlias = tuple[Any, str, tuple[int, int] | None]


def _image(image: Any) -> _CocoImage:
    size = int(image.get("width") or 0), int(image.get("height") or 0)
    hash(image["id"])  # a list is no id: TypeError
    if not all(0 <= side < 1e9 for side in size):
        raise ValueError(f"image {quote(image['id'])}: {quote(size)} is not a width and a height")
    return image["id"], str(image["file_name"]), size if all(size) else None
