"""Metrics with bootstrap intervals, and the difference of two models on the same rows.

A metric is given by weights of rows: 1 each for its value, how often a row is drawn in a bootstrap
sample, 0 or 1 where two models are exchanged in a permutation. Most metrics are functions of sums
over rows (accuracy of the number of right ones, kappa of a confusion matrix), so that all samples
come from one product of matrices; those of ranked rows are not, and take the weights themselves.

Rows of one image (several questions about it) are drawn together, since they are not independent.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

Array: TypeAlias = Any  # a numpy array of float64
OfWeights: TypeAlias = Callable[[Array], Array]  # (samples, rows or clusters) -> (samples,)
LEVEL = 0.95
_CHUNK = 2**22  # weights that are drawn at once


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

    def of_clusters(self, index: Array, count: int) -> OfWeights:
        """Return what gives the metric of weights of clusters; `index` is that of each row."""
        summed = np.zeros((count, self.features.shape[1]))
        np.add.at(summed, index, self.features)
        return lambda weights: self.compute(weights @ summed)

    def beside(self, other: Metric) -> Metric:
        """Return the metric of these rows and, behind them, another model's."""
        features = np.concatenate([self.features, other.features])
        return Metric(self.name, features, self.compute)


@dataclass(frozen=True)
class RankedMetric:
    """A metric that sums over rows do not give, since it depends on their order.

    Attributes:
        name: its name.
        rows: what it is made of, for each prediction.
        make: gives, for such rows, what gives the metric of weights of rows.
        level: gives the rows of one model with their ranks in place of its scores, which are all
            that the metric depends on.
    """

    name: str
    rows: Sequence[Any]
    make: Callable[[Sequence[Any]], OfWeights]
    level: Callable[[Sequence[Any]], Sequence[Any]]

    def of_clusters(self, index: Array, count: int) -> OfWeights:
        """Return what gives the metric of weights of clusters; `index` is that of each row."""
        of_rows = self.make(self.rows)
        return lambda weights: of_rows(weights[:, index])

    def beside(self, other: RankedMetric) -> RankedMetric:
        """Return the metric of these rows and, behind them, another model's.

        By ranks within each model: where rows of two are exchanged, the scale on which each says
        how sure it is would count otherwise (Venkatraman and Begg, Biometrika 83:835-848, 1996).
        """
        rows = [*self.level(self.rows), *other.level(other.rows)]
        return RankedMetric(self.name, rows, self.make, self.level)


def ranks_of(scores: Array) -> Array:
    """Return scores as their ranks from above 0 to 1, along the first axis; equal ones stay equal.

    >>> ranks_of(np.array([0.2, 0.9, 0.2, 0.4])).tolist()
    [0.375, 1.0, 0.375, 0.75]
    """
    if scores.ndim > 1:
        return np.apply_along_axis(ranks_of, 0, scores)
    ordered = np.sort(scores)
    below, up_to = (np.searchsorted(ordered, scores, side) for side in ("left", "right"))
    return (below + up_to + 1) / 2 / len(scores)


AnyMetric: TypeAlias = Metric | RankedMetric


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
        p: of a permutation test, two-sided; NaN where the difference has no value.
        adjusted: the same after Holm's correction for all metrics that are compared.
    """

    name: str
    value: float
    low: float
    high: float
    p: float
    adjusted: float


def value_of(metric: AnyMetric) -> float:
    """Return a metric's value on all of its rows; NaN where they do not give one."""
    count = len(metric.features if isinstance(metric, Metric) else metric.rows)
    return _one(metric.of_clusters(np.arange(count), count), np.ones((1, count)))


def _one(of_weights: OfWeights, weights: Array) -> float:
    return float(np.asarray(of_weights(weights)).reshape(-1)[0])


def estimates(
    metrics: Sequence[AnyMetric], clusters: Sequence[str], *, resamples: int = 2000, seed: int = 0
) -> list[Estimate]:
    """Return metrics with percentile bootstrap intervals, by cluster.

    >>> right = share_metric("accuracy", [1, 0, 1, 1])
    >>> found = estimates([right], "abcd", resamples=200)[0]
    >>> found.value, found.low <= 0.75 <= found.high
    (0.75, True)
    """
    index, count = _indexed(clusters)
    ways = [metric.of_clusters(index, count) for metric in metrics]
    drawn: list[list[Array]] = [[] for _ in metrics]
    for weights in _weights(count, resamples, seed):
        for values, way in zip(drawn, ways, strict=True):
            values.append(way(weights))
    whole = np.ones((1, count))
    return [
        Estimate(metric.name, _one(way, whole), *_interval(np.concatenate(values)))
        for metric, way, values in zip(metrics, ways, drawn, strict=True)
    ]


def differences(
    ones: Sequence[AnyMetric],
    others: Sequence[AnyMetric],
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
    index, count = _indexed(clusters)
    found = []
    for one, other in zip(ones, others, strict=True):
        both = one.beside(other)  # type: ignore[arg-type]
        way = both.of_clusters(np.concatenate([index, index + count]), 2 * count)
        whole = np.ones((1, count))
        observed = float(_less(way, whole, 0 * whole)[0])
        spread = [_less(way, weights, 0 * weights) for weights in _weights(count, resamples, seed)]
        swapped = [_less(way, 1 - swaps, swaps) for swaps in _swaps(count, resamples, seed)]
        p = _share_as_large(observed, np.concatenate(swapped))
        found.append((one.name, observed, *_interval(np.concatenate(spread)), p))
    adjusted = holm([row[-1] for row in found])
    return [Difference(*row, own) for row, own in zip(found, adjusted, strict=True)]


def _less(way: OfWeights, kept: Array, swapped: Array) -> Array:
    """Return the first model's metric less the second's, some of whose rows are exchanged."""
    first, second = [kept, swapped], [swapped, kept]
    return way(np.concatenate(first, axis=1)) - way(np.concatenate(second, axis=1))


def _share_as_large(observed: float, permuted: Array) -> float:
    """Return p: the share of permutations that differ as much, the observed one counted.

    Permutations that give no value are left out: under the hypothesis the observed one is any of
    those that give one.
    """
    if np.isnan(observed):
        return float("nan")
    known = permuted[~np.isnan(permuted)]
    extreme = int((np.abs(known) >= abs(observed) - 1e-12).sum())
    return (1 + extreme) / (1 + len(known))


def holm(values: Sequence[float]) -> list[float]:
    """Return p-values corrected for that there are several (Holm, Scand J Stat 6:65-70, 1979).

    Those that are NaN stay so, and do not count.

    >>> holm([0.01, 0.04, float("nan"), 0.03])
    [0.03, 0.06, nan, 0.06]
    """
    order = sorted((i for i, p in enumerate(values) if not np.isnan(p)), key=lambda i: values[i])
    adjusted, largest = [float("nan")] * len(values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * values[i]))
        adjusted[i] = largest
    return adjusted


def _indexed(clusters: Sequence[str]) -> tuple[Array, int]:
    """Return the number of each row's cluster, and how many clusters there are."""
    names = {name: i for i, name in enumerate(dict.fromkeys(clusters))}
    return np.array([names[name] for name in clusters]), len(names)


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
    with warnings.catch_warnings():  # NaN where no sample gives a value
        warnings.simplefilter("ignore", RuntimeWarning)
        ends: Array = np.nanpercentile(values, [tail, 100 - tail])
    return float(ends[0]), float(ends[1])


# What metrics are made of


class LabelMetrics(NamedTuple):
    """How well a label is found.

    Attributes:
        label: its name.
        rows: how often it is true.
        shares: recall, precision, F1 and the like, by name.
    """

    label: str
    rows: int
    shares: Mapping[str, AnyMetric]


def found_metrics(names: Sequence[str], hit: Array, true: Array, said: Array) -> list[LabelMetrics]:
    """Return recall, precision and F1 of labels; NaN where there is nothing to divide by.

    Args:
        names: the labels.
        hit: how often each label is rightly said, of each prediction: shape (rows, labels).
        true: how often it is true.
        said: how often it is said.
    """
    return [
        LabelMetrics(
            name,
            int(true[:, i].sum()),
            {
                "recall": ratio_metric("recall", hit[:, i], true[:, i]),
                "precision": ratio_metric("precision", hit[:, i], said[:, i]),
                "f1": ratio_metric("f1", 2 * hit[:, i], true[:, i] + said[:, i]),
            },
        )
        for i, name in enumerate(names)
    ]


def share_metric(name: str, values: Sequence[float]) -> Metric:
    """Return the mean of a number of each row."""
    column = np.array(values, float)
    return ratio_metric(name, column, np.ones(len(column)))


def ratio_metric(name: str, of: Array, to: Array, empty: float = np.nan) -> Metric:
    """Return the sum of one number of each row over that of another; `empty` where it is 0."""
    columns = np.column_stack([np.asarray(of, float), np.asarray(to, float)])
    return Metric(name, columns, lambda sums: ratio(sums[..., 0], sums[..., 1], empty))


def ratio(of: Array, to: Array, empty: float = 0.0) -> Array:
    """Return a ratio, and `empty` where there is nothing to divide by."""
    return np.divide(of, to, out=np.full_like(to, empty), where=to > 0)


def mean_where(values: Array, where: Array) -> Array:
    """Return the mean of values along the last axis, of those that count; NaN where none does."""
    return ratio((values * where).sum(axis=-1), where.sum(axis=-1).astype(float), np.nan)


def f1_metric(name: str, hit: Array, said: Array, true: Array) -> Metric:
    """Return F1 of numbers of hits, of what is said and of what is true; 1 where all are 0."""
    columns = np.column_stack([np.asarray(part, float) for part in (hit, said, true)])
    return Metric(
        name, columns, lambda sums: ratio(2 * sums[..., 0], sums[..., 1] + sums[..., 2], 1.0)
    )
