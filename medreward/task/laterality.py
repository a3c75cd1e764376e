"""Which words of a task depend on side, and how they change when its images are mirrored.

A mirrored image shows a left kidney as a right one, a left eye (OS) as a right eye (OD). So a
label or a question with such a word is wrong after a flip, unless the word changes too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Literal, TypeAlias

from medreward.checks import flag
from medreward.errors import ConfigError, expected, quote

Pairs: TypeAlias = tuple[tuple[str, str], ...]
Mirror: TypeAlias = Literal["horizontal", "vertical"]
# Too many words here cost a refused flip and a line in the card; too few, a wrong target.
_ACROSS = r"left\w*|right\w*|la?evo\w*|dextr\w*|sinist\w*"
_CODES = r"OD|OS|LUL|LLL|RUL|RML|RLL"  # eyes and lobes, in capitals only
_UPRIGHT = (
    r"upper\w*|lower\w*|superior\w*|inferior\w*|top|bottom|above|below|apical|basal(?!\s+cell)"
)
_SIDES: dict[Mirror, re.Pattern[str]] = {
    # A vertical flip mirrors the image too, so it concerns both kinds of words.
    "horizontal": re.compile(rf"(?<![^\W_])(?:(?i:{_ACROSS})|{_CODES})(?![^\W_])"),
    "vertical": re.compile(rf"(?<![^\W_])(?:(?i:{_ACROSS}|{_UPRIGHT})|{_CODES})(?![^\W_])"),
}
# How the prompts of localisation tasks say what coordinates mean: true of any image.
_COORDINATES = ("x to the right", "from the top left corner")


@dataclass(frozen=True)
class Laterality:
    """What a card says about sides.

    Attributes:
        dependent: whether labels or questions depend on side. False says that words such as "right"
            in them do not matter ("the right answer", "x to the right").
        swap: pairs of words that change places when an image is flipped horizontally; None: no
            such flip is allowed.
        swap_vertical: the same for a vertical flip, such as "upper" and "lower". For anatomical
            sides it has to have left and right too, since any one flip mirrors the patient; for
            places in the image it must not.
        keep: phrases that stay as they are; those that say what coordinates mean are among them
            ("x to the right", "from the top left corner").

    A turn by 180 degrees is one flip after the other, and rewrites so.

    Raises:
        ConfigError: if a word is in two pairs, or words are to be swapped though nothing depends
            on side.

    >>> sides = Laterality(swap=[["left", "right"]])
    >>> sides.mirrored("Where is the Left kidney? x to the right.", "horizontal")
    'Where is the Right kidney? x to the right.'
    """

    dependent: bool = True
    swap: Pairs | None = None
    swap_vertical: Pairs | None = None
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        flag("laterality.dependent", self.dependent)
        for name in ("swap", "swap_vertical"):
            pairs = getattr(self, name)
            object.__setattr__(self, name, None if pairs is None else _pairs(name, pairs))
        if not self.dependent and (self.swap or self.swap_vertical):
            raise ConfigError("laterality.swap: given, though dependent is false")
        keep = self.keep
        if not isinstance(keep, list | tuple) or not all(
            isinstance(phrase, str) and phrase for phrase in keep
        ):
            raise ConfigError(f"laterality.keep: {quote(keep)} is not a list of phrases")
        object.__setattr__(self, "keep", tuple(dict.fromkeys((*_COORDINATES, *keep))))

    @classmethod
    def of(cls, content: Any) -> Laterality:
        """Return what a card's mapping says; raises `ConfigError` if a field is not allowed."""
        if not isinstance(content, Mapping):
            raise ConfigError(f"laterality: {quote(content)} is not a mapping")
        allowed = [f.name for f in fields(cls)]
        for key in content:
            if key not in allowed:
                raise expected("laterality: field", key, allowed)
        return cls(**content)

    def pairs(self, mirror: Mirror) -> Pairs | None:
        """Return the words that change places in a flip, or None if there must be none."""
        if not self.dependent:
            return ()
        return self.swap if mirror == "horizontal" else self.swap_vertical

    def mirrored(self, text: str, mirror: Mirror) -> str:
        """Return a text with the words of the pairs swapped: whole words, in their case.

        Raises:
            ConfigError: if the card does not say how.
        """
        pairs = self.pairs(mirror)
        if pairs is None:
            raise ConfigError(f"laterality: no words are given to swap in a {mirror} flip")
        return _swapped(text, pairs, self.keep)

    def left_over(self, text: str, mirror: Mirror) -> list[str]:
        """Return the side words in a text that a flip would leave wrong."""
        if not self.dependent:
            return []
        given = () if self.pairs(mirror) is None else (self.swap or ()) + (self.swap_vertical or ())
        known = {word.casefold() for pair in given for word in pair}
        text = _without(text, self.keep)
        return [word for word in side_words(text, mirror) if word.casefold() not in known]

    @property
    def no_swaps(self) -> bool:
        """Whether the card says that no word changes, in any flip."""
        return self.dependent and self.swap == () and self.swap_vertical == ()


def side_words(text: str, mirror: Mirror = "horizontal") -> list[str]:
    """Return the words of a text that a flip may make wrong.

    >>> side_words("kidney-left or the RIGHT kidney?"), side_words("upright, OS")
    (['left', 'RIGHT'], ['OS'])
    >>> side_words("the upper lobe"), side_words("the upper lobe", "vertical")
    ([], ['upper'])
    """
    return _SIDES[mirror].findall(text)


def mirrored_texts(
    sides: Laterality | None, texts: Mapping[str, str], mirror: Mirror
) -> dict[str, str]:
    """Return texts, by any name, as they have to be after a flip of what they are about.

    Raises:
        ConfigError: if one depends on side and `sides` does not say how it changes.
    """
    given = sides or Laterality(swap=(), swap_vertical=())
    for where, text in texts.items():
        if words := given.left_over(text, mirror):
            raise ConfigError(
                f"{where}: {quote(words[0])} may be wrong after a {mirror} flip; the card's field "
                f"laterality says how it changes (swap, swap_vertical, keep) or that nothing "
                f"depends on side (dependent: false)"
            )
    return {where: given.mirrored(text, mirror) for where, text in texts.items()}


def check_quarter_turn(sides: Laterality | None, texts: Mapping[str, str]) -> None:
    """Make sure that nothing depends on side, as no swap of words can follow a quarter turn.

    Raises:
        ConfigError: if a text or `sides` says that something does.
    """
    given = sides or Laterality(swap=(), swap_vertical=())
    if not given.dependent:
        return
    if not given.no_swaps:
        raise ConfigError("laterality: the task depends on side, so a turn by 90 is not allowed")
    for where, text in texts.items():
        if words := side_words(_without(text, given.keep), "vertical"):
            raise ConfigError(
                f"{where}: {quote(words[0])} may be wrong after a turn by 90; the card's field "
                f"laterality may say that nothing depends on side (dependent: false)"
            )


def _without(text: str, phrases: Sequence[str]) -> str:
    for phrase in phrases:
        text = re.sub(re.escape(phrase), " ", text, flags=re.IGNORECASE)
    return text


def _pairs(name: str, pairs: Any) -> Pairs:
    where = f"laterality.{name}"
    if isinstance(pairs, str) or not isinstance(pairs, Sequence):
        raise ConfigError(f"{where}: {quote(pairs)} is not a list of pairs of words")
    seen: set[str] = set()
    for pair in pairs:
        if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
            raise ConfigError(f"{where}: {quote(pair)} is not a pair of words [one, other]")
        for word in pair:
            if not isinstance(word, str) or not word.strip():
                raise ConfigError(f"{where}: {quote(word)} is not a word")
            if word.casefold() in seen:
                raise ConfigError(f"{where}: {quote(word)} is given twice")
            seen.add(word.casefold())
    return tuple((pair[0], pair[1]) for pair in pairs)


def _swapped(text: str, pairs: Pairs, keep: tuple[str, ...]) -> str:
    """Swap all words in one pass, so that none is swapped back."""
    if not pairs:
        return text
    other = {one.casefold(): two for one, two in (*pairs, *((b, a) for a, b in pairs))}

    def replaced(match: re.Match[str]) -> str:
        found = match.group()
        word = other.get(found.casefold())
        if match.group("keep") or word is None or (word.isupper() and not found.isupper()):
            return found  # a code such as OS is one in capitals only; "os" is another word
        return _in_case_of(found, word)

    return _pattern(tuple(other), keep).sub(replaced, text)


@cache
def _pattern(words: tuple[str, ...], keep: tuple[str, ...]) -> re.Pattern[str]:
    kept = "|".join(re.escape(phrase) for phrase in sorted(keep, key=len, reverse=True)) or r"(?!)"
    given = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"(?P<keep>{kept})|(?<![^\W_])(?:{given})(?![^\W_])", re.IGNORECASE)


def _in_case_of(found: str, word: str) -> str:
    """Return a word written as the one that was found: UPPER, Capital or as it is given."""
    if found.isupper() and len(found) > 1:
        return word.upper()
    if found[:1].isupper():
        return word[:1].upper() + word[1:]
    return word.lower() if found.islower() else word
