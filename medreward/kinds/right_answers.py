"""A right answer as a model would write it: for demonstrations and checks of rewards."""

from __future__ import annotations

import json
from typing import Any

from medreward.geometry.frames import frame_of
from medreward.geometry.masks import mask_json
from medreward.geometry.regions import BoxTarget, short
from medreward.task.settings import RewardSettings
from medreward.task.task import Task


def right_answer(task: Task, target: object, settings: RewardSettings | None = None) -> str:
    """Return the answer that is right for a target, as the task's prompt asks for it.

    Boxes are those of the first annotator, in the settings' frame and rounded to its steps: half a
    pixel, or half a thousandth of the image's side, is the most that they are off. Where points are
    asked for, they are the boxes' centres; a mask is run lengths.

    Args:
        task: the task.
        target: what `Task.parse_target` takes.
        settings: the reward's settings (default: the card's).

    Raises:
        ConfigError: if the target is not one of the task's, or lacks the size that the frame needs.

    >>> right_answer(Task.load("retinamnist"), 2)
    '2'
    >>> right_answer(Task.load("chestmnist"), [])
    'no finding'
    >>> right_answer(Task.load("bccd"), [{"box": [64, 48, 320, 240], "label": "WBC"}])
    '[{"bbox_2d": [64, 48, 320, 240], "label": "WBC"}]'
    """
    parsed = task.parse_target(target)
    if task.kind == "localisation":
        places = _places(task, parsed, settings or task.reward)
        return json.dumps(places, ensure_ascii=False)
    if task.kind == "segmentation":
        return json.dumps(mask_json(parsed))
    if task.kind == "multilabel":
        names = [task.labels[i].name for i in sorted(parsed)]
        return ", ".join(names) or task.no_finding[0]
    return task.answer_name(parsed)


def completion_with(answer: str, reasoning: str = "Looking closely.") -> str:
    """Return a well-formed completion with an answer.

    >>> completion_with("2")
    '<think>Looking closely.</think><answer>2</answer>'
    """
    return f"<think>{reasoning}</think><answer>{answer}</answer>"


def _places(task: Task, target: BoxTarget, settings: RewardSettings) -> list[Any]:
    """Return the boxes of a target, or a point in each, as JSON-ready lists or mappings."""
    frame = frame_of(settings.frame, target)
    written: list[Any] = []
    for box, label in target.boxes:
        x1, y1, x2, y2 = box
        if settings.box_quality == "point":
            x, y = (x1 + x2) / 2, (y1 + y2) / 2
            written.append([short(v) for v in frame.written((x, y, x, y))[:2]])
            continue
        corners = [short(v) for v in frame.written(box)]
        if label is None:
            written.append(corners)
        else:
            written.append({"bbox_2d": corners, "label": task.labels[label].name})
    return written
