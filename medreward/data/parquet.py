"""Rows -> a parquet file in veRL's schema, which TRL's adapter reads too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from medreward.data.rows import Row
from medreward.errors import ConfigError, quote
from medreward.files.atomic import replacing

_TEXT = pa.string()
SCHEMA = pa.schema(
    {
        "data_source": _TEXT,
        "prompt": pa.list_(pa.struct({"role": _TEXT, "content": _TEXT})),
        "images": pa.list_(pa.struct({"bytes": pa.binary()})),
        "ability": _TEXT,
        "reward_model": pa.struct({"style": _TEXT, "ground_truth": _TEXT}),
        "extra_info": pa.struct(
            {"id": _TEXT, "split": _TEXT, "knowledge": _TEXT, "transforms": _TEXT}
        ),
    }
)
_ROW_GROUP = 256  # rows that are in memory at once


def write_parquet(path: str | Path, rows: Iterable[Row], *, total: int | None = None) -> int:
    """Write rows to `path`, whole or not at all, and return their number.

    The same rows give the same bytes. A progress bar shows on a terminal; `total` is its end.

    Raises:
        ConfigError: if there are no rows, one lacks a column, or the file cannot be written.
    """
    count = 0
    with replacing(path) as scratch:
        bar = tqdm(
            _complete(rows),
            total=total,
            desc=f"writing {Path(path).name}",
            unit="row",
            disable=None,
        )
        with pq.ParquetWriter(scratch, SCHEMA, compression="zstd") as writer:
            for group in _groups(bar):
                writer.write_table(pa.Table.from_pylist(group, SCHEMA))
                count += len(group)
        if not count:
            raise ConfigError(f"{path}: there are no rows to write")
    return count


def _complete(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows; pyarrow would write a missing column as nothing."""
    for number, row in enumerate(rows):
        for column in SCHEMA.names:
            if column not in row:
                raise ConfigError(
                    f"row {number}: column {quote(column)} is missing; it has {', '.join(row)}"
                )
        yield row


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    source = iter(rows)
    return iter(lambda: list(islice(source, _ROW_GROUP)), [])
