"""The setting `task_scale`: brings the rewards of several tasks in one run to a common scale.

============================ =====================================================================
``none``                     rewards as they are
``percentile:P25/P50/P75``   R_accuracy becomes ``0.95 (L(R) - L(0)) + 0.05 R``, where
                             ``L(R) = 1 / (1 + exp(-3 (R - P50) / (P75 - P25)))`` is MedGRPO's
                             (CVPR 2026, read in a note) and the three are quartiles of the
                             R_accuracy that a policy earned before the run
``standardise:FACTOR``       every part is multiplied by the factor, at most 1: the task's
                             deviation within groups, against that of the task with the least
============================ =====================================================================

MedGRPO's formula is L alone. Less L(0), what earned nothing still earns nothing; GRPO, which takes
a group's mean away, does not see the difference. Far from the median L is flat: float32, in which
trainers add up rewards, would not tell a right answer from one that is nearly right. The share of
R itself keeps them apart, and so the order of any two answers.

The numbers are fixed before a run, so that a reward stays a function of text and target: the same
on any number of processes and after a resume. `medreward sweep TRACE --scale` measures them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import exp
from pathlib import Path
from typing import Any

from medreward.checks import mapping, number
from medreward.errors import ConfigError, expected, quote
from medreward.files.reading import parse_json, read_text

NO_SCALE, PERCENTILE, STANDARDISE = "none", "percentile", "standardise"
METHODS = {
    PERCENTILE: "R_accuracy by its place among what a policy earned before (MedGRPO)",
    STANDARDISE: "all parts by the deviation within groups",
}
STEEPNESS = 3.0  # MedGRPO's k
OWN_SHARE = 0.05
LEAST_FACTOR = 0.001


@dataclass(frozen=True)
class TaskScale:
    """What is done to the parts of a task's reward.

    Attributes:
        quartiles: of R_accuracy; None: it is not bent.
        factor: what every part is multiplied with.

    >>> scale = parse_scale("percentile:0.1/0.2/0.4")
    >>> [round(scale.bend(value), 3) for value in (0.0, 0.2, 0.4, 1.0)]
    [0.0, 0.372, 0.744, 0.886]
    """

    quartiles: tuple[float, float, float] | None = None
    factor: float = 1.0

    def bend(self, accuracy: float) -> float:
        """Return R_accuracy as the percentile method has it, in [0, 1] and in the same order."""
        if self.quartiles is None:
            return accuracy
        risen = self._logistic(accuracy) - self._logistic(0.0)
        return (1 - OWN_SHARE) * risen + OWN_SHARE * accuracy

    def _logistic(self, accuracy: float) -> float:
        low, middle, high = self.quartiles or (0.0, 0.5, 1.0)
        place = STEEPNESS * (accuracy - middle) / (high - low)
        small = exp(-abs(place))  # exp of a large number overflows
        return (1.0 if place >= 0 else small) / (1 + small)

    def part(self, name: str, value: float) -> float:
        """Return the value of a part."""
        return self.factor * (self.bend(value) if name == "accuracy" else value)

    def __str__(self) -> str:
        """Return the setting."""
        if self.quartiles is not None:
            return f"{PERCENTILE}:{'/'.join(map(_shortest, self.quartiles))}"
        return NO_SCALE if self.factor == 1 else f"{STANDARDISE}:{_shortest(self.factor)}"


def _shortest(value: float) -> str:
    return repr(value + 0.0).removesuffix(".0")  # never -0


@lru_cache(maxsize=256)
def parse_scale(text: str) -> TaskScale | None:
    """Return what a setting says; None: nothing is scaled.

    Raises:
        ConfigError: if it is no scale.

    >>> parse_scale("none"), parse_scale("standardise:0.25")
    (None, TaskScale(quartiles=None, factor=0.25))
    """
    method, _, numbers = text.partition(":")
    if text == NO_SCALE:
        return None
    if method == STANDARDISE:
        factor = number(f"task_scale: {text!r}: factor", _number(numbers), LEAST_FACTOR, 1.0)
        return None if factor == 1 else TaskScale(factor=factor)
    if method != PERCENTILE:
        raise _unknown(text)
    values = [_number(one) for one in numbers.split("/")]
    if len(values) != len(("p25", "p50", "p75")):
        raise _unknown(text)
    low, middle, high = (number(f"task_scale: {text!r}: quartile", v, 0.0, 1.0) for v in values)
    if not low <= middle <= high or low == high:
        raise ConfigError(
            f"task_scale: {text!r}: the quartiles have to rise, and the first to be below the "
            f"last; where they are the same, take {STANDARDISE}"
        )
    return TaskScale((low, middle, high))


def check_scale(value: object) -> str:
    """Return the setting as it is kept and signed.

    Raises:
        ConfigError: if it is no scale.

    >>> check_scale("percentile:.10/0.2/0.40")
    'percentile:0.1/0.2/0.4'
    """
    if not isinstance(value, str):
        if isinstance(value, Mapping | Path):
            raise ConfigError(
                f"task_scale: {quote(value)} is for several tasks, which a reward's adapters "
                f"take; here write one task's, such as 'percentile:0.1/0.2/0.4'"
            )
        raise _unknown(value)
    return str(parse_scale(value) or NO_SCALE)


def scale_of_task(value: object, task: str) -> object:
    """Return a task's setting out of one for several tasks.

    Args:
        value: a mapping of tasks' names to their settings, the path of a JSON file of one
            (``medreward sweep --scale`` writes it), or a setting, which is returned.
        task: the name of the task.

    Raises:
        ConfigError: if the file cannot be read, or the task is not named.

    >>> scale_of_task({"icdr": "none", "busi": "standardise:0.5"}, "busi")
    'standardise:0.5'
    """
    where = "task_scale"
    if isinstance(value, Path) or (isinstance(value, str) and value.endswith(".json")):
        where = f"task_scale: {value}"
        value = parse_json(read_text(Path(value), what="scale of tasks"))
        value = mapping(where, value).get("task_scale", value)
    if not isinstance(value, Mapping):
        return value
    if task not in value:
        raise expected(f"{where}: task", task, map(str, value))
    return value[task]


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _unknown(value: object) -> ConfigError:
    return ConfigError(
        f"task_scale: {quote(value)} is not {NO_SCALE}, {PERCENTILE}:P25/P50/P75 or "
        f"{STANDARDISE}:FACTOR; `medreward sweep TRACE --scale percentile` measures the numbers"
    )
