"""medreward's rewards as TRL reward functions.

TRL calls every reward function with the same batch, one after the other. The functions of
:func:`reward_funcs` share a `BatchScorer`, which parses and scores the batch once for all of them;
since `Score.parts` are the terms after gates and sign, TRL's weighted sum of the functions is the
shaped total. Whether TRL has these weights is checked at each batch (`medreward_trl.in_trainer`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from medreward import ConfigError, Score, Weights
from medreward.checks import texts
from medreward.errors import quote
from medreward.scoring.groups import by_prompt, zero_variance_share
from medreward.scoring.parts.base import used_parts
from medreward.scoring.rows import JudgedRow, judge_row, score_rows
from medreward.scoring.schedule import is_scheduled, settings_at
from medreward.scoring.scorer import Scorer, TaskLike, scorer
from medreward.scoring.trace import TraceLike, TraceRow, trace_writer
from medreward.text.completion import CompletionLike, completion_text
from medreward_trl.in_trainer import (
    check_names,
    check_sees_images,
    check_weights,
    gather_rows,
    has_ranks,
    is_evaluating,
    trainer_of,
)
from medreward_trl.row_tasks import RowTasks
from medreward_trl.schedule import TrainerSchedule

_log = logging.getLogger(__name__)
Rewards: TypeAlias = list[float | None]
TRAIN, EVALUATION = "train", "evaluation"
LogExtra: TypeAlias = Callable[[str, list[Any]], None]
LogMetric: TypeAlias = Callable[[str, float], None]


class RewardFuncs(NamedTuple):
    """Reward functions and their weights, in the order in which TRL wants them."""

    funcs: list[PartReward]
    weights: list[float]

    @property
    def __call__(self) -> Any:  # TRL asks for it where a trainer is given the pair as a function
        """Say that the pair is no function.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            "reward_funcs: this is the pair of functions and weights, not a function; write "
            "funcs, weights = reward_funcs(...), then GRPOTrainer(reward_funcs=funcs, "
            "args=GRPOConfig(reward_weights=weights))"
        )


def reward_funcs(
    task: TaskLike | Sequence[TaskLike],
    *,
    target_column: str = "target",
    trace: TraceLike | None = None,
    name: str | None = None,
    other_tasks: Sequence[str] = (),
    **settings: Any,
) -> RewardFuncs:
    """Return one reward function a part (accuracy, format, recitation) and their weights.

    A part whose weight is 0 unless one is given, such as findings, has a function where one is.

    The rows need a column of targets; a column ``task`` names the row's task and a column
    ``knowledge`` the text injected into its prompt (default: the card's). Rows of other tasks get
    None, TRL's "not applicable"; they need functions of their own. The first function also logs
    each completion's prediction and reasons (``log_extra``), the shares of exactly right and of
    unreadable answers and, where the rows have a column ``id``, that of groups without any variance
    (``log_metric``); of several tasks also ``correct/TASK`` and ``accuracy/TASK`` of each; over the
    rows of all ranks. A group of one completion has no variance to speak of and does not count.

    TRL knows the weights from ``GRPOConfig(reward_weights=...)`` alone and takes 1 for each where
    they are forgotten, so the functions look at the trainer's and refuse others than their own
    (or a multiple of all of them).

    Args:
        task: a task, or several of them in one data set; these must agree on the weights.
        target_column: the column with the truth.
        trace: a file to which the first function writes what it scores, for ``medreward why``: a
            path, or a mapping of `medreward.scoring.trace.TraceWriter`'s arguments. Rows that are
            evaluated and that no ``split`` tells from training rows get the split "evaluation".
        name: goes before the names of functions, metrics and columns, as in ``first/accuracy``; a
            trainer with several sets needs one for each set but one.
        other_tasks: the tasks of rows that functions of your own reward. It is needed where the
            trainer or its data set is not seen; other sets of `reward_funcs` in one trainer are.
        **settings: override the cards' reward settings, as in `medreward.shaped_reward`;
            ``task_scale`` may be a mapping of tasks or a file of one. Here
            ``box_quality="schedule"`` is allowed too, which needs a trace, and ``box_schedule``, a
            mapping of `medreward.scoring.schedule.ThresholdRules`' arguments.

    Raises:
        ConfigError: if a task or a setting is not allowed, here; if a row's target is not in the
            label set, at the call, with the row's number in the batch; at the call too, if the
            trainer has other weights, other functions of the same name, rows of tasks that no
            function takes, or rows with pictures and a tokenizer in place of the model's processor.

    >>> funcs, weights = reward_funcs("retinamnist")
    >>> funcs[0](completions=["<think>x</think><answer>1</answer>"], target=["2"])
    [0.25]
    """
    batch = BatchScorer(task, target_column, settings, trace, other_tasks)
    weights = batch.weights()
    parts = [part.name for part in used_parts(weights)]
    funcs = [PartReward(batch, part, weights[part], _prefix(name)) for part in parts]
    return RewardFuncs(funcs, [weights[part] for part in parts])


def shaped(
    task: TaskLike | Sequence[TaskLike],
    *,
    target_column: str = "target",
    trace: TraceLike | None = None,
    name: str | None = None,
    other_tasks: Sequence[str] = (),
    **settings: Any,
) -> ShapedReward:
    """Return the shaped total as a single reward function (see :func:`reward_funcs`).

    For TRL's command line, ``--reward_funcs medreward_trl.tasks.retinamnist`` is
    ``shaped("retinamnist")``.

    >>> shaped("retinamnist")(completions=["<think>x</think><answer>1</answer>"], target=["2"])
    [0.45]
    """
    return ShapedReward(
        BatchScorer(task, target_column, settings, trace, other_tasks), _prefix(name)
    )


def _prefix(name: str | None) -> str:
    if name is not None and (not isinstance(name, str) or not name.strip()):
        raise ConfigError(f"name: {name!r} is not a text")
    return "" if name is None else f"{name}/"


class BatchScorer:
    """Scores TRL's batches; remembers the last one, so that functions can share its scores."""

    def __init__(
        self,
        task: TaskLike | Sequence[TaskLike],
        target_column: str,
        settings: Mapping[str, Any],
        trace: TraceLike | None = None,
        other_tasks: Sequence[str] = (),
    ) -> None:
        several = isinstance(task, Sequence) and not isinstance(task, str)
        settings = dict(settings)
        rules = settings.pop("box_schedule", None)
        if rules is not None and not is_scheduled(settings):
            raise ConfigError("box_schedule: goes with box_quality='schedule', which is not set")
        first = settings_at(settings, 0.5)
        bound = [scorer(one, first) for one in (task if several else [task])]  # type: ignore[arg-type, union-attr]
        self.scorers = {one.task.name: one for one in bound}
        if not self.scorers:
            raise ConfigError("task: the list of tasks is empty")
        self.target_column = target_column
        others = [*other_tasks] if isinstance(other_tasks, tuple) else other_tasks
        self.row_tasks = RowTasks([*self.scorers], texts("other_tasks", others))
        self.trace = trace_writer(trace)
        self.schedule: TrainerSchedule | None = None
        if is_scheduled(settings):
            tasks = [one.task for one in bound]
            self.schedule = TrainerSchedule(tasks, settings, rules, self.trace)
            self.scorers = self.schedule.scorers()
        self._last: tuple[object, list[JudgedRow | None], list[Score | None]] | None = None
        self._finished = -1  # updates, when the trace was last written to

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
        if isinstance(completions, str) or not hasattr(completions, "__len__"):
            raise ConfigError(
                f"completions: {quote(completions)} is no list; give a list of completions"
            )
        count = len(completions)
        targets = self._column(columns, self.target_column, count, required=True)
        rows = list(
            zip(
                map(_said, completions),
                self._column(columns, "task", count),
                map(_plain, targets),
                self._column(columns, "knowledge", count),
                strict=True,
            )
        )
        last = self._last
        if last is not None and last[0] == rows:
            return last[2]
        judged = [self._judged(i, *row) for i, row in enumerate(rows)]
        found = iter(score_rows([row for row in judged if row is not None]))
        scores = [None if row is None else next(found) for row in judged]
        self._last = (rows, judged, scores)
        return scores

    def move_schedule(self, columns: Mapping[str, Any]) -> None:
        """Go to the threshold of the trainer's step, where a schedule moves it.

        Raises:
            ConfigError: if the trainer does not say its step.
        """
        if self.schedule is not None and self.schedule.move_to(_finished(columns)):
            self.scorers = self.schedule.scorers()
            self._last = None

    def note_overlaps(self, trainer: Any) -> None:
        """Hand what the batch that was scored last reached to the schedule, if there is one."""
        if self.schedule is not None and self._last is not None:
            self.schedule.note(trainer, self._last[1])

    def tasks_of_rows(self) -> list[str | None]:
        """Return the task of each row of the batch that was scored last, None for foreign ones."""
        judged = self._last[1] if self._last is not None else []
        return [None if row is None else row.scorer.task.name for row in judged]

    def has_own_file(self) -> bool:
        """Tell whether the trace is this rank's alone."""
        return self.trace is not None and self.trace.is_one_ranks

    def mark_resume(self, columns: Mapping[str, Any]) -> None:
        """Note in the trace that a run goes on from a checkpoint, if this batch is its first.

        Updates after the checkpoint are made again, and what was sampled for them before does not
        count any more. All ranks call this before one of them writes a row.
        """
        finished = _finished(columns)
        if self.trace is None or finished is None:
            return
        if finished > 0 and (self._finished < 0 or finished < self._finished):
            own = () if self.schedule else (one.signature("") for one in self.scorers.values())
            self.trace.mark_resumed(finished, own)  # a schedule's settings move by themselves
        self._finished = finished

    def write_trace(self, columns: Mapping[str, Any], *, evaluating: bool | None = None) -> None:
        """Append the batch that was scored last to the trace, if there is one.

        Args:
            columns: what TRL passes.
            evaluating: whether the batch is evaluated and not trained on; None: not known.
        """
        if self.trace is not None and self._last is not None:
            _, rows, scores = self._last
            lines = self._traced(columns, rows, scores, evaluating)
            self.trace.write(lines, all_steps=bool(evaluating))

    def _traced(
        self,
        columns: Mapping[str, Any],
        rows: Sequence[JudgedRow | None],
        scores: Sequence[Score | None],
        evaluating: bool | None,
    ) -> Iterator[TraceRow]:
        step = _finished(columns)
        if step is not None and not evaluating:
            step += 1  # TRL counts finished updates; this batch is for the next one
        ids, splits = (self._column(columns, name, len(rows)) for name in ("id", "split"))
        for row, score, row_id, split in zip(rows, scores, ids, splits, strict=True):
            if row is not None and score is not None:
                place = {"step": step, "id": _text(row_id), "split": _split(split, evaluating)}
                yield row.traced(score, place)

    def _judged(
        self, index: int, text: str, task: str | None, target: Any, knowledge: str | None
    ) -> JudgedRow | None:
        bound = self._scorer(task)
        if bound is None:
            return None
        try:
            return judge_row(bound, text, target, knowledge)
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
        if columns.get(name) is not None:
            return _column_of(name, columns[name], count)
        if required:
            given = sorted(key for key, value in columns.items() if value is not None)
            has = ", ".join(given) or "no column but the prompts"
            raise ConfigError(
                f"column {name!r} is missing; the data set has {has}; "
                f"target_column= names another one. If the rows have it, TRL has removed it: set "
                f"GRPOConfig(remove_unused_columns=False)"
            )
        return [None] * count


class _Reward:
    """A TRL reward function: one number a completion, taken from its score.

    Attributes:
        batch: what scores; functions with the same one are a set.
        logs: whether it is the one function of its set that logs and writes the trace.
        prefix: stands before the names of what is logged.
        weight: what TRL has to multiply it with; only the ratio within a set counts.
    """

    def __init__(
        self, batch: BatchScorer, name: str, weight: float, prefix: str, *, logs: bool
    ) -> None:
        self.__name__ = prefix + name
        self.batch = batch
        self.weight = weight
        self.prefix = prefix
        self.logs = logs

    def __call__(
        self,
        completions: Sequence[CompletionLike],
        *,
        log_extra: LogExtra | None = None,
        log_metric: LogMetric | None = None,
        **columns: Any,
    ) -> Rewards:
        """Return the number of each completion, None where no task applies.

        TRL names all arguments; trainers of its shape may give the completions by position.
        """
        trainer = trainer_of(log_metric)
        if self.logs and columns.get("task") is not None:
            self.batch.row_tasks.check(columns["task"], trainer, _row_tasks_of)
        self.batch.move_schedule(columns)
        scores = self.batch.scores(completions, columns)
        if self.logs:
            if trainer is not None:
                check_names(trainer, self)
                check_weights(trainer, self)
                check_sees_images(trainer, columns)
            elif "prompts" in columns:  # a trainer's call that shows no trainer
                self._warn_of_weights()
            if trainer is not None or not has_ranks() or self.batch.has_own_file():
                self.batch.mark_resume(columns)
            if log_extra is not None:
                self._log_extra(trainer, scores, columns, log_extra)
            if log_metric is not None:  # gathers: no rank goes on before all have marked
                tasks = self.batch.tasks_of_rows() if len(self.batch.scorers) > 1 else None
                for name, value in _metrics(trainer, scores, columns.get("id"), tasks).items():
                    log_metric(self.prefix + name, value)
            if not is_evaluating(trainer):
                self.batch.note_overlaps(trainer)
            self.batch.write_trace(columns, evaluating=is_evaluating(trainer))
        return [
            None if score is None or "judge_unavailable" in score.reasons else self._value(score)
            for score in scores
        ]

    def _value(self, score: Score) -> float:
        raise NotImplementedError

    def _warn_of_weights(self) -> None:
        """Say that the trainer's weights are not seen, where they matter."""

    def _log_extra(
        self,
        trainer: Any,
        scores: Sequence[Score | None],
        columns: Mapping[str, Any],
        log_extra: LogExtra,
    ) -> None:
        """Hand predictions, reasons and what was not understood to TRL's table of completions."""
        log_extra(f"{self.prefix}prediction", [None if s is None else s.prediction for s in scores])
        log_extra(
            f"{self.prefix}reasons", ["" if s is None else " ".join(s.reasons) for s in scores]
        )
        log_extra(f"{self.prefix}unread", ["" if s is None else s.unread for s in scores])
        # The id tells the groups apart, whose prompts may differ in the image alone. TRL appends
        # the values of all functions to one column, so one function of a trainer writes it.
        sets = [one for one in getattr(trainer, "reward_funcs", ()) if isinstance(one, _Reward)]
        if "id" in columns and next((one for one in sets if one.logs), self) is self:
            log_extra("id", list(columns["id"]))


class PartReward(_Reward):
    """One part of the shaped reward as a TRL reward function, named after the part."""

    def __init__(self, batch: BatchScorer, part: str, weight: float, prefix: str = "") -> None:
        super().__init__(batch, part, weight, prefix, logs=part == "accuracy")
        self.part = part
        self._warned = False

    def _warn_of_weights(self) -> None:
        if not self._warned:
            self._warned = True
            _log.warning(
                "reward_weights: this trainer does not show its weights, and takes 1 for each "
                "where they are forgotten; make sure of GRPOConfig(reward_weights=weights), or "
                "take medreward_trl.shaped, which needs none"
            )

    def _value(self, score: Score) -> float:
        return score.parts[self.part]


class ShapedReward(_Reward):
    """The shaped total as a TRL reward function."""

    def __init__(self, batch: BatchScorer, prefix: str = "") -> None:
        super().__init__(batch, "shaped", 1.0, prefix, logs=True)

    def _value(self, score: Score) -> float:
        return score.total


def _metrics(
    trainer: Any,
    scores: Sequence[Score | None],
    ids: Sequence[Any] | None,
    tasks: Sequence[str | None] | None = None,
) -> dict[str, float]:
    """Return what is logged of a batch; the share of zero-variance groups where rows have ids.

    A group may span ranks, so the rows of all of them are taken together, on every rank. Of several
    tasks, each has its share of right answers and its mean accuracy too.
    """
    names = [None] * len(scores) if ids is None else ids
    kinds = [None] * len(scores) if tasks is None else tasks
    found = [
        (
            *(_text(name), score.total, score.correct, score.prediction is None),
            *(kind, score.parts["accuracy"]),
        )
        for name, kind, score in zip(names, kinds, scores, strict=True)
        if score is not None
    ]
    rows = gather_rows(trainer, found)
    if not rows:
        return {}
    metrics = {
        "correct": sum(row[2] for row in rows) / len(rows),
        "unreadable": sum(row[3] for row in rows) / len(rows),
    }
    for task in sorted({row[4] for row in rows if row[4] is not None}):
        own = [row for row in rows if row[4] == task]
        metrics[f"correct/{task}"] = sum(row[2] for row in own) / len(own)
        metrics[f"accuracy/{task}"] = sum(row[5] for row in own) / len(own)
    if ids is not None:
        groups = by_prompt([row[0] for row in rows], [row[1] for row in rows])
        compared = [group for group in groups if len(group) > 1]  # one alone always varies by 0
        if compared:
            metrics["zero_variance"] = zero_variance_share(compared)
    return metrics


def _finished(columns: Mapping[str, Any]) -> int | None:
    """Return how many updates are finished, None where the trainer does not say."""
    state = columns.get("trainer_state")
    return None if state is None else int(state.global_step)


def _split(split: object, evaluating: bool | None) -> str | None:
    """Return a row's split; what is evaluated is never among the rows of training."""
    if evaluating is None or (split is not None and str(split) != TRAIN):
        return _text(split)
    return EVALUATION if evaluating else TRAIN


def _column_of(name: str, values: Any, count: int) -> Sequence[Any]:
    """Return a column, which has to have one value a completion."""
    if isinstance(values, str) or not hasattr(values, "__len__"):
        raise ConfigError(
            f"column {name!r}: {quote(values)} is no list; give a list of one value a completion"
        )
    if len(values) != count:
        raise ConfigError(
            f"column {name!r}: {len(values)} values for {count} completions; give one for each"
        )
    return values  # type: ignore[no-any-return]


def _row_tasks_of(func: Any) -> RowTasks | None:
    return func.batch.row_tasks if isinstance(func, _Reward) else None


def _said(completion: CompletionLike) -> str:
    """Return a completion's text; TRL gives an empty list where a rollout brought nothing."""
    return "" if isinstance(completion, list) and not completion else completion_text(completion)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _plain(target: Any) -> Any:
    """Return an array as lists, which compare with ==."""
    return target.tolist() if hasattr(target, "tolist") else target
