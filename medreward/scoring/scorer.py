"""The shaped reward of VRFT-Aug: the one place where the parts, weights and gates meet.

::

    R = w_accuracy * R_accuracy + w_format * R_format + w_recitation * δ * R_recite

R_accuracy is the reward of the task's kind (`medreward.kinds.base.Kind`); the paper calls the
weights λ, α, γ, δ. `Score.parts` holds the terms after gates and sign, so that the total is always
the weighted sum of the parts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import medreward.kinds.table  # noqa: F401 - registers the kinds
from medreward.errors import ConfigError
from medreward.kinds.base import kind_of
from medreward.kinds.verdict import Verdict
from medreward.scoring.parts.recitation import reference
from medreward.task.settings import RewardSettings, Weights
from medreward.task.task import Task
from medreward.task.traits import Trait
from medreward.text.completion import Completion, CompletionLike
from medreward.version import __version__

# The settings that shape the scores of every kind.
COMMON = ("weights", "delta", "gates")
PARTS = ("accuracy", "format", "recitation")
# The least share of the weights' sum by which a right answer must win: float32, in which trainers
# add up rewards, still tells such totals apart.
_MARGIN = 1e-6
# Smoothed BLEU is hardly ever 0; less than this is not worth a reason code.
_NOTICEABLE = 0.01

TaskLike = str | Path | Task
Batch = Sequence[CompletionLike]


@dataclass(frozen=True)
class Score:
    """What a completion earns, and why.

    Attributes:
        total: the weighted sum of the parts.
        parts: accuracy in [0, 1], format 0 or 1, recitation in [0, 1] (δ⁺) or [-1, 0] (δ⁻).
        reasons: reason codes (`medreward.text.reasons.REASONS`), that of the answer first.
        signature: the version, the task and every setting that shaped the score.
        correct: whether the answer is exactly right, whatever partial credit there is.
        prediction: the label or grade that was read, or None.
    """

    total: float
    parts: dict[str, float]
    reasons: tuple[str, ...]
    signature: str
    correct: bool
    prediction: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return the score as a JSON-ready dictionary."""
        return {**asdict(self), "reasons": list(self.reasons)}


class Judged(NamedTuple):
    """A completion before its recitation is counted.

    `reasoning` is what is held against `knowledge`; None where recitation does not count.
    """

    problems: tuple[str, ...]
    verdict: Verdict
    knowledge: str
    reasoning: str | None


class Scorer:
    """A task's reward with its settings checked: scores any number of completions.

    Raises:
        ConfigError: if the settings would let a wrong answer outscore a right, well-formed one.
    """

    def __init__(self, task: Task, settings: RewardSettings | None = None) -> None:
        self.task = task
        self.kind = kind_of(task)
        self.settings = task.reward if settings is None else settings
        _check_dominance(self.task, self.settings)

    @property
    def range(self) -> tuple[float, float]:
        """The lowest and the highest total."""
        weights, delta = self.settings.weights, self.settings.delta
        top = weights.accuracy + weights.format + max(delta, 0) * weights.recitation
        return min(delta, 0) * weights.recitation, top

    def score(
        self, completion: CompletionLike, target: object, knowledge: str | None = None
    ) -> Score:
        """Score one completion against a target; `knowledge` defaults to the task's own."""
        return self.scores([self.judged(completion, target, knowledge)])[0]

    def score_group(
        self,
        completions: Batch,
        targets: Sequence[object],
        knowledge: Sequence[str | None],
    ) -> list[Score]:
        """Score completions, each with its target and knowledge text."""
        rows = zip(completions, self._parsed(targets), knowledge, strict=True)
        return self.scores([self._judged(*row) for row in rows])

    def judged(
        self, completion: CompletionLike, target: object, knowledge: str | None = None
    ) -> Judged:
        """Judge one completion's answer and format: what `scores` makes a score of."""
        return self._judged(completion, self.task.parse_target(target), knowledge)

    def scores(self, judged: Sequence[Judged]) -> list[Score]:
        """Return the scores of completions that are judged; their recitation is counted at once."""
        return list(map(self._score, judged, self._recitations(judged)))

    def _parsed(self, targets: Sequence[object]) -> Iterator[Any]:
        """Yield the targets parsed; one that serves a whole group is parsed once."""
        last: object = None
        parsed = None
        for i, target in enumerate(targets):
            if i == 0 or target is not last:
                parsed = self.task.parse_target(target)
            last = target
            yield parsed

    def signature(self, knowledge: str | None = None) -> str:
        """Return the version, the task and every setting in one line, as sacreBLEU does."""
        return self._signature(self._knowledge(knowledge))

    def _knowledge(self, knowledge: str | None) -> str:
        if knowledge is not None and not isinstance(knowledge, str):
            raise ConfigError(f"knowledge: {knowledge!r} is not a text")
        return self._card_knowledge if knowledge is None else knowledge

    @cached_property
    def _card_knowledge(self) -> str:
        return self.task.knowledge_text()

    def _judged(self, completion: CompletionLike, target: Any, knowledge: str | None) -> Judged:
        text = self._knowledge(knowledge)
        parsed = Completion.parse(completion)
        verdict = self.kind.reward(parsed.answer, target, self.task, self.settings)
        recites = self._counts_recitation(verdict)
        return Judged(parsed.problems, verdict, text, parsed.reasoning if recites else None)

    def _counts_recitation(self, verdict: Verdict) -> bool:
        """Whether recitation counts.

        δ⁻ charges every completion: if an answer that cannot be read were spared, it would earn
        more than an honest wrong one behind the same reasoning, and a policy would learn to hedge.
        δ⁺ pays beside an answer that can be read and, where the gate asks for it, is right.
        """
        if self.settings.delta <= 0:
            return self.settings.delta < 0
        if "recitation_needs_accuracy" in self.settings.gates:
            return verdict.reason == "correct"
        return verdict.prediction is not None

    def _recitations(self, rows: Sequence[Judged]) -> list[float]:
        """Return δ * BLEU of each reasoning, compared in one pass for each knowledge text."""
        found = [0.0] * len(rows)
        sharing: dict[str, list[int]] = defaultdict(list)
        for i, row in enumerate(rows):
            if row.reasoning is not None:
                sharing[row.knowledge].append(i)
        for knowledge, places in sharing.items():
            bleus = reference(knowledge).bleus([rows[i].reasoning or "" for i in places])
            for i, bleu in zip(places, bleus, strict=True):
                found[i] = self.settings.delta * bleu + 0.0  # never -0.0
        return found

    def _score(self, judged: Judged, recitation: float) -> Score:
        problems, verdict, knowledge, _ = judged
        gated = problems and "accuracy_needs_format" in self.settings.gates
        parts = {
            "accuracy": 0.0 if gated else verdict.value,
            "format": float(not problems),
            "recitation": recitation,
        }
        reasons = [verdict.reason, *verdict.notes, *problems]
        if abs(recitation) >= _NOTICEABLE:
            reasons.append("recitation_rewarded" if recitation > 0 else "recitation_penalised")
        return Score(
            total=self._total(parts),
            parts=parts,
            reasons=tuple(dict.fromkeys(reasons)),
            signature=self._signature(knowledge),
            correct=verdict.reason == "correct",
            prediction=verdict.prediction,
        )

    def _total(self, parts: Mapping[str, float]) -> float:
        weights = self.settings.weights
        return (
            weights.accuracy * parts["accuracy"]
            + weights.format * parts["format"]
            + weights.recitation * parts["recitation"]
        )

    def _signature(self, knowledge: str) -> str:
        return f"{self._fixed_signature}|knowledge:{_digest(knowledge)}"

    @cached_property
    def _fixed_signature(self) -> str:
        items = {
            "medreward": __version__,
            "task": f"{self.task.name}:{self.task.digest}",
            "kind": self.task.kind,
            "bleu": "4,method1",
        }
        for name in (*COMMON, *self.kind.settings):
            items |= _signed(name, getattr(self.settings, name))
        return "|".join(f"{name}:{value}" for name, value in items.items())


def _signed(name: str, value: Any) -> dict[str, str]:
    """Return a setting as items of the signature, from which its value can be told exactly."""
    if isinstance(value, Weights):
        return {part: exact(weight) for part, weight in asdict(value).items()}
    if isinstance(value, tuple):
        return {name: ",".join(map(exact, value)) or "none"}
    return {name: f"{value:+d}" if name == "delta" else exact(value)}


def exact(value: float | str) -> str:
    """Return a name, or the shortest text that stands for exactly this number."""
    return value if isinstance(value, str) else repr(value + 0.0).removesuffix(".0")  # never -0


def scores_of(rows: Sequence[tuple[Scorer, Judged]]) -> list[Score]:
    """Return the scores of completions that the scorers judged, those of each scorer at once."""
    scores: dict[int, Score] = {}
    for bound in {id(bound): bound for bound, _ in rows}.values():
        ours = {i: judged for i, (one, judged) in enumerate(rows) if one is bound}
        scores |= zip(ours, bound.scores([*ours.values()]), strict=True)
    return [scores[i] for i in range(len(rows))]


@lru_cache(maxsize=256)
def _digest(knowledge: str) -> str:
    digest = sha256(knowledge.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return digest if knowledge else "none"


def scorer(task: TaskLike, settings: Mapping[str, Any] | None = None) -> Scorer:
    """Return the scorer of a task given by name, card path or `Task`, with settings overridden."""
    loaded = task if isinstance(task, Task) else Task.load(task)
    return Scorer(loaded, loaded.reward.updated(settings or {}))


def _check_dominance(task: Task, settings: RewardSettings) -> None:
    """Make sure that no wrong answer can outscore a right, well-formed one."""
    weights = settings.weights
    if Trait.PLACES in task.traits and settings.delta and weights.recitation:
        raise ConfigError(
            f"task {task.name!r}: recitation is not for {task.kind}, where overlap earns "
            f"credit up to 1 and any other term could outweigh it; set delta: 0"
        )
    partial = kind_of(task).best_wrong(task, settings)
    gated = settings.delta == 0 or "recitation_needs_accuracy" in settings.gates
    at_stake = 0.0 if gated else weights.recitation
    room = weights.accuracy * (1 - partial)
    least = _MARGIN * (weights.accuracy + weights.format + weights.recitation)
    if room - at_stake < least:
        raise ConfigError(
            f"task {task.name!r}: weights.recitation {weights.recitation:g} lets a wrong answer "
            f"outscore a right one: a wrong answer earns up to {partial:g} of weights.accuracy "
            f"{weights.accuracy:g}, so recitation has to stay below {room - least:g} "
            f"(weights.format {weights.format:g}, decay {settings.decay!r})"
        )
