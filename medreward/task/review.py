"""The review state of statements: whether a clinician signed them, who and when."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, Protocol

from medreward.checks import known_fields
from medreward.errors import ConfigError, quote

UNREVIEWED = "unreviewed"
DRAFT = "draft:"  # begins the citation of what a language model wrote: not a source
_SIGNED = re.compile(r"\s*(\S.*?)\s*,\s*([0-9]{4}-[0-9]{2}-[0-9]{2})\s*")
_HOW = (
    "write unreviewed, or who signed it and when: NAME, YYYY-MM-DD, or {by: NAME, on: YYYY-MM-DD}"
)


def review_state(where: str, value: Any) -> str:
    """Return a review state as "unreviewed" or "NAME, YYYY-MM-DD".

    >>> review_state("review", {"by": "A. Clinician", "on": date(2026, 1, 31)})
    'A. Clinician, 2026-01-31'

    Raises:
        ConfigError: if `value` is neither, lacks who or when, or has a date that is none.
    """
    if value == UNREVIEWED:
        return UNREVIEWED
    text = _joined(where, value) if isinstance(value, Mapping) else value
    found = _SIGNED.fullmatch(text) if isinstance(text, str) else None
    if not found:
        raise ConfigError(f"{where}: {quote(value)} is no review state; {_HOW}")
    try:
        day = date.fromisoformat(found[2])
    except ValueError as error:
        raise ConfigError(f"{where}: {quote(found[2])} is no date: {error}") from error
    if day > date.today():
        raise ConfigError(f"{where}: {quote(found[2])} is in the future; a review is of a day past")
    return f"{found[1]}, {day.isoformat()}"


def _joined(where: str, value: Mapping[Any, Any]) -> str:
    value = {"on" if key is True else key: x for key, x in value.items()}  # YAML's `on` is true
    known_fields(where, value, ("by", "on"))
    who, when = value.get("by"), value.get("on")
    if not isinstance(who, str) or not who.strip():
        raise ConfigError(f"{where}: by: {quote(who)} does not say who; {_HOW}")
    if isinstance(when, date) and not isinstance(when, datetime):
        when = when.isoformat()
    if not isinstance(when, str):
        raise ConfigError(f"{where}: on: {quote(when)} does not say when; {_HOW}")
    return f"{who}, {when}"


class Cited(Protocol):
    """What has a source and a review state: a statement."""

    @property
    def source(self) -> str:
        """A key of the task's references."""

    @property
    def review(self) -> str:
        """Who signed it and when, or that nobody did."""


def is_draft(references: Mapping[str, str], statement: Cited) -> bool:
    """Whether a language model wrote a statement, for which nobody has given a source yet."""
    return references.get(statement.source, "").startswith(DRAFT)


def tally(references: Mapping[str, str], statements: Iterable[Cited]) -> str:
    """Return how many statements there are, how many of them reviewed, how many drafted.

    >>> from medreward.task.task import Task
    >>> task = Task.load("pneumoniamnist")
    >>> tally(task.references, task.knowledge)
    '1 statement, 0 reviewed by a clinician'
    """
    found = list(statements)
    reviewed = sum(statement.review != UNREVIEWED for statement in found)
    drafts = sum(is_draft(references, statement) for statement in found)
    text = f"{len(found)} statement{'' if len(found) == 1 else 's'}"
    text += f", {reviewed} reviewed by a clinician" if found else ""
    return text + (f", {drafts} drafted by a model without a source" if drafts else "")
