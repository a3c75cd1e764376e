"""From a source to parquet rows of each split, a data set card and a contact sheet.

Labels, splits and leaks are checked before an image is decoded. Files appear in the folder at the
end, all at once; the same source and options give the same bytes with any number of workers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple

from tqdm import tqdm

from medreward.data.atomic import replacing
from medreward.data.contact_sheet import Sample, write_contact_sheet
from medreward.data.dataset_card import Log, dataset_card
from medreward.data.encode import Encoded, Encoder, Workers, digest, workers
from medreward.data.labels import LabelMap
from medreward.data.parquet import write_parquet
from medreward.data.rows import Row, build_row
from medreward.data.sources.record import Found, Record, shown
from medreward.data.splits import assign, leaks, listed, order, uniform
from medreward.errors import ConfigError, expected
from medreward.priors.prompt import Prompt, build_prompt
from medreward.task import Task

CARD, SHEET = "dataset_card.md", "contact_sheet.png"
ON_ERROR = ("stop", "skip")
ON_LEAK = ("stop", "drop", "keep")
_MOST_SHOWN = 20
_SAMPLES = 32


@dataclass(frozen=True)
class Settings:
    """How rows are made.

    Attributes:
        knowledge: level of the prior knowledge in the prompts: "none", "context" or "full".
        size: longer side of the images in pixels; None leaves them as they are.
        limit: at most so many rows a split, drawn by `seed`.
        seed: seeds splits and limit.
        fractions: split -> share, to draw splits although the source gives some.
        renamed: label of the data -> label of the card.
        on_error: "stop" at a file that cannot be used, or "skip" it with a line in the report.
        on_leak: about identical images in two splits: "stop", "drop" all but those in the last of
            train, val and test, so that the test split stays whole, or "keep" them.
        workers: processes that decode; None: one for each core.
    """

    knowledge: str = "full"
    size: int | None = None
    limit: int | None = None
    seed: int = 0
    fractions: Mapping[str, float] | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    on_error: Literal["stop", "skip"] = "stop"
    on_leak: Literal["stop", "drop", "keep"] = "stop"
    workers: int | None = None

    def __post_init__(self) -> None:
        for name in ("size", "limit", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name}: {value} is not a whole number from 1 on")
        if self.on_error not in ON_ERROR:
            raise expected("on_error", self.on_error, ON_ERROR)
        if self.on_leak not in ON_LEAK:
            raise expected("on_leak", self.on_leak, ON_LEAK)


class Item(NamedTuple):
    """A record that will be a row: its target (None: the record's boxes) and its split."""

    record: Record
    target: int | None
    split: str


def prepare(
    found: Found,
    task: Task,
    out: Path,
    settings: Settings | None = None,
    described: Mapping[str, object] | None = None,
) -> Log:
    """Write ``SPLIT.parquet`` for each split, the card and the contact sheet to a folder `out`.

    Args:
        found: what a source of `medreward.data.sources` returned.
        task: the task whose question the rows ask.
        out: a folder that does not exist, is empty, or holds nothing but an earlier result.
        settings: how rows are made.
        described: option -> value, for the data set card; no paths, so that bytes stay the same.

    Returns:
        What the report says.

    Raises:
        ConfigError: if labels are unknown, a patient or an image leaks between splits, or a file
            cannot be used and is not to be skipped. Then `out` is as it was before.
    """
    settings = settings or Settings()
    _check_out(out)
    _check_kind(found, task)
    prompt = build_prompt(task, settings.knowledge)
    log = Log(notes=list(found.notes))
    targets = _targets(found.records, task, settings)
    with workers(settings.workers) as pool:
        items = _limited(_items(found.records, targets, settings, pool, log), settings)
        with replacing(out) as scratch:
            scratch.mkdir()
            writing = _Writing(task, prompt, settings, pool, log)
            writing.write(scratch, items)
            write_contact_sheet(scratch / SHEET, writing.samples)
            labels = _label_table(found.records, targets, task)
            card = dataset_card(task, log, described or {}, labels)
            (scratch / CARD).write_text(card, encoding="utf-8")
    return log


def _check_out(out: Path) -> None:
    """Check that `out` holds nothing but what an earlier run wrote, since it will be replaced."""
    if not out.exists():
        return
    if not out.is_dir():
        raise ConfigError(f"{shown(out)}: is not a folder")
    others = [p.name for p in out.iterdir() if p.name not in (CARD, SHEET)]
    others = sorted(name for name in others if not name.endswith(".parquet"))
    if others or (any(out.iterdir()) and not (out / CARD).exists()):
        held = shown(others[0]) if others else "files that are not of an earlier run"
        raise ConfigError(f"{shown(out)}: holds {held}; choose a new or an empty folder")


def _check_kind(found: Found, task: Task) -> None:
    boxes = any(record.boxes is not None for record in found.records)
    if boxes != (task.kind == "localisation"):
        has, asks = ("boxes", "labels") if boxes else ("labels", "boxes")
        raise ConfigError(f"the source has {has}, the task {task.name!r} asks for {asks}")


def _targets(records: Sequence[Record], task: Task, settings: Settings) -> dict[str, int]:
    if task.kind == "localisation":
        if settings.renamed:
            raise ConfigError("--map: the task asks for boxes, which have no labels to rename")
        return {}
    return LabelMap(task, settings.renamed).indices(r.label or "" for r in records)


def _label_table(
    records: Sequence[Record], targets: Mapping[str, int], task: Task
) -> dict[str, tuple[str, int]]:
    counts = Counter(record.label for record in records)
    return {old: (task.labels[index].name, counts[old]) for old, index in targets.items()}


def _items(
    records: Sequence[Record],
    targets: Mapping[str, int],
    settings: Settings,
    pool: Workers,
    log: Log,
) -> list[Item]:
    """Return the records whose files can be read, with their splits."""
    bar = tqdm(
        pool.map(digest, records),
        total=len(records),
        desc="reading files",
        unit="file",
        disable=None,
    )
    digests: list[bytes] = []
    kept, problems = [], []
    for record, result in zip(records, bar, strict=True):
        if isinstance(result, bytes):
            digests.append(result)
            kept.append(record)
        else:
            problems.append(f"{record.where}: {result}")
    if problems and settings.on_error == "stop":
        raise _unusable(problems)
    log.skipped += problems
    splits = assign(kept, digests, settings.seed, settings.fractions)
    log.notes += _copies(kept, digests)
    dropped = _leaking(kept, digests, splits, settings, log)
    return [
        Item(record, targets.get(record.label or ""), split)
        for i, (record, split) in enumerate(zip(kept, splits, strict=True))
        if i not in dropped
    ]


def _leaking(
    records: Sequence[Record],
    digests: Sequence[bytes],
    splits: Sequence[str],
    settings: Settings,
    log: Log,
) -> set[int]:
    """Return the positions to drop so that no image is in two splits; or stop, or keep all."""
    found = leaks(digests, splits)
    names = [record.where for record in records]
    if found and settings.on_leak == "stop":
        raise ConfigError(
            "identical images are in more than one split; --on-leak drop leaves out all but those "
            f"in the last of train, val, test:\n{listed(found, splits, names)}"
        )
    if settings.on_leak == "keep":
        log.notes += [f"kept, in two splits: {listed([g], splits, names).strip()}" for g in found]
        return set()
    last = [max((splits[i] for i in group), key=order) for group in found]
    dropped = [
        i for group, split in zip(found, last, strict=True) for i in group if splits[i] != split
    ]
    log.notes += [f"dropped, also in a later split: {names[i]}" for i in dropped]
    return set(dropped)


def _copies(records: Sequence[Record], digests: Sequence[bytes]) -> list[str]:
    """Return a line for each image that is there more than once within a split."""
    alike: dict[bytes, list[Record]] = defaultdict(list)
    for record, key in zip(records, digests, strict=True):
        alike[key].append(record)
    return [_copies_line(same) for same in alike.values() if len(same) > 1]


def _copies_line(same: Sequence[Record]) -> str:
    differ = " with different labels" if len({record.label for record in same}) > 1 else ""
    return f"identical images{differ}: {', '.join(record.where for record in same)}"


def _unusable(problems: Sequence[str]) -> ConfigError:
    more = len(problems) - _MOST_SHOWN
    lines = [f"  {line}" for line in problems[:_MOST_SHOWN]]
    lines += [f"  … and {more} more"] if more > 0 else []
    return ConfigError(
        f"files that cannot be used: {len(problems)}; --on-error skip leaves such files out\n"
        + "\n".join(lines)
    )


def _limited(items: list[Item], settings: Settings) -> list[Item]:
    """Return at most `limit` items a split, drawn by the seed, in their order."""
    if settings.limit is None:
        return items
    drawn: set[str] = set()
    for split in {item.split for item in items}:
        ids = [item.record.id for item in items if item.split == split]
        ids.sort(key=lambda name: uniform(f"{settings.seed}:limit:{name}"))
        drawn.update(ids[: settings.limit])
    return [item for item in items if item.record.id in drawn]


@dataclass
class _Writing:
    """Makes the rows of one split after another, and keeps samples for the contact sheet."""

    task: Task
    prompt: Prompt
    settings: Settings
    pool: Workers
    log: Log
    samples: list[Sample] = field(default_factory=list)
    sampled: Counter[str] = field(default_factory=Counter)

    def write(self, folder: Path, items: Sequence[Item]) -> None:
        """Write the parquet file of each split that has a row."""
        for split in sorted({item.split for item in items}, key=order):
            mine = [item for item in items if item.split == split]
            rows = self.rows(mine)
            first = next(rows, None)
            if first is None:
                self.log.notes.append(f"split {split}: no image could be used, no file written")
                continue
            write_parquet(folder / f"{split}.parquet", chain([first], rows), total=len(mine))
        if not self.samples:
            raise ConfigError("no image could be used")

    def rows(self, items: Sequence[Item]) -> Iterator[Row]:
        """Yield the rows of the items whose images can be decoded."""
        encoder = Encoder(self.settings.size)
        encoded = self.pool.map(encoder, [item.record for item in items])
        for item, result in zip(items, encoded, strict=True):
            where = item.record.where
            if result.problem:
                if self.settings.on_error == "stop":
                    raise _unusable([f"{where}: {result.problem}"])
                self.log.skipped.append(f"{where}: {result.problem}")
                continue
            row = self._row(item, result)
            truth = row["reward_model"]["ground_truth"]
            self.log.add(where, item.split, truth, result)
            self._sample(truth, result.png, item)
            yield row

    def _row(self, item: Item, result: Encoded) -> Row:
        target = result.boxes if item.target is None else self._target(item.target)
        try:
            return build_row(
                self.task,
                self.prompt,
                png=result.png,
                target=target,
                name=item.record.id,
                split=item.split,
            )
        except ConfigError as error:
            raise ConfigError(f"{item.record.where}: {error}") from error

    def _target(self, index: int) -> int:
        return self.task.first_grade + index if self.task.kind == "ordinal" else index

    def _sample(self, truth: str, png: bytes, item: Item) -> None:
        """Keep the first images of each answer until the sheet is full."""
        each = max(1, _SAMPLES // max(1, len(self.task.labels)))
        key = truth if item.target is not None else ""
        if len(self.samples) < _SAMPLES and self.sampled[key] < each:
            self.sampled[key] += 1
            self.samples.append(Sample(png, truth, item.record.id))
