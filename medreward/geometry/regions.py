"""Boxes on an image: what a localisation target says, its text in a row, and frames of coordinates.

Boxes are [x1, y1, x2, y2] in pixels of the stored image, half-open, x to the right and y down. An
answer gives them in a frame. With the stored image of width w and height h, and w', h' its sides
after the processor's resize, they are in pixels of the stored image::

    pixels     x, y
    resized    x * w / w',     y * h / h'
    unit       x * w,          y * h
    per-mille  x * w / 1000,   y * h / 1000
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple, Protocol, TypeAlias

from medreward.checks import known_fields, number
from medreward.errors import ConfigError, quote

Box: TypeAlias = tuple[float, float, float, float]
Size: TypeAlias = tuple[float, float]
MAX_BOXES = 100
MIN_SIDE = 1e-6
_MAX_SIDE = 1e6
_FIELDS = ("boxes", "annotators", "size", "seen")
_BOX_FIELDS = ("box", "label")
# How far beyond the image's edge a corner may lie, as a share of the side: rounding, no more.
SLACK = 0.01
# The rounding step of the coordinates that models write in a frame.
_STEP = {"pixels": 1.0, "resized": 1.0, "unit": 0.001, "per-mille": 1.0}


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


class OnImage(Protocol):
    """A target that says of what size its image is: width and height, as stored and as seen."""

    @property
    def size(self) -> Size | None:
        """Of the stored image, in pixels."""

    @property
    def seen(self) -> Size | None:
        """After the processor's resize."""


class Frame(NamedTuple):
    """A frame of one image.

    Attributes:
        across: pixels of the stored image a unit of x.
        down: pixels of the stored image a unit of y.
        extent: the largest x and y in the image, in the frame's units; None where not known.
        step: the step of the numbers that models write.
    """

    across: float
    down: float
    extent: Size | None
    step: float

    def pixels(self, box: Box) -> Box:
        """Return a box of this frame in pixels of the stored image."""
        x1, y1, x2, y2 = box
        return x1 * self.across, y1 * self.down, x2 * self.across, y2 * self.down

    def all_pixels(self, boxes: Sequence[Box]) -> Sequence[Box]:
        """Return boxes of this frame in pixels of the stored image."""
        return boxes if self.across == self.down == 1 else [*map(self.pixels, boxes)]

    def written(self, box: Box) -> Box:
        """Return a box in pixels of the stored image as a model would write it in this frame."""
        scale = (self.across, self.down, self.across, self.down)
        steps = (round(v / unit / self.step) for v, unit in zip(box, scale, strict=True))
        x1, y1, x2, y2 = (round(count * self.step, 3) for count in steps)
        return x1, y1, x2, y2

    @property
    def tolerance(self) -> tuple[float, float]:
        """Half a step across and down, in pixels of the stored image."""
        return self.step / 2 * self.across + 1e-6, self.step / 2 * self.down + 1e-6

    def holds(self, box: Box) -> bool:
        """Whether a box lies in the image, up to rounding; where that is known."""
        if self.extent is None:
            return min(box[0], box[1]) >= -self.step
        width, height = self.extent
        left, top = -width * SLACK, -height * SLACK
        return (
            box[0] >= left and box[1] >= top and box[2] <= width - left and box[3] <= height - top
        )


def frame_of(name: str, target: OnImage) -> Frame:
    """Return the frame of that name for a target's image.

    Raises:
        ConfigError: if the target lacks the sizes that the frame needs.

    >>> frame_of("per-mille", BoxTarget(((),), size=(640.0, 480.0))).pixels((500, 500, 1000, 1000))
    (320.0, 240.0, 640.0, 480.0)
    """
    size, seen = target.size, target.seen
    step = _STEP[name]
    if name == "pixels":
        return Frame(1.0, 1.0, size, step)
    if size is None or (name == "resized" and seen is None):
        field = "size" if size is None else "seen"
        raise ConfigError(
            f"target: it has no {quote(field)}, which boxes in frame {quote(name)} need "
            f"({{'boxes': [...], 'size': [width, height], 'seen': [width, height]}})"
        )
    extent: Size = (1.0, 1.0) if name == "unit" else (1000.0, 1000.0)
    if name == "resized" and seen is not None:
        extent = seen
    return Frame(size[0] / extent[0], size[1] / extent[1], extent, step)


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
    known_fields("target", value, _FIELDS)
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


def iou(one: Box, other: Box) -> float:
    """Return intersection over union of two boxes with positive area, in [0, 1].

    >>> iou((0, 0, 2, 2), (1, 0, 3, 2)).__round__(4)
    0.3333
    """
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = one, other
    across = max(min(ax2, bx2) - max(ax1, bx1), 0.0)
    down = max(min(ay2, by2) - max(ay1, by1), 0.0)
    shared = across * down
    return shared / ((ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - shared)


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
        known_fields("target box", place, _BOX_FIELDS)
        place, label = _plain(place.get("box")), place.get("label")
    box = _box(place)
    if size and not (box[0] >= 0 and box[1] >= 0 and box[2] <= size[0] and box[3] <= size[1]):
        raise ConfigError(f"target box {list(box)} leaves the image of size {list(size)}")
    return TrueBox(box, label_of(label))


def _box(item: object) -> Box:
    if isinstance(item, Sequence) and not isinstance(item, str) and len(item) == 4:
        # What is a number of Python's within bounds needs no further check, nor a message.
        is_plain = all(type(v) in (int, float) and -1e9 <= v <= 1e9 for v in item)
        numbers = map(float, item) if is_plain else (_coordinate(v) for v in item)
        x1, y1, x2, y2 = numbers
        if x2 - x1 > MIN_SIDE and y2 - y1 > MIN_SIDE:
            return x1, y1, x2, y2
    raise ConfigError(f"target box {quote(item)} is not [x1, y1, x2, y2] with x1 < x2, y1 < y2")


def _coordinate(value: object) -> float:
    return number("target box", value, -1e9, 1e9)


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
