"""Parameters of transforms: what each may be, and how one is drawn."""

from __future__ import annotations

from dataclasses import Field, dataclass, field
from math import isfinite
from random import Random
from typing import Any, TypeAlias

from medreward.errors import ConfigError, expected, quote
from medreward.perception.transforms.notation import Choice, Range, shown

Number: TypeAlias = float | Range | Choice
Word: TypeAlias = str | Choice
Flag: TypeAlias = bool | Choice
Pixels: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True)
class ParameterKind:
    """What a parameter may be.

    Attributes:
        low: smallest number.
        high: largest.
        whole: whether a number has to be whole.
        words: the words allowed; "" stands for any text.
        flag: whether it is true or false.
        box: whether it is a box.
        none: whether it may be left open, and a whole number is drawn then.
        fixed: whether it has to be one value.
    """

    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    words: tuple[str, ...] = ()
    flag: bool = False
    box: bool = False
    none: bool = False
    fixed: bool = False

    def check(self, where: str, value: Any) -> Any:
        """Return a value as it is held: numbers as float or, if whole, int.

        Raises:
            ConfigError: if it is not allowed.
        """
        if value is None and self.none:
            return None
        if isinstance(value, Choice | Range) and self.fixed:
            raise ConfigError(f"{where}: {value} is not one value")
        if isinstance(value, Choice):
            return Choice(tuple(self.check(where, one) for one in value.values))
        if isinstance(value, Range):
            low, high = (self._number(where, one) for one in (value.low, value.high))
            return Range(low, high)
        if self.box:
            return self._box(where, value)
        if self.flag:
            if not isinstance(value, bool):
                raise ConfigError(f"{where}: {quote(value)} is neither true nor false")
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
            raise ConfigError(f"{where}: {quote(value)} is not a number")
        if not self.low <= value <= self.high:
            raise ConfigError(
                f"{where}: {quote(value)} is not from {shown(self.low)} to {shown(self.high)}"
            )
        if self.whole and value != int(value):
            raise ConfigError(f"{where}: {quote(value)} is not a whole number")
        return int(value) if self.whole else float(value)

    def _word(self, where: str, value: Any) -> str:
        if isinstance(value, str) and (self.words == ("",) or value in self.words):
            return value
        raise expected(where, value, ["a text"] if self.words == ("",) else self.words)

    def _box(self, where: str, value: Any) -> Pixels:
        number = ParameterKind(-1e6, 1e6)
        if isinstance(value, list | tuple) and len(value) == 4:
            x1, y1, x2, y2 = (number.check(where, one) for one in value)
            if x1 < x2 and y1 < y2:
                return x1, y1, x2, y2
        raise ConfigError(f"{where}: {quote(value)} is not [x1, y1, x2, y2] with x1 < x2, y1 < y2")


def number(default: Any, low: float, high: float) -> Any:
    """Return a field for a number, a range or a choice of numbers."""
    return _field(default, ParameterKind(low, high))


def whole(default: Any, low: int, high: int) -> Any:
    """Return a field for a whole number, a range or a choice of them."""
    return _field(default, ParameterKind(low, high, whole=True))


def seed() -> Any:
    """Return a field for the seed of random pixels, which is drawn if it is not given."""
    return _field(None, ParameterKind(0, 2**31 - 1, whole=True, none=True))


def word(default: str, *words: str) -> Any:
    """Return a field for one of some words."""
    return _field(default, ParameterKind(words=words))


def text(default: str) -> Any:
    """Return a field for any text."""
    return _field(default, ParameterKind(words=("",)))


def flag(default: bool) -> Any:
    """Return a field for true or false."""
    return _field(default, ParameterKind(flag=True))


def box() -> Any:
    """Return a field for a box, which has to be given."""
    return field(metadata={"kind": ParameterKind(box=True, fixed=True)})


def kind_of(a_field: Field[Any]) -> ParameterKind:
    """Return what a transform's field may be."""
    kind: ParameterKind = a_field.metadata["kind"]
    return kind


def is_fixed(value: Any) -> bool:
    """Return whether nothing is left to draw."""
    return value is not None and not isinstance(value, Range | Choice)


def bounds(value: Number) -> tuple[float, ...]:
    """Return numbers between which all that can be drawn lie, or all of a choice."""
    if isinstance(value, Range):
        return value.low, value.high
    return tuple(map(float, value.values)) if isinstance(value, Choice) else (value,)


def _field(default: Any, kind: ParameterKind) -> Any:
    return field(default=default, metadata={"kind": kind})
