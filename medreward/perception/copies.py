"""Rows -> rows with transforms applied once and for all: what `medreward prepare` does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from medreward.data.rows import Row
from medreward.files.pool import ordered_map
from medreward.perception.rows import RowTransform
from medreward.perception.transforms.pipeline import Pipeline
from medreward.scoring.task_book import TaskBook
from medreward.task.task import Task


@dataclass(frozen=True)
class Copies:
    """A row -> the rows that come of it; can be pickled.

    Attributes:
        change: what is applied.
        count: how many changed copies follow the row, each with a draw of its own; with 0, the row
            itself is changed.
    """

    change: RowTransform
    count: int = 0

    def __call__(self, row: Row) -> list[Row]:
        """Return the rows; the first copy's id is ``ID#1``."""
        if not self.count:
            return [self.change(row)]
        return [row, *(self._copy(row, number) for number in range(1, self.count + 1))]

    def _copy(self, row: Row, number: int) -> Row:
        changed = self.change(row, epoch=number)
        name = f"{row['extra_info']['id']}#{number}"
        return {**changed, "extra_info": {**changed["extra_info"], "id": name}}


def transform_copies(
    rows: Iterable[Row], task: Task, pipeline: Pipeline, *, seed: int, copies: int, workers: int
) -> Iterator[Row]:
    """Yield the rows of one task, changed or followed by changed copies, in their order.

    Raises:
        ConfigError: as `RowTransform` does.
    """
    change = Copies(RowTransform(pipeline, TaskBook({task.name: task}), seed), copies)
    for made in ordered_map(change, rows, workers=workers):
        yield from made
