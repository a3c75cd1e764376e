"""The tables in readings.yaml, and the tasks that they are about."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from medreward import Label, Task

TABLES: dict[str, Any] = yaml.safe_load(
    Path(__file__).with_name("readings.yaml").read_text(encoding="utf-8")
)


def make(name: str, *labels: str | Label, **options: Any) -> Task:
    """Return a task with these labels."""
    return Task(name, labels=labels, **options)  # type: ignore[arg-type]


BREAST = make("breast", Label("normal", absence=True), "benign", "malignant")
TASKS = {
    "chest": Task.load("pneumoniamnist"),
    "breast": BREAST,
    "yes_no": make("yes_no", "no", "yes"),
    "fracture": make("fracture", Label("no fracture", absence=True), "fracture"),
    "choice": make("choice", "A", "B", "C", "D"),
    "scan": make("scan", "abnormal", "normal"),
    "skin": make(
        "skin",
        "melanoma",
        "melanocytic nevus",
        "basal cell carcinoma",
        "benign keratosis",
        "dermatofibroma",
    ),
    "retina": Task.load("retinamnist"),
}


def cases(table: str, *, ordinal: bool) -> Iterator[tuple[str, str, str | None]]:
    """Yield (task, answer, label) of a table for tasks with or without grades."""
    for name, labels in TABLES[table].items():
        if (TASKS[name].kind == "ordinal") is ordinal:
            for label, answers in labels.items():
                for answer in answers:
                    yield name, answer, None if label == "none" else label
