"""What tasks that ask for places share: places to point at, and the phrases for "nothing there"."""

from __future__ import annotations

from collections.abc import Sequence

from medreward.errors import ConfigError, quote
from medreward.geometry.places import PointTarget, parse_places
from medreward.kinds.boxes.read import label_of_box
from medreward.task.task import NO_FINDING, Task

NOTHING_THERE = (
    *NO_FINDING,
    *("none", "null", "nothing", "nothing there", "nothing to find", "nothing found"),
    *("no box", "no boxes", "no bounding box", "no bounding boxes", "no object", "no objects"),
    *("no lesion", "no lesions", "not visible", "not present", "absent"),
)


def place_target(task: Task, target: object) -> PointTarget:
    """Return the boxes or masks of a pointing target (`medreward.geometry.places.parse_places`).

    Raises:
        ConfigError: if `target` is not in one of its forms, or a box's label is not the task's.
    """
    try:
        return parse_places(target, lambda label: label_of_box(task, label))
    except ConfigError as error:
        raise ConfigError(f"task {quote(task.name)}: {error}") from error


def with_nothing_there(task: Task, forms: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the forms of labels, and after them the phrases that say that nothing is there."""
    single = [f"no {form}" for form in forms[0]] if len(forms) == 1 else []
    taken = {form.lower() for group in forms for form in group}
    phrases = (*NOTHING_THERE, *task.no_finding, *single)
    return [*forms, tuple(phrase for phrase in phrases if phrase not in taken)]
