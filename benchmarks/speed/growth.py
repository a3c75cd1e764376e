"""How time grows with length, group, labels, boxes, masks: docs/evidence/performance.svg."""

from __future__ import annotations

import json
import math
import random
import string
from collections.abc import Callable, Iterator
from itertools import pairwise
from time import process_time
from typing import Any, NamedTuple

from pycocotools import mask as coco
from tqdm import tqdm

from benchmarks.linear import SEGMENTATION, SQUARE, slope
from benchmarks.speed import boxes, texts
from medreward import Task
from medreward.scoring.scorer import Scorer

ENOUGH = 0.02  # seconds of a run, so that the clock and the machine's noise matter little
RUNS = 3
RETINA = Task.load("retinamnist")
[SIDE, _] = SQUARE["size"]


class Curve(NamedTuple):
    """Seconds by size, and the exponent over the upper half of the sizes (1 is linear)."""

    name: str
    unit: str
    sizes: list[int]
    seconds: list[float]

    @property
    def exponent(self) -> float:
        half = len(self.sizes) // 2
        return slope(self.sizes[half:], self.seconds[half:], 0.0)


def curves(only: int | None = None) -> Iterator[Curve]:
    """Yield a curve for each thing that can grow; `only` so many of the least sizes."""
    for name, unit, sizes, work_of in _AXES:
        kept = sizes[:only]
        seconds = [_least(work_of(size)) for size in tqdm(kept, desc=name, disable=None)]
        yield Curve(name, unit, kept, seconds)


def _least(work: Callable[[], Any]) -> float:
    """Return the seconds of a call, the least of some runs that repeat it often enough."""
    start = process_time()
    work()
    times = max(1, round(ENOUGH / max(1e-9, process_time() - start)))
    runs = []
    for _ in range(RUNS):
        start = process_time()
        for _ in range(times):
            work()
        runs.append((process_time() - start) / times)
    return min(runs)


def _length(kilobytes: int) -> Callable[[], Any]:
    words = kilobytes * 1024 // 6
    text = texts.completion(random.Random(0), RETINA.knowledge_text(), 0.15, "2", words)
    scorer = Scorer(RETINA)
    return lambda: scorer.score(text, 2)


def _group(size: int) -> Callable[[], Any]:
    group = texts.batch(RETINA.knowledge_text(), size)
    scorer = Scorer(RETINA)
    return lambda: scorer.score_group(group, [2] * size, [None] * size)


def labelled(count: int) -> Task:
    """Return a task with so many labels, words of ten letters of which no two are close."""
    chance = random.Random(0)
    names = ("".join(chance.choices(string.ascii_lowercase, k=10)) for _ in range(count))
    return Task("many", labels=list(names))


def _labels(count: int) -> Callable[[], Any]:
    """Score a plain answer among many labels."""
    task = labelled(count)
    scorer = Scorer(task)
    answer = f"<think>x</think><answer>the finding is {task.labels[-1].name}</answer>"
    assert scorer.score(answer, count - 1).correct
    return lambda: scorer.score(answer, count - 1)


def _misspelt(count: int) -> Callable[[], Any]:
    """Score a misspelt answer, which has to be held against all labels with its first letter."""
    task = labelled(count)
    scorer = Scorer(task)
    name = task.labels[-1].name
    answer = f"<think>x</think><answer>the finding is {name[:-1]}</answer>"
    assert scorer.score(answer, count - 1).correct
    return lambda: scorer.score(answer, count - 1)


def _boxes(count: int) -> Callable[[], Any]:
    [(predicted, true)] = boxes.images(1, count, count)
    scorer = Scorer(boxes.TASK)
    text = f"<think>x</think><answer>{json.dumps(predicted)}</answer>"
    return lambda: scorer.score(text, true)


def _mask(answer: str) -> Callable[[], Any]:
    scorer = Scorer(SEGMENTATION)
    target = SEGMENTATION.parse_target(SQUARE)
    text = f"<think>x</think><answer>{answer}</answer>"
    assert scorer.score(text, target).reasons == ("mask_partial",)
    return lambda: scorer.score(text, target)


def _runs(count: int) -> Callable[[], Any]:
    """Score a mask of so many runs of 0 and 1, packed."""
    chance = random.Random(0)
    borders = sorted(chance.sample(range(1, SIDE * SIDE), count - 1))
    runs = [after - before for before, after in pairwise([0, *borders, SIDE * SIDE])]
    rle = coco.frPyObjects({"size": [SIDE, SIDE], "counts": runs}, SIDE, SIDE)
    return _mask(json.dumps({"size": [SIDE, SIDE], "counts": rle["counts"].decode("ascii")}))


def _corners(count: int) -> Callable[[], Any]:
    """Score a polygon of so many corners, on a circle."""
    turns = (2 * math.pi * i / count for i in range(count))
    polygon = [round(SIDE * (0.5 + 0.4 * f(t)), 1) for t in turns for f in (math.cos, math.sin)]
    return _mask(json.dumps([polygon]))


_AXES: list[tuple[str, str, list[int], Callable[[int], Callable[[], Any]]]] = [
    ("length of the completion", "KB", [1, 4, 16, 64, 256, 1024, 4096], _length),
    ("completions in the group", "", [1, 4, 16, 64, 256, 512, 1024, 2048, 4096], _group),
    ("labels, plain answer", "", [2, 10, 100, 1000, 3000, 10_000], _labels),
    ("labels, misspelt answer", "", [2, 10, 100, 1000, 3000, 10_000], _misspelt),
    ("boxes, true and predicted", "", [1, 2, 5, 10, 20, 35, 50, 70, 100], _boxes),
    ("runs of a mask's RLE", "", [2**k for k in range(4, 16)], _runs),
    ("corners of a mask's polygon", "", [2**k for k in range(2, 13)], _corners),
]
