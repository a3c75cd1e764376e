"""Completions that are known beforehand, for trainers whose reward loop runs without a model."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from medreward.files.reading import read_lines
from medreward_conformance.protocol import Arrival, Call, Sent

PAD, END, BOX = "<pad>", "<end>", "<box>"
PROMPT = "Which grade is this? Write <think> </think><answer> </answer>."
PREFILL = "<think>\n"
TASK = "retinamnist"
TEXTS = (
    "<think>Dot bleeds.</think><answer>2</answer>",
    "  \n<think>a</think>\n\n<answer> 2 </answer>\n ",
    "<think>肺 🩻 é</think><answer>2</answer>",
    f"<think>{BOX}here{BOX}</think><answer>2</answer>",
    "<think>never closed &amp; \\boxed{2} <image>",
    "",
)

# Settings of TRL for a run on the CPU that keeps nothing.
ON_CPU: dict[str, Any] = {
    "logging_steps": 1,
    "use_cpu": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "report_to": [],
    "save_strategy": "no",
}


def known_completions() -> list[Sent]:
    """Return each of `TEXTS` twice, as the two completions of one prompt."""
    return [
        Sent(f"g{i}-{copy}", f"g{i}", text, PROMPT, ended=copy == 0)
        for i, text in enumerate(TEXTS)
        for copy in range(2)
    ]


def byte_tokenizer(special: Sequence[str] = ()) -> PreTrainedTokenizerFast:
    """Return a tokenizer of bytes: any text comes back as it was."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = [PAD, END, *alphabet]
    backend = Tokenizer(models.BPE(vocab={name: i for i, name in enumerate(names)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[*special],
        clean_up_tokenization_spaces=False,
    )


def token_ids(tokenizer: Any, sent: Sent) -> list[int]:
    """Return what the model writes: the text's tokens and, where it ended, the end token."""
    ids = tokenizer(sent.text, add_special_tokens=False)["input_ids"]
    return [*ids, *([tokenizer.eos_token_id] if sent.ended else [])]


def padded(lists: Sequence[Sequence[int]], fill: int, *, left: bool = False) -> tuple[Any, Any]:
    """Return lists of token ids as one tensor, and the mask of what is no padding."""
    import torch

    width = max(map(len, lists))
    rows, masks = [], []
    for ids in lists:
        rest = width - len(ids)
        rows.append([fill] * rest + [*ids] if left else [*ids] + [fill] * rest)
        masks.append([0] * rest + [1] * len(ids) if left else [1] * len(ids) + [0] * rest)
    return torch.tensor(rows), torch.tensor(masks)


def columns_with_values(columns: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the columns of one row that hold something."""
    return tuple(name for name, value in columns.items() if value is not None)


def read_calls(path: Path) -> list[Call]:
    """Read the calls that a probe in other processes wrote, one a line."""
    found = []
    for _, line in read_lines(path) if path.exists() else ():
        call = json.loads(line)
        arrivals = tuple(
            Arrival(one["key"], one["group"], one["text"], tuple(one["columns"]))
            for one in call["arrivals"]
        )
        found.append(Call(call["positional"], arrivals))
    return found


def sent_scores(sent: Sequence[Sent], scores: Sequence[float]) -> dict[Hashable, float]:
    """Return the trainer's rewards by the completions' keys."""
    return {one.key: float(score) for one, score in zip(sent, scores, strict=True)}
