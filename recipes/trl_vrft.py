"""GRPO on a vision-language model with medreward's rewards, in TRL.

The data, the prompts, the rewards and the trainer are those of `medreward demo`; only the model
and the images differ. Everything is set in a YAML file (see trl_vrft.yaml)::

    python recipes/trl_vrft.py --config recipes/trl_vrft.yaml [--dry-run] [--set grpo.max_steps=10]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets import concatenate_datasets

from medreward import ConfigError, Task
from medreward.data import make_rows, read_medmnist
from medreward_trl import from_parquet, from_rows, reward_funcs
from medreward_trl.recipe import (
    check_device,
    check_grpo,
    check_held_out,
    check_keys,
    check_lora,
    check_model,
    check_rows,
    command_line,
    evaluate_policy,
    idle_settings,
    load_processor,
    model_to_load,
    read_config,
    rows_of_tasks,
)

if TYPE_CHECKING:
    from datasets import Dataset

KEYS = (
    *("task", "model", "processor", "knowledge", "data", "reward", "trace"),
    *("lora", "grpo", "evaluation"),
)
DATA_KEYS = ("npz", "parquet", "split", "limit", "validation")
NEEDED = ("task", "model", "data", "grpo")


def load_tasks(config: dict[str, Any]) -> list[Task]:
    """Return the tasks: ``task`` is a name or a card, or a list of them."""
    named = config["task"] if isinstance(config["task"], list) else [config["task"]]
    if not named:
        raise ConfigError("task: the list is empty")
    return [Task.load(one) for one in named]


def load_data(config: dict[str, Any], tasks: list[Task]) -> Dataset:
    """Return the training data: MedMNIST images with prompts built now, or prepared rows."""
    data = config["data"]
    if not isinstance(data, dict):
        raise ConfigError(f"data: {data!r} is not a mapping with npz or parquet")
    check_keys("data", data, DATA_KEYS)
    if data.get("parquet"):
        read = _read("data.parquet", data["parquet"])
        _check_knowledge(config.get("knowledge"), read)
        return read
    if not data.get("npz"):
        raise ConfigError("data: give npz (a MedMNIST file) or parquet (medreward prepare)")
    if len(tasks) > 1:
        raise ConfigError("data.npz: it is of one task; several take data.parquet, a list of files")
    examples = read_medmnist(data["npz"], data.get("split", "train"), data.get("limit"))
    return from_rows(make_rows(examples, tasks[0], config.get("knowledge", "full")))


def _validates(data: object) -> bool:
    return isinstance(data, dict) and bool(data.get("validation"))


def load_validation(config: dict[str, Any], tasks: list[Task]) -> Dataset | None:
    """Return the rows that TRL evaluates while it trains; None without ``data.validation``."""
    if not _validates(config["data"]):
        return None
    rows = _read("data.validation", config["data"]["validation"])
    rows_of_tasks(rows, tasks, all_there=False)
    return rows


def _read(field: str, named: str | list[str]) -> Dataset:
    """Return the rows of a parquet file, or of several."""
    paths = named if isinstance(named, list) else [named]
    parts = [from_parquet(path) for path in paths]
    for path, part in zip(paths, parts, strict=True):
        if part.features != parts[0].features:
            raise ConfigError(
                f"{field}: {path} has the columns {', '.join(part.column_names)}, and "
                f"{paths[0]} {', '.join(parts[0].column_names)}: rows of one run have one "
                f"image each, or all a list of them"
            )
    return concatenate_datasets(parts)


def _check_knowledge(asked: object, rows: Dataset) -> None:
    """Raise `ConfigError` if no knowledge is asked for and rows bring some."""
    with_knowledge = sum(map(bool, rows["knowledge"]))
    if asked == "none" and with_knowledge:
        raise ConfigError(
            f"knowledge: 'none', but {with_knowledge} of {len(rows)} rows of "
            f"data.parquet have knowledge in their prompts, which stays there; prepare rows with "
            f"`medreward prepare --knowledge none`"
        )


def unread(config: dict[str, Any]) -> list[str]:
    """Return what of a configuration has no effect since the rows are in data.parquet."""
    data = config["data"]
    if not data.get("parquet"):
        return []
    found = [f"data.{name}" for name in ("npz", "limit") if data.get(name)]
    found += ["data.split"] if data.get("split") not in (None, "train") else []
    return [*found, "knowledge"] if config.get("knowledge") else found


def dry_run(config: dict[str, Any], tasks: list[Task], data: Dataset) -> None:
    """Check what needs no GPU: settings, images, prompts, and the reward on the first rows."""
    reward = config.get("reward") or {}
    for task, own in rows_of_tasks(data, tasks):
        for line in check_rows(own, task, reward):
            print(line)
    reward_funcs(tasks, **reward)
    validation = load_validation(config, tasks)
    if validation is not None:
        print(f"data.validation: {len(validation)} rows are evaluated while it trains")
    for name in idle_settings(tasks, reward):
        kinds = ", ".join(f"{task.name}: {task.kind}" for task in tasks)
        print(f"note: reward.{name} shapes nothing here ({kinds})")
    if unread(config):
        print(
            f"note: not read, since the rows of data.parquet have prompts and knowledge of their "
            f"own: {', '.join(unread(config))}"
        )
    held_out = config.get("evaluation")
    if held_out:
        count = check_held_out(held_out, config["task"], reward)
        print(f"evaluation: {count} held-out rows")
    print(check_model(config["model"]))
    if Path(config["model"]).is_dir():  # of another, no file may be at hand
        load_processor(config["model"], config.get("processor"))
    print("dry run passed; the model was not loaded")


def train(config: dict[str, Any], tasks: list[Task], data: Dataset) -> None:
    """Run TRL's GRPOTrainer."""
    from peft import LoraConfig

    from medreward_trl import make_trainer

    lora = config.get("lora")
    rows_of_tasks(data, tasks)  # raises where a row is of no task, or a task has no row
    trainer = make_trainer(
        model=model_to_load(config["model"], config["grpo"], lora),
        dataset=data,
        reward=reward_funcs(tasks, trace=config.get("trace"), **config.get("reward") or {}),
        settings=config["grpo"],
        eval_dataset=load_validation(config, tasks),
        processor=load_processor(config["model"], config.get("processor")),
        peft_config=LoraConfig(**lora) if lora else None,
    )
    trainer.train(resume_from_checkpoint=config["grpo"].get("resume_from_checkpoint"))
    trainer.save_model()


def main() -> int:
    """Parse arguments and run."""
    parser = command_line(__doc__, Path(__file__).with_name("trl_vrft.yaml"))
    arguments = parser.parse_args()
    try:
        config = read_config(arguments.config, arguments.set, known=KEYS, needed=NEEDED)
        check_grpo(config["grpo"], resumes=True, validates=_validates(config["data"]))
        check_lora(config.get("lora"))
        model_to_load(config["model"], config["grpo"], config.get("lora"))
        if not arguments.dry_run:
            check_device(config["grpo"])
        tasks = load_tasks(config)
        data = load_data(config, tasks)
        (dry_run if arguments.dry_run else train)(config, tasks, data)
        if config.get("evaluation") and not arguments.dry_run:
            folder = config["grpo"]["output_dir"]
            reward = config.get("reward") or {}
            return evaluate_policy(folder, config["evaluation"], config["task"], reward)
    except ConfigError as error:
        print(f"trl_vrft: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
