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
    rows = _parquet_rows(path) if path.suffix == ".parquet" else _json_rows(path)
    for where, row in rows:
        name, text = row.get("id"), row.get("completion")
        if name is None or not isinstance(text, str):
            raise ConfigError(f"{path} {where}: no 'id' and 'completion'; it has {', '.join(row)}")
        own = found.setdefault(str(name), [])
        own.append(ModelAnswer(text, _confidence(f"{path} {where}", row)))
        if len(own) > samples:
            times = "twice" if samples == 1 else f"more than {samples} times"
            raise ConfigError(
                f"{path} {where}: the id {quote(str(name))} is there {times}; --samples says how "
                f"many completions a row has, {samples} here"
            )
    if not found:
        raise ConfigError(f"{path}: it has no completions")
    fewer = [name for name, own in found.items() if len(own) < samples]
    if fewer:
        raise ConfigError(
            f"{path}: {len(fewer)} of {len(found)} ids have fewer than {samples} completions, such "
            f"as {quote(fewer[0])} with {len(found[fewer[0]])}; --samples says how many"
        )
    return found


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
    for number, line in read_lines(path):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except ConfigError as error:
            raise ConfigError(f"{path} line {number}: not JSON: {error}") from error
        if not isinstance(row, Mapping):
            raise ConfigError(f"{path} line {number}: not an object with 'id' and 'completion'")
        yield f"line {number}", row


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
