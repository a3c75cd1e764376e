"""Rows of ``medreward prepare`` in the forms that other trainers read.

=========  ======================================================================================
form       a row
=========  ======================================================================================
ms-swift   JSONL: ``messages``, ``images`` (paths), and the columns that reward functions get:
           ``task``, ``target``, ``knowledge``, ``id``, ``split``
easyr1     parquet: ``problem``, ``images``, and ``answer``: one JSON text with ``task``,
           ``target``, ``knowledge`` and ``id``, since EasyR1 gives a reward nothing else
llava      JSON: ``conversations`` with the right answer in the task's completion format, for
           supervised warm starts; ``image``, and the columns as for ms-swift
=========  ======================================================================================
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from medreward.data.check import check_shape, open_parquet, rows_in
from medreward.data.image_file import image_of_row
from medreward.data.parquet import groups_of
from medreward.data.row_files import files_by_split
from medreward.data.rows import Row
from medreward.errors import ConfigError, expected, quote
from medreward.files.atomic import replacing
from medreward.files.progress import show_progress
from medreward.kinds.right_answers import completion_with, right_answer
from medreward.kinds.truth import target_of
from medreward.scoring.task_book import TaskBook
from medreward.task.task import Task

IMAGES = ("beside", "inside")
_FOLDER = "images"
# EasyR1 takes images as files' content, or as paths under its data.image_dir.
_CONTENT = pa.struct({"bytes": pa.binary(), "path": pa.string()})
Pictures = Callable[[Row], list[Any]]


def export_rows(
    folder: str | Path | Sequence[str | Path],
    out: str | Path,
    form: str,
    *,
    images: str | None = None,
    book: TaskBook | None = None,
) -> dict[str, int]:
    """Write the parquet files of a folder in another trainer's form and return their rows' numbers.

    Args:
        folder: what ``medreward prepare`` wrote; of several folders the rows of a split follow each
            other in one file, and a row's id, after which its pictures are named, has the name of
            its folder before it: ``vqa.row-000001``.
        out: a folder, made if there is none.
        form: one of `EXPORTS`.
        images: "beside", as PNG files in ``out/images``, or "inside" the rows, where the form has
            room for them; None: what the form's trainer reads by default.
        book: the tasks that rows may be of; None: the shipped ones.

    Raises:
        ConfigError: if there is no parquet file, a row is not in the schema of rows or of no known
            task, or the form has no room for images inside.
    """
    if form not in EXPORTS:
        raise expected("--to", form, EXPORTS)
    export = EXPORTS[form]
    where = export.images[0] if images is None else images
    if where not in IMAGES:
        raise expected("--images", where, IMAGES)
    if where not in export.images:
        raise ConfigError(f"--images: {form} has no room for images {where}; it has them beside")
    folders = _named_folders(folder)
    if Path(out).resolve() in {one.resolve() for one in folders.values()}:
        raise ConfigError(f"--out: {out} is the folder of the rows themselves")
    splits: dict[str, list[tuple[str, Sequence[Path]]]] = {}
    for name, one in folders.items():
        for split, files in files_by_split(one).items():
            splits.setdefault(split, []).append((name if len(folders) > 1 else "", files))
    Path(out).mkdir(parents=True, exist_ok=True)
    book = book or TaskBook()
    written = {}
    for split, parts in splits.items():
        path = Path(out) / f"{split}{export.suffix}"
        pictures = _Beside(Path(out)) if where == "beside" else _inside
        rows = (
            export.make(_in_set(row, name), book, pictures)
            for name, files in parts
            for row in _rows_of(split, files)
        )
        written[path.name] = export.write(path, rows, where)
    return written


def _named_folders(given: str | Path | Sequence[str | Path]) -> dict[str, Path]:
    """Return folders by their names, which tell the rows of one from those of another."""
    found: dict[str, Path] = {}
    for one in [given] if isinstance(given, str | Path) else given:
        name = Path(one).resolve().name
        if name in found:
            raise ConfigError(
                f"{found[name]} and {one} are both named {quote(name)}, so that their rows would "
                f"have the same ids; rename one of the folders"
            )
        found[name] = Path(one)
    return found


def _in_set(row: Row, name: str) -> Row:
    """Return a row with the name of its set before its id, "" for none."""
    if not name:
        return row
    info = row["extra_info"]
    return {**row, "extra_info": {**info, "id": f"{name}.{info['id']}"}}


class _Beside:
    """Writes images as files and names their paths, relative to the folder of the rows."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def __call__(self, row: Row) -> list[str]:
        found = []
        for i, entry in enumerate(row["images"] or []):
            path = Path(_FOLDER) / f"{_name(row)}-{i}.png"
            (self.out / path).parent.mkdir(parents=True, exist_ok=True)
            with replacing(self.out / path) as scratch:
                scratch.write_bytes(_content(entry))
            found.append(path.as_posix())
        return found


def _name(row: Row) -> str:
    """Return a row's id as part of a file name; ids of `prepare` hold nothing else."""
    info = row["extra_info"]
    name = f"{info.get('split') or 'rows'}-{info['id']}"
    if not name.replace("-", "").replace("_", "").replace(".", "").isalnum() or ".." in name:
        raise ConfigError(f"extra_info.id: {quote(info['id'])} is no part of a file name")
    return name


def _inside(row: Row) -> list[dict[str, Any]]:
    return [{"bytes": _content(entry), "path": None} for entry in row["images"] or []]


def _content(entry: Any) -> bytes:
    content = image_of_row(entry)
    if not isinstance(content, bytes):
        raise ConfigError(f"images: {quote(entry)} is a path, not the content of a file")
    return content


def _rows_of(split: str, files: Sequence[Path]) -> Iterator[Row]:
    """Yield the rows of a split; an error names the row, counted from 0."""
    path = files[0] if len(files) == 1 else files[0].parent / f"{split}-*.parquet"
    rows = open_parquet(files)
    total = rows.metadata.num_rows
    bar = show_progress(rows_in(rows, path), total=total, desc=f"exporting {path.name}", unit="row")
    for number, row in enumerate(bar):
        wrong = next(check_shape(row), None)
        if wrong:
            raise ConfigError(f"{path} row {number}: {wrong}")
        yield row


def _task_of(row: Row, book: TaskBook) -> Task:
    return book.task_of(row["data_source"], row["extra_info"])


def _columns(row: Row) -> dict[str, Any]:
    """Return what a reward function has to know of a row."""
    info = row["extra_info"]
    return {
        "task": row["data_source"],
        "target": row["reward_model"]["ground_truth"],
        "knowledge": info.get("knowledge") or "",
        "id": info["id"],
        "split": info.get("split"),
    }


def _swift_row(row: Row, book: TaskBook, pictures: Pictures) -> dict[str, Any]:
    _task_of(row, book)
    messages = [{"role": m["role"], "content": m["content"]} for m in row["prompt"]]
    return {"messages": messages, "images": pictures(row), **_columns(row)}


def _easyr1_row(row: Row, book: TaskBook, pictures: Pictures) -> dict[str, Any]:
    _task_of(row, book)
    columns = _columns(row)
    truth = {name: columns[name] for name in ("task", "target", "knowledge", "id")}
    return {
        # It takes one text; a system message stands before the question.
        "problem": "\n".join(message["content"] for message in row["prompt"]),
        "images": pictures(row),
        "answer": json.dumps(truth, ensure_ascii=False),
    }


def _llava_row(row: Row, book: TaskBook, pictures: Pictures) -> dict[str, Any]:
    task = _task_of(row, book)
    columns = _columns(row)
    answer = right_answer(task, target_of(task, columns["target"]))
    said = completion_with(answer, completion_format=task.reward.completion_format)
    shown = pictures(row)
    return {
        "id": columns["id"],
        **({"image": shown[0] if len(shown) == 1 else shown} if shown else {}),
        "conversations": [
            {"from": "human", "value": "\n".join(message["content"] for message in row["prompt"])},
            {"from": "gpt", "value": said},
        ],
        **{name: columns[name] for name in ("task", "target", "knowledge", "split")},
    }


def _write_jsonl(path: Path, rows: Iterator[dict[str, Any]], images: str) -> int:
    count = 0
    with replacing(path) as scratch, scratch.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def _write_json(path: Path, rows: Iterator[dict[str, Any]], images: str) -> int:
    count = 0
    with replacing(path) as scratch, scratch.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(("[\n" if not count else ",\n") + json.dumps(row, ensure_ascii=False))
            count += 1
        file.write("\n]\n" if count else "[]\n")
    return count


def _write_parquet(path: Path, rows: Iterator[dict[str, Any]], images: str) -> int:
    shown = pa.string() if images == "beside" else _CONTENT
    schema = pa.schema({"problem": pa.string(), "images": pa.list_(shown), "answer": pa.string()})
    count = 0
    with replacing(path) as scratch, pq.ParquetWriter(scratch, schema) as writer:
        for group in groups_of(rows):
            writer.write_table(pa.Table.from_pylist(group, schema))
            count += len(group)
    return count


class Export:
    """A form: how a row looks in it and how rows are written.

    Attributes:
        make: a row of ours as a row of the form.
        write: writes rows to a file, with images where that is, and returns their number.
        suffix: of the file's name.
        images: where images may be, the default first.
    """

    def __init__(
        self,
        make: Callable[[Row, TaskBook, Pictures], dict[str, Any]],
        write: Callable[[Path, Iterator[dict[str, Any]], str], int],
        suffix: str,
        images: Sequence[str],
    ) -> None:
        self.make, self.write, self.suffix, self.images = make, write, suffix, images


EXPORTS: Mapping[str, Export] = {
    "ms-swift": Export(_swift_row, _write_jsonl, ".jsonl", ("beside",)),
    "easyr1": Export(_easyr1_row, _write_parquet, ".parquet", ("inside", "beside")),
    "llava": Export(_llava_row, _write_json, ".json", ("beside",)),
}
