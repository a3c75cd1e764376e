"""A comparison: the same inputs through both, values before time, runs in turns."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib import import_module
from statistics import median
from time import process_time
from typing import Any, NamedTuple

REPEATS = 7
Clock = Callable[[], float]


class Row(NamedTuple):
    """A line of the table.

    Attributes:
        what: what medreward does.
        inputs: on what.
        against: the named alternative on the same inputs.
        ours: seconds a unit, the median; the unit is an item of `inputs`.
        ratios: of each turn, the alternative's time divided by ours.
        bound: what bounds it: a part of the work that has to be done in any case.
        least: seconds a unit that this takes alone, where it is measured.
    """

    what: str
    inputs: str
    against: str
    ours: float
    ratios: Sequence[float]
    bound: str
    least: float = math.nan


class Pair(NamedTuple):
    """Two ways to the same values; `agree` raises AssertionError where they differ.

    `least` does the part of the work that bounds ours, `bound` names it; `count` is the number of
    units.
    """

    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    agree: Callable[[Any, Any], None]
    count: int
    bound: str
    least: Callable[[], Any] | None = None


def compared(
    names: tuple[str, str, str],
    pair: Pair,
    repeats: int = REPEATS,
    clock: Clock = process_time,
) -> Row:
    """Compare the values, then the time; with `repeats` 0 the values only."""
    pair.agree(pair.ours(), pair.theirs())
    runs = [(timed(pair.ours, clock), timed(pair.theirs, clock)) for _ in range(repeats)]
    ours = median(one for one, _ in runs) / pair.count if runs else math.nan
    ratios = [theirs / one for one, theirs in runs]
    least = math.nan
    if pair.least is not None and repeats:
        least = median(timed(pair.least, clock) for _ in range(repeats)) / pair.count
    return Row(*names, ours, ratios, pair.bound, least)


def timed(work: Callable[[], Any], clock: Clock = process_time) -> float:
    start = clock()
    work()
    return clock() - start


def equal(tolerance: float) -> Callable[[Iterable[float], Iterable[float]], None]:
    """Return a comparison of lists of numbers up to so much."""

    def agree(ours: Iterable[float], theirs: Iterable[float]) -> None:
        apart = [abs(a - b) for a, b in zip(ours, theirs, strict=True)]
        assert apart, "nothing to compare"
        assert max(apart) <= tolerance, f"values differ by up to {max(apart):g}"

    return agree


@cache
def installed(name: str) -> Any:
    """Return a module, or None and a printed line where it cannot be imported."""
    try:
        return import_module(name)
    except (ImportError, RuntimeError) as error:  # torchvision for another torch: RuntimeError
        package = name.partition(".")[0].replace("_", "-")
        print(f"skipped: {error}; `pip install {package}` brings {package}", file=sys.stderr)
        return None


def table(rows: Iterable[Row]) -> str:
    """Return rows as a Markdown table: how many times as fast, median and spread.

    The last column is the row's time as a multiple of what bounds it.
    """
    heads = ("what", "on", "against", "times as fast", "lowest – highest", "a unit")
    heads += ("bounded by", "times the bound")
    lines = [heads, ("---",) * len(heads)]
    for row in rows:
        spread = f"{min(row.ratios):.2g} – {max(row.ratios):.2g}" if row.ratios else "–"
        ratio = f"{median(row.ratios):.2g}" if row.ratios else "–"
        measured = not math.isnan(row.least)
        bound = f"{row.bound}: {short_time(row.least)}" if measured else row.bound
        times = f"{row.ours / row.least:.2g}" if measured else "–"
        lines.append(
            (row.what, row.inputs, row.against, ratio, spread, short_time(row.ours), bound, times)
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def short_time(seconds: float) -> str:
    """Return a time with its unit.

    >>> short_time(0.000123), short_time(0.0123), short_time(1.23)
    ('123 µs', '12.3 ms', '1.23 s')
    """
    if math.isnan(seconds):
        return "–"
    for unit, scale in (("s", 1.0), ("ms", 1e3)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"
