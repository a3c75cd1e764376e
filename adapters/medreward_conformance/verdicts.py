"""What a check can say."""

from __future__ import annotations

from collections import Counter
from typing import Any, TypeAlias

OK, DIFFERS, NOT_SEEN, NOT_TRIED = "ok", "differs", "not seen", "not tried"
# A verdict and what was found.
Told: TypeAlias = tuple[str, str]


def told_miscount(arrived: Counter[Any], sent: Counter[Any]) -> Told | None:
    """Tell what is wrong with how often completions arrive; None: each arrives once."""
    if not arrived:
        return NOT_SEEN, "no completion arrived"
    if arrived != sent:
        few, many = (sent - arrived).total(), (arrived - sent).total()
        return DIFFERS, f"{few} completions do not arrive, {many} arrive too often"
    return None
