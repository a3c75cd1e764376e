"""The benchmark of the reader: its answers are well labelled, and its counts are right."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binomtest

from benchmarks.reading import vqa_rad
from benchmarks.reading.command import main
from benchmarks.reading.judge import Outcome, completion, judge
from benchmarks.reading.labelled import FORMS, LabelledAnswer, read_answers, truth_of
from benchmarks.reading.report import Share, count_shares, groups
from medreward import ConfigError, explain
from medreward.kinds.base import kind_of
from medreward.task.traits import Trait

SHIPPED = Path(__file__).parents[1] / "benchmarks" / "reading" / "answers"
CHOICE = {"name": "choice", "labels": ["A", "B", "C", "D"]}
TINY: list[dict[str, Any]] = [
    {"task": "pneumoniamnist", "answer": "Normal.", "expected": "normal", "short": True},
    {"task": "pneumoniamnist", "answer": "normal", "expected": "pneumonia"},
    {"task": "pneumoniamnist", "answer": "xyz", "expected": "pneumonia"},
    {"task": "pneumoniamnist", "answer": "pneumonia", "expected": None, "why": "a test"},
    {"task": "pneumoniamnist", "answer": "xyz xyz", "expected": None, "why": "a test"},
    {"task": CHOICE, "answer": "B", "expected": "B", "short": True},
    {"task": "icdr", "answer": "2", "expected": "2", "short": True},
    {"task": "chestmnist", "answer": "effusion, mass", "expected": ["effusion", "mass"]},
    {"task": "chestmnist", "answer": "effusion", "expected": ["effusion", "mass"]},
    {"task": "chestmnist", "answer": "no finding", "expected": []},
    {"task": "chestmnist", "answer": "mass", "expected": None, "why": "a test"},
    {"task": "grounding_point", "answer": "[[20, 30]]", "expected": [[20, 30]]},
    {"task": "grounding_where", "answer": "[[1, 2, 3, 4]]", "expected": [[1, 2, 3, 4]]},
    {
        "task": "grounding_where",
        "answer": "[[1, 2, 3, 4]]",
        "expected": None,
        "why": "a test",
        "target": [[1, 2, 3, 4]],
    },
    {"task": "yes_no", "answer": "yes", "expected": "no", "disputed": True},
]
OUTCOMES = [
    Outcome.RIGHT,
    Outcome.WRONG,
    Outcome.MISSED,
    Outcome.PAID,
    Outcome.UNPAID,
    Outcome.RIGHT,
    Outcome.RIGHT,
    Outcome.RIGHT,
    Outcome.WRONG,
    Outcome.RIGHT,
    Outcome.PAID,
    Outcome.RIGHT,
    Outcome.RIGHT,
    Outcome.PAID,
    Outcome.WRONG,
]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    lines = [json.dumps({"id": f"t{i}", "form": "label", **row}) for i, row in enumerate(rows)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def shipped() -> list[LabelledAnswer]:
    answers: list[LabelledAnswer] = read_answers([SHIPPED])
    return answers


def test_outcomes_of_a_tiny_file(tmp_path: Path) -> None:
    readings = judge(read_answers([write(tmp_path / "tiny.jsonl", TINY)]))
    assert [reading.outcome for reading in readings] == OUTCOMES
    named = groups(readings)
    shares = count_shares(named["set"]["all"])
    assert {o: (s.count, s.total) for o, s in shares.items()} == {
        "read and right": (7, 10),
        "read and wrong": (2, 10),
        "not read": (1, 10),
        "rightly unpaid": (1, 4),
        "paid for nothing": (3, 4),
    }
    assert len(named["set"]["short honest"]) == 3
    assert len(named["set"]["disputed"]) == 1
    assert "yes_no" not in named["task"], "a disputed answer is counted by itself"


def test_the_command_says_what_went_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "tiny.jsonl", TINY)
    main([str(tmp_path)])
    text = capsys.readouterr().out
    assert "| all | 10 | 7 = 70.0% (39.7%-89.2%) |" in text
    assert "t3 (pneumoniamnist) 'pneumonia': read as 'pneumonia'" in text
    assert "t2 (pneumoniamnist) 'xyz': not read [" in text
    main([str(tmp_path), "--json"])
    report = json.loads(capsys.readouterr().out)["answers"]
    assert [row["outcome"] for row in report["answers"]] == OUTCOMES
    assert report["shares"]["set"]["all"]["read and right"]["count"] == 7


@pytest.mark.parametrize(("count", "total"), [(0, 10), (7, 10), (10, 10), (97, 100), (1, 1)])
def test_intervals_are_wilsons(count: int, total: int) -> None:
    theirs = binomtest(count, total).proportion_ci(0.95, method="wilson")
    assert Share(count, total).interval == pytest.approx((theirs.low, theirs.high), abs=1e-7)


def test_an_interval_of_nothing_is_everything() -> None:
    assert Share(0, 0).interval == (0, 1)
    assert str(Share(0, 0)) == "-"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"form": "lable"}, r"bad\.jsonl, line 1: form: 'lable' is none of label"),
        ({"expected": "pnuemonia"}, r"line 1: .*pnuemonia"),
        ({"task": "pneumonia"}, r"line 1: task: .*pneumoniamnist"),
        ({"expected": None}, "why: missing"),
        ({"expected": None, "why": "x", "short": True}, "short: true"),
        ({"task": "grounding_where", "expected": None, "why": "x"}, "target: missing"),
        ({"note": "x"}, r"unknown: \['note'\]"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    base = {"task": "pneumoniamnist", "answer": "normal", "expected": "normal"}
    with pytest.raises(ConfigError, match=message):
        read_answers([write(tmp_path / "bad.jsonl", [{**base, **row}])])


def test_no_file_and_equal_ids_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_answers([tmp_path / "none.jsonl"])
    file = write(tmp_path / "tiny.jsonl", TINY)
    with pytest.raises(ConfigError, match="'t0' is there twice"):
        read_answers([file, file])
    with pytest.raises(SystemExit, match="no such file"):
        main(["--vqa-rad", str(tmp_path)])


def test_shipped_answers_are_of_all_forms_and_kinds(shipped: list[LabelledAnswer]) -> None:
    honest = [answer for answer in shipped if answer.expected is not None]
    assert len(honest) >= 330
    assert len(shipped) - len(honest) >= 120
    assert {answer.form for answer in shipped} == set(FORMS)
    kinds = Counter(answer.task.kind for answer in honest)
    assert {"classification", "ordinal", "multilabel", "localisation", "pointing"} <= set(kinds)
    pairs = Counter((answer.task.name, answer.answer) for answer in shipped)
    assert [pair for pair, count in pairs.items() if count > 1] == []


def test_what_is_expected_is_of_the_card(shipped: list[LabelledAnswer]) -> None:
    """What a shipped answer is said to mean, written as the prompt asks for it, is right."""
    for answer in shipped:
        if answer.expected is None:
            continue
        if Trait.ONE_ANSWER in answer.task.traits:
            assert answer.expected in answer.task.index_of_name, answer.id
        kind, target = kind_of(answer.task), answer.task.parse_target(truth_of(answer))
        right = kind.right(answer.task, target, answer.task.reward)
        score = explain(completion(right), truth_of(answer), task=answer.task)
        assert score.correct, answer.id


def test_labels_of_a_set_are_sorted_and_there(shipped: list[LabelledAnswer]) -> None:
    for answer in shipped:
        if isinstance(answer.expected, list) and Trait.NAMES_LABELS in answer.task.traits:
            names = [name for name in answer.expected if isinstance(name, str)]
            assert names == sorted(names), answer.id
            assert set(names) <= set(answer.task.index_of_name), answer.id


# "benigno" is as near to "benign" as a typo is.
PAID_FOR_NOTHING = {"busi-067"}


def test_short_honest_answers_are_read_and_nothing_else_is_paid(
    shipped: list[LabelledAnswer],
) -> None:
    readings = judge(shipped)
    assert [reading.answer for reading in readings] == shipped
    short = count_shares(groups(readings)["set"]["short honest"])
    assert short["read and right"].count >= 0.97 * short["read and right"].total
    of = {outcome: {r.answer.id for r in readings if r.outcome is outcome} for outcome in Outcome}
    disputed = {answer.id for answer in shipped if answer.disputed}
    assert of[Outcome.WRONG] == set()
    assert of[Outcome.PAID] - disputed == PAID_FOR_NOTHING


def test_answers_of_vqa_rad_are_read(test_data: Path) -> None:
    """Right answers in several forms, with the ends of what is read and what is not."""
    measured, _ = vqa_rad.labelled(test_data / "vqa-rad")
    for name, forms in measured.items():
        for form, answers in forms.items():
            shares = count_shares(judge(answers))
            assert shares["read and wrong"].count == 0, (name, form)
            assert shares["paid for nothing"].count == 0, (name, form)
            if form != "sentence":
                assert shares["not read"].count <= 0.03 * len(answers), (name, form)


def test_answers_of_vqa_rad_are_labelled_by_themselves(test_data: Path) -> None:
    measured, left_out = vqa_rad.labelled(test_data / "vqa-rad")
    assert set(measured) == {"closed", "open", "near", "absent", "denied"}
    assert len(measured["closed"]["as it is"]) == 1713
    assert 300 < len(measured["closed"]["sentence"]) < 400
    assert len(measured["open"]["as it is"]) > 400
    assert left_out["closed, neither yes nor no"] == 110
    for row in measured["open"]["as it is"]:
        assert [row.task.labels[0].name, len(row.task.labels)] == [row.expected, vqa_rad.GROUP]
    for row in measured["absent"]["as it is"]:
        assert row.expected is None
        assert " ".join(row.answer.split()) not in row.task.index_of_name
