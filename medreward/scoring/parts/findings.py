"""R_findings: whether the reasoning before a right answer states findings that fit it.

With F the findings that the reasoning states and that the card's attributes of the answered label
name, and A those it states that only other labels' attributes name::

    R_findings = (|F| - |A|) / (|F| + |A|),  0 where none is stated

in [-1, 1], for a right answer; 0 beside any other, so that it can neither pay for a wrong answer
nor be escaped by an unreadable one. Each finding counts once, however often it is said. Where a
label has several answers (a set of labels), a finding fits if it is one of any of them. On a scale
of grades, signs of lower grades alone are left out: a higher grade has them too, as a rule.

Findings are words of a card's attributes (`medreward.task.labels.Statement.findings`); what counts
as stated is `medreward.language.prose`'s rule. No model is asked.

What it can tell: that a right answer stands behind signs of another label ("spiculated margins …
benign"). What it cannot: whether the image shows what is stated. One true-sounding finding of the
answered label earns all of it, so at a weight above 0 a policy may learn to add one; the weight is
0 by default, and no wrong answer gains by it. Reviewers of VRFT-Aug asked for a check that
reasoning fits the answer; this is ours and in no paper.
"""

from __future__ import annotations

from collections.abc import Sequence

from medreward.errors import ConfigError, quote
from medreward.kinds.base import kind_of
from medreward.scoring.judged import Judged
from medreward.scoring.parts.base import Part
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.task.traits import Trait


class Findings(Part):
    """Whether stated findings fit the right answer.

    >>> from medreward import explain
    >>> for reasoning in ("The margin is spiculated.", "An oval mass, circumscribed."):
    ...     text = f"<think>{reasoning}</think><answer>malignant</answer>"
    ...     print(explain(text, "malignant", task="busi", weights={"findings": 0.1}).reasons)
    ('correct', 'findings_fit')
    ('correct', 'findings_contradict')
    """

    name = "findings"
    default_weight = 0.0

    def bounds(self, settings: RewardSettings) -> tuple[float, float]:
        """Return -1 and 1."""
        return -1.0, 1.0

    def check(self, task: Task, settings: RewardSettings) -> None:
        """Refuse a card that names no findings."""
        if not task.findings:
            raise ConfigError(
                f"task {quote(task.name)}: weights.findings "
                f"{settings.weights[self.name]:g}: the card's attributes name no findings; add "
                f"`findings: [words of the text]` to attributes of its labels, or leave it at 0"
            )

    def values(self, rows: Sequence[Judged], settings: RewardSettings) -> list[float]:
        """Return how the findings of each reasoning fit its answer, in [-1, 1]."""
        return [_fit(row) for row in rows]

    def reasons(self, row: Judged, value: float) -> tuple[str, ...]:
        """Return whether more findings fit than contradict, or fewer."""
        if not value:
            return ()
        return ("findings_fit" if value > 0 else "findings_contradict",)

    def at_stake(self, settings: RewardSettings) -> float:
        """Return 1: a right answer may lose that much, a wrong one gains nothing."""
        return 1.0


def _fit(row: Judged) -> float:
    if row.verdict.reason != "correct":
        return 0.0
    known = row.task.findings
    stated = [known[text] for text in row.task.stated_findings(row.completion.reasoning)]
    answered = kind_of(row.task).asserted_labels(row.target)
    if Trait.ORDERED in row.task.traits:
        stated = [labels for labels in stated if max(labels) >= min(answered)]
    if not stated:
        return 0.0
    fitting = sum(not labels.isdisjoint(answered) for labels in stated)
    return (2 * fitting - len(stated)) / len(stated)
