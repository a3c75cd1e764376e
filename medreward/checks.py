"""Checks of values that a person gives: the message names the value and what is allowed."""

from __future__ import annotations

from contextlib import suppress
from numbers import Real

from medreward.errors import ConfigError, quote


def number(what: str, value: object, low: float, high: float) -> float:
    """Return `value` as a float, or raise a `ConfigError` if it is no number in [low, high]."""
    if type(value) in (int, float) and low <= value <= high:  # type: ignore[operator]
        return float(value)  # type: ignore[arg-type]
    if isinstance(value, Real) and not isinstance(value, bool):
        with suppress(OverflowError):
            if low <= float(value) <= high:
                return float(value)
    raise ConfigError(f"{what}: {quote(value)} is not a finite number from {low:g} to {high:g}")
