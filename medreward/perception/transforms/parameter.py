"""Parameters of transforms: what is allowed, how one is drawn, and how it is written.

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
from dataclasses import Field, dataclass, field
from math import isfinite
from random import Random
from typing import Any, TypeAlias

from medreward.errors import ConfigError, expected

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
    """One of several values."""

    values: tuple[Scalar, ...]

    def __post_init__(self) -> None:
        if len(self.values) < 2:
            raise ConfigError(f"choice: {self.values!r} has fewer than two values")

    def __str__(self) -> str:
        return "/".join(map(shown, self.values))


Number: TypeAlias = float | Range | Choice
Word: TypeAlias = str | Choice
Flag: TypeAlias = bool | Choice
Pixels: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True)
class Kind:
    """What a parameter may be.

    Attributes:
        low: smallest number.
        high: largest.
        whole: whether a number has to be whole.
        words: the words allowed; "" stands for any text.
        flag: whether it is true or false.
        box: whether it is a box.
        none: whether it may be left open, and a whole number is drawn then.
    """

    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    words: tuple[str, ...] = ()
    flag: bool = False
    box: bool = False
    none: bool = False

    def check(self, where: str, value: Any) -> Any:
        """Return a value as it is held: numbers as float or, if whole, int.

        Raises:
            ConfigError: if it is not allowed.
        """
        if value is None and self.none:
            return None
        if isinstance(value, Choice):
            return Choice(tuple(self.check(where, one) for one in value.values))
        if isinstance(value, Range):
            low, high = (self._number(where, one) for one in (value.low, value.high))
            return Range(low, high)
        if self.box:
            return self._box(where, value)
        if self.flag:
            if not isinstance(value, bool):
                raise ConfigError(f"{where}: {value!r} is neither true nor false")
            return value
        return self._word(where, value) if self.words else self._number(where, value)

    def draw(self, value: Any, random: Random) -> Any:
        """Return a fixed value: one of a range or choice, and others as they are."""
        if isinstance(value, Choice):
            return random.choice(value.values)
        if isinstance(value, Range):
            if self.whole:
                return random.randint(int(value.low), int(value.high))
            # Six digits are short to read and the same when read back.
            return min(
                max(float(f"{random.uniform(value.low, value.high):.6g}"), value.low), value.high
            )
        return random.randrange(2**31) if value is None else value

    def _number(self, where: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            raise ConfigError(f"{where}: {value!r} is not a number")
        if not self.low <= value <= self.high:
            raise ConfigError(
                f"{where}: {value!r} is not from {shown(self.low)} to {shown(self.high)}"
            )
        if self.whole and value != int(value):
            raise ConfigError(f"{where}: {value!r} is not a whole number")
        return int(value) if self.whole else float(value)

    def _word(self, where: str, value: Any) -> str:
        if isinstance(value, str) and (self.words == ("",) or value in self.words):
            return value
        raise expected(where, value, ["a text"] if self.words == ("",) else self.words)

    def _box(self, where: str, value: Any) -> Pixels:
        number = Kind(-1e6, 1e6)
        if isinstance(value, list | tuple) and len(value) == 4:
            x1, y1, x2, y2 = (number.check(where, one) for one in value)
            if x1 < x2 and y1 < y2:
                return x1, y1, x2, y2
        raise ConfigError(f"{where}: {value!r} is not [x1, y1, x2, y2] with x1 < x2, y1 < y2")


def number(default: Any, low: float, high: float) -> Any:
    """Return a field for a number, a range or a choice of numbers."""
    return _field(default, Kind(low, high))


def whole(default: Any, low: int, high: int) -> Any:
    """Return a field for a whole number, a range or a choice of them."""
    return _field(default, Kind(low, high, whole=True))


def seed() -> Any:
    """Return a field for the seed of random pixels, which is drawn if it is not given."""
    return _field(None, Kind(0, 2**31 - 1, whole=True, none=True))


def word(default: str, *words: str) -> Any:
    """Return a field for one of some words."""
    return _field(default, Kind(words=words))


def text(default: str) -> Any:
    """Return a field for any text."""
    return _field(default, Kind(words=("",)))


def flag(default: bool) -> Any:
    """Return a field for true or false."""
    return _field(default, Kind(flag=True))


def box() -> Any:
    """Return a field for a box, which has to be given."""
    return field(metadata={"kind": Kind(box=True)})


def kind_of(a_field: Field[Any]) -> Kind:
    """Return what a transform's field may be."""
    kind: Kind = a_field.metadata["kind"]
    return kind


def is_fixed(value: Any) -> bool:
    """Return whether nothing is left to draw."""
    return value is not None and not isinstance(value, Range | Choice)


def bounds(value: Number) -> tuple[float, ...]:
    """Return numbers between which all that can be drawn lie, or all of a choice."""
    if isinstance(value, Range):
        return value.low, value.high
    return tuple(map(float, value.values)) if isinstance(value, Choice) else (value,)


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
            value = json.loads(text)
        except ValueError:
            value = None
        if isinstance(value, str):
            return value
    raise ConfigError(
        f'{text!r} is not a number, a range a..b, a choice a/b, a word, a "text" or a box'
    )


def _field(default: Any, kind: Kind) -> Any:
    return field(default=default, metadata={"kind": kind})
