"""The studies: their arms, and what all arms of one have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# R_recite without its sign and by one measure, to hold all arms against.
RECITED: dict[str, Any] = {"delta": 1, "recitation_measure": "bleu"}
QUOTES = 0.1  # an R_recite (BLEU) above which a completion counts as quoting
GRPO, NOTHING, SUPERVISED = "grpo", "nothing", "supervised"


@dataclass(frozen=True)
class Arm:
    """One way to go on from the warm start.

    Attributes:
        training: `GRPO`, `SUPERVISED` (as the warm start, on GRPO's pictures) or `NOTHING`.
        level: how much knowledge prompts have, while it trains and in the test.
        reward: settings of the reward in place of the card's.
    """

    training: str = GRPO
    level: str = "context"
    reward: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Study:
    """Arms that are compared.

    Attributes:
        question: what is asked.
        source: the pictures, out of `recipes.evidence.pictures.SOURCES`.
        levels: the levels of knowledge that the warm start has seen, in turn.
        quoting: whether half of its demonstrations quote the knowledge.
        reference: the arm that the others are compared with.
        arms: by name, in the order in which they run.
        steps: GRPO steps, unless the command says otherwise.
    """

    question: str
    source: str
    levels: tuple[str, ...]
    quoting: bool
    reference: str
    arms: Mapping[str, Arm]
    steps: int = 7


def _signs(level: str, measure: str) -> dict[str, Arm]:
    """Return the two signs of recitation under one of its measures."""
    return {
        f"{name} {measure}": Arm(
            level=level, reward={"delta": delta, "recitation_measure": measure}
        )
        for name, delta in (("minus", -1), ("plus", 1))
    }


STUDIES = {
    "recitation": Study(
        question="Does the sign of recitation change how much the reasoning quotes?",
        source="busi",
        levels=("context",),
        quoting=True,
        reference="zero",
        arms={
            "zero": Arm(reward={"delta": 0}),
            **_signs("context", "bleu"),
            "warm start": Arm(NOTHING),
        },
    ),
    "measures": Study(
        question="Which measure of recitation acts where the knowledge is long?",
        source="busi",
        levels=("full",),
        quoting=True,
        reference="zero",
        arms={
            "zero": Arm(level="full", reward={"delta": 0}),
            **_signs("full", "bleu"),
            **_signs("full", "precision"),
            **_signs("full", "containment"),
            "warm start": Arm(NOTHING, level="full"),
        },
    ),
    "mfrs": Study(
        question="Does credit for near grades help beside credit for the right one alone?",
        source="icdr",
        levels=("none",),
        quoting=False,
        reference="exact",
        arms={
            "exact": Arm(level="none", reward={"decay": "exact"}),
            "mfrs": Arm(level="none", reward={"decay": "geometric"}),
            "warm start": Arm(NOTHING, level="none"),
        },
    ),
    "knowledge": Study(
        question="Does knowledge in the prompt help, before and after GRPO?",
        source="busi",
        levels=("none", "context", "full"),
        quoting=False,
        reference="warm start none",
        arms={
            **{f"warm start {level}": Arm(NOTHING, level) for level in ("none", "context", "full")},
            **{
                f"grpo {level}": Arm(GRPO, level, {"delta": 0})
                for level in ("none", "context", "full")
            },
            "supervised none": Arm(SUPERVISED, "none"),
        },
    ),
}
