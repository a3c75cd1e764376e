"""What adding a kind, a part, a format or a source takes: one module (`tests/toys.py`), one line.

Each is used through `prepare`, `shaped_reward`, both adapters, the audit and `view`, and then taken
out again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from medreward import ConfigError, Task, explain, shaped_reward
from medreward.audit.battery import audit
from medreward.audit.exploits import find_unattacked
from medreward.audit.user_rewards import load_reward
from medreward.commands.cli import main
from medreward.kinds.right_answers import completion_with, right_answer
from medreward.kinds.truth import target_of
from medreward.task.registry import kind_names
from medreward.task.settings import RewardSettings
from medreward.task.task import parse_card
from medreward.text.formats.registry import format_names
from medreward_trl.rewards import reward_funcs
from medreward_verl import compute_score
from tests.toys import answer_line, brevity, first_letter, grey_images

CARD = """
name: tissue
kind: {kind}
question: Which tissue is it?
labels: [cortex, white matter, ventricle]
reward: {reward}
"""


def write_card(folder: Path, kind: str = "classification", reward: str = "{}") -> Path:
    path = folder / "tissue.yaml"
    path.write_text(CARD.format(kind=kind, reward=reward))
    return path


def prepare(folder: Path, card: Path) -> Path:
    """Prepare rows of grey images, a label in turn, and return the training rows."""
    words = ["--grey", "cortex,white matter,ventricle", "--task", str(card)]
    out = folder / "out"
    assert main(["prepare", *words, "--split", "train=1", "--out", str(out)]) == 0
    return out / "train.parquet"


def score_everywhere(rows: Path, card: Path, text_of: Any) -> list[float]:
    """Return the totals of right answers, which all ways of scoring agree on."""
    task = Task.load(card)
    content = pq.read_table(rows).to_pylist()[:6]
    truths = [row["reward_model"]["ground_truth"] for row in content]
    texts = [text_of(task, truth) for truth in truths]
    totals = [
        shaped_reward(x, target_of(task, t), task=task) for x, t in zip(texts, truths, strict=True)
    ]
    for total, row, text, truth in zip(totals, content, texts, truths, strict=True):
        info = {**row["extra_info"], "knowledge": None}
        result = compute_score("tissue", text, truth, info, tasks={"tissue": str(card)})
        assert result["score"] == pytest.approx(total)
        assert result["correct"] == 1.0
    funcs, weights = reward_funcs(card)
    columns: Any = {"target": truths, "task": ["tissue"] * len(texts)}
    parts = [func(completions=texts, **columns) for func in funcs]
    for total, values in zip(totals, zip(*parts, strict=True), strict=True):
        assert sum(w * v for w, v in zip(weights, values, strict=True)) == pytest.approx(total)
    return totals


def check_commands(rows: Path, card: Path, folder: Path) -> None:
    """Check, view and audit with the command line."""
    assert main(["rows", "check", str(rows), "--task", str(card)]) == 0
    sheet = folder / "view.html"
    assert main(["view", str(rows), "--task", str(card), "--out", str(sheet)]) == 0
    assert "white matter" in sheet.read_text()
    assert main(["tasks", "show", str(card), "--level", "none"]) == 0


def right(task: Task, truth: str) -> str:
    answer = right_answer(task, target_of(task, truth))
    return completion_with(answer, completion_format=task.reward.completion_format)


@pytest.fixture(autouse=True)
def source() -> Iterator[None]:
    with grey_images():
        yield


def test_a_kind(tmp_path: Path) -> None:
    with first_letter():
        card = write_card(tmp_path, "first_letter")
        rows = prepare(tmp_path, card)
        prompt = pq.read_table(rows).to_pylist()[0]["prompt"][0]["content"]
        assert "then give only the first letter of the label inside <answer>" in prompt
        assert set(score_everywhere(rows, card, right)) == {1.2}
        check_commands(rows, card, tmp_path)
        task = Task.load(card)
        wrong = explain(completion_with("v"), "cortex", task=task)
        assert (wrong.correct, wrong.prediction) == (False, "ventricle")
        assert find_unattacked("first_letter") == ()
        found = audit(load_reward("shaped", task), task)
        assert len(found.results) > 60
        # What a kind that reads single letters alone must answer for: no attack that hedges pays.
        hedges = {
            "all-labels",
            "hedge-or",
            "empty-answer",
            "negated",
            "several-answers-right-first",
        }
        assert hedges.isdisjoint(result.family for result in found.failures)
    assert "first_letter" not in kind_names()
    with pytest.raises(ConfigError, match="kind: 'first_letter' is not one of classification"):
        parse_card(card.read_text())


def test_a_part(tmp_path: Path) -> None:
    card = write_card(tmp_path)
    rows = prepare(tmp_path, card)
    plain = score_everywhere(rows, card, right)
    before = explain(completion_with("cortex"), "cortex", task=Task.load(card))
    with brevity():
        assert score_everywhere(rows, card, right) == pytest.approx([x + 0.01 for x in plain])
        score = explain(completion_with("cortex"), "cortex", task=Task.load(card))
        assert [*score.parts] == ["accuracy", "format", "recitation", "brevity"]
        assert "|brevity:0.01|" in score.signature
        long = explain(completion_with("cortex", "word " * 99), "cortex", task=Task.load(card))
        assert long.parts["brevity"] == 0.0
        assert (
            main(["explain", completion_with("cortex"), "--target", "0", "--task", str(card)]) == 0
        )
        check_commands(rows, card, tmp_path)
        assert audit(load_reward("shaped", Task.load(card)), Task.load(card)).results
        with pytest.raises(ConfigError, match=r"weights.brevity 2 lets a wrong answer outscore"):
            explain("x", 0, task=Task.load(card), weights={"brevity": 2})
    assert explain(completion_with("cortex"), "cortex", task=Task.load(card)) == before
    with pytest.raises(ConfigError, match="weights: 'brevity' is not one of"):
        RewardSettings(weights={"brevity": 1})  # type: ignore[arg-type]


def test_a_format(tmp_path: Path) -> None:
    with answer_line():
        card = write_card(tmp_path, reward="{completion_format: answer_line}")
        rows = prepare(tmp_path, card)
        prompt = pq.read_table(rows).to_pylist()[0]["prompt"][0]["content"]
        assert prompt.endswith('then write "Answer: " and the label in the last line.')
        assert set(score_everywhere(rows, card, right)) == {1.2}
        task = Task.load(card)
        assert right(task, "cortex") == "Looking closely.\nAnswer: cortex"
        assert "|completion_format:answer_line|" in explain("x", 0, task=task).signature
        tagged = explain("<think>x</think><answer>cortex</answer>", 0, task=task)
        assert (tagged.total, tagged.prediction) == (0.0, None)
        check_commands(rows, card, tmp_path)
        found = audit(load_reward("shaped", task), task)
        assert found.honest.right == pytest.approx(1.2)
    assert "answer_line" not in format_names()
    with pytest.raises(ConfigError, match="completion_format: 'answer_line' is not one of"):
        RewardSettings(completion_format="answer_line")


def test_a_source_is_gone_with_its_flag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["prepare", "--help"])
    assert "--grey LABEL,LABEL" in capsys.readouterr().out
    from medreward.data.sources.registry import SOURCES

    own = SOURCES.pop()
    try:
        with pytest.raises(SystemExit):
            main(["prepare", "--help"])
        assert "--grey" not in capsys.readouterr().out
        words = ["prepare", "--task", "busi", "--out", str(tmp_path / "x")]
        assert main(words) == 2
        assert "one source is needed, out of --medmnist" in capsys.readouterr().err
    finally:
        SOURCES.append(own)
