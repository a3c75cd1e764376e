"""The reward of each kind of task: the one table by which a kind is told from another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from medreward.geometry.regions import BoxTarget
from medreward.kinds.boxes.kind import box_reward
from medreward.kinds.classification import label_reward
from medreward.kinds.multilabel import best_partial_score, error_factor, label_set_reward
from medreward.kinds.ordinal import best_partial_credit, mfrs_reward
from medreward.kinds.pointing import point_reward
from medreward.kinds.segmentation import mask_reward
from medreward.kinds.verdict import BEST_WRONG, Verdict
from medreward.task.settings import RewardSettings
from medreward.task.task import Task

Reward: TypeAlias = Callable[[str | None, Any, Task, RewardSettings], Verdict]


class KindReward(NamedTuple):
    """How answers to tasks of a kind are rewarded.

    Attributes:
        reward: (answer, target, task, settings) -> verdict.
        best_wrong: the most that a wrong answer can earn, or a bound of it.
        settings: the fields of `RewardSettings` that shape its scores beside those of `COMMON`; the
            signature names them.
    """

    reward: Reward
    best_wrong: Callable[[Task, RewardSettings], float]
    settings: tuple[str, ...]


def _place_reward(
    answer: str | None, target: BoxTarget, task: Task, settings: RewardSettings
) -> Verdict:
    """Reward boxes, or points where the quality says so."""
    reward = point_reward if settings.box_quality == "point" else box_reward
    return reward(answer, target, task, settings)


# The settings that shape the scores of every kind.
COMMON = ("weights", "delta", "gates")

KIND_REWARDS = {
    "classification": KindReward(
        lambda answer, target, task, _: label_reward(answer, target, task),
        lambda task, settings: 0.0,
        (),
    ),
    "ordinal": KindReward(
        mfrs_reward,
        lambda task, settings: best_partial_credit(settings, len(task.labels)),
        ("decay", "under_grading", "over_grading"),
    ),
    "multilabel": KindReward(
        label_set_reward,
        lambda task, settings: best_partial_score(task, settings.beta, error_factor(settings)),
        ("beta", "set_quality"),
    ),
    "localisation": KindReward(
        _place_reward,
        lambda task, settings: BEST_WRONG,
        ("frame", "box_quality", "annotators"),
    ),
    "segmentation": KindReward(
        mask_reward,
        lambda task, settings: BEST_WRONG,
        ("frame", "mask_quality"),
    ),
}
