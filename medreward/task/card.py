"""Task cards: YAML files -> the fields of a :class:`medreward.task.task.Task`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from medreward import checks
from medreward.errors import ConfigError, expected, quote
from medreward.files.reading import parse_yaml, read_text
from medreward.task.labels import Label, Statement
from medreward.task.laterality import Laterality
from medreward.task.links import link_of
from medreward.task.review import SignedText, merge_reviews, parse_reviews
from medreward.version import __version__

_LABEL_FIELDS = [f.name for f in fields(Label)]
_STATEMENT_FIELDS = [f.name for f in fields(Statement)]
_NOT_IN_A_CARD = (
    "reviews",
    "urls",
    "unopened",
)  # fields of a task that its YAML gives in another place
REVIEWS = ".reviews.yaml"  # ends the name of the file beside a card
NO_REVIEW_HERE = (
    "a card does not hold reviews; remove the line, and have the text read with medreward review "
    f"sheet and apply, which bind the review to the text in NAME{REVIEWS}"
)
Made = TypeVar("Made")


@cache
def shipped() -> tuple[str, ...]:
    """Return the names of the tasks that come with medreward."""
    cards = files("medreward").joinpath("tasks").iterdir()
    names = [card.name for card in cards if card.name.endswith(".yaml")]
    return tuple(sorted(name[:-5] for name in names if not name.endswith(REVIEWS)))


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


def copied_card(task: str | Path) -> str:
    """Return a card's YAML to be copied and changed; of a shipped one, it says whence it comes.

    >>> print(copied_card("yes_no").splitlines()[0])  # doctest: +ELLIPSIS
    # A copy of the card yes_no of medreward ...
    """
    text, _ = card_text(task)
    if task not in shipped():
        return text
    known = f"copied from {task} of medreward {__version__}"
    head = (
        f"# A copy of the card {task} of medreward {__version__}, to be changed.\n"
        f"# Give it a name of its own: rows, traces and scores are known by it.\n"
    )
    changed, count = re.subn(r"(?m)^data:\n", f"data:\n  card: {known}\n", text, count=1)
    return head + (changed if count else f"{text}data:\n  card: {known}\n")


def reviews_of(task: str | Path, folder: str | Path | None = None) -> tuple[SignedText, ...]:
    """Return the reviews of a card: those beside it, and those that a folder has of it.

    Args:
        task: a shipped task's name, or the file of a card.
        folder: where you keep reviews, each file named after its card; None: nowhere else.

    Raises:
        ConfigError: if there is no such folder, or a file of reviews is not valid.
    """
    if isinstance(task, str) and task in shipped():
        name = f"{task}{REVIEWS}"
        places: list[Any] = [files("medreward").joinpath("tasks", name)]
    else:
        name = f"{Path(task).stem}{REVIEWS}"
        places = [Path(task).with_name(name)]
    if folder is not None:
        check_folder(folder)
        places.append(Path(folder) / name)
    found = [place for place in dict.fromkeys(places) if place.is_file()]
    return merge_reviews(*(parse_reviews(read_text(str(x)), str(x)) for x in found))


def check_folder(folder: str | Path) -> None:
    """Raise `ConfigError` unless there is that folder of reviews."""
    if not Path(folder).is_dir():
        raise ConfigError(
            f"reviews: {quote(str(folder))} is no folder; medreward review apply FILE --reviews "
            f"{folder} makes it"
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
    allowed = [f.name for f in fields(make) if f.name not in _NOT_IN_A_CARD]
    values = checks.mapping("card", content, allowed)
    for name in ("name", "kind", "question"):
        if name not in values:
            raise ConfigError(f"{name}: missing")
    for name in ("name", "kind", "question", "modality", "specialty"):
        checks.text(name, values.get(name, "unnamed"), empty=name == "question")
    values |= _references(values.get("references", {}))
    references = values["references"]
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


def _references(content: Any) -> dict[str, Any]:
    """Return citations and addresses by key, and the keys whose address nobody opened.

    A reference is a citation, or has an address too; `opened: false` says that whoever wrote it
    down knows the address and did not open it.
    """
    found = checks.mapping("references", content)
    urls, unopened = {}, []
    for key, item in found.items():
        if isinstance(item, Mapping):
            where = f"references.{key}"
            values = checks.mapping(where, item, ("citation", "url", "opened"))
            found[key] = checks.text(f"{where}.citation", values.get("citation"))
            if not checks.flag(f"{where}.opened", values.get("opened", True)):
                unopened.append(str(key))
            if "url" in values:
                urls[key] = _address(f"{where}.url", values["url"])
            elif key not in unopened and not link_of(found[key]):
                raise ConfigError(
                    f"{where}.url: missing, and the citation holds no DOI (10.…), arXiv number, "
                    f"PMC number or address by which a reader opens it; write url: https://…"
                )
    return {"references": found, "urls": urls, "unopened": tuple(unopened)}


def _address(where: str, value: object) -> str:
    url = checks.text(where, value)
    if not re.fullmatch(r"https?://[^\s/]+\.[^\s]+", url):
        raise ConfigError(f"{where}: {quote(url)} is no address (https://…)")
    return url


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
        checks.text(f"{where}.display", values.get("display", ""), empty=True),
    )


def _statements(where: str, content: Any, references: Mapping[str, str]) -> tuple[Statement, ...]:
    found = []
    for i, item in enumerate(checks.list_of(where, content)):
        if isinstance(item, Mapping) and "review" in item:
            raise ConfigError(f"{where}[{i}].review: {NO_REVIEW_HERE}")
        values = checks.mapping(f"{where}[{i}]", item, _STATEMENT_FIELDS)
        for name in ("text", "source"):
            checks.text(f"{where}[{i}].{name}", values.get(name))
        values["findings"] = checks.texts(f"{where}[{i}].findings", values.get("findings", []))
        if values["source"] not in references:
            raise ConfigError(
                f"{expected(f'{where}[{i}].source', values['source'], references)}; a source is a "
                f"key of the card's `references`, which hold the full citation of each"
            )
        found.append(Statement(**{**values, "text": " ".join(values["text"].split())}))
    return tuple(found)
