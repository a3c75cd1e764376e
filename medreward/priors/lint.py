"""Checking the knowledge in task cards: sources, review, balance, and what gives answers away."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from medreward.errors import ConfigError
from medreward.priors.findings import Finding
from medreward.priors.lint_texts import text_findings
from medreward.priors.prompt import build_prompt
from medreward.priors.tokens import count_tokens
from medreward.task.card import parse_card, read_yaml
from medreward.task.review import DRAFT, review_state
from medreward.task.task import Task, shipped

DEFAULT_BUDGET = 600  # words: some 800 tokens, which leaves 1,200 of 2,048 to the image
_SHORTEST = 30  # characters of a citation
_FOUND_BY = re.compile(  # a year, a DOI, or a place on the web
    r"(?<![0-9])(1[89]|20)[0-9]{2}(?![0-9])|\b10\.[0-9]{4,}/\S|https?://|\b\w+\.(com|org|net|edu|gov)\b"
)


@dataclass
class Card:
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

    @property
    def labels(self) -> list[Mapping[str, Any]]:
        """The labels, each as a mapping."""
        found = _list(self.content.get("labels"))
        return [label if isinstance(label, Mapping) else {"name": label} for label in found]

    @property
    def references(self) -> Mapping[str, Any]:
        """The references."""
        found = self.content.get("references")
        return found if isinstance(found, Mapping) else {}

    def finding(self, code: str, place: str, message: str, *, error: bool = True) -> Finding:
        """Return a finding in this card."""
        return Finding(code, error, self.file, place, message)


def read_card(task: str | Path) -> Card:
    """Return a card to lint: a shipped one by its name, or a file.

    Raises:
        ConfigError: if it cannot be read. What is wrong in it are findings.
    """
    if str(task) in shipped():
        file = f"{task}.yaml"
        text = files("medreward").joinpath("tasks", file).read_text(encoding="utf-8")
    else:
        file = str(task)
        if Path(file).suffix not in (".yaml", ".yml"):
            Task.load(file)  # raises, with the nearest name
        try:
            text = Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"task card {file!r} cannot be read: {error}") from error
    try:
        content = read_yaml(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        content = {}
    return Card(file, text, content if isinstance(content, Mapping) else {})


def lint(
    task: str | Path, *, budget: int = DEFAULT_BUDGET, tokenizer: Any = str.split
) -> list[Finding]:
    """Return what is wrong with a card's knowledge, errors first.

    Args:
        task: a shipped card's name, or a file.
        budget: how long a prompt with all knowledge may be.
        tokenizer: counts its tokens; by default, words are counted.

    Raises:
        ConfigError: if the card cannot be read.

    >>> [finding.code for finding in lint("mni152_level") if finding.error]
    []
    """
    card = read_card(task)
    found = [*_sources(card), *_references(card), *_reviews(card), *text_findings(card)]
    try:
        loaded = parse_card(card.text, card.file)
    except ConfigError as error:
        if not any(finding.error for finding in found):
            message = str(error).removeprefix(f"{card.file}: ")
            found.append(card.finding("invalid-card", "card", message))
    else:
        found += _length(card, loaded, budget, tokenizer)
    return sorted(found, key=lambda finding: not finding.error)


def _sources(card: Card) -> Iterator[Finding]:
    for place, _, item in card.statements():
        source = item.get("source")
        if not source:
            yield card.finding("no-source", place, f"{_short(item)} has no source")
        elif source not in card.references:
            known = ", ".join(map(str, card.references)) or "none"
            message = f"source {source!r} is not in references ({known})"
            yield card.finding("no-source", f"{place}.source", message)
        elif _is_draft(card.references[source]):
            yield card.finding(
                "draft", place, f"{_short(item)} was drafted by a model; cite a source"
            )


def _references(card: Card) -> Iterator[Finding]:
    cited = {item.get("source") for _, _, item in card.statements()}
    data = card.content.get("data")
    mentioned = " ".join(map(str, data.values())) if isinstance(data, Mapping) else ""
    for key, citation in card.references.items():
        place, text = f"references.{key}", str(citation)
        if _is_draft(citation):
            continue
        if not (key in cited or re.search(rf"(?<!\w){re.escape(str(key))}(?!\w)", mentioned)):
            yield card.finding("unused-reference", place, "nothing cites it", error=False)
        if len(text) < _SHORTEST:
            message = f"{text!r} is too short to be found by"
            yield card.finding("not-citable", place, message, error=key in cited)
        elif not _FOUND_BY.search(text):
            message = f"{text!r} has neither a year nor a DOI nor an address"
            yield card.finding("not-citable", place, message, error=False)


def _reviews(card: Card) -> Iterator[Finding]:
    for place, _, item in card.statements():
        try:
            review_state(f"{place}.review", item.get("review", "unreviewed"))
        except ConfigError as error:
            message = str(error).removeprefix(f"{place}.review: ")
            yield card.finding("bad-review", f"{place}.review", message)


def _length(card: Card, task: Task, budget: int, tokenizer: Any) -> Iterator[Finding]:
    prompt = build_prompt(task)
    size = count_tokens(tokenizer, f"{prompt.system}\n{prompt.text}")
    if size > budget:
        unit = "words" if tokenizer is str.split else "tokens"
        message = f"the prompt with all knowledge has {size} {unit}; the budget is {budget}"
        yield card.finding("over-budget", "card", message)


def _is_draft(citation: Any) -> bool:
    return str(citation).startswith(DRAFT)


def _short(item: Mapping[str, Any]) -> str:
    text = str(item.get("text", ""))
    return repr(text if len(text) <= 60 else text[:59] + "…")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
