"""Whatever the text, a score takes time that stays far from quadratic in its length."""

from __future__ import annotations

from time import process_time

import numpy as np
import pytest

from medreward import ConfigError, Task, explain
from medreward.data.sources.masks import boxes_of
from medreward.language import cues

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


def seconds(text: str, task: str, target: object, runs: int = 3) -> float:
    """Return the processor time of scoring `text`, the least of some runs."""
    found = []
    for _ in range(runs):
        start = process_time()
        explain(text, target, task=task)
        found.append(process_time() - start)
    return min(found)


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


def test_a_megabyte_of_think_tags_takes_seconds_at_most() -> None:
    """About half a second; quadratic work on 150,000 tags would take minutes."""
    assert seconds("<think>" * (MEGABYTE // 7), "pneumoniamnist", 0) < 5.0


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


CUES = sorted({" ".join(words) for words in cues.CUE_TABLE})
SHORT, LONG = 990, 19_000  # characters of the longest answer that names labels, that has boxes


@pytest.mark.parametrize("cue", CUES)
def test_repeated_cues_are_cheap(cue: str) -> None:
    """Some 10 ms; the cubic reader took 33 s for 4,000 characters of "not"."""
    for unit in (f"{cue} ", f"{cue} pneumonia ", f"pneumonia, {cue} "):
        text = f"<think>x</think><answer>{unit * (SHORT // len(unit))}</answer>"
        assert seconds(text, "pneumoniamnist", 0, runs=1) < 0.5
    text = f"<think>x</think><answer>none {f'{cue} ' * (LONG // (len(cue) + 1))}</answer>"
    assert seconds(text, "grounding_where", [[1, 2, 3, 4]], runs=1) < 2.0


def test_pairs_of_cues_are_cheap() -> None:
    words = sorted({word for words in cues.CUE_TABLE for word in words} | {"and", "or", "between"})
    start = process_time()
    for i, one in enumerate(words):
        other = words[(7 * i + 3) % len(words)]
        unit = f"{one} {other} normal "
        text = f"<think>x</think><answer>none {unit * (LONG // len(unit))}</answer>"
        explain(text, [[1, 2, 3, 4]], task="grounding_where")
    assert process_time() - start < 0.5 * len(words)


def test_large_cards_are_cheap() -> None:
    start = process_time()
    Task("grades", kind="ordinal", labels=[f"g{i}" for i in range(10_000)])
    Task("named", labels=["a", "b"], data={str(i): "x" for i in range(20_000)})
    with pytest.raises(ConfigError, match="characters; at most 1000 are allowed"):
        Task("long", labels=[" ".join(f"w{i}" for i in range(100_000)), "b"])
    assert process_time() - start < 5.0


def test_a_mask_of_many_values_is_cheap() -> None:
    noise = np.random.default_rng(0).integers(0, 2**16, (256, 256)).astype(np.uint16)
    start = process_time()
    for regions in ("components", "whole"):
        assert len(list(boxes_of(noise, regions))) > 30_000
    assert process_time() - start < 5.0
