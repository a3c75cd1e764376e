"""Groups of numbers in a text, by one pass over its brackets, tags and numbers.

It takes time linear in the length of the text, whatever the text, and evaluates nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from medreward.language.commitment import is_empty_committed

_FINITE = r"\d+(?:\.\d*)?(?:e[-+]?\d+)?|\.\d+"
_PIECES = (
    r"(?P<open>[\[({]|<b?box>|<\|box_start\|>)"
    r"|(?P<close>[\])}]|</b?box>|<\|box_end\|>)"
    rf"|(?<![\w.])(?P<number>[-+]?(?:{_FINITE}|(?:nan|inf(?:inity)?)\b))"
)
# Four numbers in JSON: the same as its pieces one after the other, in a fifth of the time.
_ENTRY = rf"[ \t\r\n]*+[-+]?(?:{_FINITE})[ \t\r\n]*+"
_FOUR = r"(?P<four>\[" + ",".join([_ENTRY] * 4) + r"\])"
_TOKEN = re.compile(f"{_FOUR}|{_PIECES}", re.IGNORECASE | re.ASCII)
_MARKUP = re.compile(r"<[^<>]{0,40}>|```[a-z]*", re.IGNORECASE)
# "... or [] if there is none", "[]?", "not []": the words of a prompt, a question or a denial.
_OFFERED = re.compile(
    r"\b(?:or|if|when|not)\W{0,8}\[\s*\]|\[\s*\]\s*\?"
    r"|\[\s*\]\W{0,8}(?:or|if|when|unless|otherwise|but|is (?:not|wrong))\b",
    re.IGNORECASE,
)
_EMPTY = re.compile(r"\[\s*\]")
_SEPARATORS = frozenset(" \t\r\n,;'\"")
_CLOSES = {"[": "]", "(": ")"}


class Group(NamedTuple):
    """Numbers that stand together.

    Attributes:
        start: where it starts in the text.
        stop: where it ends.
        numbers: the numbers; none where there is more than numbers in the bracket.
        brace: the index of the innermost {} around it, or -1.
    """

    start: int
    stop: int
    numbers: tuple[float, ...]
    brace: int = -1


class Scan(NamedTuple):
    """What a text holds.

    Attributes:
        groups: the groups of numbers; two corners (x1, y1), (x2, y2) are one group of four.
        braces: start and stop of each {}.
        has_empty: whether there is an empty list outside of {}.
        has_empty_in_brace: whether there is one inside.
    """

    groups: tuple[Group, ...]
    braces: tuple[tuple[int, int], ...]
    has_empty: bool
    has_empty_in_brace: bool


def scan(text: str) -> Scan:
    """Return the groups of numbers in a text.

    >>> [group.numbers for group in scan("[[1, 2, 3, 4], [5]] at (6, 7), (8, 9) (see 10)").groups]
    [(1.0, 2.0, 3.0, 4.0), (5.0,), (6.0, 7.0, 8.0, 9.0)]
    """
    scanner = _Scanner(text)
    groups = tuple(_paired(scanner.groups(), text))
    return Scan(groups, tuple(scanner.braces), scanner.has_empty, scanner.has_empty_in_brace)


def offers_empty(text: str) -> bool:
    """Whether a text offers an empty list as a choice, as prompts do, or denies it.

    >>> offers_empty("Answer with boxes, or [] if there is none"), offers_empty("[]")
    (True, False)
    """
    if _OFFERED.search(text):
        return True
    spans = [found.span() for found in _EMPTY.finditer(text)]
    return bool(spans) and not is_empty_committed(text, spans)


def without_markup(text: str) -> str:
    """Return a text without tags and code fences.

    >>> without_markup("<ref>WBC</ref>").strip()
    'WBC'
    """
    return _MARKUP.sub(" ", text)


@dataclass
class _Open:
    """A bracket that is open: what was seen directly inside of it."""

    opener: str
    start: int
    brace: int
    numbers: list[float] = field(default_factory=list)
    has_prose: bool = False
    has_inner: bool = False

    def ended(self, closer: str) -> tuple[float, ...] | None:
        """Return its numbers, none if there is more than numbers, or None if it is no group."""
        is_remark = self.opener == "(" and (self.has_prose or len(self.numbers) == 1)
        if self.opener == "{" or is_remark or not self.numbers:
            return None
        if self.has_inner:
            return () if len(self.numbers) >= 4 else None
        is_clean = not self.has_prose and closer == _CLOSES.get(self.opener, closer)
        return tuple(self.numbers) if is_clean else ()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.braces: list[tuple[int, int]] = []
        self.has_empty = self.has_empty_in_brace = False
        self._open: list[_Open] = []
        self._end = 0

    def groups(self) -> Iterator[Group]:
        """Yield the groups in the order in which they end."""
        for token in _TOKEN.finditer(self.text):
            self._note_prose(token.start())
            self._end = token.end()
            if token.lastgroup == "four":
                yield self._four(token[0], token.start())
            elif token.lastgroup == "open":
                self._begin(token[0], token.start())
            elif not self._open:
                continue
            elif token.lastgroup == "number":
                self._open[-1].numbers.append(float(token[0]))
            else:
                yield from self._close(self._open.pop(), token[0], token.end())
        for left in self._open:
            if left.ended("") is not None:
                yield Group(left.start, len(self.text), (), left.brace)

    def _note_prose(self, start: int) -> None:
        """Note in the innermost bracket that something else than separators stands in it."""
        if self._open and not self._open[-1].has_prose:
            gap = self.text[self._end : start]
            self._open[-1].has_prose = not _SEPARATORS.issuperset(gap)

    def _four(self, text: str, start: int) -> Group:
        """Return a list of four numbers, as `_begin` and `_close` would."""
        brace = self._brace_around()
        x1, y1, x2, y2 = map(float, text[1:-1].split(","))
        return Group(start, start + len(text), (x1, y1, x2, y2), brace)

    def _brace_around(self) -> int:
        """Return the {} around what begins here, and note it in the bracket that is open."""
        if not self._open:
            return -1
        self._open[-1].has_inner = True
        return self._open[-1].brace

    def _begin(self, opener: str, start: int) -> None:
        brace = self._brace_around()
        if opener == "{":
            brace = len(self.braces)
            self.braces.append((start, len(self.text)))
        self._open.append(_Open(opener, start, brace))

    def _close(self, ended: _Open, closer: str, stop: int) -> Iterator[Group]:
        if ended.opener == "{":
            self.braces[ended.brace] = (ended.start, stop)
            return
        numbers = ended.ended(closer)
        if numbers is not None:
            yield Group(ended.start, stop, numbers, ended.brace)
        elif ended.opener != "(" and not (ended.numbers or ended.has_prose or ended.has_inner):
            self.has_empty |= ended.brace < 0
            self.has_empty_in_brace |= ended.brace >= 0


def _paired(groups: Iterable[Group], text: str) -> Iterator[Group]:
    """Yield the groups with each two neighbours of two numbers made one of four."""
    first: Group | None = None
    for group in groups:
        is_point = len(group.numbers) == 2
        if first and is_point and _is_bare(text[first.stop : group.start]):
            yield Group(first.start, group.stop, first.numbers + group.numbers, first.brace)
            first = None
            continue
        if first:
            yield first
        first = group if is_point else None
        if not is_point:
            yield group
    if first:
        yield first


def _is_bare(gap: str) -> bool:
    """Whether there is neither a letter nor a digit in a gap, markup aside."""
    return not any(map(str.isalnum, without_markup(gap)))
