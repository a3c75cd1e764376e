"""Settings of the rewards in ms-swift, which hands a reward function none of its own.

They stand in the environment, which all processes of a run inherit: ``MEDREWARD_TASK`` names the
task of rows without a column ``task``, ``MEDREWARD_SETTINGS`` is a YAML or JSON file, or the text
of one that starts with ``{``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medreward import ConfigError, Task
from medreward.checks import mapping, text
from medreward.files.reading import parse_yaml, read_text
from medreward.scoring.scorer import Scorer, scorer
from medreward.scoring.task_book import TaskBook
from medreward.scoring.trace import TraceWriter, trace_writer

TASK, SETTINGS = "MEDREWARD_TASK", "MEDREWARD_SETTINGS"


@dataclass
class SwiftScorers:
    """The scorer of each row's task, made once.

    Attributes:
        task: of rows without a column ``task``; None: such rows are an error.
        target_column: the column with the truth.
        trace: where completions are written, if anywhere.
        settings: override those of every card.
        named: data source -> the scorer of the card that the user named for it.

    >>> scorers = read_scorers({SETTINGS: '{decay: linear, tasks: {eye: retinamnist}}'})
    >>> scorers.of("eye").task.name, scorers.of("eye").settings.decay
    ('retinamnist', 'linear')
    """

    task: str | None
    target_column: str
    trace: TraceWriter | None
    settings: Mapping[str, Any]
    named: dict[str, Scorer] = field(default_factory=dict)

    def of(self, name: object) -> Scorer:
        """Return the scorer of a row's task; None stands for the default task.

        Raises:
            ConfigError: if the task is not known, or none is named.
        """
        name = self.task if name is None else name
        if name is None:
            raise ConfigError(
                f"column 'task' is missing or empty; write the rows with `medreward rows export "
                f"--to ms-swift`, or name the one task of all rows in {TASK}"
            )
        book = TaskBook({source: one.task for source, one in self.named.items()})
        source = book.source_of(name)
        if source not in self.named:
            self.named[source] = scorer(Task.load(source), self.settings)
        return self.named[source]


def read_scorers(environment: Mapping[str, str] | None = None) -> SwiftScorers:
    """Return the scorers that the environment asks for.

    Raises:
        ConfigError: if a setting is wrong; with the variable's name.
    """
    environment = os.environ if environment is None else environment
    try:
        return _scorers(environment)
    except ConfigError as error:
        raise ConfigError(f"{SETTINGS}: {error}") from error


def _scorers(environment: Mapping[str, str]) -> SwiftScorers:
    settings = _settings(environment.get(SETTINGS, ""))
    task = environment.get(TASK) or None
    named = mapping("tasks", settings.pop("tasks", None) or {})
    found = SwiftScorers(
        task,
        text("target_column", settings.pop("target_column", "target")),
        trace_writer(settings.pop("trace", None)),
        settings,
    )
    for source, card in named.items():
        changes = dict(card) if isinstance(card, Mapping) else {"task": card}
        try:
            bound = scorer(Task.load(changes.pop("task", source)), settings | changes)
        except ConfigError as error:
            raise ConfigError(f"tasks.{source}: {error}") from error
        found.named[source] = bound
    if task is not None:
        found.of(task)
    return found


def _settings(given: str) -> dict[str, Any]:
    if not given.strip():
        return {}
    content = given if given.lstrip().startswith("{") else read_text(given)
    return mapping("settings", parse_yaml(content))
