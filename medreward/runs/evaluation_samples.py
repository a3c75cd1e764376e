"""Several samples of a row: the answer that most of them give, and how far they agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from medreward.errors import ConfigError, quote
from medreward.kinds.base import TargetType, kind_of
from medreward.runs.evaluation_intervals import AnyMetric, share_metric
from medreward.runs.evaluation_readings import Prediction, SampleCounts, labels_said
from medreward.task.task import Task
from medreward.task.traits import Trait


def join_samples(task: Task, samples: Sequence[Prediction]) -> list[Prediction]:
    """Return the samples of one row as its prediction: the one that most of them agree with.

    Of answers that are given equally often the one that comes first counts; those that cannot be
    read have no vote. Places are not voted on: each sample stays a prediction of its own.

    Raises:
        ConfigError: if samples that are voted on have confidences, which would go unused.
    """
    if len(samples) == 1 or Trait.PLACES in task.traits:
        return [*samples]
    sure = next((one for one in samples if one.confidence is not None), None)
    if sure is not None:
        raise ConfigError(
            f"the id {quote(sure.id)}: samples with a confidence each: the vote of {task.name} "
            f"goes by numbers of samples, so leave the confidences out"
        )
    votes = Counter(one.score.prediction for one in samples if one.score.prediction is not None)
    most, agreeing = votes.most_common(1)[0] if votes else (None, 0)
    chosen = next(one for one in samples if one.score.prediction == most)
    counts = SampleCounts(
        total=len(samples),
        agreeing=agreeing,
        right=sum(one.score.correct for one in samples),
        credit=sum(one.score.parts["accuracy"] for one in samples) / len(samples),
        unread=sum(one.score.prediction is None for one in samples),
    )
    return [chosen._replace(samples=counts, confidence=_confidence(task, samples, agreeing))]


def _confidence(
    task: Task, samples: Sequence[Prediction], agreeing: int
) -> float | tuple[float, ...]:
    """Return the share of samples that say each label, or else that agree."""
    if kind_of(task).target_type not in (TargetType.LABEL, TargetType.LABELS):
        return agreeing / len(samples)
    said = [labels_said(task, one.score) for one in samples]
    return tuple(
        sum(label in own for own in said) / len(samples) for label in range(len(task.labels))
    )


def sample_metrics(predictions: Sequence[Prediction]) -> list[AnyMetric]:
    """Return what there is to say of samples beside the answer that most of them give.

    pass@1 is the mean accuracy of the samples, pass@K the share of rows of which any is right.
    """
    counts = [one.samples for one in predictions if one.samples is not None]
    if len(counts) < len(predictions):
        return []
    most = max(one.total for one in counts)
    return [
        share_metric("pass@1", [one.right / one.total for one in counts]),
        share_metric(f"pass@{most}", [one.right > 0 for one in counts]),
        share_metric("mean credit of samples", [one.credit for one in counts]),
        share_metric("agreement", [one.agreeing / one.total for one in counts]),
        share_metric("unreadable samples", [one.unread / one.total for one in counts]),
    ]
