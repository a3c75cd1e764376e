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
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import repeat
from typing import Any, TypeAlias

from medreward.scoring.judged import Judged
from medreward.scoring.parts.base import Part
from medreward.task.settings import RewardSettings
from medreward.text.words import tokenize

ORDER = 4
EPSILON = 0.1
# Smoothed BLEU is hardly ever 0; less than this is not worth a reason code.
_NOTICEABLE = 0.01
# Completions that are counted together: more would take memory and no less time.
_TOGETHER = 64
_MOST_COUNTS = 2**20

Integers: TypeAlias = Any  # a numpy array of int64; numpy is imported late


class Reference:
    """A knowledge text whose n-grams are counted once and compared with many completions.

    The known n-grams of each order are numbered from 0. An n-gram's code is (the number of its
    first n - 1 words) * (number of known words + 1) + (the number of its last word); the codes are
    sorted, and an n-gram's number is the place of its code.

    >>> knowledge = Reference("Lobar consolidation suggests bacterial pneumonia.")
    >>> knowledge.bleu("Lobar consolidation suggests bacterial pneumonia.")
    1.0
    >>> knowledge.bleu("The heart is of normal size.")
    0.0
    """

    def __init__(self, text: str) -> None:
        import numpy as np

        tokens = tokenize(text)
        self.length = len(tokens)
        self._number_of = {word: i for i, word in enumerate(dict.fromkeys(tokens))}
        words = self._numbers(tokens)
        number = words
        self._codes: list[Integers] = []
        self._counts: list[Integers] = [np.bincount(words)]
        for n in range(1, ORDER):
            code = self._extended(number[:-1], words[n:])
            codes, number, counts = np.unique(code, return_inverse=True, return_counts=True)
            # A last code that is never found: every search ends at a place that exists.
            self._codes.append(np.append(codes, np.iinfo(np.int64).max))
            self._counts.append(counts)

    def bleu(self, text: str) -> float:
        """Return the BLEU-4 of `text` against the knowledge, in [0, 1]."""
        return self.bleus([text])[0]

    def bleus(self, texts: Sequence[str]) -> list[float]:
        """Return the BLEU-4 of each text against the knowledge, in [0, 1]."""
        together = max(1, min(_TOGETHER, _MOST_COUNTS // max(1, self.length)))
        found: list[float] = []
        known = self._number_of.keys()
        for start in range(0, len(texts), together):
            tokenized = [tokenize(text) for text in texts[start : start + together]]
            found += [0.0] * len(tokenized)
            # A text without a known word is 0, and is not worth the cost of a call of numpy.
            places = [i for i, tokens in enumerate(tokenized) if not known.isdisjoint(tokens)]
            if places:
                some = [tokenized[i] for i in places]
                by_order = [matches.tolist() for matches in self._matches(some)]
                for i, tokens, matches in zip(
                    places, some, zip(*by_order, strict=True), strict=True
                ):
                    found[start + i] = self._bleu(len(tokens), matches)
        return found

    def _bleu(self, length: int, matches: Sequence[int]) -> float:
        """Return the BLEU-4 of a text with so many tokens and matches of each order."""
        if matches[0] == 0:
            return 0.0
        logs = [
            math.log((count or EPSILON) / max(1, length - n)) for n, count in enumerate(matches)
        ]
        penalty = 1.0 if length > self.length else math.exp(1 - self.length / length)
        return penalty * math.exp(math.fsum(logs) / ORDER)

    def _matches(self, texts: Sequence[Sequence[str]]) -> Iterator[Integers]:
        """Yield for n = 1 … 4 how many n-grams of each text match, each as often as it is known."""
        import numpy as np

        # All words in a row, with an unknown one behind each text: no n-gram reaches into the next.
        row: list[str] = []
        for text in texts:
            row += text
            row.append("")
        words = self._numbers(row)
        text_of: Integers = np.repeat(np.arange(len(texts)), [len(text) + 1 for text in texts])
        # Of each known n-gram: where its last word stands, and its number.
        last: Integers = np.flatnonzero(words < len(self._number_of))
        number = words[last]
        yield self._clipped(text_of[last], number, self._counts[0], len(texts))
        for codes, counts in zip(self._codes, self._counts[1:], strict=True):
            last = last + 1
            code = self._extended(number, words[last])
            place: Integers = np.searchsorted(codes, code)
            is_known = codes[place] == code
            last, number = last[is_known], place[is_known]
            yield self._clipped(text_of[last], number, counts, len(texts))

    def _numbers(self, tokens: Sequence[str]) -> Integers:
        """Return the numbers of words; those that are not known have the next one."""
        import numpy as np

        unknown = repeat(len(self._number_of))
        return np.fromiter(map(self._number_of.get, tokens, unknown), np.int64, len(tokens))

    def _extended(self, number: Integers, word: Integers) -> Integers:
        """Return the codes of n-grams that are a word longer than those with these numbers."""
        return number * (len(self._number_of) + 1) + word

    @staticmethod
    def _clipped(text_of: Integers, number: Integers, counts: Integers, texts: int) -> Integers:
        """Return for each text how many n-grams match, of each at most `counts`."""
        import numpy as np

        known = len(counts)
        found = np.bincount(text_of * known + number, minlength=texts * known)
        return np.minimum(found.reshape(texts, known), counts).sum(axis=1)


@lru_cache(maxsize=256)
def reference(knowledge: str) -> Reference:
    """Return the counted `knowledge`; a group's, and a task's, is counted once."""
    return Reference(knowledge)


class Recitation(Part):
    """δ * BLEU of the reasoning against the knowledge.

    δ⁻ charges every completion: if an answer that cannot be read were spared, it would earn more
    than an honest wrong one behind the same reasoning, and a policy would learn to hedge. δ⁺ pays
    beside an answer that can be read and, where the gate asks for it, is right.
    """

    name = "recitation"
    default_weight = 0.05

    def bounds(self, settings: RewardSettings) -> tuple[float, float]:
        """Return 0 and 1 for δ⁺, -1 and 0 for δ⁻."""
        return min(settings.delta, 0) * 1.0, max(settings.delta, 0) * 1.0

    def values(self, rows: Sequence[Judged], settings: RewardSettings) -> list[float]:
        """Return δ * BLEU of each reasoning, compared in one pass for each knowledge text."""
        found = [0.0] * len(rows)
        sharing: dict[str, list[int]] = defaultdict(list)
        for i, row in enumerate(rows):
            if _counts(row, settings):
                sharing[row.knowledge].append(i)
        for knowledge, places in sharing.items():
            bleus = reference(knowledge).bleus([rows[i].completion.reasoning for i in places])
            for i, bleu in zip(places, bleus, strict=True):
                found[i] = settings.delta * bleu + 0.0  # never -0.0
        return found

    def reasons(self, row: Judged, value: float) -> tuple[str, ...]:
        """Return which way it counted, where that is noticeable."""
        if abs(value) < _NOTICEABLE:
            return ()
        return ("recitation_rewarded" if value > 0 else "recitation_penalised",)

    def at_stake(self, settings: RewardSettings) -> float:
        """Return 0 where it is left out or paid beside right answers only, else 1."""
        gated = settings.delta == 0 or "recitation_needs_accuracy" in settings.gates
        return 0.0 if gated else 1.0

    def signature(self, settings: RewardSettings) -> dict[str, str]:
        """Return the variant of BLEU."""
        return {"bleu": f"{ORDER},method1"}


def _counts(row: Judged, settings: RewardSettings) -> bool:
    if settings.delta <= 0:
        return settings.delta < 0
    if "recitation_needs_accuracy" in settings.gates:
        return row.verdict.reason == "correct"
    return row.verdict.prediction is not None
