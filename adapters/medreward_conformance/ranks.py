"""What several processes of one run hand to their rewards, and the checks that compare them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import isclose
from typing import NamedTuple

from medreward.errors import quote
from medreward_conformance.verdicts import DIFFERS, NOT_SEEN, OK, Told, told_miscount

_CLOSE = 1e-5  # trainers average in float32


class Sampled(NamedTuple):
    """A completion of a distributed run: its step, its row and its text.

    >>> Sampled(1, "row0", "<think>x").id
    'row0'
    """

    step: int
    id: str
    text: str


class Rank(NamedTuple):
    """What one process of a run did.

    Attributes:
        sent: what its model wrote.
        calls: what its reward got, call by call.
        traced: what its own trace file holds; None: it shares one file with the others.
        logged: the trainer's metrics, a mapping a step; None: it logs none.

    >>> Rank([], [], [], []).calls
    []
    """

    sent: Sequence[Sampled]
    calls: Sequence[Sequence[Sampled]]
    traced: Sequence[Sampled] | None
    logged: Sequence[Mapping[str, float]] | None


class Ranks(NamedTuple):
    """A run of several processes, and one process with the same completions.

    Attributes:
        ranks: the processes.
        merged: what readers make of all trace files together.
        alone: the metrics of one process, a mapping a step.
        copies: how many completions a group has.

    >>> Ranks([], [], [], 4).copies
    4
    """

    ranks: Sequence[Rank]
    merged: Sequence[Sampled]
    alone: Sequence[Mapping[str, float]]
    copies: int


def _arrived(ranks: Iterable[Rank]) -> list[Sampled]:
    return [one for rank in ranks for call in rank.calls for one in call]


def ranks_once(seen: Ranks) -> Told:
    """Tell whether each completion of each process reached one reward, once."""
    counts = Counter(_arrived(seen.ranks))
    wanted = Counter(one for rank in seen.ranks for one in rank.sent)
    scoring = sum(bool(rank.calls) for rank in seen.ranks)
    return told_miscount(counts, wanted) or (
        OK,
        f"each of {counts.total()} completions arrives once, at one of {scoring} processes",
    )


def ranks_groups(seen: Ranks) -> Told:
    """Tell whether the completions of a group reach one process, all in one call."""
    places: dict[tuple[int, str], list[tuple[int, int]]] = {}
    for number, rank in enumerate(seen.ranks):
        for call, arrivals in enumerate(rank.calls):
            for one in arrivals:
                places.setdefault((one.step, one.id), []).append((number, call))
    if not places:
        return NOT_SEEN, "no completion arrived"
    wrong = sum(len(found) != seen.copies for found in places.values())
    if wrong:
        return DIFFERS, f"{wrong} of {len(places)} groups have not {seen.copies} completions"
    torn = sum(len(set(found)) > 1 for found in places.values())
    if torn:
        return DIFFERS, (
            f"{torn} of {len(places)} groups are split between processes or calls: a reward sees a "
            f"part of them"
        )
    return OK, f"{len(places)} groups come whole to one process each"


def ranks_trace(seen: Ranks) -> Told:
    """Tell whether each process traced what it scored, and all files together hold each once."""
    if not any(rank.calls for rank in seen.ranks):
        return NOT_SEEN, "no completion arrived"
    files = [rank.traced for rank in seen.ranks if rank.traced is not None]
    for number, rank in enumerate(seen.ranks):
        own, traced = Counter(_arrived([rank])), Counter(rank.traced or ())
        if rank.traced is not None and own != traced:
            return DIFFERS, (
                f"the file of process {number} lacks {(own - traced).total()} of its completions "
                f"and holds {(traced - own).total()} that are not its own"
            )
    arrived, merged = Counter(_arrived(seen.ranks)), Counter(seen.merged)
    if arrived != merged:
        return DIFFERS, (
            f"all files together lack {(arrived - merged).total()} completions and hold "
            f"{(merged - arrived).total()} too many"
        )
    if files:
        return OK, f"a file a process, {merged.total()} completions once when read together"
    return OK, f"one file for all processes holds {merged.total()} completions once"


def ranks_metrics(seen: Ranks) -> Told:
    """Tell whether each process logs what one process logs for the same completions."""
    compared: set[str] = set()
    for number, rank in enumerate(seen.ranks):
        if rank.logged is None:
            continue
        if len(rank.logged) != len(seen.alone):
            return DIFFERS, (
                f"process {number} logs {len(rank.logged)} steps, one process {len(seen.alone)}"
            )
        for step, (logged, alone) in enumerate(zip(rank.logged, seen.alone, strict=True), start=1):
            if logged.keys() != alone.keys():
                other = sorted(logged.keys() ^ alone.keys())
                return DIFFERS, f"only one of both logs {', '.join(other)}"
            for name, value in alone.items():
                if not isclose(logged[name], value, rel_tol=_CLOSE, abs_tol=_CLOSE):
                    return DIFFERS, (
                        f"{quote(name)} of step {step} is {logged[name]:g} in process {number}, "
                        f"{value:g} in one process"
                    )
            compared |= alone.keys()
    if not compared:
        return NOT_SEEN, "no metric was logged"
    return OK, f"{len(compared)} metrics are those of one process: {', '.join(sorted(compared))}"
