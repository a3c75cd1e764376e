"""What a policy earned in each task of a trace -> the setting `task_scale` of each.

The methods are those of `medreward.task.task_scale`. Completions are scored again by the tasks'
cards without a scale, so that a trace of a run that had one does as well.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from medreward.errors import ConfigError, quote
from medreward.kinds.truth import target_of
from medreward.scoring.scorer import Scorer
from medreward.scoring.trace import TraceRow
from medreward.task.task_scale import LEAST_FACTOR, PERCENTILE, STANDARDISE, TaskScale


class MeasuredTask(NamedTuple):
    """What the completions of a task earned, without a scale.

    Attributes:
        completions: how many there are.
        groups: of how many prompts.
        quartiles: of R_accuracy.
        deviation: the standard deviation of the total within groups: the root of the mean of their
            sample variances.
        signature: of the reward, with the card's knowledge.
    """

    completions: int
    groups: int
    quartiles: tuple[float, float, float]
    deviation: float
    signature: str


def measure_tasks(
    groups: Iterable[Sequence[TraceRow]], scorer_of: Callable[[str | None], Scorer]
) -> dict[str, MeasuredTask]:
    """Return what the completions of each task earned.

    Args:
        groups: of a trace (`medreward.scoring.groups.gather_groups`). Rows of two tasks that share
            a name are two groups, and a row that is alone is left out.
        scorer_of: the scorer of the task that a row names, without a scale.

    Raises:
        ConfigError: if a row has no target, or there are no groups.
    """
    accuracies: dict[str, list[float]] = defaultdict(list)
    variances: dict[str, list[float]] = defaultdict(list)
    scorers: dict[str, Scorer] = {}
    for task, group in _of_one_task(groups):
        bound = scorer_of(task)
        name = bound.task.name
        scorers[name] = bound
        scores = [bound.score(row.completion, _target(row, bound), row.knowledge) for row in group]
        accuracies[name] += [score.parts["accuracy"] for score in scores]
        totals = [score.total for score in scores]
        mean = math.fsum(totals) / len(totals)
        variances[name].append(math.fsum((t - mean) ** 2 for t in totals) / (len(totals) - 1))
    if not scorers:
        raise ConfigError("the trace has no groups: rows name neither id nor group")
    return {
        name: MeasuredTask(
            completions=len(accuracies[name]),
            groups=len(variances[name]),
            quartiles=_quartiles(accuracies[name]),
            deviation=math.sqrt(math.fsum(variances[name]) / len(variances[name])),
            signature=bound.signature(),
        )
        for name, bound in scorers.items()
    }


def _of_one_task(
    groups: Iterable[Sequence[TraceRow]],
) -> Iterator[tuple[str | None, list[TraceRow]]]:
    for group in groups:
        for task in dict.fromkeys(row.task for row in group):
            own = [row for row in group if row.task == task]
            if len(own) > 1:
                yield task, own


def scale_tasks(measured: dict[str, MeasuredTask], method: str) -> dict[str, str]:
    """Return the setting `task_scale` of each task.

    Args:
        measured: what `measure_tasks` returns.
        method: out of `medreward.task.task_scale.METHODS`.

    Raises:
        ConfigError: if a task cannot be scaled in this way.

    >>> one = MeasuredTask(8, 2, (0.1, 0.2, 0.4), 0.1, "")
    >>> scale_tasks({"hard": one, "easy": one._replace(deviation=0.4)}, "standardise")
    {'hard': 'none', 'easy': 'standardise:0.25'}
    """
    make = {PERCENTILE: _by_percentile, STANDARDISE: _by_deviation}[method]
    least = min(one.deviation for one in measured.values())
    return {name: str(make(name, one, least)) for name, one in measured.items()}


def _by_percentile(name: str, one: MeasuredTask, least: float) -> TaskScale:
    low, _, high = one.quartiles
    if low == high:
        raise ConfigError(
            f"task {quote(name)}: at least half of the {one.completions} completions earn an "
            f"accuracy of {low:g}, so that the quartiles are the same; take --scale {STANDARDISE}"
        )
    return TaskScale(one.quartiles)


def _by_deviation(name: str, one: MeasuredTask, least: float) -> TaskScale:
    if one.deviation == 0:
        raise ConfigError(
            f"task {quote(name)}: in none of the {one.groups} groups do rewards differ, so that "
            f"there is no deviation to scale by; leave the task out, or take a longer trace"
        )
    factor = round(least / one.deviation, 6)
    if factor < LEAST_FACTOR:
        raise ConfigError(
            f"task {quote(name)}: within groups, its rewards differ {one.deviation / least:.0f} "
            f"times as much as those of the task with the least; at most {1 / LEAST_FACTOR:g} times"
        )
    return TaskScale(factor=factor)


def _target(row: TraceRow, bound: Scorer) -> object:
    if row.target is None:
        raise ConfigError(f"id {quote(row.id)}, step {row.step}: there is no target")
    return target_of(bound.task, row.target)


def _quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    import numpy as np

    found: list[float] = np.percentile(values, [25, 50, 75]).round(6).tolist()
    return (found[0], found[1], found[2])
