"""What answers earn that do not look at the image.

Two of them: the most frequent right answer for every row, and right answers of other rows. What the
latter earn is a matter of chance, so that their expected value is given: exactly where answers are
one label, a set of them, or findings, and otherwise as the mean of many draws.

And what people earn who do look at it, where rows have the boxes of several annotators: the answer
of each is held against those of the others.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from medreward.kinds.base import TargetType, kind_of
from medreward.kinds.right_answers import completion_with, right_answer
from medreward.runs.evaluation_intervals import AnyMetric, Estimate, estimates
from medreward.runs.evaluation_metrics import metrics_of, value_of
from medreward.runs.evaluation_readings import Prediction, predict
from medreward.scoring.scorer import Scorer

# Metrics of these are linear in how often each answer meets each truth, as long as the answers and
# the truths stay the same, so that the metric of expected counts is the expected metric.
_LINEAR = (TargetType.LABEL, TargetType.LABELS, TargetType.FINDINGS)
_MOST_PAIRS = 10_000  # of an answer and a truth that are scored; draws share in as many
_MOST_DRAWS, _FEWEST_DRAWS = 200, 10
_SHORT = 60  # characters of an answer that a heading takes


def baselines(
    bound: Scorer, predictions: Sequence[Prediction], seed: int
) -> dict[str, dict[str, float]]:
    """Return the metrics of the most frequent right answer, and of right answers of other rows."""
    answers = [right_answer(bound.task, one.target, bound.settings) for one in predictions]
    most, count = Counter(answers).most_common(1)[0]
    always = _metrics(bound, [most] * len(answers), predictions)
    found = {_always(most, count): {metric.name: value_of(metric) for metric in always}}
    exact = _expected(bound, answers, predictions)
    if exact is not None:
        return {**found, f"{_SHUFFLED}, expected value": exact}
    draws = max(_FEWEST_DRAWS, min(_MOST_DRAWS, _MOST_PAIRS // len(answers)))
    mean = _mean_of_draws(bound, answers, predictions, draws, seed)
    return {**found, f"{_SHUFFLED}, mean of {draws} draws": mean}


_SHUFFLED = "the right answers of the rows, shuffled"


def _always(answer: str, count: int) -> str:
    named = f"always {answer!r}, " if len(answer) <= _SHORT else ""  # boxes and masks are not
    if count == 1:
        return f"{named}the right answer of one row"
    return f"{named}the most frequent right answer"


def human_ceiling(
    bound: Scorer, predictions: Sequence[Prediction], *, resamples: int, seed: int
) -> dict[str, list[Estimate]]:
    """Return the metrics of each annotator's answer against the others'; {} where there is one.

    A model is held against all of them, which is a little easier where the best agreement counts.
    """
    several = {one.id: one for one in predictions if len(_annotators(one)) > 1}
    own = [pair for one in several.values() for pair in _left_out(bound, one)]
    if not own:
        return {}
    clusters = [one.cluster for one in own]
    found = estimates(metrics_of(bound.task, own), clusters, resamples=resamples, seed=seed)
    rows = f"{len(several)} row{'s' * (len(several) != 1)}"
    return {f"people: each annotator against the others, {rows}": found}


def _annotators(one: Prediction) -> Sequence[Any]:
    found: Sequence[Any] = getattr(one.target, "annotators", ())
    return found


def _left_out(bound: Scorer, row: Prediction) -> Iterator[Prediction]:
    """Yield each annotator's answer to a row whose truth is what the others drew."""
    for i, boxes in enumerate(row.target.annotators):
        others = (*row.target.annotators[:i], *row.target.annotators[i + 1 :])
        answer = right_answer(bound.task, replace(row.target, annotators=(boxes,)), bound.settings)
        held = row._replace(target=replace(row.target, annotators=others))
        yield _predicted(bound, answer, held)._replace(cluster=row.cluster)


def _metrics(
    bound: Scorer, answers: Sequence[str], predictions: Sequence[Prediction]
) -> list[AnyMetric]:
    own = [_predicted(bound, *pair) for pair in zip(answers, predictions, strict=True)]
    return metrics_of(bound.task, own)


def _predicted(bound: Scorer, answer: str, row: Prediction) -> Prediction:
    text = completion_with(answer, completion_format=bound.settings.completion_format)
    return predict(bound, row.id, text, row.target, "")


def _expected(
    bound: Scorer, answers: Sequence[str], predictions: Sequence[Prediction]
) -> dict[str, float] | None:
    """Return the expected metrics of shuffled answers; None where they cannot be told exactly."""
    if kind_of(bound.task).target_type not in _LINEAR:
        return None
    # In these kinds equal right answers are those of equal targets.
    first = dict(zip(reversed(answers), reversed(predictions), strict=True))
    if len(first) ** 2 > _MOST_PAIRS:
        return None
    counts = Counter(answers)
    pairs = [(said, true) for true in first for said in first]
    weights: Any = np.array([[counts[said] * counts[true] / len(answers) for said, true in pairs]])
    metrics = _metrics(bound, [said for said, _ in pairs], [first[true] for _, true in pairs])
    places = np.arange(len(pairs))
    return {
        one.name: float(np.asarray(one.of_clusters(places, len(pairs))(weights)).reshape(-1)[0])
        for one in metrics
    }


def _mean_of_draws(
    bound: Scorer,
    answers: Sequence[str],
    predictions: Sequence[Prediction],
    draws: int,
    seed: int,
) -> dict[str, float]:
    """Return the mean metrics of several shuffles; NaN where none of them gives a value."""
    chance = random.Random(seed)
    found: dict[str, list[float]] = {}
    known: dict[tuple[str, int], Prediction] = {}
    for _ in range(draws):
        pairs = [(said, i) for i, said in enumerate(chance.sample(answers, len(answers)))]
        new = (pair for pair in pairs if pair not in known)
        known |= {(said, i): _predicted(bound, said, predictions[i]) for said, i in new}
        for metric in metrics_of(bound.task, [known[pair] for pair in pairs]):
            found.setdefault(metric.name, []).append(value_of(metric))
    return {name: _mean(values) for name, values in found.items()}


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
