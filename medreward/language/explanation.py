"""Whether what stands behind a complete answer only bears it out.

An explanation may hold words that nobody listed: "B. The lesion has spiculated margins". So it is
held to rules that no further unknown word can help to meet, since unknown words are left out before
the rest is looked at:

* an unknown word has plain letters and describes something known: one or two of them stand right
  before a noun of the list ("subdural blood"), and what is seen is not the picture or the answer;
* a clause that names a label, or denies something, has no unknown word, which might turn it round;
  behind the answer no, one may stand in a denial;
* each of its sentences is about something known (a noun of the language's list);
* it names no other label, option or grade, and does not deny the label of the answer;
* what it denies is a noun of the list, and nothing as general as "abnormality", unless the answer
  is that nothing was found, or yes or no;
* it says that nothing was found only where the answer does: "pneumonia. The lung is normal";
* no word in it takes the answer back, leaves it open or speaks of the answer itself;
* where the answer is that nothing was found, no clause says that something was: "normal. A mass";
* a clause that denies nothing has no noun of another label's forms: "cyst. There is an abscess".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from itertools import takewhile
from typing import NamedTuple

from rapidfuzz.distance import Prefix

from medreward.language.answer_text import AnswerText, split_answer
from medreward.language.lexicon import Lexicon
from medreward.language.tokens import (
    DENIALS,
    DENIED_IN,
    LABEL,
    NUMBER,
    UNKNOWN,
    AnswerScanner,
    Sense,
    Token,
)
from medreward.language.vocabulary import Role, Vocabulary, WordClass

_NOUN, _GENERIC, _DEGREE, _WORD = "N", "g", "x", "w"
_FUNCTIONS = frozenset("fFi&|b")
_SILENT = frozenset((Sense.FUNCTION, Sense.ADDED, Sense.MEASURE, Sense.PREPOSITION))
# Letters by which a word is that of a label: of its beginning, and of the whole of a shorter one.
_STEM, _SHORT_STEM = 7, 5
_BEFORE_NOUN = frozenset((" ", "-"))
_ROLE_CODES = {
    Role.NOUN: _NOUN,
    Role.GENERIC: _GENERIC,
    Role.DEGREE: _DEGREE,
    Role.WORD: _WORD,
}
# Verdicts, hedges and words about the answer take it back, where a language does not list them as
# words of explanations too.
_TAKES_BACK = frozenset("yqbcF?s")
_COUNTED = frozenset((_NOUN, _GENERIC, _WORD, "m"))  # what a number may be of
_VERDICTS, _BEHIND_VERDICT = frozenset("apq"), frozenset(("", *"|&,:.ob"))
_NAMED = frozenset((_NOUN, _GENERIC, LABEL, DENIED_IN, "k", "v", "m"))
_GOING_ON, _LISTING = frozenset("&o,:"), frozenset("&o")
_NAMING = frozenset((_NOUN, _GENERIC, LABEL, DENIED_IN, "k"))
_LISTED, _BARE_DENIALS = frozenset("nd"), frozenset("ndt")
_STATES = frozenset("iz")  # "it is absent", "there is not"
_CLAUSE_ENDS = frozenset(",:.")
_CLAUSE_MARKS = frozenset(",;:.()\n-\u2713\u2717|=")


class GivenAnswer(NamedTuple):
    """What a complete answer said.

    Attributes:
        labels: the labels that it asserted.
        may_deny_all: whether "no abnormality" agrees with it: it is an absence, or yes or no.
        is_no: whether it is no, with which any denial agrees.
        is_yes: whether it is yes.
        absences: the labels that say that nothing was found.
        is_before: whether the explanation stands before the answer; it names no other label then.
        own: the words of the forms of these labels.
        others: words that are in forms of other labels alone.
        is_nothing: whether it says that nothing was found, not even what is harmless.
        joiner: the mark or word behind it: where the explanation goes on in its sentence, what is
            denied at the end of that may be the answer too, "A and a mass are not seen".
        may_deny: whether anything may be denied. Where the question and not the task names what is
            looked for, the noun that is denied may be that.
    """

    labels: frozenset[int]
    may_deny_all: bool
    is_no: bool
    absences: frozenset[int]
    is_before: bool = False
    may_deny: bool = True
    is_nothing: bool = False
    is_yes: bool = False
    own: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    joiner: str = ""

    @property
    def is_letter(self) -> bool:
        """Whether it is a letter of which the card says nothing: what follows is the option."""
        return bool(self.own) and all(len(word) == 1 for word in self.own)

    @property
    def is_absence(self) -> bool:
        """Whether nothing is asserted but that nothing was found."""
        return self.labels <= self.absences


def bears_out(text: AnswerText, answered: GivenAnswer, lexicon: Lexicon, words: Vocabulary) -> bool:
    """Whether `text` bears out an answer, by the rules above."""
    known = known_words(text, lexicon, words)
    if any(word in words.contrary and word not in answered.own for word in text.words):
        return False
    if not text.words or not all(word in known or _is_plain(word) for word in text.words):
        return False
    if any(_names_other(text, clause, answered, words) for clause in _clauses(text)):
        return False
    if not all(
        _is_described(text, clause, known, answered, lexicon, words) for clause in _clauses(text)
    ):
        return False
    # Without numbers too, which could stand within a label or a phrase.
    words_only = {word for word in known if not word[0].isdigit()}
    return all(
        _is_all_neutral(leave_out(text, kept), answered, lexicon, words)
        for kept in (known, words_only)
    )


def names_other_thing(text: AnswerText, lexicon: Lexicon, words: Vocabulary) -> bool:
    """Whether a text that goes on behind a place says what is there: "[...] (heart)".

    What stands behind a preposition is a part: "[...] in the heart".
    """
    if not {".", "\n"}.isdisjoint(text.gaps[0]):
        return False
    for token in _ExplanationScanner(text, lexicon, words).tokens():
        ends = token.code in (LABEL, NUMBER, *_CLAUSE_ENDS, *DENIALS)  # "(4 by 5 mm)"
        if ends or token.sense is Sense.PREPOSITION:
            return False
        if token.code == _NOUN and token.sense in (Sense.OTHER_PART, Sense.ABNORMAL):
            return True
    return False


def _names_other(text: AnswerText, clause: range, answered: GivenAnswer, words: Vocabulary) -> bool:
    """Whether a clause that denies nothing has a word of another label."""
    if not any(_is_alike(text.words[i], other) for i in clause for other in answered.others):
        return False
    phrases = (words.classes.find(text.words, text.gaps, i) for i in clause)
    denies = any(found and found[1].code in DENIALS for found in phrases)
    return not denies and not any((text.words[i],) in words.sound for i in clause)


def _is_alike(word: str, other: str) -> bool:
    """Whether two words are the same, but perhaps for their endings: "fractured", "fracture"."""
    shared = Prefix.similarity(word, other)
    return (
        word == other
        or shared >= _STEM
        or (shared >= _SHORT_STEM and shared == min(len(word), len(other)))
    )


def _is_all_neutral(
    text: AnswerText, answered: GivenAnswer, lexicon: Lexicon, words: Vocabulary
) -> bool:
    tokens = [*_ExplanationScanner(text, lexicon, words).tokens()]
    if any(token.code == UNKNOWN and not _is_plain(token.text) for token in tokens):
        return False
    if not answered.is_letter and _judges(tokens):
        return False
    sentences = [*_split_at(tokens, lambda token: token.code == ".")]
    agrees = not sentences or _agrees(sentences[0], answered)
    goes_on = answered.joiner in _GOING_ON
    if sentences and goes_on and _judges_all(sentences[0], answered):
        return False
    return agrees and all(_is_neutral(sentence, answered) for sentence in sentences)


def _judges(tokens: Sequence[Token]) -> bool:
    """Whether a text begins with a verdict on what stands before it: "negative with", "no or"."""
    first, second = (*(token.code for token in tokens[:2]), "", "")[:2]
    return first in _VERDICTS or (first == "n" and second in _BEHIND_VERDICT)


def _judges_all(sentence: Sequence[Token], answered: GivenAnswer) -> bool:
    """Whether what is denied at the end of a sentence may be the answer before it as well.

    "A and a mass are not seen", "A, nodules and masses are absent", "A of the hip is absent" and
    "normal, the left lung is not" are such; "A, an effusion is not seen" is not. Behind yes, no
    and letters it is not, nor is an effusion that is not seen behind "normal".
    """
    is_listed = answered.joiner in _LISTING
    if not is_listed and (answered.is_letter or answered.is_no or answered.is_yes):
        return False
    is_item = False  # whether the clause before names something that nothing denies
    for clause in _split_at(sentence, _ends_clause):
        codes, senses = [token.code for token in clause], {token.sense for token in clause}
        last = max((i for i, code in enumerate(codes) if code in DENIALS), default=None)
        # "A, size not given", "A, although the image is not sharp"
        if last is None or senses & {Sense.MEASURE, Sense.PICTURE}:
            is_item = not _NAMED.isdisjoint(codes)
            continue
        is_list = is_listed or is_item or any(t.sense is Sense.ADDED for t in clause[:last])
        if answered.is_absence:
            is_list = is_listed or Sense.ABNORMAL not in senses
        is_end = _NAMED.isdisjoint(codes[last + 1 :])
        if is_list and (is_end or (answered.is_absence and codes[last] == "t")):
            return True
        is_item = False
    return False


def _agrees(sentence: Sequence[Token], answered: GivenAnswer) -> bool:
    """Whether "there is ..." at once behind yes or no says the same: "no, there is no mass"."""
    clause = next(_split_at(sentence, _ends_clause), [])
    if not any(token.sense is Sense.EXISTS for token in clause[:1]):
        return True
    denies = not DENIALS.isdisjoint(token.code for token in clause[1:2])
    return not (answered.is_yes if denies else answered.is_no)


def _ends_clause(token: Token) -> bool:
    return token.code in _CLAUSE_ENDS


def known_words(text: AnswerText, lexicon: Lexicon, words: Vocabulary) -> Set[str]:
    """Return the words that are in the vocabulary or in a label's form, and numbers."""
    return {word for word in text.words if _is_known(word, lexicon, words)}


def _is_known(word: str, lexicon: Lexicon, words: Vocabulary) -> bool:
    return (
        word in words.roles.words
        or word in words.classes.words
        or word[0].isdigit()
        or lexicon.correct(word) in lexicon.words
    )


def _clauses(text: AnswerText) -> Iterator[range]:
    """Yield the places of the words between marks that end a clause."""
    start = 0
    for i in range(1, len(text.words)):
        if not _CLAUSE_MARKS.isdisjoint(text.gaps[i]):
            yield range(start, i)
            start = i
    yield range(start, len(text.words))


def _is_described(
    text: AnswerText,
    clause: range,
    known: Set[str],
    answered: GivenAnswer,
    lexicon: Lexicon,
    words: Vocabulary,
) -> bool:
    """Whether the unknown words of a clause stand right before nouns that they may describe.

    One that stands elsewhere may deny: "benign: nil", "scan mislabeled".
    """
    unknown = [i for i in clause if text.words[i] not in known]
    if not unknown:
        return True
    kept = [text.words[i] for i in clause if text.words[i] in known and not text.words[i].isdigit()]
    rest = split_answer(" ".join(kept))
    if not all(_leads_to_noun(text, i, clause.stop, known, words) for i in unknown):
        return False
    tokens = _ExplanationScanner(rest, lexicon, words).tokens()
    denies = any(token.code in DENIALS for token in tokens)
    return not lexicon.find(rest) and (answered.is_no or not denies)


def _leads_to_noun(
    text: AnswerText, start: int, stop: int, known: Set[str], words: Vocabulary
) -> bool:
    """Whether a noun follows an unknown word, or two, that is not the picture or the answer."""
    at = start + 1
    if at < stop and text.words[at] not in known:
        at += 1
    if at >= stop or not _BEFORE_NOUN.issuperset(text.gaps[start + 1 : at + 1]):
        return False
    role = words.roles.find(text.words, text.gaps, at)
    spoken = words.classes.find(text.words, text.gaps, at)
    may_be_seen = spoken is None or spoken[1] in (WordClass.MODIFIER, WordClass.CARRIER)
    return role is not None and role[1] is Role.NOUN and may_be_seen


def _is_plain(word: str) -> bool:
    """Whether a word that is not known at least looks like one: two plain characters or more."""
    return word.isascii() and word.isalnum() and not word.isdigit() and len(word) > 1


def leave_out(text: AnswerText, kept: Set[str]) -> AnswerText:
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
        kept = token.code in DENIALS or token.code in (LABEL, DENIED_IN, "|", "b")
        if role and (role[0] > stop or (role[0] == stop and not kept)):
            sense = self._sense(token, role, place)
            return (Token(_ROLE_CODES[role[1]], place, sense=sense),), role[0]
        if role and token.code == LABEL and role == (stop, Role.DEGREE):
            # Of a noun behind it: "severe narrowing".
            tokens = (token._replace(sense=Sense.DEGREE),)
        elif token.code == LABEL and stop > place + 1:  # "lungs are normal", not "normal"
            tokens = (token._replace(sense=Sense.PHRASE),)
        return tokens, stop

    def _sense(self, token: Token, role: tuple[int, Role], place: int) -> Sense | None:
        """Return what a word of explanations says; `token` is what it is in an answer."""
        words = self.text.words[place : role[0]]
        usual = self.vocabulary.usual.find(self.text.words, self.text.gaps, place)
        is_added = token.code == "&" and token.sense is not Sense.WITH
        is_part = role[1] is Role.NOUN and token.code == UNKNOWN
        senses = (
            (Sense.SOUND, words in self.vocabulary.sound),
            (Sense.MEASURE, token.sense is Sense.MEASURE),
            (Sense.ADDED, is_added),
            (Sense.FUNCTION, token.code in _FUNCTIONS),
            (Sense.PREPOSITION, token.code == "o"),
            (Sense.ABNORMAL, usual is None or usual[0] < role[0]),
            (Sense.PICTURE, token.code == "v"),
            (Sense.REMAINDER, words in self.vocabulary.remainder),
            (Sense.OTHER_PART, is_part),
        )
        return next((sense for sense, holds in senses if holds), None)


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
    agrees = answered.is_no and codes & DENIALS and codes & _STATES
    is_own = any(token.code == LABEL and token.label in answered.labels for token in sentence)
    if not (agrees or is_own or codes & {_NOUN, _GENERIC, DENIED_IN}):
        return False
    clauses = [*_split_at(sentence, _ends_clause)]
    if _is_denied_list(clauses):
        clauses = [[token for clause in clauses for token in clause]]
    return all(_is_neutral_clause(clause, answered) for clause in clauses)


def _is_denied_list(clauses: Sequence[Sequence[Token]]) -> bool:
    """Whether a denial begins a list that "or" ends: "no exudates, haemorrhages or beading"."""
    if len(clauses) < 2 or clauses[0][0].code not in _LISTED:
        return False
    return any(token.code == "|" for token in clauses[-1])


def _is_neutral_clause(clause: Sequence[Token], answered: GivenAnswer) -> bool:
    codes = [token.code for token in clause]
    if not _TAKES_BACK.isdisjoint(codes) or codes[0] == "|" or codes[-1] in "|&":
        return False
    fragments = codes.count(UNKNOWN)  # words of phrases by themselves, which are not known
    if fragments and (LABEL in codes or 2 * fragments > len(codes)):
        return False
    denies = not DENIALS.isdisjoint(codes)
    may_turn = answered.is_before or answered.may_deny_all or "t" not in codes
    if not may_turn and _turns_noun(codes):  # "A: not cystic"
        return False
    if any(token.sense is Sense.JUDGEMENT for token in clause) or codes[-1] in _BARE_DENIALS:
        return False
    if _offers_other(clause, answered) or _says_what_it_is(clause):
        return False
    is_of_part = _is_of_other_parts(clause) or (answered.is_absence and _NOUN in codes)
    agrees = _denies_noun(clause, answered) if denies else _finds_nothing_else(clause, answered)
    return agrees and all(
        _is_aside(token, clause[i : i + 1], answered, is_of_part=is_of_part)
        for i, token in enumerate(clause, start=1)
        if token.code in (LABEL, DENIED_IN, NUMBER) and not (denies and token.code == LABEL)
    )


def _turns_noun(codes: Sequence[str]) -> bool:
    """Whether "not" stands before a noun, and none before it."""
    at = codes.index("t")
    return _NAMED.isdisjoint(codes[:at]) and codes[at + 1 : at + 2] == [_NOUN]


def _offers_other(clause: Sequence[Token], answered: GivenAnswer) -> bool:
    """Whether "or" stands before an absence, or "and" before one of its own: "or no fracture"."""
    for i, token in enumerate(clause):
        behind = clause[i + 1 :]
        said = [j for j, one in enumerate(behind) if _says_nothing_found(one, answered)]
        if said and (token.code == "|" or (token.code == "&" and said[-1] == len(behind) - 1)):
            return True
    return False


def _says_nothing_found(token: Token, answered: GivenAnswer) -> bool:
    is_absence = token.code == LABEL and token.label in answered.absences
    return token.sense is Sense.SOUND or is_absence or token.code == DENIED_IN


def _says_what_it_is(clause: Sequence[Token]) -> bool:
    """Whether a clause says that it is something which is no label: "it is the heart"."""
    if clause[0].code != "i" or clause[0].sense is Sense.EXISTS:
        return False
    named = (token for token in clause if token.code in (_NOUN, LABEL, "k", "v"))
    first = next(named, None)
    return first is not None and first.sense in (Sense.OTHER_PART, Sense.ABNORMAL)


def _finds_nothing_else(clause: Sequence[Token], answered: GivenAnswer) -> bool:
    """Whether a clause that denies nothing agrees with the answer."""
    codes, senses = {token.code for token in clause}, {token.sense for token in clause}
    if answered.is_absence and DENIED_IN in codes:
        return False
    if answered.is_nothing and Sense.ABNORMAL in senses:
        return False
    if answered.may_deny_all or answered.is_letter or Sense.SOUND not in senses:
        return True
    return _is_of_other_parts(clause)


def _is_of_other_parts(clause: Sequence[Token]) -> bool:
    """Whether a clause names parts, and none but those that the answer is not of."""
    if any(token.sense is Sense.REMAINDER for token in clause):  # "the rest of the lungs"
        return True
    parts = [token for token in clause if token.code == _NOUN and token.sense is not Sense.MEASURE]
    return bool(parts) and all(token.sense is Sense.OTHER_PART for token in parts)


def _names_denied(clause: Sequence[Token], answered: GivenAnswer) -> bool:
    """Whether a clause names what it denies, behind the denial or else before it.

    A place ("nothing in the chest"), the picture ("not this image") and a pronoun ("no sign of it")
    are none: such a clause denies the answer. But the picture may be not sharp.
    """
    at = max(i for i, token in enumerate(clause) if token.code in DENIALS)
    behind = [*takewhile(lambda token: token.sense is not Sense.PREPOSITION, clause[at + 1 :])]
    named = [token for token in behind if token.code in _NAMING]
    named = named or [token for token in clause[:at] if token.code in _NAMING]
    if any(one.sense is Sense.PICTURE for one in named):
        return any(token.code == _WORD and token.sense is None for token in behind)
    has_sense = any(token.code != _NOUN or token.sense is not None for token in named)
    return has_sense or (answered.is_yes and bool(named))  # "yes; the left side is not affected"


def _denies_noun(clause: Sequence[Token], answered: GivenAnswer) -> bool:
    """Whether a clause denies something that is known and neither everything nor the answer."""
    codes = [token.code for token in clause]
    is_any = answered.is_no or answered.is_letter  # "C. Not visible on this image"
    if not answered.may_deny or not (is_any or _names_denied(clause, answered)):
        return False
    denied = {token.label for token in clause if token.code in (LABEL, DENIED_IN)}
    is_behind = LABEL in codes and DENIALS.isdisjoint(codes[: codes.index(LABEL)])
    is_own = bool(denied & answered.labels) or DENIED_IN in codes
    if is_own or is_behind or (denied and answered.is_before):
        return False
    if answered.is_no and not _STATES.isdisjoint(codes):
        return True
    if answered.absences and any(token.sense is Sense.SOUND for token in clause):
        return not answered.is_absence  # "the lungs are not clear"
    if _GENERIC in codes:
        return answered.may_deny_all
    return _NOUN in codes


def _is_aside(
    token: Token, after: Sequence[Token], answered: GivenAnswer, *, is_of_part: bool
) -> bool:
    """Whether a label or number in a clause says nothing of the answer.

    `after` is what follows; `is_of_part`: the clause is about a part that is not the whole.
    """
    following = [one.code for one in after]
    if token.code == NUMBER or token.sense is Sense.NUMBER:
        return any(one.code in _COUNTED and one.sense not in _SILENT for one in after)
    if token.code == DENIED_IN or token.label in answered.labels:
        return True
    if token.label in answered.absences:  # of a part: "the heart is normal"
        return is_of_part and token.sense is not Sense.PHRASE
    return token.sense is Sense.DEGREE and _NOUN in following
