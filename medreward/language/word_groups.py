"""The groups of a segment: labels and verdicts between joiners, and what stands beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from medreward.language.claims import NotUnderstoodError
from medreward.language.tokens import (
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
_BEFORE_COUNTED = frozenset("fmo")


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


def groups_of(tokens: Sequence[Token], *, counts: bool) -> Iterator[WordGroup]:
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
            is_aside = token.code == "|" and codes - SILENT == {"m"}  # "viral or lobar A"
            joiner = joiner if is_aside else _stronger(joiner, token.code)
            group, codes = WordGroup(joiner, token.place, has_modifier=is_aside), set()
            numbers = numbers.behind(token.code)
            continue
        group.has_modifier |= token.code == "m" or token.sense is Sense.IN_LABEL
        group.has_carrier |= _is_thing(token)
        group.is_clause |= token.code == "i"
        group.has_part |= token.code == "u"
        is_attribute = token.code == LABEL and "o" in codes and group.codes in ("p", "a")
        if is_attribute:  # "seen in A" is said of something else
            raise NotUnderstoodError(token.place)
        codes.add(token.code)
        numbers.read(token)
        if token.code not in SILENT and token.code not in DESCRIBING:
            group.tokens.append(token)
    if group.tokens:
        yield group
    elif group.joiner == "|" or (
        group.joiner in ("&", "b") and not (group.has_modifier or group.has_carrier)
    ):
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
