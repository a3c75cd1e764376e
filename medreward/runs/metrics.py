"""Metrics of scored completions: what is right, and how far off the rest is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from sklearn.metrics import cohen_kappa_score

from medreward.errors import ConfigError
from medreward.scoring.scorer import Score
from medreward.task.task import Task


@dataclass(frozen=True)
class OrdinalMetrics:
    """How well answers agree with the true grades.

    An answer that cannot be read counts as the grade furthest from the truth, so that leaving a
    question unanswered is never better than answering it.

    Attributes:
        accuracy: share of exactly right answers, in [0, 1].
        mae: mean absolute error in grades, in [0, K-1].
        qwk: quadratic weighted kappa (Cohen 1968), in [-1, 1], by scikit-learn; 1.0 where all
            answers and all truths are one and the same grade.
        unreadable: share of answers that name no grade, in [0, 1].
    """

    accuracy: float
    mae: float
    qwk: float
    unreadable: float

    def as_dict(self) -> dict[str, float]:
        """Return the metrics by name."""
        return asdict(self)


def ordinal_metrics(
    scores: Sequence[Score], targets: Sequence[object], task: Task
) -> OrdinalMetrics:
    """Return the metrics of scored answers against the true grades.

    Args:
        scores: one score an answer.
        targets: the truth of each, as `Task.target_index` takes it.
        task: an ordinal task.

    Raises:
        ConfigError: if there are no scores, or not as many targets as scores.

    >>> from medreward import explain
    >>> task = Task("size", kind="ordinal", labels=["small", "medium", "large"])
    >>> scores = explain(["<answer>small</answer>", "<answer>?</answer>"], [0, 0], task=task)
    >>> ordinal_metrics(scores, [0, 0], task).mae  # the unreadable one is 2 grades off
    1.0
    """
    if not scores or len(scores) != len(targets):
        raise ConfigError(f"{len(scores)} scores and {len(targets)} targets: give as many, not 0")
    last = len(task.labels) - 1
    truth = np.array([task.target_index(target) for target in targets])
    furthest = np.where(truth > last / 2, 0, last)
    named = np.array([-1 if s.prediction is None else _grade(s, task) for s in scores])
    answer = np.where(named < 0, furthest, named)
    return OrdinalMetrics(
        accuracy=float(np.mean(answer == truth)),
        mae=float(np.mean(np.abs(answer - truth))),
        qwk=_kappa(truth, answer, last + 1),
        unreadable=float(np.mean(named < 0)),
    )


def _grade(score: Score, task: Task) -> int:
    return task.target_index(score.prediction)


def _kappa(truth: np.ndarray, answer: np.ndarray, grades: int) -> float:
    if len({*truth.tolist(), *answer.tolist()}) == 1:
        return 1.0  # kappa is 0/0 here
    return float(cohen_kappa_score(truth, answer, labels=range(grades), weights="quadratic"))
