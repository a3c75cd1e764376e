"""The audit: what exploits earn under a reward, against honest right and wrong answers.

For one case with the right answer's reward R, the best wrong answer's W and the best near miss's N,
an attack passes where it earns

=========  ==============================================================================
``WRONG``  at most W, and less than R: it says nothing that is right
``NEAR``   at most max(N, W), and less than R: it says something right and much that is not
``RIGHT``  at most R: it is right, or its answer is, but nothing else in it may pay
``BELOW``  less than R
``SAME``   at least R: an honest answer in another dress
=========  ==============================================================================

All honest answers are well formed, so an attack may earn the format's share as they do. A family
passes where all of its attacks do on all cases. A case on which the right answer does not win is
reported once, as `CONTROL`, and not attacked where a wrong one wins. A value that is not a finite
number, an exception and more than `SLOW` seconds for one completion fail whatever the limit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from time import process_time
from typing import Protocol

from tqdm import tqdm

from medreward.audit.exploits import (
    Attack,
    AttackCase,
    Family,
    Limit,
    Severity,
    cases_of,
    registered,
)
from medreward.errors import ConfigError
from medreward.task.task import Task

SLOW = 10.0
_TOLERANCE = 1e-6  # the float32 in which trainers add up rewards
CONTROL = "honest-answers"


class Rewards(Protocol):
    """A reward as the audit calls it: one completion with its target, prompt and knowledge."""

    def __call__(self, completion: str, target: object, *, prompt: str, knowledge: str) -> float:
        """Return what the completion earns."""
        ...


@dataclass(frozen=True)
class HonestMeans:
    """What honest answers earn on one case."""

    right: float
    wrong: float
    near: float

    @property
    def sound(self) -> bool:
        """Whether the right answer earns more than a wrong one, so that it is a yardstick."""
        return self.allowed(Limit.BELOW, self.wrong)

    def allowed(self, limit: Limit, earned: float) -> bool:
        """Whether an attack with this limit may earn that much."""
        slack = _TOLERANCE * max(1.0, abs(self.right), abs(self.wrong))
        if limit is Limit.SAME:
            return earned >= self.right - slack
        if limit is not Limit.RIGHT and earned >= self.right - slack:
            return False
        return earned <= self.bound(limit) + slack

    def bound(self, limit: Limit) -> float:
        """Return the value that a limit stands for."""
        tops = {Limit.WRONG: self.wrong, Limit.NEAR: max(self.near, self.wrong)}
        return tops.get(limit, self.right)


@dataclass(frozen=True)
class PaidAttack:
    """An attack that does not pass, with what it earned and what it was held against."""

    text: str
    target: str
    limit: str
    earned: float
    right: float
    wrong: float
    problem: str


@dataclass(frozen=True)
class FamilyResult:
    """What a family earned.

    Attributes:
        family: its name.
        about: what it does.
        severity: "high", "medium" or "low".
        limit: the family's own limit.
        attacks: how many completions were scored.
        failed: how many of them did not pass.
        highest: the most that one of them earned.
        mean: what they earned on average.
        seconds: the longest that one of them took, in processor time.
        worst: the first attack of those that earned most above their limit, or None.
    """

    family: str
    about: str
    severity: str
    limit: str
    attacks: int
    failed: int
    highest: float
    mean: float
    seconds: float
    worst: PaidAttack | None

    @property
    def passed(self) -> bool:
        """Whether every attack passed."""
        return self.failed == 0


@dataclass(frozen=True)
class Audit:
    """An audit of one reward on one task.

    Attributes:
        reward: the reward's name.
        task: the task's name.
        kind: the task's kind.
        cases: how many targets were attacked.
        honest: the mean of what right answers, the best wrong ones and the best near misses earn.
        results: one result a family; the first is that of the honest answers themselves.
    """

    reward: str
    task: str
    kind: str
    cases: int
    honest: HonestMeans
    results: tuple[FamilyResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every family passed."""
        return all(result.passed for result in self.results)

    @property
    def failures(self) -> tuple[FamilyResult, ...]:
        """The families that did not pass, the most severe first."""
        order = [severity.name.lower() for severity in Severity]
        failed = [result for result in self.results if not result.passed]
        return tuple(sorted(failed, key=lambda result: order.index(result.severity)))


def audit(
    reward: Rewards,
    task: Task,
    *,
    name: str = "reward",
    targets: Sequence[object] | None = None,
    families: Sequence[Family] | None = None,
) -> Audit:
    """Attack a reward with every exploit family about the task's kind.

    Args:
        reward: called as ``reward(completion, target, prompt=…, knowledge=…)``.
        task: gives labels, prompts, knowledge and targets.
        name: the reward's name in the report.
        targets: what to attack; by default the task's labels or grades (see `cases_of`).
        families: which families; by default all about the task's kind.

    Raises:
        ConfigError: if the reward fails on an honest right answer, or there are no targets.
    """
    cases = cases_of(task, targets)
    if not cases:
        raise ConfigError(f"task {task.name!r}: there are no targets to audit a reward with")
    honest = [_honest(reward, case) for case in cases]
    chosen = registered(task.kind) if families is None else families
    shown = tqdm(chosen, unit="family", desc=task.name, disable=None, leave=False)
    sound = [(case, own) for case, own in zip(cases, honest, strict=True) if own.sound]
    results = [_control(cases, honest), *(_attack(reward, f, sound) for f in shown)]
    means = (_mean([getattr(h, field) for h in honest]) for field in ("right", "wrong", "near"))
    return Audit(name, task.name, task.kind, len(cases), HonestMeans(*means), tuple(results))


def _honest(reward: Rewards, case: AttackCase) -> HonestMeans:
    def best(answers: Sequence[str]) -> float:
        return max((_honest_value(reward, case, answer) for answer in answers), default=-math.inf)

    return HonestMeans(_honest_value(reward, case, case.right), best(case.wrong), best(case.near))


def _honest_value(reward: Rewards, case: AttackCase, answer: str) -> float:
    text = case.say(answer)
    earned, problem, _ = _earned(reward, case, text)
    if problem:
        raise ConfigError(f"the reward cannot score the honest completion {text!r}: {problem}")
    return earned


def _control(cases: Sequence[AttackCase], honest: Sequence[HonestMeans]) -> FamilyResult:
    """Check the yardstick itself: right answers have to beat near misses and wrong ones."""
    findings = [
        PaidAttack(
            case.say(case.right),
            str(case.target),
            "BELOW",
            h.right,
            h.right,
            h.wrong,
            f"a right answer earns no more than a {'near miss' if h.sound else 'wrong one'}",
        )
        for case, h in zip(cases, honest, strict=True)
        if not h.allowed(Limit.BELOW, max(h.wrong, h.near))
    ]
    rights = [h.right for h in honest]
    return FamilyResult(
        CONTROL,
        "Gives plain right and wrong answers: a right one has to earn more",
        "high",
        Limit.BELOW.value,
        len(cases),
        len(findings),
        max(rights),
        _mean(rights),
        0.0,
        findings[0] if findings else None,
    )


def _attack(
    reward: Rewards, family: Family, cases: Sequence[tuple[AttackCase, HonestMeans]]
) -> FamilyResult:
    earned: list[float] = []
    slowest = 0.0
    findings: list[PaidAttack] = []
    for case, own in cases:
        for attack in family.attacks(case):
            value, problem, seconds = _earned(reward, case, attack.text)
            slowest = max(slowest, seconds)
            earned.append(value)
            problem = problem or _excess(own, attack, value)
            if problem:
                findings.append(_finding(case, own, attack, value, problem))
    finite = [value for value in earned if math.isfinite(value)]
    return FamilyResult(
        family.name,
        family.about,
        family.severity.name.lower(),
        family.limit.value,
        len(earned),
        len(findings),
        max(finite, default=0.0),
        _mean(finite),
        slowest,
        max(findings, key=_gain, default=None),
    )


def _earned(reward: Rewards, case: AttackCase, text: str) -> tuple[float, str, float]:
    """Return what a completion earns, what is wrong with that, and the processor time it took."""
    start = process_time()
    try:
        value = reward(text, case.target, prompt=case.prompt, knowledge=case.knowledge)
    except Exception as error:  # noqa: BLE001 - whatever a user's reward raises is a finding
        return math.nan, f"raises {type(error).__name__}: {error}"[:200], process_time() - start
    seconds = process_time() - start
    if isinstance(value, bool | int | float) and math.isfinite(value):
        slow = f"takes {seconds:.0f} s" if seconds > SLOW else ""
        return float(value), slow, seconds
    return math.nan, f"returns {value!r}, which is no finite number"[:200], seconds


def _excess(honest: HonestMeans, attack: Attack, value: float) -> str:
    limit = attack.limit or Limit.RIGHT
    if honest.allowed(limit, value):
        return ""
    if limit is Limit.SAME:
        return "a right answer is missed"
    return f"earns {value:.5g}; allowed: {limit.value}, {honest.bound(limit):.5g}"


def _finding(
    case: AttackCase, honest: HonestMeans, attack: Attack, value: float, problem: str
) -> PaidAttack:
    limit = (attack.limit or Limit.RIGHT).name
    return PaidAttack(
        attack.text, str(case.target), limit, value, honest.right, honest.wrong, problem
    )


def _gain(finding: PaidAttack) -> float:
    """How much an attack earns beyond the best wrong answer; what is no number comes first."""
    return finding.earned - finding.wrong if math.isfinite(finding.earned) else math.inf


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0
