"""How grounding questions are worded: templates, which are data, and a class's words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple

from medreward.files.reading import parse_yaml
from medreward.priors.template import Template, Templates, load_templates
from medreward.task.task import Task


class Wording(NamedTuple):
    """The wording of a kind of question.

    Attributes:
        prompt: the prompt's templates (`medreward.priors.template`).
        questions: templates with the mark ``{name}``.
    """

    prompt: Templates
    questions: tuple[str, ...]


@cache
def wordings() -> Mapping[str, Wording]:
    """Return the wording of each kind of question, from ``grounding.yaml``."""
    source = files("medreward").joinpath("grounding", "grounding.yaml")
    content = parse_yaml(source.read_text(encoding="utf-8"))
    return {
        ask: Wording(_templates(entry["prompt"]), tuple(entry["questions"]))
        for ask, entry in content.items()
    }


def _templates(prompt: Mapping[str, str]) -> Templates:
    """Return one template for tasks of every kind, with the shipped sentences on frames."""
    shipped = load_templates()
    return Templates(dict.fromkeys(shipped.kinds, Template(**prompt)), shipped.frames)


def words_of(task: Task, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the words for each class: the card's name and synonyms, or the name in the data.

    >>> task = Task("cells", labels=["WBC", "RBC"], question="?")
    >>> words_of(task, ["WBC", "platelet"])
    {'WBC': ('WBC',), 'platelet': ('platelet',)}
    """
    known = {label.name: (label.name, *label.synonyms) for label in task.labels}
    return {name: known.get(name, (name,)) for name in names}


def question(ask: str, words: Sequence[Sequence[str]], key: str) -> str:
    """Return a question about one class, or about any of several; `key` draws its wording.

    >>> question("count", [["WBC", "white blood cell"]], "seed 0, image 12")
    'What is the number of instances of white blood cell in this image?'
    """
    templates = wordings()[ask].questions
    named = [draw_wording(forms, f"{key}/{i}") for i, forms in enumerate(words)]
    return draw_wording(templates, key).replace("{name}", join_names(named))


def draw_wording(choices: Sequence[str], key: str) -> str:
    """Return the one of the choices that a hash of `key` says."""
    return choices[number(key) % len(choices)]


def number(key: str) -> int:
    """Return a whole number from 0 to 2^64 - 1, by hash of a text."""
    digest = sha256(key.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big")


def join_names(names: Sequence[str]) -> str:
    """Return names as an enumeration.

    >>> join_names(["RBC"]), join_names(["RBC", "WBC", "platelet"])
    ('RBC', 'RBC, WBC or platelet')
    """
    return " or ".join([*([", ".join(names[:-1])] if names[1:] else []), *names[-1:]])


def slugs(names: Sequence[str]) -> dict[str, str]:
    """Return a part of an id for each name: its letters and digits, different for each.

    >>> slugs(["WBC", "red cell", "Red-Cell", "核"])
    {'WBC': 'wbc', 'red cell': 'red-cell', 'Red-Cell': 'red-cell-2', '核': 'class'}
    """
    taken: dict[str, str] = {}
    for name in names:
        base = "-".join(re.findall(r"[a-z0-9]+", name.lower())) or "class"
        slug, turn = base, 1
        while slug in taken.values():
            turn += 1
            slug = f"{base}-{turn}"
        taken[name] = slug
    return taken
