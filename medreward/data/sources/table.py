"""A CSV file with a row an image: the base of image folders, DICOM and NIfTI with a CSV."""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medreward.data.image_file import SUFFIXES
from medreward.data.picture import load_file
from medreward.data.sources.base import CSV, IMAGES, SourceType, option
from medreward.data.sources.record import Record, Remark, Source, Unclear, printable
from medreward.data.splits import split_name
from medreward.errors import ConfigError, expected, quote

_YES, _NO = ("1", "1.0"), ("0", "0.0")


@dataclass(frozen=True)
class Columns:
    """Which columns of a CSV file hold what.

    Attributes:
        image: the path of the image, relative to the folder.
        label: the label or grade.
        split: the split; None: the column "split" if there is one.
        patient: the patient; None: the column "patient" if there is one.
        suffix: what is added to the image column to get a file name, such as ".png".
        separator: what stands between several labels in a cell, such as "|"; "" for one label.
        question: the question; None: the column "question" if there is one.
        flags: columns that hold 1 where an image has the label that the column is named by, and 0
            where not; in place of `label`.

    >>> Columns(image="file", label="finding", suffix=".png", separator="|").split
    """

    image: str = "image"
    label: str = "label"
    split: str | None = None
    patient: str | None = None
    suffix: str = ""
    separator: str = ""
    question: str | None = None
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.separator and self.flags:
            raise ConfigError("--label-separator and --label-columns: one of them, not both")

    def label_of(self, row: Mapping[str, str]) -> str | tuple[str, ...]:
        """Return the label in a row, or a tuple of several.

        A flag that is neither 0 nor 1 is a label "COLUMN: VALUE" that a mapping has to settle.

        >>> Columns(separator="|").label_of({"label": "Effusion| Mass"})
        ('Effusion', 'Mass')
        >>> Columns(flags=("Edema", "Mass")).label_of({"Edema": "1.0", "Mass": "-1.0"})
        ('Edema', 'Mass: -1.0')
        """
        if self.flags:
            flags = ((name, row[name].strip()) for name in self.flags)
            return tuple(
                name if flag in _YES else Unclear(f"{name}: {flag or '(empty)'}")
                for name, flag in flags
                if flag not in _NO
            )
        text = row[self.label].strip()
        if not self.separator:
            return text
        return tuple(part.strip() for part in text.split(self.separator))


COLUMN_OPTIONS = (
    option("--image-column", default="image", metavar="NAME", help="default: image"),
    option("--label-column", default="label", metavar="NAME", help="default: label"),
    option(
        "--label-separator",
        default="",
        metavar="TEXT",
        help="what stands between several labels in a cell, such as '|'",
    ),
    option(
        "--label-columns",
        nargs="+",
        default=[],
        metavar="NAME",
        help="a column of 0 and 1 for each label, instead of --label-column",
    ),
    option("--question-column", metavar="NAME", help="default: question, if there is one"),
    option("--split-column", metavar="NAME", help="default: split, if there is one"),
    option("--patient-column", metavar="NAME", help="default: patient, if there is one"),
    option("--image-suffix", default="", metavar=".EXT", help="added to the column"),
)


def columns_of(arguments: argparse.Namespace) -> Columns:
    """Return the columns that the arguments name."""
    return Columns(
        image=arguments.image_column,
        label=arguments.label_column,
        question=arguments.question_column,
        split=arguments.split_column,
        patient=arguments.patient_column,
        suffix=arguments.image_suffix,
        separator=arguments.label_separator,
        flags=tuple(arguments.label_columns),
    )


class ImageTable(SourceType):
    """Images and a table with a row for each."""

    flags = (IMAGES, CSV)
    options = COLUMN_OPTIONS

    def open(self, arguments: argparse.Namespace) -> Source:
        """Return the images that the table lists."""
        return open_table(arguments.images, arguments.csv, columns_of(arguments))


def open_table(folder: str | Path, table: str | Path, columns: Columns | None = None) -> Source:
    r"""Return the images of a folder that a CSV file lists, with their labels.

    Raises:
        ConfigError: if the folder or the file cannot be read, or a column is missing.

    >>> import tempfile
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> Image.new("L", (32, 32)).save(folder / "1.png")
    >>> _ = (folder / "labels.csv").write_text("image,label\n1.png,pneumonia")
    >>> [record.label for record in open_table(folder, folder / "labels.csv").records]
    ['pneumonia']
    """
    check_folder(folder)
    records = read_table(folder, table, columns or Columns())
    _check_once(Path(table), records)
    name = f"images listed in {Path(table).name}"
    return Source(name, records, load_file, remarks=_unlisted(Path(folder), records, Path(table)))


def read_table(
    folder: str | Path, table: str | Path, columns: Columns, *, private: bool = False
) -> list[Record]:
    """Return a record for each row of a CSV file, placed at (folder, relative path).

    Args:
        folder: what the paths are relative to.
        table: the CSV file (tab-separated if it ends in .tsv).
        columns: which columns hold what.
        private: name rows by their line only, as file names may be patients' names.
    """
    table = Path(table)
    records = []
    for line, row in rows_of(table, columns):
        path = row[columns.image].strip() + columns.suffix
        place = f"{table.name} line {line}"
        records.append(
            Record(
                id=f"row-{line:06d}",
                where=place if private else f"{place} ({printable(path)})",
                place=(str(folder), path),
                label=columns.label_of(row),
                question=_cell(row, columns.question or "question") or "",
                split=_split(row, columns, place),
                group=_cell(row, columns.patient or "patient"),
                key=path,
            )
        )
    if not records:
        raise ConfigError(f"{table}: it has no rows")
    return records


def _check_once(table: Path, records: Sequence[Record]) -> None:
    """Raise `ConfigError` for an image with two labels and no question that tells them apart."""
    seen: dict[tuple[str, str], Record] = {}
    for record in records:
        before = seen.setdefault((record.key, record.question), record)
        if before.label != record.label:
            told = "the same question" if record.question else "no question column"
            raise ConfigError(
                f"{table}: the image of {record.where} has the label {quote(record.label)} there "
                f"and {quote(before.label)} at {before.where}, and {told}; name the column of "
                f"questions (--question-column), give several labels in one cell "
                f"(--label-separator), or leave one of the rows out"
            )


def rows_of(table: Path, columns: Columns) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a CSV file with the number of the line that each begins on."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            delimiter = "\t" if table.suffix == ".tsv" else ","
            reader = csv.DictReader(file, delimiter=delimiter)
            _check_columns(table, list(reader.fieldnames or []), columns)
            line = reader.line_num + 1
            for row in reader:
                if None in row or None in row.values():
                    raise ConfigError(f"{table} line {line}: not as many fields as the header has")
                yield line, row
                line = reader.line_num + 1
    except OSError as error:
        raise ConfigError(f"{table}: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{table}: not a CSV file in UTF-8: {error}") from error


def check_folder(folder: str | Path) -> None:
    """Raise `ConfigError` unless there is a folder at the path."""
    if not Path(folder).is_dir():
        raise ConfigError(f"{folder}: no such folder")


def files_in(folder: Path) -> list[str]:
    """Return the paths of all files in a folder, relative to it and sorted, but hidden ones.

    Links to folders are not followed; they are listed as if they were files.
    """
    found = []
    for parent, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        found += [
            os.path.relpath(os.path.join(parent, name), folder)
            for name in [*names, *links]
            if not name.startswith(".")
        ]
    return sorted(found)


def is_picture(path: str) -> bool:
    """Whether a path ends as picture files do."""
    return os.path.splitext(path)[1].lower() in SUFFIXES


def _check_columns(table: Path, names: list[str], columns: Columns) -> None:
    labels = columns.flags or (columns.label,)
    for which, name in (
        ("image", columns.image),
        *(("label", name) for name in labels),
        ("question", columns.question),
        ("split", columns.split),
        ("patient", columns.patient),
    ):
        if name is not None and name not in names:
            raise expected(f"{table}: {which} column", name, names)


def _cell(row: dict[str, str], column: str) -> str | None:
    return (row.get(column) or "").strip() or None


def _split(row: dict[str, str], columns: Columns, place: str) -> str | None:
    column = columns.split or "split"
    if column not in row:
        return None
    try:
        return split_name(row[column])
    except ConfigError as error:
        raise ConfigError(f"{place}: column {quote(column)}: {error}") from error


def _unlisted(folder: Path, records: list[Record], table: Path) -> tuple[Remark, ...]:
    """Report pictures in the folder that no row lists."""
    listed = {os.path.normpath(record.place[1]) for record in records}
    return tuple(
        Remark(printable(path), f"in the folder but not in {table.name}; left out")
        for path in files_in(folder)
        if is_picture(path) and path not in listed
    )
