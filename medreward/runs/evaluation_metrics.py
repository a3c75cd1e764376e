"""What the metrics of a task are: by the type of its targets, one function each.

An answer that cannot be read is wrong, names no label and, of grades, counts as the one furthest
from the truth: accuracy, errors and kappa never gain by it. Precision and F1 count what was said,
so that it costs recall only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from medreward.errors import ConfigError
from medreward.kinds.base import TargetType, kind_of
from medreward.runs.evaluation_answers import (
    credit_metrics,
    finding_metrics,
    finding_table,
    question_metrics,
)
from medreward.runs.evaluation_confidence import confidence_metrics, label_curves
from medreward.runs.evaluation_intervals import (
    AnyMetric,
    Array,
    Difference,
    Estimate,
    LabelMetrics,
    Metric,
    RankedMetric,
    differences,
    estimates,
    f1_metric,
    found_metrics,
    holm,
    mean_where,
    ratio,
    share_metric,
    value_of,
)
from medreward.runs.evaluation_places import (
    box_metrics,
    box_table,
    mask_metrics,
    point_metrics,
)
from medreward.runs.evaluation_readings import Prediction, label_of, set_of
from medreward.runs.evaluation_samples import sample_metrics
from medreward.task.task import Task
from medreward.task.traits import Trait

__all__ = [
    "MEASURES",
    "TABLES",
    "AnyMetric",
    "Difference",
    "Estimate",
    "Metric",
    "Prediction",
    "RankedMetric",
    "confusion_counts",
    "differences",
    "estimates",
    "holm",
    "label_table",
    "metrics_of",
    "value_of",
]


def metrics_of(task: Task, predictions: Sequence[Prediction]) -> list[AnyMetric]:
    """Return the metrics of a task's predictions: first accuracy, last the share of unread ones.

    Raises:
        ConfigError: if there is no prediction.
    """
    if not predictions:
        raise ConfigError(f"task {task.name!r}: there is no prediction")
    own = MEASURES[kind_of(task).target_type](task, predictions)
    unread = share_metric("unreadable", [one.score.prediction is None for one in predictions])
    return [*own, *confidence_metrics(task, predictions), *sample_metrics(predictions), unread]


def _label_metrics(task: Task, predictions: Sequence[Prediction]) -> list[AnyMetric]:
    count = len(task.labels)
    true = np.array([one.target for one in predictions])
    said = np.array([label_of(task, one.score) for one in predictions])
    # Counts of each label, not of each pair of labels: these would be 10,000 for 100 labels.
    is_true, is_said = _one_hot(true, count), _one_hot(said, count)
    counts = np.concatenate([is_true * is_said, is_true, is_said], axis=1)
    metrics: list[AnyMetric] = [
        share_metric("accuracy", true == said),
        Metric("balanced accuracy", counts, lambda sums: _balanced(*np.split(sums, 3, axis=-1))),
        Metric("macro F1", counts, lambda sums: _macro_f1(*np.split(sums, 3, axis=-1))),
    ]
    if Trait.ORDERED in task.traits:
        furthest = np.where(true * 2 >= count - 1, 0, count - 1)
        graded = np.where(said == count, furthest, said)
        pairs = np.zeros((len(true), count * count))
        pairs[np.arange(len(true)), true * count + graded] = 1.0
        metrics.append(share_metric("mean absolute error", np.abs(true - graded)))
        metrics.append(Metric("quadratic weighted kappa", pairs, lambda sums: _kappa(sums, count)))
    return metrics


def _one_hot(labels: Array, count: int) -> Array:
    """Return a column for each label; a row of zeros for what is none of them."""
    return (labels[:, None] == np.arange(count)).astype(float)


def _balanced(hit: Array, true: Array, said: Array) -> Array:
    """Return the mean recall of the labels that are the truth of a row."""
    return mean_where(ratio(hit, true), true > 0)


def _macro_f1(hit: Array, true: Array, said: Array) -> Array:
    """Return the mean F1 of the labels that are the truth of a row."""
    return mean_where(ratio(2 * hit, true + said), true > 0)


def _kappa(sums: Array, count: int) -> Array:
    """Return quadratic weighted kappa (Cohen 1968); 1 where all are one and the same grade."""
    table = sums.reshape(*sums.shape[:-1], count, count)
    steps = np.arange(count)
    weights = (steps[:, None] - steps[None, :]) ** 2
    total = table.sum(axis=(-2, -1))
    expected = table.sum(axis=-1)[..., :, None] * table.sum(axis=-2)[..., None, :]
    observed = (table * weights).sum(axis=(-2, -1))
    chance = (expected * weights).sum(axis=(-2, -1)) / total
    return 1 - ratio(observed, chance)


def _set_metrics(task: Task, predictions: Sequence[Prediction]) -> list[AnyMetric]:
    true, said = _sets(task, predictions)
    counts = np.concatenate([true * said, true, said], axis=1)
    sums = [part.sum(axis=1) for part in (true * said, said, true)]
    return [
        share_metric("exact match", [one.score.correct for one in predictions]),
        f1_metric("micro F1", *sums),
        Metric("macro F1", counts, lambda own: _macro_f1(*np.split(own, 3, axis=-1))),
        share_metric("mean credit", [one.score.parts["accuracy"] for one in predictions]),
    ]


def _sets(task: Task, predictions: Sequence[Prediction]) -> tuple[Array, Array]:
    """Return which labels are true, and which are said: shape (rows, labels)."""
    true, said = np.zeros((2, len(predictions), len(task.labels)))
    for i, one in enumerate(predictions):
        true[i, [*one.target]] = 1.0
        said[i, [*set_of(task, one.score)]] = 1.0
    return true, said


def _field_metrics(task: Task, predictions: Sequence[Prediction]) -> list[AnyMetric]:
    """Return the metrics of all fields together, then those of each field by itself."""
    metrics = credit_metrics(predictions)
    for name, field in task.fields.items():
        own = metrics_of(field, [one.said[name] for one in predictions])
        metrics += [replace(metric, name=f"{name}: {metric.name}") for metric in own]
    return metrics


MEASURES: Mapping[TargetType, Callable[[Task, Sequence[Prediction]], list[AnyMetric]]] = {
    TargetType.LABEL: _label_metrics,
    TargetType.LABELS: _set_metrics,
    TargetType.QUESTION: question_metrics,
    TargetType.FINDINGS: finding_metrics,
    TargetType.FIELDS: _field_metrics,
    TargetType.BOXES: box_metrics,
    TargetType.SERIES: box_metrics,
    TargetType.MASK: mask_metrics,
    TargetType.PLACES: point_metrics,
}


def confusion_counts(task: Task, predictions: Sequence[Prediction]) -> list[list[int]]:
    """Return how often each label was answered to each truth; unread answers behind the last.

    [] where answers are not one label.
    """
    if kind_of(task).target_type is not TargetType.LABEL:
        return []
    count = len(task.labels)
    table: Array = np.zeros((count, count + 1), int)
    for one in predictions:
        table[one.target, label_of(task, one.score)] += 1
    found: list[list[int]] = table.tolist()
    return found


def label_table(
    task: Task, predictions: Sequence[Prediction], *, resamples: int = 0, seed: int = 0
) -> list[dict[str, Any]]:
    """Return recall, precision and F1 of each label, where a task names labels; else nothing.

    Of findings, these are of what is present; of boxes, of those that are found at an IoU of 0.5.
    AUROC and average precision are there too where confidences are.

    Args:
        task: the task.
        predictions: its predictions.
        resamples: how many bootstrap samples; 0: there are no ``intervals``, else these are the
            ends of each share's, by its name.
        seed: of these.
    """
    found = label_metrics(task, predictions)
    shares = [metric for one in found for metric in one.shares.values()]
    values: Iterator[Estimate]
    if not resamples:
        values = (Estimate(one.name, value_of(one), np.nan, np.nan) for one in shares)
    else:
        clusters = [one.cluster for one in predictions]
        values = iter(estimates(shares, clusters, resamples=resamples, seed=seed))
    rows = []
    for one in found:
        own = [next(values) for _ in one.shares]
        ends = {share.name: [_known(share.low), _known(share.high)] for share in own}
        rows.append(
            {"label": one.label, "rows": one.rows}
            | {share.name: _known(share.value) for share in own}
            | ({"intervals": ends} if resamples else {})
        )
    return rows


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value


def label_metrics(task: Task, predictions: Sequence[Prediction]) -> list[LabelMetrics]:
    """Return the metrics of each label."""
    rows = TABLES[kind_of(task).target_type](task, predictions)
    more = label_curves(task, predictions) or [{}] * len(rows)
    return [one._replace(shares={**one.shares, **own}) for one, own in zip(rows, more, strict=True)]


def _no_table(task: Task, predictions: Sequence[Prediction]) -> list[LabelMetrics]:
    return []


def _single_table(task: Task, predictions: Sequence[Prediction]) -> list[LabelMetrics]:
    count = len(task.labels)
    true, said = np.zeros((2, len(predictions), count + 1))
    for i, one in enumerate(predictions):
        true[i, one.target] = said[i, label_of(task, one.score)] = 1.0
    return _table_of_sets(task, true[:, :count], said[:, :count])


def _set_table(task: Task, predictions: Sequence[Prediction]) -> list[LabelMetrics]:
    return _table_of_sets(task, *_sets(task, predictions))


def _table_of_sets(task: Task, true: Array, said: Array) -> list[LabelMetrics]:
    names = [task.answer_name(i) for i in range(len(task.labels))]
    return found_metrics(names, true * said, true, said)


def _field_table(task: Task, predictions: Sequence[Prediction]) -> list[LabelMetrics]:
    return [
        row._replace(label=f"{name}: {row.label}")
        for name, field in task.fields.items()
        for row in label_metrics(field, [one.said[name] for one in predictions])
    ]


TABLES: Mapping[TargetType, Callable[[Task, Sequence[Prediction]], list[LabelMetrics]]] = {
    TargetType.LABEL: _single_table,
    TargetType.LABELS: _set_table,
    TargetType.QUESTION: _no_table,
    TargetType.FINDINGS: finding_table,
    TargetType.FIELDS: _field_table,
    TargetType.BOXES: box_table,
    TargetType.SERIES: box_table,
    TargetType.MASK: _no_table,
    TargetType.PLACES: _no_table,
}
