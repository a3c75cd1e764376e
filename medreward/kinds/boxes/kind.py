"""Localisation: how well predicted boxes cover the true ones.

Predicted and true boxes of the same label are matched one to one so that the sum of their quality
is largest (the Hungarian method), and::

    R_box = (sum of the matched quality) / max(number predicted, number true)

so that surplus, repeated, impossible and missing boxes all cost. With nothing to find, the answer
that says so earns 1 and any box 0. Quality is IoU or one of the others of
`medreward.geometry.quality`; boxes are compared in pixels of the stored image.

An answer is correct, and earns 1, when the boxes match one to one and no coordinate is further off
than half a step of its frame: half a pixel, half a thousandth. Anything else earns less than 1.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from medreward.geometry.consensus import over_annotators
from medreward.geometry.frames import Frame, frame_of, is_suspect
from medreward.geometry.quality import Pairs, Table, columns, quality_of_pairs
from medreward.geometry.regions import Box, BoxTarget, Size, TrueBox, box_json, list_boxes, short
from medreward.kinds.base import Kind, TargetType
from medreward.kinds.box_targets import box_target, with_nothing_there
from medreward.kinds.boxes.match import bar_copies, best_sum
from medreward.kinds.boxes.plain import Predicted, predicted_boxes
from medreward.kinds.honest import Honest
from medreward.kinds.json_text import json_target
from medreward.kinds.place_samples import honest_boxes
from medreward.kinds.verdict import BEST_WRONG, Verdict, cap_partial
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.task.traits import Trait


class Placed(NamedTuple):
    """Predicted boxes in pixels of the stored image.

    Attributes:
        total: how many there are, with those that cannot be right.
        boxes: those that may be right.
        labels: the label of each of `boxes`.
    """

    total: int
    boxes: Sequence[Box]
    labels: Sequence[int | None]


def box_reward(
    answer: str | None, target: BoxTarget, task: Task, settings: RewardSettings
) -> Verdict:
    """Return R_box in [0, 1] of the boxes in `answer`.

    Raises:
        ConfigError: if the target lacks the size that the frame needs.

    >>> task = Task("lesion", kind="localisation")
    >>> target = task.parse_target([0, 0, 10, 5])
    >>> box_reward("[[0, 0, 10, 10]]", target, task, RewardSettings()).value
    0.5
    """
    frame = frame_of(settings.frame, target)
    found, reason = predicted_boxes(answer, task)
    if found is None:
        return Verdict(0.0, reason)
    placed = _placed(found, frame, task)
    earned = over_annotators(
        target,
        settings.annotators,
        lambda true: match_boxes(placed, true, frame, settings.box_quality),
    )
    value = cap_partial(earned)
    notes = _notes(found, target, frame, settings)
    return Verdict(value, _reason(value, placed, target), _written(placed, found, task), notes)


def _placed(found: Predicted, frame: Frame, task: Task) -> Placed:
    """Return the boxes in pixels, without those that leave the image or whose label is unknown."""
    boxes, labels = found.boxes, found.labels
    if found.problems or not frame.holds(found.outer):
        kept = [
            (box, label)
            for box, label in zip(boxes, labels, strict=True)
            if frame.holds(box) and not (task.labels and label is None)
        ]
        boxes, labels = [box for box, _ in kept], [label for _, label in kept]
    return Placed(found.total, frame.all_pixels(boxes), labels)


def match_boxes(placed: Placed, true: tuple[TrueBox, ...], frame: Frame, quality: str) -> float:
    """Return R_box against the boxes of one annotator."""
    if not (placed.boxes and true):
        return float(placed.total == len(true) == 0)
    return _assign_boxes(placed, true, frame, quality) / max(placed.total, len(true))


def _assign_boxes(placed: Placed, true: tuple[TrueBox, ...], frame: Frame, quality: str) -> float:
    """Return the largest sum of quality over one-to-one matches within labels."""
    import numpy as np

    theirs, names = _true_columns(true)
    across, down = frame.tolerance
    half = across if across == down else np.array((across, down) * 2)[:, None, None]
    boxes, labels = placed.boxes, placed.labels
    pairs = Pairs.of(columns(boxes), theirs)
    table = quality_of_pairs(pairs, quality, BEST_WRONG)
    table[_within(pairs, half)] = 1.0
    if len({*labels, *names}) > 1:
        table[np.not_equal.outer(np.array(labels), np.array(names))] = 0.0
    if len(set(boxes)) < len(boxes):
        given = [*zip(boxes, labels, strict=True)]
        bar_copies(table, given, lambda: _twins(theirs, names, 2 * half))
    return best_sum(table)


def _within(pairs: Pairs, reach: Table | float) -> Table:
    """Return for each pair whether no coordinates are further apart than `reach`."""
    return (abs(pairs.predicted - pairs.true) <= reach).all(axis=0)


@lru_cache(maxsize=4096)
def _true_columns(true: tuple[TrueBox, ...]) -> tuple[Table, tuple[int | None, ...]]:
    """Return true boxes as `columns` and their labels, once for a group; not to be written to."""
    return columns([box for box, _ in true]), tuple(label for _, label in true)


def _twins(true: Table, names: Sequence[int | None], reach: Table | float) -> Table:
    """Return for each two true boxes whether they have one label and are next to equal."""
    import numpy as np

    same = np.equal.outer(np.array(names), np.array(names))
    return _within(Pairs.of(true, true), reach) & same


def _written(placed: Placed, found: Predicted, task: Task) -> str:
    """Return the boxes as JSON text, as a target has them."""
    if found.text and placed.boxes is found.boxes:
        return found.text
    names = [label.name for label in task.labels]
    return json.dumps(list_boxes([*map(TrueBox, placed.boxes, placed.labels)], names))


def _reason(value: float, placed: Placed, target: BoxTarget) -> str:
    if value >= 1.0:
        return "correct"
    if value > 0:
        return "box_partial"
    return "box_surplus" if placed.total and not any(target.annotators) else "box_missed"


def _notes(
    found: Predicted, target: BoxTarget, frame: Frame, settings: RewardSettings
) -> tuple[str, ...]:
    """Return what else there is to say of an answer's boxes."""
    notes = set(found.problems)
    if not frame.holds(found.outer):
        notes.add("out_of_image")
    if is_suspect(found.boxes, settings.frame, target, found.outer):
        notes.add("frame_suspect")
    if found.boxes and found.total > max(map(len, target.annotators)):
        notes.add("box_surplus")
    return tuple(sorted(notes))


class Localisation(Kind):
    """Boxes, with labels where the card has some."""

    name = "localisation"
    traits = frozenset((Trait.PLACES, Trait.BOXES, Trait.MAY_BE_EMPTY, Trait.PARTIAL_CREDIT))
    target_type = TargetType.BOXES
    settings = ("frame", "box_quality", "annotators")

    def check(self, task: Task) -> None:
        """Take any number of labels."""

    def forms(self, task: Task) -> list[tuple[str, ...]]:
        """Return the forms of each label, and the phrases that say that nothing is there."""
        return with_nothing_there(task, super().forms(task))

    def parse(self, task: Task, target: object) -> BoxTarget:
        """Return the boxes of a target (`medreward.geometry.regions.parse_boxes`).

        >>> task = Task("smear", kind="localisation", labels=["RBC", "WBC"])
        >>> task.parse_target([{"box": [0, 0, 9, 9], "label": "wbc"}]).boxes[0].label
        1
        """
        return box_target(task, target)

    def to_text(self, task: Task, target: BoxTarget) -> str:
        """Return the boxes as JSON."""
        return box_json(target, [label.name for label in task.labels])

    def from_text(self, task: Task, text: str) -> object:
        """Return what JSON text of boxes holds."""
        return json_target(task, text, "boxes [[x1, y1, x2, y2]]")

    def size(self, target: BoxTarget) -> Size | None:
        """Return the size of the image that the boxes are for."""
        return target.size

    def reward(
        self, answer: str | None, target: BoxTarget, task: Task, settings: RewardSettings
    ) -> Verdict:
        """Return R_box."""
        return box_reward(answer, target, task, settings)

    def best_wrong(self, task: Task, settings: RewardSettings) -> float:
        """Return what boxes that are nearly right earn."""
        return BEST_WRONG

    def template(self, task: Task) -> str:
        """Return the template with labels for a card that has some."""
        return "labelled_localisation" if task.labels else self.name

    def right(self, task: Task, target: BoxTarget, settings: RewardSettings) -> str:
        """Return the first annotator's boxes as JSON, in the settings' frame."""
        frame = frame_of(settings.frame, target)
        written: list[Any] = []
        for box, label in target.boxes:
            corners = [short(v) for v in frame.written(box)]
            if label is None:
                written.append(corners)
            else:
                written.append({"bbox_2d": corners, "label": task.labels[label].name})
        return json.dumps(written, ensure_ascii=False)

    def honest(self, task: Task, targets: Sequence[object] | None) -> Iterator[Honest]:
        """Yield one place, two and none, or each of `targets`."""
        return honest_boxes(task, targets)
