"""The agreement table: the same completions under other suites' rules."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medreward import Task
from medreward.commands.cli import main
from medreward.runs.evaluation_rules import suite_agreement
from medreward.runs.others_rules import CHOICE, CLOSED, NONE, OPEN
from medreward.scoring.scorer import Scorer
from tests.evaluation_rows import predictions, write_completions, write_rows

OPTIONS = ["Normal", "Pneumonia", "Pleural effusion", "Pneumothorax"]
VQA = Task.load("multiple_choice")
SHORT = Task.load("short_answer")


def test_options_are_counted_as_the_rules_say() -> None:
    # The last four are those of docs/questions.md: what each reads is tested there.
    answers = ["B", "B. Pneumonia", "not A", "Bacterial pneumonia", "E", "I cannot tell"]
    own = predictions(VQA, [{"options": OPTIONS, "answer": "B"}] * len(answers), answers)
    found = {one.suite: one for one in suite_agreement(Scorer(VQA), own)}
    assert [*found] == [*CHOICE]
    for suite, rule in CHOICE.items():
        read = [rule(text, OPTIONS) for text in answers]
        assert found[suite].theirs == pytest.approx(read.count("B") / len(answers)), suite
        assert found[suite].ours == pytest.approx(2 / 6)
    kit = found["MedEvalKit"]
    assert (kit.only_theirs, kit.only_ours) == (2, 0)  # "Bacterial pneumonia", and "E" as B
    assert kit.same == pytest.approx(4 / 6)
    assert {one["answer"]: one["read"] for one in kit.examples} == {
        "Bacterial pneumonia": "B",
        "E": "B",
    }


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ("B, I say B", "B"),  # a letter that is said twice is one
        ("A or B: Pneumonia.", "B"),  # of two letters none, but one text
        ("B is what I see, for it is so", NONE),  # not among the last four
        ("Not this, as far as B goes here", "B"),
        ("It is not A B C D but pneumonia", "B"),
        ("pneumonia, " + "since the lungs are dense " * 4, NONE),  # too long to be searched
        ("Normal or Pneumonia", NONE),
    ],
)
def test_what_vlmevalkit_reads(answer: str, read: str) -> None:
    assert CHOICE["VLMEvalKit"](answer, OPTIONS) == read


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ("b\n\nsince it is white", "B"),
        ("It is white.\n\nb. Pneumonia", "B"),
        ("Seen.\n\nb\n\nnot a", "A"),  # neither first nor last: nearest to all of it
        (r"\boxed{\text{b}}", "D"),  # braces in it stay; nearest to "\text{b}"
        (r"boxed b", "A"),  # no box: the word None is nearest to Normal
        ("**Answer**: b", "B"),
        ("<answer>b</answer>", "B"),
        ("x: b", "D"),  # behind the colon is " b", which is no letter
    ],
)
def test_what_medevalkit_reads(answer: str, read: str) -> None:
    assert CHOICE["MedEvalKit"](answer, OPTIONS) == read


def test_medvlthinker_looks_for_the_answer_as_it_stands() -> None:
    holds = OPEN["MedVLThinker"]
    assert holds("In the left lung", "Left lung")
    assert holds("liver", " liver ")
    assert not holds("In the left lung", "left lung.")


def test_pmc_vqa_looks_at_case_and_reads_nothing_where_nothing_is_near() -> None:
    read = CHOICE["PMC-VQA"]
    assert (read("Pneumonia", OPTIONS), read("pneumonia", ["PNEUMONIA", "heart"])) == ("B", "B")
    assert read("B", OPTIONS) == NONE


def test_lmms_eval_puts_spaces_for_marks_and_knows_other_names() -> None:
    same = OPEN["lmms-eval"]
    assert same("left-sided", "left sided")
    assert same("X-ray", "xray")
    assert same("the  liver (right)", "The liver")
    assert same("yeah", "yes")
    assert not same("leftsided", "left-sided")


def test_yes_and_no_and_open_answers_have_rules_of_their_own() -> None:
    targets = ["no", "yes", "no", ["heart attack", "infarction"], "liver", "liver"]
    answers = ["normal", "true", "No.", "Infarction (acute)", "the liver.", "Liver."]
    own = predictions(SHORT, targets, answers)
    found = {(one.suite, one.of): one for one in suite_agreement(Scorer(SHORT), own)}
    assert {of for _, of in found} == {"yes or no", "open answers"}
    assert {suite for suite, of in found if of == "yes or no"} == {*CLOSED}
    assert {suite for suite, of in found if of == "open answers"} == {*OPEN}
    kit, lmms = found["MedEvalKit", "yes or no"], found["lmms-eval", "yes or no"]
    assert kit.rows == 3
    assert kit.theirs == pytest.approx(2 / 3)  # "normal" holds "no"
    assert lmms.theirs == pytest.approx(2 / 3)  # "true" is yes
    assert found["lmms-eval", "open answers"].theirs == pytest.approx(2 / 3)
    assert found["MedEvalKit", "open answers"].theirs == pytest.approx(1 / 3)
    assert found["MedVLThinker", "open answers"].theirs == 1.0
    assert found["MedVLThinker", "open answers"].ours == pytest.approx(2 / 3)


def test_yes_in_another_language_has_no_rule() -> None:
    task = Task("own", kind="short_answer", question="?", languages=("en", "de"))
    own = predictions(task, ["ja"], ["ja"])
    assert own[0].score.correct
    assert suite_agreement(Scorer(task), own) == []


def test_labels_of_a_card_count_as_options() -> None:
    task = Task("own", question="?", labels=["normal", "pneumonia"])
    own = predictions(task, [0, 1, 1], ["normal", "pneumonia", "abnormal"])
    found = {one.suite: one for one in suite_agreement(Scorer(task), own)}
    assert {*CHOICE} - {*found} == {"MedXpertQA"}  # labels have no letters
    assert found["VLMEvalKit"].ours == pytest.approx(2 / 3)
    assert found["VLMEvalKit"].examples == []
    assert CHOICE["VLMEvalKit"]("abnormal", ["normal", "pneumonia"]) == "A" != NONE


@pytest.mark.parametrize("kind", ["ordinal", "multilabel", "number", "localisation"])
def test_other_tasks_have_no_rule(kind: str) -> None:
    from tests.samples import sample_task

    task = sample_task(kind)
    target = {"number": 3, "localisation": [{"box": [0, 0, 8, 8], "label": "cyst"}]}.get(
        kind, "alpha"
    )
    target = [target] if kind == "multilabel" else target
    assert suite_agreement(Scorer(task), predictions(task, [target], ["alpha"])) == []


def test_the_command_prints_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = write_rows(tmp_path, Task.load("pneumoniamnist"), ["normal", "pneumonia"])
    file = write_completions(tmp_path / "c.jsonl", ["normal", "severe pneumonia | no"])
    given = ["evaluate", str(rows), "--completions", str(file), "--resamples", "100"]
    assert main([*given, "--rules", "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "## The same completions under other suites' rules" in said
    assert "| pneumoniamnist | VLMEvalKit, options | 2 | 1.000 | 0.500 | 0.500 | 1 | 0 |" in said
    content = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [one["suite"] for one in content["rules"]][:2] == ["MedEvalKit", "VLMEvalKit"]
    assert content["rules"][1]["examples"][0]["answer"] == "severe pneumonia | no"
    grades = write_rows(tmp_path, Task.load("retinamnist"), [0, 1])
    file = write_completions(tmp_path / "d.jsonl", ["0", "1"])
    assert main(["evaluate", str(grades), "--completions", str(file), "--rules"]) == 2
    assert "no suite has a rule for these tasks" in capsys.readouterr().err
