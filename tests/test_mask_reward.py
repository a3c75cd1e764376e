"""The mask reward: against pycocotools and scikit-learn, and text that no mask may come of."""

from __future__ import annotations

import json
import pickle
import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from pycocotools import mask as coco
from sklearn.metrics import f1_score, jaccard_score

from medreward import ConfigError, RewardSettings, Task, explain
from medreward.geometry.masks import MAX_SIDE, MaskError, rle_of_counts, rle_of_polygons
from medreward.kinds.segmentation import MAX_LENGTH, mask_reward
from medreward.kinds.truth import ground_truth, target_of
from medreward.kinds.verdict import BEST_WRONG, Verdict
from tests.growth import Work, assert_linear, repeated

TASK = Task("lesion", kind="segmentation", reward=RewardSettings(delta=0))
SQUARE = {"polygons": [[0, 0, 8, 0, 8, 8, 0, 8]], "size": [20, 10]}
ODD = ("é", "/", "p", "ppppp1", "ooo", "0!")  # beyond the 64 characters of COCO, or cut off
CORNER = [0, 0, 2, 0, 2, 2, 0, 2]
NEST = '[{"mask": ', "}]"
binary = arrays(np.uint8, (9, 13), elements=st.integers(0, 1))


def reward(answer: Any, target: Any, **settings: Any) -> Verdict:
    text = answer if isinstance(answer, str) or answer is None else json.dumps(answer)
    return mask_reward(text, TASK.parse_target(target), TASK, RewardSettings(**settings))


def packed(mask: Any) -> dict[str, Any]:
    rle = coco.encode(np.asfortranarray(mask))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


def listed(mask: Any) -> dict[str, Any]:
    flat, runs, value = mask.ravel(order="F").tolist(), [0], 0
    for pixel in flat:
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    return {"size": list(mask.shape), "counts": runs}


@given(binary, binary)
def test_dice_and_iou_are_those_of_scikit_learn(one: Any, other: Any) -> None:
    dice = f1_score(other.ravel(), one.ravel(), zero_division=1.0)
    overlap = jaccard_score(other.ravel(), one.ravel(), zero_division=1.0)
    answers: list[Any] = [packed(one), listed(one), [packed(one)], {"segmentation": listed(one)}]
    for answer in answers:
        found = reward(answer, other).value
        assert found == pytest.approx(min(dice, BEST_WRONG) if dice < 1 else 1.0, abs=1e-9)
    found = reward(packed(one), packed(other), mask_quality="iou").value
    assert found == pytest.approx(overlap, abs=1e-4)
    if one.any() or other.any():
        theirs = coco.iou(
            [coco.encode(np.asfortranarray(one))], [TASK.parse_target(other).rle()], [0]
        )
        assert found == pytest.approx(float(theirs[0, 0]), abs=1e-4)


@given(binary, binary)
def test_several_parts_are_one_mask_and_the_prediction_shows_it(one: Any, other: Any) -> None:
    union = coco.encode(np.asfortranarray(one | other))
    square = {"polygon": [0, 0, 4, 0, 4, 4, 0, 4]}
    drawn = coco.merge([union, *coco.frPyObjects([square["polygon"]], 9, 13)])
    true = np.ones((9, 13))
    answers: list[tuple[Any, Any]] = [
        ([packed(one), listed(other)], union),
        ([packed(one), square, packed(other)], drawn),
        ({"objects": [square, packed(one | other)]}, drawn),
        ([], coco.encode(np.zeros((9, 13), np.uint8, order="F"))),
    ]
    for answer, expected in answers:
        verdict = reward(answer, true)
        shown = {**expected, "counts": expected["counts"].decode()}
        assert json.loads(verdict.prediction or "") == shown
        assert reward(json.loads(verdict.prediction or ""), true) == verdict


@given(binary)
def test_a_mask_survives_its_row(mask: Any) -> None:
    target = TASK.parse_target(mask)
    text = ground_truth(TASK, mask)
    assert TASK.parse_target(target_of(TASK, text)) == target == TASK.parse_target(listed(mask))
    assert pickle.loads(pickle.dumps(target)) == target
    assert (coco.decode(target.rle()) == mask).all()
    assert reward(packed(mask), target)[:2] == (1.0, "correct")


@given(binary, st.integers(0, 4))
def test_no_wrong_mask_is_right(mask: Any, column: int) -> None:
    changed = mask.copy()
    changed[0, column] ^= 1
    verdict = reward(packed(changed), mask)
    assert verdict.value <= BEST_WRONG
    assert verdict.reason in ("mask_partial", "mask_missed")


corner = st.tuples(st.floats(0, 20, width=32), st.floats(0, 10, width=32))


@given(st.lists(st.lists(corner, min_size=3, max_size=6), min_size=1, max_size=3))
def test_polygons_are_those_of_pycocotools(found: list[list[tuple[float, float]]]) -> None:
    flat = [[v for point in polygon for v in point] for polygon in found]
    theirs = coco.decode(coco.merge(coco.frPyObjects(flat, 10, 20)))
    answers: list[Any] = [flat, {"polygons": flat}, found, [{"segmentation": [p]} for p in flat]]
    if not theirs.any():  # polygons do not say that there is nothing
        assert {reward(answer, theirs)[:2] for answer in answers} == {(0.0, "mask_malformed")}
        return
    for answer in answers:
        assert reward(answer, theirs).value == 1.0
    unit = [[v / (20, 10)[i % 2] for i, v in enumerate(polygon)] for polygon in flat]
    mine = json.loads(reward(unit, theirs, frame="unit").prediction or "")
    assert (coco.decode({**mine, "counts": mine["counts"].encode()}) != theirs).sum() <= 3


@pytest.mark.parametrize(
    ("answer", "value", "reason"),
    [
        ("[[0, 0, 8, 0, 8, 8, 0, 8]]", 1.0, "correct"),
        ("[0, 0, 8, 0, 8, 8, 0, 8]", 1.0, "correct"),
        ("```json\n[[[0, 0], [8, 0], [8, 8], [0, 8]]]\n```", 1.0, "correct"),
        ("[[0, 0, 8, 0, 8, 4, 0, 4]]", 2 / 3, "mask_partial"),
        ("[[10, 0, 18, 0, 18, 8, 10, 8]]", 0.0, "mask_missed"),
        ("[[0, 0, 20, 0, 20, 10, 0, 10]]", 128 / 264, "mask_partial"),
        ("[]", 0.0, "mask_missed"),
        ("none", 0.0, "mask_missed"),
        ("the whole image", 0.0, "mask_unreadable"),
        ("[[0, 0, 8, 0]]", 0.0, "mask_malformed"),
        ("[[0, 0, 8, 0, 8]]", 0.0, "mask_malformed"),
        ("[[0, 0, 8, 0, 8, 8, 0, 8], [1]]", 0.0, "mask_malformed"),
        ("[[0, 0, 80, 0, 80, 8]]", 0.0, "mask_malformed"),
        ("[[0, 0, 1e300, 0, 8, 8]]", 0.0, "mask_malformed"),
        ("[[0, 0, NaN, 0, 8, 8]]", 0.0, "mask_malformed"),
        ('["a"]', 0.0, "mask_malformed"),
        ("[[0, 0, 4, 0, 8, 0]]", 0.0, "mask_malformed"),
        ('{"mask": [[0, 0, 4, 0, 4, 4]], "mask": [[0, 0, 8, 0, 8, 8, 0, 8]]}', 0, "mask_malformed"),
        ("not [[0, 0, 8, 0, 8, 8, 0, 8]]", 0.0, "mask_unreadable"),
        ("[[0, 0, 8, 0, 8, 8, 0, 8]] or [[0, 0, 4, 0, 4, 4]]", 0.0, "mask_unreadable"),
        ("5", 0.0, "mask_malformed"),
        ('{"size": [10, 20], "counts": "999"}', 0.0, "mask_malformed"),
        ('{"size": [10, 20], "counts": [200]}', 0.0, "mask_missed"),
        ('{"size": [10, 20], "counts": [0, 200]}', 128 / 264, "mask_partial"),
        ('{"size": [20, 10], "counts": [200]}', 0.0, "mask_malformed"),
        ('{"size": [10, 20], "counts": [-5, 205]}', 0.0, "mask_malformed"),
        ('{"size": [10, 20], "counts": [true, 199]}', 0.0, "mask_malformed"),
        ('{"size": [10, 20], "counts": [1e9]}', 0.0, "mask_malformed"),
        ('{"size": [100000, 100000], "counts": [10000000000]}', 0.0, "mask_malformed"),
        ('{"counts": [200]}', 0.0, "mask_malformed"),
        *((f'{{"size": [10, 20], "counts": "{text}"}}', 0.0, "mask_malformed") for text in ODD),
        (json.dumps([CORNER] * 100), 2 * 4 / (4 + 64), "mask_partial"),
        (json.dumps([CORNER] * 101), 0.0, "mask_malformed"),
        (json.dumps([[0, 0, 8, 0, 8, 8]] * 70), 0.0, "mask_malformed"),
        ('{"polygon": [0, 0, 8, 0, 8, 8], "mask": []}', 0.0, "mask_malformed"),
        (f"no{' ' * 992}lesion", 0.0, "mask_missed"),
        (f"no{' ' * 993}lesion", 0.0, "mask_unreadable"),
        (json.dumps([[0, 0, 20, 10] * 500]), 0.0, "mask_malformed"),
        (f"{NEST[0] * 10}[]{NEST[1] * 10}", 0.0, "mask_missed"),
        (f"{NEST[0] * 200}[]{NEST[1] * 200}", 0.0, "mask_malformed"),
        ("[" * 20 + "[0, 0, 8, 0, 8, 8, 0, 8]" + "]" * 20, 1.0, "correct"),
        ("[" * 21 + "[0, 0, 8, 0, 8, 8, 0, 8]" + "]" * 21, 0.0, "mask_malformed"),
        ("[" * 5000, 0.0, "mask_unreadable"),
        ("x" * (MAX_LENGTH + 1), 0.0, "answer_too_long"),
        (None, 0.0, "no_answer"),
    ],
)
def test_golden_values(answer: str | None, value: float, reason: str) -> None:
    verdict = reward(answer, SQUARE)
    assert verdict.reason == reason
    assert verdict.value == pytest.approx(value)


def test_nothing_to_find() -> None:
    target = {"polygons": [], "size": [20, 10]}
    empty: dict[str, Any] = {"size": [10, 20], "counts": [200]}
    answers: list[Any] = ["[]", "null", "No lesion.", {"polygons": []}, empty]
    for answer in answers:
        assert reward(answer, target)[:2] == (1.0, "correct")
    assert reward([[0, 0, 8, 0, 8, 8]], target)[:2] == (0.0, "mask_missed")
    assert reward([[0, 0, 20, 0, 20, 10, 0, 10]], target).value == 0.0
    assert reward([[0, 0, 4, 0, 8, 0]], target)[:2] == (0.0, "mask_malformed")


@pytest.mark.parametrize(
    ("before", "unit", "after"),
    [
        ("", "?", ""),
        ("", "[1,", ""),
        ('{"counts": "', "o", '", "size": [10, 20]}'),
        ('{"size": [10, 20], "counts": "', "P", '"}'),
        ('{"size": [10, 20], "counts": [', "0,", "200]}"),
        ("[[", "0, 0, 20, 10, ", "0, 0]]"),
        ("[", "".join(f"[{i % 20}, {i % 10}], " for i in range(20)), "[0, 0]]"),
    ],
)
def test_hostile_text_is_refused_in_linear_time(before: str, unit: str, after: str) -> None:
    def work(length: int) -> Work:
        text = before + repeated(unit, length) + after
        assert 0.0 <= reward(text, SQUARE).value < 1.0
        return lambda: reward(text, SQUARE)

    assert_linear(work, 90_000)


@given(st.text(alphabet='[]{}",.:0123456789-countsize ', max_size=60))
def test_any_answer_has_a_value(answer: str) -> None:
    assert 0.0 <= reward(answer, SQUARE).value <= 1.0


@given(st.binary(max_size=40).map(lambda b: bytes(48 + v % 64 for v in b)), st.integers(1, 30))
def test_packed_text_of_any_kind_fills_the_image_or_is_refused(text: bytes, width: int) -> None:
    try:
        rle = rle_of_counts(text, [10, width], width, 10)
    except MaskError:
        return
    assert coco.decode(rle).shape == (10, width)


@pytest.mark.parametrize(
    ("target", "named"),
    [
        (5, "target '5' is not a mask"),
        ("x", "target 'x' is not a mask"),
        (np.zeros((2, 2, 3)), r"shape \(2, 2, 3\)"),
        ({"polygons": [[0, 0, 8, 0, 8, 8]]}, "its fields are polygons"),
        ({"polygons": [[0, 0, 8]], "size": [20, 10]}, "has 3 numbers"),
        ({"polygons": ["ab"], "size": [20, 10]}, "polygon 'ab'"),
        ({"polygons": [[0, 0, 80, 0, 8, 8]], "size": [20, 10]}, "leaves the image"),
        ({"counts": [5], "size": [20, 10]}, "sum to 5, not to 10 x 20"),
        ({"counts": None, "size": [20, 10]}, "neither a packed text nor"),
        ({"counts": [200], "size": [0, 10]}, "size: 0 is not a finite number from 1"),
        (np.zeros((0, 5)), r"shape \(0, 5\)"),
        (np.zeros((1, MAX_SIDE + 1)), r"shape \(1, 16385\)"),
        (np.zeros(5), r"shape \(5,\)"),
        ({"counts": [200], "size": 5}, "size: 5 is not two sides"),
        ({"counts": [200], "size": "ab"}, "size: 'ab' is not two sides"),
        ({"counts": [200], "size": [10, 20, 1]}, r"size: \[10, 20, 1\] is not two sides"),
        ({"counts": [200], "size": [10, 20], "seen": [0, 5]}, "seen: 0 is not a finite number"),
        ({"polygons": 5, "size": [20, 10]}, "polygons: 5 is not a list of lists"),
        ({"polygons": "ab", "size": [20, 10]}, "polygons: 'ab' is not a list of lists"),
        ({"counts": "é", "size": [10, 20]}, "counts are no text packed by COCO"),
        ({"counts": "o", "size": [10, 20]}, "counts are cut off"),
        ({"counts": [200], "size": [10, 20], "label": "x"}, r"\['counts', 'seen', 'size'\]"),
    ],
)
def test_a_wrong_target_is_named(target: Any, named: str) -> None:
    with pytest.raises(ConfigError, match=f"task 'lesion': .*{named}"):
        TASK.parse_target(target)


@pytest.mark.parametrize("seen", [None, (40.0, 20.0)])
@pytest.mark.parametrize(
    "form",
    [
        torch.from_numpy,
        Image.fromarray,
        lambda mask: mask.astype(bool),
        lambda mask: mask * 200.0,
        packed,
        listed,
        lambda mask: {name: np.array(value) for name, value in listed(mask).items()},
    ],
)
def test_forms_of_a_target(form: Any, seen: tuple[float, float] | None) -> None:
    mask: Any = np.zeros((9, 13), np.uint8)
    mask[2:5, 3:11] = mask[8, 0] = 1
    given = form(mask)
    if isinstance(given, dict):
        given["seen"] = seen
    parsed = TASK.parse_target(given)
    assert (coco.decode(parsed.rle()) == mask).all()
    assert parsed.size == (13.0, 9.0)
    assert parsed.seen == (seen if isinstance(given, dict) else None)
    assert TASK.parse_target(target_of(TASK, ground_truth(TASK, parsed))) == parsed


@given(binary, st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)), max_size=5))
def test_empty_runs_change_no_mask(mask: Any, splits: list[tuple[int, int]]) -> None:
    runs: list[int] = listed(mask)["counts"]
    for place, first in splits:
        i = place % len(runs)
        taken = min(first, runs[i])
        runs[i : i + 1] = [taken, 0, runs[i] - taken]
    assert TASK.parse_target({"size": [9, 13], "counts": runs}) == TASK.parse_target(mask)
    assert reward({"size": [9, 13], "counts": runs}, mask).value == 1.0


def test_no_foreign_character_passes_for_one_of_coco() -> None:
    run_of_15 = packed((np.arange(40).reshape(10, 4, order="F") >= 15).astype(np.uint8))
    assert run_of_15["counts"].startswith("?")
    assert reward(run_of_15, run_of_15).value == 1.0
    for foreign in ("é", "?\u0301", "\ud800", "\uff1f"):
        text = foreign + run_of_15["counts"][1:]
        assert reward({**run_of_15, "counts": text}, run_of_15)[:2] == (0.0, "mask_malformed")
    full = packed(np.ones((10, 4), np.uint8))
    assert full["counts"].startswith("0")
    beyond = {**full, "counts": "p" + full["counts"][1:]}
    assert reward(beyond, full)[:2] == (0.0, "mask_malformed")


def test_without_pycocotools_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(ConfigError, match=r"masks need pycocotools \(pip .*'medreward\[masks\]'"):
        reward("[]", SQUARE)


def test_the_largest_side_is_admitted() -> None:
    assert TASK.parse_target(np.zeros((1, MAX_SIDE))).size == (MAX_SIDE, 1)


@pytest.mark.parametrize(
    ("corners", "times", "message"),
    [
        # A pixel beyond the edge is rounding.
        ([-1, -1, 21, -1, 21, 11, -1, 11], 1, ""),
        ([-1.1, 0, 20, 0, 20, 10], 1, "leaves the image"),
        ([0, -1.1, 20, 0, 20, 10], 1, "leaves the image"),
        ([0, 0, 21.1, 0, 20, 10], 1, "leaves the image"),
        ([0, 0, 20, 0, 20, 11.1], 1, "leaves the image"),
        # To and fro, 1500 pixels in all: 50 times the width plus the height.
        *(([15, 1, 20, 1], 150, ""), ([15, 1, 20, 1], 151, "far longer than an outline")),
        *(([5, 4, 5, 10], 125, ""), ([5, 4, 5, 10], 126, "far longer than an outline")),
    ],
)
def test_how_far_and_how_long_a_polygon_may_go(
    corners: list[float], times: int, message: str
) -> None:
    if not message:
        assert rle_of_polygons([corners * times], 20, 10)["size"] == [10, 20]
        return
    with pytest.raises(MaskError, match=message):
        rle_of_polygons([corners * times], 20, 10)


def test_a_task_of_masks() -> None:
    text = "<think>x</think><answer>[[0, 0, 8, 0, 8, 8, 0, 8]]</answer>"
    score = explain(text, SQUARE, task=TASK, mask_quality="iou")
    assert (score.total, score.correct) == (1.2, True)
    assert "|kind:segmentation|" in score.signature
    assert "|frame:pixels|mask_quality:iou|" in score.signature
    with pytest.raises(ConfigError, match="labels: 1 given; a segmentation task has none"):
        Task("x", kind="segmentation", labels=("a",))
    with pytest.raises(ConfigError, match="recitation is not for segmentation"):
        explain(text, SQUARE, task=TASK, delta=-1)
    seen = {**SQUARE, "seen": [40, 20]}
    doubled = json.dumps([[0, 0, 16, 0, 16, 16, 0, 16]])
    assert reward(doubled, seen, frame="resized").value == 1.0
    with pytest.raises(ConfigError, match="no 'seen'"):
        reward(doubled, SQUARE, frame="resized")
    assert rle_of_polygons([], 4, 3)["size"] == [3, 4]


@pytest.mark.parametrize("depth", [900, 1500, 5000, 50_000])
@pytest.mark.parametrize("pair", ["[]", ('{"mask":', "}")], ids=["lists", "objects"])
def test_deeply_nested_answers_earn_nothing(depth: int, pair: tuple[str, str]) -> None:
    answer = pair[0] * depth + "[0, 0, 8, 0]" + pair[1] * depth
    assert reward(answer, SQUARE).value == 0.0
