"""Whatever the text, a score takes time that stays far from quadratic in its length."""

from __future__ import annotations

from time import process_time

import pytest

from medreward import explain

MEGABYTE = 1 << 20
UNITS = [
    "<think>",
    "</think>",
    "<answer>",
    "</answer>",
    "<think></think>",
    "<",
    "no ",
    "not pneumonia or ",
    "a\u0301\u0323",
    "\u0301",
    "\u200b",
    "7",
    "2.",
    "non-",
    "\n",
    "pneumonia ",
]


def seconds(text: str, task: str, target: object) -> float:
    """Return the processor time of scoring `text`, the least of three runs."""
    runs = []
    for _ in range(3):
        start = process_time()
        explain(text, target, task=task)
        runs.append(process_time() - start)
    return min(runs)


def is_quick(before: str, unit: str, after: str, task: str, target: object) -> bool:
    """Whether a megabyte takes seconds at most: 50 times what it takes, a hundredth of quadratic.

    Quadratic work on 150,000 tags or a million characters takes minutes to hours.
    """
    text = before + unit * (MEGABYTE // len(unit)) + after
    start = process_time()
    explain(text, target, task=task)
    return process_time() - start < 10.0


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        ("<think>x</think><answer>", "</answer>"),
        ("<think>", "</think><answer>2</answer>"),
    ],
    ids=["alone", "as answer", "as reasoning"],
)
def test_a_megabyte(before: str, after: str, unit: str) -> None:
    assert is_quick(before, unit, after, "retinamnist", 2)


@pytest.mark.parametrize("unit", ["<think>", "no ", "\u0301"])
@pytest.mark.parametrize("task", ["pneumoniamnist", "mni152_plane"])
def test_a_megabyte_of_other_tasks(unit: str, task: str) -> None:
    assert is_quick("<think>", unit, "</think><answer>axial, normal</answer>", task, 0)


def test_a_megabyte_of_think_tags_takes_well_under_a_second() -> None:
    assert seconds("<think>" * (MEGABYTE // 7), "pneumoniamnist", 0) < 1.0


@pytest.mark.parametrize(
    "unit", ["no ", "not pneumonia or ", "2 ", "pneumonia? ", "a-", "0.", "(", "7", "2 / ", "7% "]
)
def test_the_longest_answer_that_is_read_is_cheap(unit: str) -> None:
    text = f"<think>x</think><answer>{unit * (1000 // len(unit))}</answer>"
    for task in ("pneumoniamnist", "retinamnist"):
        assert seconds(text, task, 0) < 0.5


@pytest.mark.parametrize(
    "unit",
    ["<s>", "</del>", "~~", "no ", "or (", "isn't ", "'x' ", "\\sout ", " ", '{"a": ', "[", "1, "],
)
def test_what_stands_around_a_box_is_cheap(unit: str) -> None:
    beside = unit * (19_000 // len(unit))
    for answer in (f"{beside}x [1, 2, 3, 4]", f"[1, 2, 3, 4] {beside}x"):
        text = f"<think>x</think><answer>{answer}</answer>"
        assert seconds(text, "mni152_brain_box", [[1, 2, 3, 4]]) < 0.25
        assert seconds(text.replace(", 3, 4", ""), "grounding_point", [[1, 2, 3, 4]]) < 0.25
