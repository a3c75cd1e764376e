"""Whatever the text, a score takes time that stays far from quadratic in its length."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from time import process_time

import numpy as np
import pytest

from benchmarks import linear_answers
from medreward import ConfigError, Task, explain
from medreward.data.sources.masks import boxes_of
from medreward.geometry.consensus import consensus
from medreward.geometry.regions import TrueBox
from medreward.task.labels import Label
from medreward.task.registry import kind_names
from medreward.task.task import parse_card

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
    """About a quarter of a second; quadratic work on 150,000 tags would take minutes."""
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


LONGEST = 16_000  # characters: far more than an answer may have, so that a square shows


def test_answers_of_every_kind_are_tried() -> None:
    assert set(linear_answers.EXAMPLES) == set(kind_names())


@pytest.mark.parametrize("kind", linear_answers.EXAMPLES)
def test_repeated_words_and_marks_are_read_in_linear_time(kind: str) -> None:
    """30 ms each; quadratic work takes a second, the cubic reader of denials took many minutes.

    `benchmarks/linear.py` tries all of them.
    """
    example, reader = linear_answers.EXAMPLES[kind], linear_answers.Reader(kind)
    shapes = [
        linear_answers.Shape(before, unit)
        for unit in linear_answers.representatives()
        for before in ("", f"{example.nothing} ")
    ]
    shapes = Random(kind).sample(shapes, 25)
    shapes += linear_answers.pair_shapes(example, 45)
    with linear_answers.unlimited():
        for shape in shapes:
            seconds = (reader.seconds(shape, LONGEST) for _ in range(3))
            assert any(time < 0.4 for time in seconds), shape


def seconds_to_make(make: Callable[[], object]) -> float:
    start = process_time()
    make()
    return process_time() - start


@pytest.mark.parametrize("kind", ["classification", "ordinal", "localisation"])
@pytest.mark.parametrize("name", ["{}", "g{}", "grade {}", "finding {} of the lung"])
def test_ten_thousand_labels_are_cheap(kind: str, name: str) -> None:
    """A second; comparing each with each takes some twenty."""
    labels = [name.format(i) for i in range(10_000)]
    reward = {"delta": 0.0}
    assert seconds_to_make(lambda: Task("t", kind=kind, labels=labels, reward=reward)) < 6.0


def test_many_synonyms_words_and_keys_are_cheap() -> None:
    synonyms = tuple(f"finding {i}" for i in range(10_000))
    assert seconds_to_make(lambda: Task("t", labels=[Label("a", synonyms), "b"])) < 6.0
    phrases = tuple(" ".join(f"w{i}-{j}" for j in range(60)) for i in range(300))
    assert seconds_to_make(lambda: Task("t", labels=[Label("a", phrases), "b"])) < 6.0
    data = {str(i): "x" for i in range(20_000)}
    assert seconds_to_make(lambda: Task("t", labels=["a", "b"], data=data)) < 3.0
    card = "name: t\nkind: classification\nquestion: q\nlabels: [a, b]\ndata:\n"
    card += "".join(f"  k{i}: x\n" for i in range(20_000))
    assert seconds_to_make(lambda: parse_card(card)) < 15.0


def test_a_label_that_no_answer_could_name_is_refused() -> None:
    words = " ".join(f"w{i}" for i in range(100_000))
    start = process_time()
    with pytest.raises(ConfigError, match="characters; at most 1000 are allowed"):
        Task("long", labels=[words, "b"])
    assert process_time() - start < 1.0


def test_boxes_of_many_labels_and_annotators_are_cheap() -> None:
    """A fifth of a second; each with each takes minutes."""
    names = [f"finding {i}" for i in range(5_000)]
    task = Task("t", kind="localisation", labels=names, max_typos=0, reward={"delta": 0.0})
    chance = Random(0)
    places = [(chance.randrange(100_000), chance.randrange(100)) for _ in range(100)]
    lists = [
        [{"box": [x, y, x + 9, y + 9], "label": names[-1 - i]} for i, (x, y) in enumerate(places)]
        for _ in range(50)
    ]
    target = task.parse_target({"annotators": lists})
    assert seconds_to_make(lambda: task.parse_target({"annotators": lists})) < 2.0
    assert seconds_to_make(lambda: consensus(target.annotators)) < 2.0
    apart = tuple(
        tuple(TrueBox((x, y, x + 9.0, y + 9.0), 0) for y in range(0, 1000, 10))
        for x in range(0, 10_000, 100)
    )
    assert seconds_to_make(lambda: consensus(apart)) < 6.0


def test_a_mask_of_many_values_is_cheap() -> None:
    noise = np.random.default_rng(0).integers(0, 2**16, (256, 256)).astype(np.uint16)
    start = process_time()
    for regions in ("components", "whole"):
        assert len(list(boxes_of(noise, regions))) > 30_000
    assert process_time() - start < 5.0
