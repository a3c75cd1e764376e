"""Pointing: what is read as points, hits against brute force, and what does not pay."""

from __future__ import annotations

import json
from itertools import combinations, permutations
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from medreward import ConfigError, Task, explain, shaped_reward
from medreward.geometry.regions import MAX_BOXES, BoxTarget, TrueBox
from medreward.kinds.boxes.read import MAX_LENGTH, read_boxes
from medreward.kinds.pointing import point_reward, read_points
from medreward.kinds.right_answers import right_answer
from medreward.kinds.verdict import BEST_WRONG, Verdict
from medreward.task.settings import RewardSettings
from tests.growth import Work, assert_linear, repeated

TASK = Task.load("grounding_point")
TWO = [[10, 10, 40, 40], [60, 10, 90, 40]]
SIDE = st.integers(1, 20)
BOXES = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), SIDE, SIDE), max_size=4).map(
    lambda found: [[x, y, x + w, y + h] for x, y, w, h in found]
)
POINTS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=5)


def value(answer: str, target: Any, **settings: Any) -> float:
    made = RewardSettings(delta=0, **settings)
    return point_reward(answer, TASK.parse_target(target), TASK, made).value


@pytest.mark.parametrize(
    ("answer", "points"),
    [
        ("[[25, 25], [75.5, 30]]", ((25, 25), (75.5, 30))),
        ("[25, 25]", ((25, 25),)),
        ("(25, 25), (75, 30)", ((25, 25), (75, 30))),
        ("25, 25", ((25, 25),)),
        ("2.5e1, 25.", ((25, 25),)),
        ("[[.5, 5.], [1e1, +2]]", ((0.5, 5), (10, 2))),
        ("[['25', \"25\"]]", ((25, 25),)),
        ("[25 25]", ((25, 25),)),
        ("<box>(25, 25)</box>", ((25, 25),)),
        ('[{"point_2d": [25, 25], "label": "WBC"}]', ((25, 25),)),
        ("```json\n[[25, 25]]\n```", ((25, 25),)),
        ("The lesions are at [25, 25] and [75, 30].", ((25, 25), (75, 30))),
        ("[[-3, 25]]", ((-3, 25),)),
        ("[]", ()),
        ("none", ()),
        ("There is nothing to find.", ()),
        ('{"points": []}', ()),
        ('[{"point_2d": [25, 25], "label": "platelet (2)"}]', ((25, 25),)),
        ("[1,1]" * MAX_BOXES, ((1, 1),) * MAX_BOXES),
        ("[1, 1]" + " " * (MAX_LENGTH - 6), ((1, 1),)),
    ],
)
def test_what_is_read(answer: str, points: tuple[Any, ...]) -> None:
    assert read_points(answer, TASK).points == points


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("[[10, 10, 40, 40]]", "points_unreadable"),
        ("two cells: [[25, 25]] and 30", "answer_not_understood"),
        ("[[25, 25], [1, 2, 3]]", "points_unreadable"),
        ("[[nan, 25]]", "points_unreadable"),
        ("[[1e999, 25]]", "points_unreadable"),
        ("[[1000000001, 25]]", "points_unreadable"),
        ("[25 px, 25 px]", "points_unreadable"),
        ("[25, 25", "points_unreadable"),
        ("[[25, 25], 30]", "answer_not_understood"),
        ("25 25", "answer_not_understood"),
        ("in the middle", "points_unreadable"),
        ("[[25, 25]], or nothing", "boxes_open"),
        ("[[25, 25]], or []", "boxes_open"),
        ("[[], [25, 25]]", "boxes_and_none"),
        ("points, or [] if there is none", "boxes_open"),
        ("nothing is unlikely", "boxes_open"),
        ("[[25, 25]] or []", "boxes_open"),
        ("[] [[25, 25]]", "boxes_and_none"),
        ("[25, 25] or [75, 30]", "boxes_open"),
        ("not [25, 25]", "boxes_open"),
        ("[25, 25]?", "boxes_open"),
        ("[]?", "boxes_open"),
        ("", "empty_answer"),
        (None, "no_answer"),
        ("[1,1]" * (MAX_BOXES + 1), "too_many_boxes"),
        ("[1, 1]" + " " * (MAX_LENGTH - 5), "answer_too_long"),
    ],
)
def test_what_is_not(answer: str | None, reason: str) -> None:
    reading = read_points(answer, TASK)
    assert (reading.points, reading.reason) == (None, reason)
    verdict = point_reward(answer, TASK.parse_target(TWO), TASK, RewardSettings())
    assert verdict == Verdict(0.0, reason, unread=reading.unread)


@pytest.mark.parametrize(
    "unit",
    [
        *("none ", "[", "]", "[1,", "[1,2],", "(1,2),", "[]", "<box>", "{", '"', "7", "1e", "nan "),
        *("point_2d ", "1,", "or ", "not [1,2] "),
    ],
)
def test_the_longest_answer_is_read_in_linear_time(unit: str) -> None:
    def work(length: int) -> Work:
        text = repeated(unit, length)
        return lambda: read_points(text, TASK)

    assert_linear(work, MAX_LENGTH)


@pytest.mark.parametrize(
    ("point", "hit"),
    [
        *(((10, 20), True), ((29.9, 39.9), True), ((10, 39.9), True), ((29.9, 20), True)),
        *(((9.9, 30), False), ((30, 30), False), ((20, 19.9), False), ((20, 40), False)),
    ],
)
def test_a_box_holds_its_left_and_top_edge_but_not_the_others(
    point: tuple[float, float], hit: bool
) -> None:
    assert value(json.dumps([point]), [[10, 20, 30, 40]]) == hit


def brute_force(points: list[tuple[int, int]], boxes: list[list[int]]) -> float:
    """The most hits of any one-to-one match, over the larger number; no point is given twice."""
    if not points or not boxes:
        return float(len(points) == len(boxes))
    few, many = sorted((list(range(len(points))), list(range(len(boxes)))), key=len)
    swapped = len(points) > len(boxes)
    best = 0
    for order in permutations(many, len(few)):
        pairs = zip(few, order, strict=True)
        hits = 0
        for i, j in pairs:
            (x, y), (x1, y1, x2, y2) = (points[j], boxes[i]) if swapped else (points[i], boxes[j])
            hits += x1 <= x < x2 and y1 <= y < y2
        best = max(best, hits)
    return best / max(len(points), len(boxes))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=5, unique=True), BOXES)
@example([], [TWO[0]])
@example([(1, 1)], [])
def test_hits_are_those_of_the_best_match(
    points: list[tuple[int, int]], boxes: list[list[int]]
) -> None:
    assert value(json.dumps(points), boxes) == brute_force(points, boxes)


@given(BOXES, POINTS)
def test_one_point_more_never_turns_a_right_answer_better(
    boxes: list[list[int]], extra: list[tuple[int, int]]
) -> None:
    points = json.loads(right_answer(TASK, boxes))
    assert value(json.dumps(points), boxes) == 1.0
    more = value(json.dumps([*points, *extra]), boxes)
    assert more == 1.0 if not extra else more < 1.0


@given(POINTS.filter(bool), BOXES, st.data())
@example([(75, 75)], [[0, 0, 100, 100], [50, 50, 150, 150]], None)
def test_a_copy_of_a_point_never_pays(
    points: list[tuple[int, int]], boxes: list[list[int]], data: Any
) -> None:
    """As long as no two true boxes are the same, up to a pixel."""
    apart = (max(abs(a - b) for a, b in zip(p, q, strict=True)) for p, q in combinations(boxes, 2))
    assume(all(gap > 1 for gap in apart))
    copied = points[0] if data is None else data.draw(st.sampled_from(points))
    once, twice = (value(json.dumps(p), boxes) for p in (points, [*points, copied]))
    assert twice <= once


def test_a_copy_pays_where_its_box_is_there_twice_and_nowhere_else() -> None:
    twice, beside = [[0, 0, 9, 9], [0, 0, 9, 10]], [40, 40, 60, 60]
    assert value("[[4, 4], [4, 4]]", twice) == 1.0
    assert value("[[4, 4], [4, 4], [4, 4]]", twice) == pytest.approx(2 / 3)
    assert value("[[4, 4], [4, 4]]", [*twice, beside]) == pytest.approx(2 / 3)
    # The twins are elsewhere, or around the box that the point is in.
    overlapping = [beside, [50, 50, 70, 70]]
    assert value("[[55, 55], [55, 55]]", [*twice, *overlapping]) == 0.25
    assert value("[[50, 50], [50, 50]]", [[0, 0, 99, 99], [0, 0, 99, 99], beside]) == pytest.approx(
        1 / 3
    )


def test_frames() -> None:
    target = {"boxes": [[320, 240, 640, 480]], "size": [640, 480], "seen": [1288, 952]}
    for frame, answer in (
        ("pixels", "[400, 300]"),
        ("per-mille", "[700, 700]"),
        ("unit", "[0.7, 0.7]"),
        ("resized", "[1000, 800]"),
    ):
        assert value(answer, target, frame=frame) == 1.0
        assert value(answer, target, frame="unit" if frame != "unit" else "per-mille") == 0.0
    with pytest.raises(ConfigError, match="'size'"):
        value("[1, 1]", TWO, frame="unit")


@pytest.mark.parametrize(
    ("annotators", "expected"), [("best", 1.0), ("mean", 0.75), ("consensus", 1.0)]
)
def test_annotators(annotators: str, expected: float) -> None:
    one = [10, 10, 40, 40]
    target = {"annotators": [[one], [[11, 10, 40, 40]], [one], [[10, 10, 40, 41], TWO[1]]]}
    found = value("[25, 25]", target, annotators=annotators)
    assert found == pytest.approx({"mean": 3.5 / 4}.get(annotators, expected))


def test_a_wrong_answer_stays_below_a_right_one_for_any_number_of_annotators() -> None:
    drawn, nothing = (TrueBox((0.0, 0.0, 9.0, 9.0)),), ()
    target = BoxTarget((*((drawn,) * 20_000), nothing))
    verdict = point_reward("[1, 1]", target, TASK, RewardSettings(annotators="mean"))
    assert verdict[:2] == (BEST_WRONG, "points_partial")


def test_several_labels_are_refused_since_a_point_names_none() -> None:
    text = "<think>x</think><answer>WBC at [1, 1]</answer>"
    target = [{"box": [0, 0, 9, 9], "label": "WBC"}]
    settings = RewardSettings(delta=0)
    assert explain(text, target, task=Task("smear", "pointing", ["WBC"], reward=settings)).correct
    with pytest.raises(ConfigError, match="task 'smear': labels: 2 given; a pointing task has one"):
        Task("smear", "pointing", ["WBC", "RBC"], reward=settings)


def test_reasons_and_prediction() -> None:
    texts = [f"<think>x</think><answer>{a}</answer>" for a in ("[[25, 25], [75, 30]]", "[25, 25]")]
    right, half = explain(texts, [TWO, TWO], task=TASK)
    assert (right.total, right.correct, right.reasons) == (1.2, True, ("correct",))
    assert right.prediction == "[[25, 25], [75, 30]]"
    assert (half.parts["accuracy"], half.correct, half.reasons) == (0.5, False, ("points_partial",))
    assert "|kind:pointing|" in right.signature
    miss = explain("<think>x</think><answer>[1, 1]</answer>", [], task=TASK)
    assert miss.reasons == ("point_missed",)


def test_boxes_are_not_points_and_points_are_not_boxes() -> None:
    boxes = f"<think>x</think><answer>{json.dumps(TWO)}</answer>"
    point = "<think>x</think><answer>[[25, 25]]</answer>"
    assert shaped_reward(boxes, TWO, task="grounding_point") == pytest.approx(0.2)
    assert shaped_reward(point, TWO, task="grounding_where") == pytest.approx(0.2)


NUMBERS = st.sampled_from(
    "7|7.|.7|7.0|7e1|7E-1|+7|-7|'7'|\"7\"|07|7e999|nan|-inf|7px|7%|٧|x|".split("|")
)


@given(NUMBERS, NUMBERS)
def test_a_number_is_one_in_a_point_where_it_is_one_in_a_box(x: str, y: str) -> None:
    box = read_boxes(f"[{x}, {y}, 90, 90]", Task("place", kind="localisation"))
    point = read_points(f"[{x}, {y}]", TASK)
    assert bool(box.boxes) == bool(point.points)
    if point.points:
        assert box.boxes[0][:2] == point.points[0]
