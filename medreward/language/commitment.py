"""Whether an answer stands by the boxes or points that it gives.

"[1, 2, 3, 4] or [5, 6, 7, 8]", "[1, 2, 3, 4]?", "not [1, 2, 3, 4]" and "[1, 2, 3, 4] is wrong" do
not. As several boxes they would be paid in full where both are there, and one that is denied would
be paid as one that is given. "possibly [1, 2, 3, 4]" is one box more, at the price of one.

Only what stands right beside the numbers is looked at, the other fields of a JSON object aside: a
label such as "mass or nodule" leaves no box open.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_OR = r"and/or|or|xor|vs|versus|else|otherwise|alternatively|oder|ou|eller|или|或|或者|または"
_WRONG = r"wrong|incorrect|false|mistaken|ruled out|excluded"
_NO = (
    r"no|not|never|neither|nor|kein|keine|nicht|pas|without|than|except|unless|instead of"
    r"|outside|outside of|(?:all|anywhere|everywhere|anything|everything) but|\w+n't"
)
_IS = r"is|are|was|were|would be"
_STRIKE = r"</?(?:del|s|strike)>"
_TAG = r"<[^<>]{0,40}>"
_TEXT = r"(?:\"[^\"\n]{0,80}\"|'[^'\n]{0,80}')"
_FIELD = re.compile(rf"{_TEXT}\s*:\s*(?:{_TEXT}|[-.\w]+)?")
_BEHIND = re.compile(
    rf"(?:(?!{_STRIKE}){_TAG}|[\s\"'`*_:;,.)}}\]])*"
    rf"(?:[?/]|~~|{_STRIKE}|(?:{_OR}|if|unless)\b|\(?(?:(?:{_IS})\s+)?(?:{_WRONG})\b"
    rf"|(?:{_IS})(?:n't|\s+not)\b)",
    re.IGNORECASE,
)
_BEFORE = re.compile(
    rf"(?:(?<!\w)(?P<word>{_OR}|{_WRONG}|{_NO})|~~|{_STRIKE}|\\(?:cancel|xcancel|sout))"
    rf"(?:(?!{_STRIKE}){_TAG}|[\s\"'`*_:;,.(){{}}\[\]])*\Z",
    re.IGNORECASE,
)


def is_committed(text: str, spans: Sequence[tuple[int, int]]) -> bool:
    """Whether a text neither denies nor leaves open what stands at `spans`, in their order.

    >>> is_committed("[1, 2] or [3, 4]", [(0, 6), (10, 16)]), is_committed("[1, 2]", [(0, 6)])
    (False, True)
    """
    before, behind = _gaps(text, spans)
    return not (any(map(_BEHIND.match, behind)) or any(map(_BEFORE.search, before)))


def is_empty_committed(text: str, spans: Sequence[tuple[int, int]]) -> bool:
    """Whether a text stands by the empty lists at `spans`, in their order.

    As `is_committed`, but for "no" before one, which agrees with it: "Is there any? No: []".

    >>> is_empty_committed("[] is ruled out", [(0, 2)]), is_empty_committed("No, []", [(4, 6)])
    (False, True)
    """
    before, behind = _gaps(text, spans)
    words = (found["word"] for found in map(_BEFORE.search, before) if found)
    denied = any((word or "").lower() != "no" for word in words)
    return not (denied or any(map(_BEHIND.match, behind)))


def _gaps(text: str, spans: Sequence[tuple[int, int]]) -> tuple[set[str], set[str]]:
    """Return what stands before each span and behind each, without the fields of JSON objects."""
    starts, stops = zip(*spans, strict=True)
    before = {text[stop:start] for stop, start in zip((0, *stops[:-1]), starts, strict=True)}
    behind = {text[stop:start] for stop, start in zip(stops, (*starts[1:], len(text)), strict=True)}
    behind = {_FIELD.sub(" ", gap) for gap in behind}
    before |= {_FIELD.sub(" ", gap) for gap in before}  # as it is, too: {"not": [1, 2, 3, 4]}
    return before, behind
