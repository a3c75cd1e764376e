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

from __future__ import annotations

from typing import TYPE_CHECKING

from medreward.lazy import import_late

if TYPE_CHECKING:
    from medreward_trl.dataset import from_parquet, from_rows
    from medreward_trl.rewards import RewardFuncs, reward_funcs, shaped
    from medreward_trl.train import make_trainer
    from medreward_trl.transforms import with_transforms
else:
    __getattr__, __dir__ = import_late(
        __name__,
        {
            "medreward_trl.dataset": "from_parquet from_rows",
            "medreward_trl.rewards": "RewardFuncs reward_funcs shaped",
            "medreward_trl.train": "make_trainer",
            "medreward_trl.transforms": "with_transforms",
        },
    )

__all__ = [
    "RewardFuncs",
    "from_parquet",
    "from_rows",
    "make_trainer",
    "reward_funcs",
    "shaped",
    "with_transforms",
]
