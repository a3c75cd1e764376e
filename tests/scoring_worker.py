"""What a process of its own does in tests/test_together.py; imports no more than it needs."""

from __future__ import annotations

from typing import Any

from medreward import Score
from medreward.scoring.scorer import Scorer

Row = tuple[str, str, Any]


def scored(scorers: dict[str, Scorer], part: list[Row]) -> list[Score]:
    """Return the score of each row: task, completion, target."""
    return [scorers[name].score(text, target) for name, text, target in part]
