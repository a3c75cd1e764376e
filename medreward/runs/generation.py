"""Completions of a model for rows, streamed to a file that a later run goes on with.

Who writes them is a `Completer`: `medreward.runs.local_model` or `medreward.runs.endpoint_model`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tqdm import tqdm

from medreward.checks import number
from medreward.data.check import open_parquet, rows_in
from medreward.errors import ConfigError, quote
from medreward.files.reading import parse_json, read_lines


class Sampling(NamedTuple):
    """How completions are drawn.

    Attributes:
        draws: how many a row; 1 is the most likely one, without chance.
        temperature: of several.
        seed: of the chance, with a row's id: a run that is ended and goes on draws the same.
    """

    draws: int = 1
    temperature: float = 1.0
    seed: int = 0


GREEDY = Sampling()


class Completer(Protocol):
    """Something that answers rows.

    Attributes:
        name: the model, as the file of completions names it.
    """

    @property
    def name(self) -> str:
        """The model, as the file of completions names it."""

    def complete(self, rows: Sequence[Mapping[str, Any]], sampling: Sampling) -> Iterable[str]:
        """Return ``sampling.draws`` completions of each row, those of one row together."""


def generate(
    model: Completer,
    rows: str | Path,
    out: str | Path,
    *,
    batch: int = 1,
    sampling: Sampling = GREEDY,
) -> int:
    """Write a model's completions of rows to a file of JSON lines; return how many are new.

    Rows whose id is in the file already are left out, so that a run that was ended goes on.

    Args:
        model: what answers.
        rows: a parquet file of rows.
        out: the file.
        batch: rows at once.
        sampling: how completions are drawn.

    Raises:
        ConfigError: if the file holds completions of another model, or another number a row.
    """
    number("--temperature", sampling.temperature, 0.01, 100)
    done = _done(Path(out), model.name, sampling.draws)
    with open_parquet(rows) as file:
        total = file.metadata.num_rows
        left = (row for row in rows_in(file, rows) if str(row["extra_info"]["id"]) not in done)
        bar = tqdm(total=total, initial=len(done), desc="completions", unit="row", disable=None)
        count = 0
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        with Path(out).open("a", encoding="utf-8") as stream:
            while group := list(islice(left, batch)):
                texts = iter(model.complete(group, sampling))
                lines = [
                    {"id": str(row["extra_info"]["id"]), "completion": text, "model": model.name}
                    for row in group
                    for text in islice(texts, sampling.draws)
                ]
                stream.writelines(f"{json.dumps(x, ensure_ascii=False)}\n" for x in lines)
                stream.flush()
                os.fsync(stream.fileno())
                count += len(lines)
                bar.update(len(group))
        bar.close()
    return count


def row_seed(seed: int, name: str) -> int:
    """Return the seed of the chance of a row's samples, the same in whatever order rows come."""
    return int.from_bytes(sha256(f"{seed} {name}".encode()).digest()[:7])


def draws_nothing(path: str | Path) -> bool:
    """Whether all samples of a row are the same, of every row of a file with several a row.

    A server that leaves the temperature aside looks like this, and so does a policy without any
    variance left.
    """
    texts: dict[str, list[str]] = {}
    for _, line in read_lines(path):
        row = parse_json(line)
        texts.setdefault(str(row["id"]), []).append(row["completion"])
    return all(len(own) > 1 and len({*own}) == 1 for own in texts.values())


def _done(path: Path, model: str, samples: int) -> set[str]:
    """Return the ids in a file; what was not finished at its end is cut off.

    Raises:
        ConfigError: if another model wrote it, or another number of samples is there.
    """
    if not path.exists():
        return set()
    content = path.read_bytes()
    _cut(path, content.rfind(b"\n") + 1, len(content))
    counts: dict[str, int] = {}
    for at, line in read_lines(path):
        row = parse_json(line)
        if not isinstance(row, Mapping) or "id" not in row:
            raise ConfigError(f"{path} line {at}: no 'id'; name another file with --completions")
        if row.get("model", model) != model:
            raise ConfigError(
                f"{path} line {at}: a completion of {quote(row['model'])}, not of {quote(model)}; "
                f"name another file with --completions"
            )
        counts[str(row["id"])] = counts.get(str(row["id"]), 0) + 1
    if not counts:
        return set()
    last = [*counts][-1]
    wrong = {n: c for n, c in counts.items() if c > samples or (c < samples and n != last)}
    for name, count in wrong.items():
        raise ConfigError(
            f"{path}: the id {quote(name)} is there {count} times, and --samples is {samples}; "
            f"name another file with --completions"
        )
    if counts[last] < samples:
        lines = path.read_bytes().splitlines(keepends=True)
        kept = len(lines) - counts.pop(last)
        _cut(path, sum(map(len, lines[:kept])), sum(map(len, lines)))
    return {*counts}


def _cut(path: Path, end: int, length: int) -> None:
    if end < length:
        with path.open("r+b") as file:
            file.truncate(end)
