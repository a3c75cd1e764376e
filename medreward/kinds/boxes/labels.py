"""Which label an answer gives to each of its boxes.

The label of a box that is alone in its {} is named in there. That of any other is named before the
box, or else (where the first box has none before it) behind it. A box with only separators between
takes its neighbour's label, as in ``<ref>WBC</ref><box>…</box><box>…</box>``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from medreward.kinds.boxes.scan import Group, Scan, without_markup
from medreward.kinds.reading import MAX_ANSWER_LENGTH, read_one_asserted
from medreward.language.scope import stances
from medreward.task.task import Task
from medreward.text.words import split

_DENIALS = frozenset(("no", "not", "non", "never", "without", "isn't"))
# A field without a value says nothing of the boxes beside it: {"WBC": [[...]], "RBC": []}.
_BLANK = re.compile(
    r"\"[^\"\n]{0,80}\"\s{0,8}:\s{0,8}(?:\[[\[\]\s]{0,8}\]|null\b|\"(?:none)?\")"
    r"|'[^'\n]{0,80}'\s{0,8}:\s{0,8}(?:\[[\[\]\s]{0,8}\]|None\b|'(?:none)?')",
    re.IGNORECASE,
)


def box_labels(text: str, found: Scan, task: Task) -> list[int | None]:
    """Return the label of each group, None where none or more than one is named."""
    groups = found.groups
    if len(task.labels) < 2:
        return [0 if task.labels else None] * len(groups)
    reader = _Reader(task)
    own = _own_braces(text, found)
    before, after = _gaps(text, groups)
    follows = (
        own[0] is None and reader.prose(before[0]) is None and reader.prose(after[-1]) is not None
    )
    gaps = after[::-1] if follows else before
    labels: list[int | None] = []
    last: int | None = None
    for inside, gap in zip(own[::-1] if follows else own, gaps, strict=True):
        if inside is not None:
            last = reader.object(inside)
        elif any(map(str.isalpha, without_markup(gap))):
            last = reader.prose(gap)
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


def _gaps(text: str, groups: Sequence[Group]) -> tuple[list[str], list[str]]:
    """Return what stands before each group and what stands after, up to the next one."""
    starts = [*(group.start for group in groups), len(text)]
    stops = [0, *(group.stop for group in groups)]
    between = [text[stop:start] for stop, start in zip(stops, starts, strict=True)]
    return between[:-1], between[1:]


class _Reader:
    """Reads labels out of the same few texts again and again."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._known: dict[tuple[str, bool], int | None] = {}

    def prose(self, text: str) -> int | None:
        """Return the one label that a text asserts."""
        return self._remembered(text, False)

    def object(self, text: str) -> int | None:
        """Return the one label in a JSON object, whose other fields mean nothing here."""
        return self._remembered(text, True)

    def _remembered(self, text: str, is_object: bool) -> int | None:
        key = text, is_object
        if key not in self._known:
            self._known[key] = self._read(text, is_object)
        return self._known[key]

    def _read(self, text: str, is_object: bool) -> int | None:
        if len(text) > MAX_ANSWER_LENGTH:
            return None
        words = split(without_markup(_BLANK.sub(" ", text)))
        mentions = self._task.lexicon.find(words)
        nothing = len(self._task.labels)
        if is_object:
            named = {mention.label for mention in mentions}
            is_plain = len(named) == 1 and nothing not in named and "?" not in text
            return named.pop() if is_plain and _DENIALS.isdisjoint(words.words) else None
        found = stances(words, mentions)
        after = [*mentions, None][1:]
        kept = [
            (mention, stance)
            for mention, stance, following in zip(mentions, found, after, strict=True)
            if mention.label != nothing and not (following and following.label == nothing)
        ]
        return read_one_asserted(words, [m for m, _ in kept], [s for _, s in kept], "label").label
