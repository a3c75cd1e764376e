"""Text as the rewards compare it: Unicode folded, lower case, split into words.

Everything that reads model text goes through :func:`fold`, so that a label, a synonym and an
answer are always compared in the same form.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

# Word parts that change the meaning of the word they are hyphenated to: "non-malignant" is one
# word, whereas "benign-appearing" is two.
_PREFIXES = frozenset(
    "a ab an anti de dis dys ex extra hyper hypo im in infra intra ir iso macro micro multi non "
    "para peri poly post pre pro pseudo quasi semi sub super supra trans un".split()
)
_NEVER_ALONE = frozenset(("ab", "non", "sub", "un"))
_HYPHENS = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63\uff0d"), "-")
_APOSTROPHES = dict.fromkeys(map(ord, "\u2018\u2019\u02bc\u00b4"), "'")
_NEGATIONS = dict.fromkeys(map(ord, "\u2260\u00ac\u2715\u2716\u2717\u2718\u274c"), " not ")
_TRANSLATION = {**_HYPHENS, **_APOSTROPHES, **_NEGATIONS}
_MOST_KEPT = 20_000  # characters: several scripts, a few megabytes
_JOINERS = frozenset("-_*~")
_WORD = re.compile(r"[0-9]+(?:\.[0-9]+)+|[^\W_]+(?:'[^\W_]+)*")
_ZERO_FRACTION = re.compile(r"\.0+$")
_MIXED = re.compile(r"[a-z]\d*[^\W\d_a-z]|[^\W\d_a-z]\d*[a-z]")


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


class Words(NamedTuple):
    """A text split into words and what stands between them.

    ``gaps[i]`` is the text before ``words[i]``; ``gaps[-1]`` is what follows the last word.
    """

    words: tuple[str, ...]
    gaps: tuple[str, ...]


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


def split(text: str) -> Words:
    """Split `text` into folded words and the gaps between them; hyphenated prefixes stay attached.

    A decimal number is one word, without a fraction of zeros.

    >>> split("non-malignant, benign-appearing.").words
    ('nonmalignant', 'benign', 'appearing')
    """
    folded = fold(text)
    words: list[str] = []
    gaps: list[str] = []
    end = 0
    for match in _WORD.finditer(folded):
        gap, word = folded[end : match.start()], _ZERO_FRACTION.sub("", match.group())
        end = match.end()
        if words and _attaches(words[-1], gap):
            words[-1] += word
        else:
            words.append(word)
            gaps.append(gap)
    gaps.append(folded[end:])
    return Words(tuple(words), tuple(gaps))


def mixes_scripts(word: str) -> bool:
    """Tell whether a folded word mixes Latin letters with another script's (a homoglyph trick).

    >>> mixes_scripts("n\u043ermal"), mixes_scripts("normal")
    (True, False)
    """
    return not word.isascii() and _MIXED.search(word) is not None


def _attaches(prefix: str, gap: str) -> bool:
    """Whether `gap` leaves `prefix` part of the word that follows it."""
    if gap == " ":
        return prefix in _NEVER_ALONE
    return prefix in _PREFIXES and _JOINERS.issuperset(gap)
