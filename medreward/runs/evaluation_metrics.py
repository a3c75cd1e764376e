"""Metrics of predictions with intervals, and the difference of two models on the same rows.

Every metric is a function of sums over rows: accuracy of the number of right ones, macro F1 and
kappa of a confusion matrix. So a bootstrap sample is a weight for each row, a permutation of two
models a choice between two rows, and all metrics of a sample come from one product of matrices.

Rows of one image (several questions about it) are drawn together, since they are not independent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from medreward.errors import ConfigError
from medreward.kinds.base import TargetType, kind_of
from medreward.scoring.scorer import Score
from medreward.task.task import Task
from medreward.task.traits import Trait

Array: TypeAlias = Any  # a numpy array of float64
LEVEL = 0.95
_CHUNK = 2**22  # weights that are drawn at once


class Prediction(NamedTuple):
    """A scored completion of a row.

    Attributes:
        id: the row's.
        target: the row's target, parsed.
        score: what the completion earns, and why.
        cluster: what it is drawn together with: its images.
        columns: values by which results are divided.
    """

    id: str
    target: Any
    score: Score
    cluster: str = ""
    columns: Mapping[str, str] = {}


@dataclass(frozen=True)
class Metric:
    """A metric as a function of sums over rows.

    Attributes:
        name: its name.
        features: a row of numbers for each prediction.
        compute: gives the metric of the sums of the features, along the last axis.
    """

    name: str
    features: Array
    compute: Callable[[Array], Array]


class Estimate(NamedTuple):
    """A metric with its interval.

    Attributes:
        name: the metric's name.
        value: its value.
        low: the lower end of the interval of 95 %.
        high: the upper end.
    """

    name: str
    value: float
    low: float
    high: float


class Difference(NamedTuple):
    """How two models differ in a metric, on the same rows.

    Attributes:
        name: the metric's name.
        value: the first model's less the second's.
        low: the lower end of the interval of 95 %.
        high: the upper end.
        p: of a permutation test, two-sided.
        adjusted: the same after Holm's correction for all metrics that are compared.
    """

    name: str
    value: float
    low: float
    high: float
    p: float
    adjusted: float


def estimates(
    metrics: Sequence[Metric], clusters: Sequence[str], *, resamples: int = 2000, seed: int = 0
) -> list[Estimate]:
    """Return metrics with percentile bootstrap intervals, by cluster.

    >>> right = Metric("accuracy", np.array([[1.0, 1], [0, 1], [1, 1], [1, 1]]), _mean)
    >>> found = estimates([right], "abcd", resamples=200)[0]
    >>> found.value, found.low <= 0.75 <= found.high
    (0.75, True)
    """
    summed = [_by_cluster(metric.features, clusters) for metric in metrics]
    drawn: list[list[Array]] = [[] for _ in metrics]
    for weights in _weights(len(summed[0]), resamples, seed):
        for values, metric, features in zip(drawn, metrics, summed, strict=True):
            values.append(metric.compute(weights @ features))
    return [
        Estimate(
            metric.name,
            float(metric.compute(features.sum(axis=0))),
            *_interval(np.concatenate(values)),
        )
        for metric, features, values in zip(metrics, summed, drawn, strict=True)
    ]


def differences(
    ones: Sequence[Metric],
    others: Sequence[Metric],
    clusters: Sequence[str],
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> list[Difference]:
    """Return how two models differ on the same rows: paired bootstrap and permutation test.

    Args:
        ones: the metrics of the first model.
        others: the same metrics of the second one, of the same rows in the same order.
        clusters: what rows are drawn and exchanged together with.
        resamples: how many samples of each kind.
        seed: of both.
    """
    found = []
    for one, other in zip(ones, others, strict=True):
        first, second = (_by_cluster(m.features, clusters) for m in (one, other))
        observed = float(one.compute(first.sum(axis=0)) - other.compute(second.sum(axis=0)))
        extreme = 0
        spread = [
            one.compute(weights @ first) - other.compute(weights @ second)
            for weights in _weights(len(first), resamples, seed)
        ]
        total, others_total, change = first.sum(axis=0), second.sum(axis=0), second - first
        for swapped in _swaps(len(first), resamples, seed):
            moved = swapped @ change
            permuted = one.compute(total + moved) - other.compute(others_total - moved)
            extreme += int((np.abs(np.nan_to_num(permuted)) >= abs(observed) - 1e-12).sum())
        p = (1 + extreme) / (1 + resamples)
        found.append((one.name, observed, *_interval(np.concatenate(spread)), p))
    adjusted = holm([row[-1] for row in found])
    return [Difference(*row, own) for row, own in zip(found, adjusted, strict=True)]


def holm(values: Sequence[float]) -> list[float]:
    """Return p-values corrected for that there are several (Holm, Scand J Stat 6:65-70, 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(values)), key=lambda i: values[i])
    adjusted, largest = [0.0] * len(values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - rank) * values[i]))
        adjusted[i] = largest
    return adjusted


def _by_cluster(features: Array, clusters: Sequence[str]) -> Array:
    names = {name: i for i, name in enumerate(dict.fromkeys(clusters))}
    summed = np.zeros((len(names), features.shape[1]))
    np.add.at(summed, [names[name] for name in clusters], features)
    return summed


def _chunks(count: int, resamples: int) -> Iterator[int]:
    """Yield how many samples of so many clusters are drawn at once, until there are all."""
    step = max(1, _CHUNK // count)
    for start in range(0, resamples, step):
        yield min(step, resamples - start)


def _weights(count: int, resamples: int, seed: int) -> Iterator[Array]:
    """Yield how often each cluster is in each bootstrap sample."""
    chance = np.random.default_rng(seed)
    for rows in _chunks(count, resamples):
        yield chance.multinomial(count, np.full(count, 1 / count), size=rows).astype(float)


def _swaps(count: int, resamples: int, seed: int) -> Iterator[Array]:
    chance = np.random.default_rng([seed, 1])
    for rows in _chunks(count, resamples):
        yield chance.integers(0, 2, size=(rows, count)).astype(float)


def _interval(values: Array) -> tuple[float, float]:
    tail = 50 * (1 - LEVEL)
    ends: Array = np.nanpercentile(values, [tail, 100 - tail])
    return float(ends[0]), float(ends[1])


def _mean(sums: Array) -> Array:
    """Return the mean of a feature that stands before a column of ones."""
    return sums[..., 0] / sums[..., 1]


def _share(name: str, values: Sequence[float]) -> Metric:
    column = np.array(values, float)
    return Metric(name, np.column_stack([column, np.ones(len(column))]), _mean)


# What a kind's metrics are


def metrics_of(task: Task, predictions: Sequence[Prediction]) -> list[Metric]:
    """Return the metrics of a task's predictions: first accuracy, last the share of unread ones.

    An answer that cannot be read is wrong, names no label and, of grades, counts as the one
    furthest from the truth, so that leaving a question unanswered is never better than answering.

    Raises:
        ConfigError: if there is no prediction.
    """
    if not predictions:
        raise ConfigError(f"task {task.name!r}: there is no prediction")
    own = MEASURES[kind_of(task).target_type](task, predictions)
    unread = _share("unreadable", [one.score.prediction is None for one in predictions])
    return [*own, unread]


def _label_metrics(task: Task, predictions: Sequence[Prediction]) -> list[Metric]:
    count = len(task.labels)
    true = np.array([one.target for one in predictions])
    said = np.array([_label_of(task, one.score) for one in predictions])
    cells = np.zeros((len(true), count * (count + 1)))
    cells[np.arange(len(true)), true * (count + 1) + said] = 1.0
    metrics = [
        Metric("accuracy", cells, lambda sums: _accuracy(_table(sums, count))),
        Metric("balanced accuracy", cells, lambda sums: _balanced(_table(sums, count))),
        Metric("macro F1", cells, lambda sums: _macro_f1(_table(sums, count))),
    ]
    if Trait.ORDERED in task.traits:
        furthest = np.where(true * 2 >= count - 1, 0, count - 1)
        graded = np.where(said == count, furthest, said)
        pairs = np.zeros((len(true), count * count))
        pairs[np.arange(len(true)), true * count + graded] = 1.0
        metrics.append(_share("mean absolute error", np.abs(true - graded)))
        metrics.append(Metric("quadratic weighted kappa", pairs, lambda sums: _kappa(sums, count)))
    return metrics


def _label_of(task: Task, score: Score) -> int:
    """Return the index of the label that was read; behind the last one for none."""
    if score.prediction is None:
        return len(task.labels)
    names = {task.answer_name(i): i for i in range(len(task.labels))}
    return names.get(score.prediction, len(task.labels))


def _table(sums: Array, count: int) -> Array:
    return sums.reshape(*sums.shape[:-1], count, count + 1)


def _accuracy(table: Array) -> Array:
    right = np.trace(table[..., :-1], axis1=-2, axis2=-1)
    return right / table.sum(axis=(-2, -1))


def _per_label(table: Array) -> tuple[Array, Array, Array]:
    """Return how often each label is right, is the truth, and is said."""
    right = np.diagonal(table[..., :-1], axis1=-2, axis2=-1)
    return right, table.sum(axis=-1), table[..., :-1].sum(axis=-2)


def _balanced(table: Array) -> Array:
    """Return the mean recall of the labels that are the truth of a row."""
    right, true, _ = _per_label(table)
    return _mean_where(_ratio(right, true), true > 0)


def _macro_f1(table: Array) -> Array:
    """Return the mean F1 of the labels that are the truth of a row."""
    right, true, said = _per_label(table)
    return _mean_where(_ratio(2 * right, true + said), true > 0)


def _ratio(of: Array, to: Array, empty: float = 0.0) -> Array:
    """Return a ratio, and `empty` where there is nothing to divide by."""
    return np.divide(of, to, out=np.full_like(to, empty), where=to > 0)


def _mean_where(values: Array, where: Array) -> Array:
    return (values * where).sum(axis=-1) / where.sum(axis=-1)


def _kappa(sums: Array, count: int) -> Array:
    """Return quadratic weighted kappa (Cohen 1968); 1 where all are one and the same grade."""
    table = sums.reshape(*sums.shape[:-1], count, count)
    steps = np.arange(count)
    weights = (steps[:, None] - steps[None, :]) ** 2
    total = table.sum(axis=(-2, -1))
    expected = table.sum(axis=-1)[..., :, None] * table.sum(axis=-2)[..., None, :]
    observed = (table * weights).sum(axis=(-2, -1))
    chance = (expected * weights).sum(axis=(-2, -1)) / total
    return 1 - _ratio(observed, chance)


def _set_metrics(task: Task, predictions: Sequence[Prediction]) -> list[Metric]:
    count = len(task.labels)
    true, said = np.zeros((2, len(predictions), count))
    for i, one in enumerate(predictions):
        true[i, [*one.target]] = 1.0
        said[i, [*_set_of(task, one.score)]] = 1.0
    counts = np.concatenate([true * said, true, said], axis=1)
    return [
        _share("exact match", [one.score.correct for one in predictions]),
        Metric("micro F1", counts, lambda sums: _micro(*np.split(sums, 3, axis=-1))),
        Metric("macro F1", counts, lambda sums: _macro_sets(*np.split(sums, 3, axis=-1))),
        _share("mean credit", [one.score.parts["accuracy"] for one in predictions]),
    ]


def _set_of(task: Task, score: Score) -> frozenset[int]:
    """Return the labels that were read; none if the answer is unread.

    A prediction lists their names in the card's order, and a name may have a comma.
    """
    rest, found = score.prediction or "", set()
    for i, label in enumerate(task.labels):
        if rest == label.name or rest.startswith(f"{label.name}, "):
            found.add(i)
            rest = rest[len(label.name) + 2 :]
    return frozenset(found)


def _micro(hit: Array, true: Array, said: Array) -> Array:
    both = true.sum(axis=-1) + said.sum(axis=-1)
    return _ratio(2 * hit.sum(axis=-1), both, empty=1.0)


def _macro_sets(hit: Array, true: Array, said: Array) -> Array:
    return _mean_where(_ratio(2 * hit, true + said), true > 0)


def _credit_metrics(task: Task, predictions: Sequence[Prediction]) -> list[Metric]:
    """Return exactly right answers and the mean of R_accuracy, such as IoU, Dice or token F1."""
    return [
        _share("accuracy", [one.score.correct for one in predictions]),
        _share("mean credit", [one.score.parts["accuracy"] for one in predictions]),
    ]


MEASURES: Mapping[TargetType, Callable[[Task, Sequence[Prediction]], list[Metric]]] = {
    TargetType.LABEL: _label_metrics,
    TargetType.LABELS: _set_metrics,
    TargetType.QUESTION: _credit_metrics,
    TargetType.FINDINGS: _credit_metrics,
    TargetType.FIELDS: _credit_metrics,
    TargetType.BOXES: _credit_metrics,
    TargetType.MASK: _credit_metrics,
    TargetType.PLACES: _credit_metrics,
}


def label_table(task: Task, predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    """Return recall, precision and F1 of each label, where a task names labels; else nothing."""
    kind = kind_of(task).target_type
    if kind not in (TargetType.LABEL, TargetType.LABELS):
        return []
    if kind is TargetType.LABEL:
        targets = [frozenset([one.target]) for one in predictions]
        answers = [frozenset([_label_of(task, one.score)]) for one in predictions]
    else:
        targets = [frozenset(one.target) for one in predictions]
        answers = [_set_of(task, one.score) for one in predictions]
    rows = []
    for i in range(len(task.labels)):
        true, said = ([i in labels for labels in sets] for sets in (targets, answers))
        hit = sum(t and s for t, s in zip(true, said, strict=True))
        rows.append(
            {
                "label": task.answer_name(i),
                "rows": sum(true),
                "recall": hit / sum(true) if any(true) else None,
                "precision": hit / sum(said) if any(said) else None,
                "f1": 2 * hit / (sum(true) + sum(said)) if any(true) or any(said) else None,
            }
        )
    return rows
