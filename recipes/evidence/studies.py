"""The studies: their arms, and what all arms of one have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
        stages: the sources of GRPO's runs, one after the other, each of the study's steps; none:
            the study's own source, once.
    """

    training: str = GRPO
    level: str = "context"
    reward: Mapping[str, Any] = field(default_factory=dict)
    stages: tuple[str, ...] = ()


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
        steps: GRPO steps of a run, unless the command says otherwise.
        warm_steps: supervised steps of the warm start, unless the command says otherwise.
        beside: a source of places that the warm start sees in turn with the levels of knowledge.
        folder: where the arms are; studies of one warm start that share arms have one. Default:
            the study's name.
    """

    question: str
    source: str
    levels: tuple[str, ...]
    quoting: bool
    reference: str
    arms: Mapping[str, Arm]
    steps: int = 7
    warm_steps: int = 30
    beside: str = ""
    folder: str = ""


def _signs(level: str, measure: str) -> dict[str, Arm]:
    """Return the two signs of recitation under one of its measures."""
    return {
        f"{name} {measure}": Arm(
            level=level, reward={"delta": delta, "recitation_measure": measure}
        )
        for name, delta in (("minus", -1), ("plus", 1))
    }


# PA_π needs places and labels of the same pictures, and BUSI's masks are not among the test data.
_PLACES, _LEVEL = "mni152_brain_box", "mni152_level"
_RFT: dict[str, Any] = {"decay": "exact", "delta": 0}
_FIRST = Arm(level="none", reward=_RFT)
# Of the two studies on slices of the brain: grades, knowledge of one sentence, boxes beside.
_SLICES: dict[str, Any] = {
    "source": _LEVEL,
    "levels": ("none", "context"),
    "quoting": True,
    "reference": "rft",
    "beside": _PLACES,
    "warm_steps": 45,
    "folder": "slices",
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
    "recitation-pneumonia": Study(
        question="The same on chest radiographs, with the official 624 test pictures?",
        source="pneumoniamnist",
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
    "localisation": Study(
        question="Does GRPO on boxes help to name what is seen, and without training on names?",
        **_SLICES,
        arms={
            "rft": _FIRST,
            "places then rft": replace(_FIRST, stages=(_PLACES, _LEVEL)),
            "places alone": replace(_FIRST, stages=(_PLACES,)),
            "rft twice": replace(_FIRST, stages=(_LEVEL, _LEVEL)),
            "warm start": Arm(NOTHING, level="none"),
        },
    ),
    "together": Study(
        question="What do the strategies do together, and each beside the same baseline?",
        **_SLICES,
        arms={
            "rft": _FIRST,
            "all": Arm(
                level="context",
                reward={"decay": "geometric", "delta": -1},
                stages=(_PLACES, _LEVEL),
            ),
            "knowledge": replace(_FIRST, level="context"),
            "mfrs": replace(_FIRST, reward={"decay": "geometric", "delta": 0}),
            "minus": Arm(level="context", reward={"decay": "exact", "delta": -1}),
            "plus": Arm(level="context", reward={"decay": "exact", "delta": 1}),
            "places then rft": replace(_FIRST, stages=(_PLACES, _LEVEL)),
            "places alone": replace(_FIRST, stages=(_PLACES,)),
            "supervised": Arm(SUPERVISED, level="none"),
            "warm start": Arm(NOTHING, level="none"),
        },
    ),
}
