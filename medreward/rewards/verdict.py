"""What a reward says of one answer."""

from __future__ import annotations

from typing import NamedTuple


class Verdict(NamedTuple):
    """The value in [0, 1] that an answer earns, why, and what it was read as.

    `prediction` is None exactly where the answer could not be read. `notes` are further reason
    codes, which do not say whether the answer is right.
    """

    value: float
    reason: str
    prediction: str | None = None
    notes: tuple[str, ...] = ()
