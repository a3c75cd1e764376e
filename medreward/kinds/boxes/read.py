"""Boxes in a target, and in an answer, as models write them.

What is read: lists of lists; one list; ``[{"bbox_2d": [...], "label": ...}]`` under any key;
``{"WBC": [[...]]}``; ``<box>…</box>`` and ``<|box_start|>…<|box_end|>``; pairs of corners
``(x1,y1),(x2,y2)``; all with single quotes, code fences, floats or text around them. The reading
depends on the answer and the task alone, never on the target.

A group of numbers that is no box still counts as a predicted box, one that cannot be right, so that
nothing is gained by writing boxes badly. The order of coordinates is x1, y1, x2, y2 and never
guessed.

The order of the module is that of the work: groups of numbers in a text (`scan`), what the text
says beside them (`read_places`, `_box_labels`), the boxes of any answer (`_read_any`), and those
of the usual answers, which are read at once (`_read_plain`). Nothing is evaluated, and scanning
takes time linear in the length of the text, whatever the text.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from operator import sub
from typing import NamedTuple

from medreward.errors import ConfigError, expected, quote
from medreward.geometry.regions import MAX_BOXES, MIN_SIDE, Box, BoxTarget, around, parse_boxes
from medreward.kinds.beside import Beside, named_labels, read_beside, without_tags
from medreward.kinds.reading import MAX_ANSWER_LENGTH, unreadable
from medreward.language.answer_text import split_answer
from medreward.task.task import Task
from medreward.text.words import tokenize

# A hundred boxes with labels take about 6,000 characters.
MAX_LENGTH = 20_000
LARGEST = 1e9  # of a coordinate's absolute value


class BoxAnswer(NamedTuple):
    """The boxes of an answer; none and no reason: it says that there is nothing to find.

    Attributes:
        boxes: those of four numbers and with an area, in the answer's frame.
        labels: the index of the label of each of `boxes`, None where there is none to be read.
        total: how many there are, with those that cannot be right.
        outer: the smallest box around `boxes`.
        problems: reason codes of those that cannot be right.
        text: all of it as JSON, as a target has it, where that is known already.
        reason: why the answer cannot be read as boxes; "" if it can.
        unread: the first thing in the answer that was not understood.
    """

    boxes: Sequence[Box] = ()
    labels: Sequence[int | None] = ()
    total: int = 0
    outer: Box = (0.0, 0.0, 0.0, 0.0)
    problems: frozenset[str] = frozenset()
    text: str = ""
    reason: str = ""
    unread: str = ""


def read_boxes(answer: str | None, task: Task) -> BoxAnswer:
    """Return the boxes in `answer` with their labels.

    >>> task = Task("smear", kind="localisation", labels=["RBC", "WBC"])
    >>> found = read_boxes("<ref>WBC</ref><box>(1,2),(30,40)</box>", task)
    >>> found.boxes, found.labels
    ([(1.0, 2.0, 30.0, 40.0)], [1])
    >>> read_boxes("nothing there", task).total, read_boxes("left", task).reason
    (0, 'boxes_unreadable')
    """
    return _read_plain(answer or "", task) or _read_any(answer, task)


# ---------------------------------------------------------------------------------------------
# True boxes


def box_target(task: Task, target: object) -> BoxTarget:
    """Return the boxes of a target (`medreward.geometry.regions.parse_boxes`).

    Raises:
        ConfigError: if `target` is not in one of its forms, or a box's label is not the task's.

    >>> task = Task("smear", kind="localisation", labels=["RBC", "WBC"])
    >>> box_target(task, [{"box": [0, 0, 9, 9], "label": "wbc"}]).boxes[0].label
    1
    """
    try:
        return parse_boxes(target, lambda label: label_of_box(task, label))
    except ConfigError as error:
        raise ConfigError(f"task {quote(task.name)}: {error}") from error


def label_of_box(task: Task, label: object) -> int | None:
    """Return the index of a true box's label; where there is one label, it may be left out."""
    count = len(task.labels)
    if not count or (label is None and count == 1):
        return 0 if count else None
    index = None
    if isinstance(label, str):  # as data sets write it, most labels are a name: no text to read
        index = task.index_of_name.get(label)
        index = task.lexicon.label(label) if index is None else index
    if index is None or index >= count:
        raise expected("target box label", label, [known.name for known in task.labels])
    return index


# ---------------------------------------------------------------------------------------------
# Groups of numbers in a text, by one pass over its brackets, tags and numbers

FINITE = r"\d+(?:\.\d*)?(?:e[-+]?\d+)?|\.\d+"
_PIECES = (
    r"(?P<open>[\[({]|<b?box>|<\|box_start\|>)"
    r"|(?P<close>[\])}]|</b?box>|<\|box_end\|>)"
    rf"|(?<![\w.])(?P<number>[-+]?(?:{FINITE}|(?:nan|inf(?:inity)?)\b))"
)
# Four numbers in JSON: the same as its pieces one after the other, in a fifth of the time.
_ENTRY = rf"[ \t\r\n]*+[-+]?(?:{FINITE})[ \t\r\n]*+"
_FOUR = r"(?P<four>\[" + ",".join([_ENTRY] * 4) + r"\])"
_TOKEN = re.compile(f"{_FOUR}|{_PIECES}", re.IGNORECASE | re.ASCII)


def _corner(ends: str) -> str:
    """Return the pattern of a corner with named coordinates; `ends` is what its names end with."""
    return ",".join(
        rf"\s{{0,9}}{axis}(?:{ends})?\s{{0,9}}[=:]\s{{0,9}}([-+]?(?:{FINITE}))\s{{0,9}}"
        for axis in "xy"
    )


# "[x1=10, y1=10, x2=60, y2=60]", "(x: 35, y: 35)": in this order and no other.
_EDGE_NAMES = re.compile(
    rf"(?<=[\[(]){_corner('1|_?min')}(?:,{_corner('2|_?max')})?(?=[\])])",
    re.IGNORECASE | re.ASCII,
)
_LED = re.compile(r"\[\s{0,9}(\"[^\"\[\]\n]{1,80}\")\s{0,9},\s{0,9}(?=[-+.\d])")
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
        groups: the groups of numbers.
        braces: start and stop of each {}.
        has_empty: whether there is an empty list outside of {}.
        has_empty_in_brace: whether there is one inside.
    """

    groups: tuple[Group, ...] = ()
    braces: tuple[tuple[int, int], ...] = ()
    has_empty: bool = False
    has_empty_in_brace: bool = False


def scan(text: str) -> Scan:
    """Return the groups of numbers in a text.

    >>> [group.numbers for group in scan("[[1, 2, 3, 4], [5]] at (6, .7), (8e1, 9.)").groups]
    [(1.0, 2.0, 3.0, 4.0), (5.0,), (6.0, 0.7), (80.0, 9.0)]
    """
    scanner = _Scanner(text)
    groups = tuple(scanner.groups())
    return Scan(groups, tuple(scanner.braces), scanner.has_empty, scanner.has_empty_in_brace)


def without_edge_names(text: str) -> str:
    """Return a text without the names of single coordinates, and labels out of lists of numbers.

    >>> without_edge_names("[x1=10, y1=10, x2=60, y2=60]"), without_edge_names('["WBC", 1, 2]')
    ('[10, 10, 60, 60]', '"WBC" [1, 2]')
    """
    named = _EDGE_NAMES.sub(lambda found: ", ".join(filter(None, found.groups())), text)
    return _LED.sub(r"\1 [", named)


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


# ---------------------------------------------------------------------------------------------
# What a text says beside its groups


def read_places(text: str, found: Scan, task: Task) -> Beside:
    """Return what an answer says beside its groups, empty lists among it.

    In a task with several labels, "platelets: none" says of the platelets only that there are none,
    and an answer without boxes has to say so of every label, or of all.

    >>> task = Task("cells", kind="localisation", labels=["WBC", "RBC"])
    >>> read_places("[]", scan("[]"), task).says_nothing
    True
    """
    is_empty = found.has_empty or (not found.groups and found.has_empty_in_brace)
    spans = [(group.start, group.stop) for group in found.groups]
    beside = read_beside(text, spans, task, is_empty=is_empty)
    return beside._replace(says_nothing=beside.says_nothing or is_empty)


def _gaps(text: str, groups: Sequence[Group]) -> list[str]:
    """Return what stands before the first group, between each two and behind the last."""
    starts = [*(group.start for group in groups), len(text)]
    stops = [0, *(group.stop for group in groups)]
    return [text[stop:start] for stop, start in zip(stops, starts, strict=True)]


# ---------------------------------------------------------------------------------------------
# Which label an answer gives to each of its boxes
#
# The label of a box that is alone in its {} is named in there. That of any other is named before
# the box, or else (where the first box has none before it) behind it. A box with only separators
# between takes its neighbour's label, as in ``<ref>WBC</ref><box>…</box><box>…</box>``.

# A field without a value says nothing of the boxes beside it: {"WBC": [[...]], "RBC": []}.
_BLANK = re.compile(
    r"\"[^\"\n]{0,80}\"\s{0,8}:\s{0,8}(?:\[[\[\]\s]{0,8}\]|null\b|\"(?:none)?\")"
    r"|'[^'\n]{0,80}'\s{0,8}:\s{0,8}(?:\[[\[\]\s]{0,8}\]|None\b|'(?:none)?')",
    re.IGNORECASE,
)


def _box_labels(text: str, found: Scan, task: Task) -> list[int | None]:
    """Return the label of each group, None where none or more than one is named."""
    groups = found.groups
    if len(task.labels) < 2:
        return [0 if task.labels else None] * len(groups)
    reader = _LabelReader(task)
    own = _own_braces(text, found)
    between = _gaps(text, groups)
    before, after = between[:-1], between[1:]
    is_named = reader.read(before[0]) is not None
    follows = own[0] is None and not is_named and reader.read(after[-1]) is not None
    gaps = after[::-1] if follows else before
    labels: list[int | None] = []
    last: int | None = None
    for inside, gap in zip(own[::-1] if follows else own, gaps, strict=True):
        if inside is not None:
            last = reader.read(inside)
        elif any(map(str.isalpha, without_tags(gap))):
            last = reader.read(gap)
        labels.append(last)
    return labels[::-1] if follows else labels


def _own_braces(text: str, found: Scan) -> list[str | None]:
    """Return, for each group, what else stands in the {} around it if it is the only one there."""
    counts = Counter(group.brace for group in found.groups)
    insides: list[str | None] = []
    for group in found.groups:
        inside = None
        if group.brace >= 0 and counts[group.brace] == 1:
            start, stop = found.braces[group.brace]
            inside = f"{text[start : group.start]} ; {text[group.stop : stop]}"
        insides.append(inside)
    return insides


class _LabelReader:
    """Reads labels out of the same few texts again and again."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._known: dict[str, int | None] = {}

    def read(self, text: str) -> int | None:
        """Return the one label that a text names, that there is nothing of it aside."""
        if text not in self._known:
            named = set()
            if len(text) <= MAX_ANSWER_LENGTH:
                named = named_labels(_BLANK.sub(" ", text), self._task) - {len(self._task.labels)}
            self._known[text] = named.pop() if len(named) == 1 else None
        return self._known[text]


# ---------------------------------------------------------------------------------------------
# The boxes of any answer


def _read_any(answer: str | None, task: Task) -> BoxAnswer:
    """Return the boxes in any answer."""
    if not answer or len(answer) > MAX_LENGTH:
        return BoxAnswer(reason=unreadable(answer, MAX_LENGTH))
    answer = without_edge_names(answer)
    found = scan(answer)
    found = found._replace(groups=tuple(_join_corners(found.groups, answer)))
    groups = found.groups
    if len(groups) > MAX_BOXES:
        return BoxAnswer(reason="too_many_boxes")
    beside = read_places(answer, found, task)
    reason = beside.reason or place_problem(beside, bool(groups), "boxes_unreadable")
    labels = _box_labels(answer, found, task) if groups and not reason else ()
    named = beside.named_behind if len(task.labels) > 1 else frozenset()
    if not beside.denied.isdisjoint(labels) or (groups and not named.issubset(labels)):
        reason = "boxes_open"
    if reason or not groups:
        return BoxAnswer(reason=reason, unread=beside.unread)
    return _boxes_of(groups, labels, task)


def place_problem(beside: Beside, has_places: bool, unreadable_as: str) -> str:
    """Return the reason why what stands beside places does not go with them, "" if it does."""
    if has_places:
        return "boxes_and_none" if beside.says_nothing else ""
    return "" if beside.says_nothing else unreadable_as


def _join_corners(groups: Iterable[Group], text: str) -> Iterator[Group]:
    """Yield the groups with two neighbours of two numbers, (x1, y1), (x2, y2), made one of four."""
    first: Group | None = None
    for group in groups:
        is_corner = len(group.numbers) == 2
        if first and is_corner and _is_bare(text[first.stop : group.start]):
            yield Group(first.start, group.stop, first.numbers + group.numbers, first.brace)
            first = None
            continue
        if first:
            yield first
        first = group if is_corner else None
        if not is_corner:
            yield group
    if first:
        yield first


def _is_bare(gap: str) -> bool:
    """Whether there is neither a letter nor a digit in a gap, markup aside."""
    return not any(map(str.isalnum, without_tags(gap)))


def _boxes_of(groups: Sequence[Group], labels: Sequence[int | None], task: Task) -> BoxAnswer:
    """Return the groups as boxes, with the reasons why some of them cannot be right."""
    boxes: list[Box] = []
    kept: list[int | None] = []
    problems: set[str] = set()
    for group, label in zip(groups, labels, strict=True):
        if len(group.numbers) != 4 or not all(abs(v) <= LARGEST for v in group.numbers):
            problems.add("box_malformed")
            continue
        x1, y1, x2, y2 = group.numbers
        if not (x2 - x1 > MIN_SIDE and y2 - y1 > MIN_SIDE):
            problems.add("box_inverted")
            continue
        if task.labels and label is None:
            problems.add("box_label_unknown")
        boxes.append((x1, y1, x2, y2))
        kept.append(label)
    return BoxAnswer(boxes, kept, len(groups), around(boxes), frozenset(problems))


# ---------------------------------------------------------------------------------------------
# The usual answers, read at once
#
# They are JSON and nothing else: ``[[x1, y1, x2, y2], …]``, or a list of
# ``{"bbox_2d": [x1, y1, x2, y2], "label": "WBC"}``, in a code fence or not. A regular expression
# tells them, and a JSON parser reads them. What `_read_any` looks at besides is missing: around the
# numbers there is no word but labels, no empty list and no other number.


def _lists(number: str, space: str, after: str, fences: tuple[str, str]) -> re.Pattern[str]:
    """Return what matches a list of boxes, or of objects with a box and a label each.

    Args:
        number: a number.
        space: what may stand around brackets and before commas and colons.
        after: what stands after commas and colons.
        fences: what may stand before and behind the list.
    """
    comma, colon = f"{space},{after}", f"{space}:{after}"
    box = rf"\[{space}{comma.join([number] * 4)}{space}\]"
    entries = rf'"bbox_2d"{colon}{box}{comma}"label"{colon}"[\w .,/+-]{{1,100}}+"'
    kinds = (box, rf"\{{{space}{entries}{space}\}}")
    lists = (rf"{one}(?:{comma}{one}){{0,{MAX_BOXES - 1}}}" for one in kinds)
    body = rf"\[{space}(?:{'|'.join(lists)}){space}\]"
    return re.compile(f"{fences[0]}{body}{fences[1]}", re.ASCII)


# Numbers as JSON has them, below `LARGEST`. Possessive quantifiers, which save time, stand behind
# single characters only: behind groups, Python before 3.11.4 matches more than it should.
_WHOLE = r"(?:0|[1-9]\d{0,8}+)"
_NUMBER = rf"-?+{_WHOLE}(?:\.\d{{1,15}}+)?"
_SPACE = r"[ \t\r\n]{0,40}+"
_FENCES = rf"{_SPACE}(?:```(?:json)?)?{_SPACE}", rf"{_SPACE}(?:```)?{_SPACE}"


@cache
def _plain_lists() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return what matches lists of whole numbers as json.dumps writes them, and any; late."""
    return _lists(_WHOLE, "", " ", ("", "")), _lists(_NUMBER, _SPACE, _SPACE, _FENCES)


def _read_plain(answer: str, task: Task) -> BoxAnswer | None:
    """Return the boxes of a usual answer if each has an area and a label that is told at once."""
    dumped, plain = _plain_lists()
    is_dumped = dumped.fullmatch(answer) is not None
    if len(answer) > MAX_LENGTH or not (is_dumped or plain.fullmatch(answer)):
        return None
    items = json.loads(answer[answer.index("[") : answer.rindex("]") + 1])
    names = [""] * len(items)
    if "{" in answer:
        items, names = [one["bbox_2d"] for one in items], [one["label"] for one in items]
    x1, y1, x2, y2 = zip(*items, strict=True)
    have_areas = min(map(sub, x2, x1)) > MIN_SIDE and min(map(sub, y2, y1)) > MIN_SIDE
    labels = _plain_labels(names, task) if have_areas else None
    if not labels:
        return None
    text = _as_in_targets(answer, names, task) if is_dumped else ""
    boxes: list[Box] = [*map(tuple, items)]
    outer = min(x1), min(y1), max(x2), max(y2)
    return BoxAnswer(boxes, labels, len(boxes), outer, text=text)


def _as_in_targets(answer: str, names: Sequence[str], task: Task) -> str:
    """Return an answer in the form of json.dumps as a target has it, "" if it names otherwise."""
    if not task.labels:
        return "" if names[0] else answer
    is_exact = {label.name for label in task.labels}.issuperset(names)
    return answer.replace('"bbox_2d"', '"box"') if is_exact else ""


def _plain_labels(names: Sequence[str], task: Task) -> list[int | None] | None:
    """Return the labels of that name ("": none is named), None if one is not told at once."""
    known: dict[str, int | None] = {}
    for name in set(names):
        labels = _alone(name, task) if len(known) <= len(task.labels) else None
        if labels is None:
            return None
        known[name] = labels[0]
    return [known[name] for name in names]


@lru_cache(maxsize=4096)
def _alone(name: str, task: Task) -> Sequence[int | None] | None:
    """Return the label of a box of that name as `_read_any` reads it, alone in a sequence.

    None: other boxes may change it. They cannot where its label says nothing of there being
    nothing, and no form that the task knows goes on over the beginning of a next box.
    """
    answer = json.dumps([{"bbox_2d": [0, 0, 1, 1], "label": name} if name else [0, 0, 1, 1]])
    found = _read_any(answer, task)
    mentions = task.lexicon.find(split_answer(answer))
    mentioned = {mention.label for mention in mentions if not mention.is_denied_in}
    if not found.boxes or found.problems or len(task.labels) in mentioned:
        return None
    goes_on = "bbox" in tokenize(f"{task.labels} {task.no_finding}")
    return None if goes_on else found.labels
