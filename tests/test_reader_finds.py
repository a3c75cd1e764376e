"""What a fresh reader ran into: settings that did not arrive, and messages that led astray."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from medreward import ConfigError, Task, explain, shaped_reward
from medreward.scoring.scorer import scorer
from medreward.text.formats.described import DescribedFormat
from medreward_swift import reward_classes

BOX = Task("box", kind="localisation", question="Where?")
CARD = Task(
    "both",
    kind="fields",
    question="What and where?",
    fields={"finding": Task("finding", kind="short_answer", question="What?"), "box": BOX},
)
TARGET = {
    "finding": "effusion",
    "box": {"boxes": [[50, 100, 250, 400]], "size": [500, 1000]},
}
RIGHT = '{"finding": "effusion", "box": [[100, 100, 500, 400]]}'  # per mille
OPEN = {"answers": ["myocardial infarction"], "question": "What is it?"}


def said(answer: str) -> str:
    return f"<think>Seen.</think><answer>{answer}</answer>"


@pytest.mark.parametrize("settings", [{"frame": "per-mille"}, {"model_profile": "qwen3_vl"}])
def test_a_frame_reaches_the_field_with_places(settings: dict[str, Any]) -> None:
    score = explain(said(RIGHT), TARGET, task=CARD, knowledge="", **settings)
    assert score.parts["accuracy"] == 1
    assert "|box.frame:per-mille|" in score.signature
    assert "|box.frame:pixels|" in scorer(CARD).signature("")


def test_other_settings_of_a_field_reach_it_too() -> None:
    loose = scorer(CARD, {"box_quality": "threshold", "box_threshold": 0.3}).task.fields["box"]
    assert (loose.reward.box_quality, loose.reward.box_threshold) == ("threshold", 0.3)
    with pytest.raises(ConfigError, match=r"field 'box': .*frame"):
        scorer(CARD, {"frame": "per-million"})
    with pytest.raises(ConfigError, match=r"frame: 'unit' beside model_profile qwen3_vl"):
        scorer(CARD, {"frame": "unit", "model_profile": "qwen3_vl"})


def test_a_fields_own_frame_is_not_overridden_by_a_profile() -> None:
    unit = Task("box", kind="localisation", question="Where?", reward={"frame": "unit"})
    card = Task("both", kind="fields", fields={**CARD.fields, "box": unit})
    with pytest.raises(ConfigError, match="field 'box' of the card 'both' 'unit'"):
        scorer(card, {"model_profile": "qwen3_vl"})


def test_the_profile_of_a_thinking_model_holds_in_swift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDREWARD_SETTINGS", "{model_profile: qwen3_vl_thinking}")
    total = reward_classes()["medreward"]()
    columns = {"task": ["retinamnist"] * 2, "target": ["2"] * 2, "knowledge": [""] * 2}
    assert total([said("2"), f"<think>{said('2')}"], **columns) == [1.2, 0.0]  # the policy's own


def test_a_mark_that_was_put_back_is_named() -> None:
    score = explain(
        said("2"), 2, task="retinamnist", knowledge="", completion_format="prefilled_think"
    )
    assert "think_put_back" in score.reasons
    assert score.total == 0


def test_why_says_that_the_setting_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from medreward.commands.cli import main

    bound = scorer("retinamnist", {"completion_format": "prefilled_think"})
    trace = tmp_path / "trace.jsonl"
    with trace.open("w") as file:
        for i in range(200):
            score = bound.score(said(str(i % 5)), 2)
            row = {"completion": said(str(i % 5)), "step": 1 + i // 8, "id": f"r{i // 4}"}
            row |= {"task": "retinamnist", "target": "2", **score.as_dict()}
            file.write(json.dumps(row) + "\n")
    assert main(["why", str(trace)]) in (0, None)
    printed = capsys.readouterr().out
    assert "the setting is wrong, not the policy" in " ".join(printed.split())
    assert "warm start" not in printed


def test_only_what_a_template_writes_is_taken_off() -> None:
    plain = DescribedFormat("plain", reasoning=("<r>", "</r>"))
    assert plain.without_prefill("<r>x</r>") == "<r>x</r>"


def test_no_judge_is_none() -> None:
    for task, target in (("short_answer", OPEN), ("retinamnist", 2)):
        score = explain(said("2"), target, task=task, judge=None)
        assert score == explain(said("2"), target, task=task)
    assert shaped_reward([said("x")], [OPEN], task="short_answer", judge=None) == [0.2]


def broken(questions: Any) -> list[bool]:
    raise RuntimeError("judge down")


@pytest.mark.parametrize(
    ("judge", "message"),
    [
        (broken, r"judge broken: it raised RuntimeError: judge down"),
        (lambda questions: True, r"it returned True; .* returns a list .* here 1"),
        (lambda questions: None, r"it returned None"),
        (lambda questions: "yes", r"it returned 'yes'"),
        (lambda questions: [None], r"on_error 'none'"),
        (lambda questions: [], r"0 decisions on 1 answers"),
    ],
)
def test_a_judge_that_fails_is_named(judge: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        explain(said("heart attack"), OPEN, task="short_answer", judge=judge)


@pytest.mark.parametrize("judge", [broken, lambda questions: [None]])
def test_on_error_is_for_callables_too(judge: Any) -> None:
    wrapped = {"call": judge, "on_error": "none"}
    score = explain(said("heart attack"), OPEN, task="short_answer", judge=wrapped)
    assert math.isnan(score.total)
    assert "judge_unavailable" in score.reasons
    with pytest.raises(ConfigError, match="on_error"):
        explain(said("x"), OPEN, task="short_answer", judge={**wrapped, "on_error": "skip"})


def test_settings_name_a_judge_by_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "judges.py"
    file.write_text("def same(questions):\n    return [True for _ in questions]\n")
    settings = json.dumps({"judge": f"{file}:same"})
    monkeypatch.setenv("MEDREWARD_SETTINGS", settings)
    total = reward_classes()["medreward"]()
    columns = {"task": ["short_answer"], "target": [json.dumps(OPEN)], "knowledge": [""]}
    assert total([said("heart attack")], **columns) == [1.2]
    score = explain(said("heart attack"), OPEN, task="short_answer", judge=f"{file}:same")
    assert "|judge:same|" in score.signature
    with pytest.raises(ConfigError, match="judge 'nowhere:same' cannot be loaded"):
        explain(said("x"), OPEN, task="short_answer", judge="nowhere:same")


def test_explain_takes_a_profile_and_a_format(capsys: pytest.CaptureFixture[str]) -> None:
    from medreward.commands.cli import main

    given = ["explain", said("2").removeprefix("<think>"), "--target", "2", "--json"]
    given += ["--task", "retinamnist", "--knowledge", ""]
    for setting in (
        ["--model-profile", "qwen3_vl_thinking"],
        ["--completion-format", "prefilled_think"],
    ):
        assert not main([*given, *setting])
        assert json.loads(capsys.readouterr().out)["total"] == 1.2


def test_options_without_their_columns_are_told_of() -> None:
    with pytest.raises(ConfigError, match="--options-column"):
        Task("q", kind="choice", question="Which?").parse_target("B")


@pytest.mark.parametrize(
    ("given", "code", "said_so"),
    [(["--help"], 0, "usage: python -m medreward_swift"), (["my.yaml"], 1, "MEDREWARD_SETTINGS=")],
)
def test_the_command_for_swift_says_how_to_name_cards(
    given: list[str], code: int, said_so: str
) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "medreward_swift", *given],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == code
    assert said_so in found.stdout + found.stderr
