"""Frames of coordinates: conversion, Qwen's resize, and a wrong frame that shows itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from medreward import ConfigError, RewardSettings, Task, explain
from medreward.geometry.frames import FRAMES, is_suspect, known_extents, qwen_resized
from medreward.geometry.regions import Box, BoxTarget, Size, TrueBox, frame_of
from medreward.kinds.boxes.match import box_reward
from medreward.runs.frame_report import compare_frames

PLACE = Task("place", kind="localisation", reward=RewardSettings(delta=0))
SIZE, SEEN = (640.0, 480.0), (364.0, 252.0)
side = st.integers(1, 5000)

span = st.tuples(st.floats(0, 0.9), st.floats(0.05, 0.1))
place = st.tuples(span, span).map(
    lambda s: tuple(
        round(v * n)
        for v, n in zip(
            (s[0][0], s[1][0], s[0][0] + s[0][1], s[1][0] + s[1][1]), (*SIZE, *SIZE), strict=True
        )
    )
)


def written(box: Sequence[float], frame: str) -> list[float]:
    """A box of the stored image as a model writes it in a frame: whole numbers, or 3 decimals."""
    extent = {"pixels": SIZE, "resized": SEEN, "unit": (1, 1), "per-mille": (1000, 1000)}[frame]
    values = [v * extent[i % 2] / SIZE[i % 2] for i, v in enumerate(box)]
    return [round(v, 3) if frame == "unit" else round(v) for v in values]


def verdict(answer: Any, target: Any, frame: str) -> Any:
    settings = RewardSettings(frame=frame)
    return box_reward(json.dumps(answer), PLACE.parse_target(target), PLACE, settings)


@given(st.lists(place, min_size=1, max_size=5, unique=True), st.sampled_from(sorted(FRAMES)))
def test_the_right_answer_is_right_in_every_frame(boxes: list[Box], frame: str) -> None:
    target = {"boxes": boxes, "size": SIZE, "seen": SEEN}
    found = verdict([written(box, frame) for box in boxes], target, frame)
    assert (found.value, found.reason, found.notes) == (1.0, "correct", ())


@given(place, st.sampled_from(sorted(FRAMES)), st.integers(0, 3))
def test_two_steps_off_is_not_right(box: Box, frame: str, corner: int) -> None:
    values = written(box, frame)
    values[corner] += 0.002 if frame == "unit" else 2
    target = {"boxes": [box], "size": SIZE, "seen": SEEN}
    assert verdict([values], target, frame).value < 1


@pytest.mark.parametrize(
    ("frame", "field"), [("unit", "size"), ("per-mille", "size"), ("resized", "size")]
)
def test_a_missing_size_is_an_error_of_the_target(frame: str, field: str) -> None:
    text = "<think>x</think><answer>[0, 0, 1, 1]</answer>"
    with pytest.raises(ConfigError, match=f"no '{field}', which boxes in frame '{frame}' need"):
        explain(text, [0, 0, 9, 9], task=PLACE, frame=frame)
    with pytest.raises(ConfigError, match="no 'seen'"):
        explain(text, {"boxes": [], "size": SIZE}, task=PLACE, frame="resized")


@given(side, side, st.sampled_from([28, 32]), st.sampled_from([3136, 65_536, 200_704]))
def test_qwen_resized_is_smart_resize(width: int, height: int, factor: int, least: int) -> None:
    module = pytest.importorskip("transformers.models.qwen2_vl.image_processing_pil_qwen2_vl")
    assume(max(width, height) <= 200 * min(width, height))
    for most in (100_352, 401_408, 1_003_520):
        if most > least:
            expected = module.smart_resize(height, width, factor, least, most)
            assert qwen_resized((width, height), factor, least, most) == expected[::-1]
    assert qwen_resized((width, height)) == module.smart_resize(height, width)[::-1]


@pytest.mark.parametrize(
    ("size", "options", "seen"),
    [
        ((640, 480), {}, (644, 476)),
        ((56, 56), {}, (56, 56)),
        ((1, 1), {}, (56, 56)),
        ((1, 200), {}, (28, 812)),
        ((2000, 10), {}, (812, 28)),
        ((27, 29), {}, (56, 84)),
        ((4000, 3000), {}, (1148, 840)),
        ((640, 480), {"max_pixels": 100_352}, (364, 252)),
        ((5000, 25), {"max_pixels": 100_352}, (4480, 28)),
        ((40, 30), {"factor": 32, "min_pixels": 65_536}, (320, 224)),
        # Rounded sides of exactly the least and the largest area stay as they are.
        ((50, 55), {}, (56, 56)),
        ((18, 115), {}, (28, 112)),
        ((153, 7168), {}, (140, 7168)),
    ],
)
def test_golden_sizes_of_qwens_processor(
    size: tuple[int, int], options: dict[str, int], seen: tuple[int, int]
) -> None:
    assert qwen_resized(size, **options) == seen


@pytest.mark.parametrize("size", [(0, 5), (5, -1), (1000, 4), (201, 1), (1, 201)])
def test_sizes_that_qwen_does_not_take(size: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="size: "):
        qwen_resized(size)


@pytest.mark.parametrize(
    ("box", "frame", "suspect"),
    [
        ((0.1, 0.2, 0.5, 0.75), "pixels", True),
        ((0.1, 0.2, 0.5, 0.75), "per-mille", True),
        ((0.1, 0.2, 0.5, 0.75), "unit", False),
        ((0, 0, 1, 1), "pixels", False),
        ((10, 20, 300, 400), "pixels", False),
        ((10, 20, 300, 400), "unit", True),
        ((10, 20, 900, 900), "pixels", True),
        ((10, 20, 600, 400), "resized", True),
        ((10, 20, 1500, 1400), "per-mille", False),
        ((10, 20, 5000, 5000), "pixels", False),
        ((-90, 20, 900, 900), "pixels", False),
        # Fractions of 0 to 1, edges included.
        ((0, 0.2, 0.5, 1), "pixels", True),
        ((0.5, 0.5, 1.5, 1.8), "pixels", False),
        # Beyond the image by x or y alone, and by more than a tenth.
        ((0, 0, 704, 480), "pixels", False),
        ((0, 0, 705, 480), "pixels", True),
        ((0, 0, 640, 528), "pixels", False),
        ((0, 0, 640, 529), "pixels", True),
        ((0, 0, 1.2, 0.9), "unit", True),
        ((0, 0, 0.9, 1.2), "unit", True),
        # In another frame up to a hundredth beyond the edge.
        ((0.5, 0, 1005, 1010), "pixels", True),
        ((0, 0, 1011, 900), "pixels", False),
        ((0, 0, 900, 1011), "pixels", False),
    ],
)
def test_a_frame_that_cannot_be(box: Box, frame: str, suspect: bool) -> None:
    target = BoxTarget(((),), SIZE, SEEN)
    assert is_suspect([box], frame, target) == suspect
    found = verdict([box], {"boxes": [[0, 0, 9, 9]], "size": SIZE, "seen": SEEN}, frame)
    assert ("frame_suspect" in found.notes) == suspect


def test_a_tenth_beyond_the_image_is_not_yet_suspect() -> None:
    target = BoxTarget(((),), size=(4000.0, 3000.0))
    for beyond, suspect in ((1100, False), (1101, True)):
        assert is_suspect([(0, 0, beyond, 900)], "per-mille", target) == suspect
        assert is_suspect([(0, 0, 900, beyond)], "per-mille", target) == suspect
    assert not is_suspect([(0, 0, 900, 900)], "resized", target)
    assert not is_suspect([], "pixels", target)


@pytest.mark.parametrize(("frame", "extent"), known_extents(BoxTarget(((),), SIZE, SEEN)).items())
def test_boxes_beyond_the_edge_by_rounding_only(frame: str, extent: Size) -> None:
    found = frame_of(frame, BoxTarget(((),), SIZE, SEEN))
    assert found.extent == extent
    width, height = extent
    limits = (-0.01 * width, -0.01 * height, 1.01 * width, 1.01 * height)
    inside = (0.0, 0.0, width, height)
    assert found.holds(inside)
    for i, (edge, limit) in enumerate(zip(inside, limits, strict=True)):
        for share, held in ((0.999, True), (1.001, False)):
            moved = list(inside)
            moved[i] = edge + (limit - edge) * share
            x1, y1, x2, y2 = moved
            assert found.holds((x1, y1, x2, y2)) == held


def test_a_hundredth_is_still_held() -> None:
    frame = frame_of("pixels", BoxTarget(((),), (600.0, 400.0)))
    assert frame.holds((-6, -4, 606, 404))
    unknown = frame_of("pixels", BoxTarget(((),)))
    assert unknown.holds((-1, -1, 9e9, 9e9))
    assert not unknown.holds((-1.5, 0, 9, 9))
    assert not unknown.holds((0, -1.5, 9, 9))


def test_extents_are_known_where_sizes_are() -> None:
    always = {"unit": (1.0, 1.0), "per-mille": (1000.0, 1000.0)}
    assert known_extents(BoxTarget(((),))) == always
    assert known_extents(BoxTarget(((),), SIZE)) == {"pixels": SIZE} | always
    assert known_extents(BoxTarget(((),), SIZE, SEEN)) == {"pixels": SIZE, "resized": SEEN} | always


@given(place, st.sampled_from(sorted(FRAMES)))
def test_a_box_is_written_in_the_steps_of_its_frame(box: Box, frame: str) -> None:
    found = frame_of(frame, BoxTarget(((),), SIZE, SEEN))
    steps = np.divide(found.written(box), found.step)
    assert steps == pytest.approx(steps.round(), abs=1e-9)
    off = np.abs(np.subtract(found.pixels(found.written(box)), box))
    assert (off <= (*found.tolerance, *found.tolerance)).all()


def test_what_is_written_has_three_decimals_at_most() -> None:
    found = frame_of("unit", BoxTarget(((),), (3.0, 7.0)))
    assert found.written((1, 2, 2, 3)) == (0.333, 0.286, 0.667, 0.429)


def batch(frame: str, *, noise: float = 0.0, y_first: bool = False) -> tuple[list[str], list[Any]]:
    generator = np.random.default_rng(1)
    completions, targets = [], []
    for _ in range(24):
        corner = generator.uniform(0, 0.7, 2) * SIZE
        low = corner.round()
        high = (corner + generator.uniform(0.1, 0.3, 2) * SIZE).round()
        box = [*low.tolist(), *high.tolist()]
        moved = [max(v + generator.normal(0, noise), 0) for v in box]
        values = written([*map(min, moved, (600, 440, 640, 480))], frame)
        if y_first:
            values = [values[i] for i in (1, 0, 3, 2)]
        completions.append(f"<think>x</think><answer>{[values]}</answer>")
        targets.append({"boxes": [box], "size": SIZE, "seen": SEEN})
    return completions, targets


@pytest.mark.parametrize("noise", [0.0, 15.0])
@pytest.mark.parametrize("configured", sorted(FRAMES))
@pytest.mark.parametrize("actual", sorted(FRAMES))
def test_the_report_names_the_frame(actual: str, configured: str, noise: float) -> None:
    report = compare_frames(
        *batch(actual, noise=noise), PLACE, RewardSettings(delta=0, frame=configured)
    )
    assert (report.likely, report.configured, report.count) == (actual, configured, 24)
    assert report.is_suspect == (actual != configured)
    assert report.accuracy[actual] > 0.5 > report.accuracy.get("unit (y first)", 0)
    assert (f"frame {actual!r}" in report.text()) == report.is_suspect


def test_the_report_sees_boxes_with_y_first() -> None:
    report = compare_frames(*batch("per-mille", y_first=True), PLACE)
    assert report.likely == "per-mille (y first)"


def test_no_frame_is_named_without_evidence() -> None:
    completions, targets = batch("pixels")
    mixed = [*completions[1:], completions[0]]  # right boxes of other images
    assert compare_frames(mixed, targets, PLACE).likely == "pixels"
    nothing = [{"boxes": [], "size": SIZE}] * len(completions)
    assert compare_frames(completions, nothing, PLACE).count == 0
    rows = [json.dumps(target["boxes"]) for target in targets]
    report = compare_frames(completions, rows, PLACE)
    assert set(report.accuracy) == {"pixels", "pixels (y first)"}
    assert report.accuracy["pixels"] == 1.0
    with pytest.raises(ConfigError, match="is ordinal; frames are of localisation"):
        compare_frames(["2"], [2], Task.load("retinamnist"))


def test_a_parsed_target_is_taken_as_it_is() -> None:
    target = BoxTarget(((TrueBox((0.0, 0.0, 9.0, 9.0)),),))
    assert PLACE.parse_target(target) is target
