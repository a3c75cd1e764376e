"""The warm start of the pretrained model: features, projector, then LoRA on demonstrations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from peft import LoraConfig, get_peft_model
from torch.nn import functional

from medreward import Task
from medreward.files.progress import show_progress
from medreward.kinds.truth import target_of
from medreward_trl.demo.model import Tiny
from medreward_trl.demo.pretrained import TURN_END

if TYPE_CHECKING:
    from datasets import Dataset

ALIGNING_STEPS, ALIGNING_BATCH = 40, 128
_SEEN_AT_ONCE = 16
_IGNORED = -100
LORA: dict[str, Any] = {
    "r": 16,
    "lora_alpha": 32,
    "target_modules": r".*language_model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj",
}
# The last ten of thirty layers: the backward pass ends there, and a step takes a quarter less time.
POLICY_LORA = {**LORA, "target_modules": LORA["target_modules"].replace(r"\d+", r"2\d")}
# Rows with what is said to them.
Draw = Callable[[int], tuple[Sequence[Any], Sequence[str]]]


def align(tiny: Tiny, task: Task, data: Dataset, *, seed: int) -> float:
    """Train a new projector alone until a picture's tokens are near to the words of its label.

    This needs the tower's features and no step of the language model, so it takes seconds.

    Args:
        tiny: the model.
        task: a task that names labels.
        data: rows to train on.
        seed: of the projector and of what is drawn.

    Returns:
        The share of pictures to which the words of their own label are nearest.
    """
    torch.manual_seed(seed)
    tower, projector = tiny.model.model.vision_tower, tiny.model.model.multi_modal_projector
    for layer in (projector.linear_1, projector.linear_2):
        layer.reset_parameters()
    features = _features(tiny, data)
    tower.standardise(features)
    features = (features - tower.centre) / tower.scale
    truth = torch.tensor([task.target_index(target_of(task, text)) for text in data["target"]])
    truth = truth.to(features.device)
    table = tiny.model.get_input_embeddings().weight.detach()
    middle, length = table.mean(0), table.norm(dim=-1).mean()
    tokens = [tiny.processor.tokenizer(label.name)["input_ids"] for label in task.labels]
    words = functional.normalize(torch.stack([table[t].mean(0) for t in tokens]) - middle, dim=-1)
    weight = 1 / torch.bincount(truth, minlength=len(tokens)).clamp(min=1).float()
    optimizer = torch.optim.AdamW(projector.parameters(), lr=3e-4, weight_decay=0.1)

    def likeness(shown: torch.Tensor) -> torch.Tensor:
        return functional.normalize(shown.mean(1) - middle, dim=-1) @ words.T

    for _ in show_progress(range(ALIGNING_STEPS), desc="projector", unit="step"):
        chosen = torch.randperm(len(truth), device=truth.device)[:ALIGNING_BATCH]
        shown = projector(functional.dropout(features[chosen], 0.5))
        loss = functional.cross_entropy(likeness(shown) / 0.1, truth[chosen], weight=weight)
        loss = loss + 0.1 * ((shown.norm(dim=-1) - length) / length).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        right = likeness(projector(features)).argmax(-1) == truth
    return float(right.float().mean())


@torch.no_grad()  # type: ignore[untyped-decorator]
def _features(tiny: Tiny, data: Dataset) -> torch.Tensor:
    found = []
    for start in range(0, len(data), _SEEN_AT_ONCE):
        pictures = data[start : start + _SEEN_AT_ONCE]["image"]
        pixels = tiny.processor.image_processor(pictures, return_tensors="pt")["pixel_values"]
        found.append(tiny.model.model.vision_tower.features(pixels.to(tiny.model.device)))
    return torch.cat(found)


def imitate_with_lora(tiny: Tiny, draw: Draw, *, steps: int, seed: int) -> Tiny:
    """Return the model after supervised steps of LoRA and projector, merged.

    Args:
        tiny: the model.
        draw: gives the rows and completions of a step, counted from 0.
        steps: how many steps.
        seed: of LoRA.
    """
    torch.manual_seed(seed)
    model = get_peft_model(tiny.model, LoraConfig(**LORA))
    projector = [p for n, p in model.named_parameters() if "multi_modal_projector" in n]
    for parameter in projector:
        parameter.requires_grad_(True)
    lora = [p for n, p in model.named_parameters() if "lora_" in n]
    groups = [{"params": projector, "lr": 1e-3}, {"params": lora, "lr": 5e-4}]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / 4) * (1 - 0.9 * step / steps)
    )
    model.train()
    for step in show_progress(range(steps), desc="warm start", unit="step"):
        rows, completions = draw(step)
        said = [text + TURN_END for text in completions]
        loss = _loss(Tiny(model, tiny.processor), rows, said)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*projector, *lora], 1.0)
        optimizer.step()
        schedule.step()
    merged = model.merge_and_unload()
    for parameter in merged.parameters():
        parameter.requires_grad_(True)
    return Tiny(merged, tiny.processor)


def _loss(tiny: Tiny, rows: Sequence[Any], completions: Sequence[str]) -> torch.Tensor:
    """Return the mean cross-entropy of the completions' tokens.

    Padding is on the right, so that what prompts share stands at the same place in all rows.
    """
    tokenizer = tiny.processor.tokenizer
    usual, tokenizer.padding_side = tokenizer.padding_side, "right"
    try:
        inputs = tiny.encode(rows, completions).to(tiny.model.device)
    finally:
        tokenizer.padding_side = usual
    labels = torch.full_like(inputs["input_ids"], _IGNORED)
    lengths = inputs["attention_mask"].sum(1).tolist()
    counts = [len(tokenizer(text)["input_ids"]) for text in completions]
    for i, (length, count) in enumerate(zip(lengths, counts, strict=True)):
        labels[i, length - count : length] = inputs["input_ids"][i, length - count : length]
    first = min(length - count for length, count in zip(lengths, counts, strict=True))
    kept = labels.shape[1] - first + 1  # the token before the first one said predicts it
    logits = tiny.model(**inputs, logits_to_keep=kept).logits
    loss: torch.Tensor = functional.cross_entropy(
        logits[:, :-1].flatten(0, 1).float(), labels[:, first:].flatten(), ignore_index=_IGNORED
    )
    return loss
