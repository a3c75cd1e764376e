"""Diagnostics of groups: the completions of one prompt, which GRPO compares with each other."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from medreward.errors import ConfigError

if TYPE_CHECKING:
    from medreward.scoring.trace import TraceRow

# Rewards of a group that differ by less are the same: float32, in which trainers add up parts,
# does not tell them apart from rounding.
SAME = 1e-6
# A group is complete when the trace is so many steps on: asynchronous trainers mix the steps.
STEPS_OPEN = 2


def zero_variance_share(groups: Sequence[Sequence[float]]) -> float:
    """Return the share of groups whose rewards are all the same, from which GRPO learns nothing.

    >>> zero_variance_share([[1.0, 1.0], [0.25, 1.0]])
    0.5

    Raises:
        ConfigError: if there are no groups.
    """
    if not groups:
        raise ConfigError("groups: there are none")
    return sum(max(group) - min(group) < SAME for group in groups) / len(groups)


def by_prompt(keys: Sequence[Hashable], rewards: Sequence[float]) -> list[list[float]]:
    """Return the rewards in groups of neighbours with the same key, as trainers lay out batches.

    >>> by_prompt(["a", "a", "b"], [1.0, 0.0, 0.5])
    [[1.0, 0.0], [0.5]]
    """
    rows = zip(keys, rewards, strict=True)
    return [[reward for _, reward in group] for _, group in groupby(rows, key=lambda row: row[0])]


def gather_groups(rows: Iterable[TraceRow], size: int | None = None) -> Iterator[list[TraceRow]]:
    """Yield the groups of a trace that comes by rising step.

    Rows of the same step and ``group`` (or ``id``) are a group, wherever they stand among the rows
    of `STEPS_OPEN` steps; without a step, neighbours are. Rows without a name stand alone.

    Args:
        rows: the trace.
        size: take so many neighbours for a group, whatever their names.
    """
    if size is not None:
        yield from _chunks(rows, size)
        return
    groups: dict[Hashable, list[TraceRow]] = {}
    last: tuple[int | None, Hashable] = (None, None)
    for number, row in enumerate(rows):
        name = row.group or row.id
        key = (row.step, number if name is None else name)
        if row.step != last[0] or (row.step is None and key != last):
            for old in [k for k, group in groups.items() if _complete(group[0].step, row.step)]:
                yield groups.pop(old)
        groups.setdefault(key, []).append(row)
        last = key
    yield from groups.values()


def _complete(first: int | None, now: int | None) -> bool:
    """Whether no more rows are awaited for a group of step `first` when `now` comes."""
    return first is None or now is None or abs(now - first) > STEPS_OPEN


def _chunks(rows: Iterable[TraceRow], size: int) -> Iterator[list[TraceRow]]:
    """Yield groups of `size` neighbours of one step; what is left over of a step is a group too."""
    group: list[TraceRow] = []
    for row in rows:
        if group and (len(group) == size or group[0].step != row.step):
            yield group
            group = []
        group.append(row)
    if group:
        yield group
