"""Checks of values that a person gives: the message names the value and what is allowed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from numbers import Real
from typing import Any

from medreward.errors import ConfigError, expected, quote


def number(what: str, value: object, low: float, high: float) -> float:
    """Return `value` as a float, or raise a `ConfigError` if it is no number in [low, high]."""
    if type(value) in (int, float) and low <= value <= high:  # type: ignore[operator]
        return float(value)  # type: ignore[arg-type]
    if isinstance(value, Real) and not isinstance(value, bool):
        with suppress(OverflowError):
            if low <= float(value) <= high:
                return float(value)
    raise ConfigError(f"{what}: {quote(value)} is not a finite number from {low:g} to {high:g}")


def whole(what: str, value: object, low: int, high: int | None = None) -> int:
    """Return a whole number from `low` on, or up to `high`.

    >>> whole("limit", 3, 1)
    3
    """
    inside = isinstance(value, int) and not isinstance(value, bool) and value >= low
    if not (inside and (high is None or value <= high)):  # type: ignore[operator]
        end = "on" if high is None else f"to {high}"
        raise ConfigError(f"{what}: {quote(value)} is not a whole number from {low} {end}")
    return value  # type: ignore[return-value]


def flag(what: str, value: object) -> bool:
    """Return a value that is true or false."""
    if not isinstance(value, bool):
        raise ConfigError(f"{what}: {quote(value)} is neither true nor false")
    return value


def text(what: str, value: object, *, empty: bool = False) -> str:
    """Return a text; an empty one where that is allowed."""
    if isinstance(value, str) and (value or empty):
        return value
    hint = " (put it in quotes)" if isinstance(value, bool | int | float) else ""
    if value is None:
        hint = f" (missing or empty: write {what.rpartition('.')[2]}: …)"
    raise ConfigError(f"{what}: {quote(value)} is not a {'' if empty else 'non-empty '}text{hint}")


def list_of(what: str, value: object) -> list[Any]:
    """Return a list."""
    if not isinstance(value, list):
        raise ConfigError(f"{what}: {quote(value)} is not a list")
    return value


def texts(what: str, value: object) -> tuple[str, ...]:
    """Return the texts of a list, none of them empty."""
    return tuple(text(f"{what}[{i}]", item) for i, item in enumerate(list_of(what, value)))


def mapping(what: str, value: object, allowed: Sequence[str] | None = None) -> dict[str, Any]:
    """Return a mapping whose keys are texts and, where they are listed, allowed."""
    if not isinstance(value, Mapping):
        fields = f" with {', '.join(allowed)}" if allowed else ""
        raise ConfigError(f"{what}: {quote(value)} is not a mapping{fields}")
    if allowed is not None:
        known_fields(what, value, allowed)
    for key in value:
        if not isinstance(key, str):
            raise ConfigError(f"{what}: the key {quote(key)} is not a text (put it in quotes)")
    return dict(value)


def known_fields(what: str, given: Iterable[object], allowed: Iterable[str]) -> None:
    """Raise a `ConfigError` for the first field that is not allowed.

    >>> known_fields("row", {"hihg": 3}, ("low", "high"))
    Traceback (most recent call last):
    ...
    medreward.errors.ConfigError: row: field: 'hihg' is not one of low, high; did you mean 'high'?
    """
    names = tuple(allowed)
    for name in given:
        if name not in names:
            raise expected(f"{what}: field", name, names)


def one_of(what: str, value: object, allowed: Iterable[str]) -> str:
    """Return one of the allowed names."""
    names = tuple(allowed)
    if value not in names:
        raise expected(what, value, names)
    return str(value)
