"""A card as its file has it, valid or not: what is linted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from medreward.errors import ConfigError
from medreward.files.reading import parse_yaml
from medreward.priors.findings import Finding
from medreward.task.card import card_text
from medreward.task.registry import rules_of
from medreward.task.traits import Trait


@dataclass
class RawCard:
    """A card as it stands in the file, whether valid or not.

    Attributes:
        file: what findings name it by.
        text: the YAML.
        content: what the YAML holds; empty if it cannot be read.
    """

    file: str
    text: str
    content: Mapping[str, Any] = field(default_factory=dict)

    def statements(self) -> Iterator[tuple[str, int | None, Mapping[str, Any]]]:
        """Yield the path, the label's index (None: about the task) and the content of each."""
        for i, item in enumerate(_list(self.content.get("knowledge"))):
            if isinstance(item, Mapping):
                yield f"knowledge[{i}]", None, item
        for k, label in enumerate(self.labels):
            for i, item in enumerate(_list(label.get("attributes"))):
                if isinstance(item, Mapping):
                    yield f"labels[{k}].attributes[{i}]", k, item

    @cached_property
    def labels(self) -> list[Mapping[str, Any]]:
        """The labels, each as a mapping."""
        found = _list(self.content.get("labels"))
        return [label if isinstance(label, Mapping) else {"name": label} for label in found]

    @property
    def traits(self) -> frozenset[Trait]:
        """What the card's kind has in common with others; nothing where there is no such kind."""
        try:
            found: frozenset[Trait] = rules_of(str(self.content.get("kind"))).traits
        except ConfigError:
            return frozenset()
        return found

    @property
    def references(self) -> Mapping[str, Any]:
        """The citations by key."""
        return {
            key: item.get("citation", "") if isinstance(item, Mapping) else item
            for key, item in self._references.items()
        }

    @property
    def urls(self) -> Mapping[str, Any]:
        """The addresses by key, of the references that have one."""
        found = {key: _mapping(item) for key, item in self._references.items()}
        return {key: item["url"] for key, item in found.items() if "url" in item}

    @property
    def unopened(self) -> frozenset[str]:
        """The keys of the references whose address the card says was not opened."""
        found = {key: _mapping(item) for key, item in self._references.items()}
        return frozenset(str(key) for key, item in found.items() if item.get("opened") is False)

    @property
    def _references(self) -> Mapping[str, Any]:
        found = self.content.get("references")
        return found if isinstance(found, Mapping) else {}

    def finding(self, code: str, place: str, message: str, *, error: bool = True) -> Finding:
        """Return a finding in this card."""
        return Finding(code, error, self.file, place, message)


def read_raw_card(task: str | Path) -> RawCard:
    """Return a card to lint: a shipped one by its name, or a file.

    Raises:
        ConfigError: if it cannot be read. What is wrong in it are findings.
    """
    text, file = card_text(task)
    try:
        content = parse_yaml(text)
    except ConfigError:
        content = {}
    return RawCard(file, text, content if isinstance(content, Mapping) else {})


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
