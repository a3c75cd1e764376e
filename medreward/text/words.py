"""Text as recitation compares it: Unicode folded, lower case, split into words.

Answers have a form of their own (`medreward.language.answer_text`), in which nothing is left out.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

_HYPHENS = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63\uff0d"), "-")
_APOSTROPHES = dict.fromkeys(map(ord, "\u2018\u2019\u02bc\u00b4"), "'")
_NEGATIONS = dict.fromkeys(map(ord, "\u2260\u00ac\u2715\u2716\u2717\u2718\u274c"), " not ")
_TRANSLATION = {**_HYPHENS, **_APOSTROPHES, **_NEGATIONS}
_MOST_KEPT = 20_000  # characters: several scripts, a few megabytes


def _is_visible(char: str) -> bool:
    """Not an accent, a control, format or private-use character; white space counts as visible."""
    category = unicodedata.category(char)
    if category in ("Mn", "Me") or unicodedata.combining(char):
        return False
    return category[0] != "C" or char.isspace()


def _folded(char: str) -> str:
    plain = "".join(filter(_is_visible, char.translate(_TRANSLATION)))
    decomposed = unicodedata.normalize("NFKD", plain).casefold()
    return "".join(filter(_is_visible, decomposed)).translate(_TRANSLATION)


def _token_part(char: str) -> str:
    """Return the character folded, with a space for what ends a token."""
    return "".join(folded if folded.isalnum() else " " for folded in _folded(char))


class CharacterTable(dict[int, str]):
    """What characters become, for `str.translate`: worked out when one is met, and kept."""

    def __init__(self, rule: Callable[[str], str]) -> None:
        super().__init__({code: rule(chr(code)) for code in range(128)})
        self._rule = rule

    def __missing__(self, code: int) -> str:
        found = self._rule(chr(code))
        if len(self) < _MOST_KEPT:
            self[code] = found
        return found


# What a character becomes does not depend on its neighbours: the accents that normalisation would
# put in order are removed.
_FOLDED = CharacterTable(_folded)
_TOKENS = CharacterTable(_token_part)


def fold(text: str) -> str:
    """Return `text` in the one form in which texts are compared.

    Compatibility decomposition (NFKD), accents and invisible characters removed, case folded,
    typographic hyphens and apostrophes made plain. Invisible characters are *removed*, not turned
    into spaces, so that "ab<zero-width space>normal" stays "abnormal".

    >>> fold("Pneumoni\u0301a \u2013 \uff12")
    'pneumonia - 2'
    """
    return text.translate(_FOLDED)


def tokenize(text: str) -> list[str]:
    """Split `text` into folded words: the tokens that recitation counts.

    >>> tokenize("Left-lower lobe: consolidation.")
    ['left', 'lower', 'lobe', 'consolidation']
    """
    return text.translate(_TOKENS).split()
