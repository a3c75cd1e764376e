"""Whatever the text, a score takes time linear in its length."""

from __future__ import annotations

from time import perf_counter

import pytest

from medreward import explain

SMALL, LARGE = 1 << 18, 1 << 20
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
    """The least of three runs, which noise of the machine cannot shorten."""
    runs = []
    for _ in range(3):
        start = perf_counter()
        explain(text, target, task=task)
        runs.append(perf_counter() - start)
    return min(runs)


def grows_linearly(before: str, unit: str, after: str, task: str, target: object) -> bool:
    """Whether four times the text takes much less than 16 times the time (or hardly any)."""
    small, large = (
        seconds(before + unit * (size // len(unit)) + after, task, target)
        for size in (SMALL, LARGE)
    )
    return large < 9 * small + 0.05


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
    assert grows_linearly(before, unit, after, "retinamnist", 2)


@pytest.mark.parametrize("unit", ["<think>", "no ", "\u0301"])
@pytest.mark.parametrize("task", ["pneumoniamnist", "mni152_plane"])
def test_a_megabyte_of_other_tasks(unit: str, task: str) -> None:
    assert grows_linearly("<think>", unit, "</think><answer>axial, normal</answer>", task, 0)


def test_a_megabyte_of_think_tags_takes_well_under_a_second() -> None:
    assert seconds("<think>" * (LARGE // 7), "pneumoniamnist", 0) < 1.0


@pytest.mark.parametrize(
    "unit", ["no ", "not pneumonia or ", "2 ", "pneumonia? ", "a-", "0.", "(", "7", "2 / ", "7% "]
)
def test_the_longest_answer_that_is_read_is_cheap(unit: str) -> None:
    text = f"<think>x</think><answer>{unit * (1000 // len(unit))}</answer>"
    for task in ("pneumoniamnist", "retinamnist"):
        assert seconds(text, task, 0) < 0.5
