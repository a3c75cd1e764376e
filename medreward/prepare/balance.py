"""How evenly labels lie over the splits: said where they do not, and mended on request.

`stratify` puts each patient whole into one split. Patients come in the order in which they are hard
to place: those with the rarest label first, of these the ones with the most images first, equals in
an order drawn by the seed. Each goes to the split that lacks most images of the patient's rarest
label, then of the next one, then of images at all, where a split lacks::

    its share * the images with the label - those that it has already

This is iterative stratification (Sechidis et al., ECML PKDD 2011) for groups.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from medreward.data.record_list import RecordList, number_values, short_hash
from medreward.data.sources.annotated import split_of_path
from medreward.data.sources.record import Record, Remark
from medreward.data.splits import DEFAULT_FRACTIONS, SPLITS
from medreward.errors import ConfigError
from medreward.files.reading import parse_json
from medreward.kinds.base import TargetType, kind_of
from medreward.task.task import Task

_NOTHING = "(nothing)"
_ENOUGH = 10  # images by which a count is held against its share
_MOST_LABELS = 200  # more are no labels but texts
_LACKS = "has no image of a label that the data have"
_OFFER = "; --stratify spreads labels evenly"


def label_names(task: Task, record: Record) -> tuple[str, ...]:
    """Return the labels of a settled record, each once; nothing for targets without labels.

    >>> task = Task.load("pneumoniamnist")
    >>> label_names(task, Record("1", "1", None, label="pneumonia"))
    ('pneumonia',)
    """
    if record.boxes is not None:
        return tuple(sorted({box.name for box in record.boxes})) or (_NOTHING,)
    target = kind_of(task).target_type
    if target is TargetType.LABEL:
        return (str(record.label),)
    if target is TargetType.LABELS:
        return tuple(parse_json(str(record.label))) or (_NOTHING,)
    return ()


def say_balance(records: Sequence[Record], task: Task, *, offer: bool) -> list[Remark]:
    """Return remarks on splits that lack a label, or have far more or less of it than others.

    And where all images have the same label.

    Far is more than twice its share of the split's images, or less than half, where that share is
    at least ten.

    Args:
        records: settled, with their splits.
        task: the card.
        offer: whether to say that `--stratify` helps.
    """
    sizes: Counter[str] = Counter()
    found: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    for record in records:
        sizes[str(record.split)] += 1
        found[str(record.split)].update(label_names(task, record))
    total = sum(found.values(), Counter[str]())
    is_of_boxes = any(record.boxes is not None for record in records)
    if len(total) == 1 and len(records) >= _ENOUGH and not is_of_boxes:
        only = next(iter(total))
        return [Remark("labels", "all images have the same one: there is nothing to tell", only)]
    if len(sizes) < 2 or len(total) > _MOST_LABELS:
        return []
    return [
        Remark(split, what + _OFFER * offer, detail)
        for split in SPLITS
        if sizes[split]
        for what, detail in _lopsided(found[split], total, sizes[split] / len(records))
    ]


def say_split_folders(records: Sequence[Record]) -> list[Remark]:
    """Return a remark on images in folders named as two or more splits, where none is given.

    >>> paths = ("train/1.png", "Test/2.png")
    >>> [remark] = say_split_folders([Record(path, path, path, key=path) for path in paths])
    >>> remark.where, remark.detail
    ('2 images', 'train 1, test 1; a column of splits or a file for each split says what they are')
    """
    keys = (record.key.replace("\\", "/") for record in records if record.split is None)
    counts = Counter(filter(None, map(split_of_path, keys)))
    if len(counts) < 2:
        return []
    shown = ", ".join(f"{split} {counts[split]}" for split in SPLITS if counts[split])
    what = "in folders named as splits, which are not used: splits are drawn"
    detail = f"{shown}; a column of splits or a file for each split says what they are"
    return [Remark(f"{sum(counts.values())} images", what, detail)]


def _lopsided(
    own: Mapping[str, int], total: Mapping[str, int], share: float
) -> Iterator[tuple[str, str]]:
    for label, count in sorted(total.items()):
        wanted = count * share
        if not own.get(label):
            yield _LACKS, f"{label}: {count} in all"
        elif wanted >= _ENOUGH and not wanted / 2 <= own[label] <= 2 * wanted:
            how = "more than twice" if own[label] > wanted else "less than half of"
            yield (
                f"has {how} its share of a label",
                f"{label}: {own[label]} of {count}, and {share:.0%} of all images",
            )


def stratify(
    records: Sequence[Record], task: Task, fractions: Mapping[str, float] | None, seed: int
) -> Sequence[Record]:
    """Return the records with splits over which labels lie as evenly as patients let them.

    Where a patient is not known, each image is its own. The same records and seed give the same
    splits; other than with a split by hash, a patient's split may change when others come.

    Raises:
        ConfigError: if the source has splits of its own, or the card's targets have no labels.
    """
    if any(record.split is not None for record in records):
        raise ConfigError("--stratify: the source has its own splits; leave the option out")
    shares = DEFAULT_FRACTIONS if fractions is None else fractions
    names = [name for name in shares if shares[name] > 0]
    kinds: dict[tuple[str, ...], int] = {}
    kind_numbers = (kinds.setdefault(label_names(task, r), len(kinds)) for r in records)
    kind_of_record = np.fromiter(kind_numbers, np.uint32, len(records))
    if () in kinds:
        raise ConfigError(
            f"--stratify: it goes with cards of labels or boxes, not with {task.kind}"
        )
    groups = number_values(r.group or r.key or r.id for r in records)
    hashes = (short_hash((seed, r.group or r.key or r.id)) for r in records)
    drawn = np.fromiter(hashes, np.uint64, len(records))
    chosen = _place_groups(
        groups, kind_of_record, [*kinds], drawn, [shares[name] for name in names]
    )
    return RecordList(
        replace(record, split=names[chosen[group]])
        for record, group in zip(records, groups, strict=True)
    )


def _place_groups(
    groups: np.ndarray,
    kinds: np.ndarray,
    labels_of: Sequence[tuple[str, ...]],
    drawn: np.ndarray,
    shares: Sequence[float],
) -> np.ndarray:
    """Return the number of the split of each group.

    Args:
        groups: of each record.
        kinds: of each record, which set of labels it has.
        labels_of: the labels of each set.
        drawn: of each record, what orders groups that are equal otherwise.
        shares: of the splits.
    """
    images = np.bincount(kinds, minlength=len(labels_of))
    total: Counter[str] = Counter()
    for labels, count in zip(labels_of, images.tolist(), strict=True):
        total.update(dict.fromkeys(labels, count))
    rarest = np.array([min(total[label] for label in labels) for labels in labels_of])
    by_group = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[by_group], prepend=-1))
    sizes = np.diff(starts, append=len(groups))
    rank = np.minimum.reduceat(rarest[kinds[by_group]], starts)
    order = np.lexsort((drawn[by_group[starts]], -sizes, rank))
    lacking = [{label: share * count for label, count in total.items()} for share in shares]
    room = [share * len(groups) for share in shares]
    chosen: np.ndarray = np.zeros(len(starts), np.uint8)
    for group in order:
        own = by_group[starts[group] : starts[group] + sizes[group]]
        brings: Counter[str] = Counter()
        for kind in kinds[own].tolist():
            brings.update(labels_of[kind])
        rising = sorted(brings, key=lambda label: (total[label], label))
        lacks = [(*(round(lack[label], 9) for label in rising),) for lack in lacking]
        best = max(range(len(shares)), key=lambda i: (lacks[i], room[i]))
        chosen[group] = best
        room[best] -= len(own)
        for label, n in brings.items():
            lacking[best][label] -= n
    return chosen
