"""Labelled answers: JSON lines, each with an answer and what a careful human reads in it.

| field | |
|---|---|
| `id` | a name, unique in what is read together |
| `task` | a shipped card's name, or a card as a mapping (`kind` is `classification` unless given) |
| `answer` | the text inside of `<answer>`, as it is |
| `expected` | the label, the grade, a sorted list of labels, boxes, points or a mask as a target |
| | has them; null where the answer commits to nothing or must not be paid |
| `form` | in which form it is written: one of `FORMS` |
| `short` | true for an honest answer that commits in a short form |
| `why` | for null: the reason |
| `target` | for null and a task that asks for places: the truth that a careless reader would pay |
| `disputed` | true where careful readers differ; counted by itself |
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from medreward import ConfigError, Task
from medreward.task.task import parse_task
from medreward.task.traits import Trait

FORMS = (
    "label",
    "letter",
    "yes_no",
    "grade",
    "sentence",
    "list",
    "table",
    "json",
    "markdown",
    "boxed",
    "explanation",
    "hedge",
    "denial",
    "unclear",
    "other_language",
    "prose",
)
_NEEDED = ("id", "task", "answer", "expected", "form")
_ALLOWED = frozenset({*_NEEDED, "short", "why", "target", "disputed"})


@dataclass(frozen=True)
class LabelledAnswer:
    """An answer and what a careful human reads in it; None: nothing that may be paid."""

    id: str
    task: Task
    answer: str
    expected: Any
    form: str
    short: bool = False
    why: str = ""
    target: Any = None
    disputed: bool = False


def read_answers(paths: Iterable[Path]) -> list[LabelledAnswer]:
    """Return the labelled answers of files, and of the `.jsonl` files of folders.

    Raises:
        ConfigError: for a wrong line; the message names the file, the line and the field.
    """
    answers: dict[str, LabelledAnswer] = {}
    for file in _files(paths):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if line.strip():
                where = f"{file}, line {number}"
                answer = _answer(line, where)
                if answer.id in answers:
                    raise ConfigError(f"{where}: id: {answer.id!r} is there twice")
                answers[answer.id] = answer
    if not answers:
        raise ConfigError(f"{', '.join(map(str, paths))}: there are no answers")
    return list(answers.values())


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(path.glob("*.jsonl"))
        elif path.is_file():
            yield path
        else:
            raise ConfigError(f"{path}: there is no such file or folder")


def _answer(line: str, where: str) -> LabelledAnswer:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"{where}: not JSON: {error}") from error
    if not isinstance(row, dict):
        raise ConfigError(f"{where}: not a JSON object")
    missing = [name for name in _NEEDED if name not in row]
    unknown = sorted(row.keys() - _ALLOWED)
    if missing or unknown:
        raise ConfigError(f"{where}: fields missing: {missing}, unknown: {unknown}")
    if row["form"] not in FORMS:
        raise ConfigError(f"{where}: form: {row['form']!r} is none of {', '.join(FORMS)}")
    try:
        task = _task(json.dumps(row["task"]))
    except ConfigError as error:
        raise ConfigError(f"{where}: task: {error}") from error
    answer = LabelledAnswer(**{**row, "task": task})
    _check(answer, where)
    return answer


@cache
def _task(text: str) -> Task:
    """Return the task of a card as JSON; equal cards are one task, which is checked once."""
    content = json.loads(text)
    if isinstance(content, str):
        return Task.load(content)
    base = {"kind": "classification", "question": "Which of the labels is right?"}
    return parse_task(base | content, "card")


def _check(answer: LabelledAnswer, where: str) -> None:
    if answer.expected is None and not answer.why:
        raise ConfigError(f"{where}: why: missing for an answer that must not be paid")
    if answer.expected is None and answer.short:
        raise ConfigError(f"{where}: short: true for an answer that must not be paid")
    if needs_target(answer) and answer.target is None:
        raise ConfigError(f"{where}: target: missing; it says what a careless reader would pay")
    if answer.expected is not None or needs_target(answer):
        try:
            answer.task.parse_target(truth_of(answer))
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error


def needs_target(answer: LabelledAnswer) -> bool:
    """Whether an answer is to be held to a truth that it must not be paid for."""
    return answer.expected is None and Trait.PLACES in answer.task.traits


def truth_of(answer: LabelledAnswer) -> Any:
    """Return the truth that an answer is scored against, as a target of its task.

    A point is held to a box of two pixels around it.
    """
    value = answer.target if answer.expected is None else answer.expected
    if Trait.POINTS in answer.task.traits:
        return [[x - 1, y - 1, x + 1, y + 1] for x, y in value]
    return value
