"""What a reward says of one answer."""

from __future__ import annotations

from typing import NamedTuple

# What a wrong answer earns at most, and a box that is not exact: float32 still tells it from 1.
BEST_WRONG = 0.9999


class Verdict(NamedTuple):
    """The value in [0, 1] that an answer earns, why, and what it was read as.

    `prediction` is None exactly where the answer could not be read. `notes` are further reason
    codes, which do not say whether the answer is right. `unread` is the first thing in the answer
    that was not understood.

    >>> Verdict(0.5, "wrong_grade", "1").value
    0.5
    """

    value: float
    reason: str
    prediction: str | None = None
    notes: tuple[str, ...] = ()
    unread: str = ""


def cap_partial(value: float) -> float:
    """Return a value of overlap: 1 stays, less than that is a wrong answer's."""
    return value if value >= 1.0 else min(value, BEST_WRONG)
