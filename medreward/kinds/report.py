"""Structured reports: each finding present, absent or uncertain, scored as signed findings.

With P the findings of an answer and T those of the target, each a label with its state, and the
weight w of one its label's cost, times ``absent_weight`` where it is absent::

    TP = w(P & T),  FP = w(P - T),  FN = w(T - P)
    F_beta = (1 + beta^2) * TP / ((1 + beta^2) * TP + beta^2 * FN + FP)

in [0, 1]. A finding that is present in one and absent in the other counts as missed and as false.
"Absent" of a finding on which the target says nothing counts as neither. Most findings of most
images are absent: at full weight, "everything is absent" would earn nearly all; so they count a
tenth unless the card says otherwise, and the audit's baselines say what that answer earns.

The vector with +1, -1 and 0 for uncertain is what report metrics take from a labeller of reports
such as CheXbert (Smit et al., EMNLP 2020); here the answer's own words are read by rules, without a
model. An answer is a line a finding, or a sentence that the reader understands; it is no reader of
free text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from numbers import Real
from typing import Any, NamedTuple

from medreward.errors import ConfigError, expected, quote
from medreward.kinds.base import Kind, TargetType
from medreward.kinds.honest import Honest
from medreward.kinds.json_text import json_target
from medreward.kinds.reading import unreadable
from medreward.kinds.verdict import BEST_WRONG, Verdict
from medreward.language.claims import Claim, Rules, Stance
from medreward.language.vocabulary import Vocabulary
from medreward.language.word_checks import labels_of_normal
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.task.traits import Trait

MAX_ANSWER_LENGTH = 4000
PRESENT, ABSENT, UNCERTAIN = "present", "absent", "uncertain"
_STATES = {Stance.ASSERTED: PRESENT, Stance.DENIED: ABSENT, Stance.OPEN: UNCERTAIN}
# CheXpert's way to write them (Irvin et al., AAAI 2019).
_NUMBERS = {1.0: PRESENT, 0.0: ABSENT, -1.0: UNCERTAIN}

Findings = Set[tuple[int, str]]


class ReportReading(NamedTuple):
    """The findings of an answer, or None and the reason code."""

    findings: frozenset[tuple[int, str]] | None
    reason: str = ""
    unread: str = ""


def report_reward(
    answer: str | None, target: Findings, task: Task, settings: RewardSettings
) -> Verdict:
    r"""Return F_beta in [0, 1] of the signed findings of `answer`; 0 if it cannot be read.

    >>> card = Task("chest", kind="report", labels=["effusion", "edema", "mass"])
    >>> target = card.parse_target({"effusion": "present", "edema": "absent"})
    >>> for text in ("effusion: present\nedema: absent", "Effusion. No edema.", "no effusion"):
    ...     print(round(report_reward(text, target, card, RewardSettings()).value, 3))
    1.0
    1.0
    0.0
    """
    found, reason, unread = read_report(answer, task)
    if found is None:
        return Verdict(0.0, reason, unread=unread)
    shown = "; ".join(f"{task.labels[i].name}: {state}" for i, state in sorted(found))
    about = {label for label, _ in target}
    said = {(label, state) for label, state in found if label in about or state != ABSENT}
    if said == target:
        return Verdict(1.0, "correct", shown)
    if len({label for label, state in found if state == PRESENT}) == len(task.labels):
        return Verdict(0.0, "all_labels", shown)

    def weight(findings: Findings) -> float:
        return sum(_weight(task, settings, *finding) for finding in findings)

    square = settings.beta**2
    hit = (1 + square) * weight(said & target)
    value = hit / (hit + square * weight(target - said) + weight(said - target)) if hit else 0.0
    return Verdict(min(value, BEST_WRONG), "labels_partial" if value else "wrong_label", shown)


def _weight(task: Task, settings: RewardSettings, label: int, state: str) -> float:
    return task.labels[label].cost * (settings.absent_weight if state == ABSENT else 1.0)


def read_report(answer: str | None, task: Task) -> ReportReading:
    """Return the findings of an answer with their states.

    Where "no finding" is all that it says, every label is absent. A finding that is given two
    states, and "no finding" beside one that is present, make the answer unread.

    >>> task = Task("chest", kind="report", labels=["effusion", "edema"])
    >>> sorted(read_report("Possible effusion, no edema", task).findings)
    [(0, 'uncertain'), (1, 'absent')]
    """
    reason = unreadable(answer, MAX_ANSWER_LENGTH)
    if reason:
        return ReportReading(None, reason)
    said = task.reader.read(str(answer))
    if said.unread or not said.claims:
        known = said.names_label and bool(said.unread)
        return ReportReading(
            None, "answer_not_understood" if known else "label_unknown", said.unread
        )
    if said.elsewhere:  # "resolved" and "artifact" are no uncertainty
        return ReportReading(None, "answer_not_understood", said.elsewhere)
    return _states_of(said.claims, len(task.labels))


def _states_of(claims: Sequence[Claim], count: int) -> ReportReading:
    """Return the state that claims give each label; the label behind the last stands for none."""
    if any(one.stance is Stance.UNDECIDED for one in claims):
        return ReportReading(None, "label_open")
    # What is denied in part ("no left effusion") has no state.
    found = {(one.label, _STATES[one.stance]) for one in claims if one.stance in _STATES}
    if len({label for label, _ in found}) < len(found):
        return ReportReading(None, "finding_contradicted")
    nothing = {state for label, state in found if label == count}
    own = frozenset((label, state) for label, state in found if label != count)
    if not nothing:
        return ReportReading(own)
    if nothing != {PRESENT} or any(state != ABSENT for _, state in own):
        return ReportReading(None, "finding_and_none")
    return ReportReading(frozenset((label, ABSENT) for label in range(count)))


class StructuredReport(Kind):
    """A structured report: findings that are present, absent or uncertain."""

    name = "report"
    traits = frozenset((Trait.PARTIAL_CREDIT, Trait.SIGNED))
    target_type = TargetType.FINDINGS
    settings = ("beta", "absent_weight")

    def forms(self, task: Task) -> list[tuple[str, ...]]:
        """Return the forms of each label, and the phrases that say that none applies."""
        return [*super().forms(task), tuple(task.no_finding)]

    def reading_rules(self, task: Task, words: Vocabulary) -> Rules:
        """Let the index behind the last label stand for "no finding"."""
        nothing = frozenset({len(task.labels)})
        return Rules(
            nothing,
            normal=labels_of_normal(task.forms, nothing, words),
            nothing=nothing,
        )

    def parse(self, task: Task, target: object) -> frozenset[tuple[int, str]]:
        """Return the findings of a target, each with its state.

        `target` is a mapping of labels to "present", "absent" or "uncertain", or to 1, 0 or -1 as
        in CheXpert; labels that are not in it, or are None, are not scored.

        Raises:
            ConfigError: if it is none, has no finding, or a label or state is not known.
        """
        if isinstance(target, frozenset):
            return target
        where = f"task {quote(task.name)}: target"
        if not isinstance(target, Mapping):
            raise ConfigError(
                f'{where}: {quote(target)} is not a mapping such as {{"{task.labels[0].name}": '
                f'"present"}}'
            )
        given = {name: state for name, state in target.items() if state is not None}
        found = {task.target_index(name): _state(where, name, s) for name, s in given.items()}
        if not found:
            raise ConfigError(f"{where}: it says nothing of any finding")
        if len(found) < len(given):
            raise ConfigError(f"{where}: {quote([*given])} names a label twice")
        return frozenset(found.items())

    def asserted_labels(self, target: Findings) -> frozenset[int]:
        """Return the labels that are present."""
        return frozenset(label for label, state in target if state == PRESENT)

    def to_text(self, task: Task, target: Findings) -> str:
        """Return the findings as JSON."""
        states = {task.labels[i].name: state for i, state in sorted(target)}
        return json.dumps(states, ensure_ascii=False)

    def from_text(self, task: Task, text: str) -> object:
        """Return the target that JSON stands for."""
        return json_target(task, text, '{"finding": "present", …}')

    def reward(
        self, answer: str | None, target: Findings, task: Task, settings: RewardSettings
    ) -> Verdict:
        """Return F_beta of the signed findings of an answer."""
        return report_reward(answer, target, task, settings)

    def best_wrong(self, task: Task, settings: RewardSettings) -> float:
        """Return a bound: all findings right but the one that counts least."""
        weights = sorted(label.cost for label in task.labels)
        least = weights[0] * settings.absent_weight
        square = settings.beta**2
        hit = (1 + square) * sum(weights[1:])
        return min(BEST_WRONG, hit / (hit + min(1.0, square) * least) if hit else 0.0)

    def right(self, task: Task, target: Findings, settings: RewardSettings) -> str:
        """Return a line a finding."""
        return "\n".join(f"{task.labels[i].shown}: {state}" for i, state in sorted(target))

    def honest(self, task: Task, targets: Sequence[object] | None) -> Iterator[Honest]:
        """Yield samples with findings in all three states, or each of `targets`."""
        names = [label.name for label in task.labels]
        for target in _samples(names) if targets is None else targets:
            parsed = self.parse(task, target)
            # Uncertain ones first: a question mark behind one at the end says nothing more.
            ordered = sorted(parsed, key=lambda one: (one[1] != UNCERTAIN, one[0]))
            states = {names[i]: state for i, state in ordered}
            own = [name for name, state in states.items() if state == PRESENT]
            others = [name for name in names if states.get(name, ABSENT) == ABSENT]
            near = [
                self._written({**states, name: PRESENT if state == ABSENT else ABSENT})
                for name, state in states.items()
                if len(states) > 1 and state != UNCERTAIN  # "absent?" is that too
            ]
            wrong = [f"{name}: {PRESENT}" for name in others[:2]]
            wrong += [self._written(dict.fromkeys(own, ABSENT))] if own else []
            yield Honest(
                states,
                right=self._written(states),
                wrong=tuple(wrong or [f"{names[0]}: {ABSENT}"]),
                near=(*near, *wrong),
                names=tuple(own),
                others=tuple(others),
            )

    def _written(self, states: Mapping[str, str]) -> str:
        return "\n".join(f"{name}: {state}" for name, state in states.items())


def _samples(names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield targets of one finding, of several with all states, and of none."""
    yield from ({name: PRESENT} for name in names[:3])
    if len(names) > 2:
        yield {names[0]: PRESENT, names[1]: ABSENT, names[2]: UNCERTAIN}
    yield dict.fromkeys(names, ABSENT)


def _state(where: str, name: object, value: object) -> str:
    if isinstance(value, Real) and not isinstance(value, bool) and float(value) in _NUMBERS:
        return _NUMBERS[float(value)]
    text = value.strip().lower() if isinstance(value, str) else value
    if text not in _STATES.values():
        raise expected(f"{where}: state of {quote(name)}", value, [*_STATES.values(), "1, 0, -1"])
    return str(text)
