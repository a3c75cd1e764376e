"""The kinds of task that are registered, as far as a `Task` has to know them.

A kind is written in a module of its own under `medreward.kinds`, above this one, and is registered
there (`medreward.kinds.table`); a task asks its kind by this table and never by its name.
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from medreward.errors import ConfigError, expected, quote
from medreward.task.traits import Trait


class CardRules(Protocol):
    """What a kind says of cards and targets; `medreward.kinds.base.Kind` has the rest."""

    @property
    def name(self) -> str:
        """The kind's name in a card."""

    @property
    def traits(self) -> frozenset[Trait]:
        """What it has in common with others."""

    # What gives the word that stands for all spellings of one; None: each is its own. As Any, since
    # a callable of a class is taken for a method.
    same_word: ClassVar[Any]

    def check(self, task: Any) -> None:
        """Raise `ConfigError` for a card that cannot be of this kind."""

    def forms(self, task: Any) -> list[tuple[str, ...]]:
        """Return the forms of each label that the lexicon finds in an answer."""

    def reading_rules(self, task: Any, words: Any) -> Any:
        """Return what the reader of answers has to know of the task."""

    def parse(self, task: Any, target: object) -> Any:
        """Return a target in the form in which rewards compare it."""


_KINDS: dict[str, CardRules] = {}
# The kinds and parts that were added or taken out so far: scorers are kept until it grows.
CHANGES: list[str] = []


def register_kind(kind: CardRules) -> None:
    """Add a kind of task.

    Raises:
        ConfigError: if there is one of that name.

    >>> kind = rules_of("ordinal")
    >>> register_kind(kind)
    Traceback (most recent call last):
    ...
    medreward.errors.ConfigError: kind: there are two of the name 'ordinal'
    """
    if kind.name in _KINDS:
        raise ConfigError(f"kind: there are two of the name {quote(kind.name)}")
    _KINDS[kind.name] = kind
    CHANGES.append(kind.name)


def remove_kind(name: str) -> None:
    """Take a kind of task out again.

    >>> last = rules_of(kind_names()[-1])
    >>> remove_kind(last.name)
    >>> last.name in kind_names()
    False
    >>> register_kind(last)
    """
    del _KINDS[name]
    CHANGES.append(name)


def kind_names() -> tuple[str, ...]:
    """Return the names of all kinds, in the order in which they were registered."""
    return tuple(_KINDS)


def rules_of(name: str, where: str = "kind") -> Any:
    """Return the kind of that name; `where` names the field in the error.

    Raises:
        ConfigError: if there is none.
    """
    if name not in _KINDS:
        raise expected(where, name, _KINDS)
    return _KINDS[name]
