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
        self._counts = [Counter(_ngrams(tokens, n)) for n in range(1, ORDER + 1)]

    def bleu(self, text: str) -> float:
        """Return the BLEU-4 of `text` against the knowledge, in [0, 1]."""
        tokens = tokenize(text)
        logs = []
        for n, known in enumerate(self._counts, start=1):
            matches = self._matches(tokens, n, known)
            if n == 1 and matches == 0:
                return 0.0
            total = max(1, len(tokens) - n + 1)
            logs.append(math.log((matches or EPSILON) / total))
        return self._brevity_penalty(len(tokens)) * math.exp(math.fsum(logs) / ORDER)

    @staticmethod
    def _matches(tokens: Sequence[str], n: int, known: Counter[tuple[str, ...]]) -> int:
        """Count the n-grams that the knowledge has, each at most as often as it has it."""
        found = Counter(gram for gram in _ngrams(tokens, n) if gram in known)
        return sum(min(count, known[gram]) for gram, count in found.items())

    def _brevity_penalty(self, length: int) -> float:
        return 1.0 if length > self.length else math.exp(1 - self.length / length)


@lru_cache(maxsize=256)
def reference(knowledge: str) -> Reference | None:
    """Return the counted `knowledge`, or None if it has no words; a group's is counted once."""
    counted = Reference(knowledge)
    return counted if counted.length else None


def _ngrams(tokens: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    return zip(*(tokens[i:] for i in range(n)), strict=False)
