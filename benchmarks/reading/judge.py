"""What a reader makes of labelled answers, seen through `medreward.explain` alone.

Each answer is put into a well-formed completion. Where one label is asked for, it is scored against
every label of the card, so that an answer which is right for two of them is found too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from benchmarks.reading.labelled import LabelledAnswer, needs_target, truth_of
from medreward import Score, explain
from medreward.task.traits import Trait

# The fields of a score that do not say what was not understood.
_KNOWN = ("total", "parts", "reasons", "signature", "correct", "prediction")


class Outcome(StrEnum):
    """What became of an answer; the first three are of honest answers, the others of null."""

    RIGHT = "read and right"
    WRONG = "read and wrong"
    MISSED = "not read"
    UNPAID = "rightly unpaid"
    PAID = "paid for nothing"


@dataclass(frozen=True)
class Reading:
    """An outcome, with what the reader said: its prediction, its reason codes and details."""

    answer: LabelledAnswer
    outcome: Outcome
    read_as: str | None
    reasons: tuple[str, ...]
    details: str
    right_for: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the reading as a JSON-ready dictionary."""
        return {
            "id": self.answer.id,
            "task": self.answer.task.name,
            "answer": self.answer.answer,
            "expected": self.answer.expected,
            "form": self.answer.form,
            "short": self.answer.short,
            "disputed": self.answer.disputed,
            "outcome": self.outcome.value,
            "read_as": self.read_as,
            "reasons": list(self.reasons),
            "details": self.details,
            "right_for": list(self.right_for),
        }


def completion(answer: str) -> str:
    """Return a well-formed completion around an answer."""
    return f"<think>x</think><answer>{answer}</answer>"


def judge(answers: Iterable[LabelledAnswer]) -> list[Reading]:
    """Return what the reader makes of each answer."""
    return [_judge(answer) for answer in answers]


def _judge(answer: LabelledAnswer) -> Reading:
    if Trait.ONE_ANSWER in answer.task.traits:
        return _judge_one(answer)
    target = [] if answer.expected is None and answer.target is None else truth_of(answer)
    score = explain(completion(answer.answer), target, task=answer.task)
    paid = score.correct or score.parts["accuracy"] > 0
    # A box that is read but earns nothing against the box that it denies is rightly unpaid.
    read = paid if needs_target(answer) else paid or score.prediction is not None
    return _reading(answer, score, read, score.correct, ())


def _judge_one(answer: LabelledAnswer) -> Reading:
    text, task = completion(answer.answer), answer.task
    scores = {label.name: explain(text, label.name, task=task) for label in task.labels}
    right_for = tuple(name for name, score in scores.items() if score.correct)
    score = scores.get(str(answer.expected)) or next(iter(scores.values()))
    read = score.prediction is not None or bool(right_for)
    return _reading(answer, score, read, right_for == (str(answer.expected),), right_for)


def _reading(
    answer: LabelledAnswer, score: Score, read: bool, right: bool, right_for: tuple[str, ...]
) -> Reading:
    if answer.expected is None:
        outcome = Outcome.PAID if read else Outcome.UNPAID
    elif right:
        outcome = Outcome.RIGHT
    else:
        outcome = Outcome.WRONG if read else Outcome.MISSED
    return Reading(answer, outcome, score.prediction, score.reasons, details(score), right_for)


def details(score: Score) -> str:
    """Return what a score says beyond its known fields: the first thing not understood."""
    more = {k: v for k, v in score.as_dict().items() if k not in _KNOWN and v}
    return ", ".join(f"{name}: {value!r}" for name, value in more.items())
