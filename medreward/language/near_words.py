"""Words that a few edits turn into each other, found without comparing each with each.

Up to d edits (insertion, deletion, substitution, swap of neighbours) lie between two words. Then
what is left of their beginnings is the same if up to d letters are left out of each, and so it is
with their endings (symmetric deletion, as in SymSpell). Words that share neither are not compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations

# Of a word's beginning and end: 6 letters have 22 forms with up to two left out.
_LETTERS = 6
# Fewer words are compared at once.
_FEW = 32

Cut = Callable[[str], str]


def cluster_words(
    words: Iterable[str], edits: Callable[[str], int], is_near: Callable[[str, str], bool]
) -> dict[str, str]:
    """Return for each word the first one of its cluster: near ones, those near them, and so on.

    Args:
        words: the words, each once; their first letters are the same in words that are near.
        edits: how many edits there may be between a word and one that is near, at most 2.
        is_near: whether two words are near.

    >>> from rapidfuzz.distance import DamerauLevenshtein as edit
    >>> words = ["normal", "normla", "nodule"]
    >>> cluster_words(words, lambda word: 1, lambda one, other: edit.distance(one, other) < 2)
    {'normal': 'normal', 'normla': 'normal', 'nodule': 'nodule'}
    """
    first = {word: word for word in words}

    def root(word: str) -> str:
        while first[word] != word:
            first[word] = first[first[word]]
            word = first[word]
        return word

    for one, other in _candidates([*first], edits):
        start, end = root(one), root(other)
        if start != end and is_near(one, other):
            first[end] = start
    return {word: root(word) for word in first}


def _candidates(words: Sequence[str], edits: Callable[[str], int]) -> Iterator[tuple[str, str]]:
    """Yield the pairs of words that may be near, some of them several times."""
    for bucket in _buckets(words, edits, lambda word: word[: _LETTERS + 1]):
        if len(bucket) <= _FEW:
            yield from combinations(bucket, 2)
            continue
        for smaller in _buckets(bucket, edits, lambda word: word[0] + word[1:][-_LETTERS:]):
            yield from combinations(smaller, 2)


def _buckets(
    words: Sequence[str], edits: Callable[[str], int], cut: Cut
) -> Iterable[tuple[str, ...]]:
    """Return words that share a form of what is cut out of them, each set of words once."""
    sharing: dict[str, list[str]] = defaultdict(list)
    for word in words:
        initial, rest = cut(word)[0], cut(word)[1:]
        for left in _without_letters(rest, edits(word)):
            sharing[initial + left].append(word)
    return dict.fromkeys(tuple(bucket) for bucket in sharing.values() if len(bucket) > 1)


def _without_letters(text: str, most: int) -> set[str]:
    """Return a text with none up to `most` of its letters left out, in every way.

    >>> sorted(_without_letters("abc", 1))
    ['ab', 'abc', 'ac', 'bc']
    """
    found = last = {text}
    for _ in range(most):
        last = {left[:i] + left[i + 1 :] for left in last for i in range(len(left))}
        found = found | last
    return found
