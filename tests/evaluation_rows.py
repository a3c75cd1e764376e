"""Rows and predictions for the tests of `medreward evaluate`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from medreward import Task
from medreward.data.example import Example
from medreward.data.parquet import write_parquet
from medreward.data.rows import make_rows
from medreward.kinds.right_answers import completion_with
from medreward.runs.evaluation import Scored, score_completions
from medreward.runs.evaluation_metrics import metrics_of, value_of
from medreward.runs.evaluation_readings import Prediction, predict
from medreward.scoring.scorer import Scorer


def write_rows(folder: Path, task: Task, targets: Sequence[Any], side: int = 28) -> Path:
    """Write a row for each target, each with an image of its own."""
    examples = [
        Example(Image.new("RGB", (side, side), (i % 256, i // 256, 0)), target, f"r{i}", "test")
        for i, target in enumerate(targets)
    ]
    path = folder / "rows.parquet"
    write_parquet(path, make_rows(examples, task, "none"))
    return path


def scored(
    folder: Path, task: Task, targets: Sequence[Any], answers: Sequence[str], side: int = 28
) -> Scored:
    """Return answers scored by way of a file of rows."""
    rows = write_rows(folder, task, targets, side)
    said = {f"r{i}": completion_with(text) for i, text in enumerate(answers)}
    found = score_completions(rows, said, lambda *_: Scorer(task))
    assert [*found] == [task.name]
    return found[task.name]


def predictions(task: Task, targets: Sequence[Any], answers: Sequence[str]) -> list[Prediction]:
    """Return answers scored without a file."""
    bound = Scorer(task)
    return [
        predict(bound, f"r{i}", completion_with(text), task.parse_target(target))
        for i, (target, text) in enumerate(zip(targets, answers, strict=True))
    ]


def metrics_by_name(task: Task, own: Sequence[Prediction]) -> dict[str, float]:
    """Return the value of each metric."""
    return {metric.name: value_of(metric) for metric in metrics_of(task, own)}


def write_completions(path: Path, answers: Sequence[str], **more: Sequence[Any]) -> Path:
    """Write a line for each answer, with further fields given as columns."""
    lines = [
        {
            "id": f"r{i}",
            "completion": completion_with(text),
            **{name: column[i] for name, column in more.items()},
        }
        for i, text in enumerate(answers)
    ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path
