"""medreward's rewards as TRL reward functions.

TRL calls every reward function with the same batch, one after the other. The functions of
:func:`reward_funcs` share a `BatchScorer`, which parses and scores the batch once for all of them;
since `Score.parts` are the terms after gates and sign, TRL's weighted sum of the functions is the
shaped total.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from medreward import ConfigError, Score, Weights
from medreward.kinds.truth import target_of
from medreward.scoring.groups import by_prompt, zero_variance_share
from medreward.scoring.judged import Judged
from medreward.scoring.parts.base import part_names
from medreward.scoring.scorer import Scorer, TaskLike, scorer, scores_of
from medreward.scoring.trace import TraceLike, TraceRow, trace_row, trace_writer
from medreward.text.completion import CompletionLike, completion_text

Rewards: TypeAlias = list[float | None]
LogExtra: TypeAlias = Callable[[str, list[Any]], None]
LogMetric: TypeAlias = Callable[[str, float], None]


class RewardFuncs(NamedTuple):
    """Reward functions and their weights, in the order in which TRL wants them."""

    funcs: list[PartReward]
    weights: list[float]


def reward_funcs(
    task: TaskLike | Sequence[TaskLike],
    *,
    target_column: str = "target",
    trace: TraceLike | None = None,
    **settings: Any,
) -> RewardFuncs:
    """Return one reward function a part (accuracy, format, recitation) and their weights.

    The rows need a column of targets; a column ``task`` names the row's task and a column
    ``knowledge`` the text injected into its prompt (default: the card's). Rows of other tasks get
    None, TRL's "not applicable". The first function also logs each completion's prediction and
    reasons (``log_extra``), the shares of exactly right and of unreadable answers and, where the
    rows have a column ``id``, that of groups without any variance (``log_metric``).

    Args:
        task: a task, or several of them in one data set; these must agree on the weights.
        target_column: the column with the truth.
        trace: a file to which the first function writes what it scores, for ``medreward why``: a
            path, or a mapping of `medreward.scoring.trace.TraceWriter`'s arguments.
        **settings: override the cards' reward settings, as in `medreward.shaped_reward`.

    Raises:
        ConfigError: if a task or a setting is not allowed, here; if a row's target is not in the
            label set, at the call, with the row's number in the batch.
    """
    batch = BatchScorer(task, target_column, settings, trace)
    weights = batch.weights()
    parts = part_names()
    funcs = [PartReward(batch, part, logs=part == parts[0]) for part in parts]
    return RewardFuncs(funcs, [weights[part] for part in parts])


def shaped(
    task: TaskLike | Sequence[TaskLike],
    *,
    target_column: str = "target",
    trace: TraceLike | None = None,
    **settings: Any,
) -> ShapedReward:
    """Return the shaped total as a single reward function (see :func:`reward_funcs`).

    For TRL's command line, ``--reward_funcs medreward_trl.tasks.retinamnist`` is
    ``shaped("retinamnist")``.
    """
    return ShapedReward(BatchScorer(task, target_column, settings, trace), "shaped", logs=True)


class BatchScorer:
    """Scores TRL's batches; remembers the last one, so that functions can share its scores."""

    def __init__(
        self,
        task: TaskLike | Sequence[TaskLike],
        target_column: str,
        settings: Mapping[str, Any],
        trace: TraceLike | None = None,
    ) -> None:
        several = isinstance(task, Sequence) and not isinstance(task, str)
        bound = [scorer(one, settings) for one in (task if several else [task])]  # type: ignore[arg-type, union-attr]
        self.scorers = {one.task.name: one for one in bound}
        if not self.scorers:
            raise ConfigError("task: the list of tasks is empty")
        self.target_column = target_column
        self.trace = trace_writer(trace)
        self._last: tuple[object, list[Score | None]] | None = None

    def weights(self) -> Weights:
        """Return the weight of each part, on which all tasks have to agree."""
        found = {name: one.settings.weights for name, one in self.scorers.items()}
        if len(set(found.values())) > 1:
            raise ConfigError(
                f"weights: the tasks differ ({found}), but TRL has one weight a function; "
                f"pass weights=... for all of them"
            )
        return next(iter(found.values()))

    def scores(
        self, completions: Sequence[CompletionLike], columns: Mapping[str, Any]
    ) -> list[Score | None]:
        """Return the score of each row, None where its task is not one of ours."""
        count = len(completions)
        rows = list(
            zip(
                map(completion_text, completions),
                self._column(columns, "task", count),
                map(_plain, self._column(columns, self.target_column, count, required=True)),
                self._column(columns, "knowledge", count),
                strict=True,
            )
        )
        last = self._last
        if last is not None and last[0] == rows:
            return last[1]
        judged = [self._judged(i, *row) for i, row in enumerate(rows)]
        found = iter(scores_of([row for row in judged if row is not None]))
        scores = [None if row is None else next(found) for row in judged]
        self._last = (rows, scores)
        return scores

    def write_trace(self, columns: Mapping[str, Any]) -> None:
        """Append the batch that was scored last to the trace, if there is one."""
        if self.trace is not None and self._last is not None:
            self.trace.write(self._traced(columns, *self._last))

    def _traced(
        self, columns: Mapping[str, Any], rows: Any, scores: Sequence[Score | None]
    ) -> Iterator[TraceRow]:
        state = columns.get("trainer_state")
        step = None if state is None else int(state.global_step) + 1  # TRL counts finished updates
        ids, splits = (self._column(columns, name, len(rows)) for name in ("id", "split"))
        for row, score, row_id, split in zip(rows, scores, ids, splits, strict=True):
            text, name, target, knowledge = row
            bound = self._scorer(name)
            if score is not None and bound is not None:
                place = {"step": step, "id": _text(row_id), "split": _text(split)}
                yield trace_row(score, bound.task, text, target, knowledge, **place)

    def _judged(
        self, index: int, text: str, task: str | None, target: Any, knowledge: str | None
    ) -> tuple[Scorer, Judged] | None:
        bound = self._scorer(task)
        if bound is None:
            return None
        try:
            return bound, bound.judged(text, target_of(bound.task, target), knowledge)
        except ConfigError as error:
            raise ConfigError(f"row {index} of the batch: {error}") from error

    def _scorer(self, task: str | None) -> Scorer | None:
        if task is not None:
            return self.scorers.get(task)
        if len(self.scorers) > 1:
            raise ConfigError(
                f"column 'task' is missing or empty, and the reward has several tasks: "
                f"{', '.join(self.scorers)}"
            )
        return next(iter(self.scorers.values()))

    def _column(
        self, columns: Mapping[str, Any], name: str, count: int, *, required: bool = False
    ) -> Iterable[Any]:
        if name in columns:
            return columns[name]  # type: ignore[no-any-return]
        if required:
            raise ConfigError(
                f"column {name!r} is missing; the data set has {', '.join(sorted(columns))}; "
                f"target_column= names another one"
            )
        return [None] * count


class _Reward:
    """A TRL reward function: one number a completion, taken from its score."""

    def __init__(self, batch: BatchScorer, name: str, *, logs: bool) -> None:
        self.__name__ = name
        self.batch = batch
        self.logs = logs

    def __call__(
        self,
        *,
        completions: Sequence[CompletionLike],
        log_extra: LogExtra | None = None,
        log_metric: LogMetric | None = None,
        **columns: Any,
    ) -> Rewards:
        """Return the number of each completion, None where no task applies."""
        scores = self.batch.scores(completions, columns)
        if self.logs:
            self.batch.write_trace(columns)
            _log(scores, columns, log_extra, log_metric)
        return [None if score is None else self._value(score) for score in scores]

    def _value(self, score: Score) -> float:
        raise NotImplementedError


class PartReward(_Reward):
    """One part of the shaped reward as a TRL reward function, named after the part."""

    def _value(self, score: Score) -> float:
        return score.parts[self.__name__]


class ShapedReward(_Reward):
    """The shaped total as a TRL reward function."""

    def _value(self, score: Score) -> float:
        return score.total


def _log(
    scores: Sequence[Score | None],
    columns: Mapping[str, Any],
    log_extra: LogExtra | None,
    log_metric: LogMetric | None,
) -> None:
    """Hand predictions and reasons to TRL where it offers a place for them."""
    if log_extra is not None:
        log_extra("prediction", [None if s is None else s.prediction for s in scores])
        log_extra("reasons", ["" if s is None else " ".join(s.reasons) for s in scores])
        if "id" in columns:  # tells the groups apart, whose prompts may differ in the image alone
            log_extra("id", list(columns["id"]))
    if log_metric is not None:
        for name, value in _metrics(scores, columns.get("id")).items():
            log_metric(name, value)


def _metrics(scores: Sequence[Score | None], ids: Sequence[Any] | None) -> dict[str, float]:
    """Return what is logged of a batch; the share of zero-variance groups where rows have ids."""
    rows = [i for i, score in enumerate(scores) if score is not None]
    scored = [score for score in scores if score is not None]
    if not scored:
        return {}
    metrics = {
        "correct": sum(s.correct for s in scored) / len(scored),
        "unreadable": sum(s.prediction is None for s in scored) / len(scored),
    }
    if ids is not None:
        groups = by_prompt([ids[i] for i in rows], [score.total for score in scored])
        metrics["zero_variance"] = zero_variance_share(groups)
    return metrics


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _plain(target: Any) -> Any:
    """Return an array as lists, which compare with ==."""
    return target.tolist() if hasattr(target, "tolist") else target
