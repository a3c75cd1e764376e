"""The plain box reward: against brute force over all matchings, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medreward import ConfigError, explain, shaped_reward
from medreward.regions import Box
from medreward.rewards.boxes import MAX_BOXES, box_reward, iou, read_boxes

corner = st.integers(0, 12)
box = st.tuples(corner, corner, corner, corner).map(
    lambda c: (float(c[0]), float(c[1]), float(c[0] + c[2] + 1), float(c[1] + c[3] + 1))
)
boxes = st.lists(box, max_size=4)


def pixels(one: Box) -> set[tuple[int, int]]:
    x1, y1, x2, y2 = map(int, one)
    return {(x, y) for x in range(x1, x2) for y in range(y1, y2)}


def brute_force(predicted: Sequence[Box], true: Sequence[Box]) -> float:
    """The best sum of IoU over all one-to-one matchings, over the larger number of boxes."""
    if not predicted and not true:
        return 1.0
    few, many = sorted((list(predicted), list(true)), key=len)
    sums = (
        sum(iou(a, b) for a, b in zip(few, chosen, strict=True))
        for chosen in permutations(many, len(few))
    )
    return max(sums) / len(many)


@given(box, box)
def test_iou_counts_pixels(one: Box, other: Box) -> None:
    expected = len(pixels(one) & pixels(other)) / len(pixels(one) | pixels(other))
    assert iou(one, other) == pytest.approx(expected, abs=1e-12)
    assert iou(one, other) == iou(other, one)


@given(boxes, boxes)
def test_the_matching_is_the_best_of_all(predicted: list[Box], true: list[Box]) -> None:
    value = box_reward(json.dumps(predicted), true).value
    assert value == pytest.approx(brute_force(predicted, true), abs=1e-12)
    assert 0.0 <= value <= 1.0


@given(boxes, st.randoms())
def test_the_order_of_boxes_does_not_matter(true: list[Box], random: object) -> None:
    shuffled = list(true)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    verdict = box_reward(json.dumps(shuffled), true)
    assert verdict.value == pytest.approx(1.0, abs=1e-12)
    assert verdict.reason == "correct"


@given(boxes.filter(bool), box)
def test_spam_and_missing_boxes_cost(true: list[Box], extra: Box) -> None:
    best = box_reward(json.dumps(true), true).value
    assert box_reward(json.dumps([*true, extra]), true).value < best
    assert box_reward(json.dumps(true * 2), true).value == pytest.approx(best / 2)
    assert box_reward(json.dumps(true[1:]), true).value < best


@pytest.mark.parametrize(
    ("answer", "target", "value", "reason"),
    [
        ("[[0, 0, 10, 10]]", [(0, 0, 10, 10)], 1.0, "correct"),
        ("[0, 0, 10, 10]", [(0, 0, 10, 10)], 1.0, "correct"),
        ("[0, 0, 10, 5]", [(0, 0, 10, 10)], 0.5, "box_partial"),
        ("[20, 20, 30, 30]", [(0, 0, 10, 10)], 0.0, "box_missed"),
        ("[10, 0, 20, 10]", [(0, 0, 10, 10)], 0.0, "box_missed"),
        ("[]", [], 1.0, "correct"),
        ("[]", [(0, 0, 1, 1)], 0.0, "box_missed"),
        ("[[0, 0, 1, 1]]", [], 0.0, "box_missed"),
        (json.dumps([[0, 0, 10, 10]] * 50), [(0, 0, 10, 10)], 0.02, "box_partial"),
        ("", [(0, 0, 1, 1)], 0.0, "empty_answer"),
        (None, [(0, 0, 1, 1)], 0.0, "no_answer"),
        ("x" * 2000, [(0, 0, 1, 1)], 0.0, "answer_too_long"),
    ],
)
def test_golden_values(answer: str | None, target: list[Box], value: float, reason: str) -> None:
    verdict = box_reward(answer, target)
    assert (verdict.value, verdict.reason) == (value, reason)


@pytest.mark.parametrize(
    "answer",
    [
        "the whole image",
        "[10, 10, 0, 0]",
        "[0, 0, 0, 10]",
        "[0, 0, NaN, 10]",
        "[0, 0, Infinity, 10]",
        "[0, 0, 1e400, 10]",
        "[0, 0, 1e10, 10]",
        "[0, 0, 10]",
        "[0, 0, 10, 10, 10]",
        '["0", "0", "10", "10"]',
        "[true, false, true, true]",
        "[[0, 0, 10, 10], [5]]",
        "[[[0, 0, 10, 10]]]",
        '{"box": [0, 0, 10, 10]}',
        "null",
        "0",
        "[[0, 0, 10, 10]",
        "[0, 0, 10, 10] or [0, 0, 5, 5]",
        "[" * 900,
        "[0, 0, " + "9" * 900 + ", 10]",
    ],
)
def test_what_is_no_list_of_boxes_earns_nothing(answer: str) -> None:
    verdict = box_reward(answer, [(0, 0, 10, 10)])
    assert verdict == (0.0, "boxes_unreadable", None)
    assert read_boxes(answer) is None


def test_too_many_boxes_are_not_read() -> None:
    assert read_boxes(json.dumps([[0, 0, 1, 1]] * MAX_BOXES)) is not None
    assert read_boxes(json.dumps([[0, 0, 1, 1]] * (MAX_BOXES + 1))) is None


@given(st.text(alphabet='[]{}",.0123456789-eNaItrue ', max_size=40))
def test_any_answer_has_a_value(answer: str) -> None:
    assert 0.0 <= box_reward(answer, [(0, 0, 10, 10)]).value <= 1.0


ANSWER = "<think>x</think><answer>[[0, 0, 10, 10]]</answer>"


@pytest.mark.parametrize("target", [[0, 0, 10, 10], [[0, 0, 10, 10]], ((0.0, 0, 10, 10),)])
def test_one_box_may_stand_alone_in_a_target(target: object) -> None:
    assert explain(ANSWER, target, task="mni152_brain_box").correct


def test_targets_of_a_group() -> None:
    import numpy as np

    task = "mni152_brain_box"
    targets = [[[0, 0, 10, 10]], [[0, 0, 10, 5]]]
    assert shaped_reward([ANSWER] * 2, targets, task=task) == [1.2, 0.7]
    assert explain(ANSWER, np.array([[0, 0, 10, 10]]), task=task).correct


@pytest.mark.parametrize(
    "target",
    [
        5,
        "box",
        None,
        [1, 2, 3],
        [[1, 2, 3]],
        [10, 0, 0, 10],
        [0, 0, float("nan"), 1],
        [0, 0, 1e12, 1],
        [0, 0, True, 1],
        [[0, 0, 1, 1], [0, 0, 0, 1]],
        ["abcd"],
    ],
)
def test_a_wrong_target_is_named(target: object) -> None:
    with pytest.raises(ConfigError, match=r"task 'mni152_brain_box': .*box"):
        shaped_reward(ANSWER, target, task="mni152_brain_box")
