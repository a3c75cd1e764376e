"""Localisation first, then classification (PA_π of VRFT-Aug) in TRL, with the controls it needs.

Everything is set in a YAML file (see trl_two_stage.yaml)::

    python recipes/trl_two_stage.py --config FILE --arm two_stage [--dry-run] [--set seed=1]

The arms start from the same model:

``two_stage``   GRPO on boxes, then GRPO on classification from that policy;
``direct``      GRPO on classification for the steps of both stages: the same number of updates;
``supervised``  supervised training on the rows of the first stage, then GRPO on classification;
``short``       GRPO on classification for the steps of the second stage only.

A stage that is complete is not run again; one that was killed starts afresh. What GRPO samples goes
to ``STAGE.trace.jsonl`` beside the stage's folder, for `medreward why`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from trl import SFTConfig, SFTTrainer

from medreward import ConfigError, Task
from medreward.files import replacing
from medreward.kinds import completion_with, right_answer, target_of
from medreward_trl import from_parquet, make_trainer, reward_funcs
from medreward_trl.recipe import (
    check_device,
    check_fields,
    check_grpo,
    check_lora,
    check_model,
    check_rows,
    command_line,
    idle_settings,
    read_config,
    settings_in_force,
)

if TYPE_CHECKING:
    from datasets import Dataset

    from medreward_trl import RewardFuncs

LOCALISE, CLASSIFY = "localisation", "classification"
ARMS = ("two_stage", "direct", "supervised", "short")
KEYS = ("model", "out", "seed", LOCALISE, CLASSIFY, "lora", "grpo", "supervised")
NEEDED = ("model", "out", LOCALISE, CLASSIFY, "grpo")
STAGE_KEYS = ("task", "rows", "steps", "reward")


class Stage(NamedTuple):
    """One training run: on which rows, how, and for how long."""

    name: str
    supervised: bool
    steps: int
    task: Task
    rows: str
    reward: dict[str, Any]


def plan(config: dict[str, Any], arm: str) -> list[Stage]:
    """Return the stages of an arm."""
    first, second = (_stage(name, config[name]) for name in (LOCALISE, CLASSIFY))
    if arm == "direct":
        return [second._replace(steps=first.steps + second.steps)]
    if arm == "short":
        return [second]
    if arm == "supervised" and "supervised" not in config:
        raise ConfigError("field 'supervised' is missing, which the arm of that name needs")
    return [first._replace(supervised=arm == "supervised"), second]


def _stage(name: str, content: Any) -> Stage:
    if not isinstance(content, dict) or not {*STAGE_KEYS[:3]} <= {*content} <= {*STAGE_KEYS}:
        raise ConfigError(f"{name}: {content!r} is not a mapping with {', '.join(STAGE_KEYS)}")
    steps = content["steps"]
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ConfigError(f"{name}.steps: {steps!r} is not a whole number from 1 on")
    task, reward = Task.load(content["task"]), content.get("reward") or {}
    return Stage(name, False, steps, task, content["rows"], reward)


def train(config: dict[str, Any], arm: str) -> Path:
    """Run the stages of an arm one after the other and return the folder of the last policy."""
    model = config["model"]
    for stage in plan(config, arm):
        folder = Path(config["out"]) / arm / f"seed_{config.get('seed', 0)}" / stage.name
        if folder.exists():
            print(f"{folder}: complete")
        else:
            run_stage(stage, model, folder, config)
        model = str(folder)
    return Path(model)


def run_stage(stage: Stage, model: str, folder: Path, config: dict[str, Any]) -> None:
    """Train `model` in a stage and write the policy to `folder`."""
    data = from_parquet(stage.rows)
    trace = folder.with_name(f"{stage.name}.trace.jsonl")
    trace.unlink(missing_ok=True)  # of a stage that was killed; a trace is continued, not replaced
    with replacing(folder) as scratch:
        common = {
            "output_dir": str(scratch),
            "seed": config.get("seed", 0),
            "max_steps": stage.steps,
        }
        if stage.supervised:
            trainer = _supervised(stage, model, data, common, config)
        else:
            reward = reward_funcs(stage.task, trace=trace, **stage.reward)
            trainer = _grpo(reward, model, data, common, config)
        trainer.train()
        _save(trainer, scratch)


def _grpo(
    reward: RewardFuncs, model: str, data: Dataset, common: dict[str, Any], config: dict[str, Any]
) -> Any:
    return make_trainer(
        model=model,
        dataset=data,
        reward=reward,
        settings={**config["grpo"], **common},
        peft_config=_lora(config),
    )


def _supervised(
    stage: Stage, model: str, data: Dataset, common: dict[str, Any], config: dict[str, Any]
) -> Any:
    return SFTTrainer(
        model=model,
        args=SFTConfig(**{**config["supervised"], **common, "max_length": None}),
        train_dataset=demonstrations(data, stage.task, stage.reward),
        peft_config=_lora(config),
    )


def demonstrations(data: Dataset, task: Task, reward: dict[str, Any]) -> Dataset:
    """Return rows with the right completion of each, for supervised training."""
    task, settings = settings_in_force(task, reward)
    form = settings.completion_format

    def completion(row: dict[str, Any]) -> dict[str, Any]:
        answer = right_answer(task, target_of(task, row["target"]), settings)
        text = completion_with(answer, completion_format=form)
        return {"completion": [{"role": "assistant", "content": text}]}

    name = "images" if "images" in data.column_names else "image"
    images = data.select_columns([name])
    texts = data.remove_columns(name).map(completion, desc="demonstrations")
    return texts.select_columns(["prompt", "completion"]).add_column(
        name, images.data.column(name), feature=images.features[name]
    )


def _lora(config: dict[str, Any]) -> Any:
    if not config.get("lora"):
        return None
    from peft import LoraConfig

    return LoraConfig(**config["lora"])


def _save(trainer: Any, folder: Path) -> None:
    """Write the policy as a whole model, with its processor."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    if hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    model.save_pretrained(folder)
    trainer.processing_class.save_pretrained(folder)
    trainer.state.save_to_json(str(folder / "trainer_state.json"))


def dry_run(config: dict[str, Any], arm: str) -> None:
    """Check what needs no GPU: settings, rows, images, prompts, and the rewards."""
    for number, stage in enumerate(plan(config, arm), start=1):
        how = "supervised training" if stage.supervised else "GRPO"
        print(f"-- stage {number}: {how} on {stage.name}, {stage.steps} steps, {stage.rows}")
        for line in check_rows(from_parquet(stage.rows), stage.task, stage.reward):
            print(line)
        for name in idle_settings([stage.task], stage.reward):
            print(f"note: {stage.name}.reward.{name} shapes nothing of a {stage.task.kind} task")
    print(check_model(config["model"]))
    print("dry run passed; the model was not loaded")


def main() -> int:
    """Parse arguments and run."""
    parser = command_line(__doc__, Path(__file__).with_name("trl_two_stage.yaml"))
    parser.add_argument("--arm", choices=ARMS, default="two_stage")
    arguments = parser.parse_args()
    try:
        config = read_config(arguments.config, arguments.set, known=KEYS, needed=NEEDED)
        check_grpo(config["grpo"], resumes=False)
        check_lora(config.get("lora"))
        check_fields("supervised", config.get("supervised", {}), SFTConfig)
        if not arguments.dry_run:
            check_device(config["grpo"])
        (dry_run if arguments.dry_run else train)(config, arguments.arm)
    except ConfigError as error:
        print(f"trl_two_stage: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
