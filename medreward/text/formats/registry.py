"""All completion formats by name, and those that a user describes."""

from __future__ import annotations

from medreward.errors import ConfigError, expected, quote
from medreward.text.formats.base import CompletionFormat
from medreward.text.formats.described import parse_described

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
    """Return the format of that name, or the one that JSON describes.

    The JSON is what `medreward.task.completion_format.check_format` makes of a user's description.

    Raises:
        ConfigError: if there is no format of that name.
    """
    if name.startswith("{"):
        return parse_described(name)
    if name not in _FORMATS:
        raise expected("completion_format", name, _FORMATS)
    return _FORMATS[name]
