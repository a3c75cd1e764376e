"""A folder of images and a CSV file that says what is true of each."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from medreward.data.images import ImageFile
from medreward.data.sources.record import (
    Found,
    Opener,
    Record,
    folder,
    image_files,
    safe_ids,
    shown,
)
from medreward.errors import ConfigError, expected

_MOST_NAMED = 3


@dataclass(frozen=True)
class Columns:
    """Which columns of a CSV file hold what; `patient` and `split` may be absent."""

    image: str = "image"
    label: str = "label"
    patient: str | None = None
    split: str | None = None

    def named(self) -> dict[str, str]:
        """Return the option and the column of each that is in use."""
        return {f"--{name}-column": column for name, column in vars(self).items() if column}


@dataclass(frozen=True)
class Line:
    """The cells of a CSV row that are in use, and how messages name the row."""

    image: str
    label: str
    patient: str | None
    split: str | None
    where: str


def records(path: Path, table: Path | None = None, columns: Columns | None = None) -> Found:
    """Return the images that a CSV file lists; its file names are relative to the folder `path`.

    Args:
        path: the folder of the images.
        table: the CSV file (``.tsv``: separated by tabs); else the only one in the folder.
        columns: which columns hold what.

    Raises:
        ConfigError: if the CSV file cannot be read, or lists an image twice.
    """
    lines = read_lines(folder(path), table, columns or Columns())
    ids = safe_ids(line.image for line in lines)
    found = [
        record(line, new, ImageFile(path, line.image), f"{shown(line.image)} ({line.where})")
        for line, new in zip(lines, ids, strict=True)
    ]
    listed = {line.image for line in lines}
    others = [name for name in image_files(path) if name not in listed]
    return Found(found, _unlisted(others))


def record(line: Line, new: str, image: Opener, where: str) -> Record:
    """Return the record of a line; `where` is how messages name it."""
    return Record(
        new, image, where, line.label, split=line.split, patient=line.patient, row=line.where
    )


def read_lines(path: Path, table: Path | None, columns: Columns) -> list[Line]:
    """Return the lines of the CSV file `table`, or of the only one in the folder `path`.

    Raises:
        ConfigError: if it cannot be read, lacks a column, or lists an image twice.
    """
    table = table or _only_table(path)
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            dialect = "excel-tab" if table.suffix == ".tsv" else "excel"
            reader = csv.DictReader(file, dialect=dialect, strict=True)
            lines = list(_lines(reader, shown(table.name), columns))
    except OSError as error:
        raise ConfigError(f"{shown(table)}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{shown(table)}: not UTF-8 (byte {error.start})") from error
    except csv.Error as error:
        raise ConfigError(f"{shown(table)}: not CSV: {error}") from error
    if not lines:
        raise ConfigError(f"{shown(table)}: there are no rows")
    _check_listed_once(lines)
    return lines


def _only_table(path: Path) -> Path:
    tables = sorted([*path.glob("*.csv"), *path.glob("*.tsv")])
    if len(tables) != 1:
        names = ", ".join(shown(t.name) for t in tables) or "none"
        raise ConfigError(f"{shown(path)}: one CSV file is expected, found {names}; --csv names it")
    return tables[0]


def _lines(reader: csv.DictReader[str], name: str, columns: Columns) -> Iterator[Line]:
    header = list(reader.fieldnames or [])
    for option, column in columns.named().items():
        if column not in header:
            raise expected(f"{name}: {option}", column, header)
        if header.count(column) > 1:
            raise ConfigError(
                f"{name}: the column {column!r} is there {header.count(column)} times"
            )
    for row in reader:
        where = f"{name} line {reader.line_num}"
        cell = _cells(row, len(header), where)
        yield Line(
            cell(columns.image) or "",
            cell(columns.label) or "",
            cell(columns.patient),
            cell(columns.split),
            where,
        )


def _cells(row: dict[str, str], width: int, where: str) -> Callable[[str | None], str | None]:
    """Return a function from a column in use to its cell, which must not be empty."""
    if None in row or None in row.values():
        raise ConfigError(f"{where}: the header has {width} cells, this row has not")

    def cell(column: str | None) -> str | None:
        if column is None:
            return None
        if not row[column].strip():
            raise ConfigError(f"{where}: column {column!r} is empty")
        return row[column].strip()

    return cell


def _check_listed_once(lines: list[Line]) -> None:
    first: dict[str, Line] = {}
    for line in lines:
        other = first.setdefault(line.image, line)
        if other is not line:
            raise ConfigError(f"{line.where}: the same image as in {other.where}")


def _unlisted(names: list[str]) -> list[str]:
    if not names:
        return []
    few = ", ".join(shown(name) for name in names[:_MOST_NAMED])
    more = ", …" if len(names) > _MOST_NAMED else ""
    return [f"not in the CSV file, left out: {len(names)} images ({few}{more})"]
