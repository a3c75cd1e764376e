"""What a user can do so that an answer is read: changes of the card that were tried on the answer.

`medreward.language.mends` guesses from the word alone that was not understood. Here each change is
made to a copy of the task, and is proposed only if the answer is understood under it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from medreward.errors import ConfigError, quote
from medreward.language.answer_text import split_answer
from medreward.language.mends import (
    ALONE,
    ANSWER_ALONE,
    may_be_modifier,
    mend_of,
    other_languages,
    turns,
)
from medreward.language.vocabulary import LANGUAGES
from medreward.scoring.scorer import Score, Scorer
from medreward.task.card import shipped
from medreward.task.task import Task
from medreward.task.traits import Trait

_MOST_MODIFIERS = 4
_MOST_NAME = 6  # words of an answer that may be another name of a label
_MOST_WORDS = 60  # of an answer that is looked at
_LONGEST = 2_000  # characters of an answer that is tried at all


def tried_mend(bound: Scorer, completion: str, target: object, unread: str) -> str:
    """Return what makes a completion's answer read, or says that no change of the card alone does.

    Args:
        bound: the scorer under which the answer is not understood.
        completion: what the model wrote.
        target: the truth, as `Scorer.score` takes it.
        unread: the first thing that was not understood, `Score.unread`.

    >>> bound = Scorer(Task.load("retinamnist"))
    >>> tried_mend(bound, "<think>x</think><answer>normal</answer>", 0, "normal")[:57]
    "if 'normal' is another name of a label, add it to that la"
    """
    trial = _Trial(bound, completion, target)
    takes = not bound.task.reader.rules.is_plain
    if not trial.answer or len(trial.answer) > _LONGEST or trial.reads(bound.task):
        return mend_of(unread, bound.task.languages, takes_modifiers=takes)
    alone = _alone(bound.task)
    beside = [*_modifiers(trial, unread), *_synonym(trial)] if takes else [*_accepted(trial)]
    proposals = [*_languages(trial, unread), *beside]
    if proposals:
        return "; ".join([*proposals, f"else {alone}"])
    has = bound.task.languages
    if turns(unread) and (others := other_languages(unread, has)):
        named = f"{LANGUAGES[others[0]].capitalize()} ({others[0]})"
        return (
            f"it denies or leaves open in {named}, and is not read with that language in the "
            f"card's languages either: leave it unread; {alone}"
        )
    turning = next((word for word in trial.words if turns(word)), "")
    if turning:
        return (
            f"{_rest(trial)}{quote(turning)} denies or leaves open, so that no change of the card "
            f"is proposed: {alone}"
        )
    return f"{_rest(trial)}no change of the card alone makes it read: {alone}"


def _alone(task: Task) -> str:
    """Return what to say in the prompt, so that nothing stands beside an answer."""
    if Trait.OPTIONS in task.traits:
        return "say in the prompt to give the letter of an option alone, with nothing beside it"
    if Trait.NUMBER in task.traits:
        return "say in the prompt to give the number and its unit alone"
    return ALONE if Trait.NAMES_LABELS in task.traits and task.labels else ANSWER_ALONE


def copy_hint(name: str | None, mend: str) -> str:
    """Return how a shipped card is copied, where a mend changes it; else "".

    >>> copy_hint("busi", "add it to the card: modifiers: ['x']")
    'a shipped card is changed in a copy: medreward tasks show busi --yaml > my_card.yaml'
    """
    changes = ("modifiers: [", "label's synonyms", "languages: [")
    if name not in shipped() or not any(change in mend for change in changes):
        return ""
    return f"a shipped card is changed in a copy: medreward tasks show {name} --yaml > my_card.yaml"


class _Trial:
    """A completion that is scored under changed tasks."""

    def __init__(self, bound: Scorer, completion: str, target: object) -> None:
        self.task, self.settings, self.form = bound.task, bound.settings, bound.format
        self.answer = self.form.parse(completion).answer or ""
        self.words = split_answer(self.answer).words
        self.target = target

    def reads(self, task: Task) -> bool:
        """Whether all of the answer is understood under a task, and says something."""
        found = self.score(task, self.answer)
        return found is not None and _says(found)

    def score(self, task: Task, answer: str) -> Score | None:
        """Return the score of an answer under a task, None where that is not allowed."""
        try:
            return Scorer(task, self.settings).score(self.form.write("x", answer), self.target, "")
        except ConfigError:
            return None

    def changed(self, **fields: Any) -> Task | None:
        """Return the task with fields changed, None if it is not allowed."""
        try:
            return replace(self.task, **fields)
        except ConfigError:
            return None


def _says(score: Score) -> bool:
    """Whether an answer was understood and names something that the task knows."""
    return not score.unread and not score.reasons[0].endswith("_unknown")


def _languages(trial: _Trial, unread: str) -> Iterator[str]:
    """Propose a language in which the word is known, if the answer is read in it."""
    has = trial.task.languages
    for language in other_languages(unread, has):
        task = trial.changed(languages=(*has, language))
        if task is not None and trial.reads(task):
            yield mend_of(unread, has)
            return


def _modifiers(trial: _Trial, unread: str) -> Iterator[str]:
    """Propose words as modifiers: as many as it takes, none of which turns an answer round.

    What stands right behind a number may be its unit, without which it is another number; and a
    key of a JSON object is no word that describes something.
    """
    if re.search(rf'"{re.escape(unread)}"\s*:', trial.answer, re.IGNORECASE):
        return
    if not {Trait.NUMBER, Trait.FIELDS}.isdisjoint(trial.task.traits) and any(
        word[0].isdigit() and after == unread.casefold() for word, after in pairwise(trial.words)
    ):
        return
    for first in _with_preposition(unread, trial.words):
        added = _enough_modifiers(trial, first)
        if added:
            shown = ", ".join(map(quote, added))
            does = "it never denies, grades or changes a label, add it"
            if len(added) > 1:
                does = "none of them ever denies, grades or changes a label, add them"
            yield f"if {does} to the card: modifiers: [{shown}]"
            return


def _with_preposition(unread: str, words: Sequence[str]) -> list[str]:
    """Return a word, before it what stands as one with "in" before it, as "in situ" does."""
    word = unread.casefold()
    places = [i for i, one in enumerate(words) if one == word and i]
    return [f"in {word}" for i in places[:1] if words[i - 1] == "in"] + [word]


def _enough_modifiers(trial: _Trial, first: str) -> list[str]:
    """Return modifiers under which the answer is read, none if there are not a few such words."""
    added, word = list[str](), first
    while len(added) < _MOST_MODIFIERS:
        if word in added or not may_be_modifier(word.removeprefix("in ")):
            return []
        added.append(word)
        task = trial.changed(modifiers=(*trial.task.modifiers, *added))
        found = None if task is None else trial.score(task, trial.answer)
        if found is None or not found.unread:
            return added if found is not None and _says(found) else []
        word = found.unread.casefold()
    return []


def _synonym(trial: _Trial) -> Iterator[str]:
    """Propose the whole answer as another name of a label; of which one, only a reader can know."""
    labels = trial.task.labels
    if not labels or not 0 < len(trial.words) <= _MOST_NAME or any(map(turns, trial.words)):
        return
    name = trial.answer.strip(" .;,:!")
    one = replace(labels[0], synonyms=(*labels[0].synonyms, name))
    task = trial.changed(labels=(one, *labels[1:]))
    if task is not None and trial.reads(task):
        yield f"if {quote(name)} is another name of a label, add it to that label's synonyms"


def _accepted(trial: _Trial) -> Iterator[str]:
    """Propose the whole answer as one that the row accepts."""
    if Trait.OPEN in trial.task.traits and not any(map(turns, trial.words)):
        yield "if the whole answer is one that is accepted, list it in the row"


def _rest(trial: _Trial) -> str:
    """Return which part of the answer is read, if one of its beginnings or ends is."""
    if trial.answer.lstrip()[:1] in ("{", "["):  # a part of JSON is none
        return ""
    words = trial.answer.split()[:_MOST_WORDS]
    for count in range(len(words) - 1, 0, -1):
        for kept, left in ((words[:count], words[count:]), (words[-count:], words[:-count])):
            found = trial.score(trial.task, " ".join(kept))
            if found is not None and not found.unread and found.prediction is not None:
                read = quote(" ".join(kept))
                return f"{read} is read, {quote(' '.join(left))} beside it is not; "
    return ""
