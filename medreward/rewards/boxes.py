"""Localisation: how well predicted boxes cover the true ones.

Predicted and true boxes of the same label are matched one to one so that the sum of their quality
is largest (the Hungarian method), and::

    R_box = (sum of the matched quality) / max(number predicted, number true)

so that surplus, repeated, impossible and missing boxes all cost. With nothing to find, the answer
that says so earns 1 and any box 0. Quality is IoU or one of the others of
`medreward.rewards.box_quality`; boxes are compared in pixels of the stored image.

An answer is correct, and earns 1, when the boxes match one to one and no coordinate is further off
than half a step of its frame: half a pixel, half a thousandth. Anything else earns less than 1.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from medreward.regions import Box, BoxTarget, TrueBox, listed
from medreward.rewards.annotators import over_annotators
from medreward.rewards.box_quality import quality_table
from medreward.rewards.box_reading import ReadBox, read_boxes
from medreward.rewards.frames import Frame, frame_of, is_suspect
from medreward.rewards.verdict import Verdict
from medreward.settings import RewardSettings
from medreward.task import Task

# What the boxes of a wrong answer earn at most: float32 still tells it from 1.
BEST_WRONG = 0.9999


class _Placed(NamedTuple):
    """A predicted box in pixels of the stored image, or None where it cannot be right."""

    box: Box | None
    label: int | None


def box_reward(
    answer: str | None, target: BoxTarget, task: Task, settings: RewardSettings
) -> Verdict:
    """Return R_box in [0, 1] of the boxes in `answer`.

    Raises:
        ConfigError: if the target lacks the size that the frame needs.

    >>> task = Task("lesion", kind="localisation")
    >>> target = task.target_boxes([0, 0, 10, 5])
    >>> box_reward("[[0, 0, 10, 10]]", target, task, RewardSettings()).value
    0.5
    """
    frame = frame_of(settings.frame, target)
    boxes, reason = read_boxes(answer, task)
    if boxes is None:
        return Verdict(0.0, reason)
    placed = [_placed(read, frame) for read in boxes]
    value = over_annotators(
        target,
        settings.annotators,
        lambda true: matched(placed, true, frame, settings.box_quality),
    )
    shown = listed([TrueBox(box, label) for box, label in placed if box], _names(task))
    notes = _notes(boxes, target, frame, settings)
    return Verdict(value, _reason(value, placed, target), json.dumps(shown), notes)


def _placed(read: ReadBox, frame: Frame) -> _Placed:
    """Return a box in pixels; a box that leaves the image cannot be right."""
    if read.box is None or read.problem or not frame.holds(read.box):
        return _Placed(None, read.label)
    return _Placed(frame.pixels(read.box), read.label)


def matched(
    placed: Sequence[_Placed], true: Sequence[TrueBox], frame: Frame, quality: str
) -> float:
    """Return R_box against the boxes of one annotator."""
    usable = [TrueBox(box, label) for box, label in placed if box is not None]
    if not placed or not true or not usable:
        return float(len(placed) == len(true) == 0)
    earned = _assigned(usable, true, frame, quality)
    return earned / max(len(placed), len(true))


def _assigned(
    predicted: Sequence[TrueBox], true: Sequence[TrueBox], frame: Frame, quality: str
) -> float:
    """Return the largest sum of quality over one-to-one matches within labels."""
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    theirs = np.array([box for box, _ in true])
    across, down = frame.tolerance
    half = np.array((across, down, across, down))
    ours = predicted
    if len(set(predicted)) < len(predicted):
        close = (np.abs(theirs[:, None] - theirs[None]) <= 2 * half).all(axis=2)
        ours = _without_copies(predicted, int(close.sum(axis=1).max()))
    places = np.array([box for box, _ in ours])
    table = np.minimum(quality_table(places, theirs, quality), BEST_WRONG)
    is_exact = (np.abs(places[:, None] - theirs[None]) <= half).all(axis=2)
    table[is_exact] = 1.0
    labels = [np.array([-1 if n is None else n for _, n in boxes]) for boxes in (ours, true)]
    table[labels[0][:, None] != labels[1][None]] = 0.0
    return float(table[linear_sum_assignment(table, maximize=True)].sum())


def _without_copies(predicted: Sequence[TrueBox], allowed: int) -> list[TrueBox]:
    """Return the boxes that may match: of equal ones, as many as true boxes are next to equal."""
    seen: Counter[TrueBox] = Counter()
    kept = []
    for one in predicted:
        seen[one] += 1
        if seen[one] <= allowed:
            kept.append(one)
    return kept


def _reason(value: float, placed: Sequence[_Placed], target: BoxTarget) -> str:
    if value >= 1.0:
        return "correct"
    if value > 0:
        return "box_partial"
    return "box_surplus" if placed and not any(target.annotators) else "box_missed"


def _notes(
    boxes: Sequence[ReadBox], target: BoxTarget, frame: Frame, settings: RewardSettings
) -> tuple[str, ...]:
    """Return what else there is to say of an answer's boxes."""
    notes = {read.problem for read in boxes if read.problem}
    places = [read.box for read in boxes if read.box]
    if not all(map(frame.holds, places)):
        notes.add("out_of_image")
    if is_suspect(places, settings.frame, target):
        notes.add("frame_suspect")
    if places and len(boxes) > max(map(len, target.annotators)):
        notes.add("box_surplus")
    return tuple(sorted(notes))


def _names(task: Task) -> list[str]:
    return [label.name for label in task.labels]
