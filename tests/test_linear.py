"""Whatever the text, the time of a score grows in proportion to its length."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import pytest

from benchmarks import linear_answers
from medreward import ConfigError, Task, explain
from medreward.data.sources.masks import boxes_of
from medreward.geometry.consensus import consensus
from medreward.geometry.regions import TrueBox
from medreward.scoring.scorer import Scorer
from medreward.task.labels import Label
from medreward.task.registry import kind_names
from medreward.task.task import parse_card
from tests.growth import Work, assert_less, assert_linear, repeated

LONG = 1 << 18  # characters: a square of it would take minutes
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


def scoring(text_of: Callable[[int], str], task: str, target: object) -> Callable[[int], Work]:
    """Return what scores a text of a length."""

    def work(length: int) -> Work:
        text = text_of(length)
        return lambda: explain(text, target, task=task)

    return work


def around(before: str, unit: str, after: str) -> Callable[[int], str]:
    return lambda length: before + repeated(unit, length) + after


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
def test_long_texts(before: str, after: str, unit: str) -> None:
    assert_linear(scoring(around(before, unit, after), "retinamnist", 2), LONG)


@pytest.mark.parametrize("unit", ["<think>", "no ", "\u0301"])
@pytest.mark.parametrize("task", ["pneumoniamnist", "mni152_plane"])
def test_long_texts_of_other_tasks(unit: str, task: str) -> None:
    text_of = around("<think>", unit, "</think><answer>axial, normal</answer>")
    assert_linear(scoring(text_of, task, 0), LONG)


@pytest.mark.parametrize(
    "unit", ["no ", "not pneumonia or ", "2 ", "pneumonia? ", "a-", "0.", "(", "7", "2 / ", "7% "]
)
@pytest.mark.parametrize("task", ["pneumoniamnist", "retinamnist"])
def test_long_answers_are_read_in_linear_time(task: str, unit: str) -> None:
    """Sixteen times the length that is read: the square of the longest that is takes no time."""
    text_of = around("<think>x</think><answer>", unit, "</answer>")
    with linear_answers.unlimited():
        assert_linear(scoring(text_of, task, 0), 16_000, unit)


@pytest.mark.parametrize(
    "unit",
    ["<s>", "</del>", "~~", "no ", "or (", "isn't ", "'x' ", "\\sout ", " ", '{"a": ', "[", "1, "],
)
@pytest.mark.parametrize(
    ("task", "answer"), [("mni152_brain_box", "[1, 2, 3, 4]"), ("grounding_point", "[1, 2]")]
)
def test_what_stands_around_a_box_is_read_in_linear_time(task: str, answer: str, unit: str) -> None:
    for before, after in (("", f"x {answer}"), (f"{answer} ", "x")):
        text_of = around(f"<think>x</think><answer>{before}", unit, f"{after}</answer>")
        assert_linear(scoring(text_of, task, [[1, 2, 3, 4]]), 19_000, unit)


LONGEST = 16_000  # characters: far more than an answer may have, so that a square shows


def test_answers_of_every_kind_are_tried() -> None:
    assert set(linear_answers.EXAMPLES) == set(kind_names())


@pytest.mark.parametrize("kind", linear_answers.EXAMPLES)
def test_repeated_words_and_marks_are_read_in_linear_time(kind: str) -> None:
    """Some by chance; `benchmarks/linear.py` tries all of them."""
    example = linear_answers.EXAMPLES[kind]
    scorer, target = Scorer(example.task), example.task.parse_target(example.target)

    def work_on(shape: linear_answers.Shape) -> Callable[[int], Work]:
        def work(length: int) -> Work:
            text = f"<think>x</think><answer>{shape.answer(length)}</answer>"
            return lambda: scorer.score(text, target)

        return work

    shapes = [
        linear_answers.Shape(before, unit)
        for unit in linear_answers.representatives()
        for before in ("", f"{example.nothing} ")
    ]
    shapes = Random(kind).sample(shapes, 6)
    shapes += linear_answers.pair_shapes(example, 10)
    with linear_answers.unlimited():
        for shape in shapes:
            assert_linear(work_on(shape), LONGEST, shape)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *(("classification", name) for name in ("{}", "g{}", "grade {}", "finding {} of the lung")),
        ("ordinal", "grade {}"),
        *(
            pytest.param("ordinal", name, marks=pytest.mark.slow)
            for name in ("{}", "g{}", "finding {} of the lung")
        ),
    ],
)
def test_the_time_for_many_labels_does_not_grow_with_their_pairs(kind: str, name: str) -> None:
    def work(count: int) -> Work:
        labels = [name.format(i) for i in range(count)]
        return lambda: Task("t", kind=kind, labels=labels, reward={"delta": 0.0})

    assert_linear(work, 4_000)


def many_synonyms(count: int) -> Work:
    synonyms = tuple(f"finding {i}" for i in range(count))
    return lambda: Task("t", labels=[Label("a", synonyms), "b"])


def long_synonyms(count: int) -> Work:
    phrases = tuple(" ".join(f"w{i}-{j}" for j in range(60)) for i in range(count))
    return lambda: Task("t", labels=[Label("a", phrases), "b"])


def many_keys(count: int) -> Work:
    data = {str(i): "x" for i in range(count)}
    return lambda: Task("t", labels=["a", "b"], data=data)


def long_card(count: int) -> Work:
    card = "name: t\nkind: classification\nquestion: q\nlabels: [a, b]\ndata:\n"
    card += "".join(f"  k{i}: x\n" for i in range(count))
    return lambda: parse_card(card)


@pytest.mark.parametrize(
    ("work_of", "count"),
    [(many_synonyms, 8_000), (long_synonyms, 300), (many_keys, 200_000), (long_card, 8_000)],
)
def test_many_synonyms_words_and_keys(work_of: Callable[[int], Work], count: int) -> None:
    assert_linear(work_of, count)


def test_a_label_that_no_answer_could_name_is_refused_before_it_is_read() -> None:
    """In less time than to make a task of as many words in labels of a word each."""
    words = [f"w{i}" for i in range(5_000)]

    def refuse() -> None:
        with pytest.raises(ConfigError, match="characters; at most 1000 are allowed"):
            Task("long", labels=[" ".join(words), "b"])

    assert_less(refuse, lambda: Task("many", labels=words))


def test_many_labels_of_boxes_are_looked_up() -> None:
    def work(count: int) -> Work:
        names = [f"finding {i}" for i in range(count)]
        task = Task("t", kind="localisation", labels=names, max_typos=0, reward={"delta": 0.0})
        lists = [
            [{"box": [x, y, x + 9, y + 9], "label": name} for x, name in enumerate(names[::40])]
            for y in range(40)
        ]
        return lambda: task.parse_target({"annotators": lists})

    assert_linear(work, 4_000)


@pytest.mark.parametrize("annotators", [3, 50])
@pytest.mark.parametrize("rows", [1, 40])
def test_near_boxes_alone_are_compared_for_a_consensus(rows: int, annotators: int) -> None:
    """Boxes in a row, and in a grid: alike in one direction, and in both."""

    def work(count: int) -> Work:
        lists = tuple(
            tuple(TrueBox((x, y, x + 9.0, y + 9.0), 0) for y in range(0, 10 * rows, 10))
            for x in range(0, 10 * count // rows, 10)
        )
        joined = tuple(
            tuple(box for some in lists[i::annotators] for box in some) for i in range(annotators)
        )
        return lambda: consensus.__wrapped__(joined)

    assert_linear(work, 10_000)


@pytest.mark.parametrize("regions", ["components", "whole"])
def test_a_mask_of_many_values_takes_the_time_of_its_pixels(regions: str) -> None:
    def work(pixels: int) -> Work:
        side = round(pixels**0.5)
        noise = np.random.default_rng(0).integers(0, 2**16, (side, side)).astype(np.uint16)
        return lambda: list(boxes_of(noise, regions))

    assert len(list(boxes_of(np.arange(10, dtype=np.uint16).reshape(2, 5), regions))) == 9
    assert_linear(work, 256 * 256)
