"""Rewards of several tasks on one scale: an easy task does not drown another."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage

from medreward import ConfigError, Task, explain
from medreward.commands.cli import main
from medreward.runs.sweep import group_advantages
from medreward.scoring import Scorer
from medreward.scoring.scorer import scorer
from medreward.task.task_scale import TaskScale, check_scale, parse_scale
from medreward_trl import reward_funcs, shaped
from medreward_verl import compute_score

EASY, HARD = "icdr", "mni152_brain_box"
TRUE = "[[0, 0, 100, 100]]"
PLAIN: dict[str, Any] = {"delta": 0}
GROUP = 8
shares = st.floats(0, 1)


@given(st.lists(shares, min_size=3, max_size=3).map(sorted), shares, shares)
def test_percentiles_keep_the_order_and_the_bounds(
    quartiles: list[float], one: float, other: float
) -> None:
    low, middle, high = quartiles
    if high - low < 1e-9:
        return
    scale = TaskScale((low, middle, high))
    a, b = scale.bend(one), scale.bend(other)
    assert scale.bend(0.0) == 0.0 <= a <= 1.0
    if one - other > 1e-6:
        assert np.float32(a) > np.float32(b)


def test_it_is_medgrpos_logistic_less_what_nothing_earns() -> None:
    low, middle, high = 0.2, 0.5, 0.6

    def logistic(x: float) -> float:
        return float(1 / (1 + np.exp(-3 * (x - middle) / (high - low))))

    scale = TaskScale((low, middle, high))
    for x in np.linspace(0, 1, 21):
        expected = 0.95 * (logistic(x) - logistic(0)) + 0.05 * x
        assert scale.bend(float(x)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("percentil:0/1/2", "is not none, percentile:P25/P50/P75 or standardise:FACTOR"),
        ("percentile:0.1/0.2", "is not none, percentile:P25/P50/P75"),
        ("percentile:0.5/0.2/0.7", "the quartiles have to rise"),
        ("percentile:1/1/1", "take standardise"),
        ("percentile:0/0.5/1.5", "quartile: 1.5 is not a finite number from 0 to 1"),
        ("standardise:2", "factor: 2.0 is not a finite number from 0.001 to 1"),
        ("standardise:x", "factor: 'x' is not a finite number"),
        (0.5, "task_scale: 0.5 is not none"),
        ({"icdr": "none"}, "is for several tasks"),
    ],
)
def test_what_is_no_scale_is_refused(value: object, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        check_scale(value)


def test_it_is_off_and_signed() -> None:
    plain = Scorer(Task.load(EASY))
    assert "task_scale" not in plain.signature()
    assert parse_scale(plain.settings.task_scale) is None
    one = scorer(EASY, {"task_scale": "percentile:0.0/0.25/1.0"})
    assert "|task_scale:percentile:0/0.25/1|" in one.signature()


def test_the_total_is_the_sum_of_the_parts_and_a_factor_is_of_all_of_them() -> None:
    text = "<think>x</think><answer>1</answer>"
    settings: dict[str, Any] = {"weights": {"format": 0.2, "recitation": 0}}
    plain = explain(text, 2, task=EASY, **settings)
    half = explain(text, 2, task=EASY, task_scale="standardise:0.5", **settings)
    assert half.parts == {name: 0.5 * value for name, value in plain.parts.items()}
    assert half.total == pytest.approx(0.5 * plain.total)
    bent = explain(text, 2, task=EASY, task_scale="percentile:0.1/0.25/0.5", **settings)
    assert bent.parts["format"] == 1.0
    assert bent.total == pytest.approx(bent.parts["accuracy"] + 0.2)


def test_a_right_answer_stays_ahead_of_recitation_or_the_settings_are_refused() -> None:
    """Far beyond the quartiles, 1 and the best wrong grade are next to each other."""
    with pytest.raises(ConfigError, match=r"outscore a right one.* task_scale 'percentile:0/0.01/"):
        scorer(EASY, {"task_scale": "percentile:0/0.01/0.02", "delta": -1})
    scorer(EASY, {"task_scale": "percentile:0/0.01/0.02", "delta": 0})


# Two tasks in one run


def grade(value: int) -> str:
    return f"<think>x</think><answer>{value}</answer>"


def box(share: float) -> str:
    return f"<think>x</think><answer>[[0, 0, 100, {round(100 * share)}]]</answer>"


def rows() -> list[dict[str, Any]]:
    """Grades that are mostly right, boxes that are all a little off: 20 groups of each."""
    chance = np.random.default_rng(0)
    made: list[dict[str, Any]] = []
    for number in range(20):
        for i, right in enumerate(chance.random(GROUP) < 0.7):
            text = grade(2 if right else int(chance.choice([0, 1, 3])))
            made.append(_row(EASY, f"easy{number}", text, "2", i))
        for i, share in enumerate(chance.uniform(0.05, 0.25, GROUP)):
            made.append(_row(HARD, f"hard{number}", box(float(share)), TRUE, i))
    return made


def _row(task: str, name: str, text: str, target: str, i: int) -> dict[str, Any]:
    return {"step": 1, "id": name, "task": task, "completion": text, "target": target, "i": i}


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scale") / "trace.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
    return path


def measured(trace: Path, method: str) -> Path:
    out = trace.with_name(f"{method}.json")
    words = ["sweep", str(trace), "--scale", method, "--set", "delta=0", "--out", str(out)]
    assert main(words) == 0
    return out


def in_trl(scale: Any) -> Any:
    """Return the rewards that TRL adds up from the functions and their weights."""
    funcs, weights = reward_funcs([EASY, HARD], task_scale=scale, **PLAIN)
    batch = rows()
    columns: dict[str, Any] = {
        "completions": [row["completion"] for row in batch],
        "task": [row["task"] for row in batch],
        "target": [row["target"] for row in batch],
    }
    values = np.array([func(**columns) for func in funcs], dtype=float)
    return np.asarray(weights @ values)


def in_verl(scale: Any) -> Any:
    return np.array(
        [
            compute_score(
                row["task"], row["completion"], row["target"], {}, task_scale=scale, **PLAIN
            )["score"]
            for row in rows()
        ]
    )


def by_group(rewards: Any) -> Any:
    """TRL's scale_rewards="group"; `medreward sweep` has its formula."""
    return np.asarray(group_advantages(rewards.reshape(-1, GROUP))).ravel()


def by_batch(rewards: Any) -> Any:
    """TRL's scale_rewards="batch"."""
    return unscaled(rewards) / (rewards.std(ddof=1) + 1e-4)


def unscaled(rewards: Any) -> Any:
    """verl's own, with norm_adv_by_std_in_grpo=False; TRL's scale_rewards="none" is the same."""
    index = np.array([row["id"] for row in rows()])
    tokens = torch.tensor(rewards, dtype=torch.float64)[:, None]
    found, _ = compute_grpo_outcome_advantage(
        tokens, torch.ones_like(tokens), index, norm_adv_by_std_in_grpo=False
    )
    return found[:, 0].numpy()


def drowning(advantages: Any) -> float:
    """How many times as large the easy task's advantages are as the other's."""
    tasks = np.array([row["task"] for row in rows()])
    sizes = [np.sqrt(np.mean(advantages[tasks == task] ** 2)) for task in (EASY, HARD)]
    return float(sizes[0] / sizes[1])


@pytest.mark.parametrize("rewards_of", [in_trl, in_verl])
@pytest.mark.parametrize("advantages_of", [unscaled, by_batch])
def test_an_easy_task_does_not_drown_another(
    trace: Path,
    rewards_of: Callable[[Any], Any],
    advantages_of: Callable[[Any], Any],
) -> None:
    assert drowning(advantages_of(rewards_of("none"))) > 5
    even = rewards_of(str(measured(trace, "standardise")))
    assert drowning(advantages_of(even)) == pytest.approx(1, abs=0.01)
    bent = rewards_of(str(measured(trace, "percentile")))
    assert 0.5 < drowning(advantages_of(bent)) < 2


def test_groups_that_are_scaled_by_their_own_deviation_have_no_need_of_it(trace: Path) -> None:
    plain = in_trl("none")
    assert drowning(by_group(plain)) == pytest.approx(1, abs=0.1)
    even = by_group(in_trl(str(measured(trace, "standardise"))))
    assert np.abs(even - by_group(plain)).max() < 0.03


@pytest.mark.parametrize("method", ["percentile", "standardise"])
def test_both_trainers_have_the_same_rewards(trace: Path, method: str) -> None:
    path = measured(trace, method)
    scales = json.loads(path.read_text(encoding="utf-8"))["task_scale"]
    assert in_trl(path).tolist() == pytest.approx(in_verl(scales).tolist(), abs=1e-12)


def test_what_is_measured(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(measured(trace, "percentile").read_text(encoding="utf-8"))
    table = capsys.readouterr().out
    for task in (EASY, HARD):
        own = [row for row in rows() if row["task"] == task]
        scores = [explain(r["completion"], _target(r), task=task, **PLAIN) for r in own]
        one = found["measured"][task]
        quartiles = np.percentile([score.parts["accuracy"] for score in scores], [25, 50, 75])
        assert one["quartiles"] == pytest.approx(quartiles, abs=1e-6)
        assert found["task_scale"][task] in table
        totals: Any = np.reshape([score.total for score in scores], (-1, GROUP))
        assert one["deviation"] == pytest.approx(np.sqrt(totals.var(axis=1, ddof=1).mean()))
        assert (one["completions"], one["groups"]) == (160, 20)


def _target(row: dict[str, Any]) -> Any:
    return json.loads(row["target"])


def complaint(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["sweep", *words]) == 2
    return capsys.readouterr().err


def test_what_cannot_be_measured_is_said(
    tmp_path: Path, trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "same.jsonl"
    same = [_row(EASY, "a", grade(2), "2", i) for i in range(4)]
    path.write_text("".join(json.dumps(row) + "\n" for row in same), encoding="utf-8")
    text = complaint([str(path), "--scale", "percentile"], capsys)
    assert "at least half of the 4 completions earn an accuracy of 1" in text
    text = complaint([str(path), "--scale", "standardise"], capsys)
    assert "in none of the 1 groups do rewards differ" in text
    assert "--out goes with --scale" in complaint(
        [str(trace), "--grid", "delta=0", "--out", "x.json"], capsys
    )
    assert "or --scale what to measure" in complaint([str(trace)], capsys)


def test_a_task_that_a_scale_does_not_name_is_refused(trace: Path) -> None:
    path = measured(trace, "standardise")
    with pytest.raises(ConfigError, match=r"task_scale: .*standardise\.json: task: 'busi' is not"):
        shaped("busi", task_scale=path)
    with pytest.raises(ConfigError, match="task: 'busi' is not one of icdr"):
        compute_score("busi", "x", "benign", {}, task_scale={"icdr": "none"})
