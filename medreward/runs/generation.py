"""Completions of a model for rows, streamed to a file that a later run goes on with.

Who writes them is a `Completer`: `medreward.runs.local_model` or `medreward.runs.endpoint_model`.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tqdm import tqdm

from medreward.checks import number
from medreward.data.check import open_parquet, rows_in
from medreward.errors import ConfigError, quote
from medreward.files.reading import decode_text, parse_json, read_lines


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
        max_new_tokens: the most tokens of a completion.
    """

    max_new_tokens: int

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

    Rows whose id is in the file already are left out, so that a run that was ended goes on. Each
    line says how it was made, and a digest of the row's prompt and images: a file that was made of
    other rows or in another way is refused, as its completions would be taken for new ones.

    Args:
        model: what answers.
        rows: a parquet file of rows.
        out: the file.
        batch: rows at once.
        sampling: how completions are drawn.

    Raises:
        ConfigError: if the file is no such file, or holds completions of another model, of other
            rows, drawn in another way, or another number a row.
    """
    number("--temperature", sampling.temperature, 0.01, 100)
    made = {"model": model.name, "drawn": _drawn(sampling, model.max_new_tokens)}
    done = _done(Path(out), made, sampling.draws)
    with open_parquet(rows) as file:
        total = file.metadata.num_rows
        left = _rows_left(rows_in(file, rows), done, out)
        bar = tqdm(total=total, initial=len(done), desc="completions", unit="row", disable=None)
        count = 0
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        with Path(out).open("a", encoding="utf-8") as stream:
            while group := list(islice(left, batch)):
                texts = iter(model.complete([row for row, _ in group], sampling))
                lines = [
                    {**_named(row), "completion": text, **made, "prompt": prompt}
                    for row, prompt in group
                    for text in islice(texts, sampling.draws)
                ]
                stream.writelines(f"{json.dumps(x, ensure_ascii=False)}\n" for x in lines)
                stream.flush()
                os.fsync(stream.fileno())
                count += len(lines)
                bar.update(len(group))
        bar.close()
    return count


def _drawn(sampling: Sampling, tokens: int) -> str:
    how = f"temperature {sampling.temperature:g}, seed {sampling.seed}"
    return f"{how if sampling.draws > 1 else 'greedy'}, at most {tokens} tokens"


def _named(row: Mapping[str, Any]) -> dict[str, str]:
    return {"id": str(row["extra_info"]["id"])}  # first, since `_OWN` knows a line by it


def _rows_left(
    rows: Iterable[Mapping[str, Any]], done: Mapping[str, str | None], out: str | Path
) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield the rows without a completion, each with the digest of what is asked.

    Raises:
        ConfigError: if a completion is of a row of the same id that asks something else.
    """
    for row in rows:
        name, prompt = _named(row)["id"], _prompt_digest(row)
        if name not in done:
            yield row, prompt
        elif done[name] not in (None, prompt):
            raise ConfigError(
                f"{out}: its completion of {quote(name)} was made of another prompt or image than "
                f"this row has; name another file with --completions"
            )


def _prompt_digest(row: Mapping[str, Any]) -> str:
    """Return the first 16 hex digits of the SHA-256 of a row's prompt and images."""
    found = sha256(json.dumps(row["prompt"], sort_keys=True).encode())
    for image in row["images"] or []:
        content = image.get("bytes") if isinstance(image, Mapping) else image
        found.update(content if isinstance(content, bytes) else str(image).encode())
    return found.hexdigest()[:16]


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


_OWN = b'{"id": '  # how a line that `generate` writes begins


def _done(path: Path, made: Mapping[str, str], samples: int) -> dict[str, str | None]:
    """Return the ids in a file with the digest of what was asked; cut off what was not finished.

    Nothing is cut off before all lines are known to be such completions.

    Raises:
        ConfigError: if it is another file, another model wrote it, or in another way, or another
            number of samples is there.
    """
    if not path.exists():
        return {}
    content = path.read_bytes()
    *lines, last = content.split(b"\n")
    if last and not _is_whole(last):
        if not (last.startswith(_OWN) or _OWN.startswith(last)):
            raise ConfigError(f"{path} line {len(lines) + 1}: {_NOT_OWN}")
        content = content[: -len(last)]
        last = b""
    lines += [last] if last else []
    rows = [
        (at, _row(f"{path} line {at}", line, made))
        for at, line in enumerate(lines, start=1)
        if line.strip()
    ]
    counts = Counter(str(row["id"]) for _, row in rows)
    unfinished = str(rows[-1][1]["id"]) if rows else ""
    for name, count in counts.items():
        if count > samples or (count < samples and name != unfinished):
            raise ConfigError(
                f"{path}: the id {quote(name)} is there {count} times, and --samples is {samples}; "
                f"name another file with --completions"
            )
    if rows and counts[unfinished] < samples:
        first = next(at for at, row in rows if str(row["id"]) == unfinished)
        content = b"".join(line + b"\n" for line in lines[: first - 1])
        rows = [(at, row) for at, row in rows if at < first]
    elif content and not content.endswith(b"\n"):
        content += b"\n"
    _leave(path, content)
    return {str(row["id"]): row.get("prompt") for _, row in rows}


def _leave(path: Path, content: bytes) -> None:
    """Cut a file to what is finished, or end its last line."""
    with path.open("r+b") as file:
        file.truncate(len(content))
        file.seek(max(0, len(content) - 1))
        file.write(content[-1:])


_NOT_OWN = "not a line that --model writes; name another file with --completions"


_OF = {"model": "of", "drawn": "by"}


def _is_whole(line: bytes) -> bool:
    """Whether the last line of a file, which has no end, is all there."""
    try:
        return isinstance(parse_json(decode_text(line, "")), Mapping)
    except ConfigError:
        return False


def _row(where: str, line: bytes, made: Mapping[str, str]) -> Mapping[str, Any]:
    try:
        row = parse_json(decode_text(line, ""))
    except ConfigError as error:
        raise ConfigError(f"{where}: {_NOT_OWN}") from error
    is_own = isinstance(row, Mapping) and "id" in row and isinstance(row.get("completion"), str)
    if not is_own:
        raise ConfigError(f"{where}: {_NOT_OWN}")
    for field, wanted in made.items():
        if row.get(field, wanted) != wanted:
            raise ConfigError(
                f"{where}: a completion {_OF[field]} {quote(row[field])}, not {_OF[field]} "
                f"{quote(wanted)}; name another file with --completions"
            )
    found: Mapping[str, Any] = row
    return found
