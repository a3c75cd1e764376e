"""medreward in veRL: a reward function, a reward manager, and the check of a run's configuration.

>>> from medreward_verl import compute_score
>>> result = compute_score(
...     "retinamnist", "<think>Dot bleeds.</think><answer>1</answer>", "2", {"knowledge": ""}
... )
>>> result["score"], result["accuracy"], result["correct"], result["reason_wrong_grade"]
(0.45, 0.25, 0.0, 1.0)

As a function::

    reward.custom_reward_function.path=pkg://medreward_verl
    reward.custom_reward_function.name=compute_score

or as a reward manager, which decodes and scores together what comes in together::

    reward.reward_manager.source=importlib
    reward.reward_manager.module.path=pkg://medreward_verl.manager
    reward.reward_manager.name=MedRewardManager

Either takes its settings from ``+reward.custom_reward_function.reward_kwargs.*``.
"""

from medreward_verl.scoring import KEYS, RowScorer, compute_score

__all__ = ["KEYS", "RowScorer", "compute_score"]
