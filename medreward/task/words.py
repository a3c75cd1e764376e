"""A card's words as what a reader judges: question, names, and which error is worse.

They are signed like statements, bound to the same hash; a reader strikes or adds names by an edit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from medreward.task.review import SignedText
from medreward.task.traits import Trait

BETWEEN = "; "  # two names in a list
# What stands for the source of each: no citation of a statement begins so.
_QUESTION, _NAMES = "the question of", "other names that count as the label"
_MODIFIERS, _NOTHING = "words that may stand beside a label of", "phrases that say that no label of"
_WORSE = "which error is worse in"


def is_of_words(signed: SignedText) -> bool:
    """Whether what was read are a card's words and not a statement."""
    return signed.source.startswith((_QUESTION, _NAMES, _MODIFIERS, _NOTHING, _WORSE))


def cite_words(task: Any) -> dict[str, SignedText]:
    """Return the field of each part of a card -> what a review of it is bound to.

    Args:
        task: a `medreward.task.task.Task`.

    >>> from medreward.task.task import Task
    >>> list(cite_words(Task("cells", labels=["a", "b"], question="Which?")))
    ['question']
    """
    found = {}
    if task.question:
        found["question"] = SignedText(task.question, "", f"{_QUESTION} {task.name}")
    for i, label in enumerate(task.labels):
        if label.synonyms:
            names = BETWEEN.join(label.synonyms)
            found[f"labels[{i}].synonyms"] = SignedText(names, label.name, _NAMES)
    if task.modifiers:
        words = BETWEEN.join(task.modifiers)
        of_a_finding = any(label.absence for label in task.labels)
        found["modifiers"] = SignedText(
            words,
            "",
            f"{_MODIFIERS} {task.name}: it still counts as that label"
            + (", if it says that something was found" if of_a_finding else ""),
        )
    if {Trait.NAMES_LABELS, Trait.MAY_BE_EMPTY} <= task.traits:
        phrases = BETWEEN.join(task.no_finding)
        found["no_finding"] = SignedText(phrases, "", f"{_NOTHING} {task.name} applies")
    worse = _which_error_is_worse(task)
    if worse:
        found["reward"] = SignedText(worse, "", f"{_WORSE} {task.name}")
    return found


def _which_error_is_worse(task: Any) -> str:
    settings = task.reward
    if Trait.ORDERED in task.traits:
        return " ".join(_which_grade_is_worse(settings))
    if {Trait.NAMES_LABELS, Trait.MAY_BE_EMPTY} <= task.traits:
        costs = [f"{label.name} {label.cost:g}" for label in task.labels if label.cost != 1]
        told = f"labels count {', '.join(costs)}, others 1" if costs else "all labels count alike"
        if settings.beta == 1:
            return f"To leave out a label is as wrong as to name one too many; {told}."
        return (
            f"To leave out a label counts {settings.beta**2:g} times as much as to name one too "
            f"many; {told}."
        )
    return ""


def _which_grade_is_worse(settings: Any) -> Iterator[str]:
    low, high = settings.under_grading, settings.over_grading
    if low == high:
        yield "A grade that is too low and one that is as much too high are equally wrong."
    else:
        yield (
            f"A grade that is too low earns {low:g} times what its distance alone would earn, one "
            f"that is too high {high:g} times."
        )
    if settings.thresholds:
        grades = " and from ".join(map(str, settings.thresholds))
        yield (
            f"Something else is done from grade {grades} on: for each such threshold between it "
            f"and the true grade, a grade earns {settings.threshold_factor:g} times that."
        )
