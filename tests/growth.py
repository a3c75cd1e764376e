"""How the time of a piece of work grows with its size: ratios within one run, never seconds.

A bound in seconds fails on a busy machine and holds on a fast one whatever the code does. The ratio
of two sizes is about the same on both: for four times the size, linear work takes 4 times as long
and quadratic work 16 times. A busy machine can make one ratio bad (another program empties the
processor's caches while the larger size runs), so that a bad one is held against a second: sixteen
times the size, where quadratic work takes 256 times as long.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable
from time import process_time

STEP = 4  # the larger size is so many times the smaller one
# Between 4 (linear) and 16 (quadratic): work of n log n and the caches of a processor stay below.
MOST = 10.0
# The same between 16 and 256, for sixteen times the size.
MOST_OF_WIDE = 64.0
# Work that takes less at the larger size is not looked at: its ratio is the noise of the clock.
FLOOR = 0.03
TRIES = 8

Work = Callable[[], object]


def seconds(work: Work) -> float:
    """Return the processor time of one call, without the collection of garbage."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        start = process_time()
        work()
        return process_time() - start
    finally:
        if collecting:
            gc.enable()


def growth(work_of: Callable[[int], Work], size: int, step: int, allowed: float) -> float:
    """Return by how much the time grows from a part of the size to the size.

    The least times of some tries are compared, as other programs can only add to them. A ratio that
    is good after the first try is taken; a bad one is measured again. 1 where the work takes too
    little time to tell.

    Args:
        work_of: for a size, the work to measure; what it needs is made before, and not measured.
            It must not remember its result, or the second call measures nothing.
        size: the larger size.
        step: the larger size is so many times the smaller one.
        allowed: a ratio of at most this is good.
    """
    small, large = work_of(max(1, size // step)), work_of(size)
    least = most = math.inf
    small()  # fills the caches that do not depend on the size
    for _ in range(TRIES):
        least = min(least, *(seconds(small) for _ in range(3)))
        most = min(most, seconds(large))
        if most < FLOOR or most <= allowed * least:
            break
    return 1.0 if most < FLOOR else most / least


def assert_linear(work_of: Callable[[int], Work], size: int, about: object = "") -> None:
    """Fail where the time grows clearly faster than the size, by two ratios."""
    grown = growth(work_of, size, STEP, MOST)
    if grown <= MOST:
        return
    wide = growth(work_of, size, STEP**2, MOST_OF_WIDE)
    assert wide <= MOST_OF_WIDE, (
        f"{about} {size}: {STEP} times the size takes {grown:.1f} times as long, "
        f"{STEP**2} times the size {wide:.1f} times"
    )


def assert_less(work: Work, named: Work) -> None:
    """Fail where the work takes longer than another piece of work in every one of some tries."""
    tries = [(seconds(work), seconds(named)) for _ in range(2)]
    while len(tries) < TRIES and not any(one < other for one, other in tries):
        tries.append((seconds(work), seconds(named)))
    assert any(one < other for one, other in tries), tries


def repeated(unit: str, length: int) -> str:
    """Return a text of about this length, made of one unit."""
    return unit * max(1, length // len(unit))
