"""Drafts of missing attributes by a language model: never reviewed, never with a source."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from medreward.errors import ConfigError, quote
from medreward.files.atomic import write_text_atomic
from medreward.files.chat import Endpoint, EndpointError, Messages
from medreward.files.reading import parse_json, parse_yaml
from medreward.priors.raw_card import RawCard, read_raw_card
from medreward.priors.template import fill
from medreward.task.review import DRAFT
from medreward.task.task import Task, parse_card

HEADER = "# Drafts of a language model: check every statement, and give each a source of its own.\n"
MOST = 3  # attributes a label
_LONGEST = 400  # characters of one
_TRIES = 3  # answers that are not in the form asked for
_FENCE = re.compile(r"```(?:json)?\s*(.*?)\s*```", re.DOTALL)


def draft(task: str | Path, endpoint: Endpoint, out: str | Path | None = None) -> tuple[Path, int]:
    """Write a card with attributes drafted for the labels that have none.

    The result is a card of its own, as YAML that is written anew loses the comments of the old one,
    which stays as it is. The source of its drafted statements is a reference
    that begins with "draft:", which `medreward priors lint` reports as an error. Where the endpoint
    fails on the way, what there is so far is written.

    Args:
        task: a shipped card's name, or a file.
        endpoint: who is asked.
        out: the file to write; None: ``NAME.drafts.yaml`` in the current folder.

    Returns:
        The file, and how many labels were drafted.

    Raises:
        ConfigError: if the card is not valid, has nothing to draft, `out` is there already and not
            the file of drafts that is to be completed, or the endpoint fails.
    """
    card = read_raw_card(task)
    loaded = parse_card(card.text, card.file)
    missing = [i for i, label in enumerate(loaded.labels) if not label.attributes]
    if not missing:
        all_have = "all its labels have attributes" if loaded.labels else "it has no labels"
        raise ConfigError(f"{card.file}: nothing to draft: {all_have}")
    path = Path(out) if out is not None else Path(f"{loaded.name}.drafts.yaml")
    _check_out(path, card)
    found: dict[int, list[str]] = {}
    try:
        for index in tqdm(missing, desc="drafting", unit="label", disable=None):
            found[index] = _attributes(loaded, index, endpoint)
    except EndpointError as error:
        if not found:
            raise
        _write(path, card, found, endpoint.model)
        raise EndpointError(
            f"{error}\n{len(found)} of {len(missing)} labels are in {path}; "
            f"--task {path} --out {path} goes on"
        ) from error
    _write(path, card, found, endpoint.model)
    return path, len(found)


def read_answer(text: str) -> list[str]:
    r"""Return the attributes in a model's answer: JSON, bare, in a code fence or after thinking.

    Raises:
        ValueError: if it is not in the form asked for.

    >>> read_answer('```json\n{"attributes": ["A  nodule is round."]}\n```')
    ['A nodule is round.']
    """
    text = text.rpartition("</think>")[2].strip()
    fenced = _FENCE.fullmatch(text)
    try:
        content = parse_json(fenced[1] if fenced else text)
    except ConfigError as error:
        raise ValueError(str(error)) from error
    found = content.get("attributes") if isinstance(content, Mapping) else None
    if not isinstance(found, list) or not found or not all(isinstance(s, str) for s in found):
        raise ValueError("no list of texts under 'attributes'")
    texts = [" ".join(s.split()) for s in found[:MOST]]
    if not all(0 < len(s) <= _LONGEST for s in texts):
        raise ValueError(f"an attribute is empty or longer than {_LONGEST} characters")
    return texts


def _attributes(task: Task, index: int, endpoint: Endpoint) -> list[str]:
    messages = _messages(task, index)
    problem = ""
    for _ in range(_TRIES):
        try:
            return [endpoint.clean(text) for text in read_answer(endpoint.ask(messages))]
        except EndpointError:
            raise
        except ValueError as error:
            problem = str(error)
    name = task.labels[index].name
    raise EndpointError(
        f"label {quote(name)}: model {quote(endpoint.model)} does not answer in JSON as asked "
        f"({problem})"
    )


def _messages(task: Task, index: int) -> Messages:
    label = task.labels[index]
    values = {
        "question": task.question,
        "modality": task.modality,
        "labels": "; ".join(x.name for x in task.labels),
        "label": label.name,
        "synonyms": "; ".join(label.synonyms),
        "count": str(MOST),
    }
    return [{"role": role, "content": fill(text, values)} for role, text in _asked().items()]


@cache
def _asked() -> dict[str, str]:
    text = files("medreward.priors").joinpath("draft_prompt.yaml").read_text(encoding="utf-8")
    content: dict[str, str] = parse_yaml(text)
    return content


def _check_out(path: Path, card: RawCard) -> None:
    """Refuse to write over anything but a file of drafts that is being completed."""
    if not path.exists():
        return
    same = Path(card.file).exists() and path.samefile(card.file)
    if not (same and card.text.startswith(HEADER)):
        raise ConfigError(
            f"{path}: is there already; to complete a file of drafts, give it as --task too"
        )


def _write(path: Path, card: RawCard, found: Mapping[int, list[str]], model: str) -> None:
    content: dict[str, Any] = copy.deepcopy(dict(card.content))
    key = _add_reference(content, model)
    labels = [dict(label) for label in card.labels]
    for index, texts in found.items():
        labels[index]["attributes"] = [{"text": text, "source": key} for text in texts]
    content["labels"] = labels
    text = HEADER + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
    parse_card(text, str(path))  # never write what cannot be read
    write_text_atomic(path, text)


def _add_reference(content: dict[str, Any], model: str) -> str:
    """Add the reference that says who drafted, and return its key."""
    name = " ".join(model.split())
    citation = f"{DRAFT} {name}, {date.today().isoformat()} (a language model, not a source)"
    references = dict(content.get("references") or {})
    number, key = 1, "draft"
    while references.get(key, citation) != citation:
        number += 1
        key = f"draft_{number}"
    content["references"] = {**references, key: citation}
    return key
