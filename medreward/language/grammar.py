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
from medreward.language.segments import VERDICT, SegmentReader, sign_of
from medreward.language.tokens import DESCRIBING, NAMES_ANSWER, NOT_READ, Sense, Token
from medreward.language.word_groups import WordGroup, groups_of, place_apart, place_of_thing

_SEGMENT_ENDS = frozenset(".?")
_OF_THINGS = frozenset((Sense.ASPECT, Sense.MEASURE, Sense.TALLY))
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
    reader.end()
    numbers = [token.place for token in tokens if token.is_number_label]
    subject = reader.subject
    if subject is not None and any(subject < place for place in numbers):
        subject = None  # "DR grade: 0"
    found = [place for place in (reader.apart, subject) if place is not None]
    if found and labels_that_are(Stance.ASSERTED, reader.claims) & rules.absences:
        raise NotUnderstoodError(min(found))
    if reader.thing is not None and not rules.counts:  # "mass, A"; "2, lesions"
        raise NotUnderstoodError(reader.thing)
    if reader.apart is not None or subject is not None:  # "left lung: no A"; "no A, but a finding"
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
        headings: the headings so far, and where they stand.
        asked: what a question says, which the next segment may answer.
        asked_in_part: the labels that it asks of in part: "left effusion?".
        says_no: whether "No" stood alone before what follows.
        denied_list: whether the last segment ended with a list that a heading denied.
        apart: the first word of those that describe something apart from any label; None: none do.
        thing: the same of those that name a thing, and are no heading.
        subject: the first word of what a label says "no" of, where nothing denies it: "0 with DR".
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.claims: list[Claim] = []
        self.headings: dict[str, int] = {}
        self.heading: Stance | None = None
        self.asked: list[Claim] = []
        self.asked_in_part: frozenset[int] = frozenset()
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
        _check_ends(tokens, groups[-1])
        self.settle_question()
        last = self.claims[-1].stance if self.claims else None
        after_denial = last in (Stance.DENIED, Stance.DOUBTED)
        reader = SegmentReader(
            groups, self.rules, self.heading, self.says_no, after_denial=after_denial
        )
        self.says_no = False
        reader.read()
        if self.subject is None:
            self.subject = reader.undenied
        names_answer = not NAMES_ANSWER.isdisjoint(token.code for token in tokens)
        if self.denied_list and reader.bare is not None and not names_answer:
            raise NotUnderstoodError(reader.bare)
        self.headings = {**reader.headings, **self.headings}
        self.denied_list = reader.had_heading and reader.heading is Stance.DENIED
        self.heading = reader.heading if self.heading and not reader.had_heading else None
        if end == "?":
            stances = {claim.stance for claim in reader.claims}
            if len(stances) > 1 or 0 < reader.bare_at_end < len(reader.claims):  # "No A, but B?"
                raise NotUnderstoodError(groups[-1].place)
            self.asked, self.asked_in_part = reader.claims, frozenset(reader.described)
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
        if self._is_no() and _ends_in_clause(tokens):
            raise NotUnderstoodError(tokens[-1].place)

    def _read_verdict(self, groups: list[WordGroup], tokens: list[Token]) -> None:
        """Read a segment of nothing but a verdict: a heading, an answer to a question, or "No."."""
        if len(groups) > 1:
            raise NotUnderstoodError(groups[1].place)
        (group,) = groups
        sign = sign_of(group.codes, group)
        if tokens[-1].code == ":":
            self.settle_question()
            self.heading = sign
            self.headings.setdefault(group.codes, group.place)
        elif self.asked and not _answers(tokens):
            raise NotUnderstoodError(group.place)  # "A? Mass present.", "A? Not on the left."
        elif self.asked:
            self.claims += [self._answered(claim, sign, group.place) for claim in self.asked]
            self.asked = []
        elif sign is Stance.ASSERTED and self._is_no():
            raise NotUnderstoodError(group.place)  # "No. It is present."
        elif sign is Stance.ASSERTED and not _answers(tokens):
            self.apart = group.place if self.apart is None else self.apart  # "A. Mass present."
        elif sign is Stance.ASSERTED or self._agrees(group):
            return
        elif group.codes == "n" and not self.claims:
            self.says_no = True
        else:
            raise NotUnderstoodError(group.place)

    def _answered(self, claim: Claim, sign: Stance, place: int) -> Claim:
        """Return what a verdict on a question says: "A absent? Yes." denies A."""
        if sign is Stance.ASSERTED:
            return claim
        if sign is Stance.OPEN:
            return claim._replace(stance=sign)
        if claim.stance is not Stance.ASSERTED:  # "A absent? No."
            raise NotUnderstoodError(place)
        is_in_part = claim.label in self.asked_in_part
        return claim._replace(stance=Stance.DOUBTED if is_in_part else sign)

    def _agrees(self, group: WordGroup) -> bool:
        """Whether a verdict only bears out the answer no: "No. There is not."."""
        return group.codes in _ECHOES and self._is_no()

    def _is_no(self) -> bool:
        """Whether nothing was said so far but the label "no"."""
        return {claim.label for claim in self.claims} == {self.rules.no_label}

    def end(self) -> None:
        """Leave open what nothing answers, and refuse "No: A" without a "Yes:" beside it.

        It may be no A, and A instead; beside "Yes: B" it is a list of what is not there.
        """
        self.settle_question()
        if "n" in self.headings and "y" not in self.headings:
            raise NotUnderstoodError(self.headings["n"])

    def settle_question(self) -> None:
        """Leave open the labels of a question that nothing answers."""
        self.claims += [claim._replace(stance=Stance.OPEN) for claim in self.asked]
        self.asked = []


def _check_ends(tokens: Sequence[Token], last: WordGroup) -> None:
    """Refuse "Mass:" with nothing behind it, and "is A present", a question without its mark.

    Raises:
        NotUnderstoodError: if it is one of them.
    """
    if tokens[-1].code == ":" and last.has_label:
        raise NotUnderstoodError(tokens[-1].place)
    if tokens[0].sense is Sense.COPULA and "p" in last.codes:
        raise NotUnderstoodError(tokens[0].place)


def _answers(tokens: Sequence[Token]) -> bool:
    """Whether nothing but a word for the answer stands beside a verdict: "answer: yes"."""
    return not any(token.code in "mkuv" or token.sense in _OF_THINGS for token in tokens)


def _ends_in_clause(tokens: Sequence[Token]) -> bool:
    """Whether a statement begins behind the last mark and nothing follows: "there is"."""
    last = next((token.code for token in reversed(tokens) if token.code not in "fFo"), "")
    return last == "i"
