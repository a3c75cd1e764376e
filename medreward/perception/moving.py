"""How each type of target follows its image.

A target gives a transform what it has to carry along, regions or a text, and says what it is
afterwards. `MOVING` has an entry for each type and no default: a target that stays where it was
while its image moves is wrong, and nothing would show it.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from medreward.errors import ConfigError
from medreward.files.reading import parse_json
from medreward.geometry.masks import mask_json
from medreward.geometry.places import MaskPlaces, places_json
from medreward.geometry.regions import BoxTarget, box_json, check_size
from medreward.kinds.base import TargetType, kind_of
from medreward.kinds.truth import ground_truth, target_of
from medreward.perception.mask_region import mask_regions, own_regions, with_mask, with_masks
from medreward.perception.sample import Region, Sample
from medreward.perception.target import move_boxes, regions_of, with_regions
from medreward.task.task import Task

Size = tuple[int, int]
_TEXT = "target"


class MovingTarget(ABC):
    """A row's target on its image.

    Attributes:
        truth: the target as the row holds it.
        regions: what of it is marked on the image, with keys from 0 on.
        texts: words of it that a mirrored image changes.
    """

    truth: Any
    regions: tuple[Region, ...] = ()
    texts: Mapping[str, str] = {}

    @abstractmethod
    def __init__(self, task: Task, truth: Any, size: Size) -> None:
        """Take a target as a row holds it, and the size of the row's image.

        Raises:
            ConfigError: if it is not the task's, or is for an image of another size.
        """

    @abstractmethod
    def follow(self, before: Sample, after: Sample) -> Any:
        """Return the target after a change; as the row held it if nothing of it changed."""


class MovingWords(MovingTarget):
    """Labels and grades: they stay, but for words that depend on side."""

    def __init__(self, task: Task, truth: Any, size: Size) -> None:
        self.truth = truth
        self.texts = {_TEXT: ground_truth(task, target_of(task, truth))}

    def follow(self, before: Sample, after: Sample) -> Any:
        """Return the target with its words as they are in the changed image."""
        text = after.texts[_TEXT]
        return self.truth if text == before.texts[_TEXT] else text


class MovingBoxes(MovingTarget):
    """Boxes: each is a region of its own."""

    def __init__(self, task: Task, truth: Any, size: Size) -> None:
        self.truth = truth
        self._names = [label.name for label in task.labels]
        self._target = task.parse_target(target_of(task, truth))
        self.regions = regions_of(self._target, size, self._names)

    def follow(self, before: Sample, after: Sample) -> Any:
        """Return the boxes that are left, in pixels of the changed image."""
        return move_boxes(self.truth, self._target, (before, after), self._names)


class MovingSeries(MovingTarget):
    """Boxes on several images of one size, all of which change in the same way."""

    def __init__(self, task: Task, truth: Any, size: Size) -> None:
        self.truth = truth
        self._names = [label.name for label in task.labels]
        self._target = task.parse_target(target_of(task, truth))
        for image in self._target.images:
            check_size(image.size, size)
        # As the boxes of several annotators, which are told apart in the same way.
        self._boxes = BoxTarget(
            tuple(image.boxes for image in self._target.images), (float(size[0]), float(size[1]))
        )
        self.regions = regions_of(self._boxes, size, self._names)

    def follow(self, before: Sample, after: Sample) -> Any:
        """Return the boxes that are left on each image, in pixels of the changed images."""
        count = len(self._target.images)
        if len(after.images) != count:
            raise ConfigError(
                f"target: it has the boxes of {count} images, and the row has {len(after.images)} "
                f"after transforms; these must not add images"
            )
        if (own_regions(before), before.size) == (own_regions(after), after.size):
            return self.truth
        left = {region.key: region for region in own_regions(after)}
        names = [*self._names, *(region.label for region in left.values() if region.label)]
        moved = with_regions(self._boxes, left, after.size, names)
        same_size = before.size == after.size
        images = [
            BoxTarget((boxes,), moved.size, image.seen if same_size else None)
            for boxes, image in zip(moved.annotators, self._target.images, strict=True)
        ]
        each = [parse_json(box_json(image, names)) for image in images]
        return json.dumps({"images": each}) if isinstance(self.truth, str) else {"images": each}


class MovingMask(MovingTarget):
    """A mask: one region, or none where it is empty."""

    def __init__(self, task: Task, truth: Any, size: Size) -> None:
        self.truth = truth
        self._target = task.parse_target(target_of(task, truth))
        self.regions = mask_regions(self._target, size)

    def follow(self, before: Sample, after: Sample) -> Any:
        """Return the mask of the changed image; text stays text, anything else is a mapping."""
        if (own_regions(before), before.size) == (own_regions(after), after.size):
            return self.truth
        moved = mask_json(with_mask(self._target, after))
        return json.dumps(moved) if isinstance(self.truth, str) else moved


class MovingPlaces(MovingBoxes):
    """What is pointed at: boxes, or masks of which each is a region of its own."""

    def __init__(self, task: Task, truth: Any, size: Size) -> None:
        target = task.parse_target(target_of(task, truth))
        self._masks = target if isinstance(target, MaskPlaces) else None
        if self._masks is None:
            super().__init__(task, truth, size)
            return
        self.truth = truth
        check_size(self._masks.size, size)
        regions = (region for mask in self._masks.masks for region in mask_regions(mask, size))
        self.regions = tuple(replace(region, key=key) for key, region in enumerate(regions))

    def follow(self, before: Sample, after: Sample) -> Any:
        """Return the boxes or masks that are left; text stays text, anything else is a mapping."""
        if self._masks is None:
            return super().follow(before, after)
        if (own_regions(before), before.size) == (own_regions(after), after.size):
            return self.truth
        moved = places_json(with_masks(self._masks, after))
        return moved if isinstance(self.truth, str) else parse_json(moved)


class MovingFields(MovingTarget):
    """Several fields: the words of some, and the one that is a place."""

    def __init__(self, task: Task, truth: Any, size: Size) -> None:
        self._is_text = isinstance(truth, str)
        self._content = parse_json(ground_truth(task, target_of(task, truth)))
        place = task.place_field
        self._place, self._moving = place, None
        if place is not None:
            field = task.fields[place]
            self._moving = moving_type(field)(field, self._content[place], size)
            self.regions = self._moving.regions
        self.truth = truth
        words = {name: text for name, text in self._content.items() if name != place}
        self.texts = {_TEXT: json.dumps(words, ensure_ascii=False)}

    def follow(self, before: Sample, after: Sample) -> Any:
        """Return the fields with words and place of the changed image; text stays text."""
        changed = {**self._content, **parse_json(after.texts[_TEXT])}
        if self._moving is not None:
            changed[self._place] = self._moving.follow(before, after)
        if changed == self._content:
            return self.truth
        return json.dumps(changed, ensure_ascii=False) if self._is_text else changed


MOVING: Mapping[TargetType, type[MovingTarget]] = {
    TargetType.QUESTION: MovingWords,
    TargetType.FINDINGS: MovingWords,
    TargetType.FIELDS: MovingFields,
    TargetType.LABEL: MovingWords,
    TargetType.LABELS: MovingWords,
    TargetType.BOXES: MovingBoxes,
    TargetType.SERIES: MovingSeries,
    TargetType.MASK: MovingMask,
    TargetType.PLACES: MovingPlaces,
}


def moving_type(task: Task) -> type[MovingTarget]:
    """Return how a task's targets follow their images."""
    return MOVING[kind_of(task).target_type]
