"""Which of some known phrases a running text states: for reasoning, never for an answer.

An answer is understood whole or not paid (`medreward.language.grammar`). Reasoning is prose, of
which most words are unknown, so this asks for less and says less: a phrase is stated where it
stands, word for word, in a sentence that has

* no word that denies, leaves open, asks, contrasts or compares (of a language's lists), and
* no name of a label: "a malignant mass tends to be irregular" tells what such masses are like, and
  not what is seen.

What it cannot tell: an unknown word that denies ("devoid of"), what is said of another image or
another part of this one, and whether the statement is true.
"""

from __future__ import annotations

from collections.abc import Iterator

from medreward.language.answer_text import AnswerText, split_answer
from medreward.language.lexicon import Lexicon
from medreward.language.tokens import DENIED_IN, LABEL, scan_answer
from medreward.language.vocabulary import PhraseTree, Vocabulary, WordClass

_SENTENCE_ENDS = frozenset(".;!?\n")
# Codes of tokens beside which a phrase may not be meant.
_NOT_STATED = frozenset((LABEL, DENIED_IN, "?")) | {
    kind.code
    for kind in (
        *(WordClass.NOT, WordClass.DENY, WordClass.NO, WordClass.ABSENT, WordClass.ECHO_NO),
        *(WordClass.OPEN, WordClass.ELSEWHERE, WordClass.OR, WordClass.BUT),
    )
}


def stated_phrases(
    text: str, phrases: PhraseTree[str], lexicon: Lexicon, words: Vocabulary
) -> frozenset[str]:
    """Return what the phrases that a text states stand for.

    Args:
        text: the text, of any length; the time is linear in it.
        phrases: the phrases to look for, and what each stands for.
        lexicon: finds the names of labels.
        words: what the words of the task's languages do.

    >>> from medreward import Task
    >>> task, signs = Task.load("busi"), PhraseTree()
    >>> signs.add(("irregular",), "irregular")
    >>> for text in ("The margin is irregular.", "It is not irregular.", "Cancer is irregular."):
    ...     print(sorted(stated_phrases(text, signs, task.lexicon, task.reader.words)))
    ['irregular']
    []
    []
    """
    found: set[str] = set()
    for sentence in _sentences(split_answer(text)):
        if phrases.words.isdisjoint(sentence.words):
            continue
        codes = {token.code for token in scan_answer(sentence, lexicon, words)}
        if codes.isdisjoint(_NOT_STATED):
            found.update(_found(sentence, phrases))
    return frozenset(found)


def _sentences(text: AnswerText) -> Iterator[AnswerText]:
    """Yield the sentences of a text, each with the mark that ends it."""
    start = 0
    for stop in range(1, len(text.words) + 1):
        if stop < len(text.words) and _SENTENCE_ENDS.isdisjoint(text.gaps[stop]):
            continue
        capitals = frozenset(i - start for i in range(start, stop) if i in text.capitals)
        yield AnswerText(text.words[start:stop], ("", *text.gaps[start + 1 : stop + 1]), capitals)
        start = stop


def _found(text: AnswerText, phrases: PhraseTree[str]) -> Iterator[str]:
    """Yield what the phrases in a text stand for, the longest at each place."""
    place = 0
    while place < len(text.words):
        found = phrases.find(text.words, text.gaps, place)
        if found:
            yield found[1]
        place = found[0] if found else place + 1
