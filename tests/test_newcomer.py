"""What stopped a newcomer: own cards in every command, advice that knows the run's settings."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from medreward import ConfigError, Task, explain
from medreward.commands.cli import main
from medreward.priors.asked import contradictions
from medreward.priors.prompt import PromptBuilder
from medreward.runs import analyse, describe_run, read_trace
from medreward.scoring.scorer import Scorer, scorer
from medreward.scoring.trace import TraceWriter
from medreward.text.formats.registry import format_names, format_of
from medreward_swift.options import check_names
from tests.processes import run_alone
from tests.test_model_check import label_rows, model_folder

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


def test_an_audit_takes_the_models_format(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["audit", "--task", "pneumoniamnist", "--family", "empty-answer"]
    assert main([*given, "--completion-format", "prefilled_think"]) == 0
    assert main([*given, "--model-profile", "qwen3_vl_thinking"]) == 0
    assert main([*given, "--model-profile", "qwen3vl_thinking"]) == 2
    assert "did you mean 'qwen3_vl_thinking'" in capsys.readouterr().err
    given = ["audit", "--task", "mni152_brain_box", "--family", "empty-answer"]
    assert main([*given, "--model-profile", "qwen3_vl"]) == 0


def test_settings_that_do_not_go_together_are_no_fault_of_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = label_rows(tmp_path)
    wrong = ["--model-profile", "qwen3_vl_thinking", "--completion-format", "boxed"]
    for options, message in (
        (["--model-profile", "qwen3vl"], "did you mean 'qwen3_vl'"),
        (["--completion-format", "boxd"], "did you mean 'boxed'"),
        (wrong, "--model-profile qwen3_vl_thinking has 'prefilled_think'"),
    ):
        assert main(["rows", "check", str(rows), *options]) == 2
        said = capsys.readouterr().err
        assert message in said
        assert "row 0" not in said
        assert len(said.splitlines()) == 1


def test_a_model_is_looked_for_before_rows_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = label_rows(tmp_path)
    assert main(["rows", "check", str(rows), "--model", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert "has no config.json" in said.err
    assert "rows are right" not in said.out


def test_rows_of_a_profile_are_checked_by_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = label_rows(tmp_path, "prefilled_think")
    model = model_folder(tmp_path / "Qwen3-VL-4B-Thinking", start="<think>\n")
    given = ["rows", "check", str(rows), "--model", str(model)]
    assert main(given) == 2
    assert "is qwen3_vl_thinking: where the rows were prepared for it" in capsys.readouterr().err
    assert main([*given, "--model-profile", "qwen3_vl_thinking"]) == 0


def test_a_missing_folder_is_named_before_torch_is_loaded(tmp_path: Path) -> None:
    code = (
        "import sys; from medreward.commands.cli import main;"
        f"code = main(['demo', '--rows', {str(tmp_path / 'nothere')!r}]);"
        "sys.exit(9 if 'torch' in sys.modules else code)"
    )
    done = run_alone("-c", code)
    assert done.returncode == 2
    assert "nothere: no such folder; give what `medreward prepare --out` wrote" in done.stderr


@pytest.mark.parametrize("name", format_names())
def test_without_an_image_none_is_spoken_of(name: str) -> None:
    card = Task.load("yes_no")
    task = replace(card, reward=card.reward.updated({"completion_format": name}))
    prompt = PromptBuilder(task)()
    said = prompt.with_images(0).messages[-1]["content"]
    assert "about the image" not in said
    assert said.replace("First reason", "First reason about the image") == prompt.text
    others = [one for one in format_names() if one not in (name, *_alike(name))]
    assert [*contradictions(said, task, task.reward)] == []
    for other in others:
        assert [*contradictions(said, task, task.reward.updated({"completion_format": other}))]


def _alike(name: str) -> list[str]:
    """Return the formats whose sentence a prompt for this one holds too."""
    said = format_of(name).instruct("x")
    return [one for one in format_names() if format_of(one).instruct("x") in said]


def test_a_card_of_ones_own_is_named_where_ms_swift_sees_it(tmp_path: Path) -> None:
    card = tmp_path / "num.yaml"
    card.write_text("name: measure\nkind: number\nquestion: How long?\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"MEDREWARD_SETTINGS='\{tasks: \{a: b.yaml\}\}', then"):
        check_names(["a=b.yaml"])
    with pytest.raises(ConfigError, match=r"tasks: \{measure: .*num.yaml\}.*medreward_swift meas"):
        check_names([str(card)])
    check_names(["retinamnist"])


def test_a_run_with_other_settings_is_not_taken_for_one_that_goes_on(tmp_path: Path) -> None:
    path = write_trace(tmp_path / "trace.jsonl", Task.load("retinamnist"), ["1"], 1, steps=4)
    same = Scorer(Task.load("retinamnist"))
    TraceWriter(path).mark_resumed(3, [same.signature("x")])
    assert path.read_text().splitlines()[-1] == '{"resumed_after": 3}'
    other = scorer("retinamnist", {"decay": "linear"})
    TraceWriter(path).mark_resumed(3, [other.signature()])
    assert json.loads(path.read_text().splitlines()[-1]) == {
        "resumed_after": 3,
        "other_settings": True,
    }
    fresh = TraceWriter(tmp_path / "new.jsonl")
    fresh.mark_resumed(3, [same.signature()])
    assert fresh.path.read_text() == '{"resumed_after": 3}\n'
    assert [row.step for row in read_trace([path])] == [1, 2, 3]
