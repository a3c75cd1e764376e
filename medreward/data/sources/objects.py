"""Columns of objects in Hugging Face data sets: ``bbox`` and ``category`` of each -> boxes.

The column does not say whether four numbers are x, y, width, height (as in COCO) or corners (as in
Pascal VOC). Where a box can only be one of the two, that is taken for all; else it has to be said.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from medreward.data.sources.boxes import check_pixels, clean_boxes, missing_names
from medreward.data.sources.record import NamedBox, Remark
from medreward.errors import ConfigError, expected, quote

BOX_FORMATS = ("coco", "voc")
_NAMES = ("category", "categories", "label", "labels", "category_id", "class", "name")
_BOXES = ("bbox", "bboxes", "boxes", "box")
_Numbers = tuple[float, float, float, float]


class Found(NamedTuple):
    """What a row of a data set says of its image."""

    label: Any = None
    boxes: tuple[NamedBox, ...] | None = None
    dropped: tuple[str, ...] = ()
    unsaid: bool = False


def class_name(feature: Any, value: Any) -> Any:
    """Return the name of a value of a ClassLabel; other values, and -1 for none, as they are."""
    names = getattr(feature, "names", None)
    return names[value] if names and value is not None and value >= 0 else value


def read_objects(
    parts: Mapping[str, Any], column: str, box_format: str | None
) -> tuple[dict[str, list[Found]], list[Remark]]:
    """Return the boxes of each row of each split, and what is to be said of them.

    A row without objects may not have been annotated: nothing is said of its image.

    Args:
        parts: split -> data set.
        column: the column of objects.
        box_format: "coco", "voc", or None for what the boxes themselves allow.

    Raises:
        ConfigError: if the column is of another shape, a box has no four numbers, or the format is
            not known.
    """
    if box_format not in (None, *BOX_FORMATS):
        raise expected("--box-format", box_format, BOX_FORMATS)
    raw = {split: list(_raw_rows(data, column, split)) for split, data in parts.items()}
    remarks: list[Remark] = []
    if box_format is None:
        box_format, remark = _only_format(column, raw)
        remarks.append(remark)
    found: dict[str, list[Found]] = {}
    for split, rows in raw.items():
        found[split] = []
        for i, row in enumerate(rows):
            where = f"split {split}, row {i}"
            boxes = [NamedBox(name, _corners(numbers, box_format)) for name, numbers in row]
            check_pixels(boxes, where)
            kept, said = clean_boxes(boxes, None, where)
            remarks += said
            found[split].append(Found(None, kept, missing_names(boxes, kept), not row))
    return found, remarks


def _raw_rows(data: Any, column: str, split: str) -> Iterator[list[tuple[str, _Numbers]]]:
    """Yield name and four numbers of each object of each row."""
    feature = data.features[column]
    fields = _fields_of(feature)
    boxes = next((name for name in _BOXES if name in fields), None)
    names = next((name for name in _NAMES if name in fields), None)
    if boxes is None or names is None:
        raise ConfigError(
            f"column {quote(column)} holds {feature}; objects have one of {', '.join(_BOXES)} and "
            f"one of {', '.join(_NAMES)}"
        )
    kind = fields[names]
    kind = getattr(kind, "feature", kind)
    for i, cell in enumerate(data[column]):
        where = f"split {split}, row {i}"
        items = cell or []
        if isinstance(items, Mapping):
            pairs: Iterable[tuple[Any, Any]] = zip(
                items[names] or [], items[boxes] or [], strict=True
            )
        else:
            pairs = ((item[names], item[boxes]) for item in items)
        try:
            yield [(str(class_name(kind, name)), _numbers(box, where)) for name, box in pairs]
        except (ValueError, TypeError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"{where}: not as many names as boxes: {error}") from error


def _fields_of(feature: Any) -> Mapping[str, Any]:
    """Return the fields of a list of structs, or of a struct of lists."""
    each = getattr(feature, "feature", feature)
    return each if isinstance(each, Mapping) else {}


def _numbers(box: Sequence[Any], where: str) -> _Numbers:
    if len(box) != 4 or not all(math.isfinite(float(v)) and abs(float(v)) < 1e9 for v in box):
        raise ConfigError(f"{where}: the box {quote(box)} is not four finite numbers")
    a, b, c, d = (float(v) for v in box)
    return a, b, c, d


def _only_format(
    column: str, rows: Mapping[str, Sequence[Sequence[tuple[str, _Numbers]]]]
) -> tuple[str, Remark]:
    """Return the format that the boxes allow, if it is one only, and a remark.

    Raises:
        ConfigError: if they could be of both: corners grow, and sides may grow too.
    """
    boxes = [box for split in rows.values() for row in split for _, box in row]
    proofs = sum((c <= a or d <= b) and c > 0 and d > 0 for a, b, c, d in boxes)
    if boxes and not proofs:
        raise ConfigError(
            f"column {quote(column)}: its boxes could be x, y, width, height or corners; "
            f"--box-format coco or voc says which"
        )
    what = "taken as x, y, width, height, since not all of them could be corners (--box-format)"
    return "coco", Remark(f"column {column}", what, f"{proofs} of {len(boxes)} boxes show it")


def _corners(numbers: _Numbers, box_format: str) -> _Numbers:
    a, b, c, d = numbers
    return numbers if box_format == "voc" else (a, b, a + c, b + d)
