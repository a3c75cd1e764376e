"""TRL in several processes: ``accelerate launch`` on the CPU, with completions that are known.

A stub stands in place of the model's sampling; what follows is TRL's own. The module is also what
each process runs: ``python -m medreward_conformance.trl_ranks FOLDER``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from medreward_conformance.known import ON_CPU, byte_tokenizer
from medreward_conformance.known_ranks import (
    COPIES,
    GROUPS,
    STEPS,
    TASK,
    TRACE,
    KnownWriter,
    check_count,
    columns_of,
    launch,
    logged_rewards,
    probe_into,
    read_ranks,
    write_rank,
)
from medreward_conformance.ranks import Ranks, Sampled
from medreward_trl import reward_funcs

_LENGTH = 96
# What a trainer averages over processes; the others are times, lengths and losses.
_METRICS = (
    "reward",
    "reward_std",
    "correct",
    "unreadable",
    "zero_variance",
    "frac_reward_zero_std",
)


def observe_ranks(count: int) -> Ranks:
    """Train a short run in several processes and in one, and return what both did.

    Args:
        count: how many processes; the completions of a step are the same for any.

    Raises:
        ConfigError: if the processes fail, with the end of what they said.
    """
    check_count(count)
    with TemporaryDirectory() as folder:
        out = Path(folder)
        command = ["accelerate.commands.launch", "--multi_gpu"]
        command += ["--num_processes", str(count), "--num_machines", "1", "--mixed_precision", "no"]
        command += ["--dynamo_backend", "no", "--main_process_port", "0", "--module"]
        launch([*command, "medreward_conformance.trl_ranks", str(out)])
        return read_ranks(out, count, train(out / "alone", 1)["logged"])


def train(out: Path, count: int) -> dict[str, Any]:
    """Train in this process, one of `count`; return what its model and its reward saw."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    tokenizer = byte_tokenizer()
    tokenizer.padding_side = "left"
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    funcs, weights = reward_funcs(TASK, trace=out / TRACE)
    model, sent = _known_model(tokenizer)
    calls: list[list[Sampled]] = []

    rows = [{"prompt": f"row{i}?", **columns_of(i)} for i in range(STEPS * GROUPS)]
    trainer = GRPOTrainer(
        model=model,
        processing_class=tokenizer,
        reward_funcs=[*funcs, probe_into(calls)],
        args=GRPOConfig(
            output_dir=str(out),
            reward_weights=[*weights, 0.0],
            per_device_train_batch_size=GROUPS * COPIES // count,
            num_generations=COPIES,
            max_completion_length=_LENGTH,
            max_steps=STEPS,
            **ON_CPU,
            remove_unused_columns=False,
            **({"ddp_backend": "gloo"} if count > 1 else {}),
        ),
        train_dataset=Dataset.from_list(rows),
    )
    trainer.train()
    logged = logged_rewards(trainer.state.log_history, _METRICS)
    return {"sent": sent, "calls": calls, "logged": logged}


def _known_model(tokenizer: Any) -> tuple[Any, list[Sampled]]:
    """Return a small Llama that writes `known_text`, and the list of what it wrote."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=256,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    writer = KnownWriter(tokenizer)

    def generate(*args: Any, **given: Any) -> Any:
        return writer.behind(given["input_ids"] if "input_ids" in given else args[0])

    model.generate = generate
    return model, writer.sent


def main() -> None:
    """Run one process of `observe_ranks`."""
    out, rank = Path(sys.argv[1]), int(os.environ["RANK"])
    found = train(out, int(os.environ["WORLD_SIZE"]))
    write_rank(out, rank, found)


if __name__ == "__main__":
    main()
