"""The text of an answer, in the one form in which it is read: words, and the marks between them.

What a page shows counts: entities, emphasis, code fences and LaTeX's boxes are taken away, accents
and typographic variants of a character are made plain, and characters without a shape of their own
(such as a zero-width space) are left out. Whatever else stands there stays and is not understood:
struck letters, superscripts, letters that look like others, rare signs.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import NamedTuple

from medreward.text.words import CharacterTable

# Prefixes that make one word with what they are hyphenated to: "non-malignant" is one word, whereas
# "benign-appearing" is two.
_PREFIXES = frozenset(
    "a ab an anti de dis dys ex extra hyper hypo im in infra intra ir iso macro micro multi non "
    "para peri poly post pre pro pseudo quasi semi sub super supra trans un".split()
)
_NEVER_ALONE = frozenset(("ab", "non", "sub", "un"))
_JOINERS = frozenset("-_")
_SAME = {
    **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff\ufe0e\ufe0f", ""),  # no shape of its own
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63\uff0d", "-"),
    **dict.fromkeys("\u2266\u2a7d", "\u2264"),
    **dict.fromkeys("\u2267\u2a7e", "\u2265"),
    **dict.fromkeys("\u2018\u2019\u02bc\u00b4", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb\u300c\u300d\u300e\u300f", '"'),
    **dict.fromkeys("\r\x0b\x0c\x85\u2028\u2029", "\n"),
    **dict.fromkeys("\u2192\u21d2\u27f6\u2794\u279c", ":"),
    **dict.fromkeys("\u2713\u2714\u2705\u2611", "\u2713"),
    **dict.fromkeys("\u2717\u2718\u2715\u2716\u274c\u2610", "\u2717"),
    **dict.fromkeys("\u2022\u00b7\u25aa\u25cf", "*"),
    # No space follows the full stop and the like of Chinese.
    "\u3002": ". ",
    "\uff1b": "; ",
    "\uff01": "! ",
    "\uff1f": "? ",
    "\u3001": ",",
    "\u3010": "[",
    "\u3011": "]",
    "\u2026": "...",
    "\u00df": "ss",
    "\t": "\t",
    "\n": "\n",
}
# Compatibility forms that are the same character in another shape; a superscript is not.
_SHAPES = frozenset(("<wide>", "<narrow>", "<compat>", "<circle>", "<font>", "<noBreak>"))
_HAN = "\u3400-\u9fff\uf900-\ufaff"
_ZERO_FRACTION = re.compile(r"\.0+$")
# Signs and bounds as parts of a word: "-2.5", "> 5", "HER2+"; ".5" is 0.5. A dash is a sign only
# where nothing stands before it, and a mark behind a word only where none follows.
_BOUND = r"(?:(?<![-=<>])(?:[<>]=?|[\u2264\u2265])\ ?)?"
_SIGN = r"(?:(?<![\w\-+%)\]])[-+\u00b1](?=\.?[0-9]))?(?:(?<![\w.,])\.(?=[0-9]))?"
_MARK_BEHIND = r"(?:\++(?![^\W_])|-(?=[\s.,;:)/\]]|\Z))?"
_BOUNDS = (
    ("<=", "\u2264"),
    (">=", "\u2265"),
    ("\u00b1.", "\u00b10."),
    ("-.", "-0."),
    ("+.", "+0."),
)
_SPACED_SIGN = re.compile(r"(\s*[-+\u2212\u2010-\u2015])\s+(?=\.?[0-9])")
# By which models end a completion.
COMPLETION_END = r"<\|(?:im_end|end|eot_id|eom_id|eos|endoftext|end_of_text|end_of_turn|return)\|>"
_MARKUP = re.compile(
    rf"(?P<end>(?:</s>|{COMPLETION_END}|<end_of_turn>|\\n|\s){{1,9}}\Z)"
    r"|(?P<rule>\n[ \t]*[|:][-:| \t]*-[-:| \t]*(?=\n))"
    r"|(?P<inline></?(?:b|i|u|em|strong|mark|code|span)>)"
    r"|(?P<line><br ?/?>|</?(?:p|li|ul|ol|div)>|```[a-z]{0,20})"
    r"|(?P<latex>\\(?:boxed|text(?:bf|rm|it)?|math(?:rm|bf))\s{0,9}(?=\{)|\\[()\[\]]|\$)"
    r"|(?P<ticked>\[[xX\u2713]\])|(?P<open>\[ ?\]|(?:(?<=\n)|^)\( \))"
)
_INSTEAD = {
    "end": "",
    "rule": "",
    "inline": "",
    "line": "\n",
    "latex": " ",
    "ticked": "\u2713",
    "open": "\u2717",
}
_MARKUP_SIGNS = frozenset("<`\\$[(|")


@cache
def _word_pattern() -> re.Pattern[str]:
    """Return what matches a word; compiled late, as its classes of characters take milliseconds."""
    return re.compile(
        rf"[{_HAN}]"
        rf"|{_BOUND}{_SIGN}(?:[0-9]+(?:[.,][0-9]+)*(?:\ ?%|{_MARK_BEHIND})(?![^\W_{_HAN}])"
        rf"|[^\W_{_HAN}]+(?:'[^\W_{_HAN}]+)*{_MARK_BEHIND})"
    )


class AnswerText(NamedTuple):
    """An answer split into words and what stands between them.

    ``gaps[i]`` is the text before ``words[i]``; ``gaps[-1]`` is what follows the last word.
    ``capitals`` holds the places of single letters that are written as capitals.
    """

    words: tuple[str, ...]
    gaps: tuple[str, ...]
    capitals: frozenset[int] = frozenset()


def _fold_character(char: str) -> str:
    """Return what a character reads as; itself if it is not understood."""
    if char in _SAME:
        return _SAME[char]
    if char.isspace():
        return " "
    form = unicodedata.decomposition(char)
    if form.startswith("<"):
        if form.split()[0] not in _SHAPES:
            return char
        return "".join(map(_fold_character, unicodedata.normalize("NFKD", char)))
    base = unicodedata.normalize("NFD", char)[0] if form else char
    return base.casefold() if base.isalpha() else char


_FOLDED = CharacterTable(_fold_character)


def fold_answer(text: str) -> str:
    """Return the text of an answer as it is read.

    >>> fold_answer("**Pneumoni\u0301a** &ndash; \uff12"), fold_answer("<b>n</b>o")
    ('**pneumonia** - 2', 'no')
    """
    return _plain(text).translate(_FOLDED)


def _plain(text: str) -> str:
    """Return a text as a page shows it, composed characters as one."""
    if "&" in text:
        import html  # its table of entities is large

        text = html.unescape(text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if not _MARKUP_SIGNS.isdisjoint(text):
        text = _MARKUP.sub(lambda found: _INSTEAD[str(found.lastgroup)], text)
    return text


def split_answer(text: str) -> AnswerText:
    """Split an answer, or a form of a label, into words and the marks between them.

    A number is one word with its sign, bound and percent sign, without a fraction of zeros; so is
    a word with a sign behind it; a Chinese character is one; a hyphenated prefix is part of its
    word.

    >>> split_answer("Non-malignant, 2.0 (90 %).").words
    ('nonmalignant', '2', '90%')
    >>> split_answer("\u22122.50 D; >= 5 cm, HER2+, 2-3").words
    ('-2.50', 'd', '\u22655', 'cm', 'her2+', '2', '3')
    """
    plain = _plain(text)
    folded = plain.translate(_FOLDED)
    words: list[str] = []
    gaps: list[str] = []
    capitals: list[int] = []
    has_places = len(folded) == len(plain)
    end = 0
    for match in _word_pattern().finditer(folded):
        gap, word = folded[end : match.start()], match.group()
        end = match.end()
        if not word[0].isalpha():
            word = _plain_number(word)
        if words and words[-1] in _PREFIXES and _is_attached(words[-1], gap):
            words[-1] += word
            if capitals[-1:] == [len(words) - 1]:
                capitals.pop()  # it is no single letter any more
            continue
        if len(word) == 1 and has_places and plain[match.start()].isupper():
            capitals.append(len(words))
        words.append(word)
        gaps.append(gap)
    gaps.append(folded[end:])
    return AnswerText(tuple(words), tuple(gaps), frozenset(capitals))


def split_form(text: str) -> AnswerText:
    """Split a form of a label; a dash or plus before its number is a sign, with a space too.

    >>> split_form("- 5 cm").words, split_answer("- 5 cm").words
    (('-5', 'cm'), ('5', 'cm'))
    """
    return split_answer(
        _SPACED_SIGN.sub(r"\1", text, count=1) if _SPACED_SIGN.match(text) else text
    )


def _plain_number(word: str) -> str:
    """Return a number, or a word with a bound, in the one way in which it is written.

    >>> [_plain_number(word) for word in (">= 2.0", ".5", "-.5", "90 %")]
    ['\u22652', '0.5', '-0.5', '90%']
    """
    word = word.replace(" ", "")
    for written, plain in _BOUNDS:
        word = word.replace(written, plain)
    if word.count(".") > 1:  # "3.2.0"
        return word
    return _ZERO_FRACTION.sub("", f"0{word}" if word[0] == "." else word)


def _is_attached(prefix: str, gap: str) -> bool:
    """Whether `gap` leaves `prefix` part of the word that follows it."""
    return prefix in _NEVER_ALONE if gap == " " else gap in _JOINERS
