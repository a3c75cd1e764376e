r"""What the shape of completions says: whether they were cut off, and which format they have.

A trace has no end token where the trainer decodes without special tokens, and lengths in characters
only. So a completion counts as cut off where it ends inside its reasoning or its answer; where it
has no tags at all, where it ends in the middle of a sentence and the others do so after about as
many characters.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from medreward.text.formats.by_rewriting import END_TOKENS
from medreward.text.formats.registry import format_names, format_of
from medreward.text.reasons import FORMAT_REASONS

# Formats in which any text can be read say nothing about what a policy writes.
_NOT_TRIED = ("answer_only",)
_LONG = 200  # characters from which a text without tags may be one that was cut off
_LIKE_LENGTHS = 0.15  # standard deviation over mean of the lengths of texts that a limit cut
_MOST_TEXT = 20_000


@dataclass
class TextShape:
    """Counts of what completions look like.

    Attributes:
        malformed: how many have a wrong format, as the run's reward reads them.
        fits: how many of these are right, or at least have an answer, in each other format.
        cut: how many end inside of ``think`` or ``answer``, or as a ``text`` without tags.
        lengths: the sum of the characters of those that were cut off.
        squares: the sum of their squares.
    """

    malformed: int = 0
    fits: Counter[str] = field(default_factory=Counter)
    cut: Counter[str] = field(default_factory=Counter)
    lengths: Counter[str] = field(default_factory=Counter)
    squares: Counter[str] = field(default_factory=Counter)

    def add(self, text: str, reasons: Sequence[str], *, unreadable: bool) -> None:
        """Take in a completion and the reasons of its score."""
        if not any(code in FORMAT_REASONS for code in reasons):
            return
        self.malformed += 1
        end = cut_inside(text, reasons)
        if end:
            self.cut[end] += 1
            self.lengths[end] += len(text)
            self.squares[end] += len(text) ** 2
        else:
            self.fits.update(other_formats(text, unreadable=unreadable))

    def update(self, other: TextShape) -> None:
        """Take in other counts."""
        self.malformed += other.malformed
        for name in ("fits", "cut", "lengths", "squares"):
            getattr(self, name).update(getattr(other, name))

    def cut_off(self) -> int:
        """Return how many completions were cut off.

        >>> shape = TextShape()
        >>> shape.add("<think>The disc is", ["no_answer_tag", "think_unclosed"], unreadable=True)
        >>> shape.cut_off()
        1
        """
        tagged = self.cut["think"] + self.cut["answer"]
        return tagged + (self.cut["text"] if self._are_alike("text") else 0)

    def mean_length(self) -> float:
        """Return the mean characters of what was cut off, nan where nothing was."""
        count = self.cut.total()
        return self.lengths.total() / count if count else math.nan

    def _are_alike(self, end: str) -> bool:
        count = self.cut[end]
        if count < 2:
            return False
        mean = self.lengths[end] / count
        variance = max(0.0, self.squares[end] / count - mean**2)
        return math.sqrt(variance) <= _LIKE_LENGTHS * mean


def cut_inside(text: str, reasons: Sequence[str]) -> str:
    """Return what a completion ends in the middle of: "think", "answer", "text" or "" for nothing.

    >>> cut_inside("<think>Dot bleeds.</think><answer>2", ["no_answer", "answer_unclosed"])
    'answer'
    >>> cut_inside("<think>Dot bleeds.<|im_end|>", ["no_answer_tag", "think_unclosed"])
    ''
    """
    end = text[-100:].rstrip()
    if end.endswith(END_TOKENS):
        return ""
    if "answer_unclosed" in reasons:
        return "answer"
    if "no_answer_tag" not in reasons:
        return ""
    if "think_unclosed" in reasons:
        return "think"
    is_open = bool(end) and (end[-1].isalnum() or end[-1] in ",;-")
    return "text" if "no_think_tag" in reasons and is_open and len(text) >= _LONG else ""


def other_formats(text: str, *, unreadable: bool) -> list[str]:
    r"""Return the first format that a completion has, of those that read all of it.

    Where the completion has none of them and its answer could not be read, the first format in
    which it has an answer.

    >>> other_formats("<think>Dots.</think>\\boxed{2}", unreadable=True)
    ['boxed']
    >>> other_formats("Dots. \\boxed{2}", unreadable=True), other_formats("2", unreadable=True)
    (['boxed'], [])
    """
    names = [name for name in format_names() if name not in _NOT_TRIED]
    found = {name: format_of(name).parse(text[:_MOST_TEXT]) for name in names}
    right = [name for name, one in found.items() if one.well_formed]
    if not right and unreadable:
        right = [name for name, one in found.items() if one.answer]
    return right[:1]
