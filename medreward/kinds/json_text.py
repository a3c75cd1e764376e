"""Targets that a row holds as JSON."""

from __future__ import annotations

from typing import Any

from medreward.errors import ConfigError, quote
from medreward.files.reading import parse_json
from medreward.task.task import Task


def json_target(task: Task, text: str, form: str) -> Any:
    """Return what a ground truth in JSON holds; `form` names what it should be in the error.

    Raises:
        ConfigError: if it is not JSON.
    """
    try:
        return parse_json(text)
    except ConfigError as error:
        raise ConfigError(
            f"task {quote(task.name)}: target {quote(text)} is not JSON {form} ({error})"
        ) from error
