"""R_accuracy: what the answer earns, by the reward of the task's kind."""

from __future__ import annotations

from collections.abc import Sequence

from medreward.scoring.judged import Judged
from medreward.scoring.parts.base import Part
from medreward.task.settings import RewardSettings


class Accuracy(Part):
    """The verdict on the answer; with the gate ``accuracy_needs_format`` 0 if it is malformed."""

    name = "accuracy"
    default_weight = 1.0

    def bounds(self, settings: RewardSettings) -> tuple[float, float]:
        """Return 0 and 1."""
        return 0.0, 1.0

    def values(self, rows: Sequence[Judged], settings: RewardSettings) -> list[float]:
        """Return the verdicts' values."""
        if "accuracy_needs_format" not in settings.gates:
            return [row.verdict.value for row in rows]
        return [0.0 if row.completion.problems else row.verdict.value for row in rows]

    def reasons(self, row: Judged, value: float) -> tuple[str, ...]:
        """Return the verdict's reason and its notes."""
        return (row.verdict.reason, *row.verdict.notes)

    def at_stake(self, settings: RewardSettings) -> float:
        """Return 0: this is what a right answer is ahead by."""
        return 0.0
