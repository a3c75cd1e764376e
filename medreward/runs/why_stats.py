"""What a trace adds up to: sums by step, groups and their causes, reasons with examples.

One pass, with memory for the steps, not for the lines.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations

from medreward.runs.why_shape import TextShape
from medreward.scoring.groups import SAME, STEPS_OPEN
from medreward.scoring.signatures import SignatureSet
from medreward.scoring.trace import TraceRow
from medreward.task.card import shipped
from medreward.task.task import Task

# Rows without a step are taken by blocks of so many lines, in the order of the file.
BLOCK = 256
# A spread of rewards within a group that is smaller is noise where one part alone makes it.
THIN = 0.01
# Of a completion, so many characters are looked at for repetition.
_MOST_TEXT = 20_000
_MOST_ANSWERS = 50
_MOST_UNREAD = 500
OTHERS = "(others)"
_N = 3

_LONGEST_KEPT = 400
MEASURES = {
    "reward": "the mean total",
    "correct": "share of exactly right answers",
    "unreadable": "share of completions without a readable answer",
    "length": "characters of a completion",
    "repetition": "share of word triples that stood before in the same completion",
}
CAUSES = {
    "all right": "all completions are right and earn the same",
    "all unreadable": "no answer of the group can be read",
    "all wrong, one answer": "all completions give the same wrong answer",
    "all wrong, same reward": "different wrong answers earn the same (the reward is capped)",
    "mixed": "right, wrong or unreadable answers that earn the same",
    "unknown": "the file does not say which answers are right",
}


@dataclass
class Step:
    """The sums of one step.

    Attributes:
        rows: how many completions.
        sums: the sum of each measure and part, and over how many rows it is known.
        reasons: how often each code.
        answers: how often each prediction.
        targets: how often each target.
        unread: how often each word or mark was the first that was not understood.
        groups: how many groups with several completions.
        dead: how many of these have zero variance, by cause.
        same_text: how many have one and the same completion.
        thin: how many groups differ by less than `THIN`, and by one part alone, by part.
        thin_causes: the same groups by cause, as if that part were not there.
        thin_spread: the sum of their spreads.
        shape: what completions of a wrong format look like.
    """

    rows: int = 0
    sums: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    known: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    targets: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    groups: int = 0
    dead: Counter[str] = field(default_factory=Counter)
    same_text: int = 0
    thin: Counter[str] = field(default_factory=Counter)
    thin_causes: Counter[str] = field(default_factory=Counter)
    thin_spread: float = 0.0
    shape: TextShape = field(default_factory=TextShape)

    def mean(self, name: str) -> float:
        """Return the mean of a measure, nan where no row has it."""
        return self.sums[name] / self.known[name] if self.known[name] else math.nan

    def zero_variance(self) -> float:
        """Return the share of groups with zero variance, nan where there are no groups."""
        return self.dead.total() / self.groups if self.groups else math.nan

    def thin_share(self) -> float:
        """Return the share of groups that one small part alone tells apart, nan without groups."""
        return self.thin.total() / self.groups if self.groups else math.nan


class Spread:
    """How parts vary within groups: what the advantages are made of.

    A deviation is a part less its group's mean; sums of their products give variances and
    correlations as GRPO sees them.
    """

    def __init__(self) -> None:
        self.low: dict[str, float] = {}
        self.high: dict[str, float] = {}
        self.products: dict[tuple[str, str], float] = defaultdict(float)
        self.varied: Counter[str] = Counter()
        self.groups = 0

    def add(self, group: Sequence[TraceRow]) -> None:
        """Take in the parts of a group."""
        for row in group:
            for name, value in row.parts.items():
                self.low[name] = min(value, self.low.get(name, value))
                self.high[name] = max(value, self.high.get(name, value))
        if len(group) < 2:
            return
        self.groups += 1
        names = sorted(set.intersection(*(set(row.parts) for row in group)))
        centred = {name: _centred([row.parts[name] for row in group]) for name in names}
        for name, values in centred.items():
            self.varied[name] += max(values) - min(values) >= SAME
            self.products[name, name] += sum(v * v for v in values)
        for one, other in combinations(names, 2):
            pairs = zip(centred[one], centred[other], strict=True)
            self.products[one, other] += sum(a * b for a, b in pairs)

    def constant(self) -> dict[str, float]:
        """Return the parts that never vary, with their value."""
        return {n: low for n, low in self.low.items() if self.high[n] - low < SAME}

    def correlations(self) -> dict[tuple[str, str], float]:
        """Return Pearson's correlation, within groups, of each pair of parts that vary."""
        variance = {a: value for (a, b), value in self.products.items() if a == b}
        return {
            (a, b): value / math.sqrt(variance[a] * variance[b])
            for (a, b), value in self.products.items()
            if a != b and min(variance[a], variance[b]) > SAME
        }


@dataclass(frozen=True)
class TraceExample:
    """A completion that shows a reason code."""

    step: int | None
    id: str | None
    target: str
    completion: str
    total: float | None
    task: str | None = None


def example_of(row: TraceRow) -> TraceExample:
    """Return a completion as an example: its beginning and its end, where the answer stands."""
    text = row.completion
    if len(text) > _LONGEST_KEPT:
        text = f"{text[: _LONGEST_KEPT // 2]}…{text[-_LONGEST_KEPT // 2 :]}"
    return TraceExample(row.step, row.id, str(row.target), text, row.total, row.task)


class Stats:
    """Everything `medreward.runs.why` looks at, gathered group by group."""

    def __init__(self) -> None:
        self.steps: dict[int, Step] = defaultdict(Step)
        self.spread = Spread()
        self.examples: dict[str, list[TraceExample]] = {}
        self.unread: dict[str, TraceExample] = {}  # the first completion with each word
        self.rows = 0
        self.stepless = 0
        self.goes_back = 0  # how often a step comes after later ones: another run, or a resumed one
        self._latest = 0
        self.tasks: Counter[str] = Counter()
        self.splits: Counter[str] = Counter()
        self.signatures = SignatureSet()
        self.first_steps: dict[str, int | None] = {}  # of each signature

    def add(self, group: Sequence[TraceRow]) -> None:
        """Take in a group of completions."""
        first = group[0].step
        self.stepless += len(group) if first is None else 0
        if first is not None:
            self.goes_back += first < self._latest - STEPS_OPEN
            self._latest = first
        step = self.steps[self.rows // BLOCK if first is None else first]
        for row in group:
            self._add_row(step, row)
        self.spread.add(group)
        if len(group) > 1:
            _add_group(step, group)

    def _add_row(self, step: Step, row: TraceRow) -> None:
        self.rows += 1
        step.rows += 1
        for name, number in measures(row).items():
            step.sums[name] += number
            step.known[name] += 1
        step.reasons.update(row.reasons)
        step.shape.add(row.completion, row.reasons, unreadable=bool(row.unreadable))
        step.targets[str(row.target)] += 1
        if row.prediction is not None and (
            row.prediction in step.answers or len(step.answers) < _MOST_ANSWERS
        ):
            step.answers[row.prediction] += 1
        self._add_unread(step, row)
        if row.signature:
            self.signatures.add(row.signature, _knowledge_of(row))
            self.first_steps.setdefault(row.signature.partition("|knowledge:")[0], row.step)
        named = ((self.tasks, row.task), (self.splits, row.split))
        for counter, value in named:
            if value:
                counter[value] += 1
        for code in row.reasons or ("(no reason known)",):
            self._show(code, row)

    def _add_unread(self, step: Step, row: TraceRow) -> None:
        """Count what was not understood; beyond so many different words the others are one."""
        if not row.unread:
            return
        word = row.unread.casefold()
        if word not in self.unread and len(self.unread) >= _MOST_UNREAD:
            word = OTHERS
        self.unread.setdefault(word, example_of(row))
        step.unread[word] += 1

    def _show(self, code: str, row: TraceRow) -> None:
        """Keep the first and the latest example of a code."""
        example = example_of(row)
        self.examples[code] = [*self.examples.get(code, [])[:1], example]


def _knowledge_of(row: TraceRow) -> str | None:
    """Return a row's knowledge; a trace leaves the card's own out, which a shipped card has."""
    if row.knowledge is None and row.task in shipped():
        return _card_knowledge(row.task)
    return row.knowledge


@lru_cache
def _card_knowledge(task: str) -> str:
    return Task.load(task).knowledge_text()


def measures(row: TraceRow) -> dict[str, float]:
    """Return what is measured of a completion, as far as the row says it."""
    found: dict[str, float | None] = {
        "reward": row.total,
        "correct": row.correct,
        "unreadable": row.unreadable,
        "length": len(row.completion),
        "repetition": repetition(row.completion),
    }
    found |= {f"part {name}": value for name, value in row.parts.items()}
    return {name: float(value) for name, value in found.items() if value is not None}


def repetition(text: str) -> float:
    """Return the share of a text's word triples that occurred before, in [0, 1).

    >>> repetition("the lungs are clear and the heart is of normal size")
    0.0
    >>> repetition("normal " * 12)
    0.9
    """
    words = text[:_MOST_TEXT].split()
    triples = list(zip(*(words[i:] for i in range(_N)), strict=False))
    return 1 - len(set(triples)) / len(triples) if triples else 0.0


def pool_steps(steps: Iterable[Step]) -> Step:
    """Return the sums of several steps."""
    total = Step()
    for step in steps:
        total.rows += step.rows
        total.groups += step.groups
        total.same_text += step.same_text
        total.thin_spread += step.thin_spread
        total.shape.update(step.shape)
        for name, value in step.sums.items():
            total.sums[name] += value
        for name in (
            *("known", "reasons", "answers", "targets", "dead", "unread"),
            *("thin", "thin_causes"),
        ):
            getattr(total, name).update(getattr(step, name))
    return total


def cause(group: Sequence[TraceRow]) -> str:
    """Return why the completions of a group earn the same, a key of `CAUSES`."""
    if any(row.correct is None or row.unreadable is None for row in group):
        return "unknown"
    if all(row.correct for row in group):
        return "all right"
    if all(row.unreadable for row in group):
        return "all unreadable"
    if any(row.correct or row.unreadable for row in group):
        return "mixed"
    answers = {row.prediction for row in group}
    named = None not in answers and len(answers) == 1
    return "all wrong, one answer" if named else "all wrong, same reward"


def _add_group(step: Step, group: Sequence[TraceRow]) -> None:
    step.groups += 1
    step.same_text += len({row.completion for row in group}) == 1
    totals = [row.total for row in group if row.total is not None]
    spread = max(totals) - min(totals) if totals else math.inf
    if spread < SAME:
        step.dead[cause(group)] += 1
    elif spread < THIN and (part := only_part(group)):
        step.thin[part] += 1
        step.thin_causes[cause(group)] += 1
        step.thin_spread += spread


def only_part(group: Sequence[TraceRow]) -> str:
    """Return the one part that tells the rewards of a group apart, "" if it is not one alone.

    >>> rows = [TraceRow("a", parts={"accuracy": 0.0, "recitation": r}) for r in (0.0, -1e-3)]
    >>> only_part(rows)
    'recitation'
    """
    names = set.intersection(*(set(row.parts) for row in group))
    values = {name: [row.parts[name] for row in group] for name in names}
    varied = [name for name, found in values.items() if max(found) - min(found) >= SAME]
    return varied[0] if len(varied) == 1 else ""


def _centred(values: Sequence[float]) -> list[float]:
    mean = math.fsum(values) / len(values)
    return [value - mean for value in values]


def shares(counts: Mapping[str, int], total: int) -> dict[str, float]:
    """Return counts as shares of a total, the largest first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {name: count / total for name, count in ordered} if total else {}
