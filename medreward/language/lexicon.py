"""The words by which a task's labels are named, and how they are found in an answer.

A label has one or more *forms* (its name and synonyms). Forms are found as whole words, longest
first, so "abnormal" is not "normal" and "severe nonproliferative" is not "severe". A small
misspelling is forgiven where it cannot turn one label into another, which is checked when the
lexicon is built.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import combinations, product
from typing import NamedTuple

from rapidfuzz.distance import DamerauLevenshtein

from medreward.errors import quote
from medreward.language.answer_text import AnswerText, split_form
from medreward.language.near_words import cluster_words

# Shorter words are too close to each other for a typo to be told from another word.
MIN_TYPO_LENGTH = 6
# Answers that name labels are no longer (`medreward.kinds.reading.MAX_ANSWER_LENGTH`).
MAX_FORM_LENGTH = 1000
_ROMAN = frozenset("ivx")
# So many forms are compared each with each.
_FEW_FORMS = 32
_SPACES = frozenset(("", " "))
_ENDS = frozenset(("", "."))
# What may stand between the words of a form that itself has something else there, or nothing.
_SOFT = frozenset(" -_'*`\"")


class Mention(NamedTuple):
    """A label named in a text: words ``start`` to ``stop`` (exclusive).

    `is_denied_in` says that the label is named by saying "no" of these words: where "no DR" is a
    form, "DR" is such a mention. `is_negated` says that the word denies the label: "nonmalignant".
    """

    label: int
    start: int
    stop: int
    is_denied_in: bool = False
    is_negated: bool = False


class Lexicon:
    """Finds the labels that a text names.

    Args:
        forms: for every label, the forms by which it may be named.
        max_typos: edits (insertion, deletion, substitution, swap of neighbours; the
            Damerau-Levenshtein distance) forgiven in a word of at least `MIN_TYPO_LENGTH` ASCII
            letters whose first letter is right: 0 or 1.
        lookalikes: words that are never taken for a misspelling of another one.
        same: gives the word that stands for all spellings of one, such as its singular, and returns
            such a word as it is; None: each word is its own.

    Raises:
        ValueError: if a form has no word, if two labels share a form, or if one misspelling could
            stand for two labels.
    """

    def __init__(
        self,
        forms: Sequence[Sequence[str]],
        max_typos: int = 1,
        same: Callable[[str], str] | None = None,
        lookalikes: Collection[str] = (),
    ) -> None:
        self.max_typos, self._same, self._lookalikes = max_typos, same, lookalikes
        self._label_of: dict[tuple[str, ...], int] = {}
        # The forms as a tree: from a beginning and a word to the longer beginning. Beginnings are
        # numbers, 0 is the empty one; those where a form ends have a label, and marks that a form
        # has behind a beginning are noted.
        self._longer: dict[tuple[int, str], int] = {}
        self._label_at: dict[int, int] = {}
        self._denied_in_at: dict[int, int] = {}
        self._negated_at: dict[int, int] = {}
        self._marks_behind: dict[int, set[str]] = defaultdict(set)
        for label, texts in enumerate(forms):
            for text in texts:
                self._add(label, text, forms)
        for form, label in self._label_of.items():
            self._label_at[self._grow(form)[-1]] = label
            # Where these are forms themselves, they are found as such (`match`).
            if form[0] == "no" and len(form) > 1:
                self._denied_in_at[self._grow(form[1:])[-1]] = label
            if len(form) == 1 and form[0].isalpha():
                self._negated_at[self._grow(("non" + form[0],))[-1]] = label
        self.words = frozenset(word for form in self._label_of for word in form)
        self._typo_targets = _by_initial(self.words) if max_typos else {}
        if max_typos:
            self._check_apart(forms)

    @cached_property
    def has_letters(self) -> bool:
        """Whether a form ends with a letter, as those of options and "stage A" do."""
        last = {form[-1] for form in self._label_of if len(form[-1]) == 1}
        return any(letter.isalpha() for letter in last - _ROMAN)

    @cached_property
    def has_signs(self) -> bool:
        """Whether a form has a number with a sign, so that a dash before one is no bullet."""
        return any(word[0] in "-+" for word in self.words)

    @cached_property
    def labels(self) -> frozenset[int]:
        """The indices of the labels."""
        return frozenset(self._label_of.values())

    def words_of(self, label: int) -> frozenset[str]:
        """Return the words of a label's forms."""
        return self._words_of_labels.get(label, frozenset())

    @cached_property
    def _words_of_labels(self) -> dict[int, frozenset[str]]:
        found: dict[int, set[str]] = defaultdict(set)
        for form, label in self._label_of.items():
            found[label].update(form)
        return {label: frozenset(words) for label, words in found.items()}

    def find(self, text: AnswerText) -> list[Mention]:
        """Return the labels that `text` names, in order, each the longest form at its place."""
        words = [self.correct(word) for word in text.words]
        mentions = []
        start = 0
        while start < len(words):
            mention = self.match(words, text.gaps, start)
            if mention:
                mentions.append(mention)
            start = mention.stop if mention else start + 1
        return mentions

    def shares(self, phrase: Sequence[str]) -> bool:
        """Return whether a form has a word of a phrase, or all of it where words are characters."""
        shared = [word for word in phrase if word in self.words]
        if any(len(word) > 1 for word in shared):
            return True
        return len(shared) == len(phrase) and any(
            phrase == form[i : i + len(phrase)] for form in self._label_of for i in range(len(form))
        )

    def label(self, form: str) -> int | None:
        """Return the label of which `form` is exactly a form (no typo forgiven), or None."""
        return self._label_of.get(self._words(form))

    def exact(self, text: AnswerText) -> int | None:
        """Return the label of which `text` is a form and nothing else but a full stop, or None."""
        label = self._label_of.get(text.words)
        if label is None or not _SPACES.issuperset(text.gaps[:-1]) or text.gaps[-1] not in _ENDS:
            return None
        return label

    def _words(self, text: str) -> tuple[str, ...]:
        words = split_form(text).words
        return words if self._same is None else tuple(map(self._same, words))

    def _add(self, label: int, text: str, forms: Sequence[Sequence[str]]) -> None:
        if len(text) > MAX_FORM_LENGTH:
            raise ValueError(
                f"the name or synonym {quote(text)} has {len(text)} characters; at most "
                f"{MAX_FORM_LENGTH} are allowed, as no longer answer is read"
            )
        words, gaps = self._words(text), split_form(text).gaps
        if not words:
            raise ValueError(f"the name or synonym {text!r} has no letter or digit to be found by")
        other = self._label_of.setdefault(words, label)
        for i, beginning in enumerate(self._grow(words)[:-1], start=1):
            self._marks_behind[beginning].update(gaps[i])
        if other != label:
            raise ValueError(
                f"{text!r} names two labels, {forms[other][0]!r} and {forms[label][0]!r}; "
                f"a name or synonym may belong to one label only"
            )

    def _grow(self, form: Sequence[str]) -> list[int]:
        """Add a form to the tree; return its beginnings, from its first word to all of it."""
        beginnings, at = [], 0
        for word in form:
            at = self._longer.setdefault((at, word), len(self._longer) + 1)
            beginnings.append(at)
        return beginnings

    def match(self, words: Sequence[str], gaps: Sequence[str], start: int) -> Mention | None:
        """Return the longest form that begins at `start`, if there is one."""
        found: Mention | None = None
        at = 0
        for stop in range(start + 1, len(words) + 1):
            if at and not self._may_go_on(at, gaps[stop - 1]):
                break
            longer = self._longer.get((at, words[stop - 1]))
            if longer is None:
                break
            at = longer
            if at in self._label_at:
                found = Mention(self._label_at[at], start, stop)
            elif at in self._denied_in_at:
                found = Mention(self._denied_in_at[at], start, stop, is_denied_in=True)
            elif at in self._negated_at:
                found = Mention(self._negated_at[at], start, stop, is_negated=True)
        return found

    def _may_go_on(self, beginning: int, gap: str) -> bool:
        """Whether a form goes on over `gap`.

        "pleural, effusion" is no pleural effusion, and "No - effusion" is not "no effusion".
        """
        if gap == " ":
            return True
        marks = self._marks_behind.get(beginning, ())
        soft = _SOFT - {"-"} if " " in gap else _SOFT
        return all(char in soft or char in marks for char in gap)

    def correct(self, word: str) -> str:
        """Return the one known word that `word` is a misspelling of, or `word` itself."""
        if self._same is not None:
            same = self._same(word)
            return same if same in self.words else word
        if word in self.words or word in self._lookalikes:
            return word
        if not _may_have_typo(word, self.max_typos):
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
        for one, other in self._rivals():
            if all(map(self._reachable, one, other)):
                label, rival = self._label_of[one], self._label_of[other]
                raise ValueError(
                    f"{' '.join(one)!r} and {' '.join(other)!r} are so close that a "
                    f"misspelling could stand for both {forms[label][0]!r} and "
                    f"{forms[rival][0]!r}; set max_typos: 0 for this task"
                )

    def _rivals(self) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
        """Yield the pairs of forms of two labels that one misspelling may confuse."""
        for group in self._comparable():
            by_label: dict[int, list[tuple[str, ...]]] = defaultdict(list)
            for form in group:
                by_label[self._label_of[form]].append(form)
            for one, other in combinations(by_label.values(), 2):
                yield from product(one, other)

    def _comparable(self) -> Iterator[list[tuple[str, ...]]]:
        """Yield groups of forms that one misspelling may confuse, and all such forms in one group.

        They have as many words with the same initials, which are near each other: for few forms,
        it takes longer to tell this than to compare the forms.
        """
        for group in _grouped(self._label_of, lambda word: word[0]):
            if len(group) <= _FEW_FORMS:
                yield group
                continue
            words = dict.fromkeys(word for form in group for word in form)
            cluster = cluster_words(words, self._edits, self._reachable)
            yield from _grouped(group, cluster.__getitem__)

    def _edits(self, word: str) -> int:
        """Return how many edits there may be between a word and one that is taken for it."""
        return 2 * self.max_typos if self._is_forgiving(word) else self.max_typos

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


def _grouped(
    forms: Iterable[tuple[str, ...]], key: Callable[[str], str]
) -> Iterable[list[tuple[str, ...]]]:
    """Return the forms whose words have the same keys, one by one."""
    groups: dict[tuple[str, ...], list[tuple[str, ...]]] = defaultdict(list)
    for form in forms:
        groups[tuple(map(key, form))].append(form)
    return groups.values()
