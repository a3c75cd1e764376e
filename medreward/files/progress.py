"""Progress of long work: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
EVERY = 10.0  # seconds between two lines of a log


def show_progress(
    items: Iterable[Item],
    *,
    desc: str,
    unit: str,
    total: int | None = None,
    every: float = EVERY,
) -> Iterator[Item]:
    """Yield items and show on standard error how many have been taken.

    On a terminal it is a bar. Elsewhere, such as in the log of a job, it is a line after so many
    seconds and again after as many; work that is done before that leaves no line.

    Args:
        items: what is worked on.
        desc: what is done.
        unit: what an item is.
        total: how many there are; None: not known.
        every: seconds between two lines.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    if sys.stderr.isatty():
        yield from tqdm(items, desc=desc, unit=unit, total=total)
        return
    begin = last = time.monotonic()
    for count, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= every:
            last = now
            print(progress_line(desc, unit, count, total, now - begin), file=sys.stderr, flush=True)


def progress_line(desc: str, unit: str, count: int, total: int | None, seconds: float) -> str:
    """Return what is said of work after some seconds, with a guess of the time that is left.

    >>> progress_line("writing train.parquet", "row", 500, 2000, 60.0)
    'writing train.parquet: 500 of 2,000 rows in 1 min 0 s, about 3 min 0 s left'
    >>> progress_line("labels", "file", 7, None, 12.4)
    'labels: 7 files in 12 s'
    """
    many = f"{count:,} of {total:,}" if total else f"{count:,}"
    line = f"{desc}: {many} {unit}s in {_time(seconds)}"
    if total and total > count:
        line += f", about {_time(seconds * (total - count) / count)} left"
    return line


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
