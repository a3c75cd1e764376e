"""What an answer says of labels, and what a task says of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import NamedTuple


class Stance(Enum):
    """How an answer stands to a label that it names."""

    ASSERTED = "asserted"
    DENIED = "denied"
    DOUBTED = "denied in part"  # "no left effusion", "effusion: 10%"
    OPEN = "left open"
    UNDECIDED = "not told"  # "no effusion with edema" may deny both


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
    """The labels by how an answer stands to them; one may be in several.

    Attributes:
        left_open: those that the answer leaves open, and those of which it cannot be told.
    """

    asserted: frozenset[int]
    denied: frozenset[int]
    doubted: frozenset[int]
    left_open: frozenset[int]


def stances_of(claims: Sequence[Claim]) -> Stances:
    """Return the labels to which claims have each stance.

    >>> stances_of([Claim(0, Stance.DENIED), Claim(1, Stance.OPEN)]).denied
    frozenset({0})
    """
    asserted, denied, doubted, left_open, undecided = (
        labels_that_are(stance, claims) for stance in Stance
    )
    return Stances(asserted, denied, doubted, left_open | undecided)


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
        nothing: the absences that say that nothing was found, not even what is harmless.
        counts: whether the numbers among the labels count what is seen, and are no grades.
    """

    absences: frozenset[int] = frozenset()
    one_answer: bool = False
    no_label: int | None = None
    is_plain: bool = False
    may_explain: bool = True
    normal: frozenset[int] = frozenset()
    counts: bool = False
    nothing: frozenset[int] = frozenset()
