"""An image of values, 0 for background -> a box around each value, or each connected part of one.

One pass over the image however many values it has: it is taken apart into runs, pixels of a row
that stand side by side and have one value. A mask has far fewer runs than pixels, and two runs
touch where their ends in neighbouring rows overlap.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

Column: TypeAlias = Any  # a numpy array of one dimension; numpy is imported late


class Runs(NamedTuple):
    """The runs of an image that are no background, row by row: a place in each column is a run."""

    value: Column
    row: Column
    start: Column
    stop: Column  # exclusive


def boxes_of_values(values: Any, *, connected: bool) -> tuple[Column, list[list[int]]]:
    """Return what value each box is of, rising, and the half-open boxes [x1, y1, x2, y2].

    Args:
        values: whole numbers, rows by columns.
        connected: whether there is a box for each connected part, in the order of their first
            pixels, in place of one for each value. Pixels of one value are connected that touch,
            at a side or a corner.

    >>> import numpy as np
    >>> found, boxes = boxes_of_values(np.array([[7, 0, 3], [0, 7, 3], [0, 0, 0]]), connected=True)
    >>> found.tolist(), boxes
    ([3, 7], [[2, 0, 3, 2], [0, 0, 2, 2]])
    """
    import numpy as np

    runs = _runs_of(values)
    if not len(runs.value):
        return runs.value, []
    group = _parts(runs, values.shape[1]) if connected else runs.value
    order = np.lexsort((group, runs.value))  # a part's number is that of its first run
    group = group[order]
    first: Column = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    edges = [
        np.minimum.reduceat(runs.start[order], first),
        np.minimum.reduceat(runs.row[order], first),
        np.maximum.reduceat(runs.stop[order], first),
        np.maximum.reduceat(runs.row[order], first) + 1,
    ]
    return runs.value[order[first]], np.stack(edges, axis=1).tolist()


def _runs_of(values: Any) -> Runs:
    import numpy as np

    begins = np.ones(values.shape, bool)
    begins[:, 1:] = values[:, 1:] != values[:, :-1]
    row, start = np.nonzero(begins)
    value = values[row, start]
    stop: Column = np.append(start[1:], 0)
    stop[stop == 0] = values.shape[1]  # the next run begins a row
    kept = value != 0
    return Runs(value[kept], row[kept], start[kept], stop[kept])


def _parts(runs: Runs, width: int) -> Column:
    """Return for each run the number of the first run that is connected with it."""
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    # Runs of the next row that end at or behind a run's start and start at or before its end. Rows
    # are one place longer than they are, so that none of the row after it is among them.
    line = runs.row * (width + 1)
    below = line + width + 1
    first = np.searchsorted(line + runs.stop, below + runs.start, "left")
    count = np.searchsorted(line + runs.start, below + runs.stop, "right") - first
    total = int(count.sum())
    one: Column = np.repeat(np.arange(len(count)), count)
    other: Column = np.arange(total) + np.repeat(first - np.cumsum(count) + count, count)
    same = runs.value[one] == runs.value[other]
    one, other = one[same], other[same]
    touching = coo_array((np.ones(len(one), bool), (one, other)), shape=(len(count), len(count)))
    _, part = connected_components(touching, directed=False)
    _, first_run, number = np.unique(part, return_index=True, return_inverse=True)
    found: Column = first_run[number]
    return found
