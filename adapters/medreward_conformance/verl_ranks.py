"""veRL's agent loop and reward loop in several workers each, with completions that are known.

A stub stands in place of the client of the servers that sample. What follows is veRL's own: the
agent loop workers hand each completion to one of the reward workers, by chance; advantages and
metrics are its functions, on what comes back to the driver.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from medreward_conformance.known import byte_tokenizer
from medreward_conformance.known_ranks import (
    COPIES,
    GROUPS,
    STEPS,
    TASK,
    check_count,
    columns_of,
    row_of,
    traced,
)
from medreward_conformance.ranks import Rank, Ranks, Sampled
from medreward_conformance.verl import local_ray
from medreward_conformance.verl_ranks_probe import CALL, SENT, KnownServer

_TEMPLATE = (
    "{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
_KWARGS = "+reward.custom_reward_function.reward_kwargs"
# What veRL says of a step's rewards; the others are lengths and times.
_METRICS = ("critic/score/", "critic/rewards/", "critic/advantages/")
# What veRL says of each key of a reward's result when it validates.
_KEYS = ("score", "accuracy", "format", "recitation", "acc", "correct", "unreadable")


def observe_ranks(count: int) -> Ranks:
    """Score the steps of a run in several workers and in one, and return what both did.

    Args:
        count: how many agent loop workers, and how many reward workers.

    Raises:
        ConfigError: if they do not share the groups of a step.
    """
    check_count(count)
    with local_ray(2 * count), TemporaryDirectory() as folder:
        out = Path(folder)
        _write_model(out / "model")
        logged = _run(out, "ranks", count)
        alone = _run(out, "alone", 1)
        return Ranks(
            [*_processes(out / "ranks"), Rank([], [], None, logged)],
            traced([out / "ranks" / "trace.jsonl"]),
            alone,
            COPIES,
        )


def _write_model(folder: Path) -> None:
    """Write what veRL's workers read of a model: a configuration and a tokenizer."""
    from transformers import LlamaConfig

    tokenizer = byte_tokenizer()
    tokenizer.chat_template = _TEMPLATE
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(vocab_size=len(tokenizer), architectures=["LlamaForCausalLM"])
    config.save_pretrained(folder)


def _processes(folder: Path) -> list[Rank]:
    """Return what each worker wrote down."""
    found = []
    for path in sorted(folder.glob("process-*.jsonl")):
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        rows = {
            kind: [
                [Sampled(*row) for row in line["rows"]] for line in lines if line["kind"] == kind
            ]
            for kind in (SENT, CALL)
        }
        sent = [one for some in rows[SENT] for one in some]
        found.append(Rank(sent, rows[CALL], None, None))
    return found


def _run(out: Path, name: str, count: int) -> list[dict[str, float]]:
    """Return the metrics of all steps, scored by `count` workers of each sort."""
    import ray
    from verl.experimental.agent_loop import AgentLoopManager
    from verl.experimental.reward_loop import RewardLoopManager

    folder = out / name
    folder.mkdir()
    config = _config(out / "model", folder, count)
    rewards = RewardLoopManager(config)
    # Without a loop of its own, veRL's create() waits for its workers by itself.
    loops = AgentLoopManager.create(
        config=config,
        llm_client=KnownServer(str(out / "model"), str(folder)),
        reward_loop_worker_handles=rewards.reward_loop_worker_handles,
    )
    try:
        return [_metrics(loops.generate_sequences(_batch(step))) for step in range(1, STEPS + 1)]
    finally:
        for worker in (*loops.agent_loop_workers, *rewards.reward_loop_workers):
            ray.kill(worker)


def _config(model: Path, folder: Path, count: int) -> Any:
    from hydra import compose, initialize_config_module

    with initialize_config_module("verl.trainer.config", version_base=None):
        return compose(
            "ppo_trainer",
            overrides=[
                "algorithm.adv_estimator=grpo",
                f"actor_rollout_ref.model.path={model}",
                "actor_rollout_ref.rollout.name=vllm",
                f"actor_rollout_ref.rollout.agent.num_workers={count}",
                "data.max_prompt_length=64",
                "data.max_response_length=96",
                f"reward.num_workers={count}",
                "reward.reward_manager.source=importlib",
                "reward.reward_manager.module.path=pkg://medreward_conformance.verl_ranks_probe",
                "reward.reward_manager.name=WatchedManager",
                f"{_KWARGS}.trace={folder}/trace.jsonl",
            ],
        )


def _batch(step: int) -> Any:
    """Return the rows of a step as veRL's trainer hands them to the agent loop."""
    import numpy as np
    from verl import DataProto

    first = (step - 1) * GROUPS
    rows = [row for row in range(first, first + GROUPS) for _ in range(COPIES)]
    columns: dict[str, Sequence[Any]] = {
        "raw_prompt": [[{"role": "user", "content": f"row{row}?"}] for row in rows],
        "data_source": [TASK] * len(rows),
        "reward_model": [{"style": "rule", "ground_truth": "normal"} for _ in rows],
        "extra_info": [columns_of(row) for row in rows],
        "uid": [f"row{row}" for row in rows],
        "index": rows,
        "global_steps": [step] * len(rows),
    }
    arrays: dict[str, Any] = {}
    for name, values in columns.items():
        arrays[name] = np.empty(len(values), dtype=object)
        arrays[name][:] = values
    return DataProto(None, arrays, {"global_steps": step})


def _metrics(batch: Any) -> dict[str, float]:
    """Return veRL's metrics of a step's completions: of its training, and of a validation."""
    import numpy as np
    from verl.trainer.ppo.metric_utils import compute_data_metrics, process_validation_metrics
    from verl.trainer.ppo.ray_trainer import compute_advantage

    columns = batch.non_tensor_batch
    groups = [f"row{row_of(prompt[0]['content'])}" for prompt in columns["raw_prompt"]]
    columns["uid"] = np.array(groups, dtype=object)
    scores = batch.batch["rm_scores"]
    batch.batch["token_level_scores"] = batch.batch["token_level_rewards"] = scores
    trained = compute_data_metrics(compute_advantage(batch, "grpo"), use_critic=False)
    found = {name: float(trained[name]) for name in trained if name.startswith(_METRICS)}
    keys = {name: columns[name].tolist() for name in _KEYS}
    validated = process_validation_metrics([TASK] * len(groups), groups, keys)[TASK]
    return found | {f"{name}/mean": validated[name][f"mean@{COPIES}"] for name in _KEYS}
