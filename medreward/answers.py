"""A right answer as a model would write it: for demonstrations and checks of rewards."""

from __future__ import annotations

import json
from typing import Any

from medreward.regions import BoxTarget, short
from medreward.rewards.frames import frame_of
from medreward.task import Task


def right_answer(task: Task, target: object, frame: str | None = None) -> str:
    """Return the answer that is right for a target, as the task's prompt asks for it.

    Boxes are those of the first annotator, rounded to the steps of their frame: half a pixel, or
    half a thousandth of the image's side, is the most that they are off.

    Args:
        task: the task.
        target: what `Task.parse_target` takes.
        frame: the frame of the boxes, out of `medreward.settings.FRAMES` (default: the card's).

    Raises:
        ConfigError: if the target is not one of the task's, or lacks the size that the frame needs.

    >>> right_answer(Task.load("retinamnist"), 2)
    '2'
    >>> right_answer(Task.load("chestmnist"), [])
    'no finding'
    >>> box = {"box": [64, 48, 320, 240], "label": "WBC"}
    >>> right_answer(Task.load("bccd"), {"boxes": [box], "size": [640, 480]}, "per-mille")
    '[{"bbox_2d": [100, 100, 500, 500], "label": "WBC"}]'
    """
    parsed = task.parse_target(target)
    if task.kind == "localisation":
        return json.dumps(_boxes(task, parsed, frame or task.reward.frame), ensure_ascii=False)
    if task.kind == "multilabel":
        names = [task.labels[i].name for i in sorted(parsed)]
        return ", ".join(names) or task.no_finding[0]
    return str(task.first_grade + parsed) if task.kind == "ordinal" else task.labels[parsed].name


def completion_with(answer: str, reasoning: str = "Looking closely.") -> str:
    """Return a well-formed completion with an answer.

    >>> completion_with("2")
    '<think>Looking closely.</think><answer>2</answer>'
    """
    return f"<think>{reasoning}</think><answer>{answer}</answer>"


def _boxes(task: Task, target: BoxTarget, name: str) -> list[Any]:
    frame = frame_of(name, target)
    written: list[Any] = []
    for box, label in target.boxes:
        corners = [short(float(v)) for v in frame.written(box)]
        named = {"bbox_2d": corners, "label": task.labels[label].name} if label is not None else {}
        written.append(named or corners)
    return written
