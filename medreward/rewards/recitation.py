"""R_recite: BLEU-4 between the reasoning and the knowledge that was injected into the prompt.

With modified n-gram precisions p_1 … p_4 of the reasoning (h tokens) against the knowledge
(r tokens), a precision without a match taken as 0.1/denominator::

    BLEU = BP * exp((ln p_1 + ln p_2 + ln p_3 + ln p_4) / 4)
    BP = 1 if h > r else exp(1 - r/h)

and 0 where not one word matches: BLEU of Papineni et al. (ACL 2002) with smoothing method 1 of
Chen & Cherry (WMT 2014), equal to nltk's ``sentence_bleu([knowledge], reasoning,
smoothing_function=SmoothingFunction().method1)`` on the same tokens. VRFT-Aug adds it with a sign
δ: δ⁺ encourages recitation, δ⁻ penalises it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache

from medreward.words import tokenize

ORDER = 4
EPSILON = 0.1


class Reference:
    """A knowledge text whose n-grams are counted once and compared with many completions.

    >>> knowledge = Reference("Lobar consolidation suggests bacterial pneumonia.")
    >>> knowledge.bleu("Lobar consolidation suggests bacterial pneumonia.")
    1.0
    >>> knowledge.bleu("The heart is of normal size.")
    0.0
    """

    def __init__(self, text: str) -> None:
        tokens = tokenize(text)
        self.length = len(tokens)
        # The n-grams as a tree: 0 is the root, and a child is its parent's n-gram and a word more.
        self._children: list[dict[str, int]] = [{}]
        self._counts = [0]
        for start in range(len(tokens)):
            node = 0
            for word in tokens[start : start + ORDER]:
                node = self._child(node, word)
                self._counts[node] += 1

    def bleu(self, text: str) -> float:
        """Return the BLEU-4 of `text` against the knowledge, in [0, 1]."""
        tokens = tokenize(text)
        logs = []
        for n, matches in enumerate(self._matches(tokens), start=1):
            if n == 1 and matches == 0:
                return 0.0
            total = max(1, len(tokens) - n + 1)
            logs.append(math.log((matches or EPSILON) / total))
        return self._brevity_penalty(len(tokens)) * math.exp(math.fsum(logs) / ORDER)

    def _child(self, node: int, word: str) -> int:
        """Return the n-gram at `node` with `word` behind it; it is made where it is new."""
        children = self._children[node]
        if word not in children:
            children[word] = len(self._counts)
            self._counts.append(0)
            self._children.append({})
        return children[word]

    def _matches(self, tokens: Sequence[str]) -> Iterator[int]:
        """Yield for n = 1 … 4 how many n-grams match, each at most as often as it is known."""
        children, counts = self._children, self._counts
        words = [*tokens, ""]  # no word is empty: nothing known goes on beyond the end
        # Known n-grams in the text: the index of the word behind each, and its node.
        places = enumerate(map(children[0].get, tokens), start=1)
        known = [(after, node) for after, node in places if node]
        for _ in range(ORDER):
            found = Counter([node for _, node in known])
            yield sum(map(min, found.values(), map(counts.__getitem__, found)))
            known = [
                (after + 1, longer)
                for after, node in known
                if (longer := children[node].get(words[after]))
            ]

    def _brevity_penalty(self, length: int) -> float:
        return 1.0 if length > self.length else math.exp(1 - self.length / length)


@lru_cache(maxsize=256)
def reference(knowledge: str) -> Reference | None:
    """Return the counted `knowledge`, or None if it has no words; a group's is counted once."""
    counted = Reference(knowledge)
    return counted if counted.length else None
