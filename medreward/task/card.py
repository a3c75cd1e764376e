"""Task cards: YAML files -> the fields of a :class:`medreward.task.task.Task`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from medreward import checks
from medreward.errors import ConfigError, expected
from medreward.files.reading import parse_yaml, read_text
from medreward.task.labels import Label, Statement
from medreward.task.laterality import Laterality
from medreward.task.review import UNREVIEWED, review_state

_LABEL_FIELDS = [f.name for f in fields(Label)]
_STATEMENT_FIELDS = [f.name for f in fields(Statement)]
Made = TypeVar("Made")


@cache
def shipped() -> tuple[str, ...]:
    """Return the names of the tasks that come with medreward."""
    cards = files("medreward").joinpath("tasks").iterdir()
    return tuple(sorted(card.name[:-5] for card in cards if card.name.endswith(".yaml")))


def card_text(task: str | Path) -> tuple[str, str]:
    """Return the YAML of the shipped task of that name, or of the file, and what to call it.

    Raises:
        ConfigError: if there is no such task or file; the message names the nearest.
    """
    if not isinstance(task, str | Path):
        raise expected("task", task, shipped())
    name = str(task)
    if isinstance(task, str) and task in shipped():
        resource = files("medreward").joinpath("tasks", f"{name}.yaml")
        return resource.read_text(encoding="utf-8"), resource.name
    path = Path(task)
    if path.suffix in (".yaml", ".yml"):
        return read_text(path, what="task card"), name
    raise ConfigError(
        f"{expected('task', name, [*shipped()])} (a card of your own is named by its file, "
        f"CARD.yaml; in commands: --task CARD.yaml)"
    )


def read_card(text: str, where: str, make: type[Made]) -> Made:
    """Return what `make` makes of the fields that a card's YAML `text` gives.

    Raises:
        ConfigError: if the card is not valid; the message names the card and the field.
    """
    try:
        return make(**_values(parse_yaml(text), make))
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error


def make_task(content: object, where: str, make: type[Made]) -> Made:
    """Return what `make` makes of a card's content; `where` names it in errors."""
    try:
        return make(**_values(content, make))
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error


def _values(content: Any, make: type[Any]) -> dict[str, Any]:
    """Return the fields of a task that a card's content gives, each in its own type."""
    values = checks.mapping("card", content, [f.name for f in fields(make)])
    for name in ("name", "kind", "question"):
        if name not in values:
            raise ConfigError(f"{name}: missing")
    for name in ("name", "kind", "question", "modality"):
        checks.text(name, values.get(name, "unnamed"), empty=name == "question")
    references = values["references"] = checks.mapping("references", values.get("references", {}))
    values["labels"] = tuple(
        _label(f"labels[{i}]", label, references)
        for i, label in enumerate(checks.list_of("labels", values.get("labels", [])))
    )
    if "no_finding" in values:
        values["no_finding"] = checks.texts("no_finding", values["no_finding"])
    values["knowledge"] = _statements("knowledge", values.get("knowledge", []), references)
    if "laterality" in values:
        values["laterality"] = Laterality.of(values["laterality"])
    if "fields" in values:
        given = checks.mapping("fields", values["fields"])
        values["fields"] = {
            name: _field(name, one, references, make) for name, one in given.items()
        }
    values["reward"] = checks.mapping("reward", values.get("reward", {}))
    return values


def _field(name: str, content: Any, references: Mapping[str, str], make: type[Made]) -> Made:
    """Return a field's task: a card of its own, which takes name and references from the whole."""
    where = f"fields.{name}"
    own = {"name": str(name), "question": "", "references": references}
    try:
        return make(**_values({**own, **checks.mapping(where, content)}, make))
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error


def _label(where: str, content: Any, references: Mapping[str, str]) -> Label:
    if isinstance(content, str):
        return Label(content)
    if not isinstance(content, Mapping):
        checks.text(where, content)
    values = checks.mapping(where, content, _LABEL_FIELDS)
    name = checks.text(f"{where}.name", values.get("name"))
    return Label(
        name,
        checks.texts(f"{where}.synonyms", values.get("synonyms", [])),
        checks.flag(f"{where}.absence", values.get("absence", False)),
        _statements(f"{where}.attributes", values.get("attributes", []), references),
        values.get("cost", 1.0),
    )


def _statements(where: str, content: Any, references: Mapping[str, str]) -> tuple[Statement, ...]:
    found = []
    for i, item in enumerate(checks.list_of(where, content)):
        values = checks.mapping(f"{where}[{i}]", item, _STATEMENT_FIELDS)
        for name in ("text", "source"):
            checks.text(f"{where}[{i}].{name}", values.get(name))
        values["review"] = review_state(f"{where}[{i}].review", values.get("review", UNREVIEWED))
        if values["source"] not in references:
            raise ConfigError(
                f"{expected(f'{where}[{i}].source', values['source'], references)}; a source is a "
                f"key of the card's `references`, which hold the full citation of each"
            )
        found.append(Statement(**{**values, "text": " ".join(values["text"].split())}))
    return tuple(found)
