"""What kinds of task have in common: what is asked of a kind in place of its name.

An exploit family never names a kind. It names the traits that an answer must have for its attacks
to make sense, so that a new kind is attacked by all families that fit it from its first day.
"""

from __future__ import annotations

from enum import Enum


class Trait(Enum):
    """One property of the answers to a kind of task."""

    NAMES_LABELS = "an answer names labels or grades of the card"
    ONE_ANSWER = "exactly one label is asked for, so that two of them are a hedge"
    ORDERED = "the answers are grades on a scale, which are written as numbers"
    PLACES = "an answer says where something is in the image"
    BOXES = "places are a list of boxes, each with two corners"
    SERIES = "an answer says in which of several images something is"
    POINTS = "places are a list of points, each with two coordinates"
    PIXELS = "the place is one set of pixels: run lengths or polygons"
    MAY_BE_EMPTY = "an answer may say that there is nothing"
    OPTIONS = "the row gives options, each with a letter, one or more of which are right"
    OPEN = "the row says which answers are accepted, and the prompt does not"
    NUMBER = "the answer is one number, perhaps with a unit"
    FIELDS = "the answer has several named fields, each of a kind of its own"
    MEASURED = "an answer is prose, measured against a reference and not understood"
    SIGNED = "an answer says of findings that they are present, absent or uncertain"
    PARTIAL_CREDIT = "an answer that is only nearly right earns a part of the reward"
