"""The error that a wrong configuration raises, and how it names what would be right."""

from __future__ import annotations

from collections.abc import Iterable

from rapidfuzz import process

_MOST_SHOWN = 40


class ConfigError(ValueError):
    """A task, a setting or a target is wrong: the message names it, its value and what is allowed.

    Model output never raises it: whatever a model writes has a score and a reason.
    """


def expected(what: str, value: object, allowed: Iterable[str]) -> ConfigError:
    """Return the error for a `value` that is not among the `allowed` ones, naming the nearest.

    >>> print(expected("decay", "linar", ["geometric", "linear"]))
    decay: 'linar' is not one of geometric, linear; did you mean 'linear'?
    """
    names = list(allowed)
    nearest = process.extractOne(str(value), names, score_cutoff=60)
    shown = ", ".join(names) or "(none)"
    if len(names) > _MOST_SHOWN and nearest:
        shown = f"the {len(names)} known names"
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return ConfigError(f"{what}: {value!r} is not one of {shown}{hint}")
