"""Which silent words are answers themselves where the labels of a task are of their sort.

"acute" beside "pneumonia" says nothing that changes the label. Where the labels are *acute* and
*normal*, "chronic" beside "acute" names another answer. A language's file has groups of such words
(``rivals``); this finds the groups that the labels of a task take.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

from medreward.language.answer_text import split_answer
from medreward.language.vocabulary import PhraseTree, rivals_of

# Groups of which a word in a label's name excludes the others, and those whose words are silent
# beside the answer to an open question too.
_CONTRARY = frozenset(("side", "height", "plane", "count", "course", "cause", "degree"))
_HARMLESS = frozenset(("numerals",))


def find_taken_groups(
    forms: Iterable[Sequence[str]], languages: tuple[str, ...], *, is_open: bool = False
) -> frozenset[str]:
    """Return the groups of words that the labels of a task take.

    A group is taken by a form that consists of words of groups alone, and by two labels of which
    forms are the same but for words of groups. A group of contrary words, such as that of sides, is
    taken by a label's name that has one of them: beside "left kidney", "right" is another place.

    Args:
        forms: the forms of each label.
        languages: those of the answers.
        is_open: whether there are answers of which no label is known, so that any word of a group
            in a form may be what tells it from these.

    >>> sorted(find_taken_groups([("left lung",), ("none",)], ("en",)))
    ['region', 'side']
    >>> sorted(find_taken_groups([("viral pneumonia",), ("bacterial pneumonia",)], ("en",)))
    ['cause']
    >>> sorted(find_taken_groups([("pneumonia", "viral pneumonia"), ("normal",)], ("en",)))
    []
    """
    known = _groups(languages)
    taken: set[str] = set()
    rests: dict[tuple[str, ...], tuple[int, set[str]]] = {}
    if is_open:
        taken |= {group for name in languages for _, group in rivals_of(name)} - _HARMLESS
    for label, group in enumerate(forms):
        for form in group:
            found, rest = _sorted(split_answer(form).words, known)
            if form == group[0]:
                taken |= found & _CONTRARY
            if is_open or not rest:
                taken |= found
                continue
            first, others = rests.setdefault(rest, (label, set()))
            others |= found
            if first != label:
                taken |= others
    return frozenset(taken)


def _sorted(
    words: Sequence[str], known: PhraseTree[frozenset[str]]
) -> tuple[set[str], tuple[str, ...]]:
    """Return the groups of the words of a form, and the words that are in none."""
    gaps = ["", *[" "] * len(words)]
    found: set[str] = set()
    rest, at = [], 0
    while at < len(words):
        phrase = known.find(words, gaps, at)
        if phrase:
            at, groups = phrase
            found |= groups
        else:
            rest.append(words[at])
            at += 1
    return found, tuple(rest)


@cache
def _groups(languages: tuple[str, ...]) -> PhraseTree[frozenset[str]]:
    """Return the phrases of the languages that are in a group, and in which."""
    groups: dict[tuple[str, ...], set[str]] = {}
    for language in languages:
        for phrase, group in rivals_of(language):
            groups.setdefault(phrase, set()).add(group)
    tree: PhraseTree[frozenset[str]] = PhraseTree()
    for phrase, found in groups.items():
        tree.add(phrase, frozenset(found))
    return tree
