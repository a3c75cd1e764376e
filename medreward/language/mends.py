"""What a user can do about a word or mark of an answer that was not understood.

It is a guess from that word alone. A word that denies or leaves open in any language that ships is
never offered as a modifier: where it stood in the card, what it denies would be paid.
"""

from __future__ import annotations

from collections.abc import Sequence

from medreward.errors import quote
from medreward.language.answer_text import split_answer
from medreward.language.vocabulary import (
    DEFAULT_LANGUAGES,
    LANGUAGES,
    Role,
    WordClass,
    lists_of,
)

_TURNING = {
    kind.key
    for kind in (
        *(WordClass.NOT, WordClass.DENY, WordClass.NO, WordClass.ABSENT, WordClass.ECHO_NO),
        *(WordClass.OPEN, WordClass.ELSEWHERE, WordClass.OR, WordClass.BUT),
    )
}
ALONE = "say in the prompt that the answer is the label alone, with nothing beside it"
ANSWER_ALONE = "say in the prompt to give the answer alone, with nothing beside it"


def mend_of(
    unread: str, languages: Sequence[str] = DEFAULT_LANGUAGES, *, takes_modifiers: bool = True
) -> str:
    """Return what to do about the first thing in an answer that was not understood.

    Args:
        unread: the word or mark, as `Score.unread` has it.
        languages: those of the task's card.
        takes_modifiers: whether words may stand beside the task's labels at all.

    >>> mend_of("spiculated")[:66]
    'if it never denies, grades or changes a label, add it to the card:'
    >>> mend_of("nicht")
    'it denies or leaves open in German (de): leave it unread, or, if answers are to be in that \
language, set languages: [en, de] in the card'
    """
    word = _plain(unread)
    for language in other_languages(unread, languages):
        does = "denies or leaves open" if lists_of(language, word) & _TURNING else "says something"
        named = f"{LANGUAGES[language].capitalize()} ({language})"
        changed = ", ".join((*languages, language))
        return (
            f"it {does} in {named}: leave it unread, or, if answers are to be in that "
            f"language, set languages: [{changed}] in the card"
        )
    if is_known(unread, languages):
        return f"it is known, but not where it stands in the answer: {ALONE}"
    if not word.isalpha():
        return f"it is no word: {ALONE}"
    if not word.isascii():
        return (
            f"it is no word of {', '.join(LANGUAGES[language] for language in languages)}: set the "
            f"card's languages ({', '.join(LANGUAGES)} ship), or {ALONE}"
        )
    if not takes_modifiers:
        return (
            f"nothing may describe the answer to a question of this kind; if it is one that is "
            f"accepted, list it in the row; else {ANSWER_ALONE}"
        )
    return (
        f"if it never denies, grades or changes a label, add it to the card: modifiers: "
        f"[{quote(word)}]; if it belongs to another name of a label, add that name to the label's "
        f"synonyms; else {ALONE}"
    )


def other_languages(unread: str, languages: Sequence[str] = DEFAULT_LANGUAGES) -> list[str]:
    """Return the languages that ship, beside those given, that know a word.

    >>> other_languages("nicht"), other_languages("zorbic")
    (['de'], [])
    """
    word = _plain(unread)
    return [one for one in LANGUAGES if one not in languages and word and lists_of(one, word)]


def is_known(unread: str, languages: Sequence[str] = DEFAULT_LANGUAGES) -> bool:
    """Whether a word has a meaning in one of the languages, in another place of an answer.

    >>> is_known("without"), is_known("zorbic")
    (True, False)
    """
    lists = (lists_of(language, _plain(unread)) for language in languages)
    return bool(frozenset().union(*lists) - {Role.WORD.value})


def turns(word: str) -> bool:
    """Whether a word denies or leaves open in any language that ships."""
    return any(lists_of(language, _plain(word)) & _TURNING for language in LANGUAGES)


def may_be_modifier(word: str) -> bool:
    """Whether a word may be offered as a modifier: it is one, and has no meaning in an answer yet.

    >>> may_be_modifier("spiculated"), may_be_modifier("nicht"), may_be_modifier("7")
    (True, False, False)
    """
    plain = _plain(word)
    return plain.isalpha() and not turns(plain) and not is_known(plain)


def describe_unread(unread: str, languages: Sequence[str] = DEFAULT_LANGUAGES) -> str:
    """Return that a word is not understood, or not in its place.

    >>> describe_unread("zorbic"), describe_unread("is")
    ("'zorbic' is not understood", "'is' is a word that is known, but not understood in this place")
    """
    known = is_known(unread, languages)
    how = "is a word that is known, but not understood in this place"
    return f"{quote(unread)} {how if known else 'is not understood'}"


def _plain(unread: str) -> str:
    return " ".join(split_answer(unread).words)
