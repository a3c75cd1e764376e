"""What a trained policy is worth on held-out rows: the report of `medreward evaluate`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medreward import ConfigError
from medreward.checks import known_fields, whole
from medreward.commands.cli import main
from medreward.data.check import check_parquet, scorers_of
from medreward.errors import quote
from medreward.scoring.task_book import name_tasks
from medreward.task.card import shipped

_FIELDS = ("parquet", "out", "max_new_tokens", "batch")
_READING = {"completion_format": "--completion-format", "model_profile": "--model-profile"}


def check_held_out(
    settings: Mapping[str, Any], task: str | Sequence[str], reward: Mapping[str, Any]
) -> int:
    """Make sure that held-out rows are there and fit, and return how many there are.

    Args:
        settings: ``parquet``, the rows; ``out``, the folder of the report; ``max_new_tokens`` and
            ``batch`` of the generation.
        task: the recipe's task, a name or a path of a card, or a list of them.
        reward: its reward settings.

    Raises:
        ConfigError: naming the field, or the rows with problems.

    ::

        check_held_out({"parquet": "rows/test.parquet", "out": "report"}, "retinamnist", {})
    """
    if not isinstance(settings, Mapping):
        raise ConfigError(f"evaluation: {quote(settings)} is not a mapping with parquet and out")
    known_fields("evaluation", settings, _FIELDS)
    for name in ("parquet", "out"):
        if not settings.get(name) or not isinstance(settings[name], str):
            raise ConfigError(f"evaluation.{name}: {quote(settings.get(name))} is not a path")
    for name in ("max_new_tokens", "batch"):
        if name in settings:
            whole(f"evaluation.{name}", settings[name], 1)
    reading = {name: reward[name] for name in _READING if reward.get(name)}
    for name, value in reading.items():
        if not isinstance(value, str):
            raise ConfigError(
                f"reward.{name}: {quote(value)}: beside an evaluation it is a name or a file"
            )
    book = name_tasks(_cards(task))
    return check_parquet(settings["parquet"], book, scorer_of=scorers_of(book, reading))


def evaluate_policy(
    model: str | Path,
    settings: Mapping[str, Any],
    task: str | Sequence[str],
    reward: Mapping[str, Any],
) -> int:
    """Write a model's completions of held-out rows and their report; return the exit status.

    Completions of an earlier run in the same folder are taken away first, as they are another
    policy's. Of several processes, only the first does it.

    Args:
        model: the folder that the trainer saved.
        settings: as `check_held_out` takes them.
        task: the recipe's task, a name or a path of a card, or a list of them.
        reward: its reward settings, of which those that say how answers are read count.

    ::

        evaluate_policy("runs/policy", {"parquet": "rows/test.parquet", "out": "report"},
                        "retinamnist", {})
    """
    if int(os.environ.get("RANK", "0")):
        return 0
    out = Path(settings["out"])
    completions = out / "completions.jsonl"
    completions.unlink(missing_ok=True)
    words = ["evaluate", str(settings["parquet"]), "--model", str(model)]
    words += ["--completions", str(completions), "--out", str(out)]
    words += ["--batch", str(settings.get("batch", 1))]
    words += ["--max-new-tokens", str(settings.get("max_new_tokens", 512))]
    words += [word for card in _cards(task) for word in ("--task", card)]
    for name, option in _READING.items():
        if reward.get(name):
            words += [option, str(reward[name])]
    return main(words)


def _cards(task: str | Sequence[str]) -> list[str]:
    named = [task] if isinstance(task, str) else task
    return [one for one in named if one not in shipped()]
