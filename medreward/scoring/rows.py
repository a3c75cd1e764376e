"""Any trainer's rows -> scores: what its adapter does once it has taken its columns apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from medreward.kinds.truth import target_of
from medreward.scoring.judged import Judged
from medreward.scoring.scorer import Score, Scorer
from medreward.scoring.trace import TraceRow, trace_row


class JudgedRow(NamedTuple):
    """A trainer's row with its answer judged, before the parts are counted.

    Attributes:
        scorer: of the row's task.
        judged: what it says of the completion.
        completion: its text.
        ground_truth: the target as the row holds it.
        knowledge: the text injected into the prompt; None: the card's own.
    """

    scorer: Scorer
    judged: Judged
    completion: str
    ground_truth: Any
    knowledge: str | None

    def traced(self, score: Score, place: Mapping[str, Any]) -> TraceRow:
        """Return the row's line of a trace; `place` has its step, id, split and the like."""
        return trace_row(
            score, self.scorer.task, self.completion, self.ground_truth, self.knowledge, **place
        )


def judge_row(
    bound: Scorer, completion: str, ground_truth: Any, knowledge: str | None = None
) -> JudgedRow:
    """Judge the answer of a row.

    Raises:
        ConfigError: if the ground truth is not one of the task's.

    >>> from medreward import Task
    >>> row = judge_row(Scorer(Task.load("yes_no")), "<think>x</think><answer>yes</answer>", "yes")
    >>> row.judged.verdict.reason
    'correct'
    """
    judged = bound.judged(completion, target_of(bound.task, ground_truth), knowledge)
    return JudgedRow(bound, judged, completion, ground_truth, knowledge)


def score_rows(rows: Sequence[JudgedRow]) -> list[Score]:
    """Return the scores of rows, of one task or several; the rows of each task at once.

    >>> from medreward import Task
    >>> scorers = Scorer(Task.load("yes_no")), Scorer(Task.load("retinamnist"))
    >>> answers = ("yes", "1"), ("yes", "2")
    >>> rows = [
    ...     judge_row(scorer, f"<think>x</think><answer>{said}</answer>", true)
    ...     for scorer, said, true in zip(scorers, *answers)
    ... ]
    >>> [score.parts["accuracy"] for score in score_rows(rows)]
    [1.0, 0.25]
    """
    scores: dict[int, Score] = {}
    for bound in {id(row.scorer): row.scorer for row in rows}.values():
        ours = {i: row.judged for i, row in enumerate(rows) if row.scorer is bound}
        scores |= zip(ours, bound.scores([*ours.values()]), strict=True)
    return [scores[i] for i in range(len(rows))]
