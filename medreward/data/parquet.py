"""Rows -> a parquet file in veRL's schema, which TRL's adapter reads too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from medreward.data.rows import Row
from medreward.errors import ConfigError, quote
from medreward.files.atomic import replacing
from medreward.files.progress import show_progress

_TEXT = pa.string()
SCHEMA = pa.schema(
    {
        "data_source": _TEXT,
        "prompt": pa.list_(pa.struct({"role": _TEXT, "content": _TEXT})),
        "images": pa.list_(pa.struct({"bytes": pa.binary()})),
        "ability": _TEXT,
        "reward_model": pa.struct({"style": _TEXT, "ground_truth": _TEXT}),
        "extra_info": pa.struct(
            dict.fromkeys(("id", "split", "knowledge", "transforms", "patient"), _TEXT)
        ),
    }
)
_IMAGES = "images.list.element.bytes"
_COLUMNS = (
    "data_source",
    "prompt.list.element.role",
    "prompt.list.element.content",
    "ability",
    "reward_model.style",
    "reward_model.ground_truth",
    *(f"extra_info.{field.name}" for field in SCHEMA.field("extra_info").type),
)
# PNG files are compressed already, and no two are alike: a dictionary of them, or their least and
# largest one, only costs time.
_ENCODING: dict[str, Any] = {
    "compression": {**dict.fromkeys(_COLUMNS, "zstd"), _IMAGES: "none"},
    "use_dictionary": [*_COLUMNS],
    "write_statistics": [*_COLUMNS],
}
_ROW_GROUP = 256  # rows that are in memory at once


def write_parquet(
    path: str | Path, rows: Iterable[Row], *, total: int | None = None, desc: str = ""
) -> int:
    """Write rows to `path`, whole or not at all, and return their number.

    The same rows give the same bytes. Progress shows on standard error; `total` is its end, and
    `desc` what is written.

    Raises:
        ConfigError: if there are no rows, one lacks a column, or the file cannot be written.

    >>> import tempfile
    >>> from PIL import Image
    >>> from medreward import Task
    >>> from medreward.data import Example, make_rows
    >>> example = Example(Image.new("L", (64, 48)), "pneumonia", "train-1", "train")
    >>> rows = make_rows([example], Task.load("pneumoniamnist"))
    >>> write_parquet(Path(tempfile.mkdtemp()) / "train.parquet", rows)
    1
    """
    count = 0
    with replacing(path) as scratch:
        bar = show_progress(
            _complete(rows), total=total, desc=f"writing {desc or Path(path).name}", unit="row"
        )
        with pq.ParquetWriter(scratch, SCHEMA, **_ENCODING) as writer:
            for group in groups_of(bar):
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


def groups_of(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield rows in as many as one row group of a file has."""
    source = iter(rows)
    return iter(lambda: list(islice(source, _ROW_GROUP)), [])


@contextmanager
def reading_parquet(path: str | Path) -> Iterator[None]:
    """Turn what Arrow raises on a broken file into a `ConfigError` of one line."""
    try:
        yield
    except ConfigError:
        raise
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        said = str(getattr(error, "strerror", None) or error).partition("\n")[0]
        raise ConfigError(f"{path}: not a parquet file, or a broken one: {said[:200]}") from error


class Batches(Protocol):
    """What gives the rows of one file or of several, some at a time."""

    def iter_batches(self, batch_size: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows."""


def batches_of(file: Batches, path: str | Path, size: int = 64) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of an open file, some at a time.

    Raises:
        ConfigError: if they cannot be read.
    """
    batches = file.iter_batches(batch_size=size)
    while True:
        with reading_parquet(path):
            batch = next(batches, None)
            rows = None if batch is None else batch.to_pylist()
        if rows is None:
            return
        yield rows
