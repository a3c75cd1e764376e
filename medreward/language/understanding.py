"""What an answer says, understood whole; or the first thing in it that is not understood.

An answer is read by `medreward.language.grammar`. Where it holds what is not understood, it may
still be a complete answer with an explanation behind it; the answer ends at the last mark ``. ; ,
: ( -`` or word such as "because" or "with" before that. An explanation may also stand before a last
sentence that says that it is the answer: "The lungs show ... . The diagnosis is pneumonia."
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from medreward.language.answer_text import AnswerText, split_answer
from medreward.language.certainty import read_certainty
from medreward.language.claims import (
    Claim,
    NotUnderstoodError,
    Rules,
    Stance,
    labels_that_are,
    stances_of,
)
from medreward.language.explanation import GivenAnswer, bears_out, known_words, leave_out
from medreward.language.grammar import read_claims
from medreward.language.lexicon import Lexicon
from medreward.language.tokens import DENIALS, NOT_READ, UNKNOWN, Sense, Token, scan_answer
from medreward.language.vocabulary import Role, Vocabulary

# Where an answer may end: a mark, "with", "because", "without".
_ENDS = frozenset(",:.&edo")
_OPENING = frozenset("fi")
_THINGS, _SPOKEN_OF = frozenset("fFivoukm"), frozenset("kvum")
_SENTENCE_ENDS, _JOINERS = frozenset(".:,"), frozenset(",.:&b")
_TURNS = frozenset("tz")
_TURNING, _BEFORE_CONCLUSION = frozenset("ndatzqb|?"), frozenset(",:.k")
# Of lists: a letter or number, what follows it, and what one may stand behind.
_ITEMS, _ITEM_ENDS, _ITEM_STARTS = frozenset("X#"), frozenset(",.:"), frozenset(".,:F")
_LETTERS = frozenset("abcdefghij")
_FEW_WORDS = 1
# Answers of so many characters are kept, and so many of them: 2 MB at most for a task.
_SHORT, _MOST_KNOWN = 120, 4096
_Reading = TypeVar("_Reading")


class Understanding(NamedTuple):
    """What an answer says of labels, or what in it was not understood.

    Attributes:
        claims: what it says, in order; none where it is not understood.
        unread: the first thing that is not understood, "" if all is.
        names_label: whether it names a label at all.
        elsewhere: the first word of another time, person or thing in it, "" if there is none.
    """

    claims: tuple[Claim, ...]
    unread: str = ""
    names_label: bool = True
    elsewhere: str = ""


class Reader:
    """Reads answers about the labels of a task.

    Args:
        lexicon: finds the labels.
        words: the vocabulary of the languages that the task takes.
        rules: what the task says of its labels.
    """

    def __init__(self, lexicon: Lexicon, words: Vocabulary, rules: Rules) -> None:
        self.lexicon, self.words, self.rules = lexicon, words, rules
        self._known: dict[tuple[str, str], Any] = {}
        self._others: dict[frozenset[int], frozenset[str]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: what was read or found before is not."""
        return {**vars(self), "_known": {}, "_others": {}}

    def recall(self, form: str, answer: str, read: Callable[[str], _Reading]) -> _Reading:
        """Return what `read` makes of an answer; of a short one, only the first time.

        A policy gives the same short answers again and again. What is read depends on the answer
        and the task alone.

        Args:
            form: tells what different functions make of one answer apart.
            answer: the answer.
            read: reads it.
        """
        if len(answer) > _SHORT:
            return read(answer)
        found: _Reading | None = self._known.get((form, answer))
        if found is None:
            found = read(answer)
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[form, answer] = found
        return found

    def read(self, answer: str) -> Understanding:
        """Return what `answer` says."""
        return self.read_text(split_answer(answer))

    def read_text(self, text: AnswerText) -> Understanding:
        """Return what the words and marks of an answer say."""
        return self._read_text(text, is_whole=True)

    def _read_text(self, text: AnswerText, *, is_whole: bool) -> Understanding:
        """Read a text; `is_whole`: nothing was left out of it."""
        tokens = read_certainty(scan_answer(text, self.lexicon, self.words))
        tokens = without_options(tokens, has_letters=self.lexicon.has_letters)
        names_label = any(token.code == "L" for token in tokens)
        elsewhere = next((t.place for t in tokens if t.sense is Sense.ELSEWHERE), None)
        word = "" if elsewhere is None else text.words[elsewhere]
        place = next((token.place for token in tokens if token.code in NOT_READ), None)
        if place is None:
            try:
                claims = tuple(read_claims(tokens, self.rules))
                self._check_parts(text, tokens, claims)
                return Understanding(claims, "", names_label or bool(claims), word)
            except NotUnderstoodError as error:
                place = error.place
        may_explain = names_label and self.rules.may_explain
        claims = self._with_explanation(text, tokens, place) if may_explain else ()
        if claims and is_whole and self._differs_without_unknown(text, claims):
            claims = ()
        unread = "" if claims else text_at(text, tokens, place)
        return Understanding(claims, unread, names_label, word)

    def _differs_without_unknown(self, text: AnswerText, claims: tuple[Claim, ...]) -> bool:
        """Whether an answer says something else without the words that nobody knows.

        So no unknown word can make an answer understood that was not without it.
        """
        known = known_words(text, self.lexicon, self.words)
        if len(known) == len({*text.words}):
            return False
        return self._read_text(leave_out(text, known), is_whole=False).claims != claims

    def _with_explanation(
        self, text: AnswerText, tokens: Sequence[Token], place: int
    ) -> tuple[Claim, ...]:
        """Return what a complete answer beside an explanation says; nothing if there is none.

        `place` is the first word that is not understood.
        """
        first = next((i for i, t in enumerate(tokens) if t.place >= place), len(tokens) - 1)
        end = first
        while end > 0 and tokens[end].code not in _ENDS:
            end -= 1
        end = _before_thing(tokens, end)
        start = end
        while start > 0 and tokens[start - 1].code in _OPENING:  # "No, there is | no mass"
            start -= 1
        if start < end and start > 0 and tokens[start - 1].code in _ENDS:
            end = start - 1
        claims = self._complete(tokens[:end])
        if claims:
            rest = part_of(text, tokens[end].place, len(text.words))
            is_count = _is_count(tokens[:end])
            is_part = tokens[end].code == "o" and (self._is_absence(claims) or is_count)
            is_part |= is_count and len(rest.words) <= _FEW_WORDS  # "2, lesions", "2 (cm)"
            joiner = tokens[end].code
            if tokens[end].sense is Sense.WITH and tokens[end - 1].code == ",":
                joiner = ","  # "A, with margins not smooth"
            if is_part or not self._bears_out(rest, claims, joiner=joiner):
                return ()
            return claims
        last = max((i for i, t in enumerate(tokens) if t.code in NOT_READ), default=first)
        return self._behind_explanation(text, tokens, last) or self._concluded(text, tokens, last)

    def _behind_explanation(
        self, text: AnswerText, tokens: Sequence[Token], last: int
    ) -> tuple[Claim, ...]:
        """Return what a last sentence says, behind the token that is not understood.

        It says that it is the answer ("the diagnosis is A", "it is A", "A is present"), or what
        stands before it denies something: "No fracture. A".
        """
        start = next(
            (i for i in range(last, len(tokens)) if tokens[i].code in _SENTENCE_ENDS), len(tokens)
        )
        final, codes = tokens[start:], [token.code for token in tokens]
        claims = self._complete(_without_joiners(final))
        # In "no effusion, A" a list goes on, unless A says that nothing was found.
        is_apart = "." in codes[start : start + 1] or "b" in codes[start : start + 2]
        is_apart |= self._is_absence(claims)
        states = "F" in codes[start:] or ("p" in codes[start:] and is_apart)
        turning = DENIALS if is_apart else _TURNS
        is_heading = codes[start : start + 1] == [":"]
        # "The type is not: A" denies no noun; "the lungs are not clear: A" does.
        denied = max((i for i in range(start) if codes[i] in turning), default=start)
        denies = denied < start and (not is_heading or UNKNOWN in codes[denied:start])
        if not claims or not (states or denies):
            return ()
        # "lesions: 2; not grade 3"
        is_framed = any(token.code == "F" and token.sense is None for token in tokens[:start])
        if is_heading and not is_framed and any(token.is_number_label for token in final):
            return ()
        states_it = any(token.code == "i" for token in final)
        if states_it and self._is_of_part(text, tokens[:start], claims):
            return ()
        rest = part_of(text, 0, final[0].place)
        return claims if self._bears_out(rest, claims, is_before=True) else ()

    def _concluded(self, text: AnswerText, tokens: Sequence[Token], last: int) -> tuple[Claim, ...]:
        """Return what is concluded from what was seen: "an opacity, consistent with A".

        Right before "consistent with" stands a noun or a mark, and nothing is denied or left open:
        "opacity less consistent with A" is not understood.
        """
        places = range(last + 1, len(tokens))
        start = next((i for i in places if tokens[i].sense is Sense.EMPHASIS), 0)
        before = [token for token in tokens[:start] if token.code != "f" or token.sense]
        if not before or not _TURNING.isdisjoint(token.code for token in before):
            return ()
        claims = self._complete(tokens[start:])
        is_seen = before[-1].code in _BEFORE_CONCLUSION or self._is_other_noun(text, before[-1])
        if not claims or not is_seen:
            return ()
        if self._is_of_part(text, before, claims):
            return ()
        rest = part_of(text, 0, tokens[start].place)
        return claims if self._bears_out(rest, claims, is_before=True) else ()

    def _is_of_part(
        self, text: AnswerText, before: Sequence[Token], claims: Sequence[Claim]
    ) -> bool:
        """Whether "it is normal" speaks of what stands before it: "The heart. It is normal."."""
        names_part = any(self._is_other_noun(text, token) for token in before)
        return names_part and self._is_absence(claims)

    def _is_other_noun(self, text: AnswerText, token: Token) -> bool:
        """Whether a token is a noun of explanations, which no answer itself has."""
        role = self.words.roles.find(text.words, text.gaps, token.place)
        return token.code == UNKNOWN and role is not None and role[1] is Role.NOUN

    def _complete(self, tokens: Sequence[Token]) -> tuple[Claim, ...]:
        """Return what tokens say if they are a complete answer, else nothing."""
        try:
            claims = tuple(read_claims(tokens, self.rules))
        except NotUnderstoodError:
            return ()
        asserted, denied, doubted, left_open = stances_of(claims)
        is_complete = asserted and not left_open and not asserted & (denied | doubted)
        return claims if is_complete else ()

    def _is_absence(self, claims: Sequence[Claim]) -> bool:
        """Whether nothing is asserted but an absence: "normal in the left lung" is none."""
        return labels_that_are(Stance.ASSERTED, claims) <= self.rules.absences

    def _bears_out(
        self,
        rest: AnswerText,
        claims: Sequence[Claim],
        *,
        is_before: bool = False,
        joiner: str = "",
    ) -> bool:
        labels = labels_that_are(Stance.ASSERTED, claims)
        absences, no_label = self.rules.absences, self.rules.no_label
        answered = GivenAnswer(
            labels,
            may_deny_all=no_label is not None or labels <= absences,
            is_no=labels == {no_label},
            is_yes=no_label is not None and no_label not in labels,
            absences=absences,
            is_before=is_before,
            is_nothing=labels <= self.rules.nothing,
            own=self.own_words(labels),
            others=self.other_words(labels),
            joiner=joiner,
        )
        return bears_out(rest, answered, self.lexicon, self.words)

    def _check_parts(
        self, text: AnswerText, tokens: Sequence[Token], claims: Sequence[Claim]
    ) -> None:
        """Refuse a part of another label's form beside an answer: "left kidney, right".

        Raises:
            NotUnderstoodError: if there is one.
        """
        asserted = labels_that_are(Stance.ASSERTED, claims)
        if len(asserted) != 1:
            return
        places = [token.place for token in tokens if token.sense is Sense.IN_LABEL]
        others = self.lexicon.labels - asserted - self.rules.absences
        contrary = self.own_words(others) - self.own_words(asserted) if places else frozenset()
        for place in places:
            if text.words[place] in contrary:
                raise NotUnderstoodError(place)

    def own_words(self, labels: Iterable[int]) -> frozenset[str]:
        """Return the words of the forms of labels."""
        return frozenset(word for label in labels for word in self.lexicon.words_of(label))

    def other_words(self, labels: frozenset[int]) -> frozenset[str]:
        """Return the nouns that are in forms of other labels alone.

        Of absences there are none: "clear lungs" is a form of one, and lungs are spoken of.
        """
        found = self._others.get(labels)
        if found is None:
            apart = labels | self.rules.absences
            others = self.lexicon.labels - apart
            words = self.own_words(others) - self.own_words(apart)
            found = frozenset(word for word in words if self._is_noun(word))
            self._others[labels] = found
        return found

    def _is_noun(self, word: str) -> bool:
        """Whether a word of a label is a noun, or one that the language's lists do not hold."""
        words, gaps, _ = split_answer(word)
        role = self.words.roles.find(words, gaps, 0)
        is_noun = role is None or role[1] is Role.NOUN
        is_noun = is_noun and word.isalpha() and word not in self.words.harmless
        return is_noun and self.words.classes.find(words, gaps, 0) is None


def _before_thing(tokens: Sequence[Token], end: int) -> int:
    """Return the mark before a part that names a thing or place alone, where one ends at `end`.

    "B. The lesion | in the lobe", "B. The retina | and macula": the sentence is an explanation.
    """
    mark = next((i for i in range(end - 1, 0, -1) if tokens[i].code in _ITEM_ENDS), 0)
    codes = {token.code for token in tokens[mark + 1 : end]}
    return mark if mark and codes & _SPOKEN_OF and codes <= _THINGS else end


def _is_count(tokens: Sequence[Token]) -> bool:
    """Whether tokens are a number and no word for a grade: "1 of the 4 quadrants"."""
    has_number = any(token.is_number_label for token in tokens)
    return has_number and all(token.code != "F" for token in tokens)


def without_options(tokens: Sequence[Token], *, has_letters: bool) -> list[Token]:
    """Return tokens without the letter of an option, or numbers of a list, before what is meant.

    "B) pneumonia", "(c) malignant", "Answer: B. pneumonia", "1. effusion, 2. mass". Where labels
    are letters themselves, no letter is left out.
    """
    found: list[Token] = []
    item, is_start = 1, True
    for i, token in enumerate(tokens):
        after = tokens[i + 1].code if i + 1 < len(tokens) else ""
        is_letter = not has_letters and token.code == "X" and token.text in _LETTERS
        is_item = token.code == "#" and token.text == str(item)
        if after and after in _ITEM_ENDS and is_start and (is_item or (is_letter and item == 1)):
            item += 1
            found.append(token._replace(code="f"))
            continue
        if (
            found
            and found[-1].code == "f"
            and i
            and tokens[i - 1].code in _ITEMS
            and token.code in _ITEM_ENDS
        ):
            continue  # the mark behind it
        is_start = token.code in _ITEM_STARTS
        found.append(token)
    return found


def _without_joiners(tokens: Sequence[Token]) -> Sequence[Token]:
    """Return tokens without the marks and joiners that they begin with."""
    start = 0
    while start < len(tokens) and tokens[start].code in _JOINERS:
        start += 1
    return tokens[start:]


def part_of(text: AnswerText, start: int, stop: int) -> AnswerText:
    """Return the words of a text from one to before another one, with the marks behind each."""
    capitals = frozenset(i - start for i in text.capitals if start <= i < stop)
    return AnswerText(text.words[start:stop], ("", *text.gaps[start + 1 : stop + 1]), capitals)


def text_at(text: AnswerText, tokens: Sequence[Token], place: int) -> str:
    """Return the word at a place, or the mark that is not understood before it."""
    for token in tokens:
        if token.place == place and token.code in NOT_READ and token.text:
            return token.text
    return text.words[place] if place < len(text.words) else text.gaps[-1].strip()
