"""R_format: 1 for a well-formed completion, else 0."""

from __future__ import annotations

from collections.abc import Sequence

from medreward.scoring.judged import Judged
from medreward.scoring.parts.base import Part
from medreward.task.settings import RewardSettings


class Format(Part):
    """Whether the completion has the format that the prompt asks for."""

    name = "format"
    default_weight = 0.2

    def bounds(self, settings: RewardSettings) -> tuple[float, float]:
        """Return 0 and 1."""
        return 0.0, 1.0

    def values(self, rows: Sequence[Judged], settings: RewardSettings) -> list[float]:
        """Return 1 for each well-formed completion, else 0."""
        return [float(not row.completion.problems) for row in rows]

    def reasons(self, row: Judged, value: float) -> tuple[str, ...]:
        """Return the problems of the format."""
        return row.completion.problems

    def at_stake(self, settings: RewardSettings) -> float:
        """Return 0: a right, well-formed completion has all of it."""
        return 0.0
