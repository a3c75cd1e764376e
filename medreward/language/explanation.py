"""Whether what stands behind a complete answer only bears it out.

An explanation may hold words that nobody listed: "B. The lesion has spiculated margins". So it is
held to rules that no further unknown word can help to meet, since unknown words are left out before
the rest is looked at:

* at least half of the words of each clause are known, the others have plain letters;
* a clause that names a label has no unknown word, which might deny it;
* each of its sentences is about something known (a noun of the language's list);
* it names no other label, option or grade, and does not deny the label of the answer;
* what it denies is a noun of the list, and nothing as general as "abnormality";
* no word in it takes the answer back, leaves it open or speaks of the answer itself;
* where the answer is that all is normal, no clause says that something was found: "normal. A mass".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from typing import NamedTuple

from medreward.language.answer_text import AnswerText, split_answer
from medreward.language.lexicon import Lexicon
from medreward.language.tokens import DENIED_IN, LABEL, NUMBER, UNKNOWN, AnswerScanner, Token
from medreward.language.vocabulary import Role, Vocabulary

_NOUN, _GENERIC, _DEGREE, _WORD = "N", "g", "x", "w"
_ABNORMAL = "abnormal"  # the text of a token that says that something was found
_ROLE_CODES = {
    Role.NOUN: _NOUN,
    Role.GENERIC: _GENERIC,
    Role.DEGREE: _DEGREE,
    Role.WORD: _WORD,
}
# Verdicts, hedges and words about the answer take it back, where a language does not list them as
# words of explanations too.
_TAKES_BACK = frozenset("yqbcF?s")
_DENIALS = frozenset("ndatz")
_COUNTED = frozenset((_NOUN, _GENERIC, _WORD, "m"))  # what a number may be of
_STATES = frozenset("iz")  # "it is absent", "there is not"
_CLAUSE_ENDS = frozenset(",:.")
_CLAUSE_MARKS = frozenset(",;:.()\n-\u2713\u2717|=")


class GivenAnswer(NamedTuple):
    """What a complete answer said.

    Attributes:
        labels: the labels that it asserted.
        may_deny_all: whether "no abnormality" agrees with it: it is an absence, or yes or no.
        is_no: whether it is no, with which any denial agrees.
        absences: the labels that say that nothing was found.
        is_before: whether the explanation stands before the answer; it names no other label then.
        is_normal: whether it says that all is normal.
        may_deny: whether anything may be denied. Where the question and not the task names what is
            looked for, the noun that is denied may be that.
    """

    labels: frozenset[int]
    may_deny_all: bool
    is_no: bool
    absences: frozenset[int]
    is_before: bool = False
    may_deny: bool = True
    is_normal: bool = False


def bears_out(text: AnswerText, answered: GivenAnswer, lexicon: Lexicon, words: Vocabulary) -> bool:
    """Whether `text` bears out an answer, by the rules above."""
    known = {word for word in text.words if _is_known(word, lexicon, words)}
    if not text.words or not all(word in known or _is_plain(word) for word in text.words):
        return False
    if not all(_may_be_aside(*clause, lexicon) for clause in _clauses(text, known)):
        return False
    # Without numbers too, which could stand within a label or a phrase.
    words_only = {word for word in known if not word[0].isdigit()}
    return all(
        _is_all_neutral(_leave_out(text, kept), answered, lexicon, words)
        for kept in (known, words_only)
    )


def _is_all_neutral(
    text: AnswerText, answered: GivenAnswer, lexicon: Lexicon, words: Vocabulary
) -> bool:
    tokens = [*_ExplanationScanner(text, lexicon, words).tokens()]
    if any(token.code == UNKNOWN and not _is_plain(token.text) for token in tokens):
        return False
    sentences = _split_at(tokens, lambda token: token.code == ".")
    return all(_is_neutral(sentence, answered) for sentence in sentences)


def _is_known(word: str, lexicon: Lexicon, words: Vocabulary) -> bool:
    return (
        word in words.roles.words
        or word in words.classes.words
        or word[0].isdigit()
        or lexicon.correct(word) in lexicon.words
    )


def _clauses(text: AnswerText, known: Set[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the known and the unknown words between marks that end a clause."""
    of_clause: list[str] = []
    unknown: list[str] = []
    for i, word in enumerate(text.words):
        if not _CLAUSE_MARKS.isdisjoint(text.gaps[i]):
            yield of_clause, unknown
            of_clause, unknown = [], []
        (of_clause if word in known else unknown).append(word)
    yield of_clause, unknown


def _may_be_aside(known: list[str], unknown: list[str], lexicon: Lexicon) -> bool:
    """Whether at least half of a clause is known, all of it where it names a label.

    "benign: nil", "insufficient evidence for benign": an unknown word may deny.
    """
    if not unknown:
        return True
    words = [word for word in known if not word.isdigit()]
    names_label = bool(lexicon.find(split_answer(" ".join(words))))
    return len(unknown) <= len(known) and not names_label


def _is_plain(word: str) -> bool:
    """Whether a word that is not known at least looks like one: two plain characters or more."""
    return word.isascii() and word.isalnum() and not word.isdigit() and len(word) > 1


def _leave_out(text: AnswerText, kept: Set[str]) -> AnswerText:
    """Return a text without the words that are not kept."""
    words: list[str] = []
    gaps: list[str] = []
    capitals: set[int] = set()
    gap = ""
    for i, word in enumerate(text.words):
        gap += text.gaps[i]
        if word not in kept:
            gap = gap.replace("-", " ")
            continue
        if i in text.capitals:
            capitals.add(len(words))
        words.append(word)
        gaps.append(" " if gap.isspace() and "\n" not in gap else gap)
        gap = ""
    return AnswerText(tuple(words), (*gaps, gap + text.gaps[-1]), frozenset(capitals))


class _ExplanationScanner(AnswerScanner):
    """Reads words of explanations too, in place of words of answers that are no denial."""

    def read_next(self, place: int) -> tuple[Sequence[Token], int]:
        """Return the tokens that begin with a word, and where the next ones begin."""
        tokens, stop = super().read_next(place)
        token = tokens[0]
        role = self.vocabulary.roles.find(self.text.words, self.text.gaps, place)
        kept = token.code in _DENIALS or token.code in (LABEL, DENIED_IN, "|", "b")
        if role and (role[0] > stop or (role[0] == stop and not kept)):
            abnormal = self.vocabulary.abnormal.find(self.text.words, self.text.gaps, place)
            text = _ABNORMAL if abnormal and abnormal[0] <= role[0] else ""
            return (Token(_ROLE_CODES[role[1]], place, text=text),), role[0]
        if role and token.code == LABEL and role == (stop, Role.DEGREE):
            tokens = (token._replace(text=_DEGREE),)  # of a noun behind it: "severe narrowing"
        return tokens, stop


def _split_at(tokens: Sequence[Token], ends: Callable[[Token], bool]) -> Iterator[list[Token]]:
    """Yield the tokens between those at which a text is split, where there are some."""
    part: list[Token] = []
    for token in tokens:
        if not ends(token):
            part.append(token)
        elif part:
            yield part
            part = []
    if part:
        yield part


def _is_neutral(sentence: Sequence[Token], answered: GivenAnswer) -> bool:
    codes = {token.code for token in sentence}
    agrees = answered.is_no and codes & _DENIALS and codes & _STATES
    is_own = any(token.code == LABEL and token.label in answered.labels for token in sentence)
    if not (agrees or is_own or codes & {_NOUN, _GENERIC, DENIED_IN}):
        return False
    clauses = _split_at(sentence, lambda token: token.code in _CLAUSE_ENDS)
    return all(_is_neutral_clause(clause, answered) for clause in clauses)


def _is_neutral_clause(clause: Sequence[Token], answered: GivenAnswer) -> bool:
    codes = [token.code for token in clause]
    if not _TAKES_BACK.isdisjoint(codes) or codes[0] == "|" or codes[-1] == "|":
        return False
    fragments = codes.count(UNKNOWN)  # words of phrases by themselves, which are not known
    if fragments and (LABEL in codes or 2 * fragments > len(codes)):
        return False
    denies = not _DENIALS.isdisjoint(codes)
    if denies and not (answered.may_deny and _denies_noun(clause, answered)):
        return False
    if not denies and answered.labels <= answered.absences and DENIED_IN in codes:
        return False
    if not denies and answered.is_normal and any(token.text == _ABNORMAL for token in clause):
        return False
    return all(
        _is_aside(token, clause[i : i + 1], codes, answered)
        for i, token in enumerate(clause, start=1)
        if token.code in (LABEL, DENIED_IN, NUMBER) and not (denies and token.code == LABEL)
    )


def _denies_noun(clause: Sequence[Token], answered: GivenAnswer) -> bool:
    """Whether a clause denies something that is known and neither everything nor the answer."""
    codes = [token.code for token in clause]
    denied = {token.label for token in clause if token.code in (LABEL, DENIED_IN)}
    if denied & answered.labels or DENIED_IN in codes or (denied and answered.is_before):
        return False
    if LABEL in codes and not _DENIALS & set(codes[: codes.index(LABEL)]):
        return False
    if answered.is_no and not _STATES.isdisjoint(codes):
        return True
    return _NOUN in codes or (_GENERIC in codes and answered.may_deny_all)


def _is_aside(
    token: Token, after: Sequence[Token], codes: Sequence[str], answered: GivenAnswer
) -> bool:
    """Whether a label or number in a clause says nothing of the answer; `after`: what follows."""
    following = [one.code for one in after]
    if token.code == NUMBER or token.text not in ("", _DEGREE):
        return not _COUNTED.isdisjoint(following)
    if token.code == DENIED_IN or token.label in answered.labels:
        return True
    if token.label in answered.absences:  # of a part: "the heart is normal"
        return _NOUN in codes
    return token.text == _DEGREE and _NOUN in following
