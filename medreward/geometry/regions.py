"""The boxes that are right for an image: what a localisation target says, and its text in a row.

Boxes are [x1, y1, x2, y2] in pixels of the stored image, half-open, x to the right and y down.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple, TypeAlias

from medreward.checks import number
from medreward.errors import ConfigError, expected, quote

Box: TypeAlias = tuple[float, float, float, float]
Size: TypeAlias = tuple[float, float]
MAX_BOXES = 100
MIN_SIDE = 1e-6
_MAX_SIDE = 1e6
_FIELDS = ("boxes", "annotators", "size", "seen")
_BOX_FIELDS = ("box", "label")


class TrueBox(NamedTuple):
    """A box and the index of its label, None in a task without labels."""

    box: Box
    label: int | None = None


@dataclass(frozen=True)
class BoxTarget:
    """A localisation target.

    Attributes:
        annotators: the boxes of each annotator; one of them as a rule.
        size: width and height of the stored image in pixels, where known.
        seen: width and height after the processor's resize, where known.
    """

    annotators: tuple[tuple[TrueBox, ...], ...]
    size: Size | None = None
    seen: Size | None = None

    @property
    def boxes(self) -> tuple[TrueBox, ...]:
        """The boxes of the first annotator."""
        return self.annotators[0]


def parse_boxes(target: object, label_of: Callable[[object], int | None]) -> BoxTarget:
    """Return a target in any of its forms as a `BoxTarget`.

    The forms: one box; a list of boxes ``[[x1, y1, x2, y2], …]`` or of
    ``{"box": [...], "label": "WBC"}``; ``{"boxes": <list>, "size": [w, h], "seen": [w, h]}``, where
    size and seen may be left out; and ``{"annotators": [<list>, …], …}``.

    Args:
        target: the target.
        label_of: gives the index of a box's label (None: no label is given).

    Raises:
        ConfigError: if it is none of these, a box has no area or leaves the image, or there are
            more than `MAX_BOXES`.

    >>> parse_boxes({"boxes": [[0, 0, 4, 2]], "size": [8, 8]}, lambda label: None).size
    (8.0, 8.0)
    """
    if isinstance(target, BoxTarget):
        return target
    value = _plain(target)
    if not isinstance(value, Mapping):
        return BoxTarget((_boxes(value, label_of, None),))
    for name in value:
        if name not in _FIELDS:
            raise expected("target: field", name, _FIELDS)
    if ("boxes" in value) == ("annotators" in value):
        raise ConfigError("target: it has either 'boxes' or, of several annotators, 'annotators'")
    size, seen = (parse_size(name, value.get(name)) for name in ("size", "seen"))
    lists = _plain(value["annotators"]) if "annotators" in value else [value["boxes"]]
    if not isinstance(lists, Sequence) or isinstance(lists, str) or not lists:
        raise ConfigError(f"target annotators: {quote(lists)} is not a list of lists of boxes")
    return BoxTarget(tuple(_boxes(boxes, label_of, size) for boxes in lists), size, seen)


def box_json(target: BoxTarget, names: Sequence[str]) -> str:
    """Return a target as JSON text, in the shortest form that `parse_boxes` reads back.

    >>> box_json(BoxTarget(((TrueBox((0.0, 0.0, 4.0, 2.5)),),)), [])
    '[[0, 0, 4, 2.5]]'
    """
    lists = [list_boxes(boxes, names) for boxes in target.annotators]
    sizes = {"size": target.size, "seen": target.seen}
    given = {name: [short(v) for v in sides] for name, sides in sizes.items() if sides}
    if len(lists) > 1:
        return json.dumps({"annotators": lists, **given}, ensure_ascii=False)
    return json.dumps({"boxes": lists[0], **given} if given else lists[0], ensure_ascii=False)


def list_boxes(boxes: Sequence[TrueBox], names: Sequence[str]) -> list[Any]:
    """Return boxes as JSON-ready lists, or as mappings where they have labels."""
    return [
        [short(v) for v in box]
        if label is None
        else {"box": [short(v) for v in box], "label": names[label]}
        for box, label in boxes
    ]


def short(value: float) -> float:
    """Return a whole number as an int, which JSON writes shorter."""
    return int(value) if value % 1 == 0 else value


def check_size(target: Size | None, image: Size) -> None:
    """Make sure that a target is for an image of this width and height; None: it does not say.

    Raises:
        ConfigError: if it is for another.
    """
    if target is not None and target != image:
        (width, height), (wide, high) = map(short, target), image
        raise ConfigError(
            f"target: its size is {width} x {height} (width x height), not that of the image, "
            f"{wide} x {high}"
        )


def around(boxes: Collection[Box]) -> Box:
    """Return the smallest box around boxes: it lies in an image where all of them do.

    It has no size where there are none.

    >>> around([(1, 2, 3, 4), (0, 3, 2, 5)])
    (0, 2, 3, 5)
    """
    if not boxes:
        return 0.0, 0.0, 0.0, 0.0
    x1, y1, x2, y2 = zip(*boxes, strict=True)
    return min(x1), min(y1), max(x2), max(y2)


def _boxes(
    value: object, label_of: Callable[[object], int | None], size: Size | None
) -> tuple[TrueBox, ...]:
    value = _plain(value)
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ConfigError(f"target {quote(value)} is not a list of boxes")
    items = [value] if len(value) == 4 and isinstance(value[0], Real) else value
    if len(items) > MAX_BOXES:
        raise ConfigError(f"target: {len(items)} boxes; at most {MAX_BOXES} are allowed")
    return tuple(_true_box(item, label_of, size) for item in items)


def _true_box(item: object, label_of: Callable[[object], int | None], size: Size | None) -> TrueBox:
    place, label = _plain(item), None
    if isinstance(place, Mapping):
        for name in place:
            if name not in _BOX_FIELDS:
                raise expected("target box: field", name, _BOX_FIELDS)
        place, label = _plain(place.get("box")), place.get("label")
    box = _box(place)
    if size and not (box[0] >= 0 and box[1] >= 0 and box[2] <= size[0] and box[3] <= size[1]):
        raise ConfigError(f"target box {list(box)} leaves the image of size {list(size)}")
    return TrueBox(box, label_of(label))


def _box(item: object) -> Box:
    if isinstance(item, Sequence) and not isinstance(item, str) and len(item) == 4:
        x1, y1, x2, y2 = (number("target box", v, -1e9, 1e9) for v in item)
        if x2 - x1 > MIN_SIDE and y2 - y1 > MIN_SIDE:
            return x1, y1, x2, y2
    raise ConfigError(f"target box {quote(item)} is not [x1, y1, x2, y2] with x1 < x2, y1 < y2")


def parse_size(name: str, value: object) -> Size | None:
    """Return width and height in pixels as a target gives them; None: it does not.

    Raises:
        ConfigError: if they are not two numbers from 1 on.
    """
    value = _plain(value)
    if value is None:
        return None
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        raise ConfigError(f"target {name}: {quote(value)} is not [width, height]")
    width, height = (number(f"target {name}", side, 1, _MAX_SIDE) for side in value)
    return width, height


def _plain(value: Any) -> Any:
    """Return an array as lists, anything else as it is."""
    return value.tolist() if hasattr(value, "tolist") else value
