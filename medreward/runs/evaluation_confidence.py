"""Metrics of how sure a model is, equal to scikit-learn's: AUROC, average precision, calibration.

With the probability p of each label (given, or the share of samples that say it), AUROC and average
precision are those of each label against all others, averaged over labels that are the truth of
some rows and not of all. With one number c a row, c ranks answers: AUROC of right answers is the
chance that a right one has the larger c, and::

    ECE = sum over 10 bins of c of |sum of c - number right| / number of rows

(Naeini, Cooper, Hauskrecht, AAAI 2015). An answer that cannot be read names no label: all of its
labels have p = 0 where one number is all that is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from medreward.kinds.base import TargetType, kind_of
from medreward.runs.evaluation_intervals import (
    AnyMetric,
    Array,
    Metric,
    OfWeights,
    RankedMetric,
    mean_where,
    ranks_of,
    ratio,
)
from medreward.runs.evaluation_readings import Prediction, labels_said
from medreward.task.task import Task

BINS = 10


def confidence_metrics(task: Task, predictions: Sequence[Prediction]) -> list[AnyMetric]:
    """Return the metrics of confidences; none where predictions have none."""
    metrics: list[AnyMetric] = []
    by_label = probabilities(task, predictions)
    if by_label is not None:
        rows = [*zip(by_label, _truth(task, predictions), strict=True)]
        metrics += [
            RankedMetric("macro AUROC", rows, lambda own: _macro(own, auroc_way), _ranked),
            RankedMetric(
                "macro average precision", rows, lambda own: _macro(own, precision_way), _ranked
            ),
        ]
    sure = certainties(task, predictions)
    if sure is not None:
        right = np.array([one.score.correct for one in predictions], float)
        pairs = [*zip(sure, right, strict=True)]
        metrics += [
            RankedMetric("AUROC of right answers", pairs, _ranked_way, _ranked),
            _calibration(sure, right),
        ]
    return metrics


def probabilities(task: Task, predictions: Sequence[Prediction]) -> Array | None:
    """Return the probability of each label: shape (rows, labels); None where it is not known.

    Of two labels, one number is enough: the other label has the rest.
    """
    if kind_of(task).target_type not in (TargetType.LABEL, TargetType.LABELS):
        return None
    given = [one.confidence for one in predictions]
    if all(isinstance(one, tuple) for one in given):
        return np.array(given, float)
    is_pair = len(task.labels) == 2 and kind_of(task).target_type is TargetType.LABEL
    if not is_pair or not all(isinstance(one, float) for one in given):
        return None
    found = np.zeros((len(given), 2))
    for i, (one, sure) in enumerate(zip(predictions, given, strict=True)):
        for label in labels_said(task, one.score):
            found[i, label], found[i, 1 - label] = sure, 1 - float(sure)  # type: ignore[arg-type]
    return found


def certainties(task: Task, predictions: Sequence[Prediction]) -> Array | None:
    """Return how sure each answer is; None where that is not known, or labels are a set."""
    given = [one.confidence for one in predictions]
    if all(isinstance(one, float) for one in given):
        return np.array(given, float)
    if kind_of(task).target_type is not TargetType.LABEL:
        return None
    found = []
    for one in predictions:
        if not isinstance(one.confidence, tuple):
            return None
        found.append(sum(one.confidence[i] for i in labels_said(task, one.score)))
    return np.array(found, float)


def _truth(task: Task, predictions: Sequence[Prediction]) -> Array:
    found = np.zeros((len(predictions), len(task.labels)))
    for i, one in enumerate(predictions):
        found[i, [one.target] if isinstance(one.target, int) else [*one.target]] = 1.0
    return found


def label_curves(task: Task, predictions: Sequence[Prediction]) -> list[dict[str, AnyMetric]]:
    """Return AUROC and average precision of each label; [] where probabilities are not known."""
    by_label = probabilities(task, predictions)
    if by_label is None:
        return []
    true = _truth(task, predictions)
    found: list[dict[str, AnyMetric]] = []
    for label in range(len(task.labels)):
        rows = [*zip(by_label[:, label], true[:, label], strict=True)]
        found.append(
            {
                "auroc": RankedMetric("auroc", rows, _ranked_way, _ranked),
                "average_precision": RankedMetric(
                    "average_precision", rows, _precision_of_rows, _ranked
                ),
            }
        )
    return found


def reliability(sure: Array, right: Array) -> list[dict[str, Any]]:
    """Return mean confidence and share of right answers of each bin that has rows."""
    bins = _bins(sure)
    return [
        {
            "from": b / BINS,
            "to": (b + 1) / BINS,
            "rows": int((bins == b).sum()),
            "confidence": float(sure[bins == b].mean()),
            "right": float(right[bins == b].mean()),
        }
        for b in range(BINS)
        if (bins == b).any()
    ]


def _bins(sure: Array) -> Array:
    """Return the bin of each confidence: [0, 0.1), [0.1, 0.2), … and the last one with 1."""
    return np.minimum(np.floor(sure * BINS + 1e-9).astype(int), BINS - 1)


def _calibration(sure: Array, right: Array) -> Metric:
    columns = np.zeros((len(sure), BINS + 1))
    columns[np.arange(len(sure)), _bins(sure)] = sure - right
    columns[:, BINS] = 1.0
    return Metric(
        "expected calibration error",
        columns,
        lambda sums: np.abs(sums[..., :BINS]).sum(axis=-1) / sums[..., BINS],
    )


def _macro(rows: Sequence[Any], make: Callable[[Array, Array], OfWeights]) -> OfWeights:
    """Return the mean over labels of a metric of each label against all others."""
    scores, true = (np.array(part) for part in zip(*rows, strict=True))
    some = [i for i in range(true.shape[1]) if 0 < true[:, i].sum() < len(true)]
    ways = [make(scores[:, i], true[:, i]) for i in some]

    def compute(weights: Array) -> Array:
        if not ways:
            return np.full(len(weights), np.nan)
        values = np.column_stack([way(weights) for way in ways])
        known = ~np.isnan(values)
        return mean_where(np.where(known, values, 0.0), known)

    return compute


def _ranked(rows: Sequence[tuple[Any, Any]]) -> Sequence[tuple[Any, Any]]:
    """Return rows of scores and truths with the ranks of the scores in their place."""
    scores, true = zip(*rows, strict=True)
    return [*zip(ranks_of(np.array(scores, float)), true, strict=True)]


def _ranked_way(rows: Sequence[Any]) -> OfWeights:
    return auroc_way(*(np.array(part, float) for part in zip(*rows, strict=True)))


def _precision_of_rows(rows: Sequence[Any]) -> OfWeights:
    return precision_way(*(np.array(part, float) for part in zip(*rows, strict=True)))


def _steps(scores: Array) -> tuple[Array, Array]:
    """Return the order of scores from the largest on, and where each new value begins."""
    order = np.argsort(-scores, kind="stable")
    changes: Array = np.flatnonzero(np.diff(scores[order])) + 1
    return order, np.concatenate([[0], changes])


def auroc_way(scores: Array, true: Array) -> OfWeights:
    """Return what gives the area under the ROC curve of weights of rows; NaN for one class.

    >>> way = auroc_way(np.array([0.9, 0.4, 0.4]), np.array([1.0, 1.0, 0.0]))
    >>> float(way(np.ones((1, 3)))[0])
    0.75
    """
    order, starts = _steps(scores)

    def compute(weights: Array) -> Array:
        drawn = weights[:, order]
        hits = np.add.reduceat(drawn * true[order], starts, axis=1)
        others = np.add.reduceat(drawn * (1 - true[order]), starts, axis=1)
        above = np.cumsum(hits, axis=1) - hits
        area = (others * (above + hits / 2)).sum(axis=1)
        return ratio(area, hits.sum(axis=1) * others.sum(axis=1), np.nan)

    return compute


def precision_way(scores: Array, true: Array) -> OfWeights:
    """Return what gives average precision of weights of rows; NaN where nothing is true.

    It is the sum of precision over steps of recall, without interpolation.

    >>> way = precision_way(np.array([0.9, 0.6, 0.3]), np.array([1.0, 0.0, 1.0]))
    >>> round(float(way(np.ones((1, 3)))[0]), 6)
    0.833333
    """
    order, starts = _steps(scores)

    def compute(weights: Array) -> Array:
        drawn = weights[:, order]
        hits = np.add.reduceat(drawn * true[order], starts, axis=1)
        said = np.add.reduceat(drawn, starts, axis=1)
        precision = ratio(np.cumsum(hits, axis=1), np.cumsum(said, axis=1))
        return ratio((precision * hits).sum(axis=1), hits.sum(axis=1), np.nan)

    return compute
