"""Free-text reports: the answer is measured against a reference report, never understood.

Every other kind reads an answer whole. Prose cannot be read so, and a metric of text pays for words
that are alike, whatever they say. So this kind is apart: an answer is right only where it is the
reference word for word, all else earns what the metric of `report_metric` gives, below 1, and there
is no wording that is refused. What a metric can be made to pay for is its own: BLEU pays 0.84 for a
report of 15 words that has one "no" more than the reference. For findings that are listed, take
`report`.

::

    R = 1 if the answer is the reference but for case and white space
        min(metric(reference, answer), 0.9999) otherwise

The metric is counted for a whole batch at once (`medreward.scoring.report_metrics`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from medreward.checks import known_fields
from medreward.errors import ConfigError, quote
from medreward.kinds.base import Kind, TargetType
from medreward.kinds.honest import Honest
from medreward.kinds.open_questions import OpenQuestion
from medreward.kinds.reading import unreadable
from medreward.kinds.verdict import BEST_WRONG, Verdict
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.task.traits import Trait

MAX_ANSWER_LENGTH = 20_000
_SHOWN = 200
_SAMPLES = (
    "There is a small left pleural effusion. The heart is of normal size. No pneumothorax.",
    "Both lungs are clear. The heart is of normal size. There is no effusion and no pneumothorax.",
    "There is a consolidation of the right lower lobe. No effusion. The heart is enlarged.",
)


class FreeReport(Kind):
    """A free-text report, measured against a reference."""

    name = "free_report"
    traits = frozenset((Trait.MEASURED,))
    target_type = TargetType.QUESTION
    settings: ClassVar[tuple[str, ...]] = ("report_metric",)
    shuffles = False

    def check(self, task: Task) -> None:
        """Refuse labels, which no metric of text looks at."""
        if task.labels:
            names = quote([label.name for label in task.labels])
            raise ConfigError(
                f"labels: {names}: a free_report has none; for findings that are listed, each "
                f"present, absent or uncertain, take kind: report"
            )

    def parse(self, task: Task, target: object) -> str:
        """Return the reference report: a text, or a mapping of ``report`` to one.

        Raises:
            ConfigError: if it is none, or has no letter.
        """
        where = f"task {quote(task.name)}: target"
        given = target
        if isinstance(target, Mapping):
            known_fields(where, target, ("report",))
            given = target.get("report")
        text = " ".join(given.split()) if isinstance(given, str) else ""
        if not any(char.isalpha() for char in text):
            raise ConfigError(f"{where}: {quote(given)} is not the text of a report")
        if len(text) > MAX_ANSWER_LENGTH:
            raise ConfigError(
                f"{where}: the report has {len(text)} characters; at most {MAX_ANSWER_LENGTH} are "
                f"allowed, as no longer answer is measured"
            )
        return text

    def to_text(self, task: Task, target: str) -> str:
        """Return the reference itself."""
        return target

    def reward(
        self, answer: str | None, target: str, task: Task, settings: RewardSettings
    ) -> Verdict:
        """Return 1 for the reference itself; 0, and that it is to be measured, for other texts."""
        reason = unreadable(answer, MAX_ANSWER_LENGTH)
        if reason:
            return Verdict(0.0, reason)
        text = " ".join(str(answer).split())
        if not any(char.isalpha() for char in text):
            return Verdict(0.0, "empty_answer")
        if text.casefold() == target.casefold():
            return Verdict(1.0, "correct", text[:_SHOWN])
        return Verdict(0.0, "report_unmeasured", text[:_SHOWN])

    def undecided(
        self, answer: str, verdict: Verdict, target: str, task: Task
    ) -> tuple[OpenQuestion, ...]:
        """Return the pair that is to be measured, unless the answer is the reference itself."""
        if verdict.reason != "report_unmeasured":
            return ()
        return (OpenQuestion("", (target,), " ".join(answer.split())),)

    def decided(
        self,
        answer: str,
        verdict: Verdict,
        target: str,
        task: Task,
        settings: RewardSettings,
        decisions: Sequence[float | None],
    ) -> Verdict:
        """Return the verdict with the value of the metric, which is below 1."""
        value = min(float(decisions[0] or 0.0), BEST_WRONG)
        return verdict._replace(value=value, reason="report_alike" if value else "report_unlike")

    def best_wrong(self, task: Task, settings: RewardSettings) -> float:
        """Return the most that a metric gives to another text."""
        return BEST_WRONG

    def choices(self, task: Task, order: Sequence[int]) -> str:
        """Return nothing: there are no labels."""
        return ""

    def right(self, task: Task, target: str, settings: RewardSettings) -> str:
        """Return the reference."""
        return target

    def honest(self, task: Task, targets: Sequence[object] | None) -> Iterator[Honest]:
        """Yield each reference, with the others as wrong reports and a shorter one as near."""
        found = [self.parse(task, one) for one in (_SAMPLES if targets is None else targets)]
        for text in found:
            others = tuple(one for one in (*found, *_SAMPLES) if one.casefold() != text.casefold())
            shorter = text.rpartition(". ")[0]
            yield Honest(
                text,
                right=text,
                wrong=tuple(dict.fromkeys(others))[:4],
                near=(f"{shorter}.",) if shorter else (),
                names=(text,),
                others=others,
            )
