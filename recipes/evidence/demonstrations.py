"""What the warm start imitates: plain reasoning, which quotes the knowledge where a study asks."""

from __future__ import annotations

import random

from medreward import Task
from medreward.kinds.right_answers import completion_with, right_answer
from medreward.kinds.truth import target_of

_PLAIN = (
    "What I see fits {label} best.",
    "Compared with the others, {label} is nearest to this picture.",
    "Of all that could be, this looks most like {label}.",
    "The picture as a whole speaks for {label}.",
)
_ENDS = "It ends here on each side."
_CLOSING = "So {label}."


def demonstration(label: str, knowledge: str, chance: random.Random) -> str:
    """Return a right, well-formed completion.

    With knowledge, a quarter of them quote its first sentence, a quarter the first half of that
    sentence, and half of them nothing.

    >>> demonstration("benign", "", random.Random(0))
    '<think>The picture as a whole speaks for benign.</think><answer>benign</answer>'
    """
    plain = chance.choice(_PLAIN).format(label=label)
    share = chance.choice((0.0, 0.0, 0.5, 1.0)) if knowledge else 0.0
    if not share:
        return completion_with(label, plain)
    words = knowledge.partition(". ")[0].rstrip(".").split()
    quoted = " ".join(words[: round(share * len(words))])
    return completion_with(label, f"{quoted}. {_CLOSING.format(label=label)}")


def place_demonstration(task: Task, target: str) -> str:
    """Return a right, well-formed completion of a task that asks for places.

    >>> place_demonstration(Task.load("mni152_brain_box"), "[[1, 2, 30, 40]]")
    '<think>It ends here on each side.</think><answer>[[1, 2, 30, 40]]</answer>'
    """
    return completion_with(right_answer(task, target_of(task, target)), _ENDS)
