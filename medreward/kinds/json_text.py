"""Targets that a row holds as JSON."""

from __future__ import annotations

import json
from typing import Any

from medreward.errors import ConfigError
from medreward.task.task import Task


def json_target(task: Task, text: str, form: str) -> Any:
    """Return what a ground truth in JSON holds; `form` names what it should be in the error.

    Raises:
        ConfigError: if it is not JSON.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigError(f"task {task.name!r}: target {text!r} is not JSON {form}") from error
