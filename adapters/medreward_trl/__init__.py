"""medreward in TRL: rewards as reward functions, rows as a dataset.

>>> from medreward_trl import reward_funcs
>>> funcs, weights = reward_funcs("retinamnist", decay="linear")
>>> [func.__name__ for func in funcs], weights
(['accuracy', 'format', 'recitation'], [1.0, 0.2, 0.05])

With a trainer::

    GRPOTrainer(
        reward_funcs=funcs,
        args=GRPOConfig(reward_weights=weights, ...),
        train_dataset=...,  # columns: prompt, image, target and, optionally, task and knowledge
    )
"""

from medreward_trl.rewards import RewardFuncs, reward_funcs, shaped

__all__ = ["RewardFuncs", "reward_funcs", "shaped"]
