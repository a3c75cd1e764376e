"""Matching what an answer gives one to one with what is there, so that copies do not pay."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeAlias

Table: TypeAlias = Any  # a numpy array of shape (given, true); numpy is imported late


def best_sum(table: Table) -> float:
    """Return the largest sum of a table over one-to-one matches (the Hungarian method)."""
    from scipy.optimize import linear_sum_assignment

    return float(table[linear_sum_assignment(table, maximize=True)].sum())


def bar_copies(table: Table, given: Sequence[Hashable], twins_of: Callable[[], Table]) -> None:
    """Set to 0 what copies of the same answer may not be matched with, so that they do not pay.

    An answer given once may be matched with anything. A copy of it may only be matched with twins
    of the true thing that it fits best, and there are never more copies matched than there are
    such twins. Of several that it fits equally well, those count that are twins of all of them:
    between two different things, a copy is a guess.

    Args:
        table: what each match is worth; changed in place.
        given: what the answer gives, one for each row; equal ones are copies.
        twins_of: gives, for each two true things, whether they are the same: shape (true, true).
    """
    if len(set(given)) == len(given):
        return
    twins = twins_of()
    places: dict[Hashable, list[int]] = {}
    for row, one in enumerate(given):
        places.setdefault(one, []).append(row)
    for first, *copies in places.values():
        if not copies:
            continue
        fit = table[first]
        allowed = twins[fit == fit.max()].all(axis=0)
        most = max(int(allowed.sum()) - 1, 0)
        table[copies[most:]] = 0.0
        for row in copies[:most]:
            table[row, ~allowed] = 0.0
