"""A CSV file with a row an image: the base of image folders, DICOM and NIfTI with a CSV."""

from __future__ import annotations

import argparse
import codecs
import csv
import os
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from medreward.data.image_file import SUFFIXES
from medreward.data.picture import load_file, load_frames
from medreward.data.record_list import RecordList, number_values, short_hash
from medreward.data.sources.base import CSV, IMAGES, Option, SourceType, option
from medreward.data.sources.box_columns import (
    EMPTY_WORDS,
    check_box_columns,
    find_size_columns,
    is_size_of_boxes,
    numbers_of,
    size_of,
)
from medreward.data.sources.boxes import by_reader, check_pixels
from medreward.data.sources.find_files import find_files
from medreward.data.sources.measures import measured, say_measures
from medreward.data.sources.record import (
    Loader,
    NamedBox,
    Record,
    Remark,
    Source,
    Unclear,
    printable,
)
from medreward.data.splits import split_name
from medreward.errors import ConfigError, expected, quote

_DELIMITERS = {",": "commas (,)", ";": "semicolons (;)", "\t": "tabs", "|": "bars (|)"}
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
        flag_values: what other values in these columns mean: "1", "0", or "" to leave the image
            out; the empty text is an empty cell.
        boxes: the columns of a box, x, y, width, height or, with `corners`, x1, y1, x2, y2, of
            which an image may have a row each, or one column of all four; an image whose row has
            none shows nothing.
        corners: whether `boxes` are corners.
        reader: who drew a box, where several have read an image; a row of a reader without a box
            says that this one saw nothing.
        frame: the number of the frame to show, from 0, or several, which become several images of
            the row; None: there is no such column.
        encoding: of the text; None: UTF-8, or UTF-16 where the file begins with its mark.
        mask: of NIfTI volumes, the path of a volume of labels, in place of `label`; None: none.
        measures: where labels are numbers, columns such as "unit" and "tolerance" that belong to
            them, where a file has them.

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
    flag_values: Mapping[str, str] = field(default_factory=dict)
    boxes: tuple[str, ...] = ()
    corners: bool = False
    reader: str | None = None
    frame: str | None = None
    encoding: str | None = None
    mask: str | None = None
    measures: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.reader is not None and not self.boxes:
            raise ConfigError(
                "--reader-column: it goes with --box-columns or --corner-columns, whose boxes it "
                "says the readers of"
            )
        if self.encoding is not None:
            try:
                codecs.lookup(self.encoding)
            except LookupError:
                raise ConfigError(
                    f"--csv-encoding: {quote(self.encoding)} is no encoding that Python knows, "
                    f"such as latin-1, cp1252 or gb18030"
                ) from None
        for value, meaning in self.flag_values.items():
            if meaning not in ("1", "0", ""):
                raise ConfigError(
                    f"--flag-value: {quote(f'{value}={meaning}')}: a value means 1, 0, or nothing "
                    f"(VALUE=), which leaves its images out"
                )
        if self.boxes:
            check_box_columns(self.boxes, corners=self.corners)
        if self.flag_values and not self.flags:
            raise ConfigError("--flag-value: it goes with --label-columns")
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
            flags = ((name, self._flag(row[name].strip())) for name in self.flags)
            return tuple(
                name if flag in _YES else Unclear(f"{name}: {flag or '(empty)'}")
                for name, flag in flags
                if flag not in _NO
            )
        text = row[self.label].strip()
        if self.boxes:
            return text
        if not self.separator:
            return text
        return tuple(part.strip() for part in text.split(self.separator))

    def leaves_out(self, row: Mapping[str, str]) -> bool:
        """Whether a flag of a row has a value that leaves its image out."""
        return any(self.flag_values.get(_flag_key(row[name]), "0") == "" for name in self.flags)

    def _flag(self, text: str) -> str:
        return self.flag_values.get(_flag_key(text), text)

    def box_of(self, row: Mapping[str, str], where: str) -> NamedBox | None:
        """Return the box in a row, None where its columns are empty.

        Raises:
            ConfigError: if one of them is empty and others are not, or holds no number.
        """
        texts = numbers_of(row, self.boxes)
        if not any(texts):
            return None
        try:
            x, y, width, height = numbers = [float(text) for text in texts]
        except ValueError:
            raise ConfigError(
                f"{where}: columns {', '.join(self.boxes)}: {quote(texts)} are not four numbers"
            ) from None
        if not all(abs(number) < 1e9 for number in numbers):
            raise ConfigError(f"{where}: {quote(texts)} are not four finite numbers")
        box = (x, y, width, height) if self.corners else (x, y, x + width, y + height)
        named = NamedBox(row[self.label].strip(), box)
        check_pixels([named], where)
        return named


def _flag_key(text: str) -> str:
    """Return a flag as it is looked up: "-1" for "-1.0", "" for an empty cell."""
    text = text.strip()
    return text.removesuffix(".0")


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
    option(
        "--flag-value",
        action="append",
        default=[],
        metavar="VALUE=MEANING",
        help="in all --label-columns: what another value means, 1, 0, or nothing, which leaves the "
        "image out; such as --flag-value=-1=0, and =0 for an empty cell; may be repeated",
    ),
    option(
        "--box-columns",
        nargs="+",
        metavar="NAME",
        help="columns of x, y, width and height of a box, or one column whose cells hold all four; "
        "a row for each box, empty cells for none",
    ),
    option(
        "--corner-columns",
        nargs="+",
        metavar="NAME",
        help="the same with x1, y1, x2 and y2",
    ),
    option(
        "--reader-column",
        metavar="NAME",
        help="who drew the box, where several have read an image: their boxes are kept apart "
        "(reward setting annotators)",
    ),
    option("--question-column", metavar="NAME", help="default: question, if there is one"),
    option("--split-column", metavar="NAME", help="default: split, if there is one"),
    option("--patient-column", metavar="NAME", help="default: patient, if there is one"),
    option("--image-suffix", default="", metavar=".EXT", help="added to the names in the column"),
    option(
        "--csv-encoding",
        metavar="NAME",
        help="encoding of the CSV file, such as latin-1 (default: UTF-8, or UTF-16 by its mark)",
    ),
    option(
        "--frame-column",
        metavar="NAME",
        help="frame of the file from 0 (TIFF, GIF, DICOM, 4-D NIfTI), or several such as 0;5;9, "
        "which become several images of the row",
    ),
)


def column_options(*names: str) -> tuple[Option, ...]:
    """Return those of `COLUMN_OPTIONS` that have these names."""
    return tuple(one for one in COLUMN_OPTIONS if one.name in names)


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
        flag_values=_flag_values(arguments.flag_value),
        boxes=tuple(arguments.box_columns or arguments.corner_columns or ()),
        corners=bool(arguments.corner_columns),
        reader=arguments.reader_column,
        frame=arguments.frame_column,
        encoding=arguments.csv_encoding,
        mask=arguments.mask_column,
        measures=getattr(arguments, "measures", ()),
    )


def _flag_values(given: Sequence[str]) -> dict[str, str]:
    values = {}
    for text in given:
        value, equals, meaning = text.partition("=")
        if not equals:
            raise ConfigError(f"--flag-value: {quote(text)} is not VALUE=MEANING, such as -1=0")
        values[_flag_key(value)] = meaning.strip()
    return values


class ImageTable(SourceType):
    """Images and a table with a row for each."""

    flags = (IMAGES, CSV)
    options = COLUMN_OPTIONS
    example = "--task icdr --images photos --csv train.csv --image-suffix .png"

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
    columns = columns or Columns()
    rows, remarks = read_rows(folder, table, columns)
    placed, found = find_files(Path(folder), rows, partial(pictures_in, Path(folder)))
    records, joined = join_rows(Path(table), placed, has_boxes=bool(columns.boxes))
    said = (*remarks, *found, *joined, *_unlisted(Path(folder), records, Path(table)))
    load: Loader = load_file if columns.frame is None else load_frames
    return Source(f"images listed in {Path(table).name}", records, load, remarks=said)


def read_rows(
    folder: str | Path, table: str | Path, columns: Columns, *, private: bool = False
) -> tuple[RecordList, list[Remark]]:
    """Return a record for each row of a CSV file, placed at (folder, relative path), and remarks.

    Args:
        folder: what the paths are relative to.
        table: the CSV file; what separates its cells is found in its header.
        columns: which columns hold what.
        private: name rows by their line only, as file names may be patients' names.
    """
    table = Path(table)
    records, remarks = RecordList(), list(_unused_columns(table, columns))
    sizes = _size_columns(table, columns)
    if sizes:
        what = "its columns are the size of the image that boxes are drawn on"
        remarks.append(Remark(table.name, what, ", ".join(sizes)))
    for line, row in rows_of(table, columns):
        path = _plain_path(row[columns.image].strip() + columns.suffix)
        place = f"{table.name} line {line}"
        where = place if private else f"{place} ({printable(path)})"
        if columns.leaves_out(row):
            remarks.append(Remark(where, "left out: a value of its flags says so (--flag-value)"))
            continue
        box = columns.box_of(row, where) if columns.boxes else None
        records.append(
            Record(
                id=f"row-{line:06d}",
                where=where,
                place=_place(str(folder), path, row, columns, where),
                label=_label_of(row, columns, where),
                boxes=((box,) if box else ()) if columns.boxes else None,
                readers=_reader(row, columns, where, int(box is not None)),
                size=size_of(row, sizes),
                question=_cell(row, columns.question or "question") or "",
                split=_split(row, columns, place),
                group=_patient(row, columns),
                key=path,
            )
        )
    if not records:
        raise ConfigError(f"{table}: it has no rows")
    return records, remarks


def _size_columns(table: Path, columns: Columns) -> tuple[str, str] | None:
    """Return the columns of the image's width and height, where boxes may be of another size."""
    if not columns.boxes:
        return None
    found = find_size_columns(header_of(table, columns), columns.boxes)
    if found is None:
        return None
    rows = (row for _, row in rows_of(table, columns))
    own = is_size_of_boxes(rows, columns.boxes, found, corners=columns.corners)
    return None if own else found


def _label_of(row: Mapping[str, str], columns: Columns, where: str) -> Any:
    """Return the label of a row, None where boxes or a mask are in place of it."""
    if columns.boxes or columns.mask:
        return None
    label = columns.label_of(row)
    measures = {name: row[name] for name in columns.measures if name in row}
    if not measures:
        return label
    try:
        return measured(label, measures)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _reader(
    row: dict[str, str], columns: Columns, where: str, count: int
) -> tuple[tuple[str, int], ...]:
    """Return who read a row's image, with the number of boxes drawn."""
    if columns.reader is None:
        return ()
    name = _cell(row, columns.reader)
    if name is None:
        raise ConfigError(
            f"{where}: column {quote(columns.reader)} is empty, so that nobody knows whose box it "
            f"is; fill it in, or leave --reader-column out"
        )
    return ((name, count),)


def _place(
    folder: str, path: str, row: Mapping[str, str], columns: Columns, where: str
) -> tuple[Any, ...]:
    """Return the place of a row's image: folder, path and, where a column has them, frames."""
    if columns.frame is None:
        return folder, path
    frames = indices(row[columns.frame], where, "frame")
    if len(frames) > 1 and columns.boxes:
        raise ConfigError(
            f"{where}: boxes beside {len(frames)} frames: boxes are of one image; give a row one "
            f"frame"
        )
    return folder, path, frames


def indices(text: str | None, where: str, what: str) -> tuple[int, ...]:
    """Return the numbers in a cell, from 0, with spaces, commas or semicolons between them.

    Raises:
        ConfigError: if one of them is none.

    >>> indices("3; 5 8", "line 2", "slice"), indices("", "line 2", "slice")
    ((3, 5, 8), ())
    """
    words = re.split(r"[\s,;]+", (text or "").strip())
    if any(word and not word.isdecimal() for word in words):
        raise ConfigError(
            f"{where}: {what} {quote(text)} is not a whole number from 0 on, nor several such as "
            f"3;5"
        )
    return tuple(int(word) for word in words if word)


_READER = re.compile(r"(rad(iologist)?|reader|annotator|grader|rater)(_?(id|name))?", re.I)
_ID = r"[ _-]?(id|uid|no|nr|num|number|code|key|name|instance[ _-]?uid)"
_PERSONS = "patient|subject|person|participant|individual|donor|volunteer|mrn|患者|病人|住院号"
# What one patient may have several images of; bare, such a word may be a finding or a label.
_OCCASIONS = (
    "case|study|exam|examination|visit|series|session|scan|accession|admission|encounter|stay|"
    "lesion|nodule|tumou?r|eye|knee|slide|wsi|video|clip|volume|animal|mouse|hadm|检查"
)
_LOOKS_LIKE = {
    "patient": re.compile(rf".*({_PERSONS}).*|pid|(.*[ _-])?({_OCCASIONS})s?{_ID}", re.I),
    "split": re.compile(
        r"(data_?|k_?|cv_?)?(split|fold|subset|partition|phase|usage|set)(_?(name|no|id|\d+))?|"
        r"(is_?)?(train|training|test|val|valid|validation)(_?(test|val|set|split))*",
        re.I,
    ),
}


def unused_columns(
    names: Iterable[str], used: Collection[str], *, patient: bool, split: bool
) -> Iterator[tuple[str, str]]:
    """Yield the columns that look like patients or splits and are not used, and what they are.

    >>> [*unused_columns(["image", "PatientID", "fold"], ["image"], patient=False, split=False)]
    [('PatientID', 'patient'), ('fold', 'split')]
    >>> [*unused_columns(["lesion_id", "ExamNo"], [], patient=False, split=False)]
    [('lesion_id', 'patient'), ('ExamNo', 'patient')]
    """
    taken = {"patient": patient, "split": split}
    for name in names:
        for what, pattern in _LOOKS_LIKE.items():
            if not taken[what] and name not in used and pattern.fullmatch(name.strip()):
                yield name, what


def _unused_columns(table: Path, columns: Columns) -> Iterator[Remark]:
    delimiter, names = _header(table, columns)
    if delimiter != _usual_delimiter(table):
        yield Remark(table.name, f"its columns are separated by {_DELIMITERS[delimiter]}")
    yield from say_measures(table.name, (one for one in columns.measures if one in names))
    used = {columns.image, columns.label, columns.question, *columns.flags, *columns.boxes}
    has = {
        what: (given or what) in names
        for what, given in (("patient", columns.patient), ("split", columns.split))
    }
    for name, what in unused_columns(names, {one for one in used if one}, **has):
        detail = f"--{what}-column {name} uses it"
        yield Remark(
            table.name, f"column {quote(name)} looks like a {what}, and is not used", detail
        )
    if columns.boxes and columns.reader is None:
        for name in filter(_READER.fullmatch, names):
            what = f"column {quote(name)} looks like a reader's, and is not used: boxes of all"
            yield Remark(table.name, what, f"--reader-column {name} keeps readers apart")


def pictures_in(folder: Path) -> Iterator[str]:
    """Yield the paths of the pictures in a folder."""
    return (path for path in walk_files(folder) if is_picture(path))


def join_rows(
    table: Path, records: Sequence[Record], *, has_boxes: bool
) -> tuple[Sequence[Record], list[Remark]]:
    """Return a record for each image or question: rows of one are joined.

    Boxes are taken together. Labels that differ make a set of labels, which only a card of several
    labels takes; without a column of questions, rows that are equal are one.
    """
    numbers = number_values((*record.place[1:], record.question) for record in records)
    if len(numbers) == 0 or int(numbers.max()) + 1 == len(records):
        return records, []
    groups: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for record in records:
        groups[*record.place[1:], record.question].append(record)
    joined, remarks = RecordList(), []
    several = {key for key, found in groups.items() if len({*map(_label_key, found)}) > 1}
    for key, found in groups.items():
        first = found[0]
        _check_alike(table, found)
        if has_boxes:
            first = _join_boxes(found)
        elif several:
            labels = dict.fromkeys(part for one in found for part in _as_set(_label_key(one)))
            first = replace(first, label=tuple(labels))
        if len(found) > 1 and not has_boxes:
            what = "rows of one image: their labels are a set" if key in several else "listed twice"
            remarks.append(Remark(first.where, what, f"{len(found)} rows"))
        joined.append(first)
    if has_boxes:
        remarks.append(Remark(table.name, "rows of one image: their boxes are taken together"))
        remarks += _several_readers(joined)
    return joined, remarks


def _join_boxes(found: Sequence[Record]) -> Record:
    """Return the first of an image's rows with the boxes of all, those of a reader together."""
    drawn: dict[str, dict[NamedBox, None]] = {}
    for one in found:
        for reader, boxes in by_reader(one.boxes or (), one.readers):
            drawn.setdefault(reader, {}).update(dict.fromkeys(boxes))
    readers = tuple((reader, len(boxes)) for reader, boxes in drawn.items() if reader)
    together = tuple(box for boxes in drawn.values() for box in boxes)
    return replace(found[0], boxes=together, readers=readers)


def _several_readers(joined: Sequence[Record]) -> list[Remark]:
    count = sum(len(record.readers) > 1 for record in joined)
    what = "of several readers: the boxes of each are kept apart, as annotators"
    detail = "the reward's setting annotators says what they stand for"
    return [Remark(f"{count} images", what, detail)] if count else []


def _label_key(record: Record) -> Any:
    return repr(record.label) if isinstance(record.label, dict) else record.label


def _as_set(label: Any) -> tuple[Any, ...]:
    return label if isinstance(label, tuple) else (label,)


def _check_alike(table: Path, found: Sequence[Record]) -> None:
    """Refuse rows of one image that differ in split or patient, or answers to one question."""
    first = found[0]
    for other in found[1:]:
        for what in ("split", "group"):
            if getattr(first, what) != getattr(other, what):
                named = "patient" if what == "group" else what
                raise ConfigError(
                    f"{table}: {first.where} and {other.where} are of one image, and differ in "
                    f"their {named}"
                )
        if first.question and first.label != other.label:
            raise ConfigError(
                f"{table}: the image of {other.where} has the label {quote(other.label)} there "
                f"and {quote(first.label)} at {first.where}, and the same question; leave one of "
                f"the rows out"
            )


def rows_of(table: Path, columns: Columns) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a CSV file with the number of the line that each begins on."""
    delimiter, _ = _header(table, columns)
    with _reading(table, columns.encoding) as file:
        comments = _skip_comments(file, columns)
        reader = csv.DictReader(file, delimiter=delimiter)
        check_header(table, reader.fieldnames or ())
        _check_columns(table, list(reader.fieldnames or []), columns)
        line = comments + reader.line_num + 1
        for row in reader:
            if None in row or None in row.values():
                raise ConfigError(f"{table} line {line}: not as many fields as the header has")
            yield line, row
            line = comments + reader.line_num + 1


def check_header(table: Path, names: Sequence[str]) -> None:
    """Raise `ConfigError` for two columns of one name, of which only the last would be used."""
    twice = [name for name, count in Counter(names).items() if count > 1 and name.strip()]
    if twice:
        raise ConfigError(f"{table}: two columns have the name {quote(twice[0])}; rename one")


def _skip_comments(file: TextIO, columns: Columns) -> int:
    """Pass over lines that begin with # before the header, and return how many these are."""
    count = 0
    while True:
        start = file.tell()
        line = file.readline()
        if not line.startswith("#") or columns.image in line:
            file.seek(start)
            return count
        count += 1


@contextmanager
def _reading(table: Path, encoding: str | None) -> Iterator[TextIO]:
    try:
        if encoding is None:
            with table.open("rb") as start:
                mark = start.read(2)
            is_wide = mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # as Excel writes text
            encoding = "utf-16" if is_wide else "utf-8-sig"
        with table.open(encoding=encoding, newline="") as file:
            yield file
    except OSError as error:
        raise ConfigError(f"{table}: {error.strerror or error}") from error
    except UnicodeError as error:
        raise ConfigError(
            f"{table}: not a CSV file in UTF-8: {error}; --csv-encoding NAME says what it is in, "
            f"such as latin-1 or cp1252"
        ) from error
    except csv.Error as error:
        raise ConfigError(f"{table}: not a CSV file: {error}") from error


def header_of(table: str | Path, columns: Columns) -> list[str]:
    """Return the names of a table's columns."""
    return _header(Path(table), columns)[1]


def _header(table: Path, columns: Columns) -> tuple[str, list[str]]:
    """Return what separates the cells of a table, and its header.

    It is the one by which the header has the column of images: a comma, a tab for .tsv, or, where
    these give no such column, a semicolon, a tab or a bar.
    """
    with _reading(table, columns.encoding) as file:
        _skip_comments(file, columns)
        line = file.readline()
        headers = split_header(table, line)
    usual = _usual_delimiter(table)
    delimiter = next((sign for sign, names in headers.items() if columns.image in names), usual)
    return delimiter, headers[delimiter]


def split_header(table: Path, line: str) -> dict[str, list[str]]:
    """Return the columns that each sign would make of a header, the usual sign first."""
    signs = (_usual_delimiter(table), *_DELIMITERS)
    return {sign: next(csv.reader([line], delimiter=sign), []) for sign in signs}


def _usual_delimiter(table: Path) -> str:
    return "\t" if table.suffix.lower() == ".tsv" else ","


def check_folder(folder: str | Path) -> None:
    """Raise `ConfigError` unless there is a folder at the path."""
    if not Path(folder).is_dir():
        raise ConfigError(f"{folder}: no such folder")


def files_in(folder: Path) -> list[str]:
    """Return the paths of all files in a folder, relative to it and sorted, but hidden ones.

    Links to folders are not followed; they are listed as if they were files.
    """
    return sorted(walk_files(folder))


def walk_files(folder: Path) -> Iterator[str]:
    """Yield what `files_in` returns, folder by folder."""
    for parent, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        inside = os.path.relpath(parent, folder)
        for name in (*names, *links):
            if not name.startswith("."):
                yield name if inside == os.curdir else os.path.join(inside, name)


def is_picture(path: str) -> bool:
    """Whether a path ends as picture files do."""
    return os.path.splitext(path)[1].lower() in SUFFIXES


def _check_columns(table: Path, names: list[str], columns: Columns) -> None:
    labels = columns.flags or (() if columns.mask else (columns.label,))
    for which, name in (
        ("image", columns.image),
        *(("label", name) for name in labels),
        *(("box", name) for name in columns.boxes),
        ("question", columns.question),
        ("split", columns.split),
        ("patient", columns.patient),
        ("reader", columns.reader),
        ("frame", columns.frame),
        ("mask", columns.mask),
    ):
        if name is not None and name not in names:
            raise _no_column(table, names, which, name)


def _no_column(table: Path, names: list[str], which: str, name: str) -> ConfigError:
    """Return the error on a column that is not there, with what to do about it."""
    error = expected(f"{table}: {which} column", name, names)
    wide = max(names, key=len, default="")
    for sign, said in _DELIMITERS.items():
        if len(names) == 1 and sign in wide:
            return ConfigError(f"{error}; its header is separated by {said}")
    if any(is_picture(one) or one.replace(".", "", 1).isdigit() for one in names):
        return ConfigError(
            f"{error}; the first line seems to be no header: write one, such as image,label"
        )
    options = {"image": "--image-column", "label": "--label-column or --label-columns"}
    option_name = options.get(
        which, f"--{which}-columns" if which == "box" else f"--{which}-column"
    )
    return ConfigError(f"{error}; {option_name} NAME says which column it is")


def _cell(row: dict[str, str], column: str) -> str | None:
    return (row.get(column) or "").strip() or None


def _plain_path(path: str) -> str:
    """Return a path without ./ and //, so that two rows of one image are known to be that."""
    return os.path.normpath(path) if path else path


def _patient(row: dict[str, str], columns: Columns) -> str | None:
    """Return the patient in a row; none where the cell says that there is no value."""
    text = _cell(row, columns.patient or "patient")
    return None if text is None or text.lower() in EMPTY_WORDS else text


def _split(row: dict[str, str], columns: Columns, place: str) -> str | None:
    column = columns.split or "split"
    if column not in row:
        return None
    try:
        return split_name(row[column])
    except ConfigError as error:
        raise ConfigError(f"{place}: column {quote(column)}: {error}") from error


def _unlisted(folder: Path, records: Sequence[Record], table: Path) -> tuple[Remark, ...]:
    """Report pictures in the folder that no row lists."""
    top = os.path.abspath(folder)
    paths = (os.path.relpath(os.path.join(top, record.place[1]), top) for record in records)
    listed = np.sort(np.frombuffer(array("Q", map(short_hash, paths)), np.uint64))
    return tuple(
        Remark(printable(path), f"in the folder but not in {table.name}; left out")
        for path in sorted(_unlisted_in(folder, listed))
    )


def _unlisted_in(folder: Path, listed: np.ndarray) -> Iterator[str]:
    """Yield the pictures in a folder whose paths have none of the hashes, which are sorted."""
    for path in walk_files(folder):
        if is_picture(path):
            own = np.uint64(short_hash(path))
            place = int(np.searchsorted(listed, own))
            if place == len(listed) or listed[place] != own:
                yield path
