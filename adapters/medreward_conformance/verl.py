"""veRL's own reward loop on a small Ray, with a custom reward function in the probe's place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from medreward_conformance.known import (
    BOX,
    END,
    PREFILL,
    PROMPT,
    TASK,
    byte_tokenizer,
    known_completions,
    padded,
    read_calls,
    sent_scores,
    token_ids,
)
from medreward_conformance.protocol import Observation, Sent


def observe() -> Observation:
    """Score known completions in veRL's RewardLoopManager with two workers."""
    sent = known_completions()
    tokenizer = byte_tokenizer([BOX])
    seen = Observation(
        f"verl {version('verl')}, RewardLoopManager with the naive manager",
        sent,
        special_tokens=(BOX,),
        end_tokens=(END,),
        prefill=PREFILL,
    )
    with local_ray(), TemporaryDirectory() as folder:
        tokenizer.save_pretrained(f"{folder}/tokenizer")
        out = Path(folder) / "calls.jsonl"
        score = _loop(folder, out)
        seen.scores = sent_scores(sent, score(_batch(tokenizer, sent)))
        seen.calls = read_calls(out)
        try:
            scores = score(_batch(tokenizer, sent, fails=True))
        except Exception as error:  # noqa: BLE001 - whatever veRL makes of it
            seen.failure = "stops" if "the probe fails" in str(error) else repr(error)[:200]
        else:
            seen.failure = f"a reward that raises goes on with {sorted(set(scores))}"
    return seen


@contextmanager
def local_ray(cpus: int = 2) -> Iterator[None]:
    """Run a small Ray in this process and shut it down; `cpus` is how many workers it places."""
    import ray

    ray.init(
        num_cpus=cpus,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=100 << 20,
        runtime_env={"env_vars": {"HF_HUB_OFFLINE": "1"}},
    )
    try:
        yield
    finally:
        ray.shutdown()


def _loop(folder: str, out: Path) -> Callable[[Any], list[float]]:
    """Return what scores a batch in veRL's loop."""
    from hydra import compose, initialize_config_module
    from verl.experimental.reward_loop import RewardLoopManager

    with initialize_config_module("verl.trainer.config", version_base=None):
        config = compose(
            "ppo_trainer",
            overrides=[
                f"reward.custom_reward_function.path={Path(__file__).with_name('verl_probe.py')}",
                f"+reward.custom_reward_function.reward_kwargs.out={out}",
                f"actor_rollout_ref.model.path={folder}/tokenizer",
                "reward.num_workers=2",
            ],
        )
    loop = RewardLoopManager(config)

    def scores(batch: Any) -> list[float]:
        found = loop.compute_rm_score(batch).batch["rm_scores"].sum(dim=-1)
        return [float(value) for value in found]

    return scores


def _batch(tokenizer: Any, sent: list[Sent], *, fails: bool = False) -> Any:
    """Return completions and rows as veRL's rollout hands them to the reward."""
    import numpy as np
    import torch
    from tensordict import TensorDict
    from verl import DataProto

    prompt = tokenizer(PROMPT + PREFILL)["input_ids"]
    prompts, before = padded([prompt] * len(sent), tokenizer.pad_token_id, left=True)
    responses, after = padded([token_ids(tokenizer, one) for one in sent], tokenizer.pad_token_id)
    tensors = {
        "prompts": prompts,
        "responses": responses,
        "attention_mask": torch.cat([before, after], dim=1),
    }
    columns: dict[str, Any] = {
        "data_source": [TASK] * len(sent),
        "reward_model": [{"style": "rule", "ground_truth": "2"}] * len(sent),
        "extra_info": [
            {"id": one.group, "key": one.key, "knowledge": "", "split": "train", "fails": fails}
            for one in sent
        ],
        "uid": [one.group for one in sent],
    }
    arrays: dict[str, Any] = {}
    for name, values in columns.items():
        arrays[name] = np.empty(len(values), dtype=object)
        arrays[name][:] = values
    return DataProto(TensorDict(tensors, batch_size=len(sent)), arrays)
