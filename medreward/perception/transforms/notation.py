"""How the values of parameters are written, and read without evaluating anything.

=================  =============================================================================
``10``, ``0.5``    a number
``-10..10``        any number from -10 to 10, all as likely
``0/90/180``       one of several, all as likely
``horizontal``     a word; in "quotes" if it has other letters than a-z, A-Z, 0-9, - and _
``true``           true or false
``[0, 0, 40, 30]`` a box in pixels
=================  =============================================================================
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, TypeAlias

from medreward.errors import ConfigError, quote
from medreward.files.reading import parse_json

Scalar: TypeAlias = float | str | bool
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_NUMBER = r"[-+]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:e[-+]?[0-9]+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})", re.IGNORECASE)
_PLAIN = re.compile(_NUMBER, re.IGNORECASE)


@dataclass(frozen=True)
class Range:
    """Any number from `low` to `high`.

    Raises:
        ConfigError: if it is empty.

    >>> print(Range(-10, 10))
    -10..10
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ConfigError(f"range: {self} is empty")

    def __str__(self) -> str:
        return f"{shown(self.low)}..{shown(self.high)}"


@dataclass(frozen=True)
class Choice:
    """One of several values.

    >>> print(Choice((90, 180, 270)))
    90/180/270
    """

    values: tuple[Scalar, ...]

    def __post_init__(self) -> None:
        if len(self.values) < 2:
            raise ConfigError(f"choice: {quote(self.values)} has fewer than two values")

    def __str__(self) -> str:
        return "/".join(map(shown, self.values))


def shown(value: Any) -> str:
    """Return a value as it is written; `read` is the inverse.

    >>> shown(10.0), shown(Range(-1, 0.5)), shown("WBC"), shown("white cell"), shown((0, 0, 4, 3))
    ('10', '-1..0.5', 'WBC', '"white cell"', '[0, 0, 4, 3]')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, str):
        plain = _WORD.fullmatch(value) and value not in ("true", "false")
        return value if plain else json.dumps(value, ensure_ascii=False)
    return str(value)


def read(text: str) -> Any:
    """Return the value that a text stands for; the inverse of `shown`.

    >>> read("-10..10"), read("0/90"), read("[0, 0, 4, 3]"), read('"white cell"')
    (Range(low=-10.0, high=10.0), Choice(values=(0.0, 90.0)), (0.0, 0.0, 4.0, 3.0), 'white cell')

    Raises:
        ConfigError: if it is not a value.
    """
    text = text.strip()
    if found := _RANGE.fullmatch(text):
        return Range(float(found[1]), float(found[2]))
    if text.startswith("[") and text.endswith("]"):
        return tuple(_scalar(part.strip()) for part in text[1:-1].split(","))
    if len(parts := _parts(text)) > 1:
        return Choice(tuple(_scalar(part.strip()) for part in parts))
    return _scalar(text)


def _parts(text: str) -> list[str]:
    """Split a text at slashes that are not in quotes."""
    return re.findall(r'(?:"(?:[^"\\]|\\.)*"|[^/"])+', text) if "/" in text else [text]


def _scalar(text: str) -> Scalar:
    if text in ("true", "false"):
        return text == "true"
    if _PLAIN.fullmatch(text):
        return float(text)
    if _WORD.fullmatch(text):
        return text
    if text.startswith('"'):
        try:
            value = parse_json(text)
        except ValueError:
            value = None
        if isinstance(value, str):
            return value
    raise ConfigError(
        f'{quote(text)} is not a number, a range a..b, a choice a/b, a word, a "text" or a box'
    )
