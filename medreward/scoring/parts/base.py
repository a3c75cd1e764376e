"""What a part of the reward is: one term of the weighted sum.

A part is one class in one module of this package, registered by one line of
`medreward.scoring.parts.table`. Weights, totals, signatures, traces and both trainers' adapters
take the parts from here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from medreward.errors import ConfigError, quote
from medreward.scoring.judged import Judged
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.task.weights import register_weight, remove_weight


class Part(ABC):
    """A part of the reward.

    Attributes:
        name: its name in `Score.parts` and among the weights.
        default_weight: its weight where none is given.

    >>> class Brevity(Part):
    ...     name, default_weight = "brevity", 0.01
    ...     def bounds(self, settings):
    ...         return 0.0, 1.0
    ...     def values(self, rows, settings):
    ...         return [float(len(row.completion.text) <= 200) for row in rows]
    >>> Brevity().at_stake(RewardSettings())
    1.0
    """

    name: ClassVar[str]
    default_weight: ClassVar[float]

    @abstractmethod
    def bounds(self, settings: RewardSettings) -> tuple[float, float]:
        """Return the least and the largest value, within [-1, 1]."""

    @abstractmethod
    def values(self, rows: Sequence[Judged], settings: RewardSettings) -> list[float]:
        """Return the value of each completion, after gates and sign."""

    def check(self, task: Task, settings: RewardSettings) -> None:  # noqa: B027 - may be left
        """Raise `ConfigError` where a task cannot have this part; by default each can.

        It is asked where the part's weight is not 0.
        """

    def reasons(self, row: Judged, value: float) -> tuple[str, ...]:
        """Return the reason codes of a value; by default none."""
        return ()

    def at_stake(self, settings: RewardSettings) -> float:
        """Return by how much a wrong answer may be ahead of a right, well-formed one; in [0, 2].

        By default the whole width of the bounds. Times the weight, it has to stay below what a
        right answer is ahead by, or the settings are refused.
        """
        low, high = self.bounds(settings)
        return high - low

    def signature(self, settings: RewardSettings) -> dict[str, str]:
        """Return what shapes the values beside the settings, as items of the signature."""
        return {}


_PARTS: dict[str, Part] = {}


def register_part(part: Part) -> None:
    """Add a part to all rewards.

    Raises:
        ConfigError: if there is one of that name, or its default weight is not allowed.

    >>> register_part(all_parts()[0])
    Traceback (most recent call last):
    ...
    medreward.errors.ConfigError: part: there are two of the name 'accuracy'
    """
    if part.name in _PARTS:
        raise ConfigError(f"part: there are two of the name {quote(part.name)}")
    register_weight(part.name, part.default_weight)
    _PARTS[part.name] = part


def remove_part(name: str) -> None:
    """Take a part out of all rewards.

    >>> findings = all_parts()[-1]
    >>> remove_part("findings")
    >>> part_names()
    ('accuracy', 'format', 'recitation')
    >>> register_part(findings)
    """
    del _PARTS[name]
    remove_weight(name)


def all_parts() -> tuple[Part, ...]:
    """Return all parts, in the order in which they were registered."""
    return tuple(_PARTS.values())


def part_names() -> tuple[str, ...]:
    """Return the names of all parts, in the order of `Score.parts`."""
    return tuple(_PARTS)


def used_parts(weights: Mapping[str, float]) -> tuple[Part, ...]:
    """Return the parts that a reward has: all but those whose weight is 0 unless one is given.

    >>> from medreward import Weights
    >>> [part.name for part in used_parts(Weights())]
    ['accuracy', 'format', 'recitation']
    >>> [part.name for part in used_parts(Weights(findings=0.1))][-1]
    'findings'
    """
    return tuple(part for part in _PARTS.values() if weights[part.name] or part.default_weight)
