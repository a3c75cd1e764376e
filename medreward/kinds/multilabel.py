"""Multi-label accuracy: F-beta between the set of labels that an answer asserts and the truth.

With costs c of the labels (1 unless the card says otherwise), predicted set P and true set T::

    TP = sum of c over P & T,  FP = sum of c over P - T,  FN = sum of c over T - P
    F_beta = (1 + beta^2) * TP / ((1 + beta^2) * TP + beta^2 * FN + FP)

    jaccard = (1 + beta^2) * TP / ((1 + beta^2) * TP + 2 * (beta^2 * FN + FP))

in [0, 1]; beta > 1 makes a missed finding cost more than a false one (van Rijsbergen, Information
Retrieval, 1979, chapter 7). F-beta is largest, on average, for the set of all labels that are more
likely than half of the best F-beta (Lipton et al., ECML PKDD 2014), so that two labels of which one
is true earn 2/3, and either of them 1/2. With beta = 1 the other one is intersection over union, by
which both earn 1/2 (`set_quality` in the settings). Two conventions that both leave open: where
nothing is to be found, the answer that says so earns 1 and any finding 0; and naming every label of
the task earns 0 unless all of them are true, so that it is no way to collect recall.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence, Set
from numbers import Real
from typing import NamedTuple

from medreward.errors import ConfigError, quote
from medreward.kinds.base import Kind, TargetType
from medreward.kinds.honest import Honest
from medreward.kinds.json_text import json_target
from medreward.kinds.reading import unreadable
from medreward.kinds.verdict import Verdict
from medreward.language.claims import stances_of
from medreward.language.understanding import Understanding
from medreward.language.vocabulary import FRAMES
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.task.traits import Trait

NO_FINDING = "no finding"
_EMPTY_LIST = re.compile(
    r"\s*(?:```(?:json)?)?\s*(?:\{\s*[\"'](?P<key>\w+)[\"']\s*:)?\s*\[\s*\]\s*\}?\s*(?:```)?\s*"
)


class SetReading(NamedTuple):
    """The indices of the labels that an answer asserts, or None and the reason code."""

    labels: frozenset[int] | None
    reason: str = ""
    unread: str = ""


def label_set_reward(
    answer: str | None, target: Set[int], task: Task, settings: RewardSettings
) -> Verdict:
    """Return F_beta in [0, 1] of the labels that `answer` asserts; 0 if it cannot be read.

    `target` holds the indices of the true labels; it is empty where nothing is to be found.

    >>> task = Task("chest", kind="multilabel", labels=["effusion", "mass", "edema"])
    >>> label_set_reward("Effusion, no mass.", {0, 1}, task, RewardSettings()).value.__round__(3)
    0.667
    >>> label_set_reward("no findings", set(), task, RewardSettings()).value
    1.0
    """
    labels, reason, unread = read_label_set(answer, task)
    if labels is None:
        return Verdict(0.0, reason, unread=unread)
    named = ", ".join(task.labels[i].name for i in sorted(labels)) or NO_FINDING
    if labels == target:
        return Verdict(1.0, "correct", named)
    if len(labels) == len(task.labels):
        return Verdict(0.0, "all_labels", named)
    costs = [label.cost for label in task.labels]
    value = f_beta(labels, target, costs, settings.beta, error_factor(settings))
    return Verdict(value, "labels_partial" if value else "wrong_label", named)


def read_label_set(answer: str | None, task: Task) -> SetReading:
    """Return the set of labels that `answer` asserts; labels that it denies may stand beside them.

    An answer is not read when it leaves a label open, asserts and denies the same one, names a
    finding beside "no finding", or names nothing but denied labels: "no pneumonia" does not say
    that there is no other finding.

    >>> task = Task("chest", kind="multilabel", labels=["effusion", "mass", "edema"])
    >>> sorted(read_label_set("edema; effusion", task).labels)
    [0, 2]
    >>> read_label_set("effusion or mass", task).reason, read_label_set("[]", task).labels
    ('label_open', frozenset())
    """
    reason = unreadable(answer)
    if reason:
        return SetReading(None, reason)

    def read(answer: str) -> SetReading:
        empty = _EMPTY_LIST.fullmatch(answer)
        key = empty["key"] if empty else ""
        if empty and (not key or task.reader.words.class_of(key) in FRAMES):
            return SetReading(frozenset())
        return read_said_set(task.reader.read(answer), len(task.labels))

    return task.reader.recall("set", answer or "", read)


def read_said_set(said: Understanding, count: int) -> SetReading:
    """Return the set that an answer's claims about `count` labels, and none, amount to."""
    if said.unread:
        reason = "answer_not_understood" if said.names_label else "label_unknown"
        return SetReading(None, reason, said.unread)
    asserted, denied, doubted, left_open = stances_of(said.claims)
    if not left_open and denied == frozenset(range(count)):
        return SetReading(frozenset())  # each label is denied, "no finding" is not
    if not said.names_label:
        return SetReading(None, "label_unknown")
    if left_open or not asserted or asserted & (denied | doubted):
        return SetReading(None, "label_open" if left_open else "label_denied")
    if count in asserted and len(asserted) > 1:
        return SetReading(None, "finding_and_none")
    return SetReading(asserted - {count})


def error_factor(settings: RewardSettings) -> float:
    """Return by how much errors weigh more than in F_beta."""
    return 2.0 if settings.set_quality == "jaccard" else 1.0


def f_beta(
    predicted: Set[int], true: Set[int], costs: list[float], beta: float, factor: float = 1.0
) -> float:
    """Return F_beta of two different or equal sets of labels, 1 for two empty ones.

    Errors count `factor` times; twice is, with a beta of 1, intersection over union.

    >>> f_beta({0, 1}, {0}, [1.0, 1.0], beta=1.0).__round__(4), f_beta(set(), set(), [1.0], 1.0)
    (0.6667, 1.0)
    >>> f_beta({0, 1}, {0}, [1.0, 1.0], beta=1.0, factor=2.0)
    0.5
    """
    if predicted == true:
        return 1.0
    hit, false, missed = (
        sum(costs[i] for i in labels)
        for labels in (predicted & true, predicted - true, true - predicted)
    )
    weighted = (1 + beta**2) * hit
    return weighted / (weighted + factor * (beta**2 * missed + false))


def best_partial_score(task: Task, beta: float, factor: float = 1.0) -> float:
    """Return an upper bound of what a wrong set can earn: all labels right but the cheapest."""
    costs = sorted(label.cost for label in task.labels)
    weighted = (1 + beta**2) * sum(costs[1:])
    return weighted / (weighted + factor * min(1.0, beta**2) * costs[0])


def parse_label_set(task: Task, target: object) -> frozenset[int]:
    """Return the indices of the labels in a multi-label target.

    `target` is a collection of names or indices, empty where nothing is to be found; one of them; a
    phrase for "no finding"; or an array of as many 0s and 1s as there are labels (MedMNIST's form).

    Raises:
        ConfigError: if one of them is not a label of the task.

    >>> task = Task("chest", kind="multilabel", labels=["effusion", "mass", "edema"])
    >>> sorted(parse_label_set(task, ["mass", 0])), sorted(parse_label_set(task, "no finding"))
    ([0, 1], [])
    """
    if isinstance(target, Real):
        return frozenset({task.target_index(target)})
    if isinstance(target, str):
        if task.lexicon.label(target) == len(task.labels):
            return frozenset()
        return frozenset({task.target_index(target)})
    if hasattr(target, "tolist"):
        return _flagged(task, target.tolist())
    if not isinstance(target, Sequence | Set):
        raise ConfigError(
            f"task {quote(task.name)}: target {quote(target)} is not a list of labels"
        )
    return frozenset(map(task.target_index, target))


def _flagged(task: Task, flags: object) -> frozenset[int]:
    if not isinstance(flags, list) or len(flags) != len(task.labels) or not {0, 1} >= {*flags}:
        raise ConfigError(
            f"task {quote(task.name)}: target {quote(flags)} is not an array of {len(task.labels)} "
            f"zeros and ones; give labels as a list"
        )
    return frozenset(i for i, flag in enumerate(flags) if flag)


class Multilabel(Kind):
    """Any number of the labels."""

    name = "multilabel"
    traits = frozenset((Trait.NAMES_LABELS, Trait.MAY_BE_EMPTY, Trait.PARTIAL_CREDIT))
    target_type = TargetType.LABELS
    settings = ("beta", "set_quality")

    def forms(self, task: Task) -> list[tuple[str, ...]]:
        """Return the forms of each label, and the phrases that say that none applies."""
        return [*super().forms(task), tuple(task.no_finding)]

    def parse(self, task: Task, target: object) -> frozenset[int]:
        """Return the indices of the true labels."""
        return parse_label_set(task, target)

    def asserted_labels(self, target: frozenset[int]) -> frozenset[int]:
        """Return all labels of the set."""
        return target

    def to_text(self, task: Task, target: Set[int]) -> str:
        """Return the labels' names as a JSON list."""
        return json.dumps([task.labels[i].name for i in sorted(target)])

    def from_text(self, task: Task, text: str) -> object:
        """Return a list of names; a text that is no JSON list stands for itself."""
        if not text.startswith("["):
            return text
        return json_target(task, text, 'labels ["name", …]')

    def reward(
        self, answer: str | None, target: Set[int], task: Task, settings: RewardSettings
    ) -> Verdict:
        """Return F_beta of the labels that an answer asserts."""
        return label_set_reward(answer, target, task, settings)

    def best_wrong(self, task: Task, settings: RewardSettings) -> float:
        """Return what all labels but the cheapest earn."""
        return best_partial_score(task, settings.beta, error_factor(settings))

    def right(self, task: Task, target: Set[int], settings: RewardSettings) -> str:
        """Return the labels' names, or the first phrase for "no finding"."""
        return ", ".join(task.labels[i].shown for i in sorted(target)) or task.no_finding[0]

    def honest(self, task: Task, targets: Sequence[object] | None) -> Iterator[Honest]:
        """Yield the first labels one by one, a pair, a triple and none, or each of `targets`."""
        names = [label.shown for label in task.labels]
        count = len(names)
        if targets is None:
            sets = [{i} for i in range(min(4, count))]
            sets += [{0, 1}, {0, 1, 2}, set()] if count > 3 else [set()]
        else:
            sets = [{*parse_label_set(task, target)} for target in targets]
        for true in sets:
            inside = [names[i] for i in sorted(true)]
            outside = [names[i] for i in range(count) if i not in true]
            nothing = task.no_finding[0]
            near = [", ".join([*inside, outside[0]])] if inside and outside else []
            near += [", ".join(inside[:-1])] if len(inside) > 1 else []
            wrong = (*outside[:3], nothing) if inside else (*outside[:3],)
            own = tuple(inside) or (nothing,)
            yield Honest(
                [task.labels[i].name for i in sorted(true)],
                ", ".join(own),
                wrong,
                (*near, *wrong),
                own,
                tuple(outside),
                empty=not inside,
            )
