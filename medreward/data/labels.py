"""Labels from the wild -> the labels of a card; what the card does not know stops the work.

A label of the data is a card's label if it is its name or one of its synonyms, whatever the case
and with ``_`` or ``-`` for a space, or its grade or index as a number. Nothing is guessed: typos
that a model's answer may have are no reason to relabel a patient.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml
from rapidfuzz import process

from medreward.data.sources.record import shown
from medreward.errors import ConfigError, expected
from medreward.task import Task

_MOST_SHOWN = 20


class LabelMap:
    """Finds the target that a label of the data stands for."""

    def __init__(self, task: Task, renamed: Mapping[str, str] | None = None) -> None:
        """Bind a task and the labels to rename, old -> new.

        Raises:
            ConfigError: if a new label is not one of the card's.
        """
        self.task = task
        self.renamed = {str(old).strip(): str(new) for old, new in (renamed or {}).items()}
        self._known = {
            _form(name): i
            for i, label in enumerate(task.labels)
            for name in (label.name, *label.synonyms)
        }
        for old, new in self.renamed.items():
            if self._index(new) is None:
                raise expected(f"--map {shown(old)}=: label", shown(new), self.names())

    def names(self) -> list[str]:
        """Return the names of the card's labels."""
        return [label.name for label in self.task.labels]

    def index(self, label: str) -> int | None:
        """Return the index of the card's label, or None if the card does not know it."""
        return self._index(self.renamed.get(label, label))

    def indices(self, labels: Iterable[str]) -> dict[str, int]:
        """Return the index of each different label.

        Raises:
            ConfigError: if the card does not know some of them, with their counts and the nearest
                known names; or if a label to rename is not in the data.
        """
        counts = Counter(labels)
        for old in self.renamed:
            if old not in counts:
                raise expected("--map: label of the data", shown(old), map(shown, counts))
        found = {label: self.index(label) for label in counts}
        unknown = [label for label, _ in counts.most_common() if found[label] is None]
        if unknown:
            raise self._unknown(unknown, counts)
        return {label: index for label, index in found.items() if index is not None}

    def _index(self, label: str) -> int | None:
        index = self._known.get(_form(label))
        if index is None and re.fullmatch(r"[0-9]{1,9}(\.0+)?", label.strip(), re.ASCII):
            first = self.task.first_grade if self.task.kind == "ordinal" else 0
            index = int(float(label)) - first
        return index if index is not None and 0 <= index < len(self.task.labels) else None

    def _unknown(self, labels: list[str], counts: Counter[str]) -> ConfigError:
        lines = [self._line(label, counts[label]) for label in labels[:_MOST_SHOWN]]
        if len(labels) > _MOST_SHOWN:
            lines.append(f"  … and {len(labels) - _MOST_SHOWN} more")
        return ConfigError(
            f"labels of the data that the card {self.task.name!r} does not know: {len(labels)}; "
            "--map old=new, or a synonym in the card, settles each\n" + "\n".join(lines)
        )

    def _line(self, label: str, count: int) -> str:
        names = {name: self.names()[index] for name, index in self._known.items()}
        nearest = process.extract(_form(label), list(names), limit=2, score_cutoff=50)
        hints = dict.fromkeys(repr(names[name]) for name, *_ in nearest)
        near = f"nearest: {' or '.join(hints)}" if hints else f"known: {', '.join(self.names())}"
        return f"  {shown(label)!r}: {count} image{'s' if count > 1 else ''}; {near}"


def read_map(pairs: Iterable[str] = (), file: Path | None = None) -> dict[str, str]:
    """Return the labels to rename from ``old=new`` texts and from a YAML file, ``old: new``.

    Raises:
        ConfigError: if a pair or the file is not of that form.
    """
    renamed = _map_file(file) if file else {}
    for pair in pairs:
        old, equals, new = pair.rpartition("=")
        if not equals or not old.strip() or not new.strip():
            raise ConfigError(f"--map: {pair!r} is not old=new")
        renamed[old.strip()] = new.strip()
    return renamed


def _map_file(file: Path) -> dict[str, str]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"--map-file {shown(file)}: cannot be read: {error}") from error
    texts = isinstance(content, dict) and all(
        isinstance(v, str | int) and not isinstance(v, bool) for p in content.items() for v in p
    )
    if not texts:
        raise ConfigError(f"--map-file {shown(file)}: not a mapping of labels to labels, old: new")
    return {str(old): str(new) for old, new in content.items()}


def _form(label: str) -> str:
    return " ".join(re.sub(r"[_-]", " ", label).casefold().split())
