"""Progress in a log: lines on standard error, none for short work, and the items untouched."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from medreward.files.progress import progress_line, show_progress


def test_a_log_gets_lines_and_the_items_are_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    shown = list(show_progress("abc", desc="writing train.parquet", unit="row", every=0.0))
    assert shown == ["a", "b", "c"]
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert [line.partition(" rows in")[0] for line in lines] == [
        f"writing train.parquet: {i} of 3" for i in (1, 2, 3)
    ]
    assert "left" not in lines[-1]


def test_short_work_leaves_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(show_progress(iter("abc"), desc="x", unit="row", every=math.inf)) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""


def test_items_are_taken_one_by_one() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for i in range(3):
            taken.append(i)
            yield i

    assert next(show_progress(items(), desc="x", unit="row", total=3)) == 0
    assert taken == [0]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (30.0, "x: 10 of 1,000 rows in 30 s, about 49 min 30 s left"),
        (600.0, "x: 10 of 1,000 rows in 10 min 0 s, about 16 h 30 min left"),
    ],
)
def test_the_time_that_is_left(seconds: float, said: str) -> None:
    assert progress_line("x", "row", 10, 1000, seconds) == said


def test_the_steps_of_a_training_leave_lines_with_the_reward(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from medreward_trl.demo.progress import Progress

    for every, count in ((0.0, 2), (math.inf, 0)):
        shown = Progress(3, every=every)
        shown.on_train_begin()
        shown.on_log(logs={"reward": 0.25})
        shown.on_log(logs={"train_runtime": 4.0})  # TRL's last log is of no step
        shown.on_log(logs={"reward": 0.5})
        shown.on_train_end()
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == count
        if lines:
            assert lines[1].startswith("GRPO: 2 of 3 steps in 0 s, about 0 s left, reward 0.500")
