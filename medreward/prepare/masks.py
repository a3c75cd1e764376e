"""Masks in a source -> ground truths, which follow the size that images are brought to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from medreward.data.sources.record import Record, Remark
from medreward.errors import ConfigError
from medreward.geometry.masks import coco, mask_json
from medreward.kinds.truth import ground_truth, target_of
from medreward.perception.mask_region import resize_mask
from medreward.prepare.unknown import check_used
from medreward.task.task import Task

Size = tuple[int, int]


def settle_masks(
    records: Sequence[Record], task: Task, mapping: Mapping[str, str]
) -> tuple[list[Record], list[Remark]]:
    """Return the records of a segmentation task with run lengths for labels, and the masks' size.

    Raises:
        ConfigError: if a label is not a mask in one of its forms, with the record; or if labels are
            to be mapped.
    """
    check_used(mapping, ())
    return [_settle_mask(record, task) for record in records], []


def mask_truth(task: Task, truth: str, size: Size, seen: Size | None) -> str:
    """Return the ground truth of a mask whose image was brought to a size.

    Args:
        task: the segmentation task.
        truth: as `settle_masks` gives it, of the image as the source has it.
        size: width and height of the row's image.
        seen: the same after the processor's resize; None: as in `truth`, if the size is the same.
    """
    mask = task.parse_target(target_of(task, truth))
    if mask.size != size:
        mask = resize_mask(mask, size)
    if seen:
        mask = replace(mask, seen=(float(seen[0]), float(seen[1])))
    return json.dumps(mask_json(mask))


def mask_name(task: Task, truth: str) -> str:
    """Return what a mask's ground truth is counted as: "mask", or "empty mask"."""
    area = coco().area(task.parse_target(target_of(task, truth)).rle())
    return "mask" if area else "empty mask"


def _settle_mask(record: Record, task: Task) -> Record:
    try:
        truth = ground_truth(task, target_of(task, record.label))
    except ConfigError as error:
        raise ConfigError(f"{record.where}: {error}") from error
    height, width = json.loads(truth)["size"]
    return replace(record, label=truth, size=(width, height))
