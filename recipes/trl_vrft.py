"""GRPO on a vision-language model with medreward's rewards, in TRL.

The data, the prompts, the rewards and the trainer are those of `medreward demo`; only the model
and the images differ. Everything is set in a YAML file (see trl_vrft.yaml)::

    python recipes/trl_vrft.py --config recipes/trl_vrft.yaml [--dry-run] [--set grpo.max_steps=10]
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from trl import GRPOConfig

from medreward import ConfigError, Task, explain
from medreward.data import medmnist
from medreward.data.rows import rows
from medreward.errors import expected
from medreward_trl import reward_funcs
from medreward_trl.dataset import from_parquet, from_rows

if TYPE_CHECKING:
    from datasets import Dataset

KEYS = ("task", "model", "knowledge", "data", "reward", "lora", "grpo")


def read_config(path: Path, changes: list[str]) -> dict[str, Any]:
    """Read the YAML file and apply ``--set a.b=value`` changes."""
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from error
    for change in changes:
        name, _, value = change.partition("=")
        place = config
        *parents, last = name.split(".")
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = yaml.safe_load(value)
    for key in config:
        if key not in KEYS:
            raise expected(f"{path}: field", key, KEYS)
    for key in ("task", "model", "data", "grpo"):
        if key not in config:
            raise ConfigError(f"{path}: field {key!r} is missing")
    known = [f.name for f in fields(GRPOConfig)]
    for key in config["grpo"]:
        if key not in known:
            raise expected(f"{path}: grpo field of this TRL version", key, known)
    return config  # type: ignore[no-any-return]


def load_data(config: dict[str, Any], task: Task) -> Dataset:
    """Return the training data: MedMNIST images with prompts built now, or prepared rows."""
    data = config["data"]
    if "parquet" in data:
        return from_parquet(data["parquet"])
    if "npz" not in data:
        raise ConfigError("data: give npz (a MedMNIST file) or parquet (medreward prepare)")
    examples = medmnist.examples(data["npz"], data.get("split", "train"), data.get("limit"))
    return from_rows(rows(examples, task, config.get("knowledge", "full")))


def dry_run(config: dict[str, Any], task: Task, data: Dataset) -> None:
    """Check what needs no GPU: settings, images, prompts, and the reward on the first rows."""
    reward = config.get("reward", {})
    settings = {**config["grpo"], "bf16": False, "fp16": False, "use_cpu": True, "use_vllm": False}
    GRPOConfig(**settings)  # TRL's own validation; precision and vLLM need the GPU
    print(f"{len(data)} rows; first prompt:\n{data[0]['prompt'][0]['content'][-1]['text']}\n")
    for row in islice(data, 3):
        if row["image"] is None or row["task"] != task.name:
            raise ConfigError(f"row {row['id']}: task {row['task']!r}, image {row['image']}")
        answers = [row["target"], "I cannot tell"]
        texts = [f"<think>Looking closely.</think><answer>{a}</answer>" for a in answers]
        right, wrong = explain(
            texts, [row["target"]] * 2, task=task, knowledge=row["knowledge"], **reward
        )
        print(f"{row['id']}: image {row['image'].size}, target {row['target']!r}: ", end="")
        print(f"right {right.total:+.3f} {right.reasons}, unread {wrong.total:+.3f}")
        if right.total <= wrong.total:
            raise ConfigError(f"row {row['id']}: its own target is not read as right")
    print(f"\n{right.signature}\ndry run passed; the model was not loaded")


def train(config: dict[str, Any], task: Task, data: Dataset) -> None:
    """Run TRL's GRPOTrainer."""
    from peft import LoraConfig

    from medreward_trl.train import make_trainer

    lora = config.get("lora")
    trainer = make_trainer(
        model=config["model"],
        dataset=data,
        reward=reward_funcs(task, **config.get("reward", {})),
        settings=config["grpo"],
        peft_config=LoraConfig(**lora) if lora else None,
    )
    trainer.train()
    trainer.save_model()


def main() -> int:
    """Parse arguments and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("trl_vrft.yaml"))
    parser.add_argument("--dry-run", action="store_true", help="check all that needs no GPU")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    try:
        config = read_config(arguments.config, arguments.set)
        task = Task.load(config["task"])
        data = load_data(config, task)
        (dry_run if arguments.dry_run else train)(config, task, data)
    except ConfigError as error:
        print(f"trl_vrft: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
