"""A box answer's way: which modules it visits between `shaped_reward` and what its boxes earn."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import medreward
from medreward import RewardSettings, Task, explain, shaped_reward
from medreward.scoring.judged import Judged
from medreward.scoring.parts.base import Part, register_part, remove_part

ROOT = Path(medreward.__file__).parent
CELLS = [{"box": [10, 10, 60, 60], "label": "WBC"}]
PLACE = Task("place", kind="localisation", reward={"delta": 0})


def visited(answer: str, target: object, task: str | Task) -> set[str]:
    """Return the modules of the package that run for an answer to a task that was met before."""
    text = f"<think>x</think><answer>{answer}</answer>"
    files: set[Path] = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "return" and frame.f_code.co_name in ("box_reward", "point_reward"):
            sys.setprofile(before)
        if event == "call":
            files.add(Path(frame.f_code.co_filename))

    before = sys.getprofile()
    shaped_reward(text, target, task=task)
    sys.setprofile(note)
    try:
        shaped_reward(text, target, task=task)
    finally:
        sys.setprofile(before)
    return {str(file.relative_to(ROOT)) for file in files if file.is_relative_to(ROOT)}


@pytest.mark.parametrize(
    ("answer", "target", "task", "most"),
    [
        ("[[20, 30, 60, 80]]", [[20, 30, 60, 80]], "mni152_brain_box", 7),
        ("[[20, 30, 60, 80]]", [[20, 30, 60, 80]], PLACE, 7),
        ('[{"bbox_2d": [10, 10, 60, 61], "label": "WBC"}]', CELLS, "bccd", 8),
        ("[]", [], "grounding_where", 11),
        ("The brain is at [20, 30, 60, 80].", [[20, 30, 60, 80]], "mni152_brain_box", 14),
        ("[[20, 30]]", [[20, 30, 60, 80]], "grounding_point", 15),
    ],
    ids=["plain", "own task", "labelled", "nothing", "prose", "point"],
)
def test_a_box_answer_visits_few_modules(
    answer: str, target: object, task: str | Task, most: int
) -> None:
    """Before reader and matcher were one module each: 14, 13, 16, 18, 21 and 18."""
    files = visited(answer, target, task)
    assert len(files) <= most, sorted(files)


class _Bonus(Part):
    """A part that pays everybody."""

    name = "bonus"
    default_weight = 0.5

    def bounds(self, settings: RewardSettings) -> tuple[float, float]:
        return 1.0, 1.0

    def values(self, rows: Sequence[Judged], settings: RewardSettings) -> list[float]:
        return [1.0] * len(rows)


def test_a_scorer_that_is_kept_hears_of_new_parts() -> None:
    text = "<think>x</think><answer>[[20, 30, 60, 80]]</answer>"
    before = explain(text, [[20, 30, 60, 80]], task=PLACE)
    register_part(_Bonus())
    try:
        during = explain(text, [[20, 30, 60, 80]], task=PLACE)
    finally:
        remove_part("bonus")
    assert during.total == pytest.approx(before.total + 0.5)
    assert during.signature != before.signature
    assert explain(text, [[20, 30, 60, 80]], task=PLACE) == before
