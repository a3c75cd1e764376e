"""``dataset_card.md``: what is in the parquet files beside it, and what was left out."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from medreward.data.encode import Encoded
from medreward.data.sources.record import shown
from medreward.task import Task
from medreward.version import __version__

_MOST_NAMED = 10


@dataclass
class Log:
    """What is learnt while rows are made.

    Attributes:
        notes: lines of the source and of the splitting.
        treated: a treatment -> the images that it was done to, by their names.
        skipped: the files that could not be used, with the reason.
        truths: split -> how often each answer is in it (for boxes: how many boxes).
        sizes: width and height -> number of images.
        facts: published facts of the source (name, value) -> number of images.
    """

    notes: list[str] = field(default_factory=list)
    treated: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    skipped: list[str] = field(default_factory=list)
    truths: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    facts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, where: str, split: str, truth: str, encoded: Encoded) -> None:
        """Take note of an image that became a row."""
        boxes = encoded.boxes
        self.truths[split][truth if boxes is None else _boxes(len(boxes))] += 1
        self.sizes[encoded.size] += 1
        self.facts.update(encoded.facts)
        for note in encoded.notes:
            self.treated[note].append(where)

    def lines(self) -> list[str]:
        """Return the report's lines: notes, treatments with the first images, skipped files."""
        treated = [
            f"{note}: {len(names)} image{'s' if len(names) > 1 else ''} ({_few(names)})"
            for note, names in sorted(self.treated.items())
        ]
        return [*self.notes, *treated, *(f"skipped: {line}" for line in self.skipped)]


def dataset_card(
    task: Task,
    log: Log,
    settings: Mapping[str, object],
    labels: Mapping[str, tuple[str, int]],
) -> str:
    """Return the card's text.

    Args:
        task: the task of the rows.
        log: what was learnt while they were made.
        settings: option -> value, as given.
        labels: label of the data -> the card's label and the number of images.
    """
    parts = [
        f"# {task.name}: rows for visual RFT",
        f"Made by medreward {__version__} with the task card `{task.name}` ({task.digest}).",
        _table(("setting", "value"), settings.items()),
        "## Rows",
        _counts(task, log),
        _table(
            ("image size", "images"),
            ((f"{w} x {h}", n) for (w, h), n in _capped(sorted(log.sizes.items()))),
        ),
    ]
    if labels:
        rows = ((old, new, count) for old, (new, count) in sorted(labels.items()))
        parts += [
            "## Labels",
            "As the data write them, as the card does, and the number of images in the source.",
            _table(("data", "card", "images"), rows),
        ]
    if log.facts:
        rows = ((name, value, count) for (name, value), count in sorted(log.facts.items()))
        parts += ["## From the headers", _table(("fact", "value", "images"), rows)]
    parts += [
        "## Data",
        _table(("", ""), task.data.items()) if task.data else "The card says none.",
    ]
    parts += ["## Report", "\n".join(f"- {_plain(x)}" for x in log.lines()) or "Nothing to report."]
    return "\n\n".join(parts) + "\n"


def _counts(task: Task, log: Log) -> str:
    splits = list(log.truths)
    if task.kind == "localisation":
        key: Callable[[str], int] = _leading_number
    else:
        key = _order(task)
    answers = sorted({a for s in splits for a in log.truths[s]}, key=key)
    rows: list[Sequence[object]] = [(a, *(log.truths[s][a] for s in splits)) for a in answers]
    rows.append(("all", *(log.truths[s].total() for s in splits)))
    return _table(("answer", *splits), rows)


def _order(task: Task) -> Callable[[str], int]:
    names = [str(task.first_grade + i) for i in range(len(task.labels))]
    if task.kind == "classification":
        names = [label.name for label in task.labels]
    return names.index


def _leading_number(text: str) -> int:
    return int(text.split(maxsplit=1)[0])


def _boxes(number: int) -> str:
    return f"{number} box" if number == 1 else f"{number} boxes"


def _few(names: Sequence[str]) -> str:
    more = f", and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _capped(items: list[tuple[tuple[int, int], int]]) -> list[tuple[tuple[int, int], int]]:
    """Return the most frequent items, in their order."""
    most = sorted(items, key=lambda item: -item[1])[:_MOST_NAMED]
    return [item for item in items if item in most]


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_plain(v) for v in line) + " |" for line in lines)


def _plain(value: object) -> str:
    """Return a text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*\[\]<>|])", r"\\\1", shown(value))
