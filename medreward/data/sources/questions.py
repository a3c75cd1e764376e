"""Questions with answers of their own, in a file: JSON, JSONL, CSV, TSV or Parquet.

A row has a question, its right answer or answers, perhaps options, and the images that it is about.
A layout names the columns of a published data set; options on the command line name others.
"""

from __future__ import annotations

import argparse
import ast
import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medreward.data.picture import load_bytes, load_file
from medreward.data.sources.base import SourceType, option
from medreward.data.sources.measures import measured, say_measures
from medreward.data.sources.record import Picture, ReadingOptions, Record, Remark, Source, printable
from medreward.data.sources.table import check_folder, check_header, column_options, split_header
from medreward.data.splits import SPLITS, split_name
from medreward.errors import ConfigError, expected, quote
from medreward.files.reading import parse_json, read_lines, read_text
from medreward.kinds.choice import LETTERS

_LIST = re.compile(r"\s*[\[{(]")
_DEFAULT_OPTIONS = ("options",)


@dataclass(frozen=True)
class QuestionColumns:
    """Which columns of a file of questions hold what.

    Attributes:
        question: the question.
        answer: the right answer: a text, the letter of an option, or a list of answers; of several
            names the first one that the file has.
        options: a column with a list or mapping of texts, or one column an option, of which empty
            ones at the end are left out; a file without the default column has no options.
        images: paths relative to the folder of images, a list of them, or images with their bytes.
        id: the question's name, if there is one.
        split: the split, if there is one.
        patient: the patient, if there is one.
        wrong: answers that are known to be wrong, if there are some.
        measures: of questions for a number, columns such as "unit" and "tolerance" that belong to
            the answer, where a file has them.

    >>> LAYOUTS["slake"].images
    'img_name'
    """

    question: str = "question"
    answer: tuple[str, ...] = ("answer",)
    options: tuple[str, ...] = _DEFAULT_OPTIONS
    images: str = "image"
    id: str = "id"
    split: str = "split"
    patient: str = "patient"
    wrong: str = "not"
    measures: tuple[str, ...] = ()


# The columns of published data sets, as their files name them.
LAYOUTS: Mapping[str, QuestionColumns] = {
    "plain": QuestionColumns(),
    "vqa-rad": QuestionColumns(images="image_name", id="qid"),
    "slake": QuestionColumns(images="img_name", id="qid"),
    "pathvqa": QuestionColumns(),
    "pmc-vqa": QuestionColumns(
        question="Question",
        answer=("Answer_label", "Answer"),
        options=("Choice A", "Choice B", "Choice C", "Choice D"),
        images="Figure_path",
        id="index",
    ),
    "omnimedvqa": QuestionColumns(
        answer=("gt_answer",),
        options=("option_A", "option_B", "option_C", "option_D"),
        images="image_path",
        id="question_id",
    ),
}
QUESTIONS = option(
    "--questions",
    nargs="+",
    metavar="FILE",
    help="questions with answers, a row for each: JSON, JSONL, CSV or Parquet; several files named "
    "train, val and test are these splits",
)
_OPTIONS = (
    option("--layout", metavar="NAME", help=f"the columns of the questions: {', '.join(LAYOUTS)}"),
    option("--image-folder", metavar="DIR", help="the folder of the questions' images"),
    option("--question-column", metavar="NAME"),
    option("--answer-column", metavar="NAME", help="right answers: texts or letters of options"),
    option(
        "--options-column",
        nargs="+",
        metavar="NAME",
        help="a column with a list of options, or one for each",
    ),
    option(
        "--where",
        action="append",
        default=[],
        metavar="COLUMN=VALUE",
        help="only rows of the questions with that value, such as q_lang=en; may be repeated",
    ),
    option(
        "--text-only", action="store_true", help="make rows of the questions without their images"
    ),
)


class QuestionFiles(SourceType):
    """A file of questions, or one for each split."""

    flags = (QUESTIONS,)
    options = (
        *_OPTIONS,
        *column_options("--image-column", "--split-column", "--patient-column"),
    )
    example = "--task short_answer --questions qa.json --image-folder images"

    def open(self, arguments: argparse.Namespace) -> Source:
        """Return the questions with their images."""
        return open_questions(
            arguments.questions,
            arguments.image_folder,
            replace(_columns(arguments), measures=getattr(arguments, "measures", ())),
            where=parse_where(arguments.where),
            text_only=arguments.text_only,
        )


def _columns(arguments: argparse.Namespace) -> QuestionColumns:
    """Return the layout that the arguments name, with the columns that they name."""
    layout = arguments.layout or "plain"
    if layout not in LAYOUTS:
        raise expected("--layout", layout, LAYOUTS)
    given = {
        "question": arguments.question_column,
        "answer": arguments.answer_column and (arguments.answer_column,),
        "options": arguments.options_column and tuple(arguments.options_column),
        "images": None if arguments.image_column == "image" else arguments.image_column,
        "split": arguments.split_column,
        "patient": arguments.patient_column,
    }
    return replace(LAYOUTS[layout], **{name: value for name, value in given.items() if value})


def parse_where(pairs: Iterable[str]) -> dict[str, str]:
    """Return the columns and values that rows have to have.

    >>> parse_where(["q_lang=en"])
    {'q_lang': 'en'}
    """
    found = {}
    for pair in pairs:
        column, equals, value = pair.partition("=")
        if not equals or not column:
            raise ConfigError(f"--where: {quote(pair)} is not COLUMN=VALUE, such as q_lang=en")
        found[column.strip()] = value.strip()
    return found


def open_questions(
    files: str | Path | Sequence[str | Path],
    folder: str | Path | None = None,
    columns: QuestionColumns | None = None,
    *,
    where: Mapping[str, str] | None = None,
    text_only: bool = False,
) -> Source:
    """Return the questions of a file, or of one for each split.

    Questions about one image are in one split: they are grouped by patient, or else by image.

    Args:
        files: JSON (a list of objects), JSONL, CSV, TSV or Parquet.
        folder: what the paths of images are relative to.
        columns: which columns hold what.
        where: column -> value of the rows to take; white space and case do not count.
        text_only: leave the images out.

    Raises:
        ConfigError: if a file or column is missing, or a row lacks its question or answer.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "questions.json"
    >>> _ = path.write_text('[{"question": "Is there a mass?", "answer": "no", "image": "1.png"}]')
    >>> [record] = open_questions(path, text_only=True).records
    >>> record.question, record.label
    ('Is there a mass?', 'no')
    """
    paths = [Path(file) for file in ([files] if isinstance(files, str | Path) else files)]
    columns = columns or QuestionColumns()
    if folder is not None:
        check_folder(folder)
    splits = _file_splits(paths)
    records: list[Record] = []
    remarks: list[Remark] = []
    for path, split in zip(paths, splits, strict=True):
        reader = _FileReader(path, folder, columns, split, text_only)
        found, left_out = reader.records(where or {}, len(paths) > 1)
        records += found
        remarks += say_measures(path.name, reader.measures)
        if left_out:
            wanted = ", ".join(f"{name}={value}" for name, value in (where or {}).items())
            remarks.append(Remark(path.name, f"{left_out} rows left out: not {wanted}"))
    if not records:
        raise ConfigError(f"{paths[0]}: no row is left to take")
    name = f"questions of {', '.join(path.name for path in paths)}"
    return Source(name, records, load_pictures, remarks=(*remarks, *_contradictions(records)))


def load_pictures(places: Sequence[Any], reading: ReadingOptions) -> list[Picture]:
    """Return the pictures of a question, in their order.

    Raises:
        UnusableError: if one of them is missing, or is no usable picture.
    """
    return [
        load_bytes(place, reading) if isinstance(place, bytes) else load_file(place, reading)
        for place in places
    ]


def _file_splits(paths: Sequence[Path]) -> list[str | None]:
    """Return the split that each file's name says it is; of a single file none."""
    if len(paths) == 1:
        return [None]
    found: list[str | None] = []
    for path in paths:
        words = re.split(r"[^A-Za-z]+", path.stem.lower())
        named = []
        for word in words:
            try:
                named.append(split_name(word))
            except ConfigError:
                continue
        if len(named) != 1:
            raise ConfigError(
                f"{path}: its name does not say which split it is ({', '.join(SPLITS)}); several "
                f"files of questions are one for each split"
            )
        found.append(named[0])
    return found


def _contradictions(records: Sequence[Record]) -> Iterator[Remark]:
    """Report questions that stand there again about the same image with another answer."""
    seen: dict[tuple[Any, str], Record] = {}
    for record in records:
        key = (record.place, " ".join(record.question.lower().split()))
        before = seen.setdefault(key, record)
        if before is not record and before.label != record.label and record.place:
            what = "the same question about the same image has another answer; both are kept"
            yield Remark(record.where, what, before.where)


class _FileReader:
    """Reads the records of one file."""

    def __init__(
        self,
        path: Path,
        folder: str | Path | None,
        columns: QuestionColumns,
        split: str | None,
        text_only: bool,
    ) -> None:
        self.path, self.columns, self.split = path, columns, split
        self.folder, self.text_only = folder, text_only
        self.measures: list[str] = []

    def records(self, where: Mapping[str, str], several: bool) -> tuple[list[Record], int]:
        """Return the records of the rows with these values, and how many others there are."""
        rows = read_rows(self.path)
        known = list(dict.fromkeys(name for row in rows for name in row))
        self._check(known, where)
        self.measures = [name for name in self.columns.measures if name in known]
        kept, ids = [], Counter[str]()
        for number, row in rows_with(rows, where):
            try:
                record = self._record(row, number, f"{self.path.stem}-" if several else "")
            except ConfigError as error:
                raise ConfigError(f"{self.path} row {number}: {error}") from error
            ids[record.id] += 1
            again = f"-{ids[record.id]}" if ids[record.id] > 1 else ""
            kept.append(replace(record, id=record.id + again))
        return kept, len(rows) - len(kept)

    def _check(self, known: Sequence[str], where: Mapping[str, str]) -> None:
        columns = self.columns
        needed = [("question", columns.question)]
        needed += [("--where", name) for name in where]
        if not self.text_only:
            needed.append(("image", columns.images))
        for what, name in needed:
            if name not in known:
                raise expected(f"{self.path}: {what} column", name, known)
        if not any(name in known for name in columns.answer):
            raise expected(f"{self.path}: answer column", columns.answer[0], known)
        is_asked = columns.options != _DEFAULT_OPTIONS
        if is_asked and not any(name in known for name in columns.options):
            raise expected(f"{self.path}: options column", columns.options[0], known)

    def _record(self, row: Mapping[str, Any], number: int, prefix: str) -> Record:
        columns = self.columns
        question = _text(row.get(columns.question))
        if not question:
            raise ConfigError(f"column {quote(columns.question)} is empty")
        name = _text(row.get(columns.id))
        images = row.get(columns.images)
        places = () if self.text_only else tuple(self._places(images))
        keys = "|".join(_image_names(images))  # what a text-only row is grouped by too
        return Record(
            id=f"{prefix}{'q' if name else 'row'}-{_safe(name) if name else f'{number:06d}'}",
            where=f"{self.path.name} row {number}" + (f" ({printable(keys)})" if keys else ""),
            place=places,
            label=self._label(row),
            question=question,
            split=self.split or _split(row.get(columns.split), columns.split),
            group=_text(row.get(columns.patient)) or keys or None,
            key=f"{keys}/{question}",
        )

    def _label(self, row: Mapping[str, Any]) -> Any:
        """Return the right answer, with the options or wrong answers that the row has."""
        columns = self.columns
        column = next((name for name in columns.answer if name in row), columns.answer[0])
        answer = _listed(row.get(column))
        if answer in (None, "", []):
            raise ConfigError(f"column {quote(column)} is empty")
        options = self._options(row)
        if options:
            return {"options": options, "answers" if isinstance(answer, list) else "answer": answer}
        wrong = _listed(row.get(columns.wrong))
        if self.measures and isinstance(answer, str | int | float):
            return measured(answer, {name: row.get(name) for name in self.measures})
        return {"answers": answer, "not": wrong} if wrong else answer

    def _options(self, row: Mapping[str, Any]) -> Any:
        names = self.columns.options
        if len(names) == 1:
            value = _listed(row.get(names[0]))
            return [value] if isinstance(value, str) and value else value
        texts = [_text(row.get(name)) for name in names]
        while texts and not texts[-1]:
            texts.pop()
        return _without_letters(texts)

    def _places(self, value: Any) -> Iterator[Any]:
        """Yield the place of each image: its bytes, or the folder and the path in it."""
        for item in value if isinstance(value, list) else [_listed(value)]:
            if isinstance(item, list):
                yield from self._places(item)
            elif isinstance(item, Mapping) and item.get("bytes"):
                yield bytes(item["bytes"])
            elif isinstance(item, bytes):
                yield item
            else:
                yield str(self._root()), _path(item, self.columns.images)

    def _root(self) -> str | Path:
        if self.folder is None:
            raise ConfigError(
                f"column {quote(self.columns.images)} holds paths of images; say with "
                f"--image-folder where they are, or with --text-only that they are left out"
            )
        return self.folder


def _image_names(value: Any) -> Iterator[str]:
    """Yield the paths of a row's images; none for those that it has as bytes."""
    for item in value if isinstance(value, list) else [_listed(value)]:
        if isinstance(item, list):
            yield from _image_names(item)
        elif not isinstance(item, bytes):
            name = _text(item.get("path") if isinstance(item, Mapping) else item)
            yield from [name] if name else []


def _path(item: Any, column: str) -> str:
    path = _text(item.get("path") if isinstance(item, Mapping) else item)
    if not path:
        raise ConfigError(f"column {quote(column)} names no image (--text-only leaves images out)")
    return path


def rows_with(
    rows: Sequence[Mapping[str, Any]], where: Mapping[str, str]
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the rows with these values and their numbers, counted from 1.

    >>> rows = [{"type": "CLOSED "}, {"type": "OPEN"}]
    >>> [number for number, _ in rows_with(rows, {"type": "closed"})]
    [1]
    """
    for number, row in enumerate(rows, start=1):
        if all(_same(row.get(name), value) for name, value in where.items()):
            yield number, row


def _same(value: Any, wanted: str) -> bool:
    return _text(value).lower() == wanted.strip().lower()


def read_rows(path: str | Path) -> list[dict[str, Any]]:
    """Return the rows of a JSON, JSONL, CSV, TSV or Parquet file.

    Raises:
        ConfigError: if it cannot be read, or is not a list of objects.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".json":
        content = parse_json(read_text(path))
        rows = content if isinstance(content, list) else None
    elif suffix == ".jsonl":
        rows = [_json_line(path, number, line) for number, line in read_lines(path)]
    elif suffix in (".csv", ".tsv"):
        rows = _csv_rows(path)
    elif suffix == ".parquet":
        rows = _parquet_rows(path)
    else:
        raise ConfigError(f"{path}: questions are read from .json, .jsonl, .csv, .tsv, .parquet")
    if rows is None or not all(isinstance(row, Mapping) for row in rows):
        raise ConfigError(f"{path}: not a list of objects, one a question")
    if not rows:
        raise ConfigError(f"{path}: it has no rows")
    return rows


def _json_line(path: Path, number: int, line: str) -> Any:
    try:
        return parse_json(line)
    except ConfigError as error:
        raise ConfigError(f"{path} line {number}: {error}") from error


def _csv_rows(path: Path) -> list[dict[str, Any]]:
    text = read_text(path, "utf-8-sig")
    lines = text.splitlines(keepends=True)
    try:
        reader = csv.DictReader(lines, delimiter=_delimiter(path, "".join(lines[:1])))
        check_header(path, reader.fieldnames or ())
        rows = list(reader)
    except csv.Error as error:
        raise ConfigError(f"{path}: not a CSV file: {error}") from error
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise ConfigError(f"{path} row {number}: not as many fields as the header has")
    return rows


def _delimiter(path: Path, header: str) -> str:
    """Return what separates the cells: a comma, a tab for .tsv, or what makes columns of a header.

    >>> _delimiter(Path("a.csv"), "question;answer"), _delimiter(Path("a.csv"), "a,b;c")
    (';', ',')
    """
    headers = split_header(path, header)
    return next((sign for sign, names in headers.items() if len(names) > 1), next(iter(headers)))


def _parquet_rows(path: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    from medreward.data.parquet import reading_parquet

    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    with reading_parquet(path):
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def _listed(value: Any) -> Any:
    """Return a list or mapping that a cell holds as text; any other text without outer space."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if not _LIST.match(text):
        return text
    for read in (parse_json, ast.literal_eval):
        try:
            found = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, list | dict | tuple):
            return list(found) if isinstance(found, tuple) else found
    return text


def _text(value: Any) -> str:
    return "" if value is None else " ".join(str(value).split())


def _safe(name: str) -> str:
    """Return a question's name as part of a row's: no path, nothing that does not print."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", printable(name))[:80]


def _split(value: Any, column: str) -> str | None:
    text = _text(value)
    if not text:
        return None
    try:
        return split_name(text)
    except ConfigError as error:
        raise ConfigError(f"column {quote(column)}: {error}") from error


def _without_letters(texts: list[str]) -> list[str]:
    """Return options without their letters, where all of them have theirs: "A: text".

    >>> _without_letters(["A:CT ", "B:MRI"]), _without_letters(["A: CT", "MRI"])
    (['CT', 'MRI'], ['A: CT', 'MRI'])
    """
    found = [re.fullmatch(r"\(?([A-Z])\s*[:.)]\s*(\S.*?)\s*", text) for text in texts]
    if all(m and m[1] == LETTERS[i] for i, m in enumerate(found)):
        return [m[2] for m in found if m]
    return texts
