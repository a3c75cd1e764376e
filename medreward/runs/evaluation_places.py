"""Metrics of boxes, masks and points, equal to those of pycocotools on the same predictions.

Boxes are matched as in COCO: of one label, in the order of their confidence and, of the same
confidence, of the answer, each with the true box that it overlaps most and that is still free, if
the IoU reaches the threshold. From the matches::

    precision = matched / predicted,   recall = matched / true,   F1 = 2 matched / (both)

over all boxes of all rows. Average precision is COCO's: the mean over 101 recalls of the largest
precision at that recall or a higher one, by label, then over labels. It ranks boxes by the
confidence of their rows; where completions have none, all are alike and stand in the order of the
rows, so that AP says little more than precision and recall do.

Of a row, IoU is the sum over the best one-to-one matches (the Hungarian method) by the larger of
the two numbers of boxes; 1 where nothing is there and the answer says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from medreward.geometry.masks import coco
from medreward.geometry.regions import iou
from medreward.runs.evaluation_intervals import (
    AnyMetric,
    Array,
    LabelMetrics,
    Metric,
    OfWeights,
    RankedMetric,
    f1_metric,
    found_metrics,
    mean_where,
    ranks_of,
    ratio,
    ratio_metric,
    share_metric,
)
from medreward.runs.evaluation_readings import BoxesSaid, PointsSaid, Prediction
from medreward.task.task import Task

IOUS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))  # COCO's thresholds
_SHOWN = (0.5, 0.75)  # of which precision, recall and F1 are told
_RECALLS = np.linspace(0.0, 1.0, 101)
_CHUNK = 2**21  # weights of boxes that are looked at at once
_TINY = float(np.spacing(1))  # what COCO adds to a denominator


class RowMatches(NamedTuple):
    """The boxes of a row, matched.

    Attributes:
        labels: the label of each predicted box; 0 in a task without labels.
        hits: whether it is matched, by threshold: shape (thresholds, boxes).
        confidence: that of the row, which ranks its boxes.
        total: how many were predicted, with those that cannot be right.
        true: how many there are of each label.
        overlap: the summed IoU of the best matches of each label.
        said: how many of each label were predicted.
    """

    labels: Array
    hits: Array
    confidence: float
    total: int
    true: Array
    overlap: Array
    said: Array


def match_row(said: BoxesSaid, labels: int, confidence: float = 0.0) -> RowMatches:
    """Return the boxes of a row matched with the true ones.

    Args:
        said: both.
        labels: how many labels the task has; 0 counts as one.
        confidence: that of the row.

    >>> from medreward.geometry.regions import TrueBox
    >>> one, other = TrueBox((0.0, 0.0, 8.0, 8.0), 0), TrueBox((0.0, 0.0, 8.0, 6.0), 0)
    >>> int(match_row(BoxesSaid((other,), 1, (one,)), 1).hits.sum())  # IoU 0.75
    6
    """
    return _match(said, max(1, labels))._replace(confidence=confidence)


# The baselines hold the same answers against the same truths in each of many draws.
@lru_cache(maxsize=10_000)
def _match(said: BoxesSaid, count: int) -> RowMatches:
    own = np.array([box.label or 0 for box in said.boxes], dtype=int)
    true = np.array([box.label or 0 for box in said.true], dtype=int)
    table = np.array([[iou(a.box, b.box) for b in said.true] for a in said.boxes], float)
    table = table.reshape(len(own), len(true)) * (own[:, None] == true[None, :])
    overlap = np.zeros(count)
    rows, columns = linear_sum_assignment(table, maximize=True)
    np.add.at(overlap, own[rows], table[rows, columns])
    return RowMatches(
        own,
        np.array([_greedy(table, least) for least in IOUS], bool).reshape(len(IOUS), len(own)),
        0.0,
        said.total,
        np.bincount(true, minlength=count),
        overlap,
        np.bincount(own, minlength=count),
    )


def _greedy(table: Array, least: float) -> list[bool]:
    """Return which predicted boxes find a true one: in order, each the best that is free."""
    free = np.ones(table.shape[1], bool)
    found = []
    for row in table:
        values = np.where(free, row, -1.0)
        # The last of equal ones, as pycocotools does.
        best = len(values) - 1 - int(np.argmax(values[::-1])) if len(values) else -1
        hit = best >= 0 and values[best] >= min(least, 1 - 1e-10)
        if hit:
            free[best] = False
        found.append(bool(hit))
    return found


def box_metrics(task: Task, predictions: Sequence[Prediction]) -> list[AnyMetric]:
    """Return the metrics of boxes."""
    rows = _matched(task, predictions)
    said = np.array([row.total for row in rows])
    true = np.array([row.true.sum() for row in rows])
    larger = np.maximum(said, true)
    summed = np.array([row.overlap.sum() for row in rows])
    metrics: list[AnyMetric] = [
        share_metric("accuracy", [one.score.correct for one in predictions]),
        share_metric("mean credit", [one.score.parts["accuracy"] for one in predictions]),
        share_metric("mean IoU", ratio(summed, larger.astype(float), 1.0) * _read(predictions)),
    ]
    if len(task.labels) > 1:
        metrics.append(_macro_iou(rows))
    for least in _SHOWN:
        hits = np.array([row.hits[IOUS.index(least)].sum() for row in rows])
        metrics += [
            ratio_metric(f"precision at IoU {least:g}", hits, said),
            ratio_metric(f"recall at IoU {least:g}", hits, true),
            f1_metric(f"F1 at IoU {least:g}", hits, said, true),
        ]
    return [
        *metrics,
        RankedMetric("AP at IoU 0.5", rows, lambda own: _precision_way(own, IOUS[:1]), _ranked),
        RankedMetric("AP at IoU 0.5 to 0.95", rows, lambda own: _precision_way(own, IOUS), _ranked),
    ]


def _ranked(rows: Sequence[RowMatches]) -> Sequence[RowMatches]:
    """Return rows with the ranks of their confidences in their place."""
    ranks = ranks_of(np.array([row.confidence for row in rows]))
    return [row._replace(confidence=float(rank)) for row, rank in zip(rows, ranks, strict=True)]


def _read(predictions: Sequence[Prediction]) -> Array:
    return np.array([one.score.prediction is not None for one in predictions], float)


def _matched(task: Task, predictions: Sequence[Prediction]) -> list[RowMatches]:
    return [
        match_row(one.said, len(task.labels), _confidence(one.confidence)) for one in predictions
    ]


def _confidence(given: Any) -> float:
    return float(given) if isinstance(given, int | float) else 0.0


def _macro_iou(rows: Sequence[RowMatches]) -> Metric:
    """Return the mean over labels of summed IoU by the larger number of boxes, over all rows."""
    overlap = np.array([row.overlap for row in rows])
    larger = np.array([np.maximum(row.said, row.true) for row in rows], float)
    true = np.array([row.true for row in rows], float)
    columns = np.concatenate([overlap, larger, true], axis=1)

    def compute(sums: Array) -> Array:
        shared, most, there = np.split(sums, 3, axis=-1)
        return mean_where(ratio(shared, most), there > 0)

    return Metric("macro IoU", columns, compute)


def _precision_way(rows: Sequence[RowMatches], thresholds: Sequence[float]) -> OfWeights:
    """Return what gives COCO's average precision of weights of rows."""
    owner: Array = np.repeat(np.arange(len(rows)), [len(row.labels) for row in rows])
    labels = np.concatenate([row.labels for row in rows])
    hits = np.concatenate([row.hits for row in rows], axis=1)
    order = np.argsort([-rows[i].confidence for i in owner], kind="stable")
    true = np.array([row.true for row in rows], float)
    columns = [
        (order[labels[order] == label], true[:, label])
        for label in range(true.shape[1])
        if true[:, label].any()
    ]

    def compute(weights: Array) -> Array:
        values = np.full((len(weights), len(columns), len(thresholds)), np.nan)
        for at, (own, there) in enumerate(columns):
            step = max(1, _CHUNK // max(1, len(own)))
            for start in range(0, len(weights), step):
                part = weights[start : start + step]
                values[start : start + step, at] = _average_precisions(
                    part[:, owner[own]], hits[: len(thresholds), own], part @ there
                )
        known = ~np.isnan(values).reshape(len(values), -1)
        return mean_where(np.where(known, values.reshape(len(values), -1), 0.0), known)

    return compute


def _average_precisions(drawn: Array, hits: Array, true: Array) -> Array:
    """Return average precision at 101 recalls of each sample, by threshold; NaN for nothing true.

    Precision is largest and recall new at boxes that are matched, so that no others are looked at.

    Args:
        drawn: how often each box is there, in order of confidence: shape (samples, boxes).
        hits: whether it is matched, by threshold: shape (thresholds, boxes).
        true: how many true boxes each sample has.
    """
    said = np.cumsum(drawn, axis=1)
    values = np.full((len(drawn), len(hits)), np.nan)
    for level, matched in enumerate(hits):
        found = np.cumsum(drawn[:, matched], axis=1)
        precision = found / (said[:, matched] + _TINY)
        envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        padded = np.concatenate([envelope, np.zeros((len(drawn), 1))], axis=1)
        for i in np.flatnonzero(true > 0):
            reached = np.searchsorted(found[i] / true[i], _RECALLS, side="left")
            values[i, level] = padded[i, reached].mean()
    return values


def box_table(task: Task, predictions: Sequence[Prediction]) -> list[LabelMetrics]:
    """Return for each label how many boxes are found at an IoU of 0.5."""
    rows = _matched(task, predictions)
    count = max(1, len(task.labels))
    hit = np.array([np.bincount(row.labels[row.hits[0]], minlength=count) for row in rows])
    true, said = np.array([row.true for row in rows]), np.array([row.said for row in rows])
    return found_metrics([label.name for label in task.labels], hit, true, said)


def mask_metrics(task: Task, predictions: Sequence[Prediction]) -> list[AnyMetric]:
    """Return the metrics of masks: by row, over all pixels, and over rows that show something."""
    areas = np.array([_areas(one) for one in predictions])
    shared, said, true = areas.T
    dice = ratio(2 * shared, said + true, 1.0) * _read(predictions)
    overlap = ratio(shared, said + true - shared, 1.0) * _read(predictions)
    return [
        share_metric("accuracy", [one.score.correct for one in predictions]),
        share_metric("mean credit", [one.score.parts["accuracy"] for one in predictions]),
        share_metric("mean Dice", dice),
        share_metric("mean IoU", overlap),
        ratio_metric("mean Dice where something is there", dice * (true > 0), true > 0),
        f1_metric("Dice of all pixels", shared, said, true),
        ratio_metric("IoU of all pixels", shared, said + true - shared, 1.0),
    ]


def _areas(one: Prediction) -> tuple[float, float, float]:
    """Return the pixels of both masks, of the answer's and of the true one."""
    module, true = coco(), one.target.rle()
    if one.said is None:
        return 0.0, 0.0, float(module.area(true))
    shared = module.area(module.merge([one.said, true], intersect=True))
    return float(shared), float(module.area(one.said)), float(module.area(true))


def point_metrics(task: Task, predictions: Sequence[Prediction]) -> list[AnyMetric]:
    """Return the metrics of points, matched one to one with the places that they lie in."""
    hits = np.array([_hits(one.said) for one in predictions])
    said = np.array([len(one.said.points) for one in predictions])
    true = np.array([len(one.said.places) for one in predictions])
    return [
        share_metric("accuracy", [one.score.correct for one in predictions]),
        share_metric("mean credit", [one.score.parts["accuracy"] for one in predictions]),
        ratio_metric("precision of points", hits, said),
        ratio_metric("recall of places", hits, true),
        f1_metric("F1 of points", hits, said, true),
    ]


def _hits(said: PointsSaid) -> int:
    """Return how many places are hit, by a point each; a copy of a point hits nothing more."""
    points = [*dict.fromkeys(said.points)]
    if not points or not len(said.places):
        return 0
    table = csr_matrix(np.asarray(said.places.hits(points), dtype=int))
    return int((maximum_bipartite_matching(table, perm_type="column") >= 0).sum())
