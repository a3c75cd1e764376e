"""The supervised warm start: the policy learns the format, and a little, from a few examples.

GRPO can only reward what the policy already does now and then, so it starts from a policy that
writes the format most of the time and is right more often than by chance. The warm start stops
early and sees few images, which leaves GRPO something to learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from medreward.files.progress import show_progress
from medreward_trl.demo.model import END, Tiny

if TYPE_CHECKING:
    from datasets import Dataset

BATCH = 32
LEARNING_RATE = 1e-3
_IGNORED = -100  # labels that transformers leaves out of the loss


def imitate(
    tiny: Tiny, data: Dataset, completions: Sequence[str], *, steps: int, seed: int
) -> float:
    """Train `tiny` to write each row's completion, and return the last step's loss."""
    optimizer = torch.optim.AdamW(tiny.model.parameters(), lr=LEARNING_RATE)
    chance = torch.Generator().manual_seed(seed)
    loss = torch.tensor(0.0)
    tiny.model.train()
    for _ in show_progress(range(steps), desc="warm start", unit="step"):
        chosen = torch.randperm(len(data), generator=chance)[:BATCH].tolist()
        loss = _loss(tiny, data.select(chosen), [f" {completions[i]} {END}" for i in chosen])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(tiny.model.parameters(), 1.0)
        optimizer.step()
    return float(loss.detach())


def _loss(tiny: Tiny, rows: Dataset, completions: Sequence[str]) -> torch.Tensor:
    """Return the mean cross-entropy of the completions' tokens."""
    inputs = tiny.encode(rows, completions)
    labels = inputs["input_ids"].clone()
    for i, completion in enumerate(completions):
        labels[i, : -len(tiny.processor.tokenizer(completion)["input_ids"])] = _IGNORED
    loss: torch.Tensor = tiny.model(**inputs, labels=labels).loss
    return loss
