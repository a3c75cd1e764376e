"""Which task a row is of: a shipped one, or one that the user named.

Rows are data: they name tasks and never files, so that a data set does not choose what is read or
how its own answers are rewarded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from medreward.errors import ConfigError, expected, quote
from medreward.task.card import shipped
from medreward.task.task import Task


@dataclass(frozen=True)
class TaskBook:
    """The tasks that rows may be of; can be pickled.

    Attributes:
        named: data source -> the task that the user named for it; the shipped tasks are known too.

    >>> TaskBook().task_of("retinamnist").kind
    'ordinal'
    """

    named: Mapping[str, Task] = field(default_factory=dict)

    @property
    def sources(self) -> tuple[str, ...]:
        """The data sources that have a task: those that were named, then the shipped ones."""
        return tuple(dict.fromkeys([*self.named, *shipped()]))

    def source_of(self, data_source: object, extra_info: Mapping[str, Any] | None = None) -> str:
        """Return the data source that decides on a row's task.

        That is ``extra_info["task"]`` where a row has one, else its ``data_source``.

        Raises:
            ConfigError: if the row names a file, or no known task; with the nearest name.
        """
        info = extra_info if isinstance(extra_info, Mapping) else {}
        own = info.get("task")
        if own is None:
            name = str(data_source)  # verl's are numpy's
            if name not in self.named and name not in shipped():
                raise self._unknown("data_source", name)
            return name
        if isinstance(own, str) and (own in self.named or own in shipped()):
            return own
        if isinstance(own, str) and own.endswith((".yaml", ".yml")):
            raise ConfigError(
                f"extra_info.task: {quote(own)} is a file, and rows do not choose what is read; "
                f"leave it out of the rows and name the card yourself: --task SOURCE=CARD, or "
                f"tasks={{SOURCE: CARD}} in an adapter"
            )
        raise self._unknown("extra_info.task", own)

    def _unknown(self, field: str, name: object) -> ConfigError:
        return ConfigError(
            f"{expected(field, name, self.sources)} (a card of your own is named by --task "
            f"CARD.yaml or --task SOURCE=CARD.yaml, in an adapter by tasks={{SOURCE: CARD.yaml}})"
        )

    def task_of(self, data_source: object, extra_info: Mapping[str, Any] | None = None) -> Task:
        """Return the task of a row.

        Raises:
            ConfigError: if it names a file, or no known task; with the nearest name.
        """
        name = self.source_of(data_source, extra_info)
        return self.named[name] if name in self.named else Task.load(name)


def load_named(text: str) -> Task:
    """Return the task of one ``--task`` argument: a shipped name, a card, or ``SOURCE=CARD``.

    Raises:
        ConfigError: if the card cannot be read.

    >>> load_named("eye=retinamnist").name
    'retinamnist'
    """
    return next(iter(name_tasks([text]).named.values()))


def name_tasks(texts: Iterable[str]) -> TaskBook:
    """Return the book of ``--task`` arguments: ``SOURCE=CARD``, or a card for its own name.

    Raises:
        ConfigError: if a source is named twice, or a card cannot be read.
    """
    named: dict[str, Task] = {}
    for text in texts:
        source, equals, card = text.partition("=")
        if equals and not (source and card):
            raise ConfigError(f"--task: {quote(text)} is not SOURCE=CARD")
        task = Task.load(card if equals else text)
        name = source if equals else task.name
        if name in named:
            raise ConfigError(f"--task: the data source {quote(name)} is named twice")
        named[name] = task
    return TaskBook(named)
