"""Sample targets of tasks of places, with honest answers in the task's own frame."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any

from medreward.files.reading import parse_json
from medreward.geometry.masks import MaskTarget, is_empty, parse_mask
from medreward.geometry.places import PointTarget, bounds, places_of
from medreward.geometry.regions import Box, BoxTarget, OnImage, frame_of
from medreward.kinds.box_targets import place_target
from medreward.kinds.boxes.read import box_target
from medreward.kinds.honest import SAMPLE_SIZE, Honest
from medreward.task.task import Task

# What is to be found in the image of a task's own targets.
_BOXES: tuple[tuple[Box, ...], ...] = (
    ((40, 120, 100, 170),),
    ((20, 30, 60, 70), (120, 130, 180, 170)),
    (),
)
_FAR: Box = (190, 2, 210, 16)  # where nothing is


def box_text(boxes: Sequence[Sequence[float]], names: Sequence[str] = ()) -> str:
    """Return boxes as a model writes them: JSON, whole numbers without a point.

    >>> box_text([(0, 0, 9, 9.5)]), box_text([(0, 0, 9, 9)], ["WBC"])
    ('[[0, 0, 9, 9.5]]', '[{"bbox_2d": [0, 0, 9, 9], "label": "WBC"}]')
    """
    rows = [[int(v) if v == int(v) else round(v, 4) for v in box] for box in boxes]
    if not names:
        return json.dumps(rows)
    pairs = zip(rows, names, strict=True)
    return json.dumps([{"bbox_2d": row, "label": name} for row, name in pairs])


def moved_right(box: Box, share: float) -> Box:
    """Return a box moved to the right by a share of its width: IoU (1 - share) / (1 + share)."""
    step = (box[2] - box[0]) * share
    return (box[0] + step, box[1], box[2] + step, box[3])


def honest_boxes(
    task: Task, targets: Sequence[object] | None, right: Callable[[BoxTarget], str]
) -> Iterator[Honest]:
    """Yield each target of a localisation task with its honest answers and its boxes."""
    for target in _own_targets(task) if targets is None else targets:
        parsed = box_target(task, target)
        extent = parsed.size or _extent(parsed)
        scale = _scale(task, parsed)
        right_one = right(parsed)
        boxes = [_place(entry) for entry in parse_json(right_one)]
        names = [task.labels[label].name for _, label in parsed.boxes if label is not None]
        shift = (extent[0] + 5, extent[1] + 5) if parsed.size is None else (0.0, 0.0)
        far: Box = _scaled(tuple(v + shift[i % 2] for i, v in enumerate(_FAR)), scale)  # type: ignore[arg-type]
        first = [label.name for label in task.labels[:1]]
        wrong = [box_text([far], first)]
        if boxes:
            wrong += ["[]", *_renamed(boxes, names, task)]
        near = []
        if boxes:  # all of them half off, or one too many
            near.append(box_text([moved_right(box, 0.5) for box in boxes], names))
            near.append(box_text([*boxes, far], [*names, *first]))
        yield Honest(
            target,
            right=right_one,
            wrong=tuple(wrong),
            near=(*near, *wrong),
            boxes=tuple(boxes),
            classes=tuple(names) or tuple(first),
            size=(extent[0] * scale[0], extent[1] * scale[1]),
            empty=not boxes,
        )


def honest_masks(
    task: Task, targets: Sequence[object] | None, right: Callable[[MaskTarget], str]
) -> Iterator[Honest]:
    """Yield each target of a segmentation task with its honest answers: run lengths, polygons."""
    size = [*map(int, SAMPLE_SIZE)]
    own = [{"polygons": [*map(_polygon, boxes)], "size": size, "seen": size} for boxes in _BOXES]
    for target in own if targets is None else targets:
        parsed = parse_mask(target)
        scale = _scale(task, parsed)
        wrong = [json.dumps([_polygon(_scaled(_FAR, scale))])]
        empty = is_empty(parsed)
        wrong += [] if empty else ["[]"]
        yield Honest(target, right(parsed), wrong=tuple(wrong), near=tuple(wrong), empty=empty)


def honest_points(
    task: Task, targets: Sequence[object] | None, right: Callable[[PointTarget], str]
) -> Iterator[Honest]:
    """Yield each target of a pointing task, boxes or masks, with its honest answers."""
    size = [*SAMPLE_SIZE]
    masks = [{"masks": [{"polygons": [_polygon(_BOXES[0][0])]}], "size": size, "seen": size}]
    own = [*_own_targets(task), *(masks if find_spec("pycocotools") else [])]
    for target in own if targets is None else targets:
        parsed = place_target(task, target)
        boxes = bounds(parsed)
        extent = parsed.size or _extent(parsed)
        scale = _scale(task, parsed)
        right_one = right(parsed)
        points = parse_json(right_one)
        far = [(extent[0] - 1) * scale[0], (extent[1] - 1) * scale[1]]
        if places_of(parsed).hits([(extent[0] - 1, extent[1] - 1)]).any():
            far = [0.0, 0.0]
        wrong = [box_text([far]), *(["[]"] if points else [])]
        near = [box_text([*points, far]), box_text(points[:-1])] if points else []
        yield Honest(
            target,
            right=right_one,
            wrong=tuple(wrong),
            near=(*near, *wrong),
            boxes=tuple(_scaled(box, scale) for box in boxes),
            size=(extent[0] * scale[0], extent[1] * scale[1]),
            empty=not boxes,
        )


def _place(entry: Any) -> Box:
    """Return the box of an entry of a right answer, in the frame and the rounding of the answer."""
    x1, y1, x2, y2 = entry["bbox_2d"] if isinstance(entry, dict) else entry
    return float(x1), float(y1), float(x2), float(y2)


def _polygon(box: Box) -> list[float]:
    x1, y1, x2, y2 = box
    return [x1, y1, x2, y1, x2, y2, x1, y2]


def _own_targets(task: Task) -> Iterator[object]:
    names = [label.name for label in task.labels]
    framed = task.reward.frame != "pixels"
    for boxes in _BOXES:
        rows = [
            {"box": [*box], "label": names[i % len(names)]} if names else [*box]
            for i, box in enumerate(boxes)
        ]
        yield {"boxes": rows, "size": [*SAMPLE_SIZE], "seen": [*SAMPLE_SIZE]} if framed else rows


def _extent(target: BoxTarget) -> tuple[float, float]:
    """Return how far the boxes reach, and no less than `SAMPLE_SIZE`."""
    corners: list[Box] = [box for box, _ in target.boxes]
    return (
        max([SAMPLE_SIZE[0], *(box[2] for box in corners)]),
        max([SAMPLE_SIZE[1], *(box[3] for box in corners)]),
    )


def _scale(task: Task, target: OnImage) -> tuple[float, float]:
    """Return what a pixel across and down is in the frame of the answers."""
    frame = frame_of(task.reward.frame, target)
    return 1 / frame.across, 1 / frame.down


def _scaled(box: Box, scale: tuple[float, float]) -> Box:
    across, down = scale
    return box[0] * across, box[1] * down, box[2] * across, box[3] * down


def _renamed(boxes: Sequence[Box], names: Sequence[str], task: Task) -> list[str]:
    """Return the right boxes under wrong labels, where a task has more than one."""
    every = [label.name for label in task.labels]
    if len(every) < 2:
        return []
    others = [every[(every.index(name) + 1) % len(every)] for name in names]
    return [box_text(boxes, others)]
