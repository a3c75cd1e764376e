"""What the warm start imitates: plain reasoning, which quotes the knowledge where a study asks."""

from __future__ import annotations

import random

from medreward.kinds.right_answers import completion_with

_PLAIN = (
    "What I see fits {label} best.",
    "Compared with the others, {label} is nearest to this picture.",
    "Of all that could be, this looks most like {label}.",
    "The picture as a whole speaks for {label}.",
)
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
