"""What answers earn that never look at the image: always the same one, or one by chance.

Each is scored with every target of the audit, so that a share of what right answers earn says how
much of the reward a policy can have for nothing. With the targets of a data set (``--targets``)
that depends on how frequent each answer is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from medreward.audit.exploits import AttackCase
from medreward.task.traits import Trait

MOST_ANSWERS = 24
MOST_TARGETS = 200
HIGH = 0.8  # share of what right answers earn

Earn = Callable[[AttackCase, str], float]


@dataclass(frozen=True)
class Baseline:
    """A policy that does not look, and what it earns.

    Attributes:
        policy: what it does.
        answer: what it says; "" where that varies.
        earned: what it earns on average over the targets.
        share: that as a share of what right answers earn.

    >>> Baseline("always the same answer", "2", 1.05, 0.875).is_high
    True
    """

    policy: str
    answer: str
    earned: float
    share: float

    @property
    def is_high(self) -> bool:
        """Whether it earns most of what right answers do."""
        return self.share > HIGH


def measure_baselines(cases: Sequence[AttackCase], earn: Earn) -> tuple[Baseline, ...]:
    """Return what policies earn that say the same to every image, or one of the answers by chance.

    Args:
        cases: the targets, as many of each as there are.
        earn: what an answer earns on a case.

    Formulas: with f(a) the share of targets whose right answer is a, and r(a) the mean reward of
    saying a to all of them: the best constant earns max r(a), the majority r(argmax f), chance
    sum r(a) / n, chance by frequency sum f(a) r(a). Exact, over the `MOST_ANSWERS` most frequent
    answers.

    >>> from medreward import Task, shaped_reward
    >>> from medreward.audit.exploits import cases_of
    >>> def earn(case, answer):
    ...     return shaped_reward(case.say(answer), case.target, task=case.task, decay="quadratic")
    >>> best = measure_baselines(cases_of(Task.load("icdr")), earn)[0]
    >>> best.policy, best.answer, round(best.earned, 3)
    ('always the same answer, the best one', '2', 1.075)
    """

    def mean_of(answer: str) -> float:
        return fmean(earn(case, answer) for case in cases)

    right = fmean(earn(case, case.right) for case in cases)
    counts = Counter(case.right for case in cases)
    answers = dict(counts.most_common(MOST_ANSWERS))
    if len(answers) < 2 or right <= 0:
        return ()
    earned = {answer: mean_of(answer) for answer in answers}

    def made(policy: str, answer: str, value: float) -> Baseline:
        return Baseline(policy, answer, value, value / right)

    best = max(earned, key=lambda answer: earned[answer])
    found = [made("always the same answer, the best one", best, earned[best])]
    majority, count = counts.most_common(1)[0]
    if count > min(counts.values()):
        policy = f"always the most frequent answer, {count} of {len(cases)}"
        found.append(made(policy, majority, earned[majority]))
        total = sum(answers.values())
        by_frequency = sum(earned[a] * n for a, n in answers.items()) / total
        found.append(made("an answer by chance, as frequent as in the targets", "", by_frequency))
    found.append(made("an answer by chance, each alike", "", fmean(earned.values())))
    lists = {answer: mean_of(answer) for answer in _lists(cases)}
    if lists:
        longest = max(lists, key=lambda answer: lists[answer])
        found.append(made("always the same labels, the best list of them", longest, lists[longest]))
    return tuple(found)


def advise(baseline: Baseline, traits: frozenset[Trait]) -> str:
    """Return what to change where a baseline earns most of what right answers do."""
    if Trait.ORDERED in traits:
        mend = "a steeper decay (geometric, reported), or rows with each grade as often"
    elif Trait.NAMES_LABELS in traits and Trait.ONE_ANSWER not in traits:
        mend = "a lower beta, set_quality: jaccard, or rows with each label as often"
    else:
        mend = "rows with each answer as often"
    said = f" ({baseline.answer[:60]!r})" if baseline.answer else ""
    return (
        f"{baseline.policy}{said} earns {baseline.share:.0%} of what right answers do: a policy "
        f"gains little by looking at the image; take {mend}"
    )


def _lists(cases: Sequence[AttackCase]) -> Iterator[str]:
    """Yield the most frequent labels of a task with several to an answer, from two to all."""
    task = cases[0].task
    if Trait.NAMES_LABELS not in task.traits or Trait.ONE_ANSWER in task.traits:
        return
    counts = Counter({label.name: 0 for label in task.labels})
    counts.update(name for case in cases for name in case.names if name in counts)
    names = [name for name, _ in counts.most_common()]
    for count in range(2, len(names) + 1):
        yield ", ".join(names[:count])
