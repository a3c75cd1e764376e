"""`box_quality: schedule`: a threshold of IoU that rises as the policy gets better at boxes.

MedLoc-R1 (arXiv 2603.28120) pays 1 for a box whose IoU reaches a threshold τ and raises τ in the
course of the run. After each step, over a window of the last steps::

    raise τ  if  mean reward >= P  and  deviation of the reward <= S  and  mean IoU - τ >= margin
    τ <- min(τ + δ, target); the newer half of the window stays

P falls and S grows with τ, and δ falls. The numbers of `ThresholdRules` are those of a port that
claims the paper's defaults, read in a note: they were not checked against the paper. Where the note
leaves it open, this is our reading: the reward of a step is the share of its completions that reach
τ, the deviation is that of the steps' rewards, and a window counts once it is full. The IoU of an
answer with several boxes is R_box; images with nothing to find do not count.

The state after a step is a pure function of the state before it and of the IoUs of the step's
completions, in whatever order: `advance`. So the thresholds of a run can be told from its trace,
with which a run that is resumed starts (`replay`), and which other rules can be tried on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import fsum, sqrt
from typing import Any, NamedTuple

from medreward.checks import number, whole
from medreward.errors import ConfigError, quote
from medreward.kinds.truth import target_of
from medreward.scoring.scorer import Scorer
from medreward.scoring.trace import TraceRow

SCHEDULE, PAYS = "schedule", "threshold"
_DECIMALS = 9  # thresholds are sums of decimal fractions


@dataclass(frozen=True)
class ThresholdRules:
    """When a threshold rises, and by how much.

    Attributes:
        start: the first threshold.
        target: the last one.
        window: over how many steps reward and IoU are looked at.
        margin: how far the mean IoU must be above the threshold.
        raises: (border, δ): below a border, the threshold rises by δ.
        gates: (border, P, S): below a border, the mean reward must be P or more, and its deviation
            S or less.

    Raises:
        ConfigError: if a value is not allowed.
    """

    start: float = 0.3
    target: float = 0.8
    window: int = 30
    margin: float = 0.1
    raises: tuple[tuple[float, float], ...] = ((0.55, 0.15), (0.75, 0.1), (1.0, 0.05))
    gates: tuple[tuple[float, float, float], ...] = (
        (0.6, 0.8, 0.2),
        (0.75, 0.75, 0.35),
        (1.0, 0.55, 0.4),
    )

    def __post_init__(self) -> None:
        number("schedule.start", self.start, 0.01, 0.99)
        number("schedule.target", self.target, self.start, 0.99)
        whole("schedule.window", self.window, 2)
        number("schedule.margin", self.margin, 0.0, 1.0)
        for name, table in (("raises", self.raises), ("gates", self.gates)):
            borders = [row[0] for row in table]
            if not borders or borders != sorted(borders) or borders[-1] < self.target:
                raise ConfigError(
                    f"schedule.{name}: the borders {borders} have to rise, the last to the target "
                    f"{self.target} or beyond"
                )


class ThresholdState(NamedTuple):
    """Where a schedule stands.

    Attributes:
        threshold: the threshold of the next step.
        window: mean reward and mean IoU of the last steps, the oldest first.
    """

    threshold: float
    window: tuple[tuple[float, float], ...] = ()


def begin(rules: ThresholdRules) -> ThresholdState:
    """Return the state before the first step."""
    return ThresholdState(rules.start)


def advance(
    state: ThresholdState, overlaps: Sequence[float], rules: ThresholdRules
) -> ThresholdState:
    """Return the state after a step.

    Args:
        state: the state before it.
        overlaps: the IoU of each of its completions; none: the state stays.
        rules: of the schedule.

    >>> rules = ThresholdRules(window=2)
    >>> state = advance(begin(rules), [0.5, 0.6], rules)
    >>> state.threshold, advance(state, [0.5, 0.6], rules).threshold
    (0.3, 0.45)
    """
    if not overlaps:
        return state
    count, threshold = len(overlaps), state.threshold
    reached = sum(one >= threshold for one in overlaps) / count
    # fsum rounds once: the order of the completions, and so of the processes, changes nothing.
    window = (*state.window, (reached, fsum(overlaps) / count))[-rules.window :]
    if len(window) < rules.window or not _is_mastered(threshold, window, rules):
        return ThresholdState(threshold, window)
    rise = next(delta for border, delta in rules.raises if threshold < border)
    higher = min(round(threshold + rise, _DECIMALS), rules.target)
    return ThresholdState(higher, window[-(rules.window // 2) :])


def _is_mastered(
    threshold: float, window: Sequence[tuple[float, float]], rules: ThresholdRules
) -> bool:
    if threshold >= rules.target:
        return False
    least, most = next((p, s) for border, p, s in rules.gates if threshold < border)
    count = len(window)
    mean = fsum(reward for reward, _ in window) / count
    deviation = sqrt(fsum((reward - mean) ** 2 for reward, _ in window) / count)
    margin = fsum(overlap for _, overlap in window) / count - threshold
    return mean >= least and deviation <= most and margin >= rules.margin


def is_scheduled(settings: Mapping[str, Any]) -> bool:
    """Tell whether settings of a reward ask for a schedule."""
    return settings.get("box_quality") == SCHEDULE


def settings_at(settings: Mapping[str, Any], threshold: float) -> dict[str, Any]:
    """Return the settings of a step; those without a schedule are left alone.

    >>> settings_at({"box_quality": "schedule", "delta": 0}, 0.3)
    {'box_quality': 'threshold', 'delta': 0, 'box_threshold': 0.3}
    """
    if not is_scheduled(settings):
        return dict(settings)
    return {**settings, "box_quality": PAYS, "box_threshold": threshold}


def overlap_scorer(bound: Scorer) -> Scorer:
    """Return the scorer of a task with boxes whose verdict is the answer's IoU.

    Raises:
        ConfigError: if the task's answers are no boxes.
    """
    if "box_quality" not in bound.kind.settings:
        raise ConfigError(
            f"box_quality: 'schedule' is for boxes, and task {quote(bound.task.name)} is of kind "
            f"{bound.task.kind}"
        )
    return Scorer(bound.task, replace(bound.settings, box_quality="iou"))


def overlap(bound: Scorer, completion: str, target: Any) -> float | None:
    """Return the IoU of an answer; None where there is nothing to find.

    Args:
        bound: what `overlap_scorer` returns.
        completion: the completion.
        target: the truth, as a row or the task has it.
    """
    parsed = bound.kind.parse(bound.task, target_of(bound.task, target))
    if not any(parsed.annotators):
        return None
    return bound.judged(completion, parsed, "").verdict.value


def replay(
    rows: Iterable[TraceRow], bound: Scorer, rules: ThresholdRules, until: int | None = None
) -> dict[int, ThresholdState]:
    """Return the state after each step of a trace, under the rules that are given.

    Args:
        rows: the whole trace, as `medreward.runs.read_trace` gives it; its writer's ``every`` and
            ``share`` are 1.
        bound: what `overlap_scorer` returns for the task.
        rules: of the schedule; others than the run's show when theirs would have risen.
        until: the last step that counts; None: all.
    """
    steps: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        counts = row.task == bound.task.name and row.split in (None, "train")
        if row.step is None or not counts or (until is not None and row.step > until):
            continue
        found = overlap(bound, row.completion, row.target)
        steps[row.step] += [] if found is None else [found]
    state, states = begin(rules), {}
    for step in sorted(steps):
        state = states[step] = advance(state, steps[step], rules)
    return states
