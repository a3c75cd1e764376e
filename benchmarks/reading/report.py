"""Shares with their intervals, as tables and as JSON."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from benchmarks.reading.judge import Outcome, Reading

Z = 1.959964  # the normal quantile of a two-sided 95 % interval
HONEST = (Outcome.RIGHT, Outcome.WRONG, Outcome.MISSED)
HEAD = "| {} | answers | read and right | read and wrong | not read | null | paid for nothing |"


@dataclass(frozen=True)
class Share:
    """A count of a total, with Wilson's 95 % interval (JASA 22:209, 1927)."""

    count: int
    total: int

    @property
    def interval(self) -> tuple[float, float]:
        """The least and the largest share that the count agrees with; 0 and 1 for no total."""
        if not self.total:
            return 0.0, 1.0
        share, z2 = self.count / self.total, Z * Z / self.total
        middle = (share + z2 / 2) / (1 + z2)
        half = Z * sqrt(share * (1 - share) / self.total + z2 / self.total / 4) / (1 + z2)
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        if not self.total:
            return "-"
        low, high = self.interval
        return f"{self.count} = {self.count / self.total:.1%} ({low:.1%}-{high:.1%})"

    def as_dict(self) -> dict[str, Any]:
        """Return the share as a JSON-ready dictionary."""
        return {"count": self.count, "total": self.total, "interval": self.interval}


def count_shares(readings: Iterable[Reading]) -> dict[str, Share]:
    """Return the share of each outcome: of the honest answers, or of those that are null."""
    counts = Counter(reading.outcome for reading in readings)
    honest = sum(counts[outcome] for outcome in HONEST)
    null = counts.total() - honest
    return {o.value: Share(counts[o], honest if o in HONEST else null) for o in Outcome}


def groups(readings: Sequence[Reading]) -> dict[str, dict[str, list[Reading]]]:
    """Return readings by what they have in common: a heading -> a name -> readings.

    Disputed answers stand in a group of their own and in no other.
    """
    agreed = [reading for reading in readings if not reading.answer.disputed]
    short = [r for r in agreed if r.answer.short]
    double = [r for r in agreed if len(r.right_for) > 1]
    whole = {"all": agreed, "short honest": short, "right for two labels": double}
    whole["disputed"] = [reading for reading in readings if reading.answer.disputed]
    return {
        "set": {name: rows for name, rows in whole.items() if rows},
        "form": _split(agreed, lambda r: r.answer.form),
        "task": _split(agreed, lambda r: r.answer.task.name),
    }


def _split(rows: Iterable[Reading], key: Callable[[Reading], str]) -> dict[str, list[Reading]]:
    split = defaultdict(list)
    for row in rows:
        split[key(row)].append(row)
    return dict(sorted(split.items()))


def as_json(readings: Sequence[Reading]) -> dict[str, Any]:
    """Return all shares and all readings, ready for JSON."""
    shares = {heading: shares_of(named) for heading, named in groups(readings).items()}
    return {"shares": shares, "answers": [reading.as_dict() for reading in readings]}


def shares_of(named: Mapping[str, Sequence[Reading]]) -> dict[str, dict[str, Any]]:
    """Return the share of each outcome in groups of readings, ready for JSON."""
    return {
        name: {outcome: share.as_dict() for outcome, share in count_shares(rows).items()}
        for name, rows in named.items()
    }


def as_text(readings: Sequence[Reading], shown: int) -> str:
    """Return the tables, and of each kind of error the first `shown` answers; 0: all."""
    tables = [table(heading, named) for heading, named in groups(readings).items()]
    return "\n\n".join([*tables, all_errors(readings, shown)])


def all_errors(readings: Sequence[Reading], shown: int) -> str:
    """Return the answers that went wrong, the costly error first."""
    costly_first = (Outcome.PAID, Outcome.WRONG, Outcome.MISSED)
    parts = [errors(readings, outcome, shown) for outcome in costly_first]
    return "\n\n".join(part for part in parts if part)


def table(heading: str, named: Mapping[str, Sequence[Reading]]) -> str:
    """Return a table of groups of readings with the share of each outcome."""
    lines = [HEAD.format(heading), "|---" * 7 + "|"]
    for name, rows in named.items():
        shares = count_shares(rows)
        cells = [name, shares[Outcome.RIGHT].total]
        cells += [shares[outcome] for outcome in HONEST]
        cells += [shares[Outcome.PAID].total, shares[Outcome.PAID]]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def errors(readings: Iterable[Reading], outcome: Outcome, shown: int) -> str:
    """Return the answers of an outcome, with reason codes and what was not understood."""
    rows = [r for r in readings if r.outcome is outcome and not r.answer.disputed]
    if not rows:
        return ""
    codes = Counter(reading.reasons[0] for reading in rows if reading.reasons)
    named = ", ".join(f"{code} {count}" for code, count in codes.most_common())
    lines = [f"{outcome.value}: {len(rows)} ({named})"]
    lines += [f"  {_line(reading)}" for reading in (rows[:shown] if shown else rows)]
    if shown and len(rows) > shown:
        lines.append(f"  and {len(rows) - shown} more (--all)")
    return "\n".join(lines)


def _line(reading: Reading) -> str:
    answer = reading.answer
    said = f"read as {reading.read_as!r}" if reading.read_as is not None else "not read"
    meant = answer.why if answer.expected is None else f"means {answer.expected!r}"
    more = f"; {reading.details}" if reading.details else ""
    codes = ",".join(reading.reasons)
    return f"{answer.id} ({answer.task.name}) {answer.answer!r}: {said} [{codes}]{more}; {meant}"
