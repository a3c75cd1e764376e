"""The words by which a task's labels are named, and how they are found in an answer.

A label has one or more *forms* (its name and synonyms). Forms are found as whole words, longest
first, so "abnormal" is not "normal" and "severe nonproliferative" is not "severe". A small
misspelling is forgiven where it cannot turn one label into another, which is checked when the
lexicon is built.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, combinations, product
from typing import NamedTuple

from rapidfuzz.distance import DamerauLevenshtein

from medreward.errors import quote
from medreward.text.words import Words, mixes_scripts, split

# Shorter words are too close to each other for a typo to be told from another word.
MIN_TYPO_LENGTH = 6
# Answers that name labels are no longer (`medreward.kinds.reading.MAX_ANSWER_LENGTH`).
MAX_FORM_LENGTH = 1000
# A form that begins with "no" is also found with these: "no tumour", "no evidence of tumour".
_NO = ("no evidence of", "no sign of", "no signs of", "no visible", "without", "without any")
_SPACES = frozenset(("", " "))
_ENDS = frozenset(("", "."))
_HARD_STOPS = frozenset(".;:!?\n")


class Mention(NamedTuple):
    """A label named in a text: words ``start`` to ``stop`` (exclusive)."""

    label: int
    start: int
    stop: int


class Lexicon:
    """Finds the labels that a text names.

    Args:
        forms: for every label, the forms by which it may be named.
        max_typos: edits (insertion, deletion, substitution, swap of neighbours; the
            Damerau-Levenshtein distance) forgiven in a word of at least `MIN_TYPO_LENGTH` ASCII
            letters whose first letter is right: 0 or 1.

    Raises:
        ValueError: if a form has no word, if two labels share a form, or if one misspelling could
            stand for two labels.
    """

    def __init__(self, forms: Sequence[Sequence[str]], max_typos: int = 1) -> None:
        self.max_typos = max_typos
        self._label_of: dict[tuple[str, ...], int] = {}
        # Beginnings of forms up to a comma, and up to a mark that would end a sentence.
        self._before_comma: set[tuple[str, ...]] = set()
        self._before_stop: set[tuple[str, ...]] = set()
        for label, texts in enumerate(forms):
            for text in texts:
                self._add(label, text, forms)
        for form, label in list(self._label_of.items()):
            if form[0] == "no" and len(form) > 1:
                for words in _NO:
                    self._label_of.setdefault((*words.split(), *form[1:]), label)
        self._longest = max(map(len, self._label_of), default=0)
        self._words = frozenset(word for form in self._label_of for word in form)
        self._prefixes = frozenset(
            form[:n] for form in self._label_of for n in range(1, len(form) + 1)
        )
        self._typo_targets = _by_initial(self._words) if max_typos else {}
        if max_typos:
            self._check_apart(forms)

    def find(self, text: Words) -> list[Mention]:
        """Return the labels that `text` names, in order, each the longest form at its place."""
        words = [self._correct(word) for word in text.words]
        mentions = []
        start = 0
        while start < len(words):
            stop = self._match(words, text.gaps, start)
            if stop > start:
                mentions.append(Mention(self._label_of[tuple(words[start:stop])], start, stop))
            start = max(stop, start + 1)
        return mentions

    def label(self, form: str) -> int | None:
        """Return the label of which `form` is exactly a form (no typo forgiven), or None."""
        return self._label_of.get(split(form).words)

    def exact(self, text: Words) -> int | None:
        """Return the label of which `text` is a form and nothing else but a full stop, or None."""
        label = self._label_of.get(text.words)
        if label is None or not _SPACES.issuperset(text.gaps[:-1]) or text.gaps[-1] not in _ENDS:
            return None
        return None if any(map(mixes_scripts, text.words)) else label

    def _add(self, label: int, text: str, forms: Sequence[Sequence[str]]) -> None:
        if len(text) > MAX_FORM_LENGTH:
            raise ValueError(
                f"the name or synonym {quote(text)} has {len(text)} characters; at most "
                f"{MAX_FORM_LENGTH} are allowed, as no longer answer is read"
            )
        words, gaps = split(text)
        if not words:
            raise ValueError(f"the name or synonym {text!r} has no letter or digit to be found by")
        other = self._label_of.setdefault(words, label)
        for n in range(1, len(words)):
            if "," in gaps[n]:
                self._before_comma.add(words[:n])
            if not _HARD_STOPS.isdisjoint(gaps[n]):
                self._before_stop.add(words[:n])
        if other != label:
            raise ValueError(
                f"{text!r} names two labels, {forms[other][0]!r} and {forms[label][0]!r}; "
                f"a name or synonym may belong to one label only"
            )

    def _match(self, words: Sequence[str], gaps: Sequence[str], start: int) -> int:
        """Return where the longest form that begins at `start` ends (`start` for none)."""
        best = start
        for stop in range(start + 1, min(start + self._longest, len(words)) + 1):
            if stop > start + 1 and self._parts(words[start : stop - 1], gaps[stop - 1]):
                break
            candidate = tuple(words[start:stop])
            if candidate not in self._prefixes:
                break
            if candidate in self._label_of:
                best = stop
        return best

    def _parts(self, before: Sequence[str], gap: str) -> bool:
        """Whether `gap` keeps a form from going on: "pleural, effusion" is no pleural effusion."""
        comma = "," in gap and tuple(before) not in self._before_comma
        stop = not _HARD_STOPS.isdisjoint(gap) and tuple(before) not in self._before_stop
        return comma or stop

    def _correct(self, word: str) -> str:
        """Return the one known word that `word` is a misspelling of, or `word` itself."""
        if word in self._words or not _may_have_typo(word, self.max_typos):
            return word
        near = [
            known
            for known in self._typo_targets.get(word[0], ())
            if abs(len(known) - len(word)) <= self.max_typos
            and DamerauLevenshtein.distance(known, word, score_cutoff=self.max_typos)
            <= self.max_typos
        ]
        return min(near) if near else word

    def _check_apart(self, forms: Sequence[Sequence[str]]) -> None:
        """Make sure that no misspelling is within reach of forms of two labels."""
        for group in _comparable(self._label_of):
            # Two forms without a word in which a typo is forgiven are equal or apart.
            with_typos = [form for form in group if any(map(self._is_forgiving, form))]
            without = [form for form in group if not any(map(self._is_forgiving, form))]
            for one, other in chain(combinations(with_typos, 2), product(with_typos, without)):
                label, rival = self._label_of[one], self._label_of[other]
                if label != rival and all(map(self._reachable, one, other)):
                    raise ValueError(
                        f"{' '.join(one)!r} and {' '.join(other)!r} are so close that a "
                        f"misspelling could stand for both {forms[label][0]!r} and "
                        f"{forms[rival][0]!r}; set max_typos: 0 for this task"
                    )

    def _is_forgiving(self, word: str) -> bool:
        return _may_have_typo(word, self.max_typos)

    def _reachable(self, one: str, other: str) -> bool:
        """Whether some spelling would be corrected to either word."""
        reach = sum(self.max_typos for w in (one, other) if self._is_forgiving(w))
        return DamerauLevenshtein.distance(one, other, score_cutoff=reach) <= reach


def _may_have_typo(word: str, max_typos: int) -> bool:
    return len(word) >= MIN_TYPO_LENGTH - max_typos and word.isascii() and word.isalpha()


def _by_initial(words: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """Group the words in which a typo is forgiven by their first letter."""
    groups: dict[str, list[str]] = defaultdict(list)
    for word in sorted(words):
        if _may_have_typo(word, 0):
            groups[word[0]].append(word)
    return {initial: tuple(group) for initial, group in groups.items()}


def _comparable(
    label_of: Mapping[tuple[str, ...], int],
) -> Iterator[list[tuple[str, ...]]]:
    """Group forms that one misspelling could confuse: as many words, the same initials."""
    groups: dict[tuple[str, ...], list[tuple[str, ...]]] = defaultdict(list)
    for form in label_of:
        groups[tuple(word[0] for word in form)].append(form)
    return iter(groups.values())
