"""The signature that a run reports is that of its rows, and chance is an expected value."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from medreward import Task
from medreward.commands.cli import main
from medreward.data import Example, make_rows, write_parquet
from medreward.data.check import first_rows
from medreward.kinds.right_answers import completion_with
from medreward.runs.evaluation import evaluate, score_completions
from medreward.runs.evaluation_baselines import baselines
from medreward.runs.why import analyse, summary
from medreward.runs.why_rules import findings
from medreward.scoring.scorer import Scorer
from medreward.scoring.trace import trace_row
from tests.evaluation_rows import predictions, write_completions
from tests.samples import sample_task

CHEST = Task.load("pneumoniamnist")
TRUE = ["normal", "pneumonia"] * 20


def rows_at(folder: Path, level: str, first: int = 0, task: Task = CHEST) -> Path:
    """Write rows with knowledge, each with an order of labels of its own."""
    examples = [
        Example(Image.new("L", (28, 28), i), true, f"r{i + first}", "test")
        for i, true in enumerate(TRUE)
    ]
    path = folder / f"{level}-{first}.parquet"
    write_parquet(path, make_rows(examples, task, level))
    return path


def signature_of(rows: Path) -> str:
    names = [row["extra_info"]["id"] for row in first_rows(rows, len(TRUE))]
    said = {name: completion_with("normal") for name in names}
    return evaluate(score_completions(rows, said)[CHEST.name], resamples=100)[0].signature


def test_the_signature_has_the_knowledge_of_the_rows(tmp_path: Path) -> None:
    none, context = (signature_of(rows_at(tmp_path, level)) for level in ("none", "context"))
    assert none == Scorer(CHEST).signature("")
    assert context == Scorer(CHEST).signature(CHEST.knowledge_text("context"))
    texts = {row["extra_info"]["knowledge"] for row in first_rows(rows_at(tmp_path, "full"), 40)}
    assert len(texts) == 2  # two labels, two orders
    full = signature_of(rows_at(tmp_path, "full"))
    assert re.search(r"\|knowledge:rows:[0-9a-f]{8}$", full)
    assert full.partition("|knowledge:")[0] == none.partition("|knowledge:")[0]
    assert signature_of(rows_at(tmp_path, "full", first=3)) == full  # orders aside, the same


def test_a_trace_has_the_same_signature_as_its_rows(tmp_path: Path) -> None:
    """Also of a card whose own order stands among those of the rows, which a trace leaves out."""
    rows = rows_at(tmp_path, "full")
    bound = Scorer(CHEST)
    trace = []
    for step, row in enumerate(first_rows(rows, 40)):
        text, target = completion_with("normal"), row["reward_model"]["ground_truth"]
        knowledge = row["extra_info"]["knowledge"]
        score = bound.score(text, target, knowledge)
        trace.append(trace_row(score, CHEST, text, target, knowledge, step=step, id=f"r{step}"))
    assert {row.knowledge is None for row in trace} == {True, False}
    view = analyse(trace)
    assert summary(view)["signatures"] == [signature_of(rows)]
    assert "mixed_settings" not in {found.rule for found in findings(view)}
    one = [row for row in trace if row.signature == trace[0].signature]
    assert summary(analyse(one))["signatures"] == [trace[0].signature]


def test_the_command_signs_the_reward_that_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = rows_at(tmp_path, "context")
    said = write_completions(tmp_path / "a.jsonl", TRUE)
    given = ["evaluate", str(rows), "--completions", str(said), "--resamples", "100"]
    assert main([*given, "--delta", "0", "--weight", "format=0.1", "--out", str(tmp_path)]) == 0
    reward = CHEST.reward.updated({"delta": 0, "weights": {"format": 0.1}})
    signature = Scorer(CHEST, reward).signature(CHEST.knowledge_text("context"))
    assert f"`{signature}`" in capsys.readouterr().out
    content = json.loads((tmp_path / "report.json").read_text())
    assert [one["signature"] for one in content["evaluations"]] == [signature]


@pytest.mark.parametrize("seed", [0, 1])
def test_shuffled_labels_are_at_chance_exactly(seed: int) -> None:
    """Expected accuracy is the sum of squared shares, balanced accuracy one in k, kappa 0."""
    grades = Task("grades", kind="ordinal", question="?", labels=list("abc"))
    true = ["a"] * 50 + ["b"] * 30 + ["c"] * 20
    own = predictions(grades, true, true)
    name, chance = [*baselines(Scorer(grades), own, seed).items()][1]
    assert name == "the right answers of the rows, shuffled, expected value"
    assert chance["accuracy"] == pytest.approx(0.25 + 0.09 + 0.04)
    assert chance["balanced accuracy"] == pytest.approx(1 / 3)
    assert chance["quadratic weighted kappa"] == pytest.approx(0, abs=1e-12)
    # a to b 0.15 x 2, a to c 0.1 x 2, b to c 0.06 x 2, times steps
    assert chance["mean absolute error"] == pytest.approx(0.3 + 0.2 * 2 + 0.12)
    assert chance["unreadable"] == 0


def test_shuffled_sets_are_what_many_draws_come_to(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Task("chest", kind="multilabel", question="?", labels=["edema", "mass"],
                reward={"delta": 0})  # fmt: skip
    true = [["edema"]] * 12 + [["mass"]] * 6 + [["edema", "mass"]] * 6
    own = predictions(task, true, ["edema"] * 24)
    exact = [*baselines(Scorer(task), own, 0).values()][1]
    monkeypatch.setattr("medreward.runs.evaluation_baselines._LINEAR", ())
    name, drawn = [*baselines(Scorer(task), own, 0).items()][1]
    assert name.endswith("mean of 200 draws")
    assert {*drawn} == {*exact}
    assert drawn == pytest.approx(exact, abs=0.03)


def test_other_kinds_are_drawn_often() -> None:
    task = sample_task("number", delta=0)
    own = predictions(task, ["3 cm", "5 cm"] * 5, ["3 cm"] * 10)
    name, values = [*baselines(Scorer(task), own, 0).items()][1]
    assert name.endswith("mean of 200 draws")
    assert values["accuracy"] == pytest.approx(0.5, abs=0.05)


def test_texts_that_differ_by_more_than_order_have_another_signature(tmp_path: Path) -> None:
    first, *rest = CHEST.labels
    shorter = replace(first, attributes=first.attributes[:-1])
    card = replace(CHEST, labels=(shorter, *rest))
    assert signature_of(rows_at(tmp_path, "full")) != signature_of(
        rows_at(tmp_path, "full", first=3, task=card)
    )
