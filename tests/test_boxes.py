"""The box reward: against known implementations and brute force, and what does not pay."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from pycocotools import mask as coco

from medreward import ConfigError, Label, RewardSettings, Task, explain, shaped_reward
from medreward.geometry.consensus import consensus
from medreward.geometry.frames import FRAMES
from medreward.geometry.regions import MAX_BOXES, MIN_SIDE, Box, BoxTarget, TrueBox, iou
from medreward.kinds.boxes.match import GIOU_SHARE, box_reward, quality_table
from medreward.kinds.truth import ground_truth, target_of
from medreward.kinds.verdict import BEST_WRONG, Verdict
from medreward.scoring.scorer import Scorer
from medreward.task.settings import ANNOTATORS, BOX_QUALITIES

PLACE = Task("place", kind="localisation")
SMEAR = Task("smear", kind="localisation", labels=tuple(map(Label, ("RBC", "WBC", "Platelets"))))
SIZE = (40, 30)
QUALITIES = sorted(BOX_QUALITIES)

corner = st.integers(0, 12)
box = st.tuples(corner, corner, corner, corner).map(
    lambda c: (float(c[0]), float(c[1]), float(c[0] + c[2] + 1), float(c[1] + c[3] + 1))
)
boxes = st.lists(box, max_size=4)
quality = st.sampled_from(QUALITIES)
fraction = st.floats(0, 1, width=32)
float_box = st.tuples(fraction, fraction, fraction, fraction).map(
    lambda c: (c[0] * 30, c[1] * 20, c[0] * 30 + c[2] * 9 + 0.5, c[1] * 20 + c[3] * 9 + 0.5)
)


def reward(answer: object, target: object, task: Task = PLACE, **settings: Any) -> Verdict:
    text = answer if isinstance(answer, str) or answer is None else json.dumps(answer)
    return box_reward(text, task.parse_target(target), task, RewardSettings(**settings))


def pixels(one: Box) -> set[tuple[int, int]]:
    x1, y1, x2, y2 = map(int, one)
    return {(x, y) for x in range(x1, x2) for y in range(y1, y2)}


def brute_force(predicted: Sequence[Box], true: Sequence[Box], quality: str) -> float:
    """The best sum of quality over all one-to-one matchings, over the larger number of boxes."""
    if not predicted or not true:
        return float(predicted == true)
    table = quality_table(predicted, true, quality)
    same = np.array([[one == other for other in true] for one in predicted])
    table = np.where(same, 1, np.minimum(table, BEST_WRONG))
    table = table if len(predicted) <= len(true) else table.T
    few, many = table.shape
    sums = (sum(table[range(few), chosen]) for chosen in permutations(range(many), few))
    best = float(max(sums) / many)
    return best if best == 1 else min(best, BEST_WRONG)


def coco_table(predicted: Sequence[Box], true: Sequence[Box]) -> Any:
    def sides(found: Sequence[Box]) -> Any:
        return np.array([[x1, y1, x2 - x1, y2 - y1] for x1, y1, x2, y2 in found])

    return coco.iou(sides(predicted), sides(true), [0] * len(true))


def giou_of_torch(predicted: Sequence[Box], true: Sequence[Box]) -> Any:
    """Algorithm 1 of Rezatofighi et al. 2019, as torchvision's generalized_box_iou has it."""
    a, b = torch.tensor(predicted, dtype=torch.float64), torch.tensor(true, dtype=torch.float64)
    shared = (torch.min(a[:, None, 2:], b[:, 2:]) - torch.max(a[:, None, :2], b[:, :2])).clamp(0)
    inter = shared.prod(dim=2)
    union = (a[:, 2:] - a[:, :2]).prod(1)[:, None] + (b[:, 2:] - b[:, :2]).prod(1) - inter
    hull = (torch.max(a[:, None, 2:], b[:, 2:]) - torch.min(a[:, None, :2], b[:, :2])).prod(dim=2)
    return (inter / union - (hull - union) / hull).numpy()


# ---------------------------------------------------------------------------------------------
# Quality


@given(box, box)
def test_iou_counts_pixels(one: Box, other: Box) -> None:
    expected = len(pixels(one) & pixels(other)) / len(pixels(one) | pixels(other))
    assert iou(one, other) == pytest.approx(expected, abs=1e-12)
    assert iou(one, other) == iou(other, one)


@given(st.lists(float_box, min_size=1, max_size=6), st.lists(float_box, min_size=1, max_size=6))
def test_iou_is_that_of_pycocotools(predicted: list[Box], true: list[Box]) -> None:
    expected = coco_table(predicted, true)
    assert quality_table(predicted, true, "iou") == pytest.approx(expected, abs=1e-9)
    smooth = 3 * expected**2 - 2 * expected**3
    assert quality_table(predicted, true, "soft_iou") == pytest.approx(smooth, abs=1e-9)


@given(st.lists(float_box, min_size=1, max_size=6), st.lists(float_box, min_size=1, max_size=6))
def test_giou_is_that_of_torch(predicted: list[Box], true: list[Box]) -> None:
    mapped = (quality_table(predicted, true, "giou") - 0.9 * coco_table(predicted, true)) / 0.05
    assert mapped - 1 == pytest.approx(giou_of_torch(predicted, true), abs=1e-9)


@given(float_box, st.floats(0.25, 4), st.floats(-3, 3), st.floats(-3, 3))
def test_centre_is_closeness_times_likeness(true: Box, scale: float, dx: float, dy: float) -> None:
    x1, y1, x2, y2 = true
    width, height = x2 - x1, y2 - y1
    middle, centre = (x1 + x2) / 2 + dx * width, (y1 + y2) / 2 + dy * height
    half, tall = scale * width / 2, scale * height / 2
    moved = middle - half, centre - tall, middle + half, centre + tall
    likeness = min(scale, 1 / scale) ** 2
    closeness = max(0, 1 - max(abs(dx), abs(dy)) / 2) ** 4
    expected = pytest.approx(closeness * likeness, abs=1e-9)
    assert quality_table([moved], [true], "centre")[0, 0] == expected


@given(float_box, float_box, quality)
def test_quality_is_one_for_the_box_itself_only(one: Box, other: Box, name: str) -> None:
    assume(max(abs(a - b) for a, b in zip(one, other, strict=True)) > 1e-3)
    value = quality_table([one], [other], name)[0, 0]
    assert quality_table([one], [one], name)[0, 0] == pytest.approx(1, abs=1e-12)
    assert 0 <= value < 1 or (name == "threshold" and quality_table([one], [other])[0, 0] >= 0.5)


@pytest.mark.parametrize(
    ("predicted", "values"),
    [
        ((10, 10, 20, 20), {"iou": 1, "giou": 1, "soft_iou": 1, "centre": 1}),
        ((10, 10, 20, 15), {"iou": 0.5, "giou": 0.525, "soft_iou": 0.5, "centre": 0.29309}),
        ((15, 10, 25, 20), {"iou": 1 / 3, "giou": 0.36667, "soft_iou": 0.25926, "centre": 0.31641}),
        ((20, 10, 30, 20), {"iou": 0, "giou": 0.05, "soft_iou": 0, "centre": 0.0625}),
        ((30, 10, 40, 20), {"iou": 0, "giou": 0.03333, "soft_iou": 0, "centre": 0}),
        ((0, 0, 100, 100), {"iou": 0.01, "giou": 0.0595, "soft_iou": 0.0003, "centre": 0}),
    ],
)
def test_values_of_the_table_in_the_docs(predicted: Box, values: dict[str, float]) -> None:
    for name, value in values.items():
        found = quality_table([predicted], [(10, 10, 20, 20)], name)[0, 0]
        assert found == pytest.approx(value, abs=1e-4), name


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.float32])
def test_arrays_of_any_kind_are_compared_as_floats(kind: type) -> None:
    """A product of two sides beyond 255 would wrap around in bytes."""
    predicted, true = [(0, 0, 200, 200), (9, 9, 20, 30)], [(0, 0, 200, 100)]
    for name in QUALITIES:
        table = quality_table(np.array(predicted, kind), np.array(true, kind), name)
        assert table.dtype == np.float64
        assert table.tolist() == quality_table(predicted, true, name).tolist()
    assert quality_table(predicted, true).tolist() == quality_table(predicted, true, "iou").tolist()
    assert quality_table([], true).shape == (0, 1)


# ---------------------------------------------------------------------------------------------
# Matching


@given(boxes, boxes, quality)
def test_the_matching_is_the_best_of_all(
    predicted: list[Box], true: list[Box], quality: str
) -> None:
    assume(len(set(predicted)) == len(predicted))
    value = reward(predicted, true, box_quality=quality).value
    assert value == pytest.approx(brute_force(predicted, true, quality), abs=1e-9)
    assert 0.0 <= value <= 1.0


@given(boxes, st.randoms(), quality)
def test_the_order_of_boxes_does_not_matter(true: list[Box], random: Any, quality: str) -> None:
    shuffled = list(true)
    random.shuffle(shuffled)
    verdict = reward(shuffled, true, box_quality=quality)
    assert (verdict.value, verdict.reason) == (1.0, "correct")


labelled = st.lists(
    st.tuples(box, st.sampled_from(["RBC", "WBC", "Platelets"])), max_size=4, unique=True
)


def as_objects(found: Sequence[tuple[Box, str]], key: str) -> list[dict[str, Any]]:
    return [{key: list(place), "label": label} for place, label in found]


@given(labelled, labelled, quality)
def test_classes_are_respected(
    predicted: list[tuple[Box, str]], true: list[tuple[Box, str]], quality: str
) -> None:
    answer, target = as_objects(predicted, "bbox_2d"), as_objects(true, "box")
    value = reward(answer, target, SMEAR, box_quality=quality).value
    total = 0.0
    for name in ("RBC", "WBC", "Platelets"):
        ours = [place for place, label in predicted if label == name]
        theirs = [place for place, label in true if label == name]
        if ours and theirs:
            total += brute_force(ours, theirs, quality) * max(len(ours), len(theirs))
    most = max(len(predicted), len(true))
    assert value == pytest.approx(total / most if most else 1.0, abs=1e-9)


# ---------------------------------------------------------------------------------------------
# What does not pay


@given(boxes, boxes, quality, st.sampled_from(sorted(ANNOTATORS)))
def test_no_wrong_answer_reaches_a_right_one(
    predicted: list[Box], true: list[Box], quality: str, annotators: str
) -> None:
    settings: dict[str, Any] = {"box_quality": quality, "annotators": annotators}
    assert reward(true, true, **settings)[:2] == (1.0, "correct")
    verdict = reward(predicted, true, **settings)
    assert (verdict.value == 1.0) == (sorted(predicted) == sorted(true))
    assert (verdict.reason == "correct") == (verdict.value == 1.0)
    assert verdict.value == 1.0 or verdict.value <= BEST_WRONG


def test_one_box_of_many_that_is_hardly_off_makes_a_wrong_answer() -> None:
    true = [[0, 0, 9_000 + 10 * i, 9_000] for i in range(MAX_BOXES)]
    off = [[0, 0, 9_000, 9_001], *true[1:]]
    assert reward(off, true)[:2] == (BEST_WRONG, "box_partial")


@given(boxes.filter(bool), box, quality)
def test_surplus_and_missing_boxes_cost(true: list[Box], extra: Box, quality: str) -> None:
    assert reward([*true, extra], true, box_quality=quality).value < 1
    assert reward(true[1:], true, box_quality=quality).value < 1
    assert reward(true * 2, true, box_quality=quality).value == pytest.approx(0.5)


@given(st.lists(box, min_size=1, max_size=8), st.lists(box, min_size=1, max_size=3), quality)
def test_spam_earns_its_share_at_most(predicted: list[Box], true: list[Box], name: str) -> None:
    value = reward(predicted, true, box_quality=name).value
    best = quality_table(predicted, true, name).max(axis=0).sum()
    assert value <= min(best, len(true)) / max(len(predicted), len(true)) + 1e-9


@given(st.lists(box, min_size=1, max_size=4), st.lists(box, max_size=4, unique=True), quality)
def test_copies_never_pay(predicted: list[Box], true: list[Box], quality: str) -> None:
    # Two true boxes a pixel apart may both be meant by one and the same box.
    assume(all(max(map(abs, np.subtract(a, b))) > 1 for a, b in combinations(true, 2)))
    once = reward(predicted, true, box_quality=quality).value
    for copied in predicted:
        assert reward([*predicted, copied], true, box_quality=quality).value <= once + 1e-12


TWINS = [[0, 0, 1, 1], [0, 0, 1, 1]]


@pytest.mark.parametrize("name", QUALITIES)
@pytest.mark.parametrize("others", [[], TWINS, TWINS * 3, [[0, 0, 1, 1], [0, 0, 1, 1.4]]], ids=str)
def test_twins_elsewhere_do_not_make_copies_pay(others: list[Any], name: str) -> None:
    """Two boxes of which one lies between them are two things, whatever else is there twice."""
    between, pair = [11, 10, 21, 20], [[10, 10, 20, 20], [12, 10, 22, 20]]
    for true in ([*others, *pair], [*pair[::-1], *others]):
        values = [reward([between] * n, true, box_quality=name).value for n in (1, 2)]
        assert values[0] > 0
        assert values[1] <= values[0]


def test_a_copy_is_matched_with_a_twin_of_what_it_fits_best_only() -> None:
    """Beside a pair of equal boxes, a copy of a box that fits them best gets no other one."""
    pair, other = [[0, 0, 10, 10], [0, 0, 10, 10]], [4, 0, 14, 10]
    fitting = [1, 0, 11, 10]
    once, twice, thrice = (reward([fitting] * n, [*pair, other]).value for n in (1, 2, 3))
    assert twice == pytest.approx(2 * once)
    assert thrice == pytest.approx(twice)


@given(st.lists(box, min_size=1, max_size=4), st.lists(box, max_size=4), quality)
def test_a_copy_pays_for_twins_of_what_it_fits_best_only(
    predicted: list[Box], true: list[Box], quality: str
) -> None:
    """A copy never pays more than once for each true box that is there once more."""
    best = {one: max((fit(one, t, quality) for t in true), default=0.0) for one in predicted}
    for copied in predicted:
        near = [t for t in true if fit(copied, t, quality) == best[copied]]
        twins = min((sum(alike(t, other) for other in true) for t in near), default=0)
        if predicted.count(copied) >= twins:
            once = reward(predicted, true, box_quality=quality).value
            assert reward([*predicted, copied], true, box_quality=quality).value <= once + 1e-12


def fit(one: Box, other: Box, name: str) -> float:
    """What a match is worth: 1 within half a pixel, and never as much otherwise."""
    if all(abs(a - b) <= 0.5 for a, b in zip(one, other, strict=True)):
        return 1.0
    return min(float(quality_table([one], [other], name)[0, 0]), BEST_WRONG)


def alike(one: Box, other: Box) -> bool:
    return all(abs(a - b) <= 1 for a, b in zip(one, other, strict=True))


def test_a_place_with_two_labels_does_not_make_copies_pay() -> None:
    """Where one place is a red and a white cell, a copy still does not match its neighbour."""
    rows = [([0, 0, 10, 10], "RBC"), ([0, 0, 10, 10], "WBC"), ([3, 0, 13, 10], "RBC")]
    true = [{"box": place, "label": label} for place, label in rows]
    once, twice = (reward([true[0]] * count, true, SMEAR).value for count in (1, 2))
    assert once == twice == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("apart", "x", "value"),
    [
        (1.0, 0.5, 1.0),
        (1.0, 0.0, (1 + 99 / 101) / 2),
        (1.2, 0.6, 99.4 / 100.6 / 2),
        (1.2, 0.0, 1 / 2),
        (30.0, 0.0, 1 / 2),
    ],
)
def test_a_copy_counts_where_one_box_may_mean_two(apart: float, x: float, value: float) -> None:
    """Where true boxes are two half steps apart, the same numbers may be right for both."""
    true = [[0, 0, 100, 100], [apart, 0, 100 + apart, 100]]
    verdict = reward([[x, 0, 100 + x, 100]] * 2, true)
    assert verdict.value == pytest.approx(value)


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ([0, 0, 50_000, 50_000], 1.0),
        ([0.5, 0.5, 50_000.5, 49_999.5], 1.0),
        ([0.51, 0, 50_000, 50_000], BEST_WRONG),
        ([0, 0, 50_000, 50_001], BEST_WRONG),
    ],
)
def test_only_a_box_within_half_a_step_earns_all(answer: list[float], value: float) -> None:
    for name in QUALITIES:
        assert reward(answer, [0, 0, 50_000, 50_000], box_quality=name).value == value, name


def test_the_largest_numbers_may_be_written() -> None:
    whole = [0, 0, 1e9, 1e9]
    assert reward(whole, whole)[:2] == (1.0, "correct")
    assert reward("[0, 0, 1e9, 1.000001e9]", whole).notes == ("box_malformed",)


@pytest.mark.parametrize(
    ("answer", "notes"),
    [
        ("[0, 0, 10, 10]", ()),
        ("[-5, -5, 9, 9]", ("out_of_image",)),
        ("[[0, 0, 10, 10], [20, 0, 30, 10]]", ("box_surplus",)),
        ("[[0, 0, 10, 10], [5]]", ("box_malformed", "box_surplus")),
        ("[[0, 0, 10, 10], [9, 9, 1, 1]]", ("box_inverted", "box_surplus")),
        ("[5]", ("box_malformed",)),
        ("[0, 0, 90, 9]", ("frame_suspect", "out_of_image")),
        ("none", ()),
    ],
)
def test_notes_name_what_is_wrong(answer: str, notes: tuple[str, ...]) -> None:
    target = {"boxes": [[0, 0, 10, 10]], "size": SIZE}
    assert reward(answer, target).notes == notes


@pytest.mark.parametrize("start", ["", "```json", " ```\n"])
@pytest.mark.parametrize("end", ["", "```", "\n``` "])
@pytest.mark.parametrize(("side", "value"), [("0.000001", 0.0), ("10", 1.0)])
def test_fences_and_thin_boxes_of_plain_answers(
    start: str, end: str, side: str, value: float
) -> None:
    for numbers in (f"0, 0, {side}, 10", f"0, 0, 10, {side}"):
        assert reward(f"{start}[[{numbers}]]{end}", [0, 0, 10, 10]).value == value


IMPOSSIBLE = [
    *("[5]", "[1, 2, 3]", "[1, 2, 3, 4, 5]", "[9, 9, 1, 1]", "[1, 1, 1, 9]", "[NaN, 1, 2, 3]"),
    *("[0, 0, Infinity, 9]", "[0, 0, 1e400, 9]", "[0, 0, 9e9, 9]", "[-5, -5, 9, 9]"),
    *("[0, 0, 90, 9]", "[0, 0, 9px, 9]"),
]


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("bad", IMPOSSIBLE)
def test_boxes_that_cannot_be_right_count_and_earn_nothing(bad: str, quality: str) -> None:
    target = {"boxes": [[0, 0, 10, 10], [20, 0, 30, 10]], "size": SIZE}
    one_right = reward(f"[[0, 0, 10, 10], {bad}]", target, box_quality=quality)
    assert one_right.value == 0.5
    assert one_right.notes
    assert reward(f"[{bad}]", target, box_quality=quality)[:2] == (0.0, "box_missed")
    both = reward(f"[[0, 0, 10, 10], [20, 0, 30, 10], {bad}]", target, box_quality=quality)
    assert both.value == pytest.approx(2 / 3)


@given(float_box)
def test_an_image_sized_box_earns_its_share_of_the_image(true: Box) -> None:
    width, height = 40, 30
    share = (true[2] - true[0]) * (true[3] - true[1]) / (width * height)
    answer, target = [0, 0, width, height], {"boxes": [true], "size": (width, height)}
    assert reward(answer, target).value == pytest.approx(share)
    giou = reward(answer, target, box_quality="giou").value
    assert giou == pytest.approx(GIOU_SHARE / 2 + (1 - GIOU_SHARE / 2) * share)
    assert reward(answer, target, box_quality="soft_iou").value <= 3 * share**2 + 1e-9
    assert reward(answer, target, box_quality="centre").value <= share + 1e-9


@given(box, box)
def test_a_box_that_does_not_overlap_earns_little(one: Box, other: Box) -> None:
    assume(iou(one, other) == 0)
    assert reward([one], [other]).value == reward([one], [other], box_quality="soft_iou").value == 0
    assert reward([one], [other], box_quality="giou").value <= GIOU_SHARE / 2
    assert reward([one], [other], box_quality="centre").value <= 0.08


def test_random_boxes_hardly_pay() -> None:
    """The mean reward of a random box of the right size, for a box of 1 % of the image."""
    generator = np.random.default_rng(0)
    starts = generator.uniform(0, 0.9, (20_000, 2))
    predicted = np.hstack([starts, starts + 0.1]).tolist()
    means = {
        q: float(quality_table(predicted, [(0.4, 0.4, 0.5, 0.5)], q).mean()) for q in QUALITIES
    }
    assert means["iou"] < 0.01
    assert means["soft_iou"] < 0.01
    assert means["giou"] < 0.03
    assert means["centre"] < 0.015


@pytest.mark.parametrize("quality", QUALITIES)
def test_nothing_to_find_rewards_nothing_there_only(quality: str) -> None:
    target = {"boxes": [], "size": SIZE}
    for answer in ("[]", "none", "No lesion.", '{"boxes": []}', "There is nothing to find."):
        assert reward(answer, target, box_quality=quality)[:2] == (1.0, "correct")
        assert reward(answer, [[0, 0, 9, 9]], box_quality=quality)[:2] == (0.0, "box_missed")
    for answer in ("[[0, 0, 9, 9]]", "[[9, 9, 0, 0]]", "[5]"):
        assert reward(answer, target, box_quality=quality)[:2] == (0.0, "box_surplus")
    assert reward("[[0, 0, 9, 9]] none", target)[:2] == (0.0, "boxes_and_none")
    assert reward("[[0, 0, 9, 9]] none", [[0, 0, 9, 9]])[:2] == (0.0, "boxes_and_none")
    assert reward("left", target)[:2] == (0.0, "boxes_unreadable")


@pytest.mark.parametrize(
    ("answer", "target", "value", "reason"),
    [
        ("[[0, 0, 10, 10]]", [(0, 0, 10, 10)], 1.0, "correct"),
        ("[0, 0, 10, 10]", [(0, 0, 10, 10)], 1.0, "correct"),
        ("[0.4, 0, 10.4, 10]", [(0, 0, 10, 10)], 1.0, "correct"),
        ("[0, 0, 10, 5]", [(0, 0, 10, 10)], 0.5, "box_partial"),
        ("[20, 20, 30, 30]", [(0, 0, 10, 10)], 0.0, "box_missed"),
        ("[10, 0, 20, 10]", [(0, 0, 10, 10)], 0.0, "box_missed"),
        ("[[0, 0, 10, 10]", [(0, 0, 10, 10)], 1.0, "correct"),
        ("[0, 0, 10, 10] and [0, 0, 5, 5]", [(0, 0, 10, 10)], 0.5, "box_partial"),
        ("[0, 0, 10, 10] or [0, 0, 5, 5]", [(0, 0, 10, 10)], 0.0, "boxes_open"),
        (json.dumps([[0, 0, 10, 10]] * 50), [(0, 0, 10, 10)], 0.02, "box_partial"),
        (json.dumps([[0, 0, 10, 10]] * (MAX_BOXES + 1)), [(0, 0, 10, 10)], 0.0, "too_many_boxes"),
        ("", [(0, 0, 1, 1)], 0.0, "empty_answer"),
        (None, [(0, 0, 1, 1)], 0.0, "no_answer"),
        ("x" * 30_000, [(0, 0, 1, 1)], 0.0, "answer_too_long"),
    ],
)
def test_golden_values(answer: str | None, target: list[Box], value: float, reason: str) -> None:
    verdict = reward(answer, target)
    assert (verdict.value, verdict.reason) == (value, reason)


# ---------------------------------------------------------------------------------------------
# Targets

OUTSIDE = ([0, 0, 41, 9], [0, 0, 9, 31], [-1, 0, 9, 9], [0, -1, 9, 9])
ANSWER = "<think>x</think><answer>[[0, 0, 10, 10]]</answer>"


@pytest.mark.parametrize(
    "target",
    [
        [0, 0, 10, 10],
        [[0, 0, 10, 10]],
        ((0.0, 0, 10, 10),),
        np.array([[0, 0, 10, 10]]),
        [{"box": [0, 0, 10, 10]}],
        {"boxes": [[0, 0, 10, 10]], "size": [40, 30], "seen": None},
        {"boxes": np.array([[0, 0, 10, 10]]), "size": np.array([40, 30])},
        {"annotators": [[[0, 0, 10, 10]], []], "size": [40, 30]},
    ],
)
def test_forms_of_a_target(target: object) -> None:
    task = Task.load("mni152_brain_box")
    assert explain(ANSWER, target, task=task).correct
    text = ground_truth(task, target)
    again = target_of(task, text)
    assert ground_truth(task, again) == text
    assert task.parse_target(again) == task.parse_target(target)


labelled_target = st.builds(
    BoxTarget,
    st.lists(
        st.lists(st.builds(TrueBox, float_box, st.integers(0, 2)), max_size=3).map(tuple),
        min_size=1,
        max_size=3,
    ).map(tuple),
    st.none() | st.just((40.0, 30.0)),
    st.none() | st.just((56.0, 28.5)),
)


@given(labelled_target)
def test_a_target_survives_its_row(target: BoxTarget) -> None:
    again = SMEAR.parse_target(target_of(SMEAR, ground_truth(SMEAR, target)))
    assert again == target
    assert pickle.loads(pickle.dumps(again)) == target


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ([0.0, 0, 4, 2.5], "[[0, 0, 4, 2.5]]"),
        ({"boxes": []}, "[]"),
        (
            {"boxes": [[0, 0, 4, 2]], "size": [40, 30]},
            '{"boxes": [[0, 0, 4, 2]], "size": [40, 30]}',
        ),
        ({"annotators": [[]], "seen": [9, 9]}, '{"boxes": [], "seen": [9, 9]}'),
        ({"annotators": [[], []]}, '{"annotators": [[], []]}'),
    ],
)
def test_a_row_holds_the_shortest_form(target: object, text: str) -> None:
    assert ground_truth(PLACE, target) == text


def test_a_row_shows_labels_as_they_are_written() -> None:
    task = Task("ö", kind="localisation", labels=("Ödem", "Zyste"))
    one = {"box": [0, 0, 4, 2], "label": "Ödem"}
    assert ground_truth(task, [one]) == '[{"box": [0, 0, 4, 2], "label": "Ödem"}]'
    assert '"label": "Ödem"' in ground_truth(task, {"annotators": [[one], [one]]})


def test_the_largest_targets_are_admitted() -> None:
    whole = (-1e9, -1e9, 1e9, 1e9)
    assert PLACE.parse_target([whole] * MAX_BOXES).boxes == (TrueBox(whole),) * MAX_BOXES


def test_targets_of_a_group() -> None:
    task = "mni152_brain_box"
    targets = [[[0, 0, 10, 10]], [[0, 0, 10, 5]]]
    assert shaped_reward([ANSWER] * 2, targets, task=task) == [1.2, 0.7]
    whole = {"boxes": [[0, 0, 10, 5]], "size": [40, 30]}
    assert shaped_reward([ANSWER] * 2, whole, task=task) == [0.7, 0.7]


@pytest.mark.parametrize(
    ("target", "named"),
    [
        (5, "5 is not a list of boxes"),
        ("box", "'box' is not a list of boxes"),
        (None, "None is not a list of boxes"),
        ([1, 2, 3], r"box 1 is not \[x1"),
        ([[1, 2, 3]], r"box \[1, 2, 3\] is not"),
        ([10, 0, 0, 10], "x1 < x2"),
        ([0, 0, float("nan"), 1], "nan is not a finite number"),
        ([0, 0, 1e9 + 1, 1], "box: 1000000001.0"),
        ([0, -1e9 - 1, 1, 1], "box: -1000000001.0"),
        ([0, 0, True, 1], "box: True"),
        ([[0, 0, 1, 1], [0, 0, 0, 1]], "x1 < x2"),
        (["abcd"], "box 'abcd'"),
        ([[0, 0, 1, 1]] * (MAX_BOXES + 1), "101 boxes; at most 100"),
        ({"box": [[0, 0, 1, 1]]}, "field: 'box' is not one of boxes.*did you mean 'boxes'"),
        ({"size": [1, 1]}, "either 'boxes' or"),
        ({"boxes": [], "annotators": []}, "either 'boxes' or"),
        ({"annotators": []}, r"annotators: \[\] is not a list of lists"),
        ({"boxes": [], "size": 5}, r"size: 5 is not \[width, height\] of the box|size: 5 is not"),
        ({"boxes": [], "size": [0, 5]}, "size: 0 is not a finite number from 1"),
        *(({"boxes": [box], "size": SIZE}, "box .* leaves the image of size") for box in OUTSIDE),
        ({"annotators": 5}, "annotators: 5 is not a list of lists"),
        ({"annotators": "ab"}, "annotators: 'ab' is not a list of lists"),
        ({"boxes": [], "seen": "ab"}, r"seen: 'ab' is not \[width, height\]"),
        ([0, 9, 9, 5], "y1 < y2"),
        ([0, 0, MIN_SIDE, 9], "x1 < x2"),
        ([0, 0, 9, MIN_SIDE], "y1 < y2"),
        ([{"box": [0, 0, 1, 1], "class": "x"}], "box: field: 'class'"),
    ],
)
def test_a_wrong_target_is_named(target: object, named: str) -> None:
    with pytest.raises(ConfigError, match=f"task 'mni152_brain_box': .*{named}"):
        shaped_reward(ANSWER, target, task="mni152_brain_box")


def test_labels_of_a_target() -> None:
    for label in ("nucleus", None, 5, "no finding"):
        named = rf"task 'smear': target box label: {label!r} .*RBC, WBC"
        with pytest.raises(ConfigError, match=named):
            SMEAR.parse_target([{"box": [0, 0, 1, 1], "label": label}])
    with pytest.raises(ConfigError, match="box label: None"):
        SMEAR.parse_target([[0, 0, 1, 1]])
    alone = Task("nodule", kind="localisation", labels=(Label("nodule"),))
    assert alone.parse_target([[0, 0, 1, 1]]).boxes == (TrueBox((0, 0, 1, 1), 0),)
    assert reward("[0, 0, 9, 9]", [[0, 0, 9, 9]], alone).value == 1.0
    assert reward("no nodule", {"boxes": []}, alone).value == 1.0


def test_what_is_read_is_shown_in_pixels_of_the_image() -> None:
    target = {"boxes": [], "size": [640, 480]}
    answer = '[{"bbox_2d": [0, 0, 500, 1000], "label": "wbc"}, [1, 2]]'
    verdict = reward(answer, target, SMEAR, frame="per-mille")
    shown = '[{"box": [0, 0, 320, 480], "label": "WBC"}]'
    assert verdict.prediction == shown
    assert SMEAR.parse_target(json.loads(shown)).boxes[0].label == 1
    assert reward("none", target).prediction == "[]"
    assert reward("left", target).prediction is None


@pytest.mark.parametrize("rest", ['"RBC": [], "Platelets": []', '"RBC": null', '"RBC": "none"'])
@pytest.mark.parametrize("found", [[0, 0, 9, 9], [[0, 0, 9, 9]], [[0, 0, 9, 9], [20, 0, 29, 9]]])
def test_a_class_without_boxes_beside_one_with_boxes(rest: str, found: list[Any]) -> None:
    """In a mapping by class, the boxes are of their own class, whatever else is missing."""
    places = found if isinstance(found[0], list) else [found]
    for fields in (f'"WBC": {found}, {rest}', f'{rest}, "WBC": {found}'):
        for name, value in (("WBC", 1.0), ("RBC", 0.0), ("Platelets", 0.0)):
            target = [{"box": place, "label": name} for place in places]
            assert reward(f"{{{fields}}}", target, SMEAR).value == value


# ---------------------------------------------------------------------------------------------
# Annotators


def test_best_mean_and_consensus() -> None:
    first, second = [0, 0, 10, 10], [0, 0, 10, 8]
    target = {"annotators": [[first], [second], []]}
    values = {name: reward([first], target, annotators=name).value for name in ANNOTATORS}
    assert values["best"] == 1.0
    assert values["mean"] == pytest.approx((1 + 0.8 + 0) / 3)
    assert values["consensus"] == pytest.approx(0.9)
    assert reward([0, 0, 10, 9], target, annotators="consensus").value == 1.0
    assert reward("none", target, annotators="best").value == 1.0
    assert reward("none", target, annotators="mean").value == pytest.approx(1 / 3)
    assert reward("none", target, annotators="consensus").value == 0.0


annotated = st.lists(
    st.lists(st.builds(TrueBox, box, st.integers(0, 1)), max_size=3).map(tuple),
    min_size=1,
    max_size=4,
)


@given(annotated, st.randoms())
def test_consensus(annotators: list[tuple[TrueBox, ...]], random: Any) -> None:
    agreed = consensus(tuple(annotators))
    shuffled = list(annotators)
    random.shuffle(shuffled)
    assert consensus(tuple(shuffled)) == agreed
    assert len(agreed) <= 2 * sum(map(len, annotators)) / (len(annotators) + 1)
    for place, label in agreed:
        near = [any(label == n and iou(place, b) > 0 for b, n in drawn) for drawn in annotators]
        assert 2 * sum(near) > len(annotators)
    assert sorted(consensus((annotators[0],) * 3)) == sorted(annotators[0]) or len(
        {*annotators[0]}
    ) != len(annotators[0])


# ---------------------------------------------------------------------------------------------
# Settings


def test_the_signature_names_what_shapes_the_score() -> None:
    scorer = Scorer(
        Task.load("bccd"),
        RewardSettings(delta=0, frame="per-mille", box_quality="giou", annotators="mean"),
    )
    assert "|frame:per-mille|box_quality:giou|annotators:mean|" in scorer.signature()
    assert "frame" not in Scorer(Task.load("retinamnist")).signature()


@pytest.mark.parametrize("quality", ["iou", "threshold", "above"])
def test_a_threshold_in_force_stands_in_the_signature_at_its_default_too(quality: str) -> None:
    settings = PLACE.reward.updated({"box_quality": quality, "box_threshold": 0.5, "delta": 0})
    signed = "|box_threshold:0.5|" in Scorer(PLACE, settings).signature()
    assert signed == (quality != "iou")


@pytest.mark.parametrize("frame", sorted(FRAMES))
@pytest.mark.parametrize("quality", QUALITIES)
def test_settings_by_keyword(frame: str, quality: str) -> None:
    target = {"boxes": [], "size": SIZE, "seen": SIZE}
    text = "<think>x</think><answer>nothing there</answer>"
    score = explain(text, target, task="mni152_brain_box", frame=frame, box_quality=quality)
    assert (score.total, score.reasons) == (1.2, ("correct",))


def test_recitation_is_refused() -> None:
    with pytest.raises(ConfigError, match="set delta: 0"):
        shaped_reward(ANSWER, [], task="mni152_brain_box", delta=-1)


@given(st.text(alphabet='[]{}()<>|/",.0123456789-eNaItrubox ', max_size=60), quality)
def test_any_answer_has_a_value(answer: str, quality: str) -> None:
    assert 0.0 <= reward(answer, [(0, 0, 10, 10)], box_quality=quality).value <= 1.0
