"""An answer as tokens of the grammar: each word, number and mark is one, or is not understood.

At each place the longest known form wins, a label's before a word's. A token has a code of one
letter: ``L`` is a label, ``S`` what a label says "no" of ("DR" where "no DR" is one), ``#`` a
number, ``s`` a share such as "90%", ``X`` what is not understood, the codes of `WordClass` are
words, and ``, : . ? |`` are marks (see `_MARKS`); ``B`` stands for a place, such as a box.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from medreward.language.answer_text import AnswerText
from medreward.language.lexicon import Lexicon, Mention
from medreward.language.vocabulary import FRAMES, Vocabulary, WordClass

LABEL, DENIED_IN, NUMBER, SHARE, UNKNOWN = "L", "S", "#", "s", "X"
# Codes of what denies, and of what makes an answer one that is not understood by itself.
DENIALS, NOT_READ = frozenset("ndatz"), frozenset((UNKNOWN, NUMBER, "e", "c", "h"))
# Codes that say nothing of a label, those of words that describe or name a thing, and those that
# begin a statement of what the answer is.
SILENT, DESCRIBING, NAMES_ANSWER = frozenset("fFivou"), frozenset("mk"), frozenset("Fi")
# Classes of phrases that follow a label "A" or "no", and never an article or a determiner.
_BEHIND_LABEL = frozenset(
    (
        WordClass.IS_ANSWER,
        WordClass.BECAUSE,
        WordClass.AND,
        WordClass.WITH,
        WordClass.OR,
        WordClass.BUT,
    )
)
# What a mark is read as; "" says nothing. A mark that is not here is not understood.
_MARKS = {
    **dict.fromkeys(" \"'*_`#[]{}", ""),
    **dict.fromkeys(".;\n", "."),
    **dict.fromkeys(",|\t", ","),
    **dict.fromkeys(":=", ":"),
    **dict.fromkeys("()", ","),
    "?": "?",
    "!": ".",
    "/": "|",
    **dict.fromkeys("&+", "&"),
    "\u2713": "y",
    "\u2717": "n",
    "\ue000": "B",
}
# Marks behind which a word may follow at once; behind others it needs a space.
_GLUED = frozenset(" \"'*_`[]{}()\n\t,:=/|-#\u2713\u2717&\ue000")
_BOOLEANS = frozenset((("true",), ("false",)))
_REPEATED = frozenset(".,:")  # several of them say no more than one
_BEFORE_WORDS = frozenset((" ", ' "', " '", " *", " **", " `"))
_DASHES = re.compile(r"-+(?!>)")
# An exclamation mark ends a sentence, "!=" does not; a plus joins words, "2+" does not.
_STRAY = re.compile(r"![^\s!*_\"')}\]]|\+(?!\s)|(?<!\s)\+")


class Sense(Enum):
    """What a token says beyond its code, where a rule needs to know."""

    NUMBER = "a label that is a number"
    IN_LABEL = "a word of a label's form, such as 'left' where 'left kidney' is a label"
    CARRIER = "what a label says that it is, such as 'lesion'"
    OWN = "a modifier that the card adds"
    EXISTS = "there is"
    ELSEWHERE = "another time, person or thing, or a condition"
    ASPECT = "a name of what is looked at, such as 'pattern'"
    MEASURE = "a name of a measure, such as 'size'"
    TALLY = "a name of a number of things, such as 'total'"
    BOOLEAN = "true or false, as JSON has it"
    PARTICLE = "the end of a verb, such as 'vor' of 'liegt vor'"
    JUDGEMENT = "whether a statement is right, such as 'is wrong'"
    COPULA = "is, are: at the beginning of a question too"
    EXAMINATION = "what was done: 'study'"
    RESEMBLES = "what a thing looks like, which need not be it: 'looks like'"
    LIKENESS = "what it looks like, such as 'seems'"
    EMPHASIS = "how sure it is, such as 'clearly' or 'typical of'"
    # In explanations.
    ABNORMAL = "something was found"
    SOUND = "nothing was found"
    FUNCTION = "a word that says nothing"
    PREPOSITION = "a preposition"
    OTHER_PART = "a part that the answer is not of, such as 'heart'"
    WITH = "with"
    ADDED = "a word that adds something: 'and'"
    PICTURE = "what is looked at"
    REMAINDER = "all but what was named: 'rest of'"
    PHRASE = "a label of several words"
    DEGREE = "a label that is a degree: 'severe narrowing'"


class Token(NamedTuple):
    """A part of an answer: its code, the word that it begins at, and what it stands for.

    Attributes:
        code: a letter or mark of the grammar.
        place: the index of its first word, or of the word before which a mark stands.
        label: the index of a label.
        share: of a number or share, its value; a share is between 0 and 1.
        text: the text of what is not understood, of a mark, a number or a share.
        sense: what more it says; None: nothing.
    """

    code: str
    place: int
    label: int = -1
    share: float = 0.0
    text: str = ""
    sense: Sense | None = None

    @property
    def narrows(self) -> bool:
        """Whether it says of which part or sort, and is neither the card's nor in a label."""
        return self.code in "mu" and self.sense is None

    @property
    def is_emphasis(self) -> bool:
        """Whether it says how sure it is, or how it is known."""
        return self.sense in (Sense.EMPHASIS, Sense.LIKENESS, Sense.RESEMBLES)

    @property
    def is_number_label(self) -> bool:
        """Whether it is a label that is a number."""
        return self.code == LABEL and self.sense is Sense.NUMBER


def scan_answer(text: AnswerText, lexicon: Lexicon, words: Vocabulary) -> list[Token]:
    """Return the tokens of an answer, in order."""
    return [*AnswerScanner(text, lexicon, words).tokens()]


_SENSES = {
    WordClass.EXISTS: Sense.EXISTS,
    WordClass.EMPHASIS: Sense.EMPHASIS,
    WordClass.LIKENESS: Sense.LIKENESS,
    WordClass.RESEMBLES: Sense.RESEMBLES,
    WordClass.COPULA: Sense.COPULA,
    WordClass.EXAMINATION: Sense.EXAMINATION,
    WordClass.WRONG: Sense.JUDGEMENT,
    WordClass.PARTICLE: Sense.PARTICLE,
    WordClass.WITH: Sense.WITH,
    WordClass.ASPECT: Sense.ASPECT,
    WordClass.MEASURE: Sense.MEASURE,
    WordClass.TALLY: Sense.TALLY,
    WordClass.ELSEWHERE: Sense.ELSEWHERE,
}


class AnswerScanner:
    """Reads the tokens of an answer, one after the other."""

    def __init__(self, text: AnswerText, lexicon: Lexicon, vocabulary: Vocabulary) -> None:
        self.text, self.lexicon, self.vocabulary = text, lexicon, vocabulary
        self.corrected = [lexicon.correct(word) for word in text.words]

    def tokens(self) -> Iterator[Token]:
        """Yield the tokens: marks, then the longest form or phrase behind them, and so on."""
        words, place = self.text.words, 0
        while place < len(words):
            yield from self._marks(place)
            tokens, place = self.read_next(place)
            yield from tokens
        yield from self._marks(place)

    def read_next(self, place: int) -> tuple[Sequence[Token], int]:
        """Return the tokens that begin with a word, and where the next ones begin."""
        words = self.text.words
        label = self.lexicon.match(self.corrected, self.text.gaps, place)
        phrase = self.vocabulary.classes.find(words, self.text.gaps, place)
        if label and phrase and self._may_be_article(label, phrase):  # "Option A MRI"
            return (Token(UNKNOWN, place, text=words[place]),), label.stop
        if label and (not phrase or self._is_label(label, phrase)):
            return self._label_tokens(label), label.stop
        if phrase:
            return (self._phrase_token(place, *phrase),), phrase[0]
        return (_number_or_unknown(words[place], place),), place + 1

    def _phrase_token(self, place: int, stop: int, kind: WordClass) -> Token:
        words = self.text.words[place:stop]
        if kind is WordClass.ARTICLE and not self._leads_on(stop):  # "0 to I"
            return Token(UNKNOWN, place, text=self.text.words[place])
        if kind.code == "m" and self.lexicon.shares(words):
            # "left or right kidney", where this is a label, leaves it open
            return Token("k", place, sense=Sense.IN_LABEL)
        if kind is WordClass.SCALE_NAME and self.vocabulary.is_of_other_scale(words):
            return Token(UNKNOWN, place, text=words[0])
        sense = _SENSES.get(kind)
        if words in _BOOLEANS:
            sense = Sense.BOOLEAN
        if kind is WordClass.MODIFIER and words in self.vocabulary.own:
            sense = Sense.OWN
        return Token(kind.code, place, sense=sense)

    def _label_tokens(self, label: Mention) -> Sequence[Token]:
        place, word = label.start, self.text.words[label.start]
        if label.is_negated:
            return Token(WordClass.NOT.code, place), Token(LABEL, place, label.label)
        is_number = word.isdigit() or word in self.vocabulary.numbers
        sense = Sense.NUMBER if is_number and label.stop == place + 1 else None
        code = DENIED_IN if label.is_denied_in else LABEL
        if label.is_denied_in and self._is_carrier(place, label.stop):
            sense = Sense.CARRIER  # "benign lesion", where "no lesion" is a form
        return (Token(code, place, label.label, sense=sense),)

    def _is_carrier(self, place: int, stop: int) -> bool:
        phrase = self.vocabulary.classes.find(self.text.words, self.text.gaps, place)
        return phrase == (stop, WordClass.CARRIER)

    def _may_be_article(self, label: Mention, phrase: tuple[int, WordClass]) -> bool:
        """Whether a capital letter is a label, or the article of the word behind it."""
        is_letter = phrase == (label.stop, WordClass.ARTICLE) and label.start in self.text.capitals
        return is_letter and self._goes_on(label.stop) and not self._is_behind(label.stop)

    def _is_behind(self, place: int) -> bool:
        """Whether a phrase begins that follows a label and no article."""
        phrase = self.vocabulary.classes.find(self.text.words, self.text.gaps, place)
        return phrase is not None and phrase[1] in _BEHIND_LABEL

    def _is_label(self, label: Mention, phrase: tuple[int, WordClass]) -> bool:
        """Whether a label's form is meant where a phrase begins at the same place.

        The longer one is. Of "no", "a" and "i", which are labels of some tasks, a word that follows
        makes a phrase: "no fracture", "a fracture".
        """
        _, start, stop, is_denied_in, is_negated = label
        if stop != phrase[0]:
            return stop > phrase[0]
        kind = phrase[1]
        if is_negated:
            return False
        if is_denied_in:  # "findings", where "no findings" is a label
            return kind not in FRAMES
        is_written = kind is WordClass.NO or start in self.text.capitals
        if kind not in (WordClass.NO, WordClass.ARTICLE) or not self._goes_on(stop):
            return True
        return is_written and self._is_behind(stop)

    def _goes_on(self, stop: int) -> bool:
        return stop < len(self.text.words) and self.text.gaps[stop] == " "

    def _leads_on(self, stop: int) -> bool:
        """Whether a word follows at once, as one does an article."""
        return stop < len(self.text.words) and self.text.gaps[stop] in _BEFORE_WORDS

    def _marks(self, place: int) -> Iterator[Token]:
        """Yield the marks before a word, or behind the last one."""
        gap = self.text.gaps[place]
        if not gap or gap == " ":
            return
        words = self.text.words
        before = words[place - 1][-1] if place else ""
        after = words[place][0] if place < len(words) else ""
        if self.lexicon.has_signs and after.isdigit() and gap.rstrip(" ")[-1:] == "-":
            yield Token(UNKNOWN, place, text=gap.strip())  # "- 5", where -5 is a label
            return
        for code, text in _gap_marks(gap, _side(before), _side(after)):
            yield Token(code, place, text=text)


def _side(char: str) -> str:
    """Return "0" for a digit, "a" for another character, "" for none."""
    return char and ("0" if char.isdigit() else "a")


@lru_cache(maxsize=4096)
def _gap_marks(gap: str, before: str, after: str) -> tuple[tuple[str, str], ...]:
    """Return the codes and texts of the marks in what stands between two words."""
    if gap == "-" and before and after and not before == after == "0":  # a hyphen
        return ()
    if before == after == "0" and (gap.strip() == "-" or "+" in gap):
        return ((UNKNOWN, "+"),) if "+" in gap else (("|", "-"),)  # a range
    if after and gap[-1] not in _GLUED:  # ".5", "?pneumonia", "!pneumonia"
        return ((UNKNOWN, gap.strip()),)
    if "+" in gap and (not before or gap.strip() != "+"):  # "A, + B"
        return ((UNKNOWN, gap.strip()),)
    if _STRAY.search(gap) or not all(
        _is_dash(gap, m, before, after) for m in _DASHES.finditer(gap)
    ):
        return ((UNKNOWN, gap.strip()),)
    marks: list[tuple[str, str]] = []
    for char in gap.replace("->", ":").replace("=>", ":"):
        if char == "-":
            code = "" if not before or "\n" in gap else ":"  # a bullet, or a dash
        else:
            code = _MARKS.get(char, " " if char.isspace() else UNKNOWN).strip()
        if code and not (marks and marks[-1][0] == code and code in _REPEATED):
            marks.append((code, char))
    return tuple(marks)


def _is_dash(gap: str, found: re.Match[str], before: str, after: str) -> bool:
    """Whether dashes divide words or begin a line: no sign, no "(-)", nothing that ends an answer.

    There is white space on both sides of a dash between words.
    """
    following, preceding = gap[found.end() :], gap[: found.start()]
    begins = preceding[-1].isspace() if preceding else not before
    if following:
        return begins and following[0].isspace()
    return "\n" in preceding or (after == "a" and begins)


def _number_or_unknown(word: str, place: int) -> Token:
    """Return the token of a word that is no form and no phrase."""
    digits = word.removesuffix("%")
    try:
        value = float(digits) if digits[0].isdigit() else None
    except ValueError:
        value = None
    if value is None:
        return Token(UNKNOWN, place, text=word)
    if word.endswith("%"):
        return Token(SHARE, place, share=value / 100, text=word)
    return Token(NUMBER, place, share=value, text=word)
