"""What the tokens of an answer say of its labels: the whole grammar.

An answer is a row of *segments*, divided by full stops, semicolons and line ends; a segment is a
row of *groups*, divided by commas, colons, "and", "or" and "but". Words that say nothing are left
out. A group is one of::

    L         a label, several times the same          asserted
    d L       a denial and a label                     denied ("no", "not", "without")
    y L       an affirmation and a label               asserted
    q L, L q  a hedge beside it                        open
    L a, L n  a label and a negative verdict           denied ("absent", "no", "3%")
    L p, L y  a label and a positive verdict           asserted
    v         a verdict alone: of the labels before it, or, before a colon, of those behind it

Rules beyond a group, each where two readings are possible:

* A verdict behind a list is one on all of it: "A, B and C are absent".
* A denial before a list is one on all of it where "or" ends the list: "no A, B or C"; else labels
  behind the first one are open.
* A label that says that nothing was found begins a claim of its own: "no pneumonia, normal"; but
  not before an "and": "normal and pneumonia are absent" denies both.
* What denies only a part of a label denies it in part: "no left effusion", "effusion: 10%". No
  absence follows from that.
* "A or B" leaves both open.
* A table of labels and verdicts, in either order, is read pair by pair.
* A heading before a colon is a verdict on the list behind it, on the lines below too.
* Words that describe a label stand in its group. Apart from one ("normal, mass", "normal with
  consolidation") they say that something was found, which no absence goes with; nor does a part of
  what is looked at ("this region is normal").
* A line behind a list that a heading denied may go on with it: "absent: A", then "B".
* A number of things is no grade: "lesions: 2", "zone 2", "2, lesions".

What fits none of this is not understood.
"""

from __future__ import annotations

from collections.abc import Sequence

from medreward.language.claims import (
    Claim,
    NotUnderstoodError,
    Rules,
    Stance,
    labels_that_are,
)
from medreward.language.segments import SIGNS, VERDICT, SegmentReader
from medreward.language.tokens import DESCRIBING, NAMES_ANSWER, NOT_READ, Token
from medreward.language.word_groups import WordGroup, groups_of, place_apart, place_of_thing

_SEGMENT_ENDS = frozenset(".?")
_ECHOES = frozenset("az")
# Marks that say something of what stands before them; with nothing there, they may deny.
_WITH_WORDS = ("?", "!")


def read_claims(tokens: Sequence[Token], rules: Rules) -> list[Claim]:
    """Return what tokens say of labels; shares are verdicts already (`read_certainty`).

    Raises:
        NotUnderstoodError: if they are none of the forms above.
    """
    if rules.counts:
        _check_counted(tokens)
    reader = _AnswerReader(rules)
    unread = NOT_READ | DESCRIBING if rules.is_plain else NOT_READ
    segment: list[Token] = []
    for token in tokens:
        if token.code in unread:
            raise NotUnderstoodError(token.place)
        if token.code in _SEGMENT_ENDS:
            if token.text in _WITH_WORDS and not segment:  # "? A", "! A"
                raise NotUnderstoodError(token.place)
            reader.read_segment(segment, token.code)
            segment = []
        else:
            segment.append(token)
    reader.read_segment(segment, "")
    reader.settle_question()
    numbers = [token.place for token in tokens if token.is_number_label]
    subject = reader.subject
    if subject is not None and any(subject < place for place in numbers):
        subject = None  # "DR grade: 0"
    found = [place for place in (reader.apart, subject) if place is not None]
    if found and labels_that_are(Stance.ASSERTED, reader.claims) & rules.absences:
        raise NotUnderstoodError(min(found))
    if reader.thing is not None and not rules.counts:  # "mass, A"; "2, lesions"
        raise NotUnderstoodError(reader.thing)
    if reader.apart is not None:  # "left lung: no A"
        return [
            claim._replace(stance=Stance.DOUBTED) if claim.stance is Stance.DENIED else claim
            for claim in reader.claims
        ]
    return reader.claims


def _check_counted(tokens: Sequence[Token]) -> None:
    """Refuse a word that narrows what is counted, unless the card has it: "2 new", "left: 2".

    Raises:
        NotUnderstoodError: if there is one.
    """
    for token in tokens:
        if token.narrows:
            raise NotUnderstoodError(token.place)


class _AnswerReader:
    """Reads segments one after the other.

    Attributes:
        claims: what was said so far.
        heading: the verdict of a heading that is still in force.
        asked: the labels of a question that the next segment may answer.
        says_no: whether "No" stood alone before what follows.
        denied_list: whether the last segment ended with a list that a heading denied.
        apart: the first word of those that describe something apart from any label; None: none do.
        thing: the same of those that name a thing, and are no heading.
        subject: the first word of what a label says "no" of, where nothing denies it: "0 with DR".
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.claims: list[Claim] = []
        self.heading: Stance | None = None
        self.asked: list[int] = []
        self.says_no = False
        self.denied_list = False
        self.apart: int | None = None
        self.thing: int | None = None
        self.subject: int | None = None

    def read_segment(self, tokens: list[Token], end: str) -> None:
        """Read a segment; `end` is the mark behind it."""
        self._note_apart(tokens)
        groups = [*groups_of(tokens, counts=self.rules.counts)]
        if not groups:
            if end == "?" and tokens:  # "A. Right?"
                raise NotUnderstoodError(tokens[0].place)
            self._check_affirmed(tokens)
            return
        if all(VERDICT.fullmatch(group.codes) for group in groups):
            if end == "?":  # "A? Yes?"
                raise NotUnderstoodError(groups[0].place)
            self._read_verdict(groups, tokens)
            return
        if tokens[-1].code == ":" and groups[-1].has_label:  # "Mass:", and nothing behind it
            raise NotUnderstoodError(tokens[-1].place)
        self.settle_question()
        reader = SegmentReader(groups, self.rules, self.heading, self.says_no)
        self.says_no = False
        reader.read()
        if self.subject is None:
            self.subject = reader.undenied
        names_answer = not NAMES_ANSWER.isdisjoint(token.code for token in tokens)
        if self.denied_list and reader.bare is not None and not names_answer:
            raise NotUnderstoodError(reader.bare)
        self.denied_list = reader.had_heading and reader.heading is Stance.DENIED
        self.heading = reader.heading if self.heading and not reader.had_heading else None
        if end == "?":
            self.asked = [claim.label for claim in reader.claims]
        else:
            self.claims += reader.claims
        self._check_affirmed(tokens)

    def _note_apart(self, tokens: Sequence[Token]) -> None:
        """Note the first words that describe or name something apart from labels."""
        if self.apart is None:
            self.apart = place_apart(tokens, counts=self.rules.counts)
        if self.thing is None:
            self.thing = place_of_thing(tokens)

    def _check_affirmed(self, tokens: Sequence[Token]) -> None:
        """Refuse "No, there is", which affirms what it denied."""
        labels = {claim.label for claim in self.claims}
        if labels == {self.rules.no_label} and _ends_in_clause(tokens):
            raise NotUnderstoodError(tokens[-1].place)

    def _read_verdict(self, groups: list[WordGroup], tokens: list[Token]) -> None:
        """Read a segment of nothing but a verdict: a heading, an answer to a question, or "No."."""
        if len(groups) > 1:
            raise NotUnderstoodError(groups[1].place)
        (group,) = groups
        sign = SIGNS[group.codes]
        if tokens[-1].code == ":":
            self.settle_question()
            self.heading = sign
        elif self.asked and group.has_subject and not _answers(tokens):
            raise NotUnderstoodError(group.place)  # "A? Mass present."
        elif self.asked:
            self.claims += [Claim(label, sign) for label in self.asked]
            self.asked = []
        elif sign is Stance.ASSERTED and not _answers(tokens):
            self.apart = group.place if self.apart is None else self.apart  # "A. Mass present."
        elif sign is Stance.ASSERTED or self._agrees(group):
            return
        elif group.codes == "n" and not self.claims:
            self.says_no = True
        else:
            raise NotUnderstoodError(group.place)

    def _agrees(self, group: WordGroup) -> bool:
        """Whether a verdict only bears out the answer no: "No. There is not."."""
        labels = {claim.label for claim in self.claims}
        return group.codes in _ECHOES and labels == {self.rules.no_label}

    def settle_question(self) -> None:
        """Leave open the labels of a question that nothing answers."""
        self.claims += [Claim(label, Stance.OPEN) for label in self.asked]
        self.asked = []


def _answers(tokens: Sequence[Token]) -> bool:
    """Whether nothing but a word for the answer stands beside a verdict: "answer: yes"."""
    return {token.code for token in tokens}.isdisjoint("mkuv")


def _ends_in_clause(tokens: Sequence[Token]) -> bool:
    """Whether a statement begins behind the last mark and nothing follows: "there is"."""
    last = next((token.code for token in reversed(tokens) if token.code not in "fFo"), "")
    return last == "i"
