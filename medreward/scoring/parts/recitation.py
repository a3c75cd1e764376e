"""R_recite: how much of the reasoning is copied from the knowledge in the prompt.

By default it is BLEU-4.

With modified n-gram precisions p_1 … p_4 of the reasoning (h tokens) against the knowledge
(r tokens), a precision without a match taken as 0.1/denominator::

    BLEU = BP * exp((ln p_1 + ln p_2 + ln p_3 + ln p_4) / 4)
    BP = 1 if h > r else exp(1 - r/h)

and 0 where not one word matches: BLEU of Papineni et al. (ACL 2002) with smoothing method 1 of
Chen & Cherry (WMT 2014), equal to nltk's ``sentence_bleu([knowledge], reasoning,
smoothing_function=SmoothingFunction().method1)`` on the same tokens. VRFT-Aug adds it with a sign
δ: δ⁺ encourages recitation, δ⁻ penalises it.

BP makes it vanish where the reasoning is much shorter than the knowledge: 7 words copied from 140
are worth 6e-9 at most, and δ⁺, δ⁻ and δ = 0 are the same run. Two other measures have no such term
(`recitation_measure`)::

    precision    exp((ln p_1 + ln p_2 + ln p_3 + ln p_4) / 4)
    containment  (length of the longest run of words that the knowledge has too) / h

both in [0, 1]; `largest_recitation` says what a measure can reach at given lengths.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from itertools import repeat
from typing import Any, TypeAlias

from medreward.errors import ConfigError, quote
from medreward.scoring.judged import Judged
from medreward.scoring.parts.base import Part
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.task.traits import Trait
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

        tokens = self._tokens = tokenize(text)
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

    def values(self, measure: str, texts: Sequence[str]) -> list[float]:
        """Return a measure of each text against the knowledge, in [0, 1].

        >>> knowledge = Reference("Lobar consolidation suggests bacterial pneumonia.")
        >>> [round(knowledge.values(name, ["I see lobar consolidation"])[0], 3)
        ...  for name in ("bleu", "precision", "containment")]
        [0.132, 0.17, 0.5]
        """
        if measure == "containment":
            return [self.run(tokenize(text)) for text in texts]
        return self.bleus(texts, brevity=measure == "bleu")

    def run(self, tokens: Sequence[str]) -> float:
        """Return the longest run of words that the knowledge has too, as a share of all of them."""
        longest = self._runs.longest(tokens)
        return longest / len(tokens) if tokens else 0.0

    def bleus(self, texts: Sequence[str], *, brevity: bool = True) -> list[float]:
        """Return the BLEU-4 of each text against the knowledge, or its precision alone."""
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
                    found[start + i] = _bleu(len(tokens), self.length, matches, brevity=brevity)
        return found

    @cached_property
    def _runs(self) -> RunFinder:
        return RunFinder(self._tokens)

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


def _bleu(length: int, known: int, matches: Sequence[int], *, brevity: bool) -> float:
    """Return the BLEU-4 of `length` tokens against `known` ones, with matches of each order."""
    if matches[0] == 0:
        return 0.0
    logs = [math.log((count or EPSILON) / max(1, length - n)) for n, count in enumerate(matches)]
    is_short = brevity and length <= known
    penalty = math.exp(1 - known / length) if is_short else 1.0
    return penalty * math.exp(math.fsum(logs) / ORDER)


class RunFinder:
    """Finds the longest run of words that a text has with a known one, in time linear in both.

    A suffix automaton (Blumer et al., Theoretical Computer Science 40:31-55, 1985): each state
    stands for runs of the known text that end at the same places.

    >>> RunFinder("a b c a b d".split()).longest("x a b d y a b c".split())
    3
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self._next: list[dict[str, int]] = [{}]
        self._link, self._length = [-1], [0]
        last = 0
        for token in tokens:
            last = self._add(token, last)

    def _add(self, token: str, last: int) -> int:
        """Add the next word of the known text; return the state of the whole of it."""
        new = self._state({}, self._length[last] + 1)
        at = last
        while at >= 0 and token not in self._next[at]:
            self._next[at][token] = new
            at = self._link[at]
        if at < 0:
            self._link[new] = 0
            return new
        known = self._next[at][token]
        if self._length[known] == self._length[at] + 1:
            self._link[new] = known
            return new
        copy = self._state(dict(self._next[known]), self._length[at] + 1)
        self._link[copy] = self._link[known]
        while at >= 0 and self._next[at].get(token) == known:
            self._next[at][token] = copy
            at = self._link[at]
        self._link[known] = self._link[new] = copy
        return new

    def _state(self, following: dict[str, int], length: int) -> int:
        self._next.append(following)
        self._link.append(0)
        self._length.append(length)
        return len(self._next) - 1

    def longest(self, tokens: Sequence[str]) -> int:
        """Return the length of the longest run of `tokens` that the known text has."""
        at = length = longest = 0
        for token in tokens:
            while at and token not in self._next[at]:
                at = self._link[at]
                length = self._length[at]
            if token in self._next[at]:
                at = self._next[at][token]
                length += 1
                longest = max(longest, length)
        return longest


def largest_recitation(measure: str, reasoning: int, knowledge: int) -> float:
    """Return the most that R_recite can be for so many words of reasoning and of knowledge.

    >>> f"{largest_recitation('bleu', 7, 140):.0e}", largest_recitation("precision", 7, 140)
    ('6e-09', 1.0)
    """
    if not reasoning or not knowledge:
        return 0.0
    copied = min(reasoning, knowledge)
    if measure == "containment":
        return copied / reasoning
    matches = [max(0, copied - n) for n in range(ORDER)]
    return _bleu(reasoning, knowledge, matches, brevity=measure == "bleu")


def words_needed(measure: str, knowledge: int, value: float) -> int | None:
    """Return how many words of reasoning R_recite takes to reach a value; None if it never does.

    >>> words_needed("bleu", 140, 0.01), words_needed("precision", 140, 0.01)
    (25, 1)
    """
    lengths = range(1, knowledge + 1)
    return next((h for h in lengths if largest_recitation(measure, h, knowledge) >= value), None)


@lru_cache(maxsize=256)
def reference(knowledge: str) -> Reference:
    """Return the counted `knowledge`; a group's, and a task's, is counted once."""
    return Reference(knowledge)


class Recitation(Part):
    """δ * R_recite, the reasoning held against the knowledge.

    δ⁻ charges every completion: if an answer that cannot be read were spared, it would earn more
    than an honest wrong one behind the same reasoning, and a policy would learn to hedge. δ⁺ pays
    beside an answer that can be read and, where the gate asks for it, is right.
    """

    name = "recitation"
    default_weight = 0.05

    def bounds(self, settings: RewardSettings) -> tuple[float, float]:
        """Return 0 and 1 for δ⁺, -1 and 0 for δ⁻."""
        return min(settings.delta, 0) * 1.0, max(settings.delta, 0) * 1.0

    def check(self, task: Task, settings: RewardSettings) -> None:
        """Refuse recitation where a nearly right answer earns nearly all, as a place does."""
        if Trait.PLACES in task.traits and settings.delta:
            raise ConfigError(
                f"task {quote(task.name)}: recitation is not for {task.kind}, where overlap earns "
                f"credit up to 1 and any other term could outweigh it; set delta: 0"
            )

    def values(self, rows: Sequence[Judged], settings: RewardSettings) -> list[float]:
        """Return δ * R_recite of each reasoning, compared in one pass for each knowledge."""
        found = [0.0] * len(rows)
        sharing: dict[str, list[int]] = defaultdict(list)
        for i, row in enumerate(rows):
            if _counts(row, settings):
                sharing[row.knowledge].append(i)
        for knowledge, places in sharing.items():
            texts = [rows[i].completion.reasoning for i in places]
            values = reference(knowledge).values(settings.recitation_measure, texts)
            for i, value in zip(places, values, strict=True):
                found[i] = settings.delta * value + 0.0  # never -0.0
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
        uses_bleu = settings.recitation_measure != "containment"
        return {"bleu": f"{ORDER},method1"} if uses_bleu else {}


def _counts(row: Judged, settings: RewardSettings) -> bool:
    if settings.delta <= 0:
        return settings.delta < 0
    if "recitation_needs_accuracy" in settings.gates:
        return row.verdict.reason == "correct"
    return row.verdict.prediction is not None
