"""What kinds of task have in common: what is asked of a kind in place of its name."""

from __future__ import annotations

from enum import Enum


class Trait(Enum):
    """A property of a kind of task, by which exploit families and checks choose."""

    NAMES_LABELS = "an answer names labels or grades of the card"
    ONE_ANSWER = "exactly one label or grade is right"
    ORDERED = "the labels are grades, in rising order"
    PLACES = "an answer is a place in the image"
    MAY_BE_EMPTY = "that there is nothing to find may be the right answer"
    PARTIAL_CREDIT = "an answer that is partly right earns a part of the reward"
