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
        *(WordClass.OPEN, WordClass.OR, WordClass.BUT),
    )
}
_ALONE = "say in the prompt that the answer is the label alone, with nothing beside it"


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
    words = split_answer(unread).words
    word = " ".join(words)
    for language, title in LANGUAGES.items():
        if language in languages or not word:
            continue
        lists = lists_of(language, word)
        if lists:
            does = "denies or leaves open" if lists & _TURNING else "says something"
            named = f"{title.capitalize()} ({language})"
            changed = ", ".join((*languages, language))
            return (
                f"it {does} in {named}: leave it unread, or, if answers are to be in that "
                f"language, set languages: [{changed}] in the card"
            )
    known = frozenset().union(*(lists_of(language, word) for language in languages))
    if known - {Role.WORD.value}:
        return f"it is known, but not where it stands in the answer: {_ALONE}"
    if not word.isalpha():
        return f"it is no word: {_ALONE}"
    if not word.isascii():
        return (
            f"it is no word of {', '.join(LANGUAGES[language] for language in languages)}: set the "
            f"card's languages ({', '.join(LANGUAGES)} ship), or {_ALONE}"
        )
    if not takes_modifiers:
        return (
            f"nothing may describe the answer to a question of this kind; if it is one that is "
            f"accepted, list it in the row; else {_ALONE.replace('label', 'answer')}"
        )
    return (
        f"if it never denies, grades or changes a label, add it to the card: modifiers: "
        f"[{quote(word)}]; if it belongs to another name of a label, add that name to the label's "
        f"synonyms; else {_ALONE}"
    )
