"""A task card as people read it, and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from medreward.task.card import shipped
from medreward.task.labels import Statement
from medreward.task.review import SignedText, is_draft
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.task.traits import Trait

_WIDTH = 100
_Statements = Iterator[tuple[Statement, SignedText]]


def listing(reviews: str | Path | None = None) -> list[str]:
    """Return a line for each shipped task: name, kind, counts of its statements, labels.

    Args:
        reviews: a folder with reviews of the cards.
    """
    counted = ("total", "reviewed", "disputed", "rejected", "stale")
    heads = ["statements", *counted[1:]]
    lines = [f"{'task':20} {'kind':15} {' '.join(heads)}  labels"]
    for name in shipped():
        task = Task.load(name, reviews)
        counts = task.count_reviews().as_dict()
        told = " ".join(
            f"{counts[key]:{len(head)}}" for key, head in zip(counted, heads, strict=True)
        )
        labels = "; ".join(label.name for label in task.labels) or _without_labels(task)
        lines.append(f"{name:20} {task.kind:15} {told}  {labels}")
    return lines


def _without_labels(task: Task) -> str:
    return "boxes" if task.has_places else "those of each row"


def card_text(task: Task) -> str:
    """Return a card for reading: everything in it, each statement with its source and readers.

    >>> card_text(Task.load("yes_no")).splitlines()[0]
    'yes_no (classification): 0 statements'
    """
    return "\n".join(_lines(task))


def card_json(task: Task) -> dict[str, Any]:
    """Return a card for JSON: its fields as in YAML, and a count of its statements.

    >>> card_json(Task.load("yes_no"))["statements"]
    {'total': 0, 'reviewed': 0, 'disputed': 0, 'rejected': 0, 'stale': 0, 'drafted': 0}
    """
    content = asdict(task)
    content["reward"]["weights"] = dict(task.reward.weights)
    content |= {name: dict(getattr(task, name)) for name in ("references", "urls", "data")}
    content["fields"] = {name: card_json(field) for name, field in task.fields.items()}
    counts = task.count_reviews().as_dict()
    return {**content, "statements": counts, "digest": task.digest}


def _lines(task: Task) -> Iterator[str]:
    yield f"{task.name} ({task.kind}): {task.count_reviews()}"
    yield from _wrapped(task.question, "question  ")
    if task.modality:
        yield from _wrapped(task.modality, "modality  ")
    for name, text in task.data.items():
        yield from _wrapped(text, f"{name:9} ")
    yield from _reward(task)
    statements = zip(task.statements, task.reviewed_statements, strict=True)
    if task.knowledge:
        yield from ("", "about the task")
        yield from _statements(statements, len(task.knowledge), "  ")
    if task.labels:
        yield from ("", "grades" if Trait.ORDERED in task.traits else "labels")
        yield from _labels(task, statements)
    yield from _fields(task)
    yield from _sources(task)


def _fields(task: Task) -> Iterator[str]:
    if task.fields:
        yield from ("", "fields")
    for name, field in task.fields.items():
        weight = task.field_weights.get(name, 1.0)
        counted = "" if weight == 1 else f", counts {weight:g}"
        yield from _wrapped(f"{name} ({field.kind}{counted})", "  ")
        told = zip(field.statements, field.reviewed_statements, strict=True)
        yield from (f"  {line}" for line in _labels(field, told))


def _sources(task: Task) -> Iterator[str]:
    if task.references:
        yield from ("", "references")
        for key, citation in task.references.items():
            notes = [task.urls.get(key, ""), "(not opened)" if key in task.unopened else ""]
            yield from _wrapped(" ".join([citation, *notes]), f"  {key}: ")
    words = {place: one.note for place, one in task.reviewed_words.items() if one.opinions}
    if words:
        yield from ("", "reviews of the card's words")
        for place, note in words.items():
            yield from _wrapped(f"{place} [{note}]", "  - ")
    if task.stale_reviews:
        yield from ("", "stale reviews, of what the card no longer says")
        for review in task.stale_reviews:
            yield from _wrapped(f"{review.text} [{review.note}]", "  - ")


def _reward(task: Task) -> Iterator[str]:
    """Say what differs from the settings that every task has."""
    own, usual = asdict(task.reward), asdict(RewardSettings())
    changed = {name: value for name, value in own.items() if value != usual[name]}
    text = "; ".join(f"{name}: {_value(value)}" for name, value in changed.items())
    yield from _wrapped(text or "as by default", "reward    ")


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {weight:g}" for name, weight in value.items())
    return str(value)


def _labels(task: Task, statements: _Statements) -> Iterator[str]:
    for i, label in enumerate(task.labels):
        grade = task.answer_name(i) if Trait.ORDERED in task.traits else ""
        name = label.name if label.name == grade or not grade else f"{grade} = {label.name}"
        notes = [f"shown as {label.display}"] if label.shown != label.name else []
        notes += ["says that nothing was found"] if label.absence else []
        notes += [f"cost {label.cost:g}"] if label.cost != 1 else []
        notes += [f"also {', '.join(label.synonyms)}"] if label.synonyms else []
        yield from _wrapped(name + (f" ({'; '.join(notes)})" if notes else ""), "  ")
        yield from _statements(statements, len(label.attributes), "    ")
    if {Trait.NAMES_LABELS, Trait.MAY_BE_EMPTY} <= task.traits:
        yield from _wrapped(f"none of them: {', '.join(task.no_finding)}", "  ")


def _statements(statements: _Statements, count: int, indent: str) -> Iterator[str]:
    """Yield the lines of the next statements."""
    for statement, cited in islice(statements, count):
        draft = ", a draft without a source" if is_draft(cited.source) else ""
        text = f"{statement.text} [{statement.source}{draft}; {cited.note}]"
        yield from _wrapped(text, f"{indent}- ")


def _wrapped(text: str, first: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=" " * (len(first) if len(first) <= 12 else 4),
        break_long_words=False,
        break_on_hyphens=False,
    )
