"""What is worth a remark in splits that were drawn: one that is empty, or that lacks a label."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from medreward.data.sources.record import Record, Remark
from medreward.data.splits import DEFAULT_FRACTIONS
from medreward.task.task import Task
from medreward.task.traits import Trait

_MOST_LABELS = 50  # of more, a small split cannot have all


def remark_splits(
    records: Sequence[Record], task: Task, fractions: Mapping[str, float] | None
) -> list[Remark]:
    """Return remarks on splits that were drawn by hash.

    Args:
        records: with the splits that were drawn and settled labels.
        task: the card.
        fractions: the shares that were asked for, None for the default ones.

    >>> from medreward import Task
    >>> made = [Record("a", "1.png", 0, "normal", split="train")]
    >>> made += [Record("b", "2.png", 0, "pneumonia", split="test")]
    >>> for one in remark_splits(made, Task.load("pneumoniamnist"), None):
    ...     print(one.where, one.detail)
    val no image in it
    train no image of pneumonia, of which there are 1
    test no image of normal, of which there are 1
    """
    shares = DEFAULT_FRACTIONS if fractions is None else fractions
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for record in records:
        counts[str(record.split)][str(record.label)] += 1
    found = [
        Remark(name, "few images: --split takes other shares", "no image in it")
        for name, share in shares.items()
        if share and name not in counts
    ]
    if Trait.ONE_ANSWER not in task.traits or any(record.question for record in records):
        return found
    total = sum(counts.values(), Counter[str]())
    if len(total) > _MOST_LABELS:
        return found
    what = "a label that other splits have is missing: --seed draws the splits anew"
    return found + [
        Remark(split, what, f"no image of {label}, of which there are {total[label]}")
        for split, own in counts.items()
        for label in sorted(total)
        if not own[label]
    ]
