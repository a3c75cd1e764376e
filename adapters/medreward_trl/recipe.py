"""What the TRL recipes share: their YAML file, and a check of rows before a GPU is asked for."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trl import GRPOConfig

from medreward import ConfigError, Task, explain
from medreward.errors import expected
from medreward.files.reading import parse_yaml, read_text
from medreward.kinds.right_answers import completion_with, right_answer
from medreward.kinds.truth import target_of

if TYPE_CHECKING:
    from datasets import Dataset

_UNREAD = "I cannot tell"
_CPU = {"bf16": False, "fp16": False, "use_cpu": True, "use_vllm": False}


def command_line(about: str | None, config: Path) -> argparse.ArgumentParser:
    """Return the options that every recipe has.

    Args:
        about: the recipe's docstring.
        config: its default configuration.
    """
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
    for key in config:
        if key not in known:
            raise expected(f"{path}: field", key, known)
    for key in needed:
        if key not in config:
            raise ConfigError(f"{path}: field {key!r} is missing")
    return config


def check_fields(where: str, settings: Mapping[str, Any], kind: type = GRPOConfig) -> None:
    """Make sure that `settings` are fields of TRL's configuration, and that TRL takes them.

    Raises:
        ConfigError: for a field that this version of TRL does not have, or a value it refuses.
    """
    known = [f.name for f in fields(kind)]
    for key in settings:
        if key not in known:
            raise expected(f"{where}: {kind.__name__} field of this TRL version", key, known)
    try:
        kind(**{**settings, **{k: v for k, v in _CPU.items() if k in known}})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {error}") from error


def check_rows(
    data: Dataset, task: Task, reward: Mapping[str, Any], first: int = 3
) -> Iterator[str]:
    """Yield what the first rows' right and unreadable answers earn.

    Raises:
        ConfigError: if a row is not of the task, lacks its image, or its own target is not read as
            right.
    """
    yield f"{len(data)} rows; first prompt:\n{data[0]['prompt'][0]['content'][-1]['text']}\n"
    for row in islice(data, first):
        if row["image"] is None or row["task"] != task.name:
            raise ConfigError(f"row {row['id']}: task {row['task']!r}, image {row['image']}")
        target = target_of(task, row["target"])
        answers = [right_answer(task, target, task.reward.updated(reward)), _UNREAD]
        right, unread = explain(
            [completion_with(answer) for answer in answers],
            [target] * 2,
            task=task,
            knowledge=row["knowledge"],
            **reward,
        )
        yield (
            f"{row['id']}: image {row['image'].size}, target {row['target']!r}: "
            f"right {right.total:+.3f} {right.reasons}, unread {unread.total:+.3f}"
        )
        if not right.correct or right.total <= unread.total:
            raise ConfigError(f"row {row['id']}: its own target is not read as right")
    yield f"\n{right.signature}"


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
