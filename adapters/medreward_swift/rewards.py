"""medreward's rewards as ms-swift's outcome rewards, one class a part.

ms-swift logs a reward under the name of its class and calls each with the same batch, one after the
other, so each part has a class of its own, and those of one trainer share what was scored.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any

from medreward import ConfigError, Score
from medreward.scoring.parts.base import part_names
from medreward.scoring.rows import JudgedRow, judge_row, score_rows
from medreward.scoring.trace import TraceRow
from medreward.text.formats.described import DescribedFormat
from medreward_swift.settings import SwiftScorers, read_scorers

TOTAL = "medreward"
# What is worth to look at and not part of the reward: the weight is 0.
_SHOWN: Mapping[str, Callable[[Score], float]] = {
    "medreward_correct": lambda score: float(score.correct),
    "medreward_unreadable": lambda score: float(score.prediction is None),
}
_CLOSE = 1e-5  # ms-swift has weights in float32


@cache
def reward_classes() -> dict[str, type[SwiftReward]]:
    """Return the classes that the plugin registers, by the names for ``--reward_funcs``.

    ``medreward`` is the shaped total. ``medreward_accuracy``, ``medreward_format`` and the other
    parts are its terms after gates and sign; they need the weights of the reward, which
    ``python -m medreward_swift TASK`` prints. ``medreward_correct`` (exactly the right answer) and
    ``medreward_unreadable`` are for the logs: their weight is 0. The names of classes, under which
    ms-swift logs, are the same.

    >>> [*reward_classes()][:3]
    ['medreward', 'medreward_accuracy', 'medreward_format']
    """
    values: dict[str, Callable[[Score], float]] = {TOTAL: lambda score: score.total}
    for part in part_names():
        values[f"{TOTAL}_{part}"] = partial(_part_of, part)
    values.update(_SHOWN)
    return {
        name: type(name, (SwiftReward,), {"value": staticmethod(value), "__doc__": name})
        for name, value in values.items()
    }


def _part_of(part: str, score: Score) -> float:
    return score.parts.get(part, 0.0)  # 0: it has no weight


class SwiftReward:
    """An outcome reward of ms-swift: one number a completion, taken from its score.

    Args:
        args: the trainer's configuration, by which functions of one trainer are known.
        **_: what other versions pass; not used.
    """

    value: Callable[[Score], float]

    def __init__(self, args: Any = None, **_: Any) -> None:
        self.name = type(self).__name__
        self.args = args
        self.batch = _batch_of(args)
        self.batch.members.append(self)

    def __call__(self, completions: Sequence[str], **columns: Any) -> list[float | None]:
        """Return the number of each completion; None where a judge is not to be reached.

        Raises:
            ConfigError: if a column is missing, a row's task or target is wrong (with its number in
                the batch), or the trainer has other weights.
        """
        scores = self.batch.scores(self, completions, columns)
        return [
            None if "judge_unavailable" in score.reasons else self.value(score) for score in scores
        ]


class SwiftBatch:
    """What the reward functions of one trainer share: the scores of the last batch."""

    def __init__(self, scorers: SwiftScorers, args: Any) -> None:
        self.scorers = scorers
        self.args = args
        self.members: list[SwiftReward] = []
        self._rows: list[tuple[Any, ...]] | None = None
        self._scores: list[Score] = []
        self._served: set[int] = set()
        self._finished = -1

    def scores(
        self, asks: SwiftReward, completions: Sequence[str], columns: Mapping[str, Any]
    ) -> list[Score]:
        """Return the scores of a batch, which is scored and traced for the first that asks."""
        rows = [*_rows(completions, columns, self.scorers.target_column)]
        if rows != self._rows or id(asks) in self._served:
            judged = [self._judged(number, *row) for number, row in enumerate(rows)]
            self._check_weights({id(row.scorer): row for row in judged}.values())
            self._scores = score_rows(judged)
            self._trace(judged, columns)
            self._rows, self._served = rows, set()
        self._served.add(id(asks))
        return self._scores

    def _judged(
        self, number: int, text: str, task: Any, target: Any, knowledge: str | None
    ) -> JudgedRow:
        try:
            scorer = self.scorers.of(task)
            # ms-swift puts back what a template wrote into the prompt, such as "<think>".
            if isinstance(scorer.format, DescribedFormat):
                text = scorer.format.without_prefill(text)
            return judge_row(scorer, text, target, knowledge)
        except ConfigError as error:
            raise ConfigError(f"row {number} of the batch: {error}") from error

    def _check_weights(self, rows: Any) -> None:
        """Make sure that ms-swift's weights can be the reward's, or a multiple of them.

        It does not say which weight is whose; our functions stand among the others in their order.
        """
        if not hasattr(self.args, "reward_weights"):
            return
        for row in rows:
            wanted = _weights_of(self.members, row.scorer.settings.weights)
            given = self.args.reward_weights
            has = [1.0] * len(wanted) if given is None else [float(weight) for weight in given]
            if len(wanted) > 1 and not _holds(has, wanted):
                names = " ".join(one.name for one in self.members)
                raise ConfigError(
                    f"reward_weights: the trainer has {given}, the reward of task "
                    f"{row.scorer.task.name!r} has {wanted} for {names}; pass what `python -m "
                    f"medreward_swift TASK` prints, or take --reward_funcs medreward alone. Other "
                    f"weights are set in the reward, which checks them: MEDREWARD_SETTINGS"
                )

    def _trace(self, judged: Sequence[JudgedRow], columns: Mapping[str, Any]) -> None:
        if self.scorers.trace is None:
            return
        state = columns.get("trainer_state")
        finished = None if state is None else int(state.global_step)
        if finished is not None:
            if finished > 0 and (self._finished < 0 or finished < self._finished):
                self._mark_resume(finished)
            self._finished = finished
        step = None if finished is None else finished + 1
        self.scorers.trace.write(self._lines(judged, columns, step))

    def _lines(
        self, judged: Sequence[JudgedRow], columns: Mapping[str, Any], step: int | None
    ) -> Iterator[TraceRow]:
        ids, splits = (_column(columns, name, len(judged)) for name in ("id", "split"))
        for row, score, row_id, split in zip(judged, self._scores, ids, splits, strict=True):
            yield row.traced(score, {"step": step, "id": _text(row_id), "split": _text(split)})

    def _mark_resume(self, finished: int) -> None:
        """Note a resumed run; in a common file one rank could hide what another has written."""
        trace = self.scorers.trace
        if trace is not None and (trace.is_one_ranks or os.environ.get("WORLD_SIZE", "1") == "1"):
            named = self.scorers.named.values()
            trace.mark_resumed(finished, (one.signature("") for one in named))


_BATCHES: list[SwiftBatch] = []


def _batch_of(args: Any) -> SwiftBatch:
    """Return what the functions of a trainer share; without a configuration each is alone."""
    for batch in _BATCHES:
        if args is not None and batch.args is args:
            return batch
    batch = SwiftBatch(read_scorers(), args)
    if args is not None:
        _BATCHES.append(batch)
    return batch


def _rows(
    completions: Sequence[str], columns: Mapping[str, Any], target_column: str
) -> Iterator[tuple[Any, ...]]:
    if target_column not in columns:
        raise ConfigError(
            f"column {target_column!r} is missing; the rows have {', '.join(sorted(columns))}; "
            f"write them with `medreward rows export --to ms-swift`, or set target_column in "
            f"MEDREWARD_SETTINGS"
        )
    count = len(completions)
    tasks, knowledge = (_column(columns, name, count) for name in ("task", "knowledge"))
    yield from zip(completions, tasks, columns[target_column], knowledge, strict=True)


def _column(columns: Mapping[str, Any], name: str, count: int) -> Sequence[Any]:
    return columns[name] if name in columns else [None] * count


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _weights_of(members: Sequence[SwiftReward], weights: Mapping[str, float]) -> list[float]:
    """Return the weight of each function; beside the total, the parts are for the logs."""
    names = [one.name for one in members]
    return [
        1.0
        if name == TOTAL
        else 0.0
        if name in _SHOWN or TOTAL in names
        else float(weights[name.removeprefix(f"{TOTAL}_")])
        for name in names
    ]


def _holds(has: Sequence[float], wanted: Sequence[float]) -> bool:
    """Tell whether `wanted`, or a multiple of it, stands among `has`, in its order."""
    lead = max(wanted)
    if lead <= 0:
        return True
    return any(
        _in_order(has, [value / lead * weight for weight in wanted]) for value in has if value > 0
    )


def _in_order(has: Sequence[float], wanted: Sequence[float]) -> bool:
    close = _CLOSE * max(wanted)
    rest = iter(has)
    return all(any(abs(value - weight) <= close for value in rest) for weight in wanted)
