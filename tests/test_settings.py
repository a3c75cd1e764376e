"""The settings of a reward: what is admitted, in which form it is kept, and what is refused."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from medreward import ConfigError, RewardSettings
from medreward.checks import number
from medreward.task.weights import MAX_WEIGHT, Weights

BOUNDS = {
    "under_grading": (0.0, 1.0),
    "over_grading": (0.0, 1.0),
    "beta": (0.1, 10.0),
    "weights.accuracy": (1 / MAX_WEIGHT, MAX_WEIGHT),
    "weights.format": (0.0, MAX_WEIGHT),
    "weights.recitation": (0.0, MAX_WEIGHT),
}
NO_SIGNS: tuple[Any, ...] = ("1", "up", [1], {}, None, 2, 1j)


def set_to(name: str, value: object) -> float:
    """The value that settings keep of the one they are given."""
    group, _, field = name.rpartition(".")
    kept = RewardSettings().updated({group: {field: value}} if group else {name: value})
    found: float = getattr(kept.weights if group else kept, field)
    return found


@pytest.mark.parametrize("name", BOUNDS)
def test_a_number_is_kept_up_to_its_bounds_and_refused_by_name_beyond(name: str) -> None:
    low, high = BOUNDS[name]
    for value in (low, high):
        assert set_to(name, value) == value
    beyond = low - 1e-6, math.nextafter(high, math.inf), math.nan, -math.inf
    for wrong in (*beyond, True, "1", None):
        with pytest.raises(ConfigError, match=rf"^{name}: "):
            set_to(name, wrong)


@pytest.mark.parametrize("kind", [int, float, Fraction, np.int64, np.float32, np.float64])
def test_any_kind_of_number_becomes_a_float(kind: type) -> None:
    for value in (-1, 0, 1):
        found = number("x", kind(value), -1.0, 1.0)
        assert (found, type(found)) == (value, float)
    for value in (-2, 2):
        with pytest.raises(ConfigError, match=r"^x: .*2.* is not a finite number from -1 to 1$"):
            number("x", kind(value), -1.0, 1.0)


def test_weights_that_are_not_named_keep_their_value() -> None:
    first = RewardSettings().updated({"weights": {"accuracy": 2, "recitation": 0}})
    assert first.weights == Weights(2.0, 0.2, 0.0)
    assert first.updated({"weights": {"format": 0.5}}).weights == Weights(2.0, 0.5, 0.0)
    assert first.updated({"beta": 2}).weights == first.weights
    assert first.updated({"weights": Weights()}).weights == Weights()
    assert first.updated({}) is first


@pytest.mark.parametrize(
    ("given", "sign"),
    [
        *(("+", 1), ("δ+", 1), ("δ⁺", 1), ("plus", 1), (1, 1), (1.0, 1), (np.int64(1), 1)),
        *(("-", -1), ("δ-", -1), ("δ⁻", -1), ("minus", -1), (-1, -1), (Fraction(-1), -1)),
        *(("0", 0), (0, 0), (-0.0, 0)),
    ],
)
def test_signs(given: Any, sign: int) -> None:
    kept = RewardSettings(delta=given).delta
    assert (kept, type(kept)) == (sign, int)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        *(({"delta": wrong}, "delta: .* is not a sign") for wrong in NO_SIGNS),
        ({"weights": [1, 2]}, "is not a mapping of accuracy, format, recitation, findings to n"),
        ({"decay": 0.5}, "decay: 0.5 is neither one of geometric, .*, exact nor a table"),
        ({"decay": [1, 0.5, 0.2, 0.3]}, r"decay\[3\]: 0.3 must .* above decay\[2\] \(0.2\)"),
        ({"decay": {1: 1.0}}, "decay: .* is neither"),
        ({"gates": 5}, "gates: 5 .* out of accuracy_needs_format, recitation_needs_accuracy"),
        ({"gates": [5]}, "gates: 5 is not one of"),
        ({"gates": [["x"]]}, r"gates: \['x'\] is not one of"),
        ({"frame": ["pixels"]}, r"frame: \['pixels'\] is not one of"),
        ({"mask_quality": "f1"}, "mask_quality: 'f1' is not one of dice, iou"),
    ],
)
def test_what_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RewardSettings().updated(settings)
