"""The fields of a case, checked: a mapping out of a file -> :class:`Case`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any

from medreward.audit.cases.case import (
    BOUNDS,
    EXPECTATIONS,
    HONEST,
    ORDERS,
    THINK,
    TOLERANCE,
    Case,
)
from medreward.checks import flag, mapping, number, text
from medreward.errors import ConfigError, expected, quote
from medreward.kinds.truth import target_of
from medreward.scoring.scorer import Scorer
from medreward.task.completion_format import check_format
from medreward.task.task import Task, parse_task
from medreward.task.traits import Trait
from medreward.text.completion import completion_text, is_chat
from medreward.text.formats.base import CompletionFormat
from medreward.text.formats.registry import format_of
from medreward.text.reasons import REASONS

# What a file gives for all of its cases, and a case may give for itself.
DEFAULTS = (
    *("task", "settings", "knowledge", "prompt", "think"),
    *("columns", "target", "tolerance", "expect"),
)
FILE_FIELDS = ("about", "source", "reward", "signature", *DEFAULTS, "cases", "read")
CASE_FIELDS = ("id", "completion", "answer", "gap", "note", *DEFAULTS)
READING_FIELDS = ("answer", "gap", "id", "note")
_MOST_ID = 60


class Defaults:
    """What a file says for all of its cases.

    Raises:
        ConfigError: if a field is unknown or its value is not allowed.
    """

    def __init__(self, content: Mapping[str, Any], folder: Path) -> None:
        self.folder = folder
        self.named: set[str] = set()  # the ids that the file gives
        self._tasks: dict[str, Task] = {}
        self.given = {name: content[name] for name in DEFAULTS if name in content}

    def case(self, content: object, place: str, label: str = "") -> Case:
        """Return the case that `content` describes; one without an id is named by its text."""
        values = mapping("case", content, CASE_FIELDS)
        if "id" in values:
            self.named.add(_id(values["id"]))
        values = {**self.given, **values}
        for merged in ("settings", "columns", "expect"):
            values[merged] = self._merged(merged, content, values)
        if "task" not in values:
            raise ConfigError("task: missing, here and at the head of the file")
        task = self._task(values["task"])
        if "target" not in values:
            raise ConfigError("target: missing, here and at the head of the file")
        task.parse_target(target_of(task, values["target"]))
        _check_settings(task, values["settings"])
        think = text("think", values.get("think", THINK), empty=True)
        format_name = check_format(
            values["settings"].get("completion_format", task.reward.completion_format)
        )
        completion = _completion(values, think, format_of(format_name))
        return Case(
            id=values.get("id") or _name(label, values.get("answer", completion)),
            place=place,
            task=task,
            completion=completion,
            target=values["target"],
            expect=_expectations(values["expect"], task),
            tolerance=number_of("tolerance", values.get("tolerance", TOLERANCE), low=0.0),
            settings=values["settings"],
            knowledge=_optional("knowledge", values),
            prompt=_optional("prompt", values),
            think=think,
            columns=values["columns"],
            gap=text("gap", values.get("gap", ""), empty="gap" not in values),
            note=text("note", values.get("note", ""), empty=True),
        )

    def reading(self, label: object, content: object, place: str) -> Case:
        """Return the case of an answer that is read as `label`, or as none for None."""
        given = {"answer": content} if isinstance(content, str) else content
        values = mapping("reading", given, READING_FIELDS)
        if "answer" not in values:
            raise ConfigError("answer: missing")
        task = self._task(self.given.get("task"))
        if Trait.ONE_ANSWER not in task.traits or not task.labels:
            raise ConfigError(f"read: a {task.kind} task has no single label to read; use cases")
        index = 0 if label is None else task.target_index(label)
        target = task.answer_name(index)
        expect = {"prediction": None if label is None else target}
        return self.case(
            {**values, "target": target, "expect": expect}, place, f"{label or 'none'}: "
        )

    def _merged(self, name: str, content: Any, values: Mapping[str, Any]) -> dict[str, Any]:
        own = mapping(name, content.get(name, {}))
        return {**mapping(name, self.given.get(name, {})), **own}

    def _task(self, value: object) -> Task:
        """Return the task of a name, a card's path beside the file, or a card written into it."""
        key = repr(value)
        if key not in self._tasks:
            self._tasks[key] = self._loaded(value)
        return self._tasks[key]

    def _loaded(self, value: object) -> Task:
        if isinstance(value, Mapping):
            return parse_task(value, "task")
        if isinstance(value, str) and value.endswith((".yaml", ".yml")):
            return Task.load(self.folder / value)
        return Task.load(value)  # type: ignore[arg-type]


def unique(cases: list[Case], named: set[str]) -> tuple[Case, ...]:
    """Return the cases with unique names; those without an id of their own are numbered."""
    seen: dict[str, Case] = {}
    for case in cases:
        name, count = case.id, 2
        while name in seen:
            if case.id in named:
                raise ConfigError(f"{case.place}: id {quote(name)} is also at {seen[name].place}")
            name, count = f"{case.id} #{count}", count + 1
        seen[name] = case if name == case.id else replace(case, id=name)
    _check_orders(seen.values(), [*HONEST, *(name for name in seen if name in named)])
    return tuple(seen.values())


def _check_orders(cases: Iterable[Case], known: list[str]) -> None:
    """Make sure that orders name an honest answer or a case with an id of its own."""
    for case in cases:
        for order in set(ORDERS) & set(case.expect):
            for other in case.expect[order]:
                if other not in known:
                    where = f"{case.place}: case {case.id!r}: expect.{order}"
                    raise expected(where, other, known)


def number_of(what: str, value: object, low: float = -math.inf) -> float:
    """Return `value` if it is a finite number."""
    if not isinstance(value, Real) or not math.isfinite(float(value)):
        raise ConfigError(f"{what}: {quote(value)} is not a finite number")
    return number(what, value, low, math.inf)


def _optional(name: str, values: Mapping[str, Any]) -> str | None:
    value = values.get(name)
    return None if value is None else text(name, value, empty=True)


def _id(value: object) -> str:
    name = text("id", value)
    if name in HONEST:
        raise ConfigError(f"id: {quote(name)} stands for the honest {name} answer; choose another")
    return name


def _name(label: str, said: Any) -> str:
    """Return the name of a case without an id: the beginning of its text."""
    return (label + completion_text(said))[:_MOST_ID] or "(empty)"


def _completion(values: Mapping[str, Any], think: str, completion_format: CompletionFormat) -> Any:
    if ("completion" in values) == ("answer" in values):
        raise ConfigError("give either completion or answer")
    if "answer" in values:
        return completion_format.write(think, text("answer", values["answer"], empty=True))
    completion = values["completion"]
    return completion if is_chat(completion) else text("completion", completion, empty=True)


def _expectations(content: dict[str, Any], task: Task) -> dict[str, Any]:
    values = mapping("expect", content, EXPECTATIONS)
    if not values:
        raise ConfigError(f"expect: missing; it has some of {', '.join(EXPECTATIONS)}")
    return {name: _expectation(name, value, task) for name, value in values.items()}


def _expectation(name: str, value: object, task: Task) -> Any:
    where = f"expect.{name}"
    if name == "correct":
        return flag(where, value)
    if name in ("total", *BOUNDS):
        return number_of(where, value)
    if name == "parts":
        return {part: number_of(f"{where}.{part}", v) for part, v in mapping(where, value).items()}
    if name == "prediction":
        return _prediction(where, value, task)
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names:
        raise ConfigError(f"{where}: {quote(value)} is not a name or a list of names")
    return tuple(_reason(where, n) if name == "reasons" else text(where, n) for n in names)


def _reason(where: str, code: object) -> str:
    if code not in REASONS:
        raise expected(where, code, REASONS)
    return str(code)


def _prediction(where: str, value: object, task: Task) -> str | None:
    """Return the label or grade as scores name it; for other kinds of task the text as it is."""
    if value is None:
        return None
    if Trait.ONE_ANSWER not in task.traits or not task.labels:  # or the row brings them along
        return text(where, value)
    try:
        index = task.target_index(value)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    return task.answer_name(index)


def _check_settings(task: Task, settings: Mapping[str, Any]) -> None:
    if settings:
        Scorer(task, task.reward.updated(settings))
