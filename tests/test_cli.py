"""The command line, run as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from medreward import explain
from medreward.commands.cli import main

RIGHT = "<think>Dot bleeds.</think><answer>Grade 2</answer>"


def test_score_reads_and_writes_json_lines(tmp_path: Path) -> None:
    rows = [
        {"id": 1, "completion": RIGHT, "target": 2},
        {"id": 2, "completion": RIGHT, "target": "severe", "knowledge": ""},
        {"id": 3, "completion": [{"role": "assistant", "content": "é"}], "target": 0},
    ]
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("\n".join(map(json.dumps, rows)) + "\n\n", encoding="utf-8")
    assert main(["score", str(source), "--task", "retinamnist", "--out", str(out)]) == 0
    scored = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [row["id"] for row in scored] == [1, 2, 3]
    for row, given in zip(scored, rows, strict=True):
        score = explain(
            given["completion"],  # type: ignore[call-overload]
            given["target"],
            task="retinamnist",
            knowledge=given.get("knowledge"),
        )
        assert row["total"] == score.total
        assert row["reasons"] == list(score.reasons)
        assert row["parts"] == score.parts
    assert list(tmp_path.iterdir()) in ([source, out], [out, source])


def test_score_reads_standard_input() -> None:
    row = json.dumps({"completion": RIGHT, "target": 3, "knowledge": ""})
    options = ["--task=retinamnist", "--decay=1,0.5,0.2", "--delta=0", "--weight=format=0.5"]
    done = subprocess.run(
        [sys.executable, "-m", "medreward", "score", "-", *options],
        input=row,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["total"] == 1.0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: not JSON"),
        ("[1]", "line 2: '[1]' is not an object"),
        ('{"completion": "x"}', "line 2: field 'target' is missing"),
        ('{"completion": "x", "target": 9}', "line 2: task 'retinamnist': target 9"),
        ('{"completion": 5, "target": 1}', "line 2: a completion is a string"),
    ],
)
def test_score_names_the_line_that_is_wrong(
    line: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(json.dumps({"completion": "", "target": 0}) + "\n" + line, encoding="utf-8")
    assert main(["score", str(source), "--task", "retinamnist", "--out", str(out)]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_explain_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["explain", "<answer>2 or 3</answer>", "--task", "retinamnist", "--target", "2"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "several_grades: the answer names more than one grade" in said
    assert "no_think_tag" in said
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["total"] == 0.0


def test_explain_boxes(capsys: pytest.CaptureFixture[str]) -> None:
    text = "<think>x</think><answer>[[0, 0, 10, 10]]</answer>"
    command = ["explain", text, "--task", "mni152_brain_box", "--target", "[0, 0, 10, 5]", "--json"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["parts"]["accuracy"] == 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--task", "retinamist"], "did you mean 'retinamnist'"),
        (["--task", "retinamnist", "--decay", "linar"], "did you mean 'linear'"),
        (["--task", "retinamnist", "--weight", "format=much"], "weights.format: 'much'"),
        (["--task", "retinamnist", "--gate", "none"], "gates: 'none'"),
        (["--task", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_wrong_options_are_named(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", RIGHT, "--target", "2", *options]) == 2
    assert message in capsys.readouterr().err


def test_tasks_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks"]) == 0
    listed = capsys.readouterr().out
    assert "pneumoniamnist" in listed
    assert "normal; pneumonia" in listed
