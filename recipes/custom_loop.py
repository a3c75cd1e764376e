"""GRPO in plain PyTorch with `shaped_reward`: medreward in a training loop of your own.

    medreward demo --out runs/demo            # makes the model and the rows
    python recipes/custom_loop.py --demo runs/demo --steps 20

The model comes from runs/demo/warm_start through transformers, the rows from
runs/demo/train.parquet through datasets; the only line of medreward here is the reward.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from datasets import load_dataset
from transformers import AutoModelForImageTextToText, AutoProcessor

from medreward import shaped_reward
from medreward.data import open_image

Row = dict[str, Any]


def encode(processor: Any, batch: list[Row]) -> Any:
    """Return the model inputs of the rows' prompts and images."""
    images = []
    for row in batch:
        with open_image(row["images"][0]["bytes"]) as opened:
            images.append(opened.convert("RGB"))
    texts = [
        processor.apply_chat_template(row["prompt"], add_generation_prompt=True) for row in batch
    ]
    return processor(images=images, text=texts, padding=True, return_tensors="pt")


def rewards(batch: list[Row], texts: list[str], group: int, task: str) -> torch.Tensor:
    """Return the shaped reward of each completion, one row a prompt: shape (prompts, group)."""
    table = [
        shaped_reward(
            texts[i * group : (i + 1) * group],
            row["reward_model"]["ground_truth"],
            task=task,
            knowledge=row["extra_info"]["knowledge"],
        )
        for i, row in enumerate(batch)
    ]
    return torch.tensor(table)


def completion_log_probs(
    model: Any, inputs: Any, sequences: torch.Tensor, start: int
) -> torch.Tensor:
    """Return log p of each completion token, shape (completions, tokens)."""
    attention = torch.cat([inputs["attention_mask"], torch.ones_like(sequences[:, start:])], dim=1)
    logits = model(
        input_ids=sequences, attention_mask=attention, pixel_values=inputs["pixel_values"]
    ).logits[:, start - 1 : -1]
    chosen = sequences[:, start:].unsqueeze(-1)
    return logits.log_softmax(-1).gather(-1, chosen).squeeze(-1)


def step(
    model: Any, processor: Any, optimizer: Any, batch: list[Row], arguments: argparse.Namespace
) -> float:
    """Sample a group a prompt, score it, and take one policy-gradient step."""
    group = arguments.group
    inputs = encode(processor, [row for row in batch for _ in range(group)])
    start = inputs["input_ids"].shape[1]
    end = processor.tokenizer.eos_token_id
    model.eval()
    with torch.no_grad():
        sequences = model.generate(**inputs, do_sample=True, max_new_tokens=arguments.tokens)
    texts = processor.batch_decode(sequences[:, start:], skip_special_tokens=True)
    reward = rewards(batch, texts, group, batch[0]["data_source"])
    # GRPO (arXiv 2402.03300): the advantage is the reward standardised within its group.
    advantage = (reward - reward.mean(1, keepdim=True)) / (reward.std(1, keepdim=True) + 1e-4)
    tokens = sequences[:, start:]
    mask = ((tokens == end).cumsum(1) - (tokens == end).long() == 0).float()
    model.train()
    log_probs = completion_log_probs(model, inputs, sequences, start)
    # On-policy, one update a batch: the probability ratio is 1 and its gradient that of log p.
    loss = -(log_probs * advantage.reshape(-1, 1) * mask).sum() / mask.sum()
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return float(reward.mean())


def main() -> None:
    """Train and print the mean reward of every step."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--demo", type=Path, required=True, help="what medreward demo wrote")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--prompts", type=int, default=8, help="prompts a step")
    parser.add_argument("--group", type=int, default=8, help="completions a prompt")
    parser.add_argument("--tokens", type=int, default=32, help="longest completion")
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    data = load_dataset("parquet", data_files=str(arguments.demo / "train.parquet"), split="train")
    data = data.shuffle(seed=arguments.seed)
    model = AutoModelForImageTextToText.from_pretrained(arguments.demo / "warm_start")
    processor = AutoProcessor.from_pretrained(arguments.demo / "warm_start")
    optimizer = torch.optim.AdamW(model.parameters(), lr=arguments.learning_rate, weight_decay=0.0)
    for i in range(arguments.steps):
        first = i * arguments.prompts
        batch = [data[j % len(data)] for j in range(first, first + arguments.prompts)]
        reward = step(model, processor, optimizer, batch, arguments)
        print(f"step {i + 1:4d}  mean reward {reward:.3f}", flush=True)


if __name__ == "__main__":
    main()
