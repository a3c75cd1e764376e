"""A target of boxes -> regions, and back after they were moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from medreward.data.render import scale_box
from medreward.data.sources.record import NamedBox
from medreward.errors import ConfigError, quote
from medreward.geometry.regions import BoxTarget, TrueBox, box_json, check_size
from medreward.perception.sample import Region, Sample

Size = tuple[int, int]
OTHERS = 1_000_000  # keys of regions that are not the target's are from here on


def regions_of(target: BoxTarget, size: Size, names: Sequence[str]) -> tuple[Region, ...]:
    """Return the boxes of a target on an image of a size as regions, with keys from 0 on.

    A box that reaches over the image's border is cut there.

    Raises:
        ConfigError: if the target is for an image of another size, or a box is off the image.
    """
    check_size(target.size, size)
    boxes = [(who, box) for who, boxes in enumerate(target.annotators) for box in boxes]
    return tuple(_region(box, size, who, key, names) for key, (who, box) in enumerate(boxes))


def with_regions(
    target: BoxTarget, regions: Mapping[int, Region], size: Size, names: Sequence[str]
) -> BoxTarget:
    """Return a target with the boxes of the regions that are left, by key, in whole pixels.

    What the processor makes of an image (``seen``) is forgotten if the image has another size now.
    """
    keys = iter(range(sum(map(len, target.annotators))))
    annotators = tuple(
        tuple(
            _true_box(regions[key], size, box, names)
            for box, key in zip(boxes, keys, strict=False)
            if key in regions
        )
        for boxes in target.annotators
    )
    width, height = map(float, size)
    if target.size == (width, height):
        return replace(target, annotators=annotators)
    return replace(target, annotators=annotators, size=target.size and (width, height), seen=None)


def move_boxes(
    truth: Any,
    target: BoxTarget,
    change: tuple[Sample, Sample],
    names: list[str],
    first: int = 0,
) -> Any:
    """Return boxes as JSON text after a change; as they were given if nothing moved.

    Args:
        truth: the boxes as they were given.
        target: the same, parsed.
        change: the sample before and after.
        names: of the labels; new ones are added.
        first: key of the region of the first box.
    """
    before, after = change
    nothing_given = isinstance(truth, str) and not truth
    if nothing_given or (before.regions, before.size) == (after.regions, after.size):
        return truth
    left = {region.key - first: region for region in after.regions}
    names += [r.label for r in after.regions if r.label and r.label not in names]
    return box_json(with_regions(target, left, after.size, names), names)


def _region(box: TrueBox, size: Size, annotator: int, key: int, names: Sequence[str]) -> Region:
    x1, y1, x2, y2 = box.box
    width, height = size
    clipped = max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))
    if not (clipped[0] < clipped[2] and clipped[1] < clipped[3]):
        raise ConfigError(f"target: box {quote(box.box)} is not on the image of {width} x {height}")
    label = "" if box.label is None else names[box.label]
    return Region(clipped, label, annotator=annotator, key=key)


def _true_box(region: Region, size: Size, before: TrueBox, names: Sequence[str]) -> TrueBox:
    x1, y1, x2, y2 = scale_box(NamedBox("", region.box), size, size).box
    label = None if before.label is None else names.index(region.label)
    return TrueBox((float(x1), float(y1), float(x2), float(y2)), label)
