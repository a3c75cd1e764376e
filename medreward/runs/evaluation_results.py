"""What an evaluation found: of a task or a part of its rows, and of two models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from medreward.runs.evaluation_intervals import Difference, Estimate


class TaskEvaluation(NamedTuple):
    """What a model's completions are worth on the rows of one task, or of a part of them.

    Attributes:
        task: the task's name.
        part: the part of the rows, such as "split=test"; "" for all of them.
        rows: how many rows.
        signature: of the reward that read the answers.
        metrics: each with its interval.
        labels: recall, precision and F1 of each label, where a task names labels, and the ends of
            their ``intervals``.
        reasons: reason codes of answers that are not right, with counts.
        baselines: what answers earn that do not look at the image.
        unread: the reason codes of answers that cannot be read, with counts.
        notes: what a reader of the numbers should know.
        model: whose completions they are, "" where there is one model only.
        confusion: where answers are one label, how often each truth (rows) was answered by each
            label (columns), and not read (the last column).
        ceiling: what people earn, by what they are held against, where that is known.
    """

    task: str
    part: str
    rows: int
    signature: str
    metrics: list[Estimate]
    labels: list[dict[str, Any]]
    reasons: dict[str, int]
    baselines: dict[str, dict[str, float]]
    unread: Mapping[str, int] = {}
    notes: Sequence[str] = ()
    model: str = ""
    confusion: Sequence[Sequence[int]] = ()
    ceiling: Mapping[str, Sequence[Estimate]] = {}

    def as_dict(self) -> dict[str, Any]:
        """Return it as a JSON-ready dictionary."""
        return {
            **self._asdict(),
            "metrics": [_known(one._asdict()) for one in self.metrics],
            "baselines": {name: _known(values) for name, values in self.baselines.items()},
            "notes": [*self.notes],
            "ceiling": {
                name: [_known(one._asdict()) for one in own] for name, own in self.ceiling.items()
            },
        }


class ModelComparison(NamedTuple):
    """How two models differ on the rows of a task.

    Attributes:
        task: the task's name.
        one: the first model.
        other: the second one, which is taken from the first.
        metrics: the difference in each metric; p is corrected for all comparisons of the task.
        resamples: how many permutations p is told from.
        compared: how many p-values of the task Holm's correction is for; 0: not known.
        left_out: metrics that only one of the two has, such as those of confidences.
    """

    task: str
    one: str
    other: str
    metrics: list[Difference]
    resamples: int = 2000
    compared: int = 0
    left_out: Sequence[str] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it as a JSON-ready dictionary."""
        metrics = [_known(one._asdict()) for one in self.metrics]
        return {**self._asdict(), "metrics": metrics, "left_out": [*self.left_out]}


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as JSON has them: None where there is no number."""
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}
