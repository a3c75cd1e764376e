"""The demo with the pretrained model: the same slices, LoRA, fewer steps; and its trainer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trl.trainer.utils as trl_utils
from peft import LoraConfig
from transformers.trainer_callback import PrinterCallback

from medreward import Task
from medreward.data import mni152
from medreward.data.check import scorers_of
from medreward.data.parquet import write_parquet
from medreward.data.rows import make_rows
from medreward.files.atomic import replacing, write_text_atomic
from medreward.runs import evaluation
from medreward_trl.dataset import from_parquet
from medreward_trl.demo import generation, model
from medreward_trl.demo.demonstrations import demonstration
from medreward_trl.demo.lora_start import POLICY_LORA, align, imitate_with_lora
from medreward_trl.demo.pretrained import build_smollm2
from medreward_trl.demo.progress import Progress
from medreward_trl.demo.run import REWARDS, TASK, DemoOptions
from medreward_trl.demo.shared_prefix import share_prefix
from medreward_trl.rewards import RewardFuncs, reward_funcs
from medreward_trl.train import make_trainer

if TYPE_CHECKING:
    from datasets import Dataset
    from trl import GRPOTrainer

GROUP, PROMPTS = 8, 3  # completions a prompt, prompts a step
SETTINGS: dict[str, Any] = {
    "num_generations": GROUP,
    "per_device_train_batch_size": GROUP * PROMPTS,
    "max_completion_length": 64,
    "learning_rate": 4e-4,
    "lr_scheduler_type": "constant",
    "warmup_steps": 0,
    "temperature": 1.0,
    "gradient_checkpointing": False,
    "bf16": False,
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": [],
    "disable_tqdm": True,
}
_TRAIN, _TEST = 200, 60  # slices; half of the first for the warm start
_WARM_STEPS, _WARM_BATCH = 30, 8
_MAX_TOKENS = 40


def run_pretrained(options: DemoOptions) -> str:
    """Train the pretrained model on the demo's slices and return its table as Markdown.

    ``train.parquet``, ``test.parquet``: the rows; ``warm_start/``, ``policy/``: the model before
    and after GRPO; ``trace.jsonl``: every completion of the training; ``warm_start.jsonl``,
    ``policy.jsonl``: greedy completions on the held-out slices; ``report.json``.

    Raises:
        ConfigError: if the weights are not there.
    """
    tiny = build_smollm2(seed=options.seed)
    share_prefix(tiny.model)
    task, out = Task.load(TASK), options.out
    train = mni152.examples(TASK, split="train", count=_TRAIN, seed=options.seed)
    test = mni152.examples(TASK, split="test", count=_TEST, seed=options.seed)
    for name, examples in (("train", train), ("test", test)):
        write_parquet(out / f"{name}.parquet", make_rows(examples, task), total=len(examples))
    data, held_out = (from_parquet(out / f"{name}.parquet") for name in ("train", "test"))
    half = len(data) // 2
    shown, others = data.select(range(half)), data.select(range(half, len(data)))
    align(tiny, task, shown, seed=options.seed)

    def draw(step: int) -> tuple[Sequence[Any], Sequence[str]]:
        chosen = [(step * _WARM_BATCH + i) % half for i in range(_WARM_BATCH)]
        return [shown[i] for i in chosen], [demonstration(train[i]) for i in chosen]

    tiny = imitate_with_lora(tiny, draw, steps=_WARM_STEPS, seed=options.seed)
    _keep(tiny, held_out, out / "warm_start")
    trace = out / "trace.jsonl"
    trace.unlink(missing_ok=True)  # a trace is continued, not replaced
    settings = {"decay": REWARDS[options.reward]}
    trainer = pretrained_trainer(
        tiny,
        others,
        reward_funcs(task, trace=trace, **settings),
        out / "policy",
        {"max_steps": options.steps, "seed": options.seed, "max_completion_length": _MAX_TOKENS},
    )
    trainer.add_callback(Progress(options.steps))
    trainer.train()
    _keep(trained(trainer, tiny), held_out, out / "policy")
    return _report(out, settings)


def pretrained_trainer(
    tiny: model.Tiny, data: Dataset, reward: RewardFuncs, out: Path, changes: dict[str, Any]
) -> GRPOTrainer:
    """Return TRL's GRPOTrainer for the pretrained model: LoRA in its last layers.

    Args:
        tiny: the model, after its warm start.
        data: the rows.
        reward: what `medreward_trl.reward_funcs` returns.
        out: the folder that TRL writes to.
        changes: settings of `trl.GRPOConfig` in place of `SETTINGS`.
    """
    settings = {**SETTINGS, "use_cpu": tiny.model.device.type == "cpu", **changes}
    if settings["use_cpu"]:
        _score_completions_only()
    trainer = make_trainer(
        model=tiny.model,
        dataset=data,
        reward=reward,
        settings={**settings, "output_dir": str(out)},
        processor=tiny.processor,
        peft_config=LoraConfig(**POLICY_LORA),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def trained(trainer: GRPOTrainer, tiny: model.Tiny) -> model.Tiny:
    """Return the policy of a trainer with its LoRA merged."""
    policy = trainer.accelerator.unwrap_model(trainer.model).merge_and_unload()
    return model.Tiny(policy, tiny.processor)


def _score_completions_only() -> None:
    """Let TRL compute logits of the completions only on a CPU, as it does on a GPU.

    TRL 1.16 computes those of the prompts too where there is no Triton, and throws them away. The
    name is private: where it is gone, steps are slower and nothing else changes.
    """
    if hasattr(trl_utils, "_use_triton"):
        trl_utils._use_triton = lambda device: True


def _keep(tiny: model.Tiny, held_out: Dataset, folder: Path) -> None:
    """Write a model and its greedy completions of the held-out rows."""
    if folder.is_dir():
        shutil.rmtree(folder)
    with replacing(folder) as scratch:
        model.save(tiny, scratch)
    texts = generation.most_likely(tiny, held_out, _MAX_TOKENS)
    lines = [
        json.dumps({"id": name, "completion": text}, ensure_ascii=False) + "\n"
        for name, text in zip(held_out["id"], texts, strict=True)
    ]
    write_text_atomic(folder.with_suffix(".jsonl"), "".join(lines))


def _report(out: Path, settings: dict[str, Any]) -> str:
    warm, policy = (
        evaluation.score_completions(
            out / "test.parquet", _completions(out / f"{name}.jsonl"), scorers_of(None, settings)
        )[TASK]
        for name in ("warm_start", "policy")
    )
    before, after = (evaluation.evaluate(one)[0].metrics for one in (warm, policy))
    changes = evaluation.compare(policy, warm)
    write_text_atomic(
        out / "report.json",
        json.dumps([one._asdict() for one in changes], indent=1) + "\n",
    )
    lines = [
        f"| {len(policy.predictions)} held-out slices | warm start | after GRPO | change |",
        "|---|---:|---:|---:|",
    ]
    for one, other, change in zip(before, after, changes, strict=True):
        moved = f"{change.value:+.3f} ({change.low:+.3f} to {change.high:+.3f})"
        lines.append(f"| {one.name} | {one.value:.3f} | {other.value:.3f} | {moved} |")
    return "\n".join(lines) + "\n\nIn brackets: 95 % paired bootstrap over slices.\n"


def _completions(path: Path) -> dict[str, str]:
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {row["id"]: row["completion"] for row in rows}
