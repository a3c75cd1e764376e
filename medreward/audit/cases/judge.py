"""What a reward makes of a case, against what the case expects.

medreward's own reward says what it read, so its predictions and reasons can be judged. Of a user's
reward only numbers are known. It is held against the honest answers to the same target, which the
task itself gives: ``correct: true`` asks for more than the honest wrong answer earns, ``correct:
false`` for less than the honest right one, and a prediction for both, over all of the task's
targets. What cannot be judged (reasons, parts that the reward does not return, cases about
medreward's settings, and numbers under another reward than the one that the file is about) is left
out and counted.
"""

from __future__ import annotations

import operator
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from medreward.audit.cases.case import HONEST, Case, CaseFile
from medreward.audit.exploits.case import cases_of
from medreward.audit.reward_process import TIME_LIMIT, RewardError, load_isolated
from medreward.audit.user_rewards import OWN, Earned, Reward, is_same_reward, raised_in
from medreward.errors import ConfigError, quote
from medreward.kinds.truth import target_of
from medreward.scoring.scorer import Score
from medreward.task.task import Task
from medreward.task.traits import Trait

_BOUNDS = {
    "at_least": operator.ge,
    "at_most": operator.le,
    "above": operator.gt,
    "below": operator.lt,
}
_ORDERS: dict[str, tuple[str, Callable[[float, float, float], bool]]] = {
    "better_than": ("more than", lambda a, b, slack: a > b + slack),
    "worse_than": ("less than", lambda a, b, slack: a < b - slack),
    "equal_to": ("as much as", lambda a, b, slack: abs(a - b) <= slack),
    "no_better_than": ("no more than", lambda a, b, slack: a <= b + slack),
    "no_worse_than": ("no less than", lambda a, b, slack: a >= b - slack),
}
_ABOUT_OWN = ("total", "parts", *_BOUNDS)  # on the scale of the file's own reward
PASSED, FAILED, ERROR, GAP, SKIPPED = "passed", "failed", "error", "gap", "skipped"
STATUSES = (PASSED, FAILED, ERROR, GAP, SKIPPED)


class Mismatch(NamedTuple):
    """An expectation that is not met: what was expected and what is."""

    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.expected}; it is {self.found}"


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
        case: the case.
        status: "passed"; "failed"; "error" (the user's reward raised); "gap" (a known gap that is
            still there); or "skipped" (nothing that is expected can be judged for this reward).
        earned: what the reward gave, None where it raised or was not called.
        findings: what is expected and not so.
        unjudged: the expectations that cannot be judged for this reward.
        error: what the user's reward did instead of giving a number, with its traceback.
    """

    case: Case
    status: str
    earned: Earned | None = None
    findings: tuple[Mismatch, ...] = ()
    unjudged: tuple[str, ...] = ()
    error: str = ""

    @property
    def passed(self) -> bool:
        """Whether this is as it should be."""
        return self.status in (PASSED, GAP, SKIPPED)

    @property
    def score(self) -> Score | None:
        """The score, where the reward is medreward's own."""
        return None if self.earned is None else self.earned.score


class Judge:
    """Judges the cases of one file under medreward's reward, or another one.

    Args:
        file: the cases.
        reward: what `load_reward` takes; None for medreward's own.
        signature: the signature to call it with; None for the file's own, or to detect it.
        time_limit: seconds that a user's reward may take for one completion.
        numbers: judge totals and parts though the file is about another reward.

    Raises:
        ConfigError: if the file is about another reward than medreward's, which nobody named; from
            `judge`, if the reward cannot be loaded.

    >>> from medreward.audit.cases import parse_cases
    >>> text = "{task: yes_no, cases: [{answer: 'yes', target: 'no', expect: {correct: true}}]}"
    >>> file = parse_cases(text)
    >>> Judge(file).judge(file.cases[0]).status
    'failed'
    """

    def __init__(
        self,
        file: CaseFile,
        reward: str | None = None,
        signature: str | None = None,
        time_limit: float = TIME_LIMIT,
        *,
        numbers: bool = False,
    ) -> None:
        self.time_limit = time_limit
        self.file = file
        if reward is None and file.reward != OWN:
            raise ConfigError(
                f"{file.path}: it is about the reward {quote(file.reward)}, and a case file runs "
                f"nothing by itself; if you trust that code, name it: medreward check --reward "
                f"PATH, or medreward_reward in pytest's configuration"
            )
        self.path = reward or OWN
        self.own = is_same_reward(self.path, file.reward)
        self.numbers = numbers or self.own
        self.signature = signature or (file.signature if self.own else None)
        self._cases = {case.id: case for case in file.cases}
        self._rewards: dict[tuple[int, str], Reward] = {}
        self._earned: dict[tuple[str, str, str], Earned] = {}
        self._answers: dict[tuple[int, str], tuple[str, str]] = {}

    def judge(self, case: Case) -> Outcome:
        """Return what becomes of a case; what a user's reward raises is kept in the outcome."""
        if case.settings and self.path != OWN:
            return Outcome(case, SKIPPED, unjudged=("settings",))
        try:
            earned = self._earns(case)
            found = {name: self._check(name, case, earned) for name in case.expect}
        except ConfigError:
            raise
        except RewardError as error:
            return Outcome(case, ERROR, error=_describe_error(error))
        except Exception:
            if self.path == OWN:  # it never raises: this would be a fault of medreward's
                raise
            return Outcome(case, ERROR, error=traceback.format_exc())
        findings = tuple(f for found_here in found.values() for f in found_here or ())
        unjudged = tuple(name for name, found_here in found.items() if found_here is None)
        status = FAILED if findings else SKIPPED if len(unjudged) == len(found) else PASSED
        if case.gap and self.own:
            status, findings = _with_gap(case, status, findings)
        return Outcome(case, status, earned, findings, unjudged)

    def _check(self, name: str, case: Case, earned: Earned) -> tuple[Mismatch, ...] | None:
        """Return what is not as expected, or None where that cannot be judged."""
        value = case.expect[name]
        found: Iterable[Mismatch] | None
        if name in _ABOUT_OWN and not self.numbers:
            found = None
        elif name in _ORDERS:
            found = self._ordered(name, case, earned.total, value)
        elif name == "parts":
            found = _parts(earned, value, case.tolerance)
        elif name == "reasons":
            found = None if earned.score is None else _reasons(earned.score, value)
        elif name == "correct":
            found = self._correct(case, earned, value)
        elif name == "prediction":
            found = self._predicted(case, earned, value)
        else:
            found = _number(name, earned.total, value, case.tolerance)
        return None if found is None else tuple(found)

    def _ordered(
        self, name: str, case: Case, total: float, others: tuple[str, ...]
    ) -> Iterator[Mismatch]:
        words, holds = _ORDERS[name]
        for other in others:
            honest = other in HONEST
            than = self._honest(case, other) if honest else self._earns(self._cases[other]).total
            if not holds(total, than, case.tolerance):
                named = self._named(case, other) if honest else f"case {other!r}"
                yield Mismatch(f"{words} {named} ({than:g})", f"{total:g}")

    def _correct(self, case: Case, earned: Earned, value: bool) -> Iterator[Mismatch]:
        if earned.score is not None:
            if earned.score.correct is not value:
                yield Mismatch(f"correct: {str(value).lower()}", str(earned.score.correct).lower())
        elif value:
            yield from self._ordered("better_than", case, earned.total, ("wrong",))
        else:
            yield from self._ordered("worse_than", case, earned.total, ("right",))

    def _predicted(
        self, case: Case, earned: Earned, value: str | None
    ) -> tuple[Mismatch, ...] | None:
        if earned.score is not None:
            seen = earned.score.prediction
            return () if seen == value else (Mismatch(f"read as {_name(value)}", _name(seen)),)
        if Trait.ONE_ANSWER not in case.task.traits:
            return None
        found = []
        for target in _targets(case.task):
            asked = replace(case, target=target)
            right = value == target
            for finding in self._correct(asked, self._earns(asked), right):
                about = f"with target {target!r}: {finding.expected}"
                found.append(Mismatch(about, finding.found))
        return tuple(found)

    def _named(self, case: Case, which: str) -> str:
        return f"the honest {which} answer, {quote(self._honest_answer(case, which))}"

    def _honest(self, case: Case, which: str) -> float:
        return self._earns(case, case.say(self._honest_answer(case, which))).total

    def _honest_answer(self, case: Case, which: str) -> str:
        """Return the right answer to a case's target, or one that is as wrong as can be."""
        key = (id(case.task), repr(case.target))
        if key not in self._answers:
            self._answers[key] = honest_answers(case.task, case.target)
        right, wrong = self._answers[key]
        return right if which == "right" else wrong

    def _earns(self, case: Case, completion: str | None = None) -> Earned:
        text = case.text if completion is None else completion
        key = (case.id, repr(case.target), text)
        if key not in self._earned:
            reward = self._reward(case)
            with raised_in(f"{case.place}, case {case.id!r}"):
                self._earned[key] = reward.earned(
                    case.completion if completion is None else completion,
                    target_of(case.task, case.target) if self.path == OWN else case.target,
                    prompt=case.prompt,
                    knowledge=case.knowledge,
                    columns=case.columns,
                )
        return self._earned[key]

    def _reward(self, case: Case) -> Reward:
        key = (id(case.task), repr(case.settings))
        if key not in self._rewards:
            self._rewards[key] = load_isolated(
                self.path,
                case.task,
                signature=self.signature,
                settings=case.settings,
                time_limit=self.time_limit,
            )
        return self._rewards[key]


def _describe_error(error: RewardError) -> str:
    """Return what a user's reward did, in which case, and its traceback if there is one."""
    notes = getattr(error, "__notes__", [])
    return "\n".join([f"the reward {error}", *notes, *error.trace.splitlines()])


def honest_answers(task: Task, target: object) -> tuple[str, str]:
    """Return the right answer to a target and one that is as wrong as can be.

    >>> honest_answers(Task.load("retinamnist"), 1)
    ('1', '4')
    """
    honest = cases_of(task, [target_of(task, target)])[0]
    if Trait.ORDERED in task.traits:
        return honest.right, max(
            honest.wrong, key=lambda grade: abs(int(grade) - int(honest.right))
        )
    return honest.right, honest.wrong[0]


def _targets(task: Task) -> list[str]:
    """Return every target of a task with labels or grades, as rows hold them."""
    return [task.answer_name(i) for i in range(len(task.labels))]


def _number(name: str, total: float, value: float, slack: float) -> Iterator[Mismatch]:
    if name == "total":
        if abs(total - value) > slack:
            yield Mismatch(f"a total of {value:g} (± {slack:g})", f"{total:g}")
    elif not _BOUNDS[name](total, value):
        yield Mismatch(f"a total {name.replace('_', ' ')} {value:g}", f"{total:g}")


def _parts(earned: Earned, parts: Mapping[str, float], slack: float) -> tuple[Mismatch, ...] | None:
    known = [name for name in parts if name in earned.parts]
    if not known and earned.score is None:
        return None
    found = []
    for name, value in parts.items():
        seen = earned.parts.get(name)
        if seen is None or abs(seen - value) > slack:
            found.append(Mismatch(f"{name} {value:g} (± {slack:g})", _shown(seen, earned)))
    return tuple(found)


def _shown(seen: float | None, earned: Earned) -> str:
    return f"no part; the parts are {', '.join(earned.parts)}" if seen is None else f"{seen:g}"


def _reasons(score: Score, codes: tuple[str, ...]) -> Iterator[Mismatch]:
    missing = [code for code in codes if code not in score.reasons]
    if missing:
        yield Mismatch(f"reason {', '.join(missing)}", ", ".join(score.reasons))


def _with_gap(
    case: Case, status: str, findings: tuple[Mismatch, ...]
) -> tuple[str, tuple[Mismatch, ...]]:
    """Return what becomes of a case with a known gap: one that is closed fails, to be unmarked."""
    if status == PASSED:
        return FAILED, (Mismatch(f"a known gap ({case.gap})", "closed: take the mark away"),)
    return (GAP, findings) if status == FAILED else (status, findings)


def _name(prediction: str | None) -> str:
    return "nothing" if prediction is None else repr(prediction)
