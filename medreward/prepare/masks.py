"""Masks in a source -> ground truths, which follow the size that images are brought to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from medreward.data.record_list import RecordList
from medreward.data.sources.outlines import union
from medreward.data.sources.record import NamedMasks, Record, Remark
from medreward.errors import ConfigError, expected, quote
from medreward.geometry.masks import MaskTarget, is_empty
from medreward.geometry.places import MaskPlaces
from medreward.geometry.regions import BoxTarget
from medreward.kinds.truth import ground_truth, target_of
from medreward.perception.mask_region import resize_mask
from medreward.prepare.unknown import check_used
from medreward.task.task import Task
from medreward.task.traits import Trait

Size = tuple[int, int]
Settled: TypeAlias = tuple[Sequence[Record], list[Remark]]
_MOST_NAMED = 10
_SOURCES = (
    "masks come from --masks, --coco, --cvat, --labelme, --label-studio, or from --nifti with "
    "--mask-column"
)
_UNMASKED = "left out: of an object that is asked for there is no outline"


def settle_masks(
    records: Sequence[Record],
    task: Task,
    mapping: Mapping[str, str],
    wanted: Sequence[str] = (),
) -> Settled:
    """Return the records of a task of masks with run lengths for labels, and the masks' size.

    Args:
        records: with a mask each, in a form that the task takes, or masks by their names.
        task: the segmentation or pointing task.
        mapping: of masks with names: name in the source -> another one; "" leaves masks out.
        wanted: the names that count; none: all.

    Raises:
        ConfigError: if a label is not a mask in one of its forms, with the record; if masks of a
            segmentation task have several names and nothing says which are meant; or if a name is
            mapped or wanted that no mask has.
    """
    counts = Counter(name for record in records for name in _names(record.label))
    check_used(mapping, counts, records)
    renamed = {name: mapping.get(name, name) for name in counts}
    chosen = _choose(task, renamed, counts, wanted)
    remarks = _say_choice(renamed, records, chosen)
    kept = RecordList()
    for record in records:
        if isinstance(record.label, NamedMasks):
            missing = {renamed[name] for name in record.label.unmasked} & chosen
            if missing:
                remarks.append(Remark(record.where, _UNMASKED, ", ".join(sorted(missing))))
                continue
            record = replace(record, label=_label(record.label, task, renamed, chosen))  # noqa: PLW2901
        kept.append(_settle_mask(record, task))
    return kept, remarks


def _names(label: Any) -> Iterator[str]:
    if isinstance(label, NamedMasks):
        yield from (name for name, _ in label.parts)
        yield from label.unmasked


def _choose(
    task: Task,
    renamed: Mapping[str, str],
    counts: Mapping[str, int],
    wanted: Sequence[str],
) -> set[str]:
    """Return the names, after renaming, of which the target is made."""
    names = {*renamed.values()} - {""}
    for name in wanted:
        if name not in names:
            raise expected("--box-label: name of a mask in the data", name, sorted(names))
    if not wanted and len(names) > 1 and Trait.PIXELS in task.traits:
        shown = "; ".join(f"{quote(name)}: {n}" for name, n in sorted(counts.items())[:_MOST_NAMED])
        first = min(names)
        raise ConfigError(
            f"the masks have {len(counts)} names ({shown}), and task {quote(task.name)} asks for "
            f"one mask; --box-label NAME (again for each) says which are taken together, or "
            f"--map {quote(first)}= leaves one out"
        )
    return {*wanted} or names


def _say_choice(
    renamed: Mapping[str, str], records: Sequence[Record], chosen: Collection[str]
) -> list[Remark]:
    """Return what is said of the names: which make the target, and which do not."""
    labels = (r.label for r in records if isinstance(r.label, NamedMasks))
    counts = Counter(name for label in labels for name, _ in label.parts)
    taken, others = "taken as the mask that is asked for", "not part of the mask that is asked for"
    return [
        Remark(f"{count} masks of {quote(name)}", taken if renamed[name] in chosen else others)
        for name, count in sorted(counts.items())
    ]


def _label(
    masks: NamedMasks, task: Task, renamed: Mapping[str, str], chosen: Collection[str]
) -> dict[str, Any]:
    """Return the label of a task of masks: one of all pixels, or, for pointing, one a mask."""
    width, height = masks.size
    counts = [text for name, text in masks.parts if renamed[name] in chosen]
    if Trait.PIXELS in task.traits:
        return {"size": [height, width], "counts": union(counts, masks.size)}
    rles = [{"size": [height, width], "counts": text} for text in counts]
    return {"masks": rles, "size": [width, height]}


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


def mask_counts(task: Task, truth: str) -> tuple[str, ...]:
    """Return the packed run lengths of the masks of a ground truth; none where it has none."""
    if not {Trait.PIXELS, Trait.PLACES} & task.traits or Trait.FIELDS in task.traits:
        return ()
    target = task.parse_target(target_of(task, truth))
    masks = getattr(target, "masks", (target,))
    return tuple(mask.counts for mask in masks if isinstance(mask, MaskTarget))


def mask_names(task: Task, truth: str) -> list[str]:
    """Return what a ground truth is counted as: "mask" for each of its masks, or "empty mask"."""
    target = task.parse_target(target_of(task, truth))
    masks = [target] if isinstance(target, MaskTarget) else target.masks
    return ["mask" for mask in masks if not is_empty(mask)] or ["empty mask"]


def _settle_mask(record: Record, task: Task) -> Record:
    try:
        target = task.parse_target(target_of(task, record.label))
    except ConfigError as error:
        raise ConfigError(f"{record.where}: {error} ({_SOURCES})") from error
    if isinstance(target, BoxTarget):
        raise ConfigError(
            f"{record.where}: the label {quote(str(record.label)[:80])} is no mask; boxes come "
            f"from "
            f"sources of boxes (--voc, --coco, --masks)"
        )
    size = int(target.size[0]), int(target.size[1])
    return replace(record, label=ground_truth(task, target), size=size)
