"""What an answer says beside the boxes, points or masks that it gives.

All of it has to be understood, as in any answer: labels, keys of JSON, words that say nothing, and
an explanation behind the last place. A place may have a name that the task does not know. What
denies a place, leaves it open or doubts it ("not [1, 2, 3, 4]", `"present": false`,
`"confidence": 0`) makes the answer unread, since a place that is denied would be paid as one that
is given. A label that is said to be absent ("RBC: none") must have no place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from medreward.language.answer_text import COMPLETION_END, split_answer
from medreward.language.certainty import read_certainty
from medreward.language.explanation import GivenAnswer, bears_out, names_other_thing
from medreward.language.tokens import LABEL, NUMBER, UNKNOWN, Token, scan_answer
from medreward.language.understanding import part_of, text_at
from medreward.task.task import Task

# Stands for a place in a text; a character of private use, which no answer holds otherwise.
PLACE = "\ue000"
# Marks of the formats in which models write places.
_TAGS = re.compile(
    r"</?(?:ref|p|b?box|points?|obj|object|quad)>"
    r"|<\|(?:box|object_ref|quad|point|polygon|vision)_(?:start|end)\|>|" + COMPLETION_END,
    re.IGNORECASE,
)
# What a place is called: a field of an object, or the text between two tags.
_NAME = re.compile(
    r"""(?P<key>(?P<quote>["'])(?:label|name|class|category|object)(?P=quote)\s{0,9}:\s{0,9})"""
    r"""(?P<mark>["'])(?P<value>[\w\s(),./-]{1,60})(?P=mark)"""
    r"""|<ref>(?P<tagged>[\w\s(),./-]{1,60})</ref>"""
    r"""|<\|object_ref_start\|>(?P<framed>[\w\s(),./-]{1,60})<\|object_ref_end\|>""",
    re.IGNORECASE,
)
# Fields that say nothing of a place, and another name of how sure a model is.
_NUMBERED = re.compile(r"""(["'])(?:id|index)\1\s{0,9}:\s{0,9}\d{1,9}""", re.IGNORECASE)
_SCORE = re.compile(r"""(["'])score\1(?=\s{0,9}:)""", re.IGNORECASE)
_BRACKETS = frozenset("[]{}")  # an explanation stands behind them: fields have to be known
_EMPTY = re.compile(r"\[[\s\[\]]{0,40}\]")
_SILENT = frozenset("fFimkvou")
# Names of what is none of the things that are looked for, and words that make a place another one:
# "left of [1, 2, 3, 4]".
_NO_THINGS = frozenset(
    "background artifact artefact nothing else other others rest phantom hintergrund artefakt "
    "normal healthy unaffected uninvolved intact unremarkable clear free excluding except without "
    "normale normaler normales gesund gesunde gesunder gesundes unauffallig 背景 伪影 正常".split()
)
_BESIDE_PLACE = re.compile(r"m[of](?=[fF:,L]*B)|uo(?=[fF:,Lkm]*B)|Fo(?=f*B)")
_OFF = frozenset(("of", "to", "from", "von", "der", "des"))
_DOUBTS = frozenset("ndaq|?bztc")
_NEGATIVE = frozenset("an")
_DENIES, _FINDS, _PARTING = frozenset("ndat"), frozenset("kpyLS"), frozenset(",:")


class Beside(NamedTuple):
    """What an answer says beside its places.

    Attributes:
        reason: why it cannot be read, "" if it can.
        unread: the first thing that was not understood.
        says_nothing: whether it says that there is nothing to find.
        denied: the labels of which it says so.
        named_behind: the labels that a sentence behind the last place names.
    """

    reason: str = ""
    unread: str = ""
    says_nothing: bool = False
    denied: frozenset[int] = frozenset()
    named_behind: frozenset[int] = frozenset()


def read_beside(
    text: str, spans: Sequence[tuple[int, int]], task: Task, *, is_empty: bool = False
) -> Beside:
    """Return what `text` says beside the places at `spans`, in their order.

    `is_empty`: whether a list without places says that there is nothing.

    >>> task = Task("cells", kind="localisation", labels=["WBC", "RBC"])
    >>> read_beside("WBC at [1, 2, 3, 4]; RBC: none", [(7, 19)], task).denied
    frozenset({1})
    >>> read_beside("not [1, 2, 3, 4]", [(4, 16)], task).reason
    'boxes_open'
    """
    signed = _with_signs(text, spans)
    words = split_answer(without_tags(_without_names(signed, task)))
    reader = task.reader
    tokens = _without_counts(read_certainty(scan_answer(words, reader.lexicon, reader.words)))
    bad = next((i for i, t in enumerate(tokens) if t.code in (UNKNOWN, NUMBER, "e")), None)
    if bad is not None:
        end = _end_of_places(tokens, bad)
        named = {token.label for token in tokens[:end] if token.code == LABEL}
        labels = frozenset(named if len(task.labels) > 1 else range(len(task.labels)))
        rest = part_of(words, tokens[end].place, len(words.words)) if end else None
        known = GivenAnswer(
            labels,
            may_deny_all=False,
            is_no=False,
            absences=task.absences,
            may_deny=bool(labels),
            own=reader.own_words(labels),
            others=reader.other_words(labels),
        )
        is_borne_out = (
            rest is not None
            and _BRACKETS.isdisjoint("".join(rest.gaps))
            and not names_other_thing(rest, reader.lexicon, reader.words)
            and bears_out(rest, known, reader.lexicon, reader.words)
        )
        if not is_borne_out:
            return Beside("answer_not_understood", text_at(words, tokens, tokens[bad].place))
        tokens = tokens[:end]
    if _is_off(tokens, words.words) or _is_weakly_denied(tokens):
        return Beside("boxes_open")
    spoken = [token for token in _without_noun_pairs(tokens) if token.code not in _SILENT]
    judged = _judge(spoken, task)
    says_nothing = not spans and (judged.says_nothing or is_empty)
    place = _contradicted(tokens, words.words, task) if says_nothing else None
    if place is not None:
        return Beside("answer_not_understood", text_at(words, tokens, place))
    return judged._replace(named_behind=_named_behind(tokens, len(task.labels)))


def _contradicted(tokens: Sequence[Token], words: Sequence[str], task: Task) -> int | None:
    """Return the word from which on an answer that nothing is there says otherwise, or of a part.

    "Nothing on the left" says nothing of the rest, and "none. A mass is present." names something.
    """
    nothing = len(task.labels)
    codes = ["a" if t.code == LABEL and t.label == nothing else t.code for t in tokens]
    ends = _ends_of_lists(codes)
    denied = False
    for i, token in enumerate(tokens):
        if codes[i] == "." or (codes[i] in _PARTING and ends[i] != "|"):
            denied = False
        elif token.narrows or (denied and _denies_again(tokens[i - 1 : i + 1], codes[i], words)):
            return token.place
        elif codes[i] in _DENIES:
            denied = True
        elif not denied and codes[i] in _FINDS:
            behind = codes[i + 1 : i + 3]
            is_heading = behind[:1] == [":"] and (behind[1:] or ["."])[0] in ".,"  # "lesions: []"
            if _DENIES.isdisjoint(behind) and not is_heading:  # "lesion: none"
                return token.place
    return None


def _denies_again(pair: Sequence[Token], code: str, words: Sequence[str]) -> bool:
    """Whether a token denies a denial: "nothing absent", but not "none none"."""
    said = {words[token.place] for token in pair}
    return code in _DENIES and len(said) > 1


def _ends_of_lists(codes: Sequence[str]) -> list[str]:
    """Return of each token the next "or" or full stop: "no mass, nodule or cyst"."""
    found: list[str] = []
    last = ""
    for code in reversed(codes):
        last = code if code in ".|" else last
        found.append(last)
    return found[::-1]


def _named_behind(tokens: Sequence[Token], nothing: int) -> frozenset[int]:
    """Return the labels that sentences behind that of the last place name: "It is an RBC."."""
    codes = [token.code for token in tokens]
    last = len(codes) - 1 - codes[::-1].index("B") if "B" in codes else len(codes)
    end = next((i for i in range(last, len(codes)) if codes[i] == "."), len(codes))
    kept, denied, _ = _split_denied([t for t in tokens[end:] if t.code not in _SILENT], nothing)
    return frozenset(t.label for t in kept if t.code == LABEL) - denied - {nothing}


def _is_off(tokens: Sequence[Token], words: Sequence[str]) -> bool:
    """Whether a place is only what another one is beside: "left of", "superior to"."""
    codes = "".join(token.code for token in tokens)
    return any(
        words[tokens[found.start() + 1].place] in _OFF for found in _BESIDE_PLACE.finditer(codes)
    )


def _is_weakly_denied(tokens: Sequence[Token]) -> bool:
    """Whether how sure it is stands behind a denial: "not clearly a lesion"."""
    spoken = [token for token in tokens if token.code != "f" or token.is_emphasis]
    return any(one.code in "ndt" and other.is_emphasis for one, other in pairwise(spoken))


def without_tags(text: str) -> str:
    """Return a text without the tags that models put around places and their names.

    >>> without_tags("<ref>WBC</ref>").strip()
    'WBC'
    """
    return _TAGS.sub(" ", text) if "<" in text else text


def named_labels(text: str, task: Task) -> set[int]:
    """Return the labels that a text names and does not deny."""
    words = split_answer(without_tags(text))
    tokens = scan_answer(words, task.reader.lexicon, task.reader.words)
    kept, denied, _ = _split_denied([t for t in tokens if t.code not in _SILENT], len(task.labels))
    return {t.label for t in kept if t.code == LABEL} - denied


def _with_signs(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """Return a text with the sign of a place in place of each."""
    text = text.replace(PLACE, "\ufffd")
    ends = [0, *(stop for _, stop in spans)]
    starts = [*(start for start, _ in spans), len(text)]
    signed = PLACE.join(text[end:start] for end, start in zip(ends, starts, strict=True))
    signed = _EMPTY.sub(" ", signed)  # no box to be ticked
    return _NUMBERED.sub(" ", _SCORE.sub('"confidence"', signed)) if ":" in signed else signed


def _without_names(text: str, task: Task) -> str:
    """Return a text without names of places that the task does not know: ``"label": "platelet"``.

    Where a task has no labels, its question names the things, and models repeat them. Where it has
    some, a box of another name cannot be right, and the others are read. A name that denies or
    doubts ("no platelet", "mass?", "background") stays, and is judged; so do two names of a place,
    and, where a task has one label, a name that is neither it nor such a thing as "lesion".
    """
    objects: dict[int, set[str]] = {}
    for found in _NAME.finditer(text):
        objects.setdefault(text.rfind("{", 0, found.start()), set()).add(_name_in(found).casefold())

    def shortened(found: re.Match[str]) -> str:
        at = text.rfind("{", 0, found.start())
        words = split_answer(_name_in(found))
        tokens = scan_answer(words, task.reader.lexicon, task.reader.words)
        if (at >= 0 and len(objects[at]) > 1) or any(
            token.code == LABEL or token.code in _DOUBTS for token in tokens
        ):
            return found.group()
        if not _NO_THINGS.isdisjoint(words.words) or _is_negated(words.words):
            return found.group()
        if len(task.labels) == 1 and any(
            token.code == UNKNOWN and words.words[token.place] not in task.lexicon.words
            for token in tokens
        ):
            return found.group()
        return f"{found['key'] or ''} "

    return _NAME.sub(shortened, text)


def _is_negated(words: Sequence[str]) -> bool:
    """Whether a name says what a thing is not: "non-lesion"."""
    return any(word.startswith("non") for word in words)


def _name_in(found: re.Match[str]) -> str:
    return found["value"] or found["tagged"] or found["framed"]


def _without_counts(tokens: Sequence[Token]) -> list[Token]:
    """Return tokens without the numbers of a list's items and of boxes: "1. WBC", "box 2"."""
    found: list[Token] = []
    item = 1
    for i, token in enumerate(tokens):
        before = tokens[i - 1].code if i else "."
        after = tokens[i + 1].code if i + 1 < len(tokens) else "."
        if token.code == NUMBER and token.text.isdigit():
            is_item = before == "." and after in ".," and token.text == str(item)
            if is_item or before == "F" or after == "F":
                item += is_item
                found.append(token._replace(code="f"))
                continue
        found.append(token)
    return found


def _without_noun_pairs(tokens: Sequence[Token]) -> list[Token]:
    """Return tokens without the "or" between words that name no place: "mass or nodule"."""
    nouns = [token.code in "km" for token in tokens]
    return [
        token
        for i, token in enumerate(tokens)
        if token.code != "|" or not (0 < i < len(tokens) - 1 and nouns[i - 1] and nouns[i + 1])
    ]


def _end_of_places(tokens: Sequence[Token], bad: int) -> int:
    """Return the last mark between the last place and a token, 0 if there is none."""
    last = max((i for i, token in enumerate(tokens) if token.code == "B"), default=-1)
    marks = [i for i in range(last + 1, bad) if tokens[i].code in ",:."]
    return marks[-1] if marks and last >= 0 else 0


def _judge(tokens: Sequence[Token], task: Task) -> Beside:
    nothing = len(task.labels)
    kept, denied, says_nothing = _split_denied(tokens, nothing)
    says_nothing |= any(token.code == LABEL and token.label == nothing for token in kept)
    if any(token.code in _DOUBTS for token in kept):
        return Beside("boxes_open")
    return Beside(says_nothing=says_nothing, denied=frozenset(denied))


def _split_denied(tokens: Sequence[Token], nothing: int) -> tuple[list[Token], set[int], bool]:
    """Return tokens without those that deny a label, these labels, and whether all are denied."""
    kept: list[Token] = []
    denied: set[int] = set()
    i = 0
    while i < len(tokens):
        stop = _denial_stop(tokens, i, nothing)
        if stop:
            denied.add(next(t.label for t in tokens[i:stop] if t.code == LABEL))
            i = stop
        else:
            kept.append(tokens[i])
            i += 1
    return kept, denied, 0 < nothing == len(denied)


def _denial_stop(tokens: Sequence[Token], start: int, nothing: int) -> int:
    """Return where "RBC: none" or "no RBC" ends that begins at `start`, 0 if none does."""
    codes = [token.code for token in tokens[start : start + 4]]
    is_named = codes[0] == LABEL and tokens[start].label != nothing
    if is_named:
        at = start + 1 + (codes[1:2] == [":"])
        is_negative = at < len(tokens) and (
            tokens[at].code in _NEGATIVE
            or (tokens[at].code == LABEL and tokens[at].label == nothing)
        )
        return at + 1 if is_negative and not _leads_to_place(tokens, at + 1) else 0
    if codes[0] in "ndt" and codes[1:2] == [LABEL] and tokens[start + 1].label != nothing:
        return 0 if _leads_to_place(tokens, start + 2) else start + 2
    return 0


def _leads_to_place(tokens: Sequence[Token], at: int) -> bool:
    """Whether a place follows, at once or behind a colon."""
    codes = [token.code for token in tokens[at : at + 2]]
    return codes[:1] == ["B"] or codes == [":", "B"]
