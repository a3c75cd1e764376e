"""Diagnostics of groups: the completions of one prompt, which GRPO compares with each other."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import groupby

from medreward.errors import ConfigError

# Rewards of a group that differ by less are the same: float32, in which trainers add up parts,
# does not tell them apart from rounding.
SAME = 1e-6


def zero_variance_share(groups: Sequence[Sequence[float]]) -> float:
    """Return the share of groups whose rewards are all the same, from which GRPO learns nothing.

    >>> zero_variance_share([[1.0, 1.0], [0.25, 1.0]])
    0.5

    Raises:
        ConfigError: if there are no groups.
    """
    if not groups:
        raise ConfigError("groups: there are none")
    return sum(max(group) - min(group) < SAME for group in groups) / len(groups)


def by_prompt(keys: Sequence[Hashable], rewards: Sequence[float]) -> list[list[float]]:
    """Return the rewards in groups of neighbours with the same key, as trainers lay out batches.

    >>> by_prompt(["a", "a", "b"], [1.0, 0.0, 0.5])
    [[1.0, 0.0], [0.5]]
    """
    rows = zip(keys, rewards, strict=True)
    return [[reward for _, reward in group] for _, group in groupby(rows, key=lambda row: row[0])]
