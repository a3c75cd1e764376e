"""A first card from data: the labels that are there, with their counts, and nothing else.

The kind is guessed from the form of the labels, and the guess is said. What only people know stands
in the card as questions: synonyms, what the image is, which label says that nothing was found.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from medreward.data.sources.record import ANY_OBJECT, Flags, Record, Source
from medreward.errors import ConfigError, expected, quote
from medreward.kinds.base import TargetType, target_type_of
from medreward.prepare.labels import settle_unsaid
from medreward.prepare.unknown import key_of
from medreward.task.registry import kind_names, rules_of
from medreward.task.task import parse_card
from medreward.task.traits import Trait

_NOTHING = frozenset(("no finding", "no findings", "normal", "none", "healthy", "no disease"))
_MOST_LABELS = 500


class Draft(NamedTuple):
    """A drafted card and what was guessed.

    Attributes:
        text: the card's YAML.
        name: the task's name.
        kind: its kind.
        said: what was guessed, and why.
    """

    text: str
    name: str
    kind: str
    said: list[str]


def draft_card(
    source: Source,
    *,
    name: str | None = None,
    kind: str | None = None,
) -> Draft:
    """Return a card for the labels of a source.

    Args:
        source: the data.
        name: the task's name; None: made of the source's.
        kind: the task's kind; None: guessed.

    Raises:
        ConfigError: if the source has no labels, asks questions of its own, or the card that its
            labels give would be refused.

    >>> records = [Record(str(i), str(i), None, label=x) for i, x in enumerate(["a", "b", "a"])]
    >>> draft = draft_card(Source("folder per class letters", records, load=len))
    >>> draft.name, draft.kind
    ('letters', 'classification')
    """
    if any(record.question for record in source.records):
        raise ConfigError(
            f"{source.name}: its questions bring their answers along, so they need no card of "
            f"yours; take the shipped card yes_no, multiple_choice or short_answer"
        )
    records, _ = settle_unsaid(source.records, negative=False)
    counts = _count(records)
    if len(counts) > _MOST_LABELS:
        shown = ", ".join([*counts][:5])
        raise ConfigError(
            f"{source.name}: {len(counts)} labels, such as {shown}: is that the column of labels?"
        )
    guessed, why = _guess(records, counts)
    if kind is not None and kind not in kind_names():
        raise expected("--kind", kind, kind_names())
    chosen = kind or guessed
    said = [f"kind {chosen}: {why}"] if kind is None else []
    name = name or _slug(source.name)
    nothing = [x for x in counts if _says_nothing(x)] if _is_set(chosen) else []
    if nothing:
        said.append(f"no_finding: {', '.join(nothing)}, by its name")
    labels = {label: n for label, n in counts.items() if label not in nothing}
    ordered = sorted(labels, key=_rank) if _is_ordered(chosen) else list(labels)
    text = _write(name, chosen, {label: labels[label] for label in ordered}, nothing)
    return Draft(_loadable(text), name, chosen, said)


def _count(records: Sequence[Record]) -> Counter[str]:
    """Return how often each label, or name of a box, is in records; the most frequent first."""
    counts: Counter[str] = Counter()
    for record in records:
        if record.boxes is not None:
            counts.update(box.name for box in record.boxes)
        elif isinstance(record.label, Flags):
            counts.update(str(i) for i, flag in enumerate(record.label.values) if flag)
        elif isinstance(record.label, tuple):
            counts.update(key_of(label) for label in record.label)
        else:
            counts[key_of(record.label)] += 1
    found = Counter({label: n for label, n in counts.most_common() if label})
    if not found:
        raise ConfigError("no label in the data: a card needs some")
    return found


def _kind(target: TargetType, *, ordered: bool = False) -> str:
    """Return the name of the kind of that form of targets."""
    return next(
        name
        for name in kind_names()
        if target_type_of(name) is target and _is_ordered(name) == ordered
    )


def _guess(records: Sequence[Record], counts: Mapping[str, int]) -> tuple[str, str]:
    """Return the kind that the form of the labels fits, and why."""
    if any(record.boxes is not None for record in records):
        return _kind(TargetType.BOXES), "the data have boxes"
    labels = [record.label for record in records]
    if any(isinstance(label, Flags) or _is_several(label) for label in labels):
        return _kind(TargetType.LABELS), "some images have several labels or none"
    numbers = sorted(int(label) for label in counts if label.isdecimal())
    in_turn = len(numbers) == len(counts) > 2 and numbers == list(
        range(numbers[0], numbers[0] + len(numbers))
    )
    if in_turn and numbers[0] in (0, 1):
        return _kind(TargetType.LABEL, ordered=True), (
            f"the labels are the numbers {numbers[0]} to {numbers[-1]}; if they are no grades that "
            f"rise, give --kind {_kind(TargetType.LABEL)} and name them"
        )
    return _kind(TargetType.LABEL), "one label an image"


def _is_several(label: object) -> bool:
    return isinstance(label, tuple) and len(label) != 1


def _is_set(kind: str) -> bool:
    return target_type_of(kind) is TargetType.LABELS


def _is_ordered(kind: str) -> bool:
    return Trait.ORDERED in rules_of(kind).traits


def _rank(label: str) -> tuple[int, str]:
    return (int(label) if label.isdecimal() else 10**9, label)


def _says_nothing(label: str) -> bool:
    return " ".join(re.split(r"[\s_-]+", label.lower())) in _NOTHING


def _slug(text: str) -> str:
    """Return a task's name made of a source's: its last word, without the ending of a file."""
    word = text.replace("\\", "/").rpartition("/")[2].split()[-1]
    stem = re.sub(r"\.[A-Za-z]{2,4}$", "", word)
    return re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_") or "task"


def _write(name: str, kind: str, labels: Mapping[str, int], nothing: Sequence[str]) -> str:
    places = Trait.PLACES in rules_of(kind).traits
    counted = "boxes" if places else "images"
    asked = "Where in the image is what is asked for?" if places else "What does the image show?"
    if places and labels:
        named = "objects" if [*labels] == [ANY_OBJECT] else ", ".join(labels)
        asked = f"Where in the image are these: {named}?"
    lines = [
        "# Drafted from data by medreward. Nothing in it is knowledge: look at each line.",
        f"name: {_scalar(name)}",
        f"kind: {kind}",
        "# What is the image, and what is asked? Put it as you would to a colleague.",
        f"question: {_scalar(asked)}",
        "# modality: such as frontal chest radiograph",
        "# data: {set: …, licence: …}",
    ]
    if nothing:
        lines += ["# What says that there is nothing.", f"no_finding: {_list(nothing)}"]
    if not places and not nothing:
        lines.append("# A label that says that nothing was found has `absence: true`.")
    lines.append("labels:")
    for label, count in labels.items():
        lines.append(f"  - name: {_scalar(label)}  # {count} {counted}")
        lines.append("    synonyms: []  # other words for it that an answer may use")
    return "\n".join(lines) + "\n"


def _scalar(text: str) -> str:
    """Return a text as YAML writes it, in quotes where it could be read as something else."""
    is_plain = re.fullmatch(r"[A-Za-z][A-Za-z ]*[A-Za-z]", text) and text.lower() not in _WORDS
    return text if is_plain else json.dumps(text, ensure_ascii=False)


_WORDS = frozenset(("yes", "no", "on", "off", "true", "false", "null", "y", "n"))


def _list(texts: Sequence[str]) -> str:
    return "[" + ", ".join(map(_scalar, texts)) + "]"


def _loadable(text: str) -> str:
    """Return the card, without tolerance of typos where its labels are that close to each other.

    Raises:
        ConfigError: if it is no card even so.
    """
    try:
        parse_card(text)
    except ConfigError as first:
        strict = text + "max_typos: 0  # its labels are close to each other\n"
        try:
            parse_card(strict)
        except ConfigError:
            raise ConfigError(
                f"the labels do not make a card yet: {first}; rename them in the data, or write "
                f"the card by hand and map them (--map {quote('OLD=NEW')})"
            ) from first
        return strict
    return text
