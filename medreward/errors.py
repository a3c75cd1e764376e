"""The error that a wrong configuration raises, and how it names what would be right."""

from __future__ import annotations

from collections.abc import Iterable

from rapidfuzz import process


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
    message = f"{what}: {value!r} is not one of {', '.join(names) or '(none)'}"
    nearest = process.extractOne(str(value), names, score_cutoff=60)
    return ConfigError(message + (f"; did you mean {nearest[0]!r}?" if nearest else ""))
