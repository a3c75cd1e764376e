"""Metrics of answers to questions of the rows' own, numbers among them, and of findings."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

import numpy as np

from medreward.kinds.base import kind_of
from medreward.kinds.number import NumberTarget, Quantity
from medreward.kinds.report import PRESENT
from medreward.kinds.short_answer import AnswerTarget, is_closed
from medreward.runs.evaluation_intervals import (
    AnyMetric,
    Array,
    LabelMetrics,
    Metric,
    f1_metric,
    found_metrics,
    mean_where,
    ratio,
    ratio_metric,
    share_metric,
)
from medreward.runs.evaluation_readings import Prediction
from medreward.task.task import Task
from medreward.task.traits import Trait
from medreward.text.units import factor

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_MARKS = str.maketrans("", "", string.punctuation)


def credit_metrics(predictions: Sequence[Prediction]) -> list[AnyMetric]:
    """Return exactly right answers and the mean of R_accuracy."""
    return [
        share_metric("accuracy", [one.score.correct for one in predictions]),
        share_metric("mean credit", [one.score.parts["accuracy"] for one in predictions]),
    ]


def question_metrics(task: Task, predictions: Sequence[Prediction]) -> list[AnyMetric]:
    """Return the metrics of options, short answers or numbers."""
    metrics = credit_metrics(predictions)
    if Trait.NUMBER in task.traits:
        metrics += _number_metrics(predictions)
    elif Trait.OPEN in task.traits:
        metrics += _answer_metrics(task, predictions)
    return metrics


# Short answers


def squad_f1(answer: str, accepted: Sequence[str]) -> float:
    """Return the token F1 of SQuAD with the nearest accepted answer.

    In lower case, without punctuation and articles (Rajpurkar et al., EMNLP 2016). It looks at
    words only: "no effusion" has 0.67 of "effusion".

    >>> squad_f1("No effusion.", ["an effusion"]).__round__(3)
    0.667
    """
    return max(_token_f1(_words(answer), _words(one)) for one in accepted)


def _words(text: str) -> list[str]:
    return _ARTICLES.sub(" ", text.lower().translate(_MARKS)).split()


def _token_f1(said: Sequence[str], true: Sequence[str]) -> float:
    if not said or not true:
        return float(said == true)
    return 2 * (Counter(said) & Counter(true)).total() / (len(said) + len(true))


def _answer_metrics(task: Task, predictions: Sequence[Prediction]) -> list[AnyMetric]:
    """Return token F1, and accuracy of yes-no and open questions where rows of both are there."""
    closed = np.array([is_closed(kind_of(task).row_task(task, one.target)) for one in predictions])
    right = np.array([one.score.correct for one in predictions], float)
    f1 = [squad_f1(one.answer or "", _accepted(one.target)) for one in predictions]
    metrics: list[AnyMetric] = [share_metric("token F1", f1)]
    if 0 < closed.sum() < len(closed):
        metrics += [
            ratio_metric("accuracy of yes or no", right * closed, closed),
            ratio_metric("accuracy of open answers", right * ~closed, ~closed),
            ratio_metric("token F1 of open answers", np.array(f1) * ~closed, ~closed),
        ]
    return metrics


def _accepted(target: AnswerTarget) -> Sequence[str]:
    return target.answers


# Numbers


def _number_metrics(predictions: Sequence[Prediction]) -> list[AnyMetric]:
    """Return relative and absolute errors; the latter where all rows have one unit.

    A number that is not read has the relative error 1, which is the most that any has; of absolute
    errors there is no most, so that they are of numbers that were read.
    """
    errors = [number_error(one.said, one.target) for one in predictions]
    read = np.array([error is not None for error in errors])
    values = np.array([0.0 if error is None else error for error in errors])
    sizes = np.array([max(abs(one.target.low), abs(one.target.high)) for one in predictions])
    relative = np.where(read, np.minimum(1.0, ratio(values, sizes, 1.0)), 1.0)
    relative = np.where(read & (values == 0), 0.0, relative)
    metrics: list[AnyMetric] = [share_metric("mean relative error, at most 1", relative)]
    units = {one.target.unit for one in predictions}
    if len(units) == 1:
        unit = f" ({units.pop()})" if units != {""} else ""
        metrics.append(ratio_metric(f"mean absolute error{unit} of numbers read", values, read))
    return metrics


def number_error(said: Quantity | None, target: NumberTarget) -> float | None:
    """Return how far a number is off the true one or the true range, tolerance aside.

    Of a range, the end that is further off counts. None: no number was read, or it is in the unit
    of something else.

    >>> number_error(Quantity(41, 41, "mm"), NumberTarget(3.2, 3.2, "cm", 0.2)).__round__(6)
    0.9
    """
    scale = None if said is None else factor(said.unit or target.unit, target.unit)
    if said is None or scale is None:
        return None
    ends = (said.low * scale, said.high * scale)
    return max(0.0, *(max(target.low - end, end - target.high) for end in ends))


# Findings


def _present(task: Task, predictions: Sequence[Prediction]) -> tuple[Array, Array]:
    """Return which findings are present by the target, and which by the answer."""
    true, said = np.zeros((2, len(predictions), len(task.labels)))
    for i, one in enumerate(predictions):
        true[i, [label for label, state in one.target if state == PRESENT]] = 1.0
        # "effusion: present; edema: absent", and a label's name may hold either mark.
        shown = f"; {one.score.prediction or ''};"
        said[i] = [f"; {label.name}: {PRESENT};" in shown for label in task.labels]
    return true, said


def finding_metrics(task: Task, predictions: Sequence[Prediction]) -> list[AnyMetric]:
    """Return the metrics of findings: F1 counts those that are present."""
    true, said = _present(task, predictions)
    hit = true * said
    columns = np.concatenate([hit, said, true], axis=1)

    def compute(sums: Array) -> Array:
        both, told, there = np.split(sums, 3, axis=-1)
        return mean_where(ratio(2 * both, told + there), there > 0)

    return [
        *credit_metrics(predictions),
        f1_metric("micro F1 of what is present", *(x.sum(axis=1) for x in (hit, said, true))),
        Metric("macro F1 of what is present", columns, compute),
    ]


def finding_table(task: Task, predictions: Sequence[Prediction]) -> list[LabelMetrics]:
    """Return for each finding how often it is present and found."""
    true, said = _present(task, predictions)
    return found_metrics([label.name for label in task.labels], true * said, true, said)
