"""The weights of the parts of a reward: one for each part that is registered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medreward.checks import number
from medreward.errors import ConfigError, expected, quote
from medreward.task.registry import CHANGES

MAX_WEIGHT = 1e6
_DEFAULTS = {"accuracy": 1.0, "format": 0.2, "recitation": 0.05, "findings": 0.0}


def register_weight(name: str, default: float) -> None:
    """Add the weight of a part (`medreward.scoring.parts.base.register_part` calls this)."""
    _DEFAULTS[name] = number(f"weights.{name}", default, 0.0, MAX_WEIGHT)
    CHANGES.append(name)


def remove_weight(name: str) -> None:
    """Take the weight of a part out again."""
    del _DEFAULTS[name]
    CHANGES.append(name)


class Weights(Mapping[str, float]):
    """The weights of the parts: finite numbers from 0 to `MAX_WEIGHT`, `accuracy` above 0.

    A mapping of the name of each part to its weight, in the order of the parts; those that are not
    given have the part's default.

    Raises:
        ConfigError: if a name is no part's, or a weight is not allowed.

    >>> weights = Weights(format=0.5)
    >>> weights.accuracy, weights["format"], dict(weights)
    (1.0, 0.5, {'accuracy': 1.0, 'format': 0.5, 'recitation': 0.05, 'findings': 0.0})
    """

    __slots__ = ("_given",)
    _given: dict[str, float]

    def __init__(
        self,
        accuracy: float | None = None,
        format: float | None = None,  # noqa: A002 - the part's name
        recitation: float | None = None,
        **others: float,
    ) -> None:
        named = {"accuracy": accuracy, "format": format, "recitation": recitation}
        given: dict[str, Any] = {k: v for k, v in named.items() if v is not None} | others
        for name, value in given.items():
            if name not in _DEFAULTS:
                raise expected("weights", name, _DEFAULTS)
            given[name] = number(f"weights.{name}", value, 0.0, MAX_WEIGHT)
        object.__setattr__(self, "_given", given)
        if self.accuracy < 1 / MAX_WEIGHT:
            raise ConfigError(
                f"weights.accuracy: {self.accuracy} is too small; at least {1 / MAX_WEIGHT:g}, "
                f"since a right answer has to outweigh everything else"
            )

    @property
    def accuracy(self) -> float:
        """Of the answer."""
        return self["accuracy"]

    @property
    def format(self) -> float:
        """Of a well-formed completion."""
        return self["format"]

    @property
    def recitation(self) -> float:
        """Of recited knowledge."""
        return self["recitation"]

    def updated(self, changes: Mapping[str, float]) -> Weights:
        """Return a copy with `changes`; weights that are not named keep their value."""
        if not isinstance(changes, Mapping):
            raise ConfigError(
                f"weights: {quote(changes)} is not a mapping of {', '.join(self)} to numbers"
            )
        for name, value in changes.items():
            if name not in _DEFAULTS:
                raise expected("weights", name, _DEFAULTS)
            number(f"weights.{name}", value, 0.0, MAX_WEIGHT)
        return Weights(**{**self._given, **changes})

    def __getitem__(self, name: str) -> float:
        return self._given[name] if name in self._given else _DEFAULTS[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_DEFAULTS)

    def __len__(self) -> int:
        return len(_DEFAULTS)

    def __hash__(self) -> int:
        return hash(tuple(self.items()))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Weights cannot be changed; Weights.updated gives others ({name})")

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (dict(self._given),)

    def __repr__(self) -> str:
        return f"Weights({', '.join(f'{name}={value!r}' for name, value in self.items())})"


def _restored(given: dict[str, float]) -> Weights:
    return Weights(**given)
