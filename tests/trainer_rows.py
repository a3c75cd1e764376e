"""Rows of four kinds of task and answers to them, for the tests of trainers' adapters."""

from __future__ import annotations

from typing import Any

from PIL import Image

from medreward import Task
from medreward.data.example import Example
from medreward.data.rows import Row, make_rows

TARGETS: dict[str, Any] = {
    "retinamnist": 2,
    "multiple_choice": {"options": ["CT", "MRI"], "answer": "B"},
    "short_answer": "left lung",
    "bccd": [{"box": [2, 2, 9, 9], "label": "WBC"}],
}
# The right answer to each, in their order, and one that is none.
ANSWERS = ("2", "B", "left lung", '[{"bbox_2d": [2, 2, 9, 9], "label": "WBC"}]', "?")


def target_rows(split: str = "train") -> list[Row]:
    """Return a row for each target; its place is the red of its picture."""
    return [
        row
        for number, (name, target) in enumerate(TARGETS.items())
        for row in make_rows(
            [Example(Image.new("RGB", (28, 28), (number, 9, 9)), target, name, split)],
            Task.load(name),
            "none",
        )
    ]
