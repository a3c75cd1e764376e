"""What the TRL recipes share: their YAML file, and a check of rows before a GPU is asked for."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from transformers import AutoProcessor
from transformers.integrations import get_available_reporting_integrations
from transformers.trainer_utils import get_last_checkpoint
from trl import GRPOConfig

from medreward import ConfigError, Task, explain
from medreward.checks import known_fields, mapping, whole
from medreward.data.check import one_target
from medreward.data.model_name import check_model
from medreward.errors import expected
from medreward.files.reading import parse_yaml, read_text
from medreward.kinds.base import kind_of
from medreward.kinds.right_answers import completion_with, right_answer
from medreward.kinds.truth import target_of
from medreward.priors.asked import contradictions
from medreward.scoring.schedule import ThresholdRules, settings_at
from medreward.scoring.scorer import COMMON, scorer
from medreward.scoring.signatures import SignatureSet
from medreward.task.registry import kind_names, rules_of
from medreward.task.settings import RewardSettings
from medreward.text.shown import signed
from medreward_trl.held_out import check_held_out, evaluate_policy

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = [
    "check_device",
    "check_fields",
    "check_grpo",
    "check_held_out",
    "check_keys",
    "check_lora",
    "check_model",
    "check_rows",
    "command_line",
    "evaluate_policy",
    "idle_settings",
    "load_processor",
    "model_to_load",
    "read_config",
    "rows_of_tasks",
    "settings_in_force",
]

_UNREAD = "I cannot tell"
# Qwen's limits of a picture -> their names in an image processor's size.
_PIXELS = {"min_pixels": "shortest_edge", "max_pixels": "longest_edge"}
_CPU = {"bf16": False, "fp16": False, "use_cpu": True, "use_vllm": False}


def command_line(about: str | None, config: Path) -> argparse.ArgumentParser:
    """Return the options that every recipe has.

    Args:
        about: the recipe's docstring.
        config: its default configuration.
    """
    # Of transformers and TRL, about what a recipe's own YAML file sets.
    warnings.filterwarnings("ignore", ".*gradient_checkpointing.*", FutureWarning)
    parser = argparse.ArgumentParser(description=(about or "").partition("\n")[0])
    parser.add_argument("--config", type=Path, default=config)
    parser.add_argument("--dry-run", action="store_true", help="check all that needs no GPU")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    return parser


def read_config(
    path: Path, changes: Sequence[str], *, known: Sequence[str], needed: Sequence[str]
) -> dict[str, Any]:
    """Return a recipe's YAML file with ``name.of.field=value`` changes applied.

    Args:
        path: the YAML file.
        changes: such as ``grpo.max_steps=10``; values are YAML.
        known: the fields that it may have.
        needed: the fields that it must have.

    Raises:
        ConfigError: if it cannot be read, or a field is not known or missing.
    """
    try:
        config = parse_yaml(read_text(path))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    if not isinstance(config, dict):
        raise ConfigError(f"{path}: it is not a mapping with {', '.join(known)}")
    for change in changes:
        _change(config, change)
    check_keys(f"{path}: field", config, known)
    for key in needed:
        if key not in config:
            raise ConfigError(f"{path}: field {key!r} is missing")
    return config


def check_keys(what: str, given: Iterable[str], known: Sequence[str]) -> None:
    """Raise `ConfigError` for a name that is not known; it names the nearest."""
    for key in given:
        if key not in known:
            raise expected(what, key, known)


def check_fields(where: str, settings: Mapping[str, Any], kind: type = GRPOConfig) -> Any:
    """Make sure that `settings` are fields of a configuration, TRL's or peft's, which takes them.

    Returns:
        The configuration, for a CPU.

    Raises:
        ConfigError: for a field that this version of TRL does not have, or a value it refuses.
    """
    if not isinstance(settings, Mapping):
        raise ConfigError(f"{where}: {settings!r} is not a mapping of {kind.__name__}'s fields")
    known = [f.name for f in fields(kind)]
    check_keys(f"{where}: {kind.__name__} field of this version", settings, known)
    _check_numbers(where, settings, kind)
    try:
        return kind(**{**settings, **{k: v for k, v in _CPU.items() if k in known}})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {error}") from error


def _check_numbers(where: str, settings: Mapping[str, Any], kind: type) -> None:
    """Raise `ConfigError` for a text in place of a number, which would fail in the middle of a run.

    YAML reads 1e-5 as a text, since a number with an exponent needs a point in YAML 1.1.
    """
    for field in fields(kind):
        value = settings.get(field.name)
        takes = {getattr(one, "__name__", one) for one in get_args(field.type) or [field.type]}
        if isinstance(value, str) and takes <= {"int", "float", "NoneType"}:
            raise ConfigError(
                f"{where}.{field.name}: {value!r} is a text and not a number; YAML needs a point "
                f"before the exponent: 1.0e-5, not 1e-5"
            )


def check_lora(settings: Mapping[str, Any] | None) -> None:
    """Make sure that `settings` are those of a LoRA; None and nothing stand for full training.

    Raises:
        ConfigError: for a field that this version of peft does not have, or a value it refuses.
    """
    if settings:
        from peft import LoraConfig

        check_fields("lora", settings, LoraConfig)


def check_grpo(settings: Mapping[str, Any], *, resumes: bool, validates: bool = False) -> None:
    """Make sure that GRPO's settings are TRL's, and that what they ask for is there.

    Args:
        settings: the recipe's.
        resumes: whether the recipe can go on from a checkpoint.
        validates: whether it has rows that TRL evaluates while it trains.

    Raises:
        ConfigError: naming the field.
    """
    config = check_fields("grpo", settings)
    evaluates = str(getattr(config.eval_strategy, "value", config.eval_strategy)) != "no"
    if evaluates and not validates:
        raise ConfigError(
            "grpo.eval_strategy: there are no rows for an evaluation by TRL while it trains; "
            "recipes/trl_vrft.py takes them in `data.validation`, and rows that are evaluated "
            "once, after the training, in `evaluation`"
        )
    if validates and not evaluates:
        raise ConfigError(
            "data.validation: grpo.eval_strategy is 'no', so that nothing evaluates these rows; "
            "set it to steps, and grpo.eval_steps"
        )
    if settings.get("use_vllm") and find_spec("vllm") is None:
        raise ConfigError("grpo.use_vllm: vLLM is not installed here: pip install 'trl[vllm]'")
    there = get_available_reporting_integrations()
    for name in config.report_to:
        if name not in there:
            raise ConfigError(f"grpo.report_to: {name!r} is not installed here")
    if "wandb" in config.report_to and config.log_completions:
        raise ConfigError(
            "grpo.log_completions: TRL's table of completions ends the run at its first log where "
            "report_to is wandb and prompts have images (a TypeError in wandb.Table); set it to "
            "false and take the recipe's `trace`, which holds more"
        )
    _check_resume(settings, resumes)


def check_device(settings: Mapping[str, Any]) -> None:
    """Make sure that GRPO's settings are for the machine that the training runs on.

    Raises:
        ConfigError: with TRL's own words, such as on bf16 where there is no GPU.
    """
    try:
        GRPOConfig(**settings)
    except ValueError as error:
        raise ConfigError(
            f"grpo: {error} (a run without a GPU: --set grpo.use_cpu=true, and "
            f"--set grpo.use_vllm=false)"
        ) from error


def _check_resume(settings: Mapping[str, Any], resumes: bool) -> None:
    asked = settings.get("resume_from_checkpoint")
    if not asked:
        return
    field = "grpo.resume_from_checkpoint"
    if not resumes:
        raise ConfigError(
            f"{field}: this recipe cannot go on from a checkpoint; a stage that was "
            f"killed starts afresh"
        )
    if asked is True:
        folder = Path(str(settings.get("output_dir") or ""))
        last = get_last_checkpoint(str(folder)) if folder.is_dir() else None
        if last is None:
            raise ConfigError(f"{field}: there is no checkpoint in output_dir {str(folder)!r}")
        _check_unfinished(field, Path(last), settings)
    elif not Path(str(asked)).is_dir():
        raise ConfigError(f"{field}: {asked!r} is no folder; true takes the last in output_dir")


def _check_unfinished(field: str, last: Path, settings: Mapping[str, Any]) -> None:
    """Raise `ConfigError` if all steps are done: the Trainer would make one more, and keep it."""
    done, steps = int(last.name.rpartition("-")[2]), settings.get("max_steps") or -1
    if 0 < steps <= done:
        raise ConfigError(
            f"{field}: {done} of {steps} steps are done; the policy is in {last}, and `medreward "
            f"evaluate --model {last}` says what it is worth"
        )


def model_to_load(model: str, settings: Mapping[str, Any], lora: Mapping[str, Any] | None) -> str:
    """Return what the trainer loads: the checkpoint that a run of all weights goes on from.

    transformers' Trainer restores optimizer, schedule, chance and data, but not the weights of
    vision-language models whose files name them otherwise than the model does (LLaVA, and others
    in transformers' issue 43701): it warns of missing keys and goes on from the first model. LoRA
    is restored.

    Args:
        model: the recipe's model, a folder or a hub name.
        settings: GRPO's.
        lora: LoRA's, None and nothing for a training of all weights.

    Raises:
        ConfigError: if the best checkpoint is to be loaded at the end, which fails in the same way.
    """
    if lora:
        return model
    if settings.get("load_best_model_at_end"):
        raise ConfigError(
            "grpo.load_best_model_at_end: without LoRA, transformers does not load a checkpoint's "
            "weights into some vision-language models, and says so in a warning only; leave it "
            "out, and compare checkpoints with `medreward evaluate --model OUTPUT_DIR/checkpoint-N`"
        )
    asked = settings.get("resume_from_checkpoint")
    if not asked:
        return model
    found = get_last_checkpoint(str(settings["output_dir"])) if asked is True else asked
    return str(found)


def load_processor(model: str, settings: Mapping[str, Any] | None) -> Any:
    """Return a model's processor with other limits of its pictures; None: TRL loads its own.

    Args:
        model: a folder or a hub name.
        settings: ``min_pixels`` and ``max_pixels``.

    Raises:
        ConfigError: if a setting is none, or the model's processor does not take it.
    """
    if not settings:
        return None
    known_fields("processor", mapping("processor", settings), _PIXELS)
    for name, value in settings.items():
        whole(f"processor.{name}", value, 1)
    processor = AutoProcessor.from_pretrained(
        model, **settings, truncation_side="left", padding_side="left"
    )
    images = processor.image_processor
    for name, value in settings.items():
        if (images.size or {}).get(_PIXELS[name]) != value:
            raise ConfigError(
                f"processor.{name}: {type(images).__name__}, the model's image processor, does "
                f"not take it; leave it out, and shrink the pictures with `medreward prepare`"
            )
    return processor


def rows_of_tasks(
    data: Dataset, tasks: Sequence[Task], *, all_there: bool = True
) -> list[tuple[Task, Dataset]]:
    """Return each task with its rows.

    Args:
        data: rows of one or several tasks.
        tasks: the tasks of the run.
        all_there: whether each task has to have rows.

    Raises:
        ConfigError: if a row is of none of the tasks, or a task has no rows.
    """
    places: dict[str, list[int]] = {task.name: [] for task in tasks}
    for place, name in enumerate(data["task"]):
        if name not in places:
            raise ConfigError(
                f"row {data[place]['id']}: it is of task {name!r}, not {' or '.join(places)}"
            )
        places[name].append(place)
    for name, own in places.items():
        if all_there and not own:
            raise ConfigError(f"task: there is no row of {name!r} in the data")
    return [(task, data.select(places[task.name])) for task in tasks]


def check_rows(
    data: Dataset, task: Task, reward: Mapping[str, Any], first: int = 3
) -> Iterator[str]:
    """Yield what the first rows' right and unreadable answers earn.

    Raises:
        ConfigError: if a row is not of the task, its prompt does not mark its images or asks for
            another frame than the reward reads, or its own target is not read as right.
    """
    reward = _at_start(reward)
    task, settings = settings_in_force(task, reward)
    yield f"{len(data)} rows; first prompt:\n{_texts(data[0])[-1]}\n"
    signatures = SignatureSet()
    for row in islice(data, first):
        images = _check_row(row, task, settings)
        target = target_of(task, row["target"])
        answers = [right_answer(task, target, settings), _UNREAD]
        right, unread = explain(
            [
                completion_with(answer, completion_format=settings.completion_format)
                for answer in answers
            ],
            [target] * 2,
            task=task,
            knowledge=row["knowledge"],
            **reward,
        )
        sizes = ", ".join(str(image.size) for image in images) or "none"
        yield (
            f"{row['id']}: image {sizes}, target {row['target']!r}: "
            f"right {signed(right.total, 3)} {right.reasons}, unread {signed(unread.total, 3)}"
        )
        if not right.correct or right.total <= unread.total:
            raise ConfigError(f"row {row['id']}: its own target is not read as right")
        signatures.add(right.signature, row["knowledge"])
    yield "\n" + "\n".join(signatures.texts())
    for line in one_target(task.name, [*data["target"]]):
        yield f"note: {line}"


def settings_in_force(task: Task, reward: Mapping[str, Any]) -> tuple[Task, RewardSettings]:
    """Return a task and its reward settings under those of a recipe, a model profile's among them.

    Args:
        task: the card.
        reward: what `medreward_trl.reward_funcs` takes; of a schedule, the threshold at its start.

    Raises:
        ConfigError: naming the setting.

    >>> settings_in_force(Task.load("bccd"), {"model_profile": "qwen3_vl"})[1].frame
    'per-mille'
    """
    bound = scorer(task, _at_start(reward))
    return bound.task, bound.settings


def _at_start(reward: Mapping[str, Any]) -> dict[str, Any]:
    changed = settings_at(reward, ThresholdRules().start)
    changed.pop("box_schedule", None)
    return changed


def idle_settings(tasks: Sequence[Task], reward: Mapping[str, Any]) -> list[str]:
    """Return the reward settings that were given and shape the rewards of none of the tasks.

    >>> idle_settings([Task.load("pneumoniamnist")], {"decay": "linear", "delta": -1})
    ['decay']
    """
    of_kinds = {name for kind in kind_names() for name in rules_of(kind).settings}
    parts = [part for task in tasks for part in (task, *task.fields.values())]
    used = {name for part in parts for name in kind_of(part).settings}
    return [name for name in reward if name in of_kinds - {*COMMON} - used]


def _check_row(row: Mapping[str, Any], task: Task, settings: RewardSettings) -> list[Any]:
    """Return a row's images."""
    if row["task"] != task.name:
        raise ConfigError(
            f"row {row['id']}: it is of task {row['task']!r}, not {task.name!r}; name the card "
            f"that the rows were prepared with, task: {row['task']}, or prepare them with "
            f"--task {task.name}"
        )
    images = row["images"] if "images" in row else [row["image"]]
    marks = sum(part["type"] == "image" for part in _parts(row))
    if marks != len(images) or None in images:
        found = len(images) - images.count(None)
        raise ConfigError(f"row {row['id']}: its prompt marks {marks} images, and it has {found}")
    for problem in contradictions("\n".join(_texts(row)), task, settings):
        raise ConfigError(
            f"row {row['id']}: {problem}; prepare the rows with the settings that the reward has"
        )
    return images


def _parts(row: Mapping[str, Any]) -> list[Any]:
    return [part for message in row["prompt"] for part in message["content"]]


def _texts(row: Mapping[str, Any]) -> list[str]:
    return [part["text"] for part in _parts(row) if part["type"] == "text"]


def _change(config: dict[str, Any], change: str) -> None:
    name, equals, value = change.partition("=")
    if not equals:
        raise ConfigError(f"--set: {change!r} is not NAME=VALUE")
    *parents, last = name.split(".")
    place: Any = config
    for parent in parents:
        place = place.setdefault(parent, {}) if isinstance(place, dict) else None
    if not isinstance(place, dict):
        raise ConfigError(f"--set: {change!r}: {'.'.join(parents)} has no fields")
    place[last] = parse_yaml(value)
