"""Case files: what is read, what is judged, and how mistakes in them are named."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medreward import ConfigError, explain
from medreward.audit.cases import case_files, check_file, check_text, load_cases, parse_cases
from medreward.audit.cases.case import EXPECTATIONS
from medreward.audit.cases.judge import honest_answers
from medreward.audit.cases.schema import CASE_FIELDS, FILE_FIELDS
from medreward.audit.cases.show import as_dict, show_outcome
from medreward.commands.cli import main
from medreward.task.task import Task

HEAD = "task: pneumoniamnist\ntarget: pneumonia\nknowledge: ''\n"
MINE = '''
def trl(completions, target, **kwargs):
    """Pays for the label anywhere: a reward with holes."""
    return [float(t in c[0]["content"]) for c, t in zip(completions, target, strict=True)]


def verl(data_source, solution_str, ground_truth, extra_info):
    return {"score": float(f">{ground_truth}<" in solution_str), "length": len(solution_str)}


def raises(completion, target):
    if "no " in completion:
        raise KeyError("boom")
    return float(target in completion)
'''


@pytest.fixture
def mine(tmp_path: Path) -> str:
    file = tmp_path / "mine.py"
    file.write_text(MINE, encoding="utf-8")
    return str(file)


def statuses(cases: str, reward: str | None = None) -> list[str]:
    return [outcome.status for outcome in check_text(HEAD + cases, reward)]


@pytest.mark.parametrize(
    ("said", "met", "not_met"),
    [
        ("answer: pneumonia", "total: 1.2", "total: 1.3"),
        ("answer: pneumonia", "total: 1.2000001", "total: 1.20001"),
        ("answer: pneumonia", "at_least: 1.2", "above: 1.2"),
        ("answer: pneumonia", "at_most: 1.2", "below: 1.2"),
        ("answer: pneumonia", "{above: 1, below: 1.3}", "{above: 1, below: 1.1}"),
        ("answer: pneumonia", "parts: {format: 1, accuracy: 1}", "parts: {format: 1, accuracy: 0}"),
        ("answer: pneumonia", "parts: {recitation: 0}", "parts: {length: 1}"),
        ("answer: pneumonia", "correct: true", "correct: false"),
        ("answer: normal", "correct: false", "correct: true"),
        ("answer: normal", "prediction: normal", "prediction: pneumonia"),
        ("answer: normal", "prediction: 0", "prediction: null"),
        ("answer: nothing", "prediction: null", "prediction: normal"),
        ("answer: normal", "reasons: wrong_label", "reasons: correct"),
        (
            "completion: normal",
            "reasons: [no_answer, no_think_tag]",
            "reasons: [no_answer, correct]",
        ),
        ("answer: pneumonia", "better_than: wrong", "better_than: right"),
        ("answer: normal", "worse_than: right", "worse_than: wrong"),
        ("answer: normal", "equal_to: wrong", "equal_to: right"),
        ("answer: pneumonia", "no_worse_than: [right, wrong]", "no_better_than: [right, wrong]"),
        ("answer: normal", "no_better_than: wrong", "no_worse_than: right"),
        ("answer: pneumonia", "better_than: other", "worse_than: other"),
    ],
)
def test_what_may_be_expected(said: str, met: str, not_met: str) -> None:
    for expectation, status in ((met, "passed"), (not_met, "failed")):
        braced = expectation if expectation.startswith("{") else f"{{{expectation}}}"
        other = "- {id: other, completion: '', expect: {total: 0}}\n"
        found = statuses(f"cases:\n{other}- {{{said}, expect: {braced}}}\n")
        assert found == ["passed", status], expectation


def test_a_case_overrides_what_its_file_says() -> None:
    first, second, third = check_text(
        HEAD
        + """
think: Seen.
settings: {weights: {format: 0.5}}
expect: {total: 1.5}
cases:
- {answer: pneumonia}
- {answer: "3", task: retinamnist, target: 3, think: Hm, tolerance: 0.1, expect: {total: 1.45}}
- {answer: pneumonia, settings: {delta: 0}, expect: {correct: true}}
"""
    )
    assert [o.status for o in (first, second, third)] == ["passed"] * 3
    assert first.case.text == "<think>Seen.</think><answer>pneumonia</answer>"
    assert second.case.text == "<think>Hm</think><answer>3</answer>"
    assert third.case.expect == {"total": 1.5, "correct": True}


def test_scores_are_those_of_explain() -> None:
    for outcome in check_file(case_files(["medreward/cases/classification.cases.yaml"])[0])[:60]:
        case, score = outcome.case, outcome.score
        assert score is not None
        assert score == explain(case.text, case.target, task=case.task, knowledge="")


def test_json_lines_hold_the_same(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"defaults": {"task": "retinamnist", "knowledge": "", "target": "2"}},
        {"id": "right one", "answer": "2", "expect": {"correct": True}},
        {"answer": "3\u2028", "expect": {"worse_than": "right one", "prediction": "3"}},
        {"answer": "2", "target": "3", "expect": {"correct": True}, "gap": "not so"},
    ]
    file = tmp_path / "a.cases.jsonl"
    file.write_text("\n\n".join(json.dumps(r, ensure_ascii=False) for r in rows), encoding="utf-8")
    outcomes = check_file(file)
    assert [o.status for o in outcomes] == ["passed", "passed", "gap"]
    assert outcomes[1].case.place == f"{file}, line 5"


def test_readings_are_cases_that_have_no_target_to_hide_behind(mine: str) -> None:
    text = "task: pneumoniamnist\nread:\n  normal: [normal, Normal.]\n  null:\n  - pneumonia?\n"
    assert [o.status for o in check_text(text)] == ["passed"] * 3
    ids = [o.case.id for o in check_text(text)]
    assert ids == ["normal: normal", "normal: Normal.", "none: pneumonia?"]
    assert [o.case.place for o in check_text(text)] == ["cases, line 3"] * 2 + ["cases, line 5"]
    found = check_text(text, f"{mine}:trl")
    assert [o.status for o in found] == ["passed", "failed", "failed"]
    assert [str(f) for f in found[2].findings] == [
        "with target 'pneumonia': less than the honest right answer, 'pneumonia' (1); it is 1"
    ]


def test_a_gap_has_to_be_one() -> None:
    found = check_text(
        HEAD
        + """
cases:
- {answer: normal, expect: {correct: true}, gap: known}
- {answer: pneumonia, expect: {correct: true}, gap: closed}
"""
    )
    assert [o.status for o in found] == ["gap", "failed"]
    assert "take the mark away" in show_outcome(found[1])


TWICE = """cases:
- {id: a, answer: a, expect: &e {correct: false}}
- {id: a, answer: b, expect: *e}
"""
CASES = """
cases:
- {answer: pneumonia, expect: {correct: true, equal_to: right, reasons: correct}}
- {answer: no pneumonia, expect: {correct: false, no_better_than: wrong}}
- {answer: pneumonia, settings: {delta: 0}, expect: {correct: true}}
- {answer: pneumonia, expect: {total: 1.2}}
- {answer: no pneumonia, expect: {correct: false}, gap: of ours}
"""


def test_a_users_reward_is_held_to_what_can_be_judged(mine: str) -> None:
    found = check_text(HEAD + CASES, f"{mine}:trl")
    assert [o.status for o in found] == ["passed", "failed", "skipped", "skipped", "failed"]
    assert [o.unjudged for o in found[:4]] == [("reasons",), (), ("settings",), ("total",)]
    strict = check_text(HEAD + CASES, f"{mine}:verl")
    assert [o.status for o in strict] == ["passed", "passed", "skipped", "skipped", "passed"]
    assert strict[0].earned is not None
    assert strict[0].earned.parts == {"length": 59}


def test_a_file_may_be_about_a_users_reward(mine: str) -> None:
    about = f"reward: '{mine}:verl'\n" + HEAD
    cases = "cases:\n- {answer: pneumonia, expect: {total: 1, parts: {length: 59}}}\n"
    found = check_text(about + cases, f"{mine}:verl")
    assert [o.status for o in found] == ["passed"]
    with pytest.raises(ConfigError, match="settings: they are for the reward 'shaped' only"):
        check_text(about + CASES)


def test_what_a_users_reward_raises_is_shown_and_the_others_are_judged(mine: str) -> None:
    found = check_text(HEAD + CASES, f"{mine}:raises")
    assert [o.status for o in found] == ["passed", "error", "skipped", "skipped", "error"]
    said = show_outcome(found[1])
    for words in ("KeyError: 'boom'", "mine.py", "cases, line 7, case 'no pneumonia'"):
        assert words in said


def test_a_failure_shows_completion_parts_reasons_and_what_was_expected() -> None:
    (outcome,) = check_text(
        HEAD
        + 'cases:\n- {completion: "<answer>a\\u200b</answer>", expect: {correct: true}, note: hm}\n'
    )
    assert show_outcome(outcome).splitlines() == [
        "cases, line 5: case '<answer>a\\u200b</answer>', task pneumoniamnist",
        "  about       hm",
        "  completion  '<answer>a\\u200b</answer>'",
        "  target      'pneumonia'",
        "  total       +0.0000",
        "  parts       accuracy +0.0000, format +0.0000, recitation +0.0000",
        "  read as     (nothing)",
        "  reason      label_unknown: the answer names no label of the task",
        "  reason      no_think_tag: there is neither <think> nor </think>",
        "  unread      'a' is a word that is known, but not understood in this place",
        "  expected    correct: true; it is false",
    ]
    assert as_dict(outcome)["expected"] == ["correct: true"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there are no cases"),
        ("- a", "is not a mapping"),
        ("cases: {}", "cases: {} is not a list"),
        ("cases: [", "line 1, column 9: expected the node content"),
        ("caes: []", "field: 'caes' is not one of .*; did you mean 'cases'"),
        ("signature: TRL", "signature: 'TRL' is not one of trl"),
        ("cases:\n- {answer: a, target: x, expect: {correct: true}}", "line 2: task: missing"),
        ("task: pneumoniamnist\ncases:\n- {answer: a}", "line 3: target: missing"),
        (HEAD + TWICE, "line 6: id 'a' is also at cases, line 5"),
        (HEAD + "read:\n  flu: [a]", "line 5: task 'pneumoniamnist': target 'flu'"),
        (HEAD + "read:\n  normal: a", "read.normal: 'a' is not a list"),
        (HEAD + "read: [a]", "read: \\['a'\\] is not a mapping"),
        ("task: chestmnist\nread:\n  mass: [mass]", "a multilabel task has no single label"),
        ("task: {name: x, kind: classification}\nread:\n  a: [b]", "task: question: missing"),
        ("task: pneumnia\nread:\n  a: [b]", "task: 'pneumnia' is not one of"),
    ],
)
def test_a_mistake_in_a_file_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_cases(text)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("{answer: a}", "expect: missing"),
        (
            "{id: b, answer: a, expect: {corect: true}}",
            "case 'b': expect: field: 'corect' .* 'correct'",
        ),
        ("{answer: a, expects: {}}", "did you mean 'expect'"),
        ("{answer: a, expect: {correct: 1}}", "expect.correct: 1 is neither"),
        ("{answer: a, expect: {total: much}}", "expect.total: 'much' is not a finite"),
        ("{answer: a, expect: {total: .nan}}", "expect.total: nan"),
        ("{answer: a, expect: {reasons: corect}}", "did you mean 'correct'"),
        ("{answer: a, expect: {prediction: flu}}", "expect.prediction: task"),
        ("{answer: a, expect: {better_than: b}}", "better_than: 'b' is not one of right, wrong"),
        ("{answer: a, expect: {parts: 1}}", "expect.parts: 1 is not a mapping"),
        (
            "{answer: no, expect: {correct: true}}",
            "answer: False is not a text \\(put it in quotes",
        ),
        ("{answer: a, completion: a, expect: {correct: true}}", "either completion or answer"),
        ("{expect: {correct: true}}", "either completion or answer"),
        ("{completion: [a], expect: {correct: true}}", "completion: \\['a'\\] is not a text"),
        ("{answer: a, target: flu, expect: {correct: true}}", "target 'flu' is not one"),
        ("{answer: a, settings: {decay: linar}, expect: {correct: true}}", "did you mean 'linear'"),
        ("{answer: a, tolerance: -1, expect: {correct: true}}", "tolerance: -1"),
        ("{id: right, answer: a, expect: {correct: true}}", "stands for the honest right"),
        ("3", "case: 3 is not a mapping"),
        ("{answer: a, gap: '', expect: {correct: true}}", "gap: '' is not a non-empty"),
    ],
)
def test_a_mistake_in_a_case_is_named_with_its_line(case: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^cases, line 5: .*{message}"):
        parse_cases(f"{HEAD}cases:\n- {case}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1: not JSON"),
        ('\n{"answer": "a"}', "line 2: task: missing"),
        ('{"defaults": 1}', "line 1: defaults: 1 is not a mapping"),
        ('{"defaults": {"caes": 1}}', "'caes' is not one of"),
        (
            '{"defaults": {"target": 1}}\n{"defaults": {}}',
            "line 2: case: field: 'defaults' is not one of",
        ),
    ],
)
def test_a_mistake_in_json_lines_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_cases(text, "cases", json_lines=True)


FIELDS = [*FILE_FIELDS, *CASE_FIELDS, *EXPECTATIONS, "normal", "pneumonia", "name", "<<"]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats()
    | st.sampled_from(["pneumonia", "right", "shaped", "retinamnist", "no_answer", "2020-01", ""])
    | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(FILE_FIELDS), VALUES, max_size=4),
    st.dictionaries(st.sampled_from(CASE_FIELDS), VALUES, max_size=4),
)
def test_whatever_stands_in_a_file_is_read_or_is_a_wrong_configuration(
    head: dict[str, Any], case: dict[str, Any]
) -> None:
    valid: dict[str, Any] = {"task": "pneumoniamnist", "target": "normal", "cases": [case]}
    basis = {"answer": "normal", "expect": {"correct": True}}
    for content in (head, valid | head, valid | {"cases": [basis | case]}, {"defaults": head}):
        for json_lines in (False, True):
            with suppress(ConfigError):
                parse_cases(json.dumps(content), "cases", json_lines=json_lines)


@given(st.text(alphabet="cases:read- {}[]&*!<>\n\"'|null answer", max_size=60))
def test_any_text_is_a_case_file_or_a_wrong_configuration(text: str) -> None:
    with suppress(ConfigError):
        parse_cases(text)


def test_a_card_beside_the_file_and_files_that_are_missing(tmp_path: Path) -> None:
    card = "name: side\nkind: classification\nquestion: Which?\nlabels: [left, right]\n"
    (tmp_path / "side.yaml").write_text(card, encoding="utf-8")
    text = "task: side.yaml\nread:\n  left: [Left]\n"
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "side.cases.yaml").write_text("task: ../side.yaml\n" + text[16:], "utf-8")
    assert [o.status for o in check_file(tmp_path / "sub" / "side.cases.yaml")] == ["passed"]
    assert case_files([tmp_path]) == [tmp_path / "sub" / "side.cases.yaml"]
    with pytest.raises(ConfigError, match="cannot be read"):
        load_cases(tmp_path / "none.cases.yaml")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="no case files"):
        case_files([tmp_path / "empty"])


def test_honest_answers_of_every_kind() -> None:
    assert honest_answers(Task.load("retinamnist"), "1") == ("1", "4")
    assert honest_answers(Task.load("pneumoniamnist"), 0) == ("normal", "pneumonia")
    assert honest_answers(Task.load("chestmnist"), ["mass", "effusion"])[0] == "effusion, mass"
    right, wrong = honest_answers(Task.load("mni152_brain_box"), "[[1, 2, 30, 40]]")
    assert json.loads(right) == [[1, 2, 30, 40]]
    assert right != wrong


def test_the_command(tmp_path: Path, mine: str, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.cases.yaml", tmp_path / "bad.cases.yaml"
    good.write_text(HEAD + CASES.replace(", gap: of ours", ""), encoding="utf-8")
    assert main(["check", str(good)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "5 cases: 5 passed"
    assert main(["check", str(tmp_path), "-v"]) == 0
    assert "PASSED" in capsys.readouterr().out
    assert main(["check", str(good), "--reward", f"{mine}:trl", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["counts"] == {"passed": 1, "failed": 2, "error": 0, "gap": 0, "skipped": 2}
    assert said["cases"][1]["found"] == ["1", "1"]
    bad.write_text(HEAD + "cases:\n- {answer: normal, expect: {correct: true}}\n", encoding="utf-8")
    assert main(["check", str(bad)]) == 1
    assert "expected    correct: true; it is false" in capsys.readouterr().out
    assert main(["check", str(bad), "--reward", "nowhere:f"]) == 2
    assert "reward 'nowhere:f' cannot be loaded" in capsys.readouterr().err
    bad.write_text("cases: 1", encoding="utf-8")
    assert main(["check", str(good), str(bad)]) == 2


def test_the_command_takes_the_cases_of_a_task(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "two.cases.yaml"
    file.write_text(
        HEAD + "cases:\n- {answer: pneumonia, expect: {correct: true}}\n"
        "- {task: retinamnist, target: 2, answer: '2', expect: {correct: false}}\n"
    )
    assert main(["check", str(file)]) == 1
    capsys.readouterr()
    assert main(["check", str(file), "--task", "pneumoniamnist"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 case: 1 passed"
    assert main(["check", str(file), "--task", "retinamist"]) == 2
    said = "'retinamist' is not one of pneumoniamnist, retinamnist; did you mean 'retinamnist'?"
    assert said in capsys.readouterr().err


def test_numbers_of_a_users_reward_are_judged_on_demand(
    tmp_path: Path, mine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "numbers.cases.yaml"
    file.write_text(
        HEAD + "cases:\n- {answer: pneumonia, expect: {total: 99}}\n"
        "- {answer: pneumonia, expect: {correct: true, parts: {length: 59}, reasons: correct}}\n"
    )
    words = ["check", str(file), "--reward", f"{mine}:verl"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "1 passed, 1 skipped (1 of them in part only)" in said
    assert "not judged: total, parts: numbers are judged where the file's head names" in said
    assert "not judged: reasons: only medreward's reward gives reasons" in said
    assert main([*words, "--numbers"]) == 1
    said = capsys.readouterr().out
    assert "expected    a total of 99 (± 1e-06); it is 1" in said
    assert "1 passed, 1 failed (1 of them in part only)" in said


def test_what_a_reward_returns_is_said_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "none.py").write_text("def nothing(completion, target):\n    return None\n")
    file = tmp_path / "a.cases.yaml"
    file.write_text(HEAD + "cases:\n- {answer: pneumonia, expect: {correct: true}}\n")
    assert main(["check", str(file), "--reward", f"{tmp_path / 'none.py'}:nothing"]) == 1
    said = capsys.readouterr().out
    assert "the reward returns None, which is not a finite number" in said
    assert "Traceback" not in said
    assert main(["check", str(file), "--reward", f"{tmp_path / 'none.py'}:nohing"]) == 2
    said = capsys.readouterr().err
    assert "none.py: 'nohing' is not one of nothing; did you mean 'nothing'?" in said


def test_a_reward_that_a_file_names_is_beside_the_file(tmp_path: Path, mine: str) -> None:
    file = tmp_path / "about.cases.yaml"
    case = "cases:\n- {answer: pneumonia, expect: {total: 1}}\n"
    file.write_text("reward: mine.py:verl\n" + HEAD + case, encoding="utf-8")
    assert [o.status for o in check_file(file, mine + ":verl")] == ["passed"]
    with pytest.raises(ConfigError, match=r"a case file runs nothing by itself"):
        check_file(file)


@pytest.mark.parametrize("reward", ["os:popen", "os.system", "builtins:exec", "mine.py:runs"])
def test_a_case_file_runs_nothing(
    tmp_path: Path,
    reward: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("open('PWNED', 'w')\ndef runs(x, y): return 0.0\n")
    file = tmp_path / "bad.cases.yaml"
    head = f"reward: '{reward}'\nsignature: plain\n{HEAD}"
    completion = "cases:\n- {completion: touch PWNED, expect: {total: 0}}\n"
    file.write_text(head + completion, encoding="utf-8")
    assert main(["check", str(file)]) == 2
    said = capsys.readouterr().err
    assert "a case file runs nothing by itself" in said
    assert "--reward" in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "PWNED").exists()


def test_a_reward_in_the_working_directory_is_found(tmp_path: Path, mine: str) -> None:
    (tmp_path / "a.cases.yaml").write_text(HEAD + CASES, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "medreward", "check", "a.cases.yaml", "--reward", "mine.verl"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
