"""The warm start of the pretrained model: features, projector, then LoRA on demonstrations."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from peft import LoraConfig, get_peft_model
from torch.nn import functional
from tqdm import trange

from medreward import Task
from medreward.kinds.truth import target_of
from medreward_trl.demo.model import Tiny
from medreward_trl.demo.pretrained import TURN_END
from medreward_trl.demo.shared_prefix import share_prefix
from recipes.evidence.demonstrations import demonstration

if TYPE_CHECKING:
    from datasets import Dataset

BATCH = 16
ALIGNING_STEPS, ALIGNING_BATCH = 40, 128
_IGNORED = -100
LORA: dict[str, Any] = {
    "r": 16,
    "lora_alpha": 32,
    "target_modules": r".*language_model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj",
}


def warm_start(
    tiny: Tiny, task: Task, data: Mapping[str, Dataset], *, steps: int, seed: int, quoting: bool
) -> Tiny:
    """Return the model after its warm start.

    Args:
        tiny: the model as it was built.
        task: the task.
        data: the rows at each level of knowledge, of the same pictures in the same order.
        steps: supervised steps.
        seed: of what is drawn.
        quoting: whether demonstrations quote the knowledge.
    """
    torch.manual_seed(seed)
    share_prefix(tiny.model)
    align(tiny, task, next(iter(data.values())))
    return imitate(tiny, data, steps=steps, seed=seed, quoting=quoting)


def align(tiny: Tiny, task: Task, data: Dataset) -> float:
    """Train the projector alone until a picture's tokens are near to the words of its label.

    This needs the tower's features and no step of the language model, so it takes seconds. Returns
    the share of pictures whose label's words are nearest.
    """
    tower, projector = tiny.model.model.vision_tower, tiny.model.model.multi_modal_projector
    features = _features(tiny, data)
    tower.standardise(features)
    features = (features - tower.centre) / tower.scale
    truth = torch.tensor([task.target_index(target_of(task, text)) for text in data["target"]])
    table = tiny.model.get_input_embeddings().weight.detach()
    middle, length = table.mean(0), table.norm(dim=-1).mean()
    tokens = [tiny.processor.tokenizer(label.name)["input_ids"] for label in task.labels]
    words = functional.normalize(torch.stack([table[t].mean(0) for t in tokens]) - middle, dim=-1)
    weight = 1 / torch.bincount(truth, minlength=len(tokens)).clamp(min=1).float()
    optimizer = torch.optim.AdamW(projector.parameters(), lr=3e-4, weight_decay=0.1)

    def likeness(shown: torch.Tensor) -> torch.Tensor:
        return functional.normalize(shown.mean(1) - middle, dim=-1) @ words.T

    for _ in trange(ALIGNING_STEPS, desc="projector", disable=None):
        chosen = torch.randperm(len(truth))[:ALIGNING_BATCH]
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
    for start in range(0, len(data), BATCH):
        pictures = data[start : start + BATCH]["image"]
        pixels = tiny.processor.image_processor(pictures, return_tensors="pt")["pixel_values"]
        found.append(tiny.model.model.vision_tower.features(pixels.to(tiny.model.device)))
    return torch.cat(found)


def imitate(
    tiny: Tiny, data: Mapping[str, Dataset], *, steps: int, seed: int, quoting: bool
) -> Tiny:
    """Return the model after supervised steps; each label is as frequent as any other."""
    chance = random.Random(seed)
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
    rows_of_label: dict[str, list[int]] = defaultdict(list)
    for i, target in enumerate(next(iter(data.values()))["target"]):
        rows_of_label[target].append(i)
    model.train()
    for step in trange(steps, desc="warm start", unit="step", disable=None):
        rows = list(data.values())[step % len(data)]
        labels = [chance.choice(sorted(rows_of_label)) for _ in range(BATCH)]
        chosen = [rows[chance.choice(rows_of_label[label])] for label in labels]
        said = [
            demonstration(label, row["knowledge"] if quoting else "", chance) + TURN_END
            for label, row in zip(labels, chosen, strict=True)
        ]
        loss = _loss(Tiny(model, tiny.processor), chosen, said)
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
    return functional.cross_entropy(
        logits[:, :-1].flatten(0, 1).float(), labels[:, first:].flatten(), ignore_index=_IGNORED
    )
