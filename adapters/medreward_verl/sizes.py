"""The numbers of a veRL run that have to fit each other, and what a setting would be ignored by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from medreward import ConfigError
from medreward.errors import expected, quote

# Numbers that verl takes as they come and fails on at its first step, or divides by.
_WHOLE = (
    "data.train_batch_size",
    "data.max_prompt_length",
    "data.max_response_length",
    "actor_rollout_ref.rollout.n",
    "actor_rollout_ref.rollout.tensor_model_parallel_size",
    "actor_rollout_ref.actor.ppo_mini_batch_size",
    "trainer.n_gpus_per_node",
    "trainer.nnodes",
)


def check_sizes(config: Any) -> None:
    """Make sure that the numbers of a configuration fit each other.

    Raises:
        ConfigError: at the first that does not, in verl's terms.
    """
    for key in _WHOLE:
        _whole(config, key, least=1)
    _whole(config, "actor_rollout_ref.model.lora_rank", least=0)
    if config.trainer.total_training_steps is not None:
        _whole(config, "trainer.total_training_steps", least=1)
    rollout, actor = config.actor_rollout_ref.rollout, config.actor_rollout_ref.actor
    if config.algorithm.adv_estimator == "grpo" and rollout.n < 2:
        raise ConfigError(
            "actor_rollout_ref.rollout.n: 1 completion a prompt is no group, and every advantage "
            "of GRPO is 0; take 2 or more, such as 8"
        )
    gpus = config.trainer.n_gpus_per_node * config.trainer.nnodes
    parallel = rollout.tensor_model_parallel_size
    if gpus % parallel:
        raise ConfigError(
            f"actor_rollout_ref.rollout.tensor_model_parallel_size: {parallel} GPUs a model, "
            f"but {gpus} GPUs in all; it has to divide them"
        )
    if not actor.use_dynamic_bsz:
        _check_micro(config, gpus)
    for name in (
        [config.trainer.logger]
        if isinstance(config.trainer.logger, str)
        else [*config.trainer.logger]
    ):
        _check_logger(name)


def _whole(config: Any, key: str, *, least: int) -> None:
    node = config
    for part in key.split("."):
        node = node[part]
    if isinstance(node, bool) or not isinstance(node, int) or node < least:
        raise ConfigError(f"{key}: {quote(node)} is not a whole number from {least} on")


def _check_micro(config: Any, gpus: int) -> None:
    """Make sure that the completions of a GPU in an update are whole micro batches."""
    actor, count = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout.n
    update, micro = actor.ppo_mini_batch_size * count, actor.ppo_micro_batch_size_per_gpu
    if micro is None:
        return
    each, left = divmod(update, gpus)
    if left or each % micro:
        raise ConfigError(
            f"actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu: an update has "
            f"{actor.ppo_mini_batch_size} prompts x {count} completions = {update}, on {gpus} GPUs "
            f"{update / gpus:g} each, which {micro} at once do not divide"
        )


def _check_logger(name: object) -> None:
    from verl.utils.tracking import Tracking

    if name not in Tracking.supported_backend:
        raise expected("trainer.logger", name, Tracking.supported_backend)


def check_ignored(config: Any) -> None:
    """Make sure that no setting of the reward stands where medreward's manager does not look.

    Raises:
        ConfigError: naming it, and where it belongs.
    """
    stray = dict(config.reward.get("reward_kwargs") or {})
    for name in stray:
        raise ConfigError(
            f"reward.reward_kwargs.{name}: MedRewardManager does not read it; settings of the "
            f"reward go to reward.custom_reward_function.reward_kwargs, and what only verl's own "
            f"managers do (such as overlong_buffer_cfg) goes with "
            f"reward.custom_reward_function.path=pkg://medreward_verl"
        )


def hindering_packages(config: Any) -> Iterator[str]:
    """Yield the packages that the model's settings need and that are not here."""
    from importlib.util import find_spec

    override = config.actor_rollout_ref.model.get("override_config") or {}
    attention = override.get("attn_implementation", "flash_attention_2")
    if attention == "flash_attention_2" and find_spec("flash_attn") is None:
        yield (
            "flash_attn has to be installed, verl's default attention, or give "
            "+actor_rollout_ref.model.override_config.attn_implementation=sdpa"
        )
