"""How sensitive is what GRPO sees to a reward's settings: a trace scored under a grid of them.

GRPO sees a reward through the advantages within a group,
``A_i = (R_i - mean R) / (std R + 1e-4)`` with the sample standard deviation, as TRL computes them
(`scale_rewards="group"`); a group of zero variance has advantages 0. A setting is compared with
the reference by them. This costs no training, and shows no more than the first step of it: the
completions are those of a policy that another reward has trained.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from medreward.errors import ConfigError, quote
from medreward.files.reading import parse_yaml
from medreward.kinds.truth import target_of
from medreward.scoring.groups import SAME
from medreward.scoring.parts.base import all_parts, part_names
from medreward.scoring.scorer import Scorer
from medreward.scoring.trace import TraceRow
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.task.weights import Weights

MAX_SETTINGS = 2000
_EPSILON = 1e-4

Changes = Mapping[str, Any]


@dataclass(frozen=True)
class SweepOutcome:
    """What a setting does to the groups of a trace, against the reference.

    Attributes:
        changes: what the setting changes.
        refused: why medreward refuses it, or ""; then everything else is nan.
        tau: mean Kendall's tau-b of the rewards within groups that are alive under both, in
            [-1, 1]; 1: the same order.
        correlation: Pearson's r of all advantages, in [-1, 1].
        best_changes: share of groups, alive under both, none of whose best completions is still
            among the best.
        zero_variance: share of groups whose completions all earn the same.
        shift: mean absolute change of the advantages.
    """

    changes: Changes
    refused: str = ""
    tau: float = math.nan
    correlation: float = math.nan
    best_changes: float = math.nan
    zero_variance: float = math.nan
    shift: float = math.nan


def grid(options: Sequence[str]) -> list[Changes]:
    """Return every combination of settings such as ``decay=geometric,linear``.

    Values are YAML: ``decay=exact,[1,0.5,0.1]`` and ``gates=[],[accuracy_needs_format]`` work too.

    >>> grid(["delta=-1,1", "weights.format=0.1"])[1]
    {'delta': 1, 'weights.format': 0.1}

    Raises:
        ConfigError: if an option is not NAME=VALUE,VALUE,…, or there are too many combinations.
    """
    axes = dict(map(_axis, options))
    count = math.prod(map(len, axes.values()))
    if count > MAX_SETTINGS:
        raise ConfigError(f"grid: {count} settings; at most {MAX_SETTINGS}")
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def _axis(option: str) -> tuple[str, list[Any]]:
    name, equals, values = option.partition("=")
    try:
        parsed = parse_yaml(f"[{values}]")
    except ConfigError as error:
        raise ConfigError(
            f"grid: {quote(option)}: {quote(values)} is not a list of values"
        ) from error
    if not equals or not parsed:
        raise ConfigError(f"grid: {quote(option)} is not NAME=VALUE,VALUE,…")
    return name, parsed


def change_settings(settings: RewardSettings, changes: Changes) -> RewardSettings:
    """Return settings with changes, in which ``weights.format`` names one weight.

    Raises:
        ConfigError: if a change is not allowed.
    """
    plain = {name: value for name, value in changes.items() if "." not in name}
    weights = {
        name.removeprefix("weights."): value
        for name, value in changes.items()
        if name.startswith("weights.")
    }
    others = [n for n in changes if "." in n and not n.startswith("weights.")]
    if others:
        raise ConfigError(f"grid: {quote(others[0])} is no setting; weights are weights.NAME")
    return settings.updated(plain | ({"weights": weights} if weights else {}))


class Sweep:
    """Scores groups under many settings and compares each with the reference.

    A completion is scored once for all settings that differ in weights and sign alone.

    Args:
        task: the task.
        settings: the changes of each setting.
        reference: the settings to compare with; default: the card's.

    Raises:
        ConfigError: if the reference is refused, or a change names no setting at all.
    """

    def __init__(
        self, task: Task, settings: Iterable[Changes], reference: RewardSettings | None = None
    ) -> None:
        self.task = task
        self.reference = task.reward if reference is None else reference
        Scorer(task, self.reference)
        self.outcomes: list[SweepOutcome] = [SweepOutcome(changes) for changes in settings]
        self._valid: list[tuple[int, RewardSettings]] = []
        for number, outcome in enumerate(self.outcomes):
            try:
                new = change_settings(self.reference, outcome.changes)
                Scorer(task, new)
            except ConfigError as error:
                self.outcomes[number] = replace(outcome, refused=str(error))
            else:
                self._valid.append((number, new))
        every = [self.reference, *(new for _, new in self._valid)]
        self._shapes = {shape: Scorer(task, shape) for shape in dict.fromkeys(map(_shape, every))}
        order = list(self._shapes)
        self._uses = [(order.index(_shape(s)), _factors(s)) for s in every]
        self.groups = self.rows = 0
        self._sums = [[0.0] * len(every) for _ in range(len(_SUMS))]

    def add(self, group: Sequence[TraceRow]) -> None:
        """Take in the completions of a group; one that is alone has no advantage and is left out.

        Raises:
            ConfigError: if a row has no target, or one that is not the task's.
        """
        if len(group) < 2:
            return
        import numpy as np

        # Completions of a group repeat: each of its texts is scored once.
        first = {(row.completion, str(row.target), row.knowledge): row for row in group}
        places = {text: place for place, text in enumerate(first)}
        order = [places[row.completion, str(row.target), row.knowledge] for row in group]
        shapes = self._shapes.values()
        scored = np.array([[self._parts(row, s) for row in first.values()] for s in shapes])
        parts = scored[:, order]
        totals = np.array([parts[shape] @ factors for shape, factors in self._uses])
        self.groups += 1
        self.rows += len(group)
        for sums, values in zip(self._sums, _compared(totals), strict=True):
            sums[:] = np.add(sums, values).tolist()

    def signature(self) -> str:
        """Return the signature of the reference, for the card's own knowledge."""
        return Scorer(self.task, self.reference).signature()

    def results(self) -> list[SweepOutcome]:
        """Return what each setting does, the reference first.

        Raises:
            ConfigError: if there was no group.
        """
        if not self.groups:
            raise ConfigError("the trace has no groups: rows name neither id nor group")
        found = list(self.outcomes)
        for use, (number, _) in enumerate(self._valid, start=1):
            found[number] = self._outcome(found[number].changes, use)
        return [self._outcome({}, 0), *found]

    def _outcome(self, changes: Changes, use: int) -> SweepOutcome:
        sums = {name: values[use] for name, values in zip(_SUMS, self._sums, strict=True)}
        norm = math.sqrt(sums["square"] * self._sums[_SUMS.index("square")][0])
        alive = sums["alive"]
        return SweepOutcome(
            changes,
            tau=sums["tau"] / alive if alive else math.nan,
            correlation=sums["product"] / norm if norm else math.nan,
            best_changes=sums["best"] / alive if alive else math.nan,
            zero_variance=sums["dead"] / self.groups,
            shift=sums["shift"] / self.rows,
        )

    def _parts(self, row: TraceRow, bound: Scorer) -> list[float]:
        if row.target is None:
            raise ConfigError(f"id {quote(row.id)}, step {row.step}: there is no target")
        target = target_of(self.task, row.target)
        parts = bound.score(row.completion, target, row.knowledge).parts
        return [parts.get(name, 0.0) for name in part_names()]


_SMALL = 1e-5  # a weight that no check of dominance refuses
_SUMS = ("dead", "alive", "tau", "best", "product", "square", "shift")


def _shape(settings: RewardSettings) -> RewardSettings:
    """Return what decides the parts: settings that differ in weights alone share them.

    A part that is off unless it has a weight has one here where it has one there.
    """
    small = {
        part.name: 0.0 if part.default_weight else _SMALL * (settings.weights[part.name] > 0)
        for part in all_parts()
    }
    return replace(settings, weights=Weights(**small | {"accuracy": 1.0}))


def _factors(settings: RewardSettings) -> list[float]:
    """Return the weight of each part."""
    return list(settings.weights.values())


def _compared(totals: Any) -> Iterator[Any]:
    """Yield what a group adds to each of `_SUMS` by setting; the first is the reference."""
    import numpy as np

    advantages = group_advantages(totals)
    dead = np.ptp(totals, axis=1) < SAME
    alive = ~dead & ~dead[0]
    best = totals > totals.max(axis=1, keepdims=True) - SAME
    yield dead
    yield alive
    yield np.where(alive, kendall(totals), 0.0)
    yield alive & ~(best & best[0]).any(axis=1)
    yield advantages @ advantages[0]
    yield (advantages**2).sum(axis=1)
    yield np.abs(advantages - advantages[0]).sum(axis=1)


def group_advantages(totals: Any) -> Any:
    """Return the advantages of groups of rewards, one group a row (see the module)."""
    import numpy as np

    centred = totals - totals.mean(axis=1, keepdims=True)
    scale = totals.std(axis=1, ddof=1, keepdims=True) + _EPSILON
    return np.where(np.ptp(totals, axis=1, keepdims=True) < SAME, 0.0, centred / scale)


def kendall(totals: Any) -> Any:
    """Return Kendall's tau-b of each row with the first; 0 where a row is constant."""
    import numpy as np

    i, j = np.triu_indices(totals.shape[1], k=1)
    differences = totals[:, i] - totals[:, j]
    signs = np.where(np.abs(differences) < SAME, 0.0, np.sign(differences))
    pairs = np.sqrt((signs**2).sum(axis=1) * (signs[0] ** 2).sum())
    return np.divide(signs @ signs[0], pairs, out=np.zeros(len(totals)), where=pairs > 0)
