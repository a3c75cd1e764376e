"""Checks of what a card adds to the words of an answer: its labels and its modifiers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from medreward.errors import ConfigError, quote
from medreward.language.answer_text import split_answer
from medreward.language.lexicon import Lexicon
from medreward.language.vocabulary import Vocabulary, WordClass, make_vocabulary

_PARTICLES = frozenset((WordClass.YES, WordClass.NO))
# Words that join labels or deny them; "none", "neither" and "doubtful" may be labels.
_RESERVED = _PARTICLES | {WordClass.NOT, WordClass.AND, WordClass.OR, WordClass.BUT}
_VERDICTS = _RESERVED | {
    *(WordClass.DENY, WordClass.OPEN, WordClass.ELSEWHERE),
    *(WordClass.ABSENT, WordClass.PRESENT, WordClass.ECHO_NO),
}


def check_modifiers(
    what: str, modifiers: Sequence[str], lexicon: Lexicon, languages: tuple[str, ...]
) -> None:
    """Raise `ConfigError` for a modifier that names a label, or does what a modifier must not.

    A modifier may stand beside any label, so it must never name, deny, grade or change one.
    """
    words = make_vocabulary(languages)
    for i, modifier in enumerate(modifiers):
        text = split_answer(modifier)
        named = [m for m in lexicon.find(text) if not (m.is_negated or m.is_denied_in)]
        if not text.words:
            raise ConfigError(f"{what}[{i}]: {quote(modifier)} has no letter or digit")
        if named:
            form = " ".join(text.words[named[0].start : named[0].stop])
            raise ConfigError(
                f"{what}[{i}]: {quote(modifier)} contains {quote(form)}, which names a label; a "
                f"modifier may stand beside any label and must not name one. If it is another "
                f"name of the label, put it among its synonyms"
            )
        verdict = _first_of(text.words, words, _VERDICTS)
        if verdict:
            raise ConfigError(
                f"{what}[{i}]: {quote(modifier)} contains {quote(verdict)}, which denies, affirms "
                f"or joins labels or leaves them open; a modifier must do none of these"
            )


def check_forms(what: str, forms: Sequence[Sequence[str]], languages: tuple[str, ...]) -> None:
    """Raise `ConfigError` for a name or synonym that is a word such as "no", "not" or "or".

    "yes" and "no" may be labels where there is one of each.
    """
    words = make_vocabulary(languages)
    has_both = label_of_no(forms, words) is not None
    for i, group in enumerate(forms):
        for j, form in enumerate(group):
            kind = words.class_of(form)
            if kind in _RESERVED and not (has_both and kind in _PARTICLES):
                field = "name" if j == 0 else f"synonyms[{j - 1}]"
                raise ConfigError(
                    f"{what}[{i}].{field}: {quote(form)} is a word that denies, affirms or joins "
                    f"other labels in an answer, so it cannot be one; write what it means, such as "
                    f"{quote('absent')}. Yes and no may be labels where there is one of each"
                )


def is_reserved(form: str, forms: Sequence[str], words: Vocabulary) -> bool:
    """Whether a name is a word such as "no", "not" or "or"; "yes" and "no" may be together.

    >>> words = make_vocabulary(("en",))
    >>> is_reserved("no", ["no", "mild"], words), is_reserved("no", ["no", "yes"], words)
    (True, False)
    """
    kind = words.class_of(form)
    has_both = label_of_no([(one,) for one in forms], words) is not None
    return kind in _RESERVED and not (has_both and kind in _PARTICLES)


def label_of_no(forms: Sequence[Sequence[str]], words: Vocabulary) -> int | None:
    """Return the index of the label "no" where another one is "yes", by name or synonym."""
    kinds = [{words.class_of(form) for form in group} for group in forms]
    denying = [i for i, found in enumerate(kinds) if WordClass.NO in found]
    affirming = [i for i, found in enumerate(kinds) if WordClass.YES in found]
    return denying[0] if denying and affirming and denying != affirming else None


def labels_of_normal(
    forms: Sequence[Sequence[str]], absences: Iterable[int], words: Vocabulary
) -> frozenset[int]:
    """Return the absences that say that all is normal, by name or synonym.

    >>> from medreward.language.vocabulary import make_vocabulary
    >>> forms = [("normal", "healthy"), ("no fracture",), ("benign", "normal")]
    >>> labels_of_normal(forms, range(3), make_vocabulary(("en",)))
    frozenset({0})
    """
    return frozenset(
        label
        for label in labels_of_nothing(forms, absences, words)
        if not words.sound.isdisjoint(split_answer(form).words for form in forms[label])
    )


def labels_of_nothing(
    forms: Sequence[Sequence[str]], absences: Iterable[int], words: Vocabulary
) -> frozenset[int]:
    """Return the absences that name nothing harmless, such as "benign".

    >>> from medreward.language.vocabulary import make_vocabulary
    >>> forms = [("no fracture",), ("benign", "normal")]
    >>> labels_of_nothing(forms, range(2), make_vocabulary(("en",)))
    frozenset({0})
    """
    return frozenset(
        label
        for label in absences
        if all(words.harmless.isdisjoint(split_answer(form).words) for form in forms[label])
    )


def _first_of(words: Sequence[str], known: Vocabulary, classes: frozenset[WordClass]) -> str:
    """Return the first phrase among words that is of one of the classes, "" if there is none."""
    gaps = ["", *[" "] * len(words)]
    for start in range(len(words)):
        found = known.classes.find(words, gaps, start)
        if found and found[1] in classes:
            return " ".join(words[start : found[0]])
    return ""
