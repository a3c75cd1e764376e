"""Files of completions: one or several of each row, with what is known of how sure a model was."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from medreward.errors import ConfigError, quote
from medreward.files.reading import parse_json, read_lines


class ModelAnswer(NamedTuple):
    """A completion of a row.

    Attributes:
        completion: its text.
        confidence: a number in [0, 1], how sure the model is of its answer; or the probability of
            each label by name; None: nothing is known of it.
    """

    completion: str
    confidence: float | Mapping[str, float] | None = None


def read_completions(path: str | Path) -> dict[str, str]:
    """Return the completion of each id in a file.

    Args:
        path: JSON lines with ``id`` and ``completion``, or a parquet file with these columns.

    Raises:
        ConfigError: if a line has neither, or an id has two completions.

    ::

        completions = read_completions("predictions.jsonl")  # {"r0": "<think>…", …}
    """
    return {name: own[0].completion for name, own in read_answers(path).items()}


def read_answers(path: str | Path, samples: int = 1) -> dict[str, list[ModelAnswer]]:
    """Return the completions of each id in a file.

    Args:
        path: JSON lines with ``id``, ``completion`` and perhaps ``confidence`` (a number) or
            ``confidences`` (label -> number), or a parquet file with these columns.
        samples: how many completions each id has.

    Raises:
        ConfigError: if a line lacks a field, or an id has more or fewer completions.
    """
    path = Path(path)
    found: dict[str, list[ModelAnswer]] = {}
    models: dict[str, str] = {}
    rows = _parquet_rows(path) if path.suffix == ".parquet" else _json_rows(path)
    for where, row in rows:
        name, text = _id_and_text(f"{path} {where}", row)
        if row.get("model") is not None:
            models.setdefault(str(row["model"]), where)
            _check_model(path, models)
        own = found.setdefault(name, [])
        own.append(ModelAnswer(text, _confidence(f"{path} {where}", row)))
        if len(own) > samples:
            times = "twice" if samples == 1 else f"more than {samples} times"
            raise ConfigError(
                f"{path} {where}: the id {quote(name)} is there {times}; --samples says how "
                f"many completions a row has, {samples} here"
            )
    if not found:
        raise ConfigError(f"{path}: it has no completions; it needs {_FORM}")
    fewer = [name for name, own in found.items() if len(own) < samples]
    if fewer:
        raise ConfigError(
            f"{path}: {len(fewer)} of {len(found)} ids have fewer than {samples} completions, such "
            f"as {quote(fewer[0])} with {len(found[fewer[0]])}; --samples says how many"
        )
    return found


_FORM = 'a line for each row, {"id": "…", "completion": "…"}, where id is extra_info.id of the row'
_MOST_NAMES = 8  # fields of a line that an error names


def _id_and_text(where: str, row: Mapping[str, Any]) -> tuple[str, str]:
    """Return the id and the completion of a line.

    Raises:
        ConfigError: if one is not there, or is of another type.
    """
    for field in ("id", "completion"):
        if row.get(field) is None:
            lacks = f"{field!r} is null" if field in row else f"no {field!r}"
            more = ", …" if len(row) > _MOST_NAMES else ""
            raise ConfigError(
                f"{where}: {lacks}; it has {', '.join([*row][:_MOST_NAMES])}{more}. A file of "
                f"completions has {_FORM}"
            )
    name, text = row["id"], row["completion"]
    if isinstance(name, bool) or not isinstance(name, str | int | float):
        raise ConfigError(f"{where}: id: {quote(name)} is not a text or a number")
    if not isinstance(text, str):
        raise ConfigError(
            f"{where}: completion: {quote(text)} is not a text; of several samples of a row each "
            f"has a line, and of messages the text alone"
        )
    return str(name), text


def _check_model(path: Path, models: Mapping[str, str]) -> None:
    if len(models) > 1:
        (one, first), (other, where) = [*models.items()][:2]
        raise ConfigError(
            f"{path} {where}: a completion of the model {quote(other)}, and {first} is one of "
            f"{quote(one)}; each model has a file of its own (--compare)"
        )


def _confidence(where: str, row: Mapping[str, Any]) -> float | Mapping[str, float] | None:
    number, by_label = row.get("confidence"), row.get("confidences")
    if by_label is None:
        return None if number is None else _share(f"{where}: confidence", number)
    if number is not None:
        raise ConfigError(f"{where}: both 'confidence' and 'confidences'; give one of them")
    if not isinstance(by_label, Mapping) or not by_label:
        raise ConfigError(
            f"{where}: confidences: {quote(by_label)} is not a mapping of labels to numbers"
        )
    return {
        str(name): _share(f"{where}: confidences: {quote(str(name))}", value)
        for name, value in by_label.items()
        if value is not None  # parquet gives each row the names of all rows
    }


def _share(where: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ConfigError(f"{where}: {quote(value)} is not a number from 0 to 1")
    return float(value)


def _json_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in _lines(path):
        try:
            row = parse_json(line)
        except ConfigError as error:
            raise ConfigError(f"{path} line {number}: {error}; {_mend(path, line)}") from error
        if not isinstance(row, Mapping):
            raise ConfigError(f"{path} line {number}: not an object; {_mend(path, line)}")
        yield f"line {number}", row


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not empty, without a byte order mark."""
    try:
        for number, line in read_lines(path):
            yield number, line.removeprefix("\ufeff") if number == 1 else line
    except ConfigError as error:
        if path.suffix.lower() in _PACKED:
            raise ConfigError(f"{path}: a packed file; unpack it first") from error
        raise


_PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")


def _mend(path: Path, line: str) -> str:
    if path.suffix.lower() in (".csv", ".tsv"):
        return f"a table is not read; write JSON lines, {_FORM}"
    if line.lstrip().startswith("["):
        return f"a list is not read; write JSON lines, {_FORM}"
    return f"it needs {_FORM}"


def _parquet_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    import pyarrow.parquet as pq

    from medreward.data.parquet import reading_parquet

    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    with reading_parquet(path):
        table = pq.read_table(path)
    for number, row in enumerate(table.to_pylist()):
        yield f"row {number}", row


def file_digest(path: str | Path) -> str:
    """Return the first 16 hex digits of a file's SHA-256."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def rows_digest(path: str | Path) -> str:
    """Return the digest of a file of rows; of several, that of their digests in order."""
    from medreward.data.row_files import row_files

    digests = [file_digest(file) for file in row_files(path)]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:16]
