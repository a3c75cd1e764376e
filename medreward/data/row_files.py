"""Rows in one parquet file or in several: a file, a folder, or a pattern such as ``train-*``.

`medreward prepare --shard-rows` writes ``train-00000-of-00012.parquet`` and so on. Whatever reads
rows takes them here, so that it reads the shards of a split as it reads the one file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from glob import glob, has_magic
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from medreward.data.parquet import reading_parquet, write_parquet
from medreward.data.rows import Row
from medreward.errors import ConfigError, quote

_SHARD = re.compile(r"(?P<split>.+)-(?P<index>\d{5,})-of-(?P<count>\d{5,})")


class RowCount(NamedTuple):
    """How many rows several files have together."""

    num_rows: int


class RowFiles:
    """Parquet files of the same columns, read one after the other, as `pyarrow`'s file is.

    One file is open at a time, so that thousands of shards need no more than one.

    Args:
        paths: the files, in order.

    Raises:
        ConfigError: if one cannot be read, or has other columns than the first.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self.paths = tuple(paths)
        total, schema = 0, None
        for path in self.paths:
            with reading_parquet(path):
                found = pq.read_metadata(path)
                own = found.schema.to_arrow_schema()
            schema = schema or own
            if own.names != schema.names:
                raise ConfigError(
                    f"{path}: its columns are {', '.join(own.names)}, those of {self.paths[0]} are "
                    f"{', '.join(schema.names)}; rows of one set have the same"
                )
            total += found.num_rows
        self.schema_arrow: pa.Schema = schema
        self.metadata = RowCount(total)

    def iter_batches(self, batch_size: int = 64) -> Iterator[pa.RecordBatch]:
        """Yield the rows of all files, some at a time."""
        for path in self.paths:
            with reading_parquet(path), pq.ParquetFile(path) as file:
                yield from file.iter_batches(batch_size=batch_size)

    def read(self, columns: list[str] | None = None) -> pa.Table:
        """Return columns of all files as one table."""
        return pa.concat_tables([pq.read_table(path, columns=columns) for path in self.paths])

    def __enter__(self) -> RowFiles:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Do nothing: no file stays open between two reads."""


def row_files(path: str | Path) -> list[Path]:
    """Return the parquet files that a path stands for: itself, those of a folder, or of a pattern.

    Raises:
        ConfigError: if there is none, or a shard of a set is missing.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for number in (0, 1):
    ...     (folder / f"train-{number:05}-of-00002.parquet").touch()
    >>> [file.name for file in row_files(folder / "train-*.parquet")]
    ['train-00000-of-00002.parquet', 'train-00001-of-00002.parquet']
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if path.is_dir():
        found = sorted(path.glob("*.parquet"))
        if not found:
            raise ConfigError(f"{path}: has no .parquet file")
    elif has_magic(str(path)):
        found = sorted(file for file in map(Path, glob(str(path))) if file.is_file())
        if not found:
            raise ConfigError(f"{path}: no file matches the pattern")
    else:
        raise ConfigError(f"{path}: No such file{_shards_beside(path)}")
    _check_whole(found)
    return found


def _shards_beside(path: Path) -> str:
    """Return what to say where a file is not there, and shards of its name are."""
    shards = sorted(path.parent.glob(f"{glob_text(path.stem)}-*-of-*.parquet"))
    if not shards:
        return ""
    return f"; {len(shards)} shards of it are there: {path.parent / path.stem}-*.parquet"


def glob_text(text: str) -> str:
    """Return a text as a pattern that matches it alone."""
    return re.sub(r"([*?[])", r"[\1]", text)


def _check_whole(files: Iterable[Path]) -> None:
    """Raise `ConfigError` if a shard of several is not among the files."""
    counts: dict[tuple[Path, str, int], set[int]] = {}
    for file in files:
        shard = _SHARD.fullmatch(file.stem)
        if shard:
            key = file.parent, shard["split"], int(shard["count"])
            counts.setdefault(key, set()).add(int(shard["index"]))
    for (folder, split, count), numbers in counts.items():
        absent = sorted(set(range(count)) - numbers)
        if absent:
            name = shard_name(split, absent[0], count)
            raise ConfigError(
                f"{folder}: {len(absent)} of {count} shards of {quote(split)} are missing, such as "
                f"{name}"
            )


def shard_name(split: str, number: int, count: int) -> str:
    """Return the name of a shard, which the ``datasets`` library takes for one of its split.

    >>> shard_name("train", 3, 12)
    'train-00003-of-00012.parquet'
    """
    return f"{split}-{number:05}-of-{count:05}.parquet"


def split_of_file(file: Path) -> str:
    """Return the split that a file or a shard is named by.

    >>> split_of_file(Path("rows/train-00003-of-00012.parquet")), split_of_file(Path("val.parquet"))
    ('train', 'val')
    """
    shard = _SHARD.fullmatch(file.stem)
    return shard["split"] if shard else file.stem


def write_shards(
    folder: Path, split: str, rows: Iterable[Row], size: int, *, total: int | None = None
) -> int:
    """Write the rows of a split as files of at most `size` rows each, and return their number.

    The files get their names when their number is known; until then they are ``SPLIT.N.shard``.

    Raises:
        ConfigError: as `write_parquet` does.
    """
    source, number, count = iter(rows), 0, 0
    first = next(source, None)
    while first is not None:
        own = chain([first], islice(source, size - 1))
        left = None if total is None else min(size, max(total - count, 1))
        count += write_parquet(
            _unnamed(folder, split, number), own, total=left, desc=f"{split}, file {number + 1}"
        )
        first, number = next(source, None), number + 1
    if not number:
        raise ConfigError(f"{folder / split}: there are no rows to write")
    for i in range(number):
        _unnamed(folder, split, i).replace(folder / shard_name(split, i, number))
    return count


def _unnamed(folder: Path, split: str, number: int) -> Path:
    return folder / f"{split}.{number:05}.shard"


def open_rows(path: str | Path | Sequence[Path]) -> RowFiles:
    """Open the rows at a path, which is a file, a folder of files or a pattern, or in some files.

    Raises:
        ConfigError: if there is no file, or one cannot be read.
    """
    return RowFiles(row_files(path) if isinstance(path, str | Path) else path)


def files_by_split(folder: str | Path) -> dict[str, list[Path]]:
    """Return the files of each split in a folder of rows: one, or its shards.

    Raises:
        ConfigError: if there is none, or a shard is missing.
    """
    found: dict[str, list[Path]] = {}
    for file in row_files(folder):
        found.setdefault(split_of_file(file), []).append(file)
    return found
