"""One spelling for all that a word may have: its singular, as it is written in the United States.

For comparing short answers word by word. The rules are applied to both sides, so that a word which
they change wrongly is changed alike on both; none of them takes a letter away that tells two words
apart, such as a prefix.
"""

from __future__ import annotations

import re
from functools import lru_cache

_SHORTEST = 4
# The first rule that fits is applied; Latin and Greek plurals before English ones.
_SINGULAR = [
    (re.compile(pattern), singular)
    for pattern, singular in (
        (r"ae$", "a"),
        (r"(?<=[bcdfghjklmnpqrstvwxz])ies$", "y"),
        (r"(?<=ss)es$", ""),
        (r"(?<=[aeiou]x)es$", ""),
        (r"(?<=ch)es$|(?<=sh)es$", ""),
        (r"(?<=[lrto])yses$", "ysis"),
        (r"(?<=[eao])ses$", "sis"),
        (r"(?<=[bcdfghklmnprt])i$", "us"),
        (r"(?<=[^suix])s$|(?<=[aeo]i)s$", ""),
    )
]
_AMERICAN = [
    (re.compile(pattern), american)
    for pattern, american in (
        (r"^oe(?=[dsn])|(?<=[a-z])oe(?=[a-z]{2})", "e"),
        (r"(?<=[a-z])ae(?=[a-z])", "e"),
        (r"(?<=[a-z]{3})our$", "or"),
        (r"(?<=[a-z]{2}[tb])re$", "er"),
        (r"isation$", "ization"),
        (r"ise(d?)$", r"ize\1"),
        (r"lyse(d?)$", r"lyze\1"),
        (r"sulph", "sulf"),
        (r"^grey", "gray"),
    )
]


@lru_cache(maxsize=65536)
def same_spelling(word: str) -> str:
    """Return the word that stands for all spellings of a word in lower case.

    >>> [same_spelling(word) for word in ("haemorrhages", "tumours", "oedema", "metastases")]
    ['hemorrhage', 'tumor', 'edema', 'metastasis']
    >>> [same_spelling(word) for word in ("biopsies", "masses", "thrombi", "pleura", "pelvis")]
    ['biopsy', 'mass', 'thrombus', 'pleura', 'pelvis']
    """
    if len(word) < _SHORTEST or not (word.isascii() and word.isalpha()):
        return word
    for pattern, singular in _SINGULAR:
        changed, count = pattern.subn(singular, word)
        if count:
            word = changed
            break
    for pattern, american in _AMERICAN:
        word = pattern.sub(american, word)
    return word
