"""The groups of a segment: labels and verdicts between joiners, and what stands beside them."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field

from medreward.language.claims import NotUnderstoodError
from medreward.language.tokens import (
    DENIALS,
    DENIED_IN,
    DESCRIBING,
    LABEL,
    NAMES_ANSWER,
    NUMBER,
    SILENT,
    Sense,
    Token,
)

_JOINERS = frozenset(",:&|b")
# What a number may be of: "2 lesions", "image 2". It is no grade then.
_COUNTED = frozenset("kv")
_PARTS = frozenset("mu")
_LIKENING = (Sense.LIKENESS, Sense.RESEMBLES)
# What denies what stands behind it, and says that what stands before it was found.
_PARTS_FROM = frozenset("d")
_BEFORE_COUNTED = frozenset("fmo")
# What a verdict may be on, and verdicts that stand alone.
_SUBJECTS, _ALONE, _BEFORE_SUBJECT = frozenset("mkuvF"), frozenset("apny"), frozenset("ndt")
_ALONE_BEFORE = frozenset("pa")


@dataclass
class WordGroup:
    """Tokens between two joiners, words that say nothing aside.

    Attributes:
        joiner: what stands before it: ``, : & | b``, or "" at the start of a segment.
        tokens: labels and verdicts.
        has_modifier: whether a modifier stands in it.
        has_carrier: whether a noun does that a label may describe: "benign lesion".
        has_measure: whether it is of a measure: "normal in size", "size: normal".
        is_looked_for: whether its label is what an examination is for: "A study".
        has_finding: whether what is not the label was found: "the mass is not A".
        has_part: whether a part of what is looked at is named in it.
        is_clause: whether it begins a claim: "it is A".
        is_added: whether "and" stands before it, perhaps behind a comma.
        is_under: whether a colon, and no dash, stands before it.
        has_subject: whether it is a verdict on something that it names, or that the part before a
            colon does: "opacity absent", "severity: none".
        place: the index of its first word.
    """

    joiner: str
    place: int
    tokens: list[Token] = field(default_factory=list)
    has_modifier: bool = False
    has_carrier: bool = False
    is_clause: bool = False
    has_part: bool = False
    has_finding: bool = False
    has_measure: bool = False
    is_looked_for: bool = False
    has_subject: bool = False
    is_under: bool = False
    is_added: bool = False

    @property
    def has_label(self) -> bool:
        """Whether it names a label."""
        return any(token.code == LABEL for token in self.tokens)

    def is_alone(self, codes: Container[str]) -> bool:
        """Whether it has one token so far, of one of these codes."""
        return len(self.tokens) == 1 and self.tokens[0].code in codes

    @property
    def codes(self) -> str:
        """The codes of its tokens."""
        return "".join(token.code for token in self.tokens)


def groups_of(tokens: Sequence[Token], *, counts: bool) -> Iterator[WordGroup]:
    """Yield the groups of a segment that hold a label or a verdict; `counts`: see `Rules`."""
    reader = _GroupReader(tokens[0].place if tokens else 0, counts=counts)
    for token in tokens:
        if token.code in _JOINERS:
            if reader.group.tokens:
                yield reader.group
            reader.join(token)
        else:
            reader.read(token)
    if reader.group.tokens:
        yield reader.group
    else:
        reader.check_end()


class _GroupReader:
    """Reads the groups of a segment one after the other; `group` is the one that is being read."""

    def __init__(self, place: int, *, counts: bool) -> None:
        self.group = WordGroup("", place)
        self._codes: set[str] = set()  # of the group so far
        self._joiner = ""  # joiners around a group of words that say nothing are one
        self._is_label_named = False  # in the last group with a verdict or label
        self._is_heading = False  # whether what stood before the last colon named something
        self._is_emphasis = self._is_shown_in = False  # the last token; a preposition behind one
        self._is_likeness = self._is_label = False  # the last token
        self._has_label = False  # whether the group has one
        self._is_measured = False  # whether what stood before the last colon was a measure
        self._denies_thing = False  # whether a denial is of another thing than a label
        self._numbers = _NumberReader(counts=counts)

    def join(self, token: Token) -> None:
        """Begin a group behind a joiner.

        Raises:
            NotUnderstoodError: if the one before should not have been empty: "A: , B: yes".
        """
        if self.group.tokens:
            self._joiner, self._is_label_named = "", self.group.has_label
        elif (
            self._is_label_named and (self._joiner, token.code) == (":", ",") and token.text != "("
        ):
            raise NotUnderstoodError(token.place)
        is_named = not self.group.tokens and not self._codes.isdisjoint(_SUBJECTS)
        self._is_heading = token.code == ":" and is_named
        self._is_measured = token.code == ":" and not self.group.tokens and self.group.has_measure
        is_aside = token.code == "|" and self._codes - SILENT == {"m"}  # "viral or lobar A"
        self._joiner = self._joiner if is_aside else _stronger(self._joiner, token.code)
        self.group = WordGroup(
            self._joiner,
            token.place,
            has_modifier=is_aside,
            is_under=token.code == ":" and token.text == ":",
            is_added=token.code == "&" or (not self.group.tokens and self.group.is_added),
        )
        self._codes = set()
        self._is_emphasis = self._is_shown_in = self._is_likeness = self._denies_thing = False
        self._is_label = self._has_label = False
        self._numbers = self._numbers.behind(token.code)

    def read(self, token: Token) -> None:
        """Take the next token of a group.

        Raises:
            NotUnderstoodError: if it makes the group one that says something else.
        """
        self._check(token)
        self._note(token)
        self._numbers.read(token)
        if token.code not in SILENT and token.code not in DESCRIBING:
            self.group.tokens.append(token)

    def _check(self, token: Token) -> None:
        """Refuse a token that makes the group one that says something else."""
        group, codes = self.group, self._codes
        is_attribute = "o" in codes and group.is_alone(_ALONE_BEFORE)  # "seen in A"
        last = group.tokens[-1] if group.tokens else None
        ends_verb = last is not None and last.sense is Sense.PARTICLE
        is_of_other = self._is_shown_in or is_attribute or ends_verb
        after_denial = last is not None and last.code in DENIALS
        is_wrong = (
            (token.code == LABEL and is_of_other)
            or (token.code in (LABEL, DENIED_IN) and self._denies_thing)  # "no change in A"
            or (_is_thing(token) and after_denial and self._has_label)  # "A no change"
            # "a mass without A"
            or (token.code in _PARTS_FROM and group.has_carrier and not group.tokens)
            # "not clearly A", "not typical of A"
            or (token.is_emphasis and not codes.isdisjoint(DENIALS))
            # "only looks like A", "a mass that looks like A"
            or (token.sense in _LIKENING and self._is_likeness)
            or (token.sense is Sense.RESEMBLES and group.has_carrier)
        )
        if is_wrong:
            raise NotUnderstoodError(token.place)

    def _note(self, token: Token) -> None:
        """Note what a token says of its group."""
        group, codes = self.group, self._codes
        if not group.tokens:
            group.has_finding |= group.has_carrier and token.code in DENIALS  # "the mass is not A"
            if token.code in _ALONE:
                group.has_subject = self._is_heading or not codes.isdisjoint(_SUBJECTS)
        denies = group.is_alone(_BEFORE_SUBJECT)
        after_denial = bool(group.tokens) and group.tokens[-1].code in DENIALS
        is_of = token.code == "o" and group.has_subject and denies
        # "no mass …", "no image of …"
        self._denies_thing |= is_of or (_is_thing(token) and after_denial)
        self._is_shown_in = token.code == "o" and self._is_emphasis
        self._is_emphasis = token.is_emphasis
        self._is_likeness = token.sense in _LIKENING
        group.is_looked_for |= token.sense is Sense.EXAMINATION and self._is_label
        self._is_label = token.code == LABEL
        self._has_label |= self._is_label
        group.has_modifier |= token.code == "m" or token.sense is Sense.IN_LABEL
        group.has_carrier |= _is_thing(token)
        group.is_clause |= token.code == "i"
        group.has_part |= token.code == "u"
        group.has_measure |= self._is_measured or token.sense is Sense.MEASURE
        judges = group.is_alone("a") and group.tokens[0].sense is Sense.JUDGEMENT
        if (judges or denies) and token.code in _SUBJECTS and "o" not in codes:
            group.has_subject = True  # "no location", "wrong image"
        codes.add(token.code)

    def check_end(self) -> None:
        """Refuse a last group that should not be empty: "A or"."""
        group = self.group
        is_described = group.has_modifier or group.has_carrier
        if group.joiner == "|" or (group.joiner in ("&", "b") and not is_described):
            raise NotUnderstoodError(group.place)


def _is_thing(token: Token) -> bool:
    return token.code == "k" and token.sense is not Sense.IN_LABEL


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


def place_apart(tokens: Sequence[Token], *, counts: bool) -> int | None:
    """Return the first place of a part between joiners that describes and names nothing.

    A heading of a number names what is counted where numbers are counts: "lesions: 0".
    """
    counts = counts and any(token.is_number_label for token in tokens)
    for part, joiner in _parts(tokens):
        codes = {one.code for one in part}
        is_heading = counts and joiner == ":"
        if codes & DESCRIBING and codes <= SILENT | DESCRIBING and not is_heading:
            return part[0].place
    return None


def place_of_thing(tokens: Sequence[Token]) -> int | None:
    """Return the first place of a part between joiners that names a thing alone: "mass, A".

    A heading names what the answer is of: "lesion: A".
    """
    for part, joiner in _parts(tokens):
        things = [one.place for one in part if _is_thing(one)]
        if things and joiner not in (":", "|") and {one.code for one in part} <= SILENT | {"k"}:
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
        code = NUMBER if token.is_number_label else token.code
        is_tally = token.sense is Sense.TALLY and not self.counts
        if is_tally or token.sense in (Sense.MEASURE, Sense.ASPECT):
            code = "v"  # "size: 2", "2 findings"
        is_counted = code in _COUNTED and self.waits
        if is_counted or (code == NUMBER and (self.last in _COUNTED or self.named)):
            raise NotUnderstoodError(token.place)
        self.waits = self.last != "F" if code == NUMBER else self.waits and code in _BEFORE_COUNTED
        self.last = code
        if code in NAMES_ANSWER or code in (LABEL, NUMBER):
            self.named = ""
        elif token.sense in (Sense.OWN, Sense.IN_LABEL):  # "Mayo score 2"
            return
        elif code == "k" and self.counts:  # what is counted
            self.named = ""
        elif code in _COUNTED or (code in _PARTS and not self.counts):
            self.named = code


def _stronger(one: str, other: str) -> str:
    """Return the joiner that counts of two: "or" and "but" before colons, these before commas."""
    return min(one or other, other, key="|b:,&".index)
