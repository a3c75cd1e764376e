"""A threshold of IoU that moves with a run: alike for any number of processes, also resumed."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medreward import ConfigError, Task, explain
from medreward.runs import read_trace
from medreward.scoring import Scorer
from medreward.scoring.schedule import (
    ThresholdRules,
    ThresholdState,
    advance,
    begin,
    overlap,
    overlap_scorer,
    replay,
)
from medreward_trl import reward_funcs, shaped

ROOT = Path(__file__).parent.parent
TASK = "mni152_brain_box"
TRUE = [[0, 0, 100, 100]]
EASY: dict[str, Any] = {"window": 2, "margin": 0.05}


def run(rules: ThresholdRules, steps: list[list[float]]) -> list[float]:
    state, found = begin(rules), []
    for overlaps in steps:
        state = advance(state, overlaps, rules)
        found.append(state.threshold)
    return found


def test_it_rises_once_a_whole_window_is_mastered() -> None:
    rules = ThresholdRules(window=4)
    assert run(rules, [[0.9]] * 9) == [0.3] * 3 + [0.45] * 2 + [0.6] * 2 + [0.7] * 2


def test_the_newer_half_of_the_window_stays() -> None:
    rules = ThresholdRules(window=4)
    state = begin(rules)
    for overlaps in ([0.5], [0.6], [0.7], [0.8]):
        state = advance(state, overlaps, rules)
    assert state == ThresholdState(0.45, ((1.0, 0.7), (1.0, 0.8)))


def test_it_ends_at_its_target() -> None:
    rules = ThresholdRules(window=2)
    found = run(rules, [[1.0]] * 20)
    assert found[-1] == max(found) == 0.8
    assert found == sorted(found)


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([[0.9, 0.9, 0.9, 0.2]] * 9, "0.75 of the completions, and 0.8 are needed"),
        ([[0.39]] * 9, "a margin of 0.09"),
        ([*[[0.9]] * 3, [0.9] + [0.2] * 4] * 5, "a deviation of 0.346"),
    ],
)
def test_it_stays_where_one_of_the_three_conditions_fails(
    steps: list[list[float]], why: str
) -> None:
    assert set(run(ThresholdRules(window=4), steps)) == {0.3}, why


def test_a_step_with_nothing_to_find_changes_nothing() -> None:
    state = ThresholdState(0.45, ((1.0, 0.7),))
    assert advance(state, [], ThresholdRules()) == state


@given(st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=9), max_size=12), st.randoms())
def test_the_order_of_completions_and_so_of_processes_changes_nothing(
    steps: list[list[float]], chance: Any
) -> None:
    rules = ThresholdRules(window=3, margin=0.0, gates=((1.0, 0.2, 0.9),))
    state = shuffled = begin(rules)
    for overlaps in steps:
        state = advance(state, overlaps, rules)
        shuffled = advance(shuffled, chance.sample(overlaps, len(overlaps)), rules)
        assert shuffled == state


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"start": 0.0}, "schedule.start"),
        ({"start": 0.9, "target": 0.8}, "schedule.target"),
        ({"window": 1}, "schedule.window"),
        ({"raises": ((0.5, 0.1),)}, "schedule.raises: the borders"),
        ({"gates": ((1.0, 0.5, 0.2), (0.5, 0.5, 0.2))}, "schedule.gates: the borders"),
    ],
)
def test_rules_that_cannot_be_followed_are_refused(values: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named.replace(".", r"\.")):
        ThresholdRules(**values)


# What is paid


def box_of(share: float) -> str:
    """An answer whose IoU with the true box is `share`."""
    return f"<think>x</think><answer>[[0, 0, 100, {round(100 * share)}]]</answer>"


@pytest.mark.parametrize(
    ("quality", "threshold", "paid"),
    [
        ("threshold", 0.5, {0.49: 0.0, 0.5: 0.9999, 0.9: 0.9999, 1.0: 1.0}),
        ("threshold", 0.8, {0.5: 0.0, 0.79: 0.0, 0.8: 0.9999}),
        ("above", 0.5, {0.4: 0.0, 0.5: 0.0, 0.75: 0.5, 1.0: 1.0}),
    ],
)
def test_a_threshold_pays_from_its_iou_on(
    quality: str, threshold: float, paid: dict[float, float]
) -> None:
    for share, value in paid.items():
        score = explain(
            box_of(share), TRUE, task=TASK, box_quality=quality, box_threshold=threshold
        )
        assert score.parts["accuracy"] == pytest.approx(value), share
        assert score.correct == (share == 1.0)


def test_elsewhere_a_schedule_is_refused_with_what_to_take() -> None:
    with pytest.raises(ConfigError, match=r"only medreward_trl.*take 'threshold' or 'above'"):
        explain(box_of(1), TRUE, task=TASK, box_quality="schedule")


def test_the_iou_of_an_answer_leaves_images_with_nothing_to_find_out() -> None:
    bound = overlap_scorer(Scorer(Task.load(TASK)))
    assert overlap(bound, box_of(0.5), TRUE) == pytest.approx(0.5)
    assert overlap(bound, box_of(0.5), json.dumps([])) is None


# In TRL


def call(funcs: list[Any], finished: int, shares: list[float]) -> list[float]:
    """One batch, as TRL hands it to each function."""
    columns = {
        "target": [json.dumps(TRUE)] * len(shares),
        "id": ["a"] * len(shares),
        "trainer_state": SimpleNamespace(global_step=finished),
    }
    first, *others = (func(completions=[*map(box_of, shares)], **columns) for func in funcs)
    assert len(others) == 2
    return list(first)


def learning(steps: int) -> list[list[float]]:
    """A policy whose boxes become better, each step some of them less good."""
    chance = random.Random(0)
    return [
        [min(1.0, 0.4 + 0.02 * step + chance.uniform(0, 0.2)) for _ in range(8)]
        for step in range(steps)
    ]


def thresholds(trace: Path) -> list[float]:
    """The threshold that stands in the signatures of each step's lines."""
    found: dict[int, set[str]] = {}
    for row in read_trace([trace]):
        assert row.signature is not None
        assert "box_quality:threshold" in row.signature
        own = [i for i in row.signature.split("|") if i.startswith("box_threshold:")]
        found.setdefault(row.step or 0, set()).add(own[0].partition(":")[2])
    assert all(len(values) == 1 for values in found.values())
    return [float(*found[step]) for step in sorted(found)]


def make(trace: Path, **more: Any) -> list[Any]:
    settings = {"box_quality": "schedule", "box_schedule": EASY, "weights": {"recitation": 0}}
    return reward_funcs(TASK, trace=trace, **{**settings, **more}).funcs


def test_a_run_moves_the_threshold_and_each_score_says_where_it_stood(tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    funcs = make(trace)
    paid = [call(funcs, step, shares) for step, shares in enumerate(learning(20))]
    found = thresholds(trace)
    assert found[0] == 0.3
    assert found[-1] >= 0.7
    assert found == sorted(found)
    for own, shares, threshold in zip(paid, learning(20), found, strict=True):
        exact = [round(100 * share) / 100 for share in shares]
        assert [value > 0 for value in own] == [one >= threshold for one in exact]


def test_a_run_that_is_resumed_goes_on_as_if_it_had_not_ended(tmp_path: Path) -> None:
    whole, halved = tmp_path / "whole.jsonl", tmp_path / "halved.jsonl"
    funcs = make(whole)
    for step, shares in enumerate(learning(20)):
        call(funcs, step, shares)
    funcs = make(halved)
    for step, shares in enumerate(learning(20)[:13]):
        call(funcs, step, shares)
    funcs = make(halved)  # a new process, from the checkpoint of step 9
    for step, shares in [*enumerate(learning(20))][9:]:
        call(funcs, step, shares)
    assert thresholds(halved) == thresholds(whole)


def test_the_trace_tells_the_thresholds_of_these_rules_and_of_others(tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    funcs = make(trace)
    for step, shares in enumerate(learning(20)):
        call(funcs, step, shares)
    bound = overlap_scorer(Scorer(Task.load(TASK)))
    states = replay(read_trace([trace]), bound, ThresholdRules(**EASY))
    assert [0.3, *(states[step].threshold for step in range(1, 20))] == thresholds(trace)
    slower = replay(read_trace([trace]), bound, ThresholdRules(window=10, margin=0.05))
    assert slower[20].threshold < states[20].threshold


def test_a_second_function_of_the_batch_moves_nothing(tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    funcs = make(trace)
    for _ in range(3):  # as a trainer that generates several times for one update
        call(funcs, 0, [1.0] * 8)
    assert thresholds(trace) == [0.3]
    call(funcs, 1, [1.0] * 8)
    call(funcs, 2, [1.0] * 8)
    assert thresholds(trace) == [0.3, 0.3, 0.45]  # two steps make the window, not four batches


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"trace": None}, "needs a trace with every step"),
        ({"trace": {"path": "t.jsonl", "every": 2}}, "needs a trace with every step"),
        ({"trace": "t-{rank}.jsonl"}, "one file for all ranks"),
        ({"task": "busi"}, "is for boxes, and task 'busi' is of kind classification"),
        ({"task": ["busi", "pneumoniamnist"]}, "none of the tasks has any"),
        ({"box_quality": "iou"}, "box_schedule: goes with"),
        ({"box_schedule": {"windows": 3}}, "windows"),
    ],
)
def test_a_schedule_that_cannot_be_kept_is_refused(
    settings: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given: dict[str, Any] = {"task": TASK, "trace": "trace.jsonl", "box_quality": "schedule"}
    given |= {"box_schedule": EASY, "weights": {"recitation": 0}, **settings}
    with pytest.raises(ConfigError, match=said):
        shaped(given.pop("task"), **given)


def test_a_trainer_that_does_not_say_its_step_is_refused(tmp_path: Path) -> None:
    funcs = make(tmp_path / "trace.jsonl")
    with pytest.raises(ConfigError, match="does not pass its state"):
        funcs[0](completions=[box_of(1)], target=[json.dumps(TRUE)])


def test_beside_boxes_other_tasks_stay_as_they_are(tmp_path: Path) -> None:
    funcs = reward_funcs(
        [TASK, "yes_no"],
        trace=tmp_path / "trace.jsonl",
        box_quality="schedule",
        box_schedule=EASY,
        weights={"recitation": 0},
    ).funcs
    for step in range(5):
        found = funcs[0](
            completions=[box_of(0.6), "<think>x</think><answer>yes</answer>"],
            target=[json.dumps(TRUE), "yes"],
            task=[TASK, "yes_no"],
            trainer_state=SimpleNamespace(global_step=step),
        )
        assert found[1] == 1.0
    rows = [*read_trace([tmp_path / "trace.jsonl"])]
    assert ["threshold" in str(row.signature) for row in rows] == [True, False] * 5
    moved = [str(row.signature).partition("box_threshold:")[2][:4] for row in rows[::2]]
    assert moved == ["0.3|", "0.3|", "0.45", "0.6|", "0.6|"]


@pytest.mark.slow
def test_two_processes_have_the_thresholds_of_one(tmp_path: Path) -> None:
    one = tmp_path / "one.jsonl"
    funcs = make(one)
    for step, shares in enumerate(learning(20)):
        call(funcs, step, shares)
    asked = {
        "task": TASK,
        "rules": EASY,
        "target": json.dumps(TRUE),
        "steps": [[*map(box_of, shares)] for shares in learning(20)],
    }
    (tmp_path / "steps.json").write_text(json.dumps(asked))
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
    command += ["--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no"]
    command += ["--dynamo_backend", "no", "--main_process_port", "0", "--module"]
    command += ["tests.trl_schedule_worker", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    for rank in range(2):
        found = json.loads((tmp_path / f"rank{rank}.json").read_text())
        assert found["ranks"] == 2
        assert found["thresholds"] == thresholds(one)
    assert thresholds(tmp_path / "trace.jsonl") == thresholds(one)
