"""Boxes and points that an answer denies or leaves open, and what a hedge is worth on average."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medreward import RewardSettings, Task, explain
from medreward.kinds.beside import read_beside
from medreward.kinds.boxes.match import box_reward
from medreward.kinds.boxes.read import BoxAnswer, read_boxes
from medreward.kinds.multilabel import f_beta
from medreward.kinds.pointing import read_points
from medreward.task.settings import BOX_QUALITIES
from tests.growth import Work, assert_linear, repeated
from tests.test_boxes import box

PLACE = Task("place", kind="localisation")
OPEN = BoxAnswer(reason="boxes_open")
SMEAR = Task("smear", kind="localisation", labels=["RBC", "WBC"])
ONE, TWO = "[10, 20, 30, 40]", "[50, 60, 70, 80]"
CELL, OTHER = (f'[{{"bbox_2d": {place}, "label": "WBC"}}]' for place in (ONE, TWO))
DENIED_OR_OPEN = [
    "{0} or {1}",
    "either {0} or {1}",
    "{0} (left) or {1}",
    "{0} vs. {1}",
    "{0} / {1}",
    "{0} and/or {1}",
    "{0}?",
    "Is it {0}?",
    "not {0}",
    "It is not {0}.",
    "It isn't {0}",
    "{1} rather than {0}",
    "{0} is wrong",
    "{0}: incorrect",
    "{0} is not it",
    "{0} (wrong)",
    "wrong: {0}",
    "no: {0}",
    "{0}, possibly {1}",
    "probability 20%: {0}",
]
NOT_UNDERSTOOD = {
    "{0} oder {1}": "oder",
    "{0} was excluded": "was",
    "~~{0}~~": "~",
    "<del>{0}</del>{1}": "<del",
    "nicht {0}": "nicht",
    "outside of {0}": "outside",
    "anywhere but {0}": "anywhere",
    "\\cancel{{{0}}}": "\\",
    "{0}, alternatively {1}": "alternatively",
    "{0} if large, else {1}": "else",
    "{0} unless zorbic": "zorbic",
    "It is not elsewhere: {0}": "elsewhere",
    "No. one: {0}": "one",
    "{0}, not calcified": "calcified",
}
UNDERSTOOD = [
    "{0}",
    "The mass or nodule is at {0}.",
    "```json\n{0}\n```",
    "<b>{0}</b>",
    "{0} and {1}",
    "{0} {1}",
    "1. {0}\n2. {1}",
    "Box 1: {0}, box 2: {1}",
    "{0}. The lesion is large and round.",
]


@pytest.mark.parametrize("pattern", DENIED_OR_OPEN)
def test_what_is_denied_or_left_open_is_not_read(pattern: str) -> None:
    assert read_boxes(pattern.format(ONE, TWO), PLACE) == OPEN
    assert read_boxes(pattern.format(CELL, OTHER), SMEAR) == OPEN
    assert read_points(pattern.format("[10, 20]", "[50, 60]"), PLACE).reason == "boxes_open"


@pytest.mark.parametrize("pattern", NOT_UNDERSTOOD)
def test_words_beside_places_have_to_be_understood(pattern: str) -> None:
    unread = ("answer_not_understood", NOT_UNDERSTOOD[pattern])
    for answer, task in (((ONE, TWO), PLACE), ((CELL, OTHER), SMEAR), (("[]", "[]"), PLACE)):
        reading = read_boxes(pattern.format(*answer), task)
        assert (reading.reason, reading.unread) == unread
        assert not reading.boxes
    points = read_points(pattern.format("[10, 20]", "[50, 60]"), PLACE)
    assert (points.reason, points.unread) == unread


@pytest.mark.parametrize("pattern", UNDERSTOOD)
def test_places_are_read_beside_words_that_are_understood(pattern: str) -> None:
    assert read_boxes(pattern.format(ONE, TWO), PLACE).boxes
    assert read_boxes(pattern.format(CELL, OTHER), SMEAR).boxes
    assert read_points(pattern.format("[10, 20]", "[50, 60]"), PLACE).points


@pytest.mark.parametrize("pattern", [one for one in DENIED_OR_OPEN if "{1}" not in one])
def test_an_empty_list_that_is_denied_does_not_say_that_there_is_nothing(pattern: str) -> None:
    assert read_boxes(pattern.format("[]"), PLACE).reason
    assert read_points(pattern.format("[]"), PLACE).reason


@pytest.mark.parametrize(
    "text",
    ["[]", "[] (not visible)", "```json\n[]\n```", '{"boxes": []}', "none"],
)
def test_an_empty_list_says_that_there_is_nothing(text: str) -> None:
    assert read_boxes(text, PLACE) == BoxAnswer()
    assert read_points(text, PLACE).points == ()


@pytest.mark.parametrize("pattern", ["{} absent", "none: {}", "No abnormality. {}"])
def test_a_place_beside_the_word_that_there_is_none_is_not_read(pattern: str) -> None:
    assert read_boxes(pattern.format(ONE), PLACE).reason == "boxes_and_none"
    assert not read_points(pattern.format("[10, 20]"), PLACE).points


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ('"label": "WBC?"', "boxes_open"),
        ('"label": "WBC", "present": false', "boxes_open"),
        ('"label": "WBC", "confidence": 0', "boxes_open"),
        ('"label": "WBC", "valid": false', "answer_not_understood"),
        ('"label": "WBC", "quux": 1', "answer_not_understood"),
        ('"label": "WBC", "present": true', ""),
        ('"label": "WBC", "confidence": 0.9', ""),
    ],
)
def test_other_fields_of_an_object_have_to_be_understood(fields: str, reason: str) -> None:
    reading = read_boxes(f'[{{"bbox_2d": {ONE}, {fields}}}]', SMEAR)
    assert (reading.reason, len(reading.boxes)) == (reason, 0 if reason else 1)


def test_both_boxes_of_two_are_not_right_as_one_or_the_other() -> None:
    target = [[10, 20, 30, 40], [50, 60, 70, 80]]
    settings, true = RewardSettings(), PLACE.parse_target(target)
    assert box_reward(f"{ONE} or {TWO}", true, PLACE, settings)[:2] == (0.0, "boxes_open")
    assert box_reward(f"{ONE} {TWO}", true, PLACE, settings)[:2] == (1.0, "correct")


@pytest.mark.parametrize("unit", ["or ", "not [", "<b>", "~~", '"a": ', "' ", "</s>", " ", "/"])
def test_time_is_linear(unit: str) -> None:
    def work(length: int) -> Work:
        text = repeated(unit, length)
        return lambda: read_beside(text, [(0, 0), (len(text), len(text))], SMEAR)

    assert_linear(work, 200_000)


@given(
    st.lists(box, min_size=1, max_size=4),
    box,
    st.sampled_from([*BOX_QUALITIES]),
)
def test_boxes_beside_each_other_earn_no_more_than_a_guess_among_them(
    predicted: list[tuple[float, ...]], true: tuple[float, ...], quality: str
) -> None:
    """So listing n places for one thing is never worth more, on average, than the best of them."""
    target, settings = PLACE.parse_target([true]), RewardSettings(box_quality=quality)

    def value(boxes: list[tuple[float, ...]]) -> float:
        return box_reward(str([[*b] for b in boxes]), target, PLACE, settings).value

    assert value(predicted) <= sum(value([b]) for b in predicted) / len(predicted) + 1e-9


@pytest.mark.parametrize(("count", "hedge"), [(2, 2 / 3), (3, 1 / 2), (4, 2 / 5), (13, 1 / 7)])
def test_several_labels_for_one_pay_under_f1(count: int, hedge: float) -> None:
    """docs/reference/audit.md: of equally likely labels, naming all earns more than naming one."""
    said = set(range(count))
    assert f_beta(said, {0}, [1.0] * 14, 1.0) == pytest.approx(hedge)
    assert hedge > 1 / count
    assert f_beta(said, {0}, [1.0] * 14, 1.0, factor=2.0) == pytest.approx(1 / count)


LESION = Task("lesion", kind="segmentation", reward={"delta": 0})
HERE, THERE = [0, 0, 8, 0, 8, 8, 0, 8], [12, 0, 20, 0, 20, 8, 12, 8]
MASKS = [{"polygons": [place], "size": [20, 10]} for place in (HERE, THERE)]
# A task, its two targets, the guess at the first, the open answer, both as a list, and the worth of
# the guess and of the list where both targets are as likely: the table in docs/reference/audit.md.
WORTH = [
    ("yes_no", {}, ["yes", "no"], "yes|yes or no|yes, possibly no", 0.5, 0.0),
    ("retinamnist", {}, ["2", "3"], "2|2 or 3|2, possibly 3", 0.625, 0.0),
    (
        "chestmnist",
        {},
        [["mass"], ["edema"]],
        "mass|mass or edema|mass, edema",
        0.5,
        2 / 3,
    ),
    (
        "chestmnist",
        {"set_quality": "jaccard"},
        [["mass"], ["edema"]],
        "mass|mass or edema|mass, edema",
        0.5,
        0.5,
    ),
    (
        PLACE,
        {"delta": 0},
        [[[10, 20, 30, 40]], [[50, 60, 70, 80]]],
        f"{ONE}|{ONE} or {TWO}|{ONE}, {TWO}",
        0.5,
        0.5,
    ),
    (LESION, {}, MASKS, f"[{HERE}]|[{HERE}] or [{THERE}]|[{HERE}, {THERE}]", 0.5, 2 / 3),
    (
        LESION,
        {"mask_quality": "iou"},
        MASKS,
        f"[{HERE}]|[{HERE}] or [{THERE}]|[{HERE}, {THERE}]",
        0.5,
        0.5,
    ),
]


@pytest.mark.parametrize(("task", "settings", "targets", "answers", "guess", "listed"), WORTH)
def test_what_a_hedge_is_worth_where_both_are_as_likely(
    task: Task | str,
    settings: dict[str, Any],
    targets: list[Any],
    answers: str,
    guess: float,
    listed: float,
) -> None:
    worth = [
        sum(
            explain(f"<think>x</think><answer>{a}</answer>", target, task=task, **settings).parts[
                "accuracy"
            ]
            for target in targets
        )
        / 2
        for a in answers.split("|")
    ]
    assert worth == pytest.approx([guess, 0.0, listed])


@pytest.mark.parametrize("hedged", ["effusion, possibly mass", "possibly effusion", "mass?"])
def test_a_label_that_is_possible_is_not_asserted(hedged: str) -> None:
    for target in (["effusion"], ["mass"], ["effusion", "mass"], ["hernia"], []):
        score = explain(f"<think>x</think><answer>{hedged}</answer>", target, task="chestmnist")
        assert (score.parts["accuracy"], score.reasons) == (0.0, ("label_open",))
