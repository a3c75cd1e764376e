"""The settings of a reward: weights, the sign of recitation, the decay over grades, gates."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from numbers import Real
from typing import Any

from medreward.checks import number, whole
from medreward.errors import ConfigError, expected, quote
from medreward.geometry.frames import FRAMES
from medreward.task.completion_format import check_format
from medreward.task.task_scale import NO_SCALE, check_scale
from medreward.task.weights import Weights
from medreward.text.formats.table import DEFAULT_FORMAT

GATES = {
    "accuracy_needs_format": "an answer in a malformed completion earns nothing",
    "recitation_needs_accuracy": "with delta +1, recitation is paid only beside a right answer",
}
DECAYS = {
    "geometric": "4^-d (VRFT-Aug, where two grades off earn 0.0625)",
    "reported": "1, 1/4, 1/10, then 0 (VRFT-Aug, where two grades off earn 1/10)",
    "linear": "1 - d/(K-1)",
    "quadratic": "1 - (d/(K-1))^2, the agreement weight of quadratic weighted kappa",
    "exact": "1 for the right grade, else 0",
}
BOX_QUALITIES = {
    "iou": "intersection over union",
    "giou": "IoU, with a small share that grows before the first overlap (generalised IoU)",
    "soft_iou": "IoU softly thresholded at one half",
    "centre": "closeness of the centres times likeness of the sizes",
    "threshold": "1 from an IoU of box_threshold on, else 0",
    "above": "how far IoU is above box_threshold, as a share of what is left to 1",
}
ANNOTATORS = {
    "best": "agreement with the annotator whose boxes are nearest",
    "mean": "mean agreement with all annotators",
    "consensus": "agreement with the boxes that most annotators drew",
}
MASK_QUALITIES = {"dice": "2 |A and B| / (|A| + |B|)", "iou": "intersection over union"}
SET_QUALITIES = {
    "f_beta": "F-beta, which pays to name several labels where one of them is meant",
    "jaccard": "intersection over union: as F-beta, with false and missed labels at twice the cost",
}
ANSWER_QUALITIES = {
    "exact": "1 for an accepted answer, else 0",
    "f1": "token F1 with the accepted answer that is most like it",
}
NUMBER_QUALITIES = {
    "exact": "1 within the tolerance, else 0",
    "linear": "1 within the tolerance, then falling to 0 at number_reach times the true number",
}
RECITATION_MEASURES = {
    "bleu": "BLEU-4 (VRFT-Aug): near 0 where the reasoning is much shorter than the knowledge",
    "precision": "BLEU-4 without its brevity penalty: how much of the reasoning is copied",
    "containment": "the longest copied run of words, as a share of the reasoning",
}
PRESETS: dict[str, dict[str, Any]] = {
    # A grade that is too low leaves a patient without a referral; one too high costs a visit.
    "screening": {"under_grading": 0.5},
}
REPORT_METRICS = {
    "bleu": "BLEU-4 with the reference",
    "rouge_l": "ROUGE-L: F1 of the longest common subsequence of words",
}
RADEVAL = "radeval:"
_RADEVAL_NAME = re.compile(r"radeval:[\w-]+(?::[\w-]+)?")
_CHOICES = {
    "frame": FRAMES,
    "box_quality": BOX_QUALITIES,
    "annotators": ANNOTATORS,
    "mask_quality": MASK_QUALITIES,
    "set_quality": SET_QUALITIES,
    "answer_quality": ANSWER_QUALITIES,
    "number_quality": NUMBER_QUALITIES,
    "recitation_measure": RECITATION_MEASURES,
}
_DELTAS = {"+": 1, "δ+": 1, "δ⁺": 1, "plus": 1, "-": -1, "δ-": -1, "δ⁻": -1, "minus": -1, "0": 0}


@dataclass(frozen=True)
class RewardSettings:
    """Everything that shapes a score apart from the task's labels and texts.

    Attributes:
        weights: the weight of each part.
        delta: the sign of recitation: +1 rewards it (δ⁺), -1 penalises it (δ⁻), 0 leaves it out.
        decay: the credit of a grade that is d off, for ordinal tasks: a preset of `DECAYS` or a
            table of credits for d = 0, 1, …, which starts with 1, never rises, is below 1 from
            d = 1 on and counts as 0 beyond its end.
        under_grading: factor in [0, 1] on the partial credit of a grade below the true one.
        over_grading: factor in [0, 1] on the partial credit of a grade above the true one.
        thresholds: grades from which something else is done, such as a referral, in rising order.
        threshold_factor: factor in [0, 1] on the partial credit of a grade on the other side of a
            threshold, for each threshold between it and the true one.
        beta: how much more a missed label costs than a false one, for multi-label tasks, in
            [0.1, 10].
        gates: names out of `GATES`.
        frame: the frame in which an answer's coordinates are, out of `FRAMES`.
        box_quality: what a matched box earns, out of `BOX_QUALITIES`.
        box_threshold: the IoU at which "threshold" and "above" begin to pay, in [0.01, 0.99].
        annotators: how the boxes of several annotators count, out of `ANNOTATORS`.
        mask_quality: what a mask earns, out of `MASK_QUALITIES`.
        set_quality: what a set of labels earns, for multi-label tasks, out of `SET_QUALITIES`.
        answer_quality: what a short answer earns, out of `ANSWER_QUALITIES`.
        answer_floor: the token F1 below which a short answer earns nothing, in [0, 1].
        number_quality: what a number outside of the tolerance earns, out of `NUMBER_QUALITIES`.
        number_reach: how far outside of the tolerance credit ends, as a share of the true number,
            in [0.01, 10].
        field_balance: the share of the worst field in what several fields earn, in [0, 1].
        absent_weight: how much an absent finding counts in a report beside a present one, in
            [0.001, 1].
        completion_format: where reasoning and answer stand in a completion: the name of a format
            out of `medreward.text.formats.registry.format_names`, or a user's own, as a mapping or
            a YAML file (`medreward.task.completion_format`); prompts ask for it.
        recitation_measure: how repeated wording is measured, out of
            `RECITATION_MEASURES`.
        report_metric: what measures a free-text report: "bleu", "rouge_l", or "radeval:METRIC" or
            "radeval:METRIC:KEY" for a metric of RadEval.
        task_scale: what brings the task's rewards to the scale of others in the same run: "none",
            "percentile:P25/P50/P75" or "standardise:FACTOR" (`medreward.task.task_scale`).

    Raises:
        ConfigError: if a value is not allowed.

    >>> RewardSettings(decay="linear", delta=0).updated({"weights": {"format": 0.1}}).weights.format
    0.1
    """

    weights: Weights = field(default_factory=Weights)
    delta: int = -1
    decay: str | tuple[float, ...] = "geometric"
    under_grading: float = 1.0
    over_grading: float = 1.0
    thresholds: tuple[int, ...] = ()
    threshold_factor: float = 0.5
    beta: float = 1.0
    gates: tuple[str, ...] = ()
    frame: str = "pixels"
    box_quality: str = "iou"
    box_threshold: float = 0.5
    annotators: str = "best"
    mask_quality: str = "dice"
    set_quality: str = "f_beta"
    answer_quality: str = "exact"
    answer_floor: float = 0.5
    number_quality: str = "exact"
    number_reach: float = 0.5
    field_balance: float = 0.5
    absent_weight: float = 0.1
    completion_format: str = DEFAULT_FORMAT
    recitation_measure: str = "bleu"
    report_metric: str = "bleu"
    task_scale: str = NO_SCALE

    def __post_init__(self) -> None:
        set_field = object.__setattr__
        if not isinstance(self.weights, Weights):
            set_field(self, "weights", Weights().updated(self.weights))
        set_field(self, "delta", _sign(self.delta))
        set_field(self, "decay", _decay(self.decay))
        set_field(self, "under_grading", number("under_grading", self.under_grading, 0.0, 1.0))
        set_field(self, "over_grading", number("over_grading", self.over_grading, 0.0, 1.0))
        set_field(self, "thresholds", _thresholds(self.thresholds))
        factor = number("threshold_factor", self.threshold_factor, 0.0, 1.0)
        set_field(self, "threshold_factor", factor)
        set_field(self, "beta", number("beta", self.beta, 0.1, 10.0))
        set_field(self, "box_threshold", number("box_threshold", self.box_threshold, 0.01, 0.99))
        set_field(self, "answer_floor", number("answer_floor", self.answer_floor, 0.0, 1.0))
        set_field(self, "number_reach", number("number_reach", self.number_reach, 0.01, 10.0))
        set_field(self, "field_balance", number("field_balance", self.field_balance, 0.0, 1.0))
        set_field(self, "absent_weight", number("absent_weight", self.absent_weight, 0.001, 1.0))
        set_field(self, "gates", _gates(self.gates))
        set_field(self, "completion_format", check_format(self.completion_format))
        set_field(self, "task_scale", check_scale(self.task_scale))
        if self.box_quality == "schedule":
            raise ConfigError(
                "box_quality: 'schedule' moves box_threshold with the steps of a run, which only "
                "medreward_trl.reward_funcs and shaped see, with a trace; here take 'threshold' or "
                "'above' with a box_threshold of your own"
            )
        if self.box_quality == "point":
            raise ConfigError(
                "box_quality: 'point' is no quality of boxes, and the prompt would ask for boxes; "
                "points are a kind of task: write 'kind: pointing' in the card and leave "
                "box_quality out"
            )
        is_outside = isinstance(self.report_metric, str) and _RADEVAL_NAME.fullmatch(
            self.report_metric
        )
        if not is_outside and self.report_metric not in REPORT_METRICS:
            names = (*REPORT_METRICS, f"{RADEVAL}METRIC", f"{RADEVAL}METRIC:KEY")
            raise expected("report_metric", self.report_metric, names)
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in tuple(allowed):
                raise expected(name, getattr(self, name), allowed)
        if "recitation_needs_accuracy" in self.gates and self.delta != 1:
            raise ConfigError(
                f"gates: 'recitation_needs_accuracy' goes with delta +1 only, not {self.delta:+d}: "
                f"it would punish nothing but right answers"
            )

    def updated(self, changes: Mapping[str, Any]) -> RewardSettings:
        """Return a copy with `changes`; weights that are not named keep their value.

        `preset`, a name out of `PRESETS`, stands for its settings; those beside it count more.

        >>> RewardSettings().updated({"preset": "screening"}).under_grading
        0.5
        """
        if not changes:
            return self
        changes = _expand_preset(changes)
        known = [f.name for f in fields(self)]
        for name in changes:
            if name not in known:
                raise expected("reward setting", name, known)
        values = dict(changes)
        if "weights" in values:
            given = values["weights"]
            values["weights"] = given if isinstance(given, Weights) else self.weights.updated(given)
        return replace(self, **values)


def _expand_preset(changes: Mapping[str, Any]) -> Mapping[str, Any]:
    if "preset" not in changes:
        return changes
    name = changes["preset"]
    if not isinstance(name, str) or name not in PRESETS:
        raise expected("preset", name, PRESETS)
    return {**PRESETS[name], **{key: value for key, value in changes.items() if key != "preset"}}


def _thresholds(value: object) -> tuple[int, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ConfigError(f"thresholds: {quote(value)} is not a list of grades, such as [2, 4]")
    found = tuple(whole(f"thresholds[{i}]", grade, 1) for i, grade in enumerate(value))
    if any(one >= other for one, other in pairwise(found)):
        raise ConfigError(f"thresholds: {quote([*found])} do not rise; give each grade once")
    return found


def _sign(value: object) -> int:
    if isinstance(value, str) and value in _DELTAS:
        return _DELTAS[value]
    if isinstance(value, Real) and not isinstance(value, bool) and value in (-1, 0, 1):
        return int(float(value))
    raise ConfigError(
        f"delta: {quote(value)} is not a sign; it is +1 (rewards recitation), -1 (penalises "
        f"it) or 0, "
        f"and weights.recitation says how much"
    )


def _decay(value: object) -> str | tuple[float, ...]:
    if isinstance(value, str):
        if value not in DECAYS:
            raise expected("decay", value, DECAYS)
        return value
    if not isinstance(value, Sequence) or len(value) == 0:
        raise ConfigError(
            f"decay: {quote(value)} is neither one of {', '.join(DECAYS)} nor a table of credits"
        )
    table = tuple(number(f"decay[{d}]", credit, 0.0, 1.0) for d, credit in enumerate(value))
    if table[0] != 1.0:
        raise ConfigError(f"decay[0]: {table[0]} is the credit of the right grade and must be 1")
    for d in range(1, len(table)):
        if table[d] >= 1.0 or table[d] > table[d - 1]:
            raise ConfigError(
                f"decay[{d}]: {table[d]} must be below 1 and not above decay[{d - 1}] "
                f"({table[d - 1]}): credit never rises with the distance"
            )
    return table


def _gates(value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence | set | frozenset):
        raise ConfigError(f"gates: {quote(value)} is not a list of names out of {', '.join(GATES)}")
    for name in value:
        if not isinstance(name, str) or name not in GATES:
            raise expected("gates", name, GATES)
    return tuple(sorted(set(value)))
