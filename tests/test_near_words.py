"""Words that are near each other are found without comparing each with each."""

from __future__ import annotations

import random
from itertools import combinations

import pytest
from rapidfuzz.distance import DamerauLevenshtein

from medreward.language import near_words
from medreward.language.near_words import cluster_words
from tests.growth import Work, assert_linear


def is_near(one: str, other: str) -> bool:
    return DamerauLevenshtein.distance(one, other) <= min(edits(one), edits(other))


def edits(word: str) -> int:
    return 2 if len(word) % 3 else 1


def clusters_by_pairs(words: list[str]) -> set[frozenset[str]]:
    """Return the clusters, by comparing each word with each."""
    cluster = {word: {word} for word in words}
    for one, other in combinations(words, 2):
        if is_near(one, other) and cluster[one] is not cluster[other]:
            cluster[one] |= cluster[other]
            for word in cluster[one]:
                cluster[word] = cluster[one]
    return set(map(frozenset, cluster.values()))


@pytest.mark.parametrize("few", [0, 4, 1000])
@pytest.mark.parametrize("seed", range(20))
def test_clusters_are_those_of_all_pairs(
    monkeypatch: pytest.MonkeyPatch, seed: int, few: int
) -> None:
    monkeypatch.setattr(near_words, "_FEW", few)
    chance = random.Random(seed)
    letters, longest = chance.choice(["ab", "abcd", "abcdefghij"]), chance.choice([6, 12, 24])
    words = {
        "x" + "".join(chance.choices(letters, k=chance.randint(0, longest))) for _ in range(60)
    }
    words |= {word[:i] + word[i + 1 :] + "a" for word in [*words][:20] for i in [len(word) // 2]}
    given = sorted(word for word in words if word[:1] == "x")
    found: dict[str, set[str]] = {}
    for word, first in cluster_words(given, edits, is_near).items():
        found.setdefault(first, set()).add(word)
    assert set(map(frozenset, found.values())) == clusters_by_pairs(given)


def test_the_time_for_many_words_does_not_grow_with_their_pairs() -> None:
    def work(count: int) -> Work:
        chance = random.Random(0)
        words = sorted({"l" + "".join(chance.choices("abcdefghij", k=11)) for _ in range(count)})
        return lambda: cluster_words(words, edits, is_near)

    assert_linear(work, 10_000)
