"""Answers that the rules leave undecided: what a judge is asked, and what its decision leads to.

A kind says which of its answers are open (`Kind.undecided`) and what a decision makes of a verdict
(`Kind.decided`); `medreward.scoring.judge` asks.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from medreward.kinds.verdict import Verdict

MOST_WORDS = 20  # of an answer that a judge is asked about


class OpenQuestion(NamedTuple):
    """What a judge is asked.

    Attributes:
        question: the row's question, "" where it is not known.
        accepted: the answers that the row accepts.
        given: the answer.
    """

    question: str
    accepted: tuple[str, ...]
    given: str


def decided_verdict(verdict: Verdict, decision: float | None) -> Verdict:
    """Return a verdict with a judge's decision; None: no decision, and no reward either.

    >>> decided_verdict(Verdict(0.0, "answer_undecided", "heart attack"), True).reason
    'correct'
    """
    if decision is None:
        return verdict._replace(value=math.nan, reason="judge_unavailable")
    if decision:
        return verdict._replace(value=1.0, reason="correct", notes=("judged_same",), unread="")
    return verdict._replace(value=0.0, reason="wrong_answer", notes=("judged_other",))
