"""The boxes, points or masks of a row's target and of an answer, as shapes to draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from medreward.checks import number
from medreward.errors import ConfigError
from medreward.files.reading import parse_json
from medreward.geometry.masks import parse_mask
from medreward.geometry.places import MaskPlaces, PointTarget, parse_places
from medreward.geometry.regions import BoxTarget, TrueBox
from medreward.kinds.base import TargetType, kind_of, target_type_of
from medreward.scoring.trace import TraceRow
from medreward.sheets.outlines import mask_shape
from medreward.sheets.pictures import Shape, styles
from medreward.task.task import Task
from medreward.task.traits import Trait

_UNNAMED = 1  # the style of what is predicted without a class; true boxes without one have 0


def named_boxes(truth: str, kind: str, task: Task | None) -> list[Shape] | None:
    """Return the boxes or masks of a ground truth, or None where it is not one of places.

    Labels are read as they stand where the task is not known. Of several annotators, each has the
    boxes drawn, with who drew them. Of masks the outlines are drawn.

    >>> [shape.title for shape in named_boxes("[[0, 0, 4, 2]]", "localisation", None)]
    ['true [0, 0, 4, 2]']
    """
    target_type = target_type_of(task.kind if task else kind)
    return None if target_type is None else SHAPES[target_type](truth, task)


def _no_shapes(truth: str, task: Task | None) -> None:
    """Say that a target is shown as text, as labels are."""


def _box_shapes(truth: str, task: Task | None) -> list[Shape] | None:
    names: list[str] = [label.name for label in task.labels] if task else []
    target = _target(truth, task, names)
    if target is None:
        return None
    if isinstance(target, MaskPlaces):
        found = [mask_shape(mask.rle(), "", 0, "true mask") for mask in target.masks]
        return [shape for shape in found if shape]
    lists = target.annotators
    style = styles([*names, ""])
    return [
        Shape(box.box, _name(box, names), style[_name(box, names)], _note(i, len(lists)))
        for i, boxes in enumerate(lists)
        for box in boxes
    ]


def _mask_shapes(truth: str, task: Task | None) -> list[Shape] | None:
    """Return the outline of a mask; nothing where no pixel of it is set."""
    shape = _mask(truth, Shape((0, 0, 0, 0), "", 0, "true mask"))
    return shape if shape is None else [one for one in (shape,) if one.path]


def _mask(text: str, like: Shape) -> Shape | None:
    """Return a mask that a text holds, without an outline where it is empty; None if it is none."""
    try:
        rle = parse_mask(parse_json(text)).rle()
        return mask_shape(rle, like.name, like.style, like.note) or like
    except (ValueError, RecursionError):
        return None


def _field_shapes(truth: str, task: Task | None) -> list[Shape] | None:
    """Return the boxes of the field that is a place; none where there is none."""
    place = task.place_field if task else None
    if task is None or place is None:
        return None
    try:
        own = str(parse_json(truth)[place])
    except (ConfigError, LookupError, TypeError):
        return None
    field = task.fields[place]
    shapes = SHAPES[kind_of(field).target_type](own, field)
    return shapes and [replace(one, name=one.name or place) for one in shapes]


# How a ground truth is drawn, by the type of the kind's targets.
SHAPES: Mapping[TargetType, Callable[[str, Task | None], list[Shape] | None]] = {
    TargetType.QUESTION: _no_shapes,
    TargetType.FINDINGS: _no_shapes,
    TargetType.FIELDS: _field_shapes,
    TargetType.LABEL: _no_shapes,
    TargetType.LABELS: _no_shapes,
    TargetType.BOXES: _box_shapes,
    TargetType.SERIES: _no_shapes,
    TargetType.MASK: _mask_shapes,
    TargetType.PLACES: _box_shapes,
}


def predicted_shapes(answer: TraceRow, task: Task | None, style: Mapping[str, int]) -> list[Shape]:
    """Return the boxes or points that were read from an answer, in pixels of the stored picture.

    >>> [shape.title for shape in predicted_shapes(TraceRow("", prediction="[[3, 4]]"), None, {})]
    ['predicted [3, 4]']
    """
    if task is not None and SHAPES[kind_of(task).target_type] is _no_shapes:
        return []
    if task is not None and Trait.PIXELS in task.traits:
        shape = _mask(answer.prediction or "", Shape((0, 0, 0, 0), "", _UNNAMED, "predicted"))
        return [shape] if shape and shape.path else []
    points = _points(answer.prediction or "")
    if points:
        return [Shape((x, y, x, y), "", _UNNAMED, "predicted") for x, y in points]
    names: list[str] = []
    target = _target(answer.prediction or "", None, names)
    return [
        Shape(box.box, _name(box, names), style.get(_name(box, names), _UNNAMED), "predicted")
        for box in (target.boxes if isinstance(target, BoxTarget) else ())
    ]


def _target(text: str, task: Task | None, names: list[str]) -> PointTarget | None:
    """Return the target that a text holds, or None; `names` takes the labels of no known task."""
    try:
        value = parse_json(text)
        return task.parse_target(value) if task else parse_places(value, _namer(names))
    except (ValueError, RecursionError):
        return None


def _points(text: str) -> list[tuple[float, float]]:
    """Return the points that a prediction holds, or none where it is no list of points."""
    try:
        value = parse_json(text)
        return [(number("x", x, -1e9, 1e9), number("y", y, -1e9, 1e9)) for x, y in value]
    except (ValueError, TypeError, RecursionError):
        return []


def _namer(names: list[str]) -> Any:
    def index(label: object) -> int | None:
        if label is None:
            return None
        if str(label) not in names:
            names.append(str(label))
        return names.index(str(label))

    return index


def _name(box: TrueBox, names: Sequence[str]) -> str:
    return "" if box.label is None else names[box.label]


def _note(annotator: int, count: int) -> str:
    return "true" if count == 1 else f"annotator {annotator + 1}"
