"""What stopped a newcomer: own cards in every command, advice that knows the run's settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from medreward import Task, explain
from medreward.commands.cli import main
from medreward.runs import analyse, describe_run, read_trace

CARD = "name: level\nkind: ordinal\nquestion: How high?\nlabels: [low, middle, high]\n"
RIGHT = "<think>Looked.</think><answer>1</answer>"


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = tmp_path / "level.yaml"
    path.write_text(CARD, encoding="utf-8")
    return path


def write_trace(path: Path, task: Task, answers: list[str], target: int, steps: int = 12) -> Path:
    """Write groups of completions with these answers, scored by the task."""
    lines = []
    for step in range(1, steps + 1):
        for answer in answers:
            text = f"<think>Looked.</think><answer>{answer}</answer>"
            score = explain(text, target, task=task, knowledge="")
            row = {"step": step, "id": "a", "task": task.name, "target": str(target)}
            lines.append(json.dumps(row | {"completion": text} | score.as_dict()))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("named", ["{card}", "level={card}", "other={card}"])
@pytest.mark.parametrize(
    "words",
    [
        ["explain", RIGHT, "--target", "1"],
        ["why", "{trace}"],
        ["sweep", "{trace}", "--grid", "decay=exact"],
        ["score", "{trace}"],
    ],
)
def test_a_card_has_one_syntax(
    named: str, words: list[str], card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = write_trace(tmp_path / "trace.jsonl", Task.load(str(card)), ["1", "2"], 1)
    given = [word.format(trace=trace) for word in words]
    assert main([*given, "--task", named.format(card=card)]) == 0
    assert "error" not in capsys.readouterr().err


def test_rows_are_named_after_their_card(
    card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["prepare", "--images", str(tmp_path), "--csv", "labels.csv", "--dry-run"]
    assert main([*words, "--task", f"other={card}"]) == 2
    assert "rows get the name of their card, 'level', not 'other'" in capsys.readouterr().err


def test_a_missing_card_is_answered_with_the_cure(
    card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = write_trace(tmp_path / "trace.jsonl", Task.load(str(card)), ["1", "2"], 1)
    assert main(["sweep", str(trace), "--grid", "decay=exact"]) == 2
    assert "--task CARD.yaml" in capsys.readouterr().err
    assert main(["explain", RIGHT, "--target", "1", "--task", "level"]) == 2
    assert "--task CARD.yaml" in capsys.readouterr().err


def test_a_source_without_a_reference_says_where_it_belongs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "level.yaml"
    path.write_text(CARD + "knowledge: [{text: a, source: mine}]\n", encoding="utf-8")
    assert main(["tasks", "show", str(path)]) == 2
    assert "'mine' is not one of (none); a source is a key of the card's `references`" in (
        capsys.readouterr().err
    )


def test_the_same_trace_twice_is_noticed(
    card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = Task.load(str(card))
    trace = write_trace(tmp_path / "a.jsonl", task, ["1", "2"], 1)
    copy = tmp_path / "b.jsonl"
    copy.write_bytes(trace.read_bytes())
    for second in (trace, copy):
        assert main(["why", str(trace), str(second)]) == 2
        assert "counted twice; name one of them" in capsys.readouterr().err
    other = write_trace(tmp_path / "c.jsonl", task, ["0", "2"], 1)
    assert main(["why", str(trace), str(other)]) == 0


@pytest.mark.parametrize(
    ("settings", "said", "unsaid"),
    [
        ({"decay": "linear"}, "decay: geometric or reported", "decay is"),
        ({"decay": "geometric"}, "raise the KL term", "decay: geometric or reported"),
        ({"delta": 0}, "delta is 0, so recitation is off", "recitation is off or"),
        ({"delta": -1}, "no knowledge stands in the prompts", "delta 0"),
    ],
)
def test_advice_knows_what_the_run_has(
    settings: dict[str, object], said: str, unsaid: str, tmp_path: Path
) -> None:
    labels = ["low", "middle", "high"]
    task = Task("level", kind="ordinal", question="How high?", labels=labels, reward=settings)
    path = tmp_path / "trace.jsonl"
    lines = []
    for target in (0, 1, 2):
        write_trace(path, task, ["1"] * 4, target, steps=20)
        lines.append(path.read_text(encoding="utf-8"))
    path.write_text("".join(lines), encoding="utf-8")
    text = describe_run(analyse(read_trace([path])))
    assert "one_answer" in text
    assert said in text
    assert unsaid not in text


def test_questions_about_boxes_say_that_the_cards_frame_is_not_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (80, 60)).save(tmp_path / "a.png")
    box = {"id": 0, "image_id": 0, "category_id": 0, "bbox": [4, 5, 20, 10]}
    image = {"id": 0, "file_name": "a.png", "width": 80, "height": 60}
    found = {"categories": [{"id": 0, "name": "disc"}], "images": [image], "annotations": [box]}
    (tmp_path / "boxes.json").write_text(json.dumps(found))
    card = tmp_path / "disc.yaml"
    card.write_text(
        "name: disc\nkind: localisation\nquestion: Where?\nlabels: [disc]\n"
        "reward: {frame: per-mille}\n"
    )
    words = ["prepare", "--task", str(card), "--images", str(tmp_path)]
    words += ["--coco", str(tmp_path / "boxes.json"), "--split", "train=1", "--dry-run"]
    assert main([*words, "--ask", "where"]) == 0
    assert "the card's frame: not used" in capsys.readouterr().out
    assert main(words) == 0
    assert "the card's frame" not in capsys.readouterr().out
