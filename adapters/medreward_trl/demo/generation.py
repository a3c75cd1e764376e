"""Sampling completions from the demo's model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from medreward_trl.demo.model import Tiny

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datasets import Dataset

MAX_TOKENS = 16
_BATCH = 128


def most_likely(tiny: Tiny, data: Dataset, max_tokens: int = MAX_TOKENS) -> list[str]:
    """Return the greedy completion of each row."""
    return [
        text
        for batch in _batches(data, _BATCH)
        for text in _generate(tiny, batch, None, max_tokens)
    ]


def sampled(tiny: Tiny, data: Dataset, group: int, seed: int) -> list[list[str]]:
    """Return `group` completions of each row, sampled at temperature 1."""
    torch.manual_seed(seed)
    texts = [
        text
        for batch in _batches(data, max(1, _BATCH // group))
        for text in _generate(tiny, batch, group, MAX_TOKENS)
    ]
    return [texts[i : i + group] for i in range(0, len(texts), group)]


def _generate(tiny: Tiny, rows: Dataset, group: int | None, max_tokens: int) -> list[str]:
    sampling: dict[str, object] = {"do_sample": False}
    if group:
        sampling = {"do_sample": True, "top_k": 0, "num_return_sequences": group}
    inputs = tiny.encode(rows)
    tiny.model.eval()
    with torch.no_grad():
        sequences = tiny.model.generate(**inputs, **sampling, max_new_tokens=max_tokens)
    completions = sequences[:, inputs["input_ids"].shape[1] :]
    return list(tiny.processor.batch_decode(completions, skip_special_tokens=True))


def _batches(data: Dataset, size: int) -> Iterator[Dataset]:
    for start in range(0, len(data), size):
        yield data.select(range(start, min(start + size, len(data))))
