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

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import NamedTuple

from medreward.language.tokens import DENIED_IN, LABEL, NUMBER, SHARE, UNKNOWN, Token


class Stance(Enum):
    """How an answer stands to a label that it names."""

    ASSERTED = "asserted"
    DENIED = "denied"
    DOUBTED = "denied in part"  # "no left effusion", "effusion: 10%"
    OPEN = "left open"


class Claim(NamedTuple):
    """What an answer says of one label."""

    label: int
    stance: Stance


def labels_that_are(stance: Stance, claims: Iterable[Claim]) -> frozenset[int]:
    """Return the labels to which claims have a stance.

    >>> labels_that_are(Stance.DENIED, [Claim(0, Stance.DENIED), Claim(1, Stance.OPEN)])
    frozenset({0})
    """
    return frozenset(claim.label for claim in claims if claim.stance is stance)


class Stances(NamedTuple):
    """The labels by how an answer stands to them; one may be in several."""

    asserted: frozenset[int]
    denied: frozenset[int]
    doubted: frozenset[int]
    left_open: frozenset[int]


def stances_of(claims: Sequence[Claim]) -> Stances:
    """Return the labels to which claims have each stance.

    >>> stances_of([Claim(0, Stance.DENIED), Claim(1, Stance.OPEN)]).denied
    frozenset({0})
    """
    return Stances(*(labels_that_are(stance, claims) for stance in Stance))


class NotUnderstoodError(Exception):
    """What an answer says cannot be told; `place` is the word from which on."""

    def __init__(self, place: int) -> None:
        super().__init__(place)
        self.place = place


class Rules(NamedTuple):
    """What a task says of its labels.

    Attributes:
        absences: the labels that say that nothing was found.
        normal: those of them that say that all is normal, whatever else could be found.
        one_answer: whether one label is right.
        no_label: the label "no" of a task in which another one is "yes".
        is_plain: whether nothing may describe a label in the answer itself, as the letter of an
            option and the answer to an open question: "left B" is not B.
        may_explain: whether an explanation may stand behind an answer. Behind the answer to an open
            question it could name another one, which nothing would tell.
        counts: whether the numbers among the labels count what is seen, and are no grades.
    """

    absences: frozenset[int] = frozenset()
    one_answer: bool = False
    no_label: int | None = None
    is_plain: bool = False
    may_explain: bool = True
    normal: frozenset[int] = frozenset()
    counts: bool = False


_SIGNS = {
    "t": Stance.DENIED,
    "z": Stance.DENIED,
    "n": Stance.DENIED,
    "d": Stance.DENIED,
    "a": Stance.DENIED,
    "y": Stance.ASSERTED,
    "p": Stance.ASSERTED,
    "q": Stance.OPEN,
}
_SEGMENT_ENDS = frozenset(".?")
# Of shares: words that wait for one, what may stand in between, and verdicts that one bears out.
_WAITING, _ON_THE_WAY, _CERTAIN = frozenset("ch"), frozenset(":fFo"), frozenset("ph")
# Fields such as "present": their names, their values, and those values that say yes.
_FIELD_NAMES, _FIELD_VALUES, _POSITIVE = frozenset("pa"), frozenset("ynpa"), frozenset("yp")
_ECHOES, _TURNING_BACK, _CONTRASTING = frozenset("az"), frozenset("azt"), frozenset("tz")
_DENYING, _PLAIN, _BEFORE_COUNTED = frozenset("dt"), frozenset("ny"), frozenset("fmo")
_NOT_READ = frozenset((UNKNOWN, NUMBER, "e", "c", "h"))
_DESCRIBING = frozenset("mk")
# What a number may be of: "2 lesions", "image 2". It is no grade then.
_COUNTED = frozenset("kv")
_PARTS = frozenset("mu")
_NAMES_ANSWER = frozenset("Fi")
# Marks that say something of what stands before them; with nothing there, they may deny.
_WITH_WORDS = ("?", "!")
_JOINERS = frozenset(",:&|b")
_SILENT = frozenset("fFivou")
# Joins labels that stand side by side with nothing between them.
_BESIDE = "~"
# Verdict, labels, verdict; in a table without separators, one pair behind the other.
_GROUP = re.compile(r"(?P<before>[ntdyqpaz]?)(?P<labels>[LS]+)(?P<behind>[naypq]?)")
_VERDICT = re.compile(r"[naypqdtz]")
_BEHIND_TABLE = re.compile(r"(?:[LS]+[nayp]){2,}")
_BEFORE_TABLE = re.compile(r"(?:[nydtpa][LS]+){2,}")
_CONTRAST = re.compile(r"[LS]+(?:[dt][LS]+)+")  # "A rather than B"
_ENDS_PAIR = re.compile(r"[ap][LS]+")
_PAIRS = {
    _BEHIND_TABLE: re.compile(r"[LS]+[nayp]"),
    _BEFORE_TABLE: re.compile(r"[nydtpa][LS]+"),
    _CONTRAST: re.compile(r"[dt]?[LS]+"),
}
# Verdicts before and behind one label that agree: "no A seen", "yes, A present".
_AGREE = {"np": "n", "dp": "d", "tp": "t", "yp": "y", **{code: code for code in "ntdyqpaz"}, "": ""}


@dataclass
class WordGroup:
    """Tokens between two joiners, words that say nothing aside.

    Attributes:
        joiner: what stands before it: ``, : & | b``, or "" at the start of a segment.
        tokens: labels and verdicts.
        has_modifier: whether a modifier stands in it.
        has_carrier: whether a noun does that a label may describe: "benign lesion".
        has_part: whether a part of what is looked at is named in it.
        is_clause: whether it begins a claim: "it is A".
        place: the index of its first word.
    """

    joiner: str
    place: int
    tokens: list[Token] = field(default_factory=list)
    has_modifier: bool = False
    has_carrier: bool = False
    is_clause: bool = False
    has_part: bool = False

    @property
    def has_label(self) -> bool:
        """Whether it names a label."""
        return any(token.code == LABEL for token in self.tokens)

    @property
    def codes(self) -> str:
        """The codes of its tokens."""
        return "".join(token.code for token in self.tokens)


def read_claims(tokens: Sequence[Token], rules: Rules) -> list[Claim]:
    """Return what tokens say of labels; shares are verdicts already (`read_certainty`).

    Raises:
        NotUnderstoodError: if they are none of the forms above.
    """
    reader = _AnswerReader(rules)
    unread = _NOT_READ | _DESCRIBING if rules.is_plain else _NOT_READ
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
    numbers = [token.place for token in tokens if token.code == LABEL and token.text]
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


def read_certainty(tokens: Sequence[Token]) -> list[Token]:
    """Return tokens with shares as verdicts, and without how sure the model says it is.

    More than half is a positive verdict, less a negative one; half leaves a label open. The same
    holds of "confidence: 90%", which says nothing where it is more than half.
    """
    found: list[Token] = []
    last: int | None = None  # of a share, or of a word such as "confidence" that waits for one
    for token in tokens:
        waits = last is not None and found[last].code == "c"
        value = _share(token, found, waits)
        if value is not None:
            code = "q" if value == 0.5 else "p" if value > 0.5 else "a"
            if waits:
                found = _unjoined(found[:last])
                code = "f" if code == "p" else "q"
            found.append(token._replace(code=code))
            last = None if waits else len(found) - 1
        elif token.code == "c" and last is not None and not waits:  # "with 90% confidence"
            found[last] = found[last]._replace(code="f" if found[last].code in _CERTAIN else "q")
            found[:last] = _unjoined(found[:last])
            last = None
        else:
            found.append(token)
            if token.code in _WAITING:
                last = len(found) - 1
            elif token.code not in _ON_THE_WAY:
                last = None
    return _without_fields(found)


def _unjoined(tokens: list[Token]) -> list[Token]:
    """Return tokens with what joins them to the next one, as "with a" does, made silent."""
    for i in range(len(tokens) - 1, -1, -1):
        if tokens[i].code == "&":
            return [*tokens[:i], tokens[i]._replace(code="f"), *tokens[i + 1 :]]
        if tokens[i].code not in _SILENT:
            break
    return tokens


def _without_fields(tokens: Sequence[Token]) -> list[Token]:
    """Return tokens with `"present": true`, `"absent": false` and the like as one verdict."""
    found: list[Token] = []
    for token in tokens:
        codes = [one.code for one in found[-2:]]
        is_field = (
            len(codes) == 2 and codes[0] in _FIELD_NAMES and codes[1] == ":" and not found[-2].text
        )
        if is_field and token.code in _FIELD_VALUES:
            agrees = (codes[0] == "p") == (token.code in _POSITIVE)
            found[-2:] = [found[-2]._replace(code="p" if agrees else "a")]
        else:
            found.append(token)
    return found


def _share(token: Token, before: Sequence[Token], waits: bool) -> float | None:
    """Return the share that a token is, None if it is none; `waits`: one is waited for."""
    if token.code == SHARE:
        return token.share
    if token.code == "h" and waits:
        return 1.0
    if token.code != NUMBER:
        return None
    if waits:
        return token.share if token.share <= 1 else token.share / 100
    is_decimal = "." in token.text or token.text in ("0", "1")
    is_value = bool(before) and before[-1].code == ":" and is_decimal
    return token.share if is_value and 0 <= token.share <= 1 else None


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
        groups = [*_groups(tokens, counts=self.rules.counts)]
        if not groups:
            if end == "?" and tokens:  # "A. Right?"
                raise NotUnderstoodError(tokens[0].place)
            self._check_affirmed(tokens)
            return
        if all(_VERDICT.fullmatch(group.codes) for group in groups):
            if end == "?":  # "A? Yes?"
                raise NotUnderstoodError(groups[0].place)
            self._read_verdict(groups, tokens)
            return
        if tokens[-1].code == ":" and groups[-1].has_label:  # "Mass:", and nothing behind it
            raise NotUnderstoodError(tokens[-1].place)
        self.settle_question()
        reader = _SegmentReader(groups, self.rules, self.heading, self.says_no)
        self.says_no = False
        reader.read()
        if self.subject is None:
            self.subject = reader.undenied
        names_answer = not _NAMES_ANSWER.isdisjoint(token.code for token in tokens)
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
            self.apart = _place_apart(tokens, counts=self.rules.counts)
        if self.thing is None:
            self.thing = _place_of_thing(tokens)

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
        sign = _SIGNS[group.codes]
        if tokens[-1].code == ":":
            self.settle_question()
            self.heading = sign
        elif self.asked:
            self.claims += [Claim(label, sign) for label in self.asked]
            self.asked = []
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


def _ends_in_clause(tokens: Sequence[Token]) -> bool:
    """Whether a statement begins behind the last mark and nothing follows: "there is"."""
    last = next((token.code for token in reversed(tokens) if token.code not in "fFo"), "")
    return last == "i"


def _groups(tokens: Sequence[Token], *, counts: bool) -> Iterator[WordGroup]:
    """Yield the groups of a segment that hold a label or a verdict; `counts`: see `Rules`."""
    group = WordGroup("", tokens[0].place if tokens else 0)
    joiner = ""  # of the next group; joiners around a group of words that say nothing are one
    named = False  # whether the last group with a verdict or label has a label
    codes: set[str] = set()  # of the group so far
    numbers = _NumberReader(counts=counts)
    for token in tokens:
        if token.code in _JOINERS:
            if group.tokens:
                yield group
                joiner, named = "", group.has_label
            elif named and joiner == ":" and token.code == "," and token.text != "(":
                raise NotUnderstoodError(token.place)  # "A: , B: yes"
            is_aside = token.code == "|" and codes - _SILENT == {"m"}  # "viral or lobar A"
            joiner = joiner if is_aside else _stronger(joiner, token.code)
            group, codes = WordGroup(joiner, token.place, has_modifier=is_aside), set()
            numbers = numbers.behind(token.code)
            continue
        group.has_modifier |= "m" in (token.code, token.text)
        group.has_carrier |= token.code == "k" and not token.text
        group.is_clause |= token.code == "i"
        group.has_part |= token.code == "u"
        is_attribute = token.code == LABEL and "o" in codes and group.codes in ("p", "a")
        if is_attribute:  # "seen in A" is said of something else
            raise NotUnderstoodError(token.place)
        codes.add(token.code)
        numbers.read(token)
        if token.code not in _SILENT and token.code not in _DESCRIBING:
            group.tokens.append(token)
    if group.tokens:
        yield group
    elif group.joiner == "|" or (
        group.joiner in ("&", "b") and not (group.has_modifier or group.has_carrier)
    ):
        raise NotUnderstoodError(group.place)


def _parts(tokens: Sequence[Token]) -> Iterator[tuple[list[Token], str]]:
    """Yield the tokens between joiners, each with the joiner behind them, "" at the end."""
    part: list[Token] = []
    for token in tokens:
        if token.code in _JOINERS:
            yield part, token.code
            part = []
        else:
            part.append(token)
    yield part, ""


def _place_apart(tokens: Sequence[Token], *, counts: bool) -> int | None:
    """Return the first place of a part between joiners that describes and names nothing.

    A heading of a number names what is counted where numbers are counts: "lesions: 0".
    """
    counts = counts and any(token.code == LABEL and token.text for token in tokens)
    for part, joiner in _parts(tokens):
        codes = {one.code for one in part}
        is_heading = counts and joiner == ":"
        if codes & _DESCRIBING and codes <= _SILENT | _DESCRIBING and not is_heading:
            return part[0].place
    return None


def _place_of_thing(tokens: Sequence[Token]) -> int | None:
    """Return the first place of a part between joiners that names a thing alone: "mass, A".

    A heading names what the answer is of: "lesion: A".
    """
    for part, joiner in _parts(tokens):
        things = [one.place for one in part if one.code == "k" and not one.text]
        if things and joiner not in (":", "|") and {one.code for one in part} <= _SILENT | {"k"}:
            return things[0]
    return None


class _NumberReader:
    """Tells a number of things from a grade: "2 lesions", "image 2", "2 small lesions", "zone 2".

    Args:
        counts: whether numbers are counts, of which a heading says what they count.
    """

    def __init__(self, *, counts: bool, named: str = "") -> None:
        self.counts = counts
        self.last = ""
        self.named = named  # what was named, and no word for a grade behind it
        self.waits = False  # for the thing that the last number counts

    def behind(self, joiner: str) -> _NumberReader:
        """Return what reads the group behind a joiner."""
        return _NumberReader(counts=self.counts, named=self.named if joiner == ":" else "")

    def read(self, token: Token) -> None:
        """Take the next token of a group.

        Raises:
            NotUnderstoodError: if it makes a count.
        """
        code = NUMBER if token.code == LABEL and token.text else token.code
        is_counted = code in _COUNTED and self.waits
        if is_counted or (code == NUMBER and (self.last in _COUNTED or self.named)):
            raise NotUnderstoodError(token.place)
        self.waits = self.last != "F" if code == NUMBER else self.waits and code in _BEFORE_COUNTED
        self.last = code
        if code in _NAMES_ANSWER or code in (LABEL, NUMBER):
            self.named = ""
        elif token.text:  # a word of the card: "Mayo score 2"
            return
        elif code == "k" and self.counts:  # what is counted
            self.named = ""
        elif code in _COUNTED or (code in _PARTS and not self.counts):
            self.named = code


def _stronger(one: str, other: str) -> str:
    """Return the joiner that counts of two: "or" and "but" before colons, these before commas."""
    return min(one or other, other, key="|b:,&".index)


class _SegmentReader:
    """Reads the groups of one segment (see the rules above)."""

    def __init__(
        self,
        groups: list[WordGroup],
        rules: Rules,
        heading: Stance | None,
        says_no: bool,
    ) -> None:
        self.groups = [*_without_tables(groups)]
        self.rules = rules
        self.heading = heading
        self.had_heading = False
        self.says_no = says_no
        self.claims: list[Claim] = []
        self._run: list[int] = []  # labels that the next verdict may be about
        self._is_alternative = False
        self._denied: list[int] | None = None  # labels in a list that a denial began
        self._contrasting: tuple[str, ...] = ()  # joiners behind which a denial does not reach
        self._is_joined = False  # whether "and" joins the labels of the run
        self._described: set[int] = set()  # labels beside which a modifier stands
        self.bare: int | None = None  # where the first label stands that nothing is said of
        self._subject: int | None = None  # the label that a "no" behind it would name
        self.undenied: int | None = None  # where the subject stands, if nothing denies it

    def read(self) -> None:
        """Read all groups.

        Raises:
            NotUnderstoodError: if one is in none of the forms.
        """
        for i, group in enumerate(self.groups):
            following = self.groups[i + 1].joiner if i + 1 < len(self.groups) else ""
            if _VERDICT.fullmatch(group.codes):
                self._read_verdict(group, following, is_first=i == 0)
                continue
            found = _GROUP.fullmatch(group.codes)
            if found is None:
                raise NotUnderstoodError(group.place)
            if group.joiner == "|" and not self._run:
                self._open_last()
            if group.has_modifier or group.has_part:
                self._described |= {t.label for t in group.tokens if t.code in (LABEL, DENIED_IN)}
            self._read_group(group, found, following)
            if self._subject is not None and not group.has_label:
                self.undenied = None if following == ":" else group.place  # "DR: none"
        if self._subject is None:
            self.undenied = None
        self._end_run()
        self._end_denial(Stance.OPEN)

    def _open_last(self) -> None:
        """Leave open what was asserted before an "or": "A: present or B: present"."""
        if self.claims and self.claims[-1].stance is Stance.ASSERTED:
            self.claims[-1] = self.claims[-1]._replace(stance=Stance.OPEN)

    def _read_verdict(self, group: WordGroup, following: str, *, is_first: bool) -> None:
        sign = _sign_of(group.codes, group)
        agrees = group.codes in _TURNING_BACK and group.joiner == ","
        if agrees and self._run == [self.rules.no_label]:
            return  # "No, there is not"
        if (
            (group.has_modifier or group.has_carrier)
            and sign is Stance.DENIED
            and group.codes != "a"
        ):
            raise NotUnderstoodError(group.place)  # "no opacity"
        if following == ":":
            is_behind = group.joiner == "," and sign in (Stance.DENIED, Stance.DOUBTED)
            if self._run and (is_behind or group.joiner == ":"):  # "A: absent: B", "A, absent: B"
                raise NotUnderstoodError(group.place)
            self._end_run()
            self._end_denial(Stance.OPEN)
            self.heading, self.had_heading = sign, True
        elif self._run and group.codes not in _DENYING:
            self._judge_run(sign, is_share=bool(group.tokens[0].text))
        elif self._subject is not None and sign is Stance.DENIED:
            self._check_whole(self._subject, group)
            self._state(self._subject, Stance.ASSERTED, group)
            self._subject = None
        elif is_first and group.codes in _PLAIN:
            self.says_no = group.codes == "n"
        elif is_first and group.codes == "q":
            self.heading, self.had_heading = sign, True
        else:
            raise NotUnderstoodError(group.place)

    def _read_group(self, group: WordGroup, found: re.Match[str], following: str) -> None:
        labels = {t.label for t in group.tokens if t.code == LABEL}
        denied_in = {t.label for t in group.tokens if t.code == DENIED_IN}
        verdict = _AGREE.get(found["before"] + found["behind"])
        is_both = bool(labels & denied_in & self.rules.normal) and not verdict  # "normal tumor"
        if verdict is None or len(labels) > 1 or is_both:
            raise NotUnderstoodError(group.place)
        if not labels:
            self._read_denied_in(group, verdict, denied_in)
            return
        (label,) = labels
        if not verdict:
            self._read_bare(group, label, following)
            return
        self._check_heading(group)
        sign = _sign_of(verdict, group)
        if found["behind"] and not found["before"]:
            self._is_joined |= group.joiner == "&"
            self._run.append(label)
            self._judge_run(sign)
            return
        if group.joiner == ":" and self._run == [label]:
            self._run.clear()  # a heading, and the verdict under it
        self._end_run(joiner=group.joiner)
        self._end_denial(Stance.OPEN)
        self._state(label, sign, group)
        self._denied = [] if sign is Stance.DENIED and not found["behind"] else None
        is_contrast = self.rules.one_answer and verdict in _CONTRASTING and following == ","
        self._contrasting = ("b", ":", ",") if is_contrast else ("b", ":")

    def _read_denied_in(self, group: WordGroup, verdict: str, labels: set[int]) -> None:
        """Read "no DR", "DR: none" where this is a form of a label; "DR" alone says nothing."""
        if not verdict:
            self._subject = min(labels)
            return
        if len(labels) > 1 or _sign_of(verdict, group) is not Stance.DENIED:
            raise NotUnderstoodError(group.place)
        (label,) = labels
        self._check_whole(label, group)
        self._end_run(joiner=group.joiner)
        self._end_denial(Stance.OPEN)
        self._state(label, Stance.ASSERTED, group)

    def _check_whole(self, label: int, group: WordGroup) -> None:
        """Refuse a form such as "no DR" of which only a part is denied: "no left DR"."""
        if label in self._described:
            raise NotUnderstoodError(group.place)

    def _read_bare(self, group: WordGroup, label: int, following: str) -> None:
        """Read a label without a verdict of its own."""
        joiner, is_absence = group.joiner, label in self.rules.absences
        if self.heading is not None:
            self._state(label, self.heading, group)
        elif self.says_no and not group.is_clause:
            self._state(label, Stance.ASSERTED if is_absence else Stance.OPEN, group)
        elif self._is_denied_too(joiner, is_absence):
            self._denied = [*(self._denied or ()), label]
            if joiner == "|":
                self._end_denial(Stance.DENIED, goes_on=True)
        else:
            self._end_denial(Stance.OPEN)
            if joiner == ":" and self._run == [label]:
                self._run.clear()  # a heading, and what stands under it
            self._is_alternative |= joiner == "|" and self._run != [label]
            self._is_joined |= joiner == "&"
            self.bare = group.place if self.bare is None else self.bare
            self._check_absence(label, group)
            self._run.append(label)

    def _is_denied_too(self, joiner: str, is_absence: bool) -> bool:
        """Whether a label goes on a list that a denial began."""
        if self._denied is None or joiner in self._contrasting:
            return False
        return joiner == "|" or not is_absence

    def _check_heading(self, group: WordGroup) -> None:
        """Refuse a verdict under a heading, which has one already."""
        if self.heading is not None:
            raise NotUnderstoodError(group.place)

    def _judge_run(self, sign: Stance, *, is_share: bool = False) -> None:
        """Give the labels before a verdict that verdict, an absence before another one aside."""
        has_own = len(self._run) == 2 and not (is_share or self._is_alternative or self._is_joined)
        if self._is_alternative and sign is Stance.ASSERTED:
            sign = Stance.OPEN  # "A or B is present" does not say which
        for i, label in enumerate(self._run):
            is_own = has_own and i == 0 and label in self.rules.absences and label != self._run[1]
            self._claim(label, Stance.ASSERTED if is_own else sign)
        self._run.clear()
        self._is_alternative = self._is_joined = False

    def _claim(self, label: int, stance: Stance) -> None:
        """Note what is said of a label; with a modifier beside it, it is denied in part alone."""
        in_part = stance is Stance.DENIED and label in self._described
        self.claims.append(Claim(label, Stance.DOUBTED if in_part else stance))

    def _end_run(self, joiner: str = "") -> None:
        """Assert the labels that no verdict followed, or leave them open where "or" joins them."""
        is_open = self._is_alternative or joiner == "|"
        sign = Stance.OPEN if is_open else Stance.ASSERTED
        self.claims += [Claim(label, sign) for label in self._run]
        self._run.clear()
        self._is_alternative = self._is_joined = False

    def _end_denial(self, sign: Stance, *, goes_on: bool = False) -> None:
        """End a list that a denial began: `sign` is the stance to its labels but the first."""
        if self._denied is not None:
            for label in self._denied:
                self._claim(label, sign)
            self._denied = [] if goes_on else None

    def _state(self, label: int, stance: Stance, group: WordGroup) -> None:
        if stance is Stance.ASSERTED:
            self._check_absence(label, group)
        self._claim(label, stance)

    def _check_absence(self, label: int, group: WordGroup) -> None:
        """Refuse "normal" of a part or thing: of "the left lung", "this region" or "a mass"."""
        is_carried = group.has_carrier and label not in self.rules.normal
        is_part = group.has_modifier or group.has_part or group.has_carrier
        is_absence = label in self.rules.absences and not self.rules.counts
        if is_absence and is_part and not is_carried:
            raise NotUnderstoodError(group.place)


def _sign_of(code: str, group: WordGroup) -> Stance:
    """Return the stance of a verdict; a share below one half denies in part, unless it is 0."""
    sign = _SIGNS[code]
    is_share = any(token.code == "a" and token.share for token in group.tokens)
    return Stance.DOUBTED if sign is Stance.DENIED and is_share else sign


def _without_tables(groups: Sequence[WordGroup]) -> Iterator[WordGroup]:
    """Yield groups, the pairs of a table as groups of their own."""
    codes = [group.codes for group in groups]
    labels = {LABEL, DENIED_IN}
    if len(groups) >= 4 and len(groups) % 2 == 0:
        verdicts = all(code in ("n", "y", "a", "p") for code in codes[::2])
        is_table = all(group.joiner in (",", ":") for group in groups[1::2])
        named = all(set(code) <= labels for code in codes[1::2])
        if verdicts and is_table and named:  # "no, A, yes, B"
            yield from (_joined(*groups[i : i + 2]) for i in range(0, len(groups), 2))
            return
    inner = codes[1:-1]
    is_open = bool(inner) and set(codes[0]) <= labels and codes[-1] in ("a", "p")
    if is_open and all(_ENDS_PAIR.fullmatch(code) for code in inner):  # "A) false B) true"
        tokens = [token for group in groups for token in group.tokens]
        yield from _split_table(WordGroup(groups[0].joiner, groups[0].place, tokens))
        return
    for group in groups:
        yield from _split_table(group)


def _joined(verdict: WordGroup, labels: WordGroup) -> WordGroup:
    """Return a verdict and the labels behind it as one group."""
    return WordGroup(
        verdict.joiner and ",",
        verdict.place,
        [*verdict.tokens, *labels.tokens],
        verdict.has_modifier or labels.has_modifier,
        verdict.has_carrier or labels.has_carrier,
        has_part=verdict.has_part or labels.has_part,
    )


def _split_table(group: WordGroup) -> Iterator[WordGroup]:
    codes = group.codes
    for table, pair in _PAIRS.items():
        if table.fullmatch(codes):
            for i, found in enumerate(pair.finditer(codes)):
                tokens = group.tokens[found.start() : found.end()]
                joiner = "," if i else group.joiner
                yield replace(
                    group, joiner=joiner, place=tokens[0].place, tokens=tokens, is_clause=False
                )
            return
    yield from _split_labels(group)


def _split_labels(group: WordGroup) -> Iterator[WordGroup]:
    """Yield a group, or one for each of the labels that stand side by side in it."""
    start = 0
    for i in range(1, len(group.tokens)):
        one, other = group.tokens[i - 1], group.tokens[i]
        if one.code == other.code == LABEL and one.label != other.label:
            yield _slice(group, start, i)
            start = i
    yield _slice(group, start, len(group.tokens)) if start else group


def _slice(group: WordGroup, start: int, stop: int) -> WordGroup:
    joiner = _BESIDE if start else group.joiner
    return replace(group, joiner=joiner, tokens=group.tokens[start:stop], is_clause=False)
