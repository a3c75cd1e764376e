"""What is said of patients before rows are written: how many there are, or that none is known.

Only counts are said, and a pattern of the form of names: never a name.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from medreward.data.record_list import number_values
from medreward.data.sources.patient_names import names_in_paths
from medreward.data.sources.record import Record, Remark
from medreward.data.splits import DEFAULT_FRACTIONS, SPLITS
from medreward.errors import quote

if TYPE_CHECKING:
    import numpy as np

_LARGEST = 0.5  # share of the images of one patient
_FEWEST_PATIENTS = 2  # up to which a column is rather one of sexes, sides or sites
_FEWEST = 3  # images below which nothing is said
_WHERE = "patients"


def number_patients(records: Sequence[Record]) -> np.ndarray | None:
    """Return a running number of each record's patient, by which nothing can be found of the name.

    Records are numbered in their order, so that all parts of a run have the same numbers. One
    without a patient is its own. None where no patient is known.

    >>> a, b = Record("a", "a", "", group="Ann"), Record("b", "b", "", group="Bo")
    >>> number_patients([b, a, b, Record("c", "c", "")]).tolist()
    [0, 1, 0, 2]
    """
    if all(record.group is None for record in records):
        return None
    return number_values((record.group, record.group is None and record.id) for record in records)


def patient_remarks(
    records: Sequence[Record], fractions: Mapping[str, float] | None, *, has_splits: bool
) -> list[Remark]:
    """Return what there is to say of the patients of records with splits.

    Args:
        records: those that rows are made of.
        fractions: the shares of splits that were asked for.
        has_splits: whether the source has splits of its own.
    """
    if len(records) < _FEWEST or any(record.question for record in records):
        return []  # of questions, those about one image are a group too
    if any(record.group is not None for record in records):
        return [*_known(records, fractions, has_splits)]
    return [*_not_known(records, has_splits)]


def _known(
    records: Sequence[Record], fractions: Mapping[str, float] | None, has_splits: bool
) -> Iterator[Remark]:
    own = [record for record in records if record.group is not None]
    sizes = Counter(str(record.group) for record in own)
    splits = Counter(split for _, split in {(record.group, record.split) for record in own})
    shown = ", ".join(f"{split} {splits[split]}" for split in SPLITS if splits[split])
    yield Remark(_WHERE, f"{len(sizes)} in {len(own)} images, each in one split", shown)
    if len(own) < len(records):
        yield Remark(_WHERE, f"{len(records) - len(own)} images have none; each is its own")
    largest = max(sizes.values())
    if len(sizes) <= _FEWEST_PATIENTS or largest > _LARGEST * len(own):
        yield Remark(
            _WHERE,
            "very few, or one of them has most of the images: is that the patient?",
            f"{len(sizes)} in all, the largest with {largest} of {len(own)} images",
        )
    asked = DEFAULT_FRACTIONS if fractions is None else fractions
    there = {record.split for record in records}
    empty = [split for split, share in asked.items() if share > 0 and split not in there]
    if empty and not has_splits:
        yield Remark(
            _WHERE,
            f"no image is in {', '.join(empty)}: the patients are too few, or not the patients",
            f"{len(sizes)} in all; another --seed or --split changes who is where",
        )
    labels: dict[str, set[Hashable]] = defaultdict(set)
    for record in own:
        if record.boxes is None:
            labels[str(record.group)].add(record.label)
    several = sum(len(found) > 1 for found in labels.values())
    if several:
        yield Remark(_WHERE, "have images with different labels", f"{several} of {len(sizes)}")


def _not_known(records: Sequence[Record], has_splits: bool) -> Iterator[Remark]:
    found = names_in_paths(records)
    if found is None:
        return
    places = {(name, record.split) for name, record in zip(found.names, records, strict=True)}
    torn = sum(count > 1 for count in Counter(name for name, _ in places).values())
    if has_splits and not torn:
        return
    hint = f"--patient-pattern {quote(found.pattern)}"
    yield Remark(
        _WHERE,
        f"none is used, though {found.where} look as if several images shared a patient",
        f"{len(set(found.names))} such names in {len(records)} files, {torn} of them in more than "
        f"one split; {hint} "
        + ("finds them and stops" if has_splits else "keeps each in one split"),
    )
