"""Completions as policies write them, made from a seed."""

from __future__ import annotations

import random

WORDS = 300
# Words of a plain description; what is copied from the knowledge comes between them.
_OWN = (
    "the image shows a of and in with is are this that there no from to on as seen I can at first "
    "look field view left right upper lower side edge centre margin shape size round small large "
    "dark bright grey white even uneven area region spot spots line lines clear blurred compared "
    "next then also however overall because suggests likely less more than around near between "
    "several few single many normal unusual structure surface border contrast texture pattern"
).split()


def completion(
    chance: random.Random, knowledge: str, copied: float, answer: str, words: int = WORDS
) -> str:
    """Return a well-formed completion of so many words, that share of them copied in passages."""
    source = knowledge.split()
    reasoning: list[str] = []
    while len(reasoning) < words:
        run = chance.randrange(6, 20)
        if chance.random() < copied:
            start = chance.randrange(max(1, len(source) - run)) if copied < 1 else 0
            reasoning += source[start : start + run] if copied < 1 else source
        else:
            reasoning += chance.choices(_OWN, k=run)
    return f"<think>{' '.join(reasoning[:words])}</think><answer>{answer}</answer>"


def batch(knowledge: str, count: int, copied: float = 0.15, seed: int = 0) -> list[str]:
    """Return completions with grades 0 to 4 as answers."""
    chance = random.Random(seed)
    return [completion(chance, knowledge, copied, str(chance.randrange(5))) for _ in range(count)]
