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
from medreward.audit.frames import frame_report
from medreward.regions import Box, BoxTarget, TrueBox
from medreward.rewards.boxes import box_reward
from medreward.rewards.frames import frame_of, is_suspect, qwen_resized
from medreward.settings import FRAMES

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
    return box_reward(json.dumps(answer), PLACE.target_boxes(target), PLACE, settings)


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


@pytest.mark.parametrize("size", [(0, 5), (5, -1), (1000, 4)])
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
    ],
)
def test_a_frame_that_cannot_be(box: Box, frame: str, suspect: bool) -> None:
    target = BoxTarget(((),), SIZE, SEEN)
    assert is_suspect([box], frame, target) == suspect
    found = verdict([box], {"boxes": [[0, 0, 9, 9]], "size": SIZE, "seen": SEEN}, frame)
    assert ("frame_suspect" in found.notes) == suspect


def test_boxes_beyond_the_edge_by_rounding_only() -> None:
    frame = frame_of("pixels", BoxTarget(((),), SIZE))
    assert frame.holds((-6, 0, 646, 484))
    assert not frame.holds((-7, 0, 640, 480))
    assert not frame.holds((0, 0, 640, 485))
    assert not frame_of("pixels", BoxTarget(((),))).holds((-2, 0, 9, 9))


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
    report = frame_report(
        *batch(actual, noise=noise), PLACE, RewardSettings(delta=0, frame=configured)
    )
    assert (report.likely, report.configured, report.count) == (actual, configured, 24)
    assert report.is_suspect == (actual != configured)
    assert report.accuracy[actual] > 0.5 > report.accuracy.get("unit (y first)", 0)
    assert (f"frame {actual!r}" in report.text()) == report.is_suspect


def test_the_report_sees_boxes_with_y_first() -> None:
    report = frame_report(*batch("per-mille", y_first=True), PLACE)
    assert report.likely == "per-mille (y first)"


def test_no_frame_is_named_without_evidence() -> None:
    completions, targets = batch("pixels")
    mixed = [*completions[1:], completions[0]]  # right boxes of other images
    assert frame_report(mixed, targets, PLACE).likely == "pixels"
    nothing = [{"boxes": [], "size": SIZE}] * len(completions)
    assert frame_report(completions, nothing, PLACE).count == 0
    rows = [json.dumps(target["boxes"]) for target in targets]
    report = frame_report(completions, rows, PLACE)
    assert set(report.accuracy) == {"pixels", "pixels (y first)"}
    assert report.accuracy["pixels"] == 1.0
    with pytest.raises(ConfigError, match="is ordinal; frames are of localisation"):
        frame_report(["2"], [2], Task.load("retinamnist"))


def test_a_parsed_target_is_taken_as_it_is() -> None:
    target = BoxTarget(((TrueBox((0.0, 0.0, 9.0, 9.0)),),))
    assert PLACE.target_boxes(target) is target
