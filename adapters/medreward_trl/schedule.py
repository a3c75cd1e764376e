"""``box_quality: schedule`` in TRL: thresholds that move with the trainer's steps.

All ranks see the IoUs of all of them, so their thresholds are the same. A run that goes on from a
checkpoint reads where it stood from its trace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from medreward import ConfigError
from medreward.checks import mapping
from medreward.runs import read_trace
from medreward.scoring.rows import JudgedRow
from medreward.scoring.schedule import (
    ThresholdRules,
    ThresholdState,
    advance,
    begin,
    overlap,
    overlap_scorer,
    replay,
    settings_at,
)
from medreward.scoring.scorer import Scorer, scorer
from medreward.scoring.trace import TraceWriter
from medreward.task.task import Task
from medreward_trl.in_trainer import gather_rows, has_ranks


class TrainerSchedule:
    """The thresholds of the tasks of a reward.

    Args:
        tasks: the tasks.
        settings: of the reward, with ``box_quality: schedule``.
        rules: when thresholds rise, or a mapping of `ThresholdRules`' arguments; None: the default.
        trace: the writer of the run's trace.

    Raises:
        ConfigError: if no task has boxes, or there is no whole trace.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        settings: Mapping[str, Any],
        rules: ThresholdRules | Mapping[str, Any] | None,
        trace: TraceWriter | None,
    ) -> None:
        if trace is None or trace.every != 1 or trace.share != 1 or trace.is_one_ranks:
            raise ConfigError(
                "box_quality: 'schedule' needs a trace with every step, which a run that is "
                "resumed starts from: trace='trace.jsonl', with every and share at 1 and one file "
                "for all ranks"
            )
        self.rules = _rules(rules)
        self._settings, self._trace = settings, trace
        self._tasks = {task.name: task for task in tasks}
        plain = {name: self._at(task, begin(self.rules)) for name, task in self._tasks.items()}
        self._overlaps = {
            name: overlap_scorer(bound)
            for name, bound in plain.items()
            if len(plain) == 1 or "box_quality" in bound.kind.settings
        }
        if not self._overlaps:
            raise ConfigError("box_quality: 'schedule' is for boxes, and none of the tasks has any")
        self.states = dict.fromkeys(self._overlaps, begin(self.rules))
        self._finished: int | None = None
        self._noted: dict[str, list[float]] = {}

    def scorers(self) -> dict[str, Scorer]:
        """Return the scorer of each task at its threshold."""
        return {
            name: self._at(task, self.states.get(name, begin(self.rules)))
            for name, task in self._tasks.items()
        }

    def move_to(self, finished: int | None) -> bool:
        """Go to the step after so many updates; tell whether a threshold may have moved.

        Raises:
            ConfigError: if the trainer does not say its step.
        """
        if finished is None:
            raise ConfigError(
                "box_quality: 'schedule': this trainer does not pass its state, so that the step "
                "is not known; take 'threshold' or 'above' with a box_threshold of your own"
            )
        if finished == self._finished:
            return False
        first = self._finished is None or finished < self._finished
        self._finished, noted, self._noted = finished, self._noted, {}
        if first:
            self.states = {name: self._resumed(name, finished) for name in self.states}
        else:
            for name, overlaps in noted.items():
                self.states[name] = advance(self.states[name], overlaps, self.rules)
        return True

    def note(self, trainer: Any, rows: Sequence[JudgedRow | None]) -> None:
        """Take in the completions of a step, of all ranks.

        Raises:
            ConfigError: if other ranks' cannot be had, or the trace has ended.
        """
        if trainer is None and has_ranks():
            raise ConfigError(
                "box_quality: 'schedule': this trainer is not seen by the reward, so that the "
                "completions of other ranks are not; take 'threshold' with a box_threshold"
            )
        if self._trace.full:
            raise ConfigError(
                f"box_quality: 'schedule': the trace {self._trace.path} has reached its max_bytes; "
                f"a run that is resumed needs all of it: set trace.max_bytes higher"
            )
        found = [
            (row.scorer.task.name, value)
            for row in rows
            if row is not None and row.scorer.task.name in self.states
            if (value := self._overlap(row)) is not None
        ]
        for name, value in gather_rows(trainer, found):
            self._noted.setdefault(name, []).append(value)

    def _overlap(self, row: JudgedRow) -> float | None:
        return overlap(self._overlaps[row.scorer.task.name], row.completion, row.ground_truth)

    def _resumed(self, name: str, finished: int) -> ThresholdState:
        if finished == 0:
            return begin(self.rules)
        rows = read_trace([self._trace.path])
        states = replay(rows, self._overlaps[name], self.rules, until=finished)
        return states[max(states)] if states else begin(self.rules)

    def _at(self, task: Task, state: ThresholdState) -> Scorer:
        return scorer(task, settings_at(self._settings, state.threshold))


def _rules(given: ThresholdRules | Mapping[str, Any] | None) -> ThresholdRules:
    if isinstance(given, ThresholdRules):
        return given
    known = [field.name for field in fields(ThresholdRules)]
    values = mapping("box_schedule", given, known) if given is not None else {}
    tables: dict[str, Any] = {
        name: tuple(map(tuple, values[name])) for name in ("raises", "gates") if name in values
    }
    return ThresholdRules(**{**values, **tables})
