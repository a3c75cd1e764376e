"""Tables of labels and verdicts in a segment, as groups of a pair each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from medreward.language.tokens import DENIED_IN, LABEL
from medreward.language.word_groups import WordGroup

# Joins labels that stand side by side with nothing between them.
_BESIDE = "~"
_BEHIND_TABLE = re.compile(r"(?:[LS]+[nayp]){2,}")
_BEFORE_TABLE = re.compile(r"(?:[nydtpa][LS]+){2,}")
_CONTRAST = re.compile(r"[LS]+(?:[dt][LS]+)+")  # "A rather than B"
_ENDS_PAIR = re.compile(r"[ap][LS]+")
_PAIRS = {
    _BEHIND_TABLE: re.compile(r"[LS]+[nayp]"),
    _BEFORE_TABLE: re.compile(r"[nydtpa][LS]+"),
    _CONTRAST: re.compile(r"[dt]?[LS]+"),
}
# Verdicts before and behind one label that agree: "no A seen", "yes, A present".


def without_tables(groups: Sequence[WordGroup]) -> Iterator[WordGroup]:
    """Yield groups, the pairs of a table as groups of their own."""
    codes = [group.codes for group in groups]
    labels = {LABEL, DENIED_IN}
    if len(groups) >= 4 and len(groups) % 2 == 0:
        verdicts = all(code in ("n", "y", "a", "p") for code in codes[::2])
        is_table = all(group.joiner in (",", ":") for group in groups[1::2])
        named = all(set(code) <= labels for code in codes[1::2])
        if verdicts and is_table and named:  # "no, A, yes, B"
            yield from (_joined(*groups[i : i + 2]) for i in range(0, len(groups), 2))
            return
    inner = codes[1:-1]
    is_open = bool(inner) and set(codes[0]) <= labels and codes[-1] in ("a", "p")
    if is_open and all(_ENDS_PAIR.fullmatch(code) for code in inner):  # "A) false B) true"
        tokens = [token for group in groups for token in group.tokens]
        yield from _split_table(WordGroup(groups[0].joiner, groups[0].place, tokens))
        return
    for group in groups:
        yield from _split_table(group)


def _joined(verdict: WordGroup, labels: WordGroup) -> WordGroup:
    """Return a verdict and the labels behind it as one group."""
    return WordGroup(
        verdict.joiner and ",",
        verdict.place,
        [*verdict.tokens, *labels.tokens],
        verdict.has_modifier or labels.has_modifier,
        verdict.has_carrier or labels.has_carrier,
        has_part=verdict.has_part or labels.has_part,
    )


def _split_table(group: WordGroup) -> Iterator[WordGroup]:
    codes = group.codes
    for table, pair in _PAIRS.items():
        if table.fullmatch(codes):
            for i, found in enumerate(pair.finditer(codes)):
                tokens = group.tokens[found.start() : found.end()]
                joiner = "," if i else group.joiner
                yield replace(
                    group, joiner=joiner, place=tokens[0].place, tokens=tokens, is_clause=False
                )
            return
    yield from _split_labels(group)


def _split_labels(group: WordGroup) -> Iterator[WordGroup]:
    """Yield a group, or one for each of the labels that stand side by side in it."""
    start = 0
    for i in range(1, len(group.tokens)):
        one, other = group.tokens[i - 1], group.tokens[i]
        if one.code == other.code == LABEL and one.label != other.label:
            yield _slice(group, start, i)
            start = i
    yield _slice(group, start, len(group.tokens)) if start else group


def _slice(group: WordGroup, start: int, stop: int) -> WordGroup:
    joiner = _BESIDE if start else group.joiner
    return replace(group, joiner=joiner, tokens=group.tokens[start:stop], is_clause=False)
