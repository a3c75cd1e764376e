"""medreward's rows -> a data set for TRL's GRPOTrainer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, overload

import pyarrow.compute as pc
from datasets import Dataset, Features, Image, IterableDataset, List, Value, load_dataset
from PIL.ImageOps import exif_transpose

from medreward import ConfigError
from medreward.data.check import COLUMNS
from medreward.data.image_file import image_of_row, open_image
from medreward.data.row_files import row_files, split_of_file
from medreward.data.rows import Row
from medreward.data.sources.record import UnusableError

_TEXT = Value("string")
# The columns of a stream, whose types cannot be read off its rows.
FEATURES = Features(
    {
        "prompt": List({"role": _TEXT, "content": List({"type": _TEXT, "text": _TEXT})}),
        "images": List(Image()),
        **dict.fromkeys(("task", "target", "knowledge", "id", "split"), _TEXT),
    }
)


def from_rows(rows: Iterable[Row]) -> Dataset:
    """Return rows as a data set for TRL.

    Its columns are prompt, image, task, target, knowledge, id and split. The column of images is
    ``images``, lists, if a row has more or fewer than one.

    >>> from PIL import Image as Pictures
    >>> from medreward import Task
    >>> from medreward.data import Example, make_rows
    >>> example = Example(Pictures.new("L", (20, 10)), "pneumonia", "train-1", "train")
    >>> from_rows(make_rows([example], Task.load("pneumoniamnist")))["target"][0]
    'pneumonia'
    """
    rows = list(rows)
    if not rows:
        raise ConfigError("rows: there are none")
    counts = [len(row["images"]) for row in rows]
    check_together("rows", counts)
    several = any(count != 1 for count in counts)
    return _with_images(Dataset.from_list([trl_row(row, several) for row in rows]))


def check_together(where: str, counts: Sequence[int]) -> None:
    """Raise `ConfigError` if some rows have an image and others none.

    TRL 1.16 gives the processor of a vision-language model None in place of the images of a row
    without one where another row of the batch has some, which the processor refuses.

    >>> check_together("rows", [1, 2, 0])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    medreward.errors.ConfigError: rows: 1 of 3 rows has no image; TRL trains on rows of which ...
    """
    without = sum(count == 0 for count in counts)
    if 0 < without < len(counts):
        verb = "has" if without == 1 else "have"
        raise ConfigError(
            f"{where}: {without} of {len(counts)} rows {verb} no image; TRL trains on rows of "
            f"which all or none have images: put them into two files, one run each, or train with "
            f"veRL"
        )


@overload
def from_parquet(path: str | Path) -> Dataset: ...


@overload
def from_parquet(path: str | Path, *, streaming: Literal[False]) -> Dataset: ...


@overload
def from_parquet(path: str | Path, *, streaming: Literal[True]) -> IterableDataset: ...


def from_parquet(path: str | Path, *, streaming: bool = False) -> Dataset | IterableDataset:
    """Return rows in veRL's schema as a data set for TRL.

    Args:
        path: what ``medreward prepare`` wrote: a file, a pattern such as ``rows/train-*.parquet``
            for the shards of a split, or a folder of them.
        streaming: read the rows as they are needed; the column of images is ``images`` then,
            whatever their number, since that is not known ahead. TRL needs ``max_steps`` set.

    Raises:
        ConfigError: if the file does not exist or lacks a column.

    >>> import tempfile
    >>> from PIL import Image as Pictures
    >>> from medreward import Task
    >>> from medreward.data import Example, make_rows, write_parquet
    >>> example = Example(Pictures.new("L", (20, 10)), "pneumonia", "train-1", "train")
    >>> path = Path(tempfile.mkdtemp()) / "train.parquet"
    >>> write_parquet(path, make_rows([example], Task.load("pneumoniamnist")))
    1
    >>> from_parquet(path)["id"][0]
    'train-1'
    """
    if streaming:
        stream = load_rows(path, streaming=True)
        # What `map` returns of a stream is taken as decoded, so images are decoded by it.
        return stream.map(_decoded_row, remove_columns=stream.column_names, features=FEATURES)
    data = load_rows(path)
    counts = count_images(data)
    check_together(str(path), counts)
    return to_trl(data, several=any(count != 1 for count in counts))


def load_rows(path: str | Path | Sequence[Path], *, streaming: bool = False) -> Any:
    """Return the rows of one or several files as they are, as a data set.

    Raises:
        ConfigError: if there is no file, they are of several splits, or one lacks a column.
    """
    files = row_files(path) if isinstance(path, str | Path) else path
    splits = sorted({split_of_file(file) for file in files})
    if len(splits) > 1:
        raise ConfigError(
            f"{path}: has files of {', '.join(splits)}, which would become one set; name one of "
            f"them, such as {Path(str(path)) / splits[0]}*.parquet"
        )
    names = [str(file) for file in files]
    data = load_dataset("parquet", data_files=names, split="train", streaming=streaming)
    missing = [name for name in COLUMNS if name not in data.column_names]
    if missing:
        raise ConfigError(
            f"{files[0]}: column {missing[0]!r} is missing; it has {data.column_names}"
        )
    return data


def count_images(data: Dataset) -> list[int]:
    """Return how many images each row of `load_rows` has."""
    counts: list[int] = pc.list_value_length(data.data.column("images")).to_pylist()
    return counts


def to_trl(data: Dataset, *, several: bool) -> Dataset:
    """Return rows of `load_rows` with TRL's columns; see `trl_row`."""
    mapped = data.map(
        trl_row,
        fn_kwargs={"several": several},
        remove_columns=data.column_names,
        desc="rows",
    )
    return _with_images(mapped)


def _with_images(data: Dataset) -> Dataset:
    if "images" in data.column_names:
        return data.cast_column("images", List(Image()))
    return data.cast_column("image", Image())


def _checked(row: Row) -> Row:
    """Return a row whose pictures datasets may decode: bytes, in a format that starts no program.

    Raises:
        ConfigError: if one of them is a path, or in another format.
    """
    for number, entry in enumerate(row["images"]):
        if not isinstance(entry, Mapping):
            continue  # decoded already
        try:
            with open_image(image_of_row(entry)):
                pass  # the header is read
        except UnusableError as error:
            name = row["extra_info"]["id"]
            raise ConfigError(f"row {name!r}: images[{number}]: {error}") from error
    return row


def _decoded_row(row: Row) -> dict[str, Any]:
    """Return `trl_row` with its images decoded, as datasets would."""
    made = trl_row(row, several=True)
    pictures = []
    for entry in made["images"]:
        with open_image(image_of_row(entry)) as opened:
            pictures.append(exif_transpose(opened))
    return {**made, "images": pictures}


def trl_row(row: Row, several: bool = False) -> dict[str, Any]:
    """Return one row with the columns that TRL and the reward functions look for.

    With `several`, the column of images is ``images``, a list, instead of ``image``.
    """
    info = _checked(row)["extra_info"]
    return {
        "prompt": [_message(message) for message in row["prompt"]],
        **({"images": row["images"]} if several else {"image": row["images"][0]}),
        "task": row["data_source"],
        "target": row["reward_model"]["ground_truth"],
        "knowledge": info["knowledge"],
        "id": info["id"],
        "split": info.get("split"),
    }


def _message(message: dict[str, str]) -> dict[str, Any]:
    """Return a chat message with ``<image>`` marks as typed parts."""
    parts: list[dict[str, str]] = []
    for i, text in enumerate(message["content"].split("<image>")):
        if i:
            parts.append({"type": "image", "text": ""})
        if text:
            parts.append({"type": "text", "text": text})
    return {"role": message["role"], "content": parts}
