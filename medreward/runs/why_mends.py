"""What to do about words that were not understood, tried on the first completion with each."""

from __future__ import annotations

from collections.abc import Mapping

from medreward.errors import ConfigError
from medreward.kinds.truth import target_of
from medreward.language.mends import mend_of
from medreward.runs.why_stats import TraceExample
from medreward.scoring.mends import tried_mend
from medreward.scoring.scorer import Scorer, scorer
from medreward.task.card import shipped
from medreward.task.task import Task

_MOST_TRIED = 16  # words; a trial takes a few hundredths of a second


class TriedMends:
    """The mends of words, each found once; of the first few they are tried.

    Args:
        cards: tasks of the user's own by name; those that ship are known.
    """

    def __init__(self, cards: Mapping[str, Task]) -> None:
        self._cards = cards
        self._found: dict[str, str] = {}

    def mend(self, word: str, example: TraceExample, completion_format: str | None) -> str:
        """Return what to do about a word.

        Args:
            word: what was not understood.
            example: a completion with it.
            completion_format: that of the run, None for the card's.
        """
        if word not in self._found:
            few = len(self._found) < _MOST_TRIED
            self._found[word] = self._new(word, example, completion_format if few else None, few)
        return self._found[word]

    def _new(self, word: str, example: TraceExample, form: str | None, is_tried: bool) -> str:
        task = self._cards.get(example.task or "")
        if task is None and example.task in shipped():
            task = Task.load(example.task)
        if task is None:  # a card of one's own, which is not known here
            return mend_of(word)
        takes = not task.reader.rules.is_plain
        try:
            bound: Scorer = scorer(task, {} if form is None else {"completion_format": form})
            target = target_of(task, example.target)
            if is_tried:
                return tried_mend(bound, example.completion, target, word)
        except ConfigError:  # a format or a target that is not known here
            pass
        return mend_of(word, task.languages, takes_modifiers=takes)
