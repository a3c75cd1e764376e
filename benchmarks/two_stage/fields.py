"""Fields of blood smears: square windows of BCCD's images, for localisation and classification.

Both tasks ask about the same windows: where the white cells and the platelets are, and which of
them there are. A window that cuts such a cell in two is not used. The kinds are balanced.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL.Image import Resampling, Transpose

from medreward.data.example import Example
from medreward.data.picture import load_file
from medreward.data.sources import voc
from medreward.data.sources.record import NamedBox, ReadingOptions, Record
from medreward.geometry.regions import Box
from medreward.task.task import Task

if TYPE_CHECKING:
    from PIL.Image import Image

WINDOW = 320  # pixels of the smear
SIZE = 84  # pixels of the window as the model gets it
GRID = 6  # boxes are rounded to multiples of so many pixels: 15 numbers to learn
TRIES = 24  # windows drawn in an image
HELD_OUT = 82  # images, of which no window is trained on
TRAIN, TEST = 150, 60  # windows of each kind
WHOLE, TRACE = 0.6, 0.1  # shares of a cell's box: enough to be seen, and too little to be noticed
_KINDS = {"WBC": 1, "Platelets": 2}  # their sum is the index of the kind's label
_HERE = Path(__file__).parent
BOXES, KIND = (Task.load(_HERE / f"{name}.yaml") for name in ("cells_boxes", "cells_kind"))


class Field(NamedTuple):
    """A window: its name, its picture, and the boxes of white cells and platelets in it."""

    name: str
    image: Image
    boxes: tuple[NamedBox, ...]

    @property
    def kind(self) -> int:
        """The index of its label in the classification task."""
        return sum({_KINDS[name] for name, _ in self.boxes})

    def example(self, task: Task, split: str) -> Example:
        """Return it with the target of a task."""
        boxes = [list(box) for _, box in self.boxes]
        target = {"boxes": boxes, "size": [SIZE, SIZE]} if task is BOXES else self.kind
        return Example(self.image, target, self.name, split)


def fields(folder: Path, seed: int) -> tuple[list[Field], list[Field]]:
    """Return the windows to train on and those held out, which come from other images."""
    records = list(voc.open_voc(folder).records)
    random.Random(seed).shuffle(records)
    held_out, train = records[:HELD_OUT], records[HELD_OUT:]
    return _balanced(train, TRAIN, seed), _balanced(held_out, TEST, seed)


def _balanced(records: Sequence[Record], count: int, seed: int) -> list[Field]:
    """Return `count` windows of each kind, fewer where there are not so many, in a random order."""
    chance = random.Random(seed)
    by_kind: list[list[Field]] = [[] for _ in KIND.labels]
    for record in records:
        for field in _windows(record, seed):
            by_kind[field.kind].append(field)
    chosen = [f for found in by_kind for f in chance.sample(found, min(count, len(found)))]
    return chance.sample(chosen, len(chosen))


def _windows(record: Record, seed: int) -> Iterator[Field]:
    chance = random.Random(f"{seed} {record.id}")
    smear = load_file(record.place, ReadingOptions()).image.convert("RGB")
    for number in range(TRIES):
        left = chance.randint(0, smear.width - WINDOW)
        top = chance.randint(0, smear.height - WINDOW)
        mirrored = chance.random() < 0.5
        boxes = _seen(record.boxes or (), left, top)
        if boxes is None:
            continue
        image = smear.crop((left, top, left + WINDOW, top + WINDOW))
        image = image.resize((SIZE, SIZE), Resampling.BILINEAR)
        if mirrored:
            image = image.transpose(Transpose.FLIP_LEFT_RIGHT)
            boxes = [NamedBox(n, (SIZE - b[2], b[1], SIZE - b[0], b[3])) for n, b in boxes]
        yield Field(f"{record.id}-{number}", image, tuple(sorted(boxes, key=lambda one: one.box)))


def _seen(boxes: Sequence[NamedBox], left: int, top: int) -> list[NamedBox] | None:
    """Return the white cells and platelets in a window, None where one of them is cut in two."""
    seen = []
    for name, (x1, y1, x2, y2) in boxes:
        if name not in _KINDS:
            continue
        within = (
            max(x1 - left, 0.0),
            max(y1 - top, 0.0),
            min(x2 - left, WINDOW),
            min(y2 - top, WINDOW),
        )
        width, height = within[2] - within[0], within[3] - within[1]
        share = max(width, 0) * max(height, 0) / ((x2 - x1) * (y2 - y1))
        if share >= WHOLE:
            seen.append(NamedBox(name, _on_grid(within)))
        elif share > TRACE:
            return None
    return seen


def _on_grid(box: Box) -> Box:
    """Return a box in pixels of the small picture, on the grid and at least one step wide."""
    x1, y1, x2, y2 = (v * SIZE / WINDOW / GRID for v in box)
    left, top = min(round(x1), SIZE // GRID - 1), min(round(y1), SIZE // GRID - 1)
    right, bottom = max(round(x2), left + 1), max(round(y2), top + 1)
    return float(left * GRID), float(top * GRID), float(right * GRID), float(bottom * GRID)
