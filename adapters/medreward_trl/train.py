"""The one place where a GRPOTrainer is made: for the demo's model and for a real one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trl import GRPOConfig, GRPOTrainer

from medreward_trl.rewards import RewardFuncs

if TYPE_CHECKING:
    from datasets import Dataset


def make_trainer(
    model: Any,
    dataset: Dataset,
    reward: RewardFuncs,
    settings: Mapping[str, Any],
    *,
    processor: Any = None,
    peft_config: Any = None,
    callbacks: list[Any] | None = None,
    eval_dataset: Dataset | None = None,
) -> GRPOTrainer:
    """Return TRL's trainer for a model (an object, a hub name or a folder) and medreward's rewards.

    Args:
        model: what TRL takes as a model; a name or folder is loaded by TRL itself.
        dataset: columns prompt, image, target and, optionally, task and knowledge.
        reward: what `medreward_trl.reward_funcs` returns.
        settings: fields of `trl.GRPOConfig`; the reward's weights are added here.
        processor: the processor, for a model given as an object.
        peft_config: a peft configuration such as `peft.LoraConfig`, or None for full training.
        callbacks: transformers' trainer callbacks.
        eval_dataset: rows that TRL evaluates while it trains, with ``eval_strategy``.

    As in recipes/trl_vrft.py::

        trainer = make_trainer(
            model="Qwen/Qwen2.5-VL-3B-Instruct",
            dataset=from_parquet("rows/train.parquet"),
            reward=reward_funcs("retinamnist"),
            settings={"output_dir": "runs/eye", "num_generations": 8},
        )
        trainer.train()
    """
    return GRPOTrainer(
        model=model,
        reward_funcs=reward.funcs,
        args=GRPOConfig(**{**settings, "reward_weights": reward.weights}),
        train_dataset=dataset,
        eval_dataset=eval_dataset,
        processing_class=processor,
        peft_config=peft_config,
        callbacks=callbacks,
    )
