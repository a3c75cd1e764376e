"""medreward sweep: what it says of a setting is what scoring under that setting says."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from medreward import ConfigError, Task, shaped_reward
from medreward.commands.cli import main
from medreward.runs.sweep import MAX_SETTINGS, Sweep, grid, group_advantages, kendall
from medreward.scoring.groups import gather_groups, zero_variance_share
from medreward.scoring.scorer import scorer
from medreward.scoring.trace import TraceWriter
from tests.test_why import KNOWN, THOUGHTS, answer, guess, run

TASK = Task.load("retinamnist")


def mixed(rng: Any, _: int, target: int) -> str:
    """Right and wrong answers, some recited, some not well formed."""
    thought = rng.choice([*THOUGHTS, KNOWN, KNOWN[:30]])
    said = answer(guess(rng, 0.5, target), thought)
    return said if rng.random() < 0.8 else said.removeprefix("<think>")


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sweep") / "trace.jsonl"
    TraceWriter(path).write(run(mixed, scorer(TASK)))
    return path


@pytest.fixture(scope="module")
def groups() -> list[Any]:
    return list(gather_groups(run(mixed, scorer(TASK))))


GRID = [
    "weights.recitation=0,0.05,0.2",
    "decay=geometric,linear,[1,0.5,0.1]",
    "delta=-1,0,1",
    "gates=[],[accuracy_needs_format]",
]


def test_figures_are_those_of_scoring_under_each_setting(groups: list[Any]) -> None:
    sweep = Sweep(TASK, grid(GRID))
    for group in groups:
        sweep.add(group)
    reference, *outcomes = sweep.results()
    assert (reference.tau, reference.shift) == (1.0, 0.0)
    assert reference.correlation == pytest.approx(1.0)
    assert len(outcomes) == 3 * 3 * 3 * 2

    def rewards(changes: dict[str, Any]) -> Any:
        plain = {k: v for k, v in changes.items() if k != "weights.recitation"}
        weights = {"recitation": changes.get("weights.recitation", 0.05)}
        return np.array(
            [
                shaped_reward(
                    [row.completion for row in group],
                    group[0].target,
                    task=TASK,
                    knowledge=KNOWN,
                    weights=weights,
                    **plain,
                )
                for group in groups
            ]
        )

    base = rewards({})
    for outcome in outcomes:
        new = rewards(dict(outcome.changes))
        alive = [min(np.ptp(a), np.ptp(b)) > 1e-6 for a, b in zip(base, new, strict=True)]
        pairs = [
            kendalltau(a.round(9), b.round(9)).statistic
            for a, b, ok in zip(base, new, alive, strict=True)
            if ok
        ]
        assert outcome.tau == pytest.approx(np.mean(pairs))
        assert outcome.zero_variance == pytest.approx(zero_variance_share(new.tolist()))
        a, b = group_advantages(base), group_advantages(new)
        assert outcome.correlation == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1])
        assert outcome.shift == pytest.approx(np.abs(a - b).mean())


def test_advantages_are_trls() -> None:
    """As GRPOTrainer computes them for scale_rewards="group"."""
    import torch

    rewards = [[1.2, 0.45, 0.2, 1.2], [0.0, 0.2, 0.0, 0.0], [1.2, 1.2, 1.2, 1.2]]
    grouped = torch.tensor(rewards, dtype=torch.float64)
    mean, std = grouped.mean(dim=1, keepdim=True), grouped.std(dim=1, keepdim=True)
    expected = (grouped - mean) / (std + 1e-4)
    assert group_advantages(np.array(rewards)) == pytest.approx(expected.numpy(), abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=8))
def test_kendall_is_scipys(pairs: list[tuple[int, int]]) -> None:
    one, other = np.array(pairs, dtype=float).T
    expected = kendalltau(one, other).statistic
    found = kendall(np.array([one, other]))[1]
    assert found == pytest.approx(0.0 if math.isnan(expected) else expected)


def test_a_group_whose_best_changes_is_counted() -> None:
    from medreward.scoring.trace import TraceRow

    texts = [answer(2), answer(2, KNOWN), answer(0)]
    group = [TraceRow(t, step=1, id="a", target="2", knowledge=KNOWN) for t in texts]
    sweep = Sweep(TASK, grid(["delta=-1,0,1"]))
    sweep.add(group)
    # Reciting is penalised, free, and paid for: another completion is best in the last case only.
    assert [outcome.best_changes for outcome in sweep.results()] == [0.0, 0.0, 0.0, 1.0]


def test_each_text_is_scored_once_a_shape(
    groups: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from medreward.scoring.scorer import Scorer

    calls: list[str] = []
    original = Scorer.score

    def score(self: Scorer, text: str, *rest: Any) -> Any:
        calls.append(text)
        return original(self, text, *rest)

    monkeypatch.setattr(Scorer, "score", score)
    sweep = Sweep(TASK, grid(["weights.recitation=0,0.01,0.02,0.03", "delta=-1,0,1"]))
    sweep.add(groups[0])
    once = {row.completion for row in groups[0]}
    assert sorted(calls) == sorted([*once] * 3)  # the parts differ by the sign of delta


def test_refused_settings_are_listed(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--grid", "weights.recitation=0.05,0.9", "--grid", "decay=linear,linar"]
    assert main(["sweep", str(trace), *words]) == 0
    printed = capsys.readouterr().out
    assert "3 settings are refused:" in printed
    assert "recitation=0.9 decay=linear: task 'retinamnist': weights.recitation 0.9 lets" in printed
    assert "did you mean 'linear'?" in printed
    assert "320 completions in 80 groups, task retinamnist" in printed


def test_the_reference_is_named_and_what_the_trace_was_scored_by(
    trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sweep", str(trace), "--grid", "delta=0"]
    assert main(words) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[1].startswith("reference: medreward:")
    assert "|decay:geometric|" in printed[1]
    assert "note: " not in printed[2]
    assert main([*words, "--set", "decay=linear"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert "|decay:linear|" in printed[1]
    assert printed[2].startswith(
        "note: 320 completions were scored under other settings: decay:geometric; --set"
    )


def test_json_and_csv_hold_the_table(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "table.csv"
    words = ["--grid", "weights.recitation=0,9", "--set", "decay=exact", "--csv", str(out)]
    assert main(["sweep", str(trace), *words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    with out.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["weights.recitation"] for row in table] == ["", "0", "9"]
    assert found[0]["tau"] == 1.0
    assert found[2]["tau"] is None
    assert table[2]["tau"] == ""
    assert "outscore" in found[2]["refused"] == table[2]["refused"]
    assert float(table[1]["tau"]) == found[1]["tau"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--grid", "decay"], "grid: 'decay' is not NAME=VALUE"),
        (["--grid", "decay="], "grid: 'decay=' is not NAME=VALUE"),
        (["--grid", "decay=[1"], "is not a list of values"),
        (["--grid", "delta=1", "--set", "delta=0,1"], "--set: delta=0,1 has several values"),
        (["--grid", "delta=1", "--set", "delat=0"], "did you mean 'delta'"),
        (["--grid", "delta=1", "--set", "a.b=0"], "'a.b' is no setting"),
        (["--grid", "delta=1", "--task", "nowhere.yaml"], "nowhere.yaml"),
        (["--grid", "delta=1", "--split", "val", "--group-size", "1"], "--group-size: 1 is not"),
    ],
)
def test_wrong_arguments_are_named(
    words: list[str], message: str, trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", str(trace), *words]) == 2
    assert message in capsys.readouterr().err


def test_a_grid_has_an_end() -> None:
    values = ",".join(str(i / 1000) for i in range(100))
    with pytest.raises(ConfigError, match=f"10000 settings; at most {MAX_SETTINGS}"):
        grid([f"weights.recitation={values}", f"weights.format={values}"])


def test_a_trace_without_groups_is_refused() -> None:
    with pytest.raises(ConfigError, match="has no groups"):
        Sweep(TASK, grid(["delta=0"])).results()


def test_traces_of_two_runs_are_told_from_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ranks of one run share the groups of a step; runs must not."""
    paths = []
    for name, answers in (("a", "1222"), ("b", "2112")):
        rows = [
            {"step": step, "id": f"{name if step > 1 else 'same'}{step}", "target": 2,
             "completion": answer(said, "x"), "task": TASK.name}
            for step in (1, 2, 3) for said in answers
        ]  # fmt: skip
        paths.append(tmp_path / f"{name}.jsonl")
        paths[-1].write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["sweep", *map(str, paths), "--grid", "delta=0"]
    assert main(words) == 0
    said = capsys.readouterr()
    assert "24 completions in 5 groups" in said.out
    assert "1 of 5 groups have twice as many completions as most, or more" in said.err
    assert "--group-size 4 keeps them apart" in said.err
    assert main([*words, "--group-size", "4"]) == 0
    said = capsys.readouterr()
    assert "24 completions in 6 groups" in said.out
    assert "--group-size" not in said.err
