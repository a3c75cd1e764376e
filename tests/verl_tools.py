"""What the tests of the veRL adapter share: a composed configuration, a tokenizer, a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from medreward_conformance.known import byte_tokenizer
from medreward_conformance.verl import local_ray

__all__ = [
    "FUNCTION",
    "MANAGER",
    "REWARD",
    "batch",
    "byte_tokenizer",
    "compose",
    "local_ray",
    "row",
]

FUNCTION = ["reward.custom_reward_function.path=pkg://medreward_verl"]
MANAGER = [
    "reward.reward_manager.source=importlib",
    "reward.reward_manager.module.path=pkg://medreward_verl.manager",
    "reward.reward_manager.name=MedRewardManager",
]
REWARD = "+reward.custom_reward_function.reward_kwargs"


def compose(*overrides: str) -> Any:
    """Return verl's own configuration with overrides; a key that verl does not have fails."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_module

    with initialize_config_module("verl.trainer.config", version_base=None):
        return hydra_compose("ppo_trainer", overrides=list(overrides))


def batch(tokenizer: Any, texts: Sequence[str], rows: Sequence[dict[str, Any]]) -> Any:
    """Return completions and their rows as verl's rollout hands them to the reward."""
    import numpy as np
    import torch
    from tensordict import TensorDict
    from verl import DataProto

    prompts = torch.full((len(texts), 4), 5)
    encoded = [[*tokenizer(text)["input_ids"], tokenizer.eos_token_id] for text in texts]
    width = max(map(len, encoded))
    padded = [ids + [tokenizer.pad_token_id] * (width - len(ids)) for ids in encoded]
    responses = torch.tensor(padded)
    lengths = torch.tensor([len(ids) for ids in encoded])
    mask = (torch.arange(width) < lengths[:, None]).long()
    tensors = {
        "prompts": prompts,
        "responses": responses,
        "attention_mask": torch.cat([torch.ones_like(prompts), mask], dim=1),
    }
    columns: dict[str, Any] = {name: np.empty(len(rows), dtype=object) for name in rows[0]}
    for i, row in enumerate(rows):
        for name, value in row.items():
            columns[name][i] = value
    return DataProto(TensorDict(tensors, batch_size=len(texts)), columns)


def row(data_source: str, truth: str, **extra_info: Any) -> dict[str, Any]:
    """Return the columns of a row that the reward looks at."""
    return {
        "data_source": data_source,
        "reward_model": {"style": "rule", "ground_truth": truth},
        "extra_info": extra_info,
    }
