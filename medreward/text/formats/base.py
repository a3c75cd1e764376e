"""What a completion format is, and the table of all of them.

A format is one class in one module of this package, registered by one line of
`medreward.text.formats.table`. Prompts ask for it, the format part of the reward checks it, and
demonstrations and checks of rewards write it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from medreward.errors import ConfigError, expected, quote
from medreward.text.completion import Completion, CompletionLike


class CompletionFormat(ABC):
    """Where reasoning and answer stand in a completion.

    Attributes:
        name: its name among the reward settings.
        about: what it is, in a few words.
        marks: texts that a prompt holds which asks for this format in words of its own.

    >>> format_of("think_answer").write("Dot bleeds.", "2")
    '<think>Dot bleeds.</think><answer>2</answer>'
    """

    name: ClassVar[str]
    about: ClassVar[str]
    marks: ClassVar[tuple[str, ...]]

    @abstractmethod
    def parse(self, completion: CompletionLike) -> Completion:
        """Return a completion taken apart, in time linear in its length; model text never raises.

        Raises:
            TypeError: if it is neither a string nor a list of chat messages.
        """

    @abstractmethod
    def write(self, reasoning: str | None, answer: str) -> str:
        """Return a completion with this reasoning and answer; None leaves the reasoning out."""

    @abstractmethod
    def instruct(self, answer: str) -> str:
        """Return the sentence of a prompt that asks for the format.

        Args:
            answer: what is to be answered, such as "the label".
        """


_FORMATS: dict[str, CompletionFormat] = {}


def register_format(completion_format: CompletionFormat) -> None:
    """Add a format.

    Raises:
        ConfigError: if there is one of that name.

    >>> register_format(format_of("think_answer"))
    Traceback (most recent call last):
    ...
    medreward.errors.ConfigError: completion_format: there are two of the name 'think_answer'
    """
    if completion_format.name in _FORMATS:
        raise ConfigError(
            f"completion_format: there are two of the name {quote(completion_format.name)}"
        )
    _FORMATS[completion_format.name] = completion_format


def remove_format(name: str) -> None:
    """Take a format out again.

    >>> removed = format_of("think_answer")
    >>> remove_format("think_answer")
    >>> "think_answer" in format_names()
    False
    >>> register_format(removed)
    """
    del _FORMATS[name]


def format_names() -> tuple[str, ...]:
    """Return the names of all formats."""
    return tuple(_FORMATS)


def format_of(name: str) -> CompletionFormat:
    """Return the format of that name.

    Raises:
        ConfigError: if there is none.
    """
    if name not in _FORMATS:
        raise expected("completion_format", name, _FORMATS)
    return _FORMATS[name]
