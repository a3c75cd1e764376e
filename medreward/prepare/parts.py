"""One part of a run: what it writes beside its rows, so that the parts can be joined.

``OUT/part-00002-of-00004/`` holds the part's rows, for each split a parquet file and a line a
record of what came of it, and ``part.json``, by which `medreward rows merge` knows that parts are
of one run. Its files are not named as splits: ``datasets`` looks for these in sub-folders too, and
would take each row twice. No patient is written: the parts agree on a digest of the whole
plan.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

from medreward.data.sources.record import Record, Remark
from medreward.errors import ConfigError
from medreward.files.atomic import write_text_atomic
from medreward.files.reading import parse_json, read_lines, read_text
from medreward.prepare.dataset_card import CardFacts
from medreward.prepare.outcome import RecordOutcome
from medreward.prepare.output import ORDER

STATE = "part.json"
_NAMES = {split: f"rows-{number}" for number, split in enumerate(ORDER, start=1)}


@dataclass(frozen=True)
class PartState:
    """What the parts of a run have to agree on, and what their joining needs.

    Attributes:
        index: which part, from 1.
        count: of how many.
        plan: a digest of all records with targets, splits and patients.
        noun: what is counted: images or questions.
        source: the source's name.
        remarks: on the whole source.
        copies: copies of each row, by split.
        expected: records of the whole run, by split.
        on_error: what was to be done at images that cannot be used.
        drop_duplicates: whether pictures in two splits are dropped from one.
        shard_rows: at most so many rows a file, or None.
        facts: for the data set's card.
    """

    index: int
    count: int
    plan: str
    noun: str
    source: str
    remarks: list[Remark]
    copies: dict[str, int]
    expected: dict[str, int]
    on_error: str
    drop_duplicates: bool
    shard_rows: int | None
    facts: CardFacts

    @property
    def name(self) -> str:
        """The part's folder."""
        return part_name(self.index, self.count)

    def write(self, folder: Path) -> None:
        """Write it to a part's folder."""
        text = json.dumps(asdict(self), ensure_ascii=False, indent=1)
        write_text_atomic(folder / STATE, text + "\n")

    @classmethod
    def read(cls, folder: Path) -> PartState:
        """Return what `write` wrote.

        Raises:
            ConfigError: if the folder is no part of a run.
        """
        if not (folder / STATE).is_file():
            raise ConfigError(f"{folder}: no {STATE} in it; `medreward prepare --part` writes one")
        try:
            content = parse_json(read_text(folder / STATE))
            remarks = [Remark(*remark) for remark in content.pop("remarks")]
            facts = CardFacts(**content.pop("facts"))
            return cls(**content, remarks=remarks, facts=facts)
        except (ConfigError, TypeError, KeyError, AttributeError) as error:
            raise ConfigError(f"{folder / STATE}: not a part's state: {error}") from error

    def differences(self, other: PartState) -> Iterator[str]:
        """Yield what two parts do not agree on, as text."""
        own, others = asdict(self), asdict(other)
        for settings in (own, others):
            for name in ("index", "facts"):
                settings.pop(name)
            settings["plan"] = settings["plan"][:12]
        own |= _flat(self.facts)
        others |= _flat(other.facts)
        for name, value in own.items():
            if value != others.get(name):
                yield f"{name}: {_short(value)} and {_short(others.get(name))}"


def _flat(facts: CardFacts) -> dict[str, Any]:
    """Return what a card says by name, without the command, whose paths may differ."""
    content = asdict(facts)
    content.pop("command")
    for group in ("provenance", "prompts", "settings"):
        content |= {f"{group}, {name}": text for name, text in content.pop(group).items()}
    return content


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "…"


def part_name(number: int, count: int) -> str:
    """Return the name of a part's folder.

    >>> part_name(2, 4)
    'part-00002-of-00004'
    """
    return f"part-{number:05}-of-{count:05}"


def rows_file(folder: Path, split: str) -> Path:
    """Return the file of a split's rows in a part."""
    return folder / f"{_NAMES[split]}.parquet"


def journal_file(folder: Path, split: str) -> Path:
    """Return the file of what came of a split's records in a part."""
    return folder / f"{_NAMES[split]}.jsonl"


def share_of(items: Any, number: int, count: int) -> Any:
    """Return the share of a part: shares follow each other, and differ by one item at most.

    >>> [share_of("abcdefgh", number, 3) for number in (1, 2, 3)]
    ['ab', 'cde', 'fgh']
    """
    return items[len(items) * (number - 1) // count : len(items) * number // count]


def plan_digest(records: Sequence[Record]) -> str:
    """Return a digest of what is to be written: the same for all parts of a run."""
    digest = sha256()
    for r in records:
        known = (r.id, r.where, r.split, r.group, r.label, r.question, r.boxes, r.size, r.dropped)
        told = (*known, *r.readers)  # which adds nothing where no reader is named
        digest.update(repr(told).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


class Journal:
    """Writes what came of each record, a line each."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", errors="surrogatepass")

    def add(self, outcome: RecordOutcome) -> None:
        """Write a line."""
        self._file.write(json.dumps(outcome.to_json()) + "\n")

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


def read_journal(path: Path) -> Iterator[RecordOutcome]:
    """Yield what came of the records of a split in a part.

    Raises:
        ConfigError: if the file is not there or a line is no outcome.
    """
    for number, line in read_lines(path):
        try:
            yield RecordOutcome.from_json(parse_json(line))
        except (ConfigError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError(f"{path}, line {number}: not as it was written: {error}") from error


def publish_part(folder: Path, place: Path) -> Path:
    """Put a finished part in its place, instead of an older one."""
    shutil.rmtree(place, ignore_errors=True)
    return folder.replace(place)


def find_parts(folders: Sequence[str | Path]) -> list[tuple[Path, PartState]]:
    """Return the parts in folders, in their order, checked to be all parts of one run.

    Args:
        folders: parts, or folders that hold parts.

    Raises:
        ConfigError: if there is none, one is missing or there twice, or they are of other runs.
    """
    paths: list[Path] = []
    for folder in map(Path, folders):
        inside = [folder] if (folder / STATE).is_file() else sorted(folder.glob(f"part-*/{STATE}"))
        if not inside:
            raise ConfigError(
                f"{folder}: neither a part of a run nor a folder of parts; `medreward prepare "
                f"--part 1/4 --out {folder}` writes the first of four"
            )
        paths += [path if path.name != STATE else path.parent for path in inside]
    parts = [(path, PartState.read(path)) for path in paths]
    parts.sort(key=lambda part: part[1].index)
    _check_parts(parts)
    return parts


def _check_parts(parts: Sequence[tuple[Path, PartState]]) -> None:
    first_path, first = parts[0]
    for path, state in parts[1:]:
        found = list(first.differences(state))
        if found:
            raise ConfigError(
                "\n".join(
                    [f"{first_path} and {path} are not of one run:", *(f"  {x}" for x in found)]
                )
            )
    numbers = [state.index for _, state in parts]
    absent = sorted(set(range(1, first.count + 1)) - set(numbers))
    if absent:
        raise ConfigError(
            f"parts {', '.join(map(str, absent[:10]))} of {first.count} are missing; "
            f"--part {absent[0]}/{first.count} makes the first of them"
        )
    for i, number in enumerate(numbers[1:], start=1):
        if number == numbers[i - 1]:
            raise ConfigError(f"part {number} is there twice: {parts[i - 1][0]} and {parts[i][0]}")


def totals(counts: Mapping[str, int], number: int, count: int) -> dict[str, int]:
    """Return how many records of each split a part has."""
    return {
        split: total * number // count - total * (number - 1) // count
        for split, total in counts.items()
    }
