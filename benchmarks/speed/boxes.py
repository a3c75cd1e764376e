"""Boxes against the IoU of other libraries and a plain loop, with the same one-to-one matching."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from pycocotools import mask as coco
from scipy.optimize import linear_sum_assignment

from benchmarks.speed.measure import Pair, Row, compared, equal, installed
from medreward import Task
from medreward.geometry.regions import frame_of
from medreward.kinds.boxes.match import box_reward, match_boxes
from medreward.kinds.boxes.read import BoxAnswer
from tests.peers import boxes_of

TASK = Task.load("mni152_brain_box")
CELLS = Task.load("bccd")
Boxes = list[list[int]]
Table = Callable[[Boxes, Boxes], Any]
IMAGES, MOST = 4096, 50
SHORT = 64


def by_coco(mask: Any, predicted: Boxes, true: Boxes) -> Any:
    """Return the table of IoU by pycocotools' module of masks, or another with its functions."""
    sides = [[[x1, y1, x2 - x1, y2 - y1] for x1, y1, x2, y2 in b] for b in (predicted, true)]
    return mask.iou(*(np.array(b, dtype=float) for b in sides), [0] * len(true))


pycocotools = partial(by_coco, coco)


def torchmetrics(iou: Any, predicted: Boxes, true: Boxes) -> Any:
    import torch

    sides = (torch.tensor(boxes, dtype=torch.float32) for boxes in (predicted, true))
    return iou(*sides, aggregate=False).numpy()


def tables() -> Iterator[tuple[str, Table, float]]:
    """Yield the alternatives that are installed, and how far their values may be off."""
    yield "a plain loop", plain_loop, 1e-9
    yield "pycocotools' IoU", pycocotools, 1e-9
    if faster := installed("faster_coco_eval.core.mask"):
        yield "faster-coco-eval's IoU", partial(by_coco, faster), 1e-9
    metrics = installed("torchvision") and installed("torchmetrics.functional.detection")
    if metrics:
        iou = partial(torchmetrics, metrics.intersection_over_union)
        yield "torchmetrics' IoU (float32)", iou, 1e-6


def plain_loop(predicted: Boxes, true: Boxes) -> Any:
    table = []
    for ax1, ay1, ax2, ay2 in predicted:
        row = []
        for bx1, by1, bx2, by2 in true:
            width = max(0, min(ax2, bx2) - max(ax1, bx1))
            height = max(0, min(ay2, by2) - max(ay1, by1))
            areas = (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1)
            row.append(width * height / (areas - width * height))
        table.append(row)
    return np.array(table)


def assigned(table: Any) -> float:
    """Return R_box: both sides of the comparison are matched by scipy."""
    return float(table[linear_sum_assignment(table, maximize=True)].sum() / max(table.shape))


def images(count: int, most: int = MOST, least: int = 1) -> Iterator[tuple[Boxes, Boxes]]:
    """Yield predicted and true boxes: four in five near a true one, the others anywhere."""
    chance = random.Random(0)

    def anywhere() -> list[int]:
        x, y = chance.randrange(560), chance.randrange(400)
        return [x, y, x + chance.randrange(10, 80), y + chance.randrange(10, 80)]

    for i in range(count):
        true = [anywhere() for _ in range(least + i % (most - least + 1))]
        near = [[v + chance.randrange(4) for v in box[:2]] + box[2:] for box in true]
        yield [box if chance.random() < 0.8 else anywhere() for box in near], true


def from_text(made: Sequence[tuple[Boxes, Boxes]], short: bool) -> Iterator[Row]:
    """Read the answer's text and score it."""
    answers = [json.dumps(predicted) for predicted, _ in made]
    tagged = [f"<answer>{answer}</answer>" for answer in answers]
    targets = [TASK.parse_target(true) for _, true in made]
    settings = TASK.reward

    def ours() -> list[float]:
        rows = zip(answers, targets, strict=True)
        return [box_reward(answer, target, TASK, settings).value for answer, target in rows]

    def by(table: Table) -> list[float]:
        rows = zip(tagged, made, strict=True)
        return [assigned(table(boxes_of(text), true)) for text, (_, true) in rows]

    def least() -> None:
        for answer in answers:
            json.loads(answer)

    bound = "a JSON parser in C", least
    yield from _against("boxes, text to reward", ours, by, len(made), bound, short)


def from_numbers(made: Sequence[tuple[Boxes, Boxes]], short: bool) -> Iterator[Row]:
    """Score boxes that are read already."""
    settings = TASK.reward
    targets = [TASK.parse_target(true) for _, true in made]
    frame = frame_of(settings.frame, targets[0])
    read = [
        BoxAnswer([*map(tuple, predicted)], [None] * len(predicted), len(predicted))  # type: ignore[list-item]
        for predicted, _ in made
    ]

    def ours() -> list[float]:
        rows = zip(read, targets, strict=True)
        return [match_boxes(placed, target.boxes, frame, "iou") for placed, target in rows]

    def by(table: Table) -> list[float]:
        return [assigned(table(predicted, true)) for predicted, true in made]

    tables = [pycocotools(*row) for row in made]

    def least() -> None:
        for table in tables:
            linear_sum_assignment(table, maximize=True)

    bound = "scipy's matching", least
    yield from _against("boxes, read already", ours, by, len(made), bound, short)


def with_labels(made: Sequence[tuple[Boxes, Boxes]], short: bool) -> Iterator[Row]:
    """Read boxes and their labels, and match within labels."""
    chance = random.Random(1)
    names = [label.name for label in CELLS.labels]
    true = [[(chance.choice(names), box) for box in boxes] for _, boxes in made]
    answers = [
        json.dumps([{"bbox_2d": box, "label": n} for (n, _), box in zip(named, boxes, strict=True)])
        for named, (boxes, _) in zip(true, made, strict=True)
    ]
    targets = [CELLS.parse_target([{"box": b, "label": n} for n, b in named]) for named in true]

    def ours() -> list[float]:
        rows = zip(answers, targets, strict=True)
        return [box_reward(answer, target, CELLS, CELLS.reward).value for answer, target in rows]

    def by(table: Table) -> list[float]:
        return [_within_labels(*row, table) for row in zip(answers, true, strict=True)]

    def least() -> None:
        for answer in answers:
            json.loads(answer)

    bound = "a JSON parser in C", least
    yield from _against("boxes with labels, text to reward", ours, by, len(made), bound, short)


def _within_labels(answer: str, true: list[tuple[str, list[int]]], table: Table) -> float:
    """Return R_box by one matching for each label that both sides have."""
    found = json.loads(answer)
    earned = 0.0
    for label in {name for name, _ in true}:
        ours = [one["bbox_2d"] for one in found if one["label"] == label]
        theirs = [box for name, box in true if name == label]
        if ours:
            quality = table(ours, theirs)
            earned += quality[linear_sum_assignment(quality, maximize=True)].sum()
    return float(earned / max(len(found), len(true)))


def _against(
    what: str,
    ours: Callable[[], list[float]],
    by: Callable[[Table], list[float]],
    count: int,
    bound: tuple[str, Callable[[], None]],
    short: bool,
) -> Iterator[Row]:
    inputs = f"{count:,} images of 1 to {MOST} boxes"
    for name, table, near in tables():
        pair = Pair(ours, partial(by, table), equal(near), count, *bound)
        yield compared((what, inputs, f"{name}, scipy"), pair, 0 if short else 3)


def rows(short: bool) -> Iterator[Row]:
    made = list(images(SHORT if short else IMAGES))
    yield from from_text(made, short)
    yield from with_labels(made, short)
    yield from from_numbers(made, short)
