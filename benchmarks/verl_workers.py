"""How many samples a second verl's reward loop scores, by the number of Ray workers.

``python benchmarks/verl_workers.py`` prints the table of docs/how-to/scaling.md: verl's own
`RewardLoopManager` over prompts with 8 completions of 300 tokens each, through medreward's function
and through its reward manager.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from tensordict import TensorDict
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from tqdm import tqdm
from transformers import PreTrainedTokenizerFast

from medreward import Task, shaped_reward

GROUP, TOKENS, REPEATS = 8, 300, 5
FUNCTION = ["reward.custom_reward_function.path=pkg://medreward_verl"]
MANAGER = [
    "reward.reward_manager.source=importlib",
    "reward.reward_manager.module.path=pkg://medreward_verl.manager",
    "reward.reward_manager.name=MedRewardManager",
]


def bpe_tokenizer(words: list[str]) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer, the kind that Qwen's is."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2000,
        special_tokens=["<pad>", "<end>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator([" ".join(words)] * 5, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="<end>")


def completions(words: list[str], tokenizer: Any, count: int) -> list[list[int]]:
    """Return completions of exactly `TOKENS` tokens: shuffled words of the card, then a grade."""
    chance = random.Random(0)
    made = []
    for _ in range(count):
        tail = tokenizer(f"</think><answer>{chance.randrange(5)}</answer>")["input_ids"]
        text = "<think>" + " ".join(chance.choices(words, k=TOKENS))
        made.append(tokenizer(text)["input_ids"][: TOKENS - len(tail)] + tail)
    return made


def batch(ids: list[list[int]], row: dict[str, Any]) -> Any:
    """Return completions as verl's rollout hands them to the reward."""
    from verl import DataProto

    responses = torch.tensor(ids)
    prompts = torch.ones((len(ids), 4), dtype=torch.long)
    mask = torch.ones((len(ids), 4 + TOKENS), dtype=torch.long)
    tensors = {"prompts": prompts, "responses": responses, "attention_mask": mask}
    columns = {name: np.array([value] * len(ids), dtype=object) for name, value in row.items()}
    return DataProto(TensorDict(tensors, batch_size=len(ids)), columns)


@contextmanager
def cluster() -> Iterator[None]:
    """Run a local Ray."""
    ray.init(num_cpus=16, include_dashboard=False, log_to_driver=False)
    try:
        yield
    finally:
        ray.shutdown()


def rate(overrides: list[str], data: Any) -> float:
    """Return samples a second of verl's reward loop, the best of `REPEATS`."""
    from verl.experimental.reward_loop import RewardLoopManager

    from medreward_verl.check import compose

    loop = RewardLoopManager(compose(overrides))
    loop.compute_rm_score(data)  # starts the workers and reads the card
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        loop.compute_rm_score(data)
        seconds.append(time.perf_counter() - start)
    for worker in loop.reward_loop_workers:
        ray.kill(worker)
    return len(data) / min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--prompts", type=int, default=256)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    arguments = parser.parse_args()
    knowledge = Task.load("retinamnist").knowledge_text()
    tokenizer = bpe_tokenizer(knowledge.split())
    ids = completions(knowledge.split(), tokenizer, arguments.prompts * GROUP)
    row = {
        "data_source": "retinamnist",
        "reward_model": {"style": "rule", "ground_truth": "2"},
        "extra_info": {"knowledge": knowledge},
    }
    texts = tokenizer.batch_decode(ids)
    start = time.perf_counter()
    shaped_reward(texts, 2, task="retinamnist", knowledge=knowledge)
    alone = len(ids) / (time.perf_counter() - start)
    print(f"{len(ids)} completions of {TOKENS} tokens, {len(texts[0])} characters the first")
    print(f"shaped_reward alone, one process: {alone:,.0f} samples/s\n")
    print("| workers | function | manager |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, cluster():
        tokenizer.save_pretrained(Path(folder))
        data = batch(ids, row)
        for workers in tqdm(arguments.workers, desc="workers", disable=None):
            shared = [f"actor_rollout_ref.model.path={folder}", f"reward.num_workers={workers}"]
            rates = [rate([*way, *shared], data) for way in (FUNCTION, MANAGER)]
            print(f"| {workers} | " + " | ".join(f"{value:,.0f}" for value in rates) + " |")


if __name__ == "__main__":
    main()
