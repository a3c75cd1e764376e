"""The shaped reward of VRFT-Aug: the one place where the parts, weights and gates meet.

::

    R = w_accuracy * R_accuracy + w_format * R_format + w_recitation * δ * R_recite

R_accuracy is the reward of the task's kind (`medreward.kinds.base.Kind`); the paper calls the
weights λ, α, γ, δ. `Score.parts` holds the terms after gates and sign, so that the total is always
the weighted sum of the parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import medreward.kinds.table
import medreward.scoring.parts.table  # noqa: F401 - these two register kinds and parts
from medreward.errors import ConfigError, quote
from medreward.kinds.base import kind_of
from medreward.scoring.judged import Judged
from medreward.scoring.parts.base import Part, used_parts
from medreward.task.card import shipped
from medreward.task.completion_format import format_signature
from medreward.task.profile import load_profile
from medreward.task.registry import CHANGES
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.task.task_scale import NO_SCALE, TaskScale, parse_scale, scale_of_task
from medreward.task.traits import Trait
from medreward.task.weights import Weights
from medreward.text.completion import CompletionLike
from medreward.text.formats.base import CompletionFormat
from medreward.text.formats.registry import format_of
from medreward.text.formats.table import DEFAULT_FORMAT
from medreward.version import __version__

if TYPE_CHECKING:
    from medreward.scoring.judge import AnswerJudge, JudgeLike

# The settings that shape the scores of every kind.
COMMON = ("weights", "delta", "gates", "completion_format", "recitation_measure", "task_scale")
# The values of settings that a signature leaves out.
_UNSIGNED = (
    ("completion_format", DEFAULT_FORMAT),
    ("recitation_measure", "bleu"),
    ("box_threshold", 0.5),
    ("thresholds", ()),
    ("threshold_factor", 0.5),
    ("task_scale", NO_SCALE),
)
# The ways of paying for boxes that look at `box_threshold`.
_THRESHOLDED = ("threshold", "above")
# The least share of the weights' sum by which a right answer must win: float32, in which trainers
# add up rewards, still tells such totals apart.
_MARGIN = 1e-6
TaskLike = str | Path | Task
Batch = Sequence[CompletionLike]


class Score(NamedTuple):
    """What a completion earns, and why.

    Attributes:
        total: the weighted sum of the parts.
        parts: accuracy in [0, 1], format 0 or 1, recitation in [0, 1] (δ⁺) or [-1, 0] (δ⁻),
            findings in [-1, 1] where it has a weight.
        reasons: reason codes (`medreward.text.reasons.REASONS`), that of the answer first.
        signature: the version, the task and every setting that shaped the score.
        correct: whether the answer is exactly right, whatever partial credit there is.
        prediction: the label or grade that was read, or None.
        unread: the first thing in the answer that was not understood, "" if all was.

    >>> score = Scorer(Task.load("retinamnist")).score("<think>x</think><answer>1</answer>", 2)
    >>> score.correct, score.prediction, score.parts["accuracy"], score.reasons
    (False, '1', 0.25, ('wrong_grade',))
    """

    total: float
    parts: dict[str, float]
    reasons: tuple[str, ...]
    signature: str
    correct: bool
    prediction: str | None
    unread: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the score as a JSON-ready dictionary."""
        return {**self._asdict(), "parts": dict(self.parts), "reasons": list(self.reasons)}


class Scorer:
    """A task's reward with its settings checked: scores any number of completions.

    Raises:
        ConfigError: if the settings would let a wrong answer outscore a right, well-formed one, or
            weigh findings that the card does not name.

    >>> scorer = Scorer(Task.load("pneumoniamnist"))
    >>> scorer.range
    (-0.05, 1.2)
    >>> scorer.score("<think>Hm</think><answer>normal</answer>", "normal").total
    1.2
    """

    def __init__(
        self, task: Task, settings: RewardSettings | None = None, judge: JudgeLike | None = None
    ) -> None:
        self.task = task
        self.judge = None
        if judge is not None:
            from medreward.scoring.judge import make_judge  # few rewards have one

            self.judge = make_judge(judge)
        self.kind = kind_of(task)
        self.settings = task.reward if settings is None else settings
        self.kind.check_settings(task, self.settings)
        _check_dominance(self.task, self.settings)
        self.decider  # noqa: B018 - a metric that is not there fails now

    @property
    def decider(self) -> AnswerJudge | None:
        """What decides on answers that the rules leave open: a judge, or the metric of reports."""
        if Trait.MEASURED not in self.task.traits:
            return self.judge
        from medreward.scoring.report_metrics import report_metric  # few rewards have one

        return report_metric(self.settings.report_metric)

    @cached_property
    def format(self) -> CompletionFormat:
        """The format of completions."""
        return format_of(self.settings.completion_format)

    @property
    def _parts(self) -> tuple[Part, ...]:
        return used_parts(self.settings.weights)

    @property
    def _scale(self) -> TaskScale | None:
        return parse_scale(self.settings.task_scale)

    @property
    def range(self) -> tuple[float, float]:
        """The lowest and the highest total."""
        weights, scale = self.settings.weights, self._scale or TaskScale()
        bounds = [(part.name, *part.bounds(self.settings)) for part in self._parts]
        low = sum(weights[name] * scale.part(name, least) for name, least, _ in bounds)
        return low, sum(weights[name] * scale.part(name, most) for name, _, most in bounds)

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
        return self._judged(completion, self.kind.parse(self.task, target), knowledge)

    def scores(self, judged: Sequence[Judged]) -> list[Score]:
        """Return the scores of completions that are judged, each part counted for all at once."""
        if (decider := self.decider) is not None:
            from medreward.scoring.judge import decide

            judged = decide(judged, self.task, self.settings, decider)
        parts = self._parts
        columns = [part.values(judged, self.settings) for part in parts]
        weights = [self.settings.weights[part.name] for part in parts]
        scale = self._scale
        return [
            self._score(row, parts, weights, values, scale)
            for row, values in zip(judged, zip(*columns, strict=True), strict=True)
        ]

    def _parsed(self, targets: Sequence[object]) -> Iterator[Any]:
        """Yield the targets parsed; one that serves a whole group, or is there again, only once."""
        last: object = None
        parsed: Any = None
        known: dict[tuple[type, object], Any] = {}
        for i, target in enumerate(targets):
            if i == 0 or target is not last:
                key = (type(target), target) if isinstance(target, str | int) else None
                parsed = known.get(key) if key else None
                if parsed is None:
                    parsed = self.kind.parse(self.task, target)
                if key:
                    known[key] = parsed
            last = target
            yield parsed

    def signature(self, knowledge: str | None = None) -> str:
        """Return the version, the task and every setting in one line, as sacreBLEU does."""
        return self._signature(self._knowledge(knowledge))

    def _knowledge(self, knowledge: str | None) -> str:
        if knowledge is not None and not isinstance(knowledge, str):
            raise ConfigError(f"knowledge: {quote(knowledge)} is not a text")
        return self._card_knowledge if knowledge is None else knowledge

    @cached_property
    def _card_knowledge(self) -> str:
        return self.task.knowledge_text()

    def _judged(self, completion: CompletionLike, target: Any, knowledge: str | None) -> Judged:
        parsed = self.format.parse(completion)
        verdict = self.kind.reward(parsed.answer, target, self.task, self.settings)
        return Judged(parsed, verdict, self._knowledge(knowledge), target, self.task)

    def _score(
        self,
        row: Judged,
        parts: Sequence[Part],
        weights: Sequence[float],
        values: Sequence[float],
        scale: TaskScale | None,
    ) -> Score:
        reasons: tuple[str, ...] = ()
        total, named = 0.0, {}
        for part, weight, value in zip(parts, weights, values, strict=True):
            paid = scale.part(part.name, value) if scale else value
            total += weight * paid
            named[part.name] = paid
            reasons += part.reasons(row, value)
        return Score(
            total=total,
            parts=named,
            reasons=reasons if len(reasons) < 2 else tuple(dict.fromkeys(reasons)),
            signature=self._signature(row.knowledge),
            correct=row.verdict.reason == "correct",
            prediction=row.verdict.prediction,
            unread=row.verdict.unread,
        )

    def _signature(self, knowledge: str) -> str:
        return f"{self._fixed_signature}|knowledge:{knowledge_digest(knowledge)}"

    @cached_property
    def _fixed_signature(self) -> str:
        items = {
            "medreward": __version__,
            "task": f"{self.task.name}:{self.task.digest}",
            "kind": self.task.kind,
        }
        for part in self._parts:
            items |= part.signature(self.settings)
        for name in (*COMMON, *self.kind.settings):
            if name == "box_threshold" and self.settings.box_quality in _THRESHOLDED:
                items[name] = exact(self.settings.box_threshold)  # in force, whatever it is
            else:
                items |= _signed(name, getattr(self.settings, name))
        if place := self.task.place_field:
            items[f"{place}.frame"] = self.task.fields[place].reward.frame
        if (decider := self.decider) is not None:
            from medreward.scoring.judge import judge_name

            items["judge"] = judge_name(decider)
        return "|".join(f"{name}:{value}" for name, value in items.items())


def _signed(name: str, value: Any) -> dict[str, str]:
    """Return a setting as items of the signature, from which its value can be told exactly."""
    if (name, value) in _UNSIGNED:
        return {}  # as in the signatures of before there was another
    if name == "completion_format":
        return {name: format_signature(value)}
    if isinstance(value, Weights):
        return {part.name: exact(value[part.name]) for part in used_parts(value)}
    if isinstance(value, tuple):
        return {name: ",".join(map(exact, value)) or "none"}
    return {name: f"{value:+d}" if name == "delta" else exact(value)}


def exact(value: float | str) -> str:
    """Return a name, or the shortest text that stands for exactly this number."""
    return value if isinstance(value, str) else repr(value + 0.0).removesuffix(".0")  # never -0


@lru_cache(maxsize=256)
def knowledge_digest(knowledge: str) -> str:
    """Return what a signature calls a knowledge text: a digest, or "none" of an empty one."""
    digest = sha256(knowledge.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return digest if knowledge else "none"


def scorer(task: TaskLike, settings: Mapping[str, Any] | None = None) -> Scorer:
    """Return the scorer of a task given by name, card path or `Task`, with settings overridden.

    Beside the fields of `RewardSettings` there may be ``judge`` (`medreward.scoring.judge`) and
    ``model_profile``, a name or a file (`medreward.task.profile`). ``task_scale`` may be that of
    several tasks, a mapping by their names or a file (`medreward.task.task_scale`).

    Raises:
        ConfigError: if a setting is not allowed, or is another than the model profile's.
    """
    settings = dict(settings or {})
    judge, profile = settings.pop("judge", None), settings.pop("model_profile", None)
    if not (settings or judge or profile) and (isinstance(task, Task) or task in shipped()):
        return _own_scorer(task, len(CHANGES))
    loaded = task if isinstance(task, Task) else Task.load(task)
    if profile is not None:
        loaded = _profiled(loaded, profile, settings)
    if "task_scale" in settings:
        settings["task_scale"] = scale_of_task(settings["task_scale"], loaded.name)
    loaded = _with_field_settings(loaded, settings)
    # Of several tasks, those that leave nothing open have no use for a judge.
    judge = judge if loaded.is_open else None
    return Scorer(loaded, loaded.reward.updated(settings), judge)


def _with_field_settings(task: Task, settings: Mapping[str, Any]) -> Task:
    """Return a task of fields in which each field has the settings that shape its kind alone.

    Raises:
        ConfigError: with the field, if its kind does not allow a value.
    """
    own = {*COMMON, *kind_of(task).settings}
    fields = dict(task.fields)
    for name, field in fields.items():
        wanted = {key: settings[key] for key in kind_of(field).settings if key in settings}
        wanted = {key: value for key, value in wanted.items() if key not in own}
        if wanted:
            try:
                fields[name] = replace(field, reward=field.reward.updated(wanted))
            except ConfigError as error:
                raise ConfigError(f"field {quote(name)}: {error}") from error
    return task if fields == dict(task.fields) else replace(task, fields=fields)


def _profiled(task: Task, name: str | Path, settings: Mapping[str, Any]) -> Task:
    """Return a task with a model profile's settings, which no other setting may contradict."""
    profile = load_profile(name)
    placed = {"frame": profile.frame} if task.place_field and profile.frame else {}
    for key, value in (profile.settings(task) | placed).items():
        if settings.get(key, value) != value:
            raise ConfigError(
                f"{key}: {quote(settings[key])} beside model_profile {profile.name}, whose {key} "
                f"is {quote(value)}; give one of the two"
            )
    return profile.apply(task)


@lru_cache(maxsize=256)
def _own_scorer(task: TaskLike, changes: int) -> Scorer:
    """Return the scorer of a shipped task or a `Task` with its own settings; both never change.

    `changes` counts the kinds and parts that were added or taken out, since these shape it too.
    """
    return Scorer(task if isinstance(task, Task) else Task.load(task))


def _check_dominance(task: Task, settings: RewardSettings) -> None:
    """Make sure that no wrong answer can outscore a right, well-formed one."""
    weights = settings.weights
    for part in used_parts(weights):
        if weights[part.name]:
            part.check(task, settings)
    partial = kind_of(task).best_wrong(task, settings)
    # A factor changes room and stakes alike, and so what is ahead of what not at all.
    bend = (parse_scale(settings.task_scale) or TaskScale()).bend
    room = weights.accuracy * (bend(1.0) - bend(partial))
    staked = {p.name: weights[p.name] * p.at_stake(settings) for p in used_parts(weights)}
    staked = {name: stake for name, stake in staked.items() if stake}
    least = _MARGIN * sum(weights.values())
    if room - sum(staked.values()) >= least:
        return
    how = f"weights.format {weights.format:g}, decay {settings.decay!r}"
    if settings.task_scale != NO_SCALE:
        how += f", task_scale {settings.task_scale!r}"
    if not staked:
        raise ConfigError(
            f"task {quote(task.name)}: rounding lets a wrong answer outscore a right one: it earns "
            f"up "
            f"to {quote(partial)} of weights.accuracy {weights.accuracy:g} ({how})"
        )
    named = " + ".join(f"weights.{name} {weights[name]:g}" for name in staked)
    raise ConfigError(
        f"task {quote(task.name)}: {named} lets a wrong answer outscore a right one: a wrong "
        f"answer "
        f"earns up to {partial:g} of weights.accuracy {weights.accuracy:g}, so "
        f"{' + '.join(staked)} has to stay below {room - least:g} ({how})"
    )
