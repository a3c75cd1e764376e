"""The kind `localisation`: boxes, read by `read` and rewarded by `match`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from medreward.geometry.regions import BoxTarget, Size, box_json, frame_of, short
from medreward.kinds.base import Kind, TargetType
from medreward.kinds.box_targets import with_nothing_there
from medreward.kinds.boxes.match import box_reward
from medreward.kinds.boxes.read import box_target
from medreward.kinds.honest import Honest
from medreward.kinds.json_text import json_target
from medreward.kinds.place_samples import honest_boxes
from medreward.kinds.verdict import BEST_WRONG
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.task.traits import Trait


class Localisation(Kind):
    """Boxes, with labels where the card has some."""

    name = "localisation"
    traits = frozenset((Trait.PLACES, Trait.BOXES, Trait.MAY_BE_EMPTY, Trait.PARTIAL_CREDIT))
    target_type = TargetType.BOXES
    settings = ("frame", "box_quality", "box_threshold", "annotators")

    def check(self, task: Task) -> None:
        """Take any number of labels."""

    def forms(self, task: Task) -> list[tuple[str, ...]]:
        """Return the forms of each label, and the phrases that say that nothing is there."""
        return with_nothing_there(task, super().forms(task))

    # The functions themselves: a box answer's way is as short as that.
    parse = staticmethod(box_target)
    reward = staticmethod(box_reward)

    def to_text(self, task: Task, target: BoxTarget) -> str:
        """Return the boxes as JSON."""
        return box_json(target, [label.name for label in task.labels])

    def from_text(self, task: Task, text: str) -> object:
        """Return what JSON text of boxes holds."""
        return json_target(task, text, "boxes [[x1, y1, x2, y2]]")

    def size(self, target: BoxTarget) -> Size | None:
        """Return the size of the image that the boxes are for."""
        return target.size

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
                written.append({"bbox_2d": corners, "label": task.labels[label].shown})
        return json.dumps(written, ensure_ascii=False)

    def honest(self, task: Task, targets: Sequence[object] | None) -> Iterator[Honest]:
        """Yield one place, two and none, or each of `targets`."""
        return honest_boxes(task, targets, lambda one: self.right(task, one, task.reward))
