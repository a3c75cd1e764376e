"""The sentences in readings.yaml, and tasks to read them with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from medreward import Label, Task

TABLES: dict[str, Any] = yaml.safe_load(
    Path(__file__).with_name("readings.yaml").read_text(encoding="utf-8")
)


def make(name: str, *labels: str | Label, **options: Any) -> Task:
    """Return a task with these labels."""
    return Task(name, labels=labels, **options)


BREAST = make("breast", Label("normal", absence=True), "benign", "malignant")
TASKS = {
    "chest": Task.load("pneumoniamnist"),
    "breast": BREAST,
    "yes_no": Task.load("yes_no"),
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
