"""Targets of tasks that ask for places: their boxes, and the phrases for "nothing there"."""

from __future__ import annotations

from collections.abc import Sequence

from medreward.errors import ConfigError, expected, quote
from medreward.geometry.places import PointTarget, parse_places
from medreward.geometry.regions import BoxTarget, parse_boxes
from medreward.task.task import NO_FINDING, Task

NOTHING_THERE = (
    *NO_FINDING,
    *("none", "null", "nothing", "nothing there", "nothing to find", "nothing found"),
    *("no box", "no boxes", "no bounding box", "no bounding boxes", "no object", "no objects"),
    *("no lesion", "no lesions", "not visible", "not present", "absent"),
)


def box_target(task: Task, target: object) -> BoxTarget:
    """Return the boxes of a target of a task of places.

    Raises:
        ConfigError: if `target` is not in one of its forms, or a box's label is not the task's.
    """
    try:
        return parse_boxes(target, lambda label: _box_label(task, label))
    except ConfigError as error:
        raise ConfigError(f"task {quote(task.name)}: {error}") from error


def place_target(task: Task, target: object) -> PointTarget:
    """Return the boxes or masks of a pointing target (`medreward.geometry.places.parse_places`).

    Raises:
        ConfigError: if `target` is not in one of its forms, or a box's label is not the task's.
    """
    try:
        return parse_places(target, lambda label: _box_label(task, label))
    except ConfigError as error:
        raise ConfigError(f"task {quote(task.name)}: {error}") from error


def with_nothing_there(task: Task, forms: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the forms of labels, and after them the phrases that say that nothing is there."""
    single = [f"no {form}" for form in forms[0]] if len(forms) == 1 else []
    taken = {form.lower() for group in forms for form in group}
    phrases = (*NOTHING_THERE, *task.no_finding, *single)
    return [*forms, tuple(phrase for phrase in phrases if phrase not in taken)]


def _box_label(task: Task, label: object) -> int | None:
    """Return the index of a true box's label; where there is one label, it may be left out."""
    names = [known.name for known in task.labels]
    if not names or (label is None and len(names) == 1):
        return 0 if names else None
    index = task.lexicon.label(label) if isinstance(label, str) else None
    if index is None or index >= len(names):
        raise expected("target box label", label, names)
    return index
