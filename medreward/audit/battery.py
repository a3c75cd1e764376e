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

What a reward pays or charges for reasoning must not depend on whether the answer can be read. So
attacks with the limit ``WRONG`` are made again behind each other reasoning of `REASONINGS`, the
recited knowledge among them, and held against an honest wrong answer *behind the same reasoning and
in the same tags*: they may earn no more than that.

A full audit also says what answers earn that never look at the image (`Audit.baselines`): no fault
of a reward by itself, and so no reason to fail.

Nothing is skipped in silence. A kind or a trait that no family is about fails as `COVERAGE`, and a
family that makes no attack on a case to which it applies fails.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import process_time
from typing import Protocol

from tqdm import tqdm

from medreward.audit.baselines import MOST_TARGETS, Baseline, measure_baselines
from medreward.audit.exploits import (
    Attack,
    AttackCase,
    Family,
    Limit,
    Severity,
    cases_of,
    find_unattacked,
    registered,
)
from medreward.audit.exploits.case import PLAIN
from medreward.audit.reward_process import RewardError
from medreward.audit.user_rewards import ReturnError
from medreward.errors import ConfigError, quote
from medreward.task.task import Task

SLOW = 10.0
_TOLERANCE = 1e-6  # the float32 in which trainers add up rewards
CONTROL = "honest-answers"
COVERAGE = "coverage"
# Another reasoning is tried on so many targets, spread over the card: whether an answer can be read
# does not depend on the target.
VARIED = 4


class Rewards(Protocol):
    """A reward as the audit calls it: one completion with its target, prompt and knowledge.

    One that runs elsewhere has a method ``clock``, which returns its processor time in seconds.
    """

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
        if limit is Limit.SAME:
            return earned >= self.right - self.slack
        if limit is not Limit.RIGHT and earned >= self.right - self.slack:
            return False
        return earned <= self.bound(limit) + self.slack

    @property
    def slack(self) -> float:
        """By how much values may differ and still be the same."""
        return _TOLERANCE * max(1.0, abs(self.right), abs(self.wrong))

    def bound(self, limit: Limit) -> float:
        """Return the value that a limit stands for."""
        tops = {Limit.WRONG: self.wrong, Limit.NEAR: max(self.near, self.wrong)}
        return tops.get(limit, self.right)


@dataclass(frozen=True)
class PaidAttack:
    """An attack that does not pass, with what it earned and what it was held against.

    `right` and `wrong` are what honest answers earn behind the same `reasoning`.
    """

    text: str
    target: str
    limit: str
    earned: float
    right: float
    wrong: float
    problem: str
    reasoning: str = PLAIN


@dataclass(frozen=True)
class Comparison:
    """A reasoning under which attacks are compared with honest answers.

    Attributes:
        reasoning: one of `medreward.audit.exploits.case.REASONINGS`.
        targets: on how many targets.
        right: what right answers behind it earn on average.
        wrong: what the best wrong answer behind it earns on average.
    """

    reasoning: str
    targets: int
    right: float
    wrong: float


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
        skipped: why the family was not tried, "" if it was.
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
    skipped: str = ""

    @property
    def passed(self) -> bool:
        """Whether every attack passed, or there was nothing to attack."""
        return self.failed == 0

    @property
    def verdict(self) -> str:
        """The verdict in a few words: a family that was not tried does not count as passed."""
        if self.skipped:
            return "not tried"
        if self.passed:
            return "PASS"
        return f"FAIL ({self.failed} of {self.attacks})" if self.attacks else "FAIL (no attack)"


@dataclass(frozen=True)
class Audit:
    """An audit of one reward on one task.

    Attributes:
        reward: the reward's name.
        task: the task's name.
        kind: the task's kind.
        cases: how many targets were attacked.
        honest: the mean of what right answers, the best wrong ones and the best near misses earn.
        results: one result a family; the first is that of the honest answers themselves, the
            second, where no families were named, whether every trait of the kind is attacked.
        compared: the reasonings behind which attacks were held against honest answers.
        baselines: what answers earn that never look at the image.
    """

    reward: str
    task: str
    kind: str
    cases: int
    honest: HonestMeans
    results: tuple[FamilyResult, ...]
    compared: tuple[Comparison, ...] = ()
    baselines: tuple[Baseline, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every family passed."""
        return all(result.passed for result in self.results)

    @property
    def tried(self) -> tuple[FamilyResult, ...]:
        """The families that were tried."""
        return tuple(result for result in self.results if not result.skipped)

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

    >>> from medreward.audit import load_reward
    >>> task = Task.load("pneumoniamnist")
    >>> found = audit(load_reward("shaped", task), task, families=registered("classification")[:5])
    >>> found.passed
    True
    """
    cases = cases_of(task, targets)
    if not cases:
        raise ConfigError(f"task {quote(task.name)}: there are no targets to audit a reward with")
    honest = [_honest(reward, case) for case in cases]
    chosen = registered(task.kind) if families is None else families
    shown = tqdm(chosen, unit="family", desc=task.name, disable=None, leave=False)
    sound = [(case, own) for case, own in zip(cases, honest, strict=True) if own.sound]
    varied = [*_vary_reasoning(reward, sound)]
    results = [
        _control(cases, honest),
        *([_check_coverage(task.kind)] if families is None else []),
        *(_attack(reward, f, sound, varied) for f in shown),
    ]
    return Audit(
        name,
        task.name,
        task.kind,
        len(cases),
        HonestMeans(*(_means(honest, ("right", "wrong", "near")))),
        tuple(results),
        tuple(_compare([*sound, *varied])),
        baselines_of(reward, task, targets) if families is None else (),
    )


def baselines_of(
    reward: Rewards, task: Task, targets: Sequence[object] | None
) -> tuple[Baseline, ...]:
    """Return what answers earn that never look, over at most so many targets, spread evenly."""
    if targets is not None and len(targets) > MOST_TARGETS:
        step = len(targets) / MOST_TARGETS
        targets = [targets[int(i * step)] for i in range(MOST_TARGETS)]

    def earn(case: AttackCase, answer: str) -> float:
        earned, _, _ = _earned(reward, case, case.say(answer))
        return earned if math.isfinite(earned) else 0.0

    if targets is None:
        return measure_baselines(cases_of(task), earn)
    # Each by itself: of equal targets a kind makes one case.
    return measure_baselines([case for one in targets for case in cases_of(task, [one])], earn)


def _vary_reasoning(
    reward: Rewards, cases: Sequence[tuple[AttackCase, HonestMeans]]
) -> Iterator[tuple[AttackCase, HonestMeans]]:
    """Yield a few of the cases, spread over the card, with each other reasoning.

    A reasoning with which an honest answer cannot be scored is left out here, since families such
    as ``no-tags`` report that.
    """
    step = max(1, len(cases) / VARIED)
    for i in range(min(VARIED, len(cases))):
        for case in cases[int(i * step)][0].vary_reasoning():
            with suppress(ConfigError):
                yield case, _honest(reward, case)


def _compare(cases: Sequence[tuple[AttackCase, HonestMeans]]) -> Iterator[Comparison]:
    for reasoning in dict.fromkeys(case.reasoning for case, _ in cases):
        honest = [own for case, own in cases if case.reasoning == reasoning]
        yield Comparison(reasoning, len(honest), *_means(honest, ("right", "wrong")))


def _means(honest: Sequence[HonestMeans], fields: Sequence[str]) -> Iterator[float]:
    return (_mean([getattr(own, field) for own in honest]) for field in fields)


def _honest(reward: Rewards, case: AttackCase) -> HonestMeans:
    def best(answers: Sequence[str]) -> float:
        return max((_honest_value(reward, case, answer) for answer in answers), default=-math.inf)

    return HonestMeans(_honest_value(reward, case, case.right), best(case.wrong), best(case.near))


def _honest_value(reward: Rewards, case: AttackCase, answer: str) -> float:
    text = case.say(answer)
    earned, problem, _ = _earned(reward, case, text)
    if problem:
        raise ConfigError(
            f"the reward cannot score the honest completion {quote(text[:200])} (target "
            f"{quote(str(case.target)[:200])}): it {problem}"
        )
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


def _check_coverage(kind: str) -> FamilyResult:
    """Check that families are about every trait of a kind, so that it does not pass unattacked."""
    findings = [_report_idle("", problem) for problem in find_unattacked(kind)]
    return FamilyResult(
        COVERAGE,
        "Looks for a kind, or a trait of it, that no exploit family is about",
        "high",
        "",
        0,
        len(findings),
        0.0,
        0.0,
        0.0,
        findings[0] if findings else None,
    )


def _attack(
    reward: Rewards,
    family: Family,
    cases: Sequence[tuple[AttackCase, HonestMeans]],
    varied: Sequence[tuple[AttackCase, HonestMeans]],
) -> FamilyResult:
    earned: list[float] = []
    slowest = 0.0
    findings: list[PaidAttack] = []
    for case, own, attack in _attacks(family, cases, varied):
        value, problem, seconds = _earned(reward, case, attack.text)
        slowest = max(slowest, seconds)
        earned.append(value)
        problem = problem or _excess(case, own, attack, value)
        if problem:
            findings.append(_finding(case, own, attack, value, problem))
    findings += [
        _report_idle(str(case.target), "applies to this target and makes no attack on it")
        for case, _ in cases
        if family.applies(case) and not any(True for _ in family.attacks(case))
    ]
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
        "" if earned or findings else _explain_skip(family, bool(cases)),
    )


def _attacks(
    family: Family,
    cases: Sequence[tuple[AttackCase, HonestMeans]],
    varied: Sequence[tuple[AttackCase, HonestMeans]],
) -> Iterator[tuple[AttackCase, HonestMeans, Attack]]:
    """Yield the attacks on each case, then those of them that are made behind other reasonings."""
    for case, own in cases:
        for attack in family.attacks(case):
            yield case, own, attack
    for case, own in varied:
        for attack in family.attacks(case):
            if attack.limit is Limit.WRONG and case.says(attack.text):
                yield case, own, attack


def _explain_skip(family: Family, attackable: bool) -> str:
    if not attackable:
        return "there is no target on which the right answer wins"
    about = getattr(family.needs, "__doc__", None) or ""
    reason = about.strip().partition("\n")[0].partition("else: ")[2].rstrip(".")
    return reason or "it applies to none of the targets"


def _report_idle(target: str, problem: str) -> PaidAttack:
    return PaidAttack("", target, "", math.nan, math.nan, math.nan, problem)


def _earned(reward: Rewards, case: AttackCase, text: str) -> tuple[float, str, float]:
    """Return what a completion earns, what is wrong with that, and the processor time it took."""
    clock: Callable[[], float] = getattr(reward, "clock", process_time)
    start = clock()
    try:
        value = reward(text, case.target, prompt=case.prompt, knowledge=case.knowledge)
    except (RewardError, ReturnError) as error:
        return math.nan, str(error), clock() - start
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a reward raises is a finding
        return math.nan, f"raises {type(error).__name__}: {error}"[:200], clock() - start
    seconds = clock() - start
    if isinstance(value, bool | int | float) and math.isfinite(value):
        slow = f"takes {seconds:.0f} s" if seconds > SLOW else ""
        return float(value), slow, seconds
    return math.nan, f"returns {value!r}, which is no finite number"[:200], seconds


def _excess(case: AttackCase, honest: HonestMeans, attack: Attack, value: float) -> str:
    if case.reasoning != PLAIN:
        return _excess_behind(case.reasoning, honest, value)
    limit = attack.limit or Limit.RIGHT
    if honest.allowed(limit, value):
        return ""
    if limit is Limit.SAME:
        return "a right answer is missed"
    return f"earns {value:.5g}; allowed: {limit.value}, {honest.bound(limit):.5g}"


def _excess_behind(reasoning: str, honest: HonestMeans, value: float) -> str:
    """Return how much more than an honest wrong answer behind the same reasoning is earned."""
    if value <= honest.wrong + honest.slack:
        return ""
    return (
        f"earns {value:.5g} where an honest wrong answer behind the same reasoning "
        f"({reasoning}) earns {honest.wrong:.5g}"
    )


def _finding(
    case: AttackCase, honest: HonestMeans, attack: Attack, value: float, problem: str
) -> PaidAttack:
    limit = (attack.limit or Limit.RIGHT).name
    return PaidAttack(
        attack.text,
        str(case.target),
        limit,
        value,
        honest.right,
        honest.wrong,
        problem,
        case.reasoning,
    )


def _gain(finding: PaidAttack) -> float:
    """How much an attack earns beyond the best wrong answer; what is no number comes first."""
    return finding.earned - finding.wrong if math.isfinite(finding.earned) else math.inf


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0
