"""Masks in a source -> ground truths, which follow the size that images are brought to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from medreward.data.sources.record import Record, Remark
from medreward.errors import ConfigError, quote
from medreward.geometry.masks import MaskTarget, is_empty
from medreward.geometry.places import MaskPlaces
from medreward.geometry.regions import BoxTarget
from medreward.kinds.truth import ground_truth, target_of
from medreward.perception.mask_region import resize_mask
from medreward.prepare.unknown import check_used
from medreward.task.task import Task

Size = tuple[int, int]


def settle_masks(
    records: Sequence[Record], task: Task, mapping: Mapping[str, str]
) -> tuple[list[Record], list[Remark]]:
    """Return the records of a task of masks with run lengths for labels, and the masks' size.

    Raises:
        ConfigError: if a label is not a mask in one of its forms, with the record; or if labels are
            to be mapped.
    """
    check_used(mapping, ())
    return [_settle_mask(record, task) for record in records], []


def mask_truth(task: Task, truth: str, size: Size, seen: Size | None) -> str:
    """Return the ground truth of masks whose image was brought to a size.

    Args:
        task: the segmentation or pointing task.
        truth: as `settle_masks` gives it, of the image as the source has it.
        size: width and height of the row's image.
        seen: the same after the processor's resize; None: as in `truth`, if the size is the same.
    """
    target = task.parse_target(target_of(task, truth))
    if isinstance(target, MaskTarget):
        target = target if target.size == size else resize_mask(target, size)
    elif target.size != size:
        masks = [resize_mask(mask, size) for mask in target.masks]
        kept = tuple(mask for mask in masks if not is_empty(mask))
        target = MaskPlaces(kept, (float(size[0]), float(size[1])))
    if seen:
        target = replace(target, seen=(float(seen[0]), float(seen[1])))
    return ground_truth(task, target)


def mask_names(task: Task, truth: str) -> list[str]:
    """Return what a ground truth is counted as: "mask" for each of its masks, or "empty mask"."""
    target = task.parse_target(target_of(task, truth))
    masks = [target] if isinstance(target, MaskTarget) else target.masks
    return ["mask" for mask in masks if not is_empty(mask)] or ["empty mask"]


def _settle_mask(record: Record, task: Task) -> Record:
    try:
        target = task.parse_target(target_of(task, record.label))
    except ConfigError as error:
        raise ConfigError(f"{record.where}: {error}") from error
    if isinstance(target, BoxTarget):
        raise ConfigError(
            f"{record.where}: the label {quote(str(record.label)[:80])} is no mask; boxes come "
            f"from "
            f"sources of boxes (--voc, --coco, --masks)"
        )
    size = int(target.size[0]), int(target.size[1])
    return replace(record, label=ground_truth(task, target), size=size)
