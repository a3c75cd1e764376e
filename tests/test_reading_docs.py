"""The tables of docs/reference/reading.md are true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from medreward import Task, explain
from medreward.kinds.base import kind_of

PAGE = (Path(__file__).parent.parent / "docs" / "reference" / "reading.md").read_text(
    encoding="utf-8"
)
ROW = re.compile(
    r"^\| `(?P<answer>.+?)`(?: \([^|]*\))? \| `(?P<card>\w+)` \| (?P<read>.+) \|$", re.M
)
ROWS = [(found["answer"], found["card"], found["read"]) for found in ROW.finditer(PAGE)]


def test_all_rows_are_tried() -> None:
    assert len(ROWS) == sum(line.startswith("| `") for line in PAGE.splitlines()) > 40


@pytest.mark.parametrize(("answer", "card", "read"), ROWS)
def test_a_row_is_true(answer: str, card: str, read: str) -> None:
    task = Task.load(card)
    target = next(iter(kind_of(task).honest(task, None))).target
    score = explain(f"<think>x</think><answer>{answer}</answer>", target, task=task)
    if read.startswith("`"):
        assert (score.prediction, score.reasons[0]) == (None, read.strip("`"))
    else:
        assert score.prediction == read
