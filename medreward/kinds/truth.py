"""Ground truths: a target as the text that all rows of a data set can hold, and back."""

from __future__ import annotations

from typing import Any

from medreward.geometry.regions import Size
from medreward.kinds.base import kind_of
from medreward.task.task import Task


def ground_truth(task: Task, target: object) -> str:
    """Return a target as the text that all rows of a data set can hold.

    >>> ground_truth(Task.load("retinamnist"), 2), ground_truth(Task.load("pneumoniamnist"), 1)
    ('2', 'pneumonia')

    Raises:
        ConfigError: if it is not one of the task's.
    """
    kind = kind_of(task)
    return kind.to_text(task, kind.parse(task, target))


def target_of(task: Task, truth: Any) -> Any:
    """Return the target that a row's ground truth stands for: the inverse of `ground_truth`.

    >>> target_of(Task.load("mni152_brain_box"), "[[0, 0, 10, 5]]")
    [[0, 0, 10, 5]]

    Raises:
        ConfigError: if boxes, or a list of labels, are not JSON.
    """
    return kind_of(task).from_text(task, truth) if isinstance(truth, str) else truth


def target_size(task: Task, truth: Any) -> Size | None:
    """Return width and height of the image that a ground truth is for, where it says so.

    >>> target_size(Task.load("mni152_brain_box"), '{"boxes": [], "size": [60, 40]}')
    (60.0, 40.0)
    """
    kind = kind_of(task)
    if not task.has_places:
        return None
    return kind.size(kind.parse(task, target_of(task, truth)))
