"""The case library: our own reward meets it, real answers are read, peers' rewards fail it."""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from medreward import Task
from medreward.audit.cases import CaseFile, Judge, Outcome, check_file, load_cases, shipped_cases
from medreward.audit.cases.show import show_outcome
from medreward.kinds.reading import read_label
from medreward.task.registry import kind_names
from tests import peers

FILES = {path.name.partition(".")[0]: path for path in shipped_cases()}
WRITTEN = sorted(name for name in FILES if not name.startswith("readings_"))
LABELS = ("format", "classification", "yes_no", "open_answers")
PEERS = {
    **{peer.__name__: LABELS for peer in peers.LABELLED},
    "yes_no": ("yes_no",),
    **{peer.__name__: ("ordinal",) for peer in peers.GRADES},
    **{peer.__name__: ("multilabel",) for peer in peers.MULTILABEL},
    **{peer.__name__: ("localisation",) for peer in peers.LOCALISATION},
}
PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "cases.md"


@pytest.mark.parametrize("name", sorted(FILES))
def test_our_reward_meets_every_case(name: str) -> None:
    outcomes = check_file(FILES[name])
    assert [show_outcome(outcome) for outcome in outcomes if not outcome.passed] == []
    assert not any(outcome.unjudged for outcome in outcomes)


def test_the_library_covers_every_kind_of_task() -> None:
    cases = [case for name in WRITTEN for case in load_cases(FILES[name]).cases]
    kinds = Counter(case.task.kind for case in cases)
    assert len(cases) >= 300
    assert min(kinds[k] for k in ("classification", "ordinal", "multilabel", "localisation")) >= 40
    assert min(kinds[k] for k in kind_names()) >= 20
    assert sum(case.task.name == "yes_no" for case in cases) >= 80
    assert sum(bool(case.gap) for case in cases) < len(cases) / 50


@cache
def loaded(name: str) -> CaseFile:
    return load_cases(FILES[name])


def misses(outcome: Outcome) -> bool:
    """Whether a case that is not met wanted an honest answer to be paid."""
    expect = outcome.case.expect
    wants_more = "better_than" in expect or "right" in expect.get("equal_to", ())
    return expect.get("correct") is True or wants_more


def peer_row(name: str) -> tuple[int, int, int]:
    """Return how many cases are judged, how many pay too much, how many miss an honest answer."""
    judges = [Judge(loaded(file), f"tests.peers:{name}") for file in PEERS[name]]
    judged = [judge.judge(case) for judge in judges for case in judge.file.cases]
    outcomes = [outcome for outcome in judged if outcome.status != "skipped"]
    failed = [outcome for outcome in outcomes if not outcome.passed]
    assert not any(outcome.error for outcome in failed)
    missed = sum(map(misses, failed))
    return len(outcomes), len(failed) - missed, missed


@pytest.mark.parametrize("name", PEERS)
def test_peers_fail_cases_and_the_docs_say_how_many(name: str) -> None:
    cases, paid, missed = peer_row(name)
    assert paid > 0
    row = re.search(rf"^\| `{name}` \|.*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert row is not None
    assert row[0].split("|")[-5:-1] == [*(f" {n} " for n in (cases, paid, missed, paid + missed))]


@pytest.fixture(scope="module")
def questions(test_data: Path) -> list[dict[str, Any]]:
    """The questions of VQA-RAD with their real answers."""
    file = test_data / "vqa-rad" / "trainset.json"
    rows = json.loads(file.read_text(encoding="utf-8"))
    return [{**row, "answer": str(row["answer"]).strip()} for row in rows]


def test_every_closed_answer_of_vqa_rad_is_read(questions: list[dict[str, Any]]) -> None:
    task = Task.load("yes_no")
    closed = [row["answer"] for row in questions if row["answer_type"].startswith("CLOSED")]
    read = Counter()  # type: ignore[var-annotated]
    for answer in closed:
        label = read_label(answer, task).label
        said = answer.lower()
        assert label == {"no": 0, "yes": 1}.get(said), answer
        read[label] += 1
    assert read[0] > 800
    assert read[1] > 800
    assert read[None] > 90


def test_no_open_answer_of_vqa_rad_is_read_as_yes_or_no(questions: list[dict[str, Any]]) -> None:
    task = Task.load("yes_no")
    answers = {row["answer"] for row in questions if row["answer_type"] == "OPEN"}
    assert len(answers) > 400
    assert [answer for answer in answers if read_label(answer, task).label is not None] == []
    searched = [answer for answer in answers if re.search("yes|no", answer.lower())]
    assert len(searched) >= 20  # what a search for "yes" or "no" anywhere reads as an answer


SAID = ("{}", "{}.", "The answer is {}.", "Answer: {}", "**{}**", "It is {}", "I see {}.")
DENIED = ("not {}", "{} is excluded", "{}?", "{} or something else", "it is not {}")


def test_short_open_answers_of_vqa_rad_are_read_as_labels(
    questions: list[dict[str, Any]],
) -> None:
    """Each real short answer, against another one: said, in capitals, in a sentence, denied.

    Answers that are questions are left out: a question is read as leaving the label open; so are
    yes and no, which are labels only where all are, and "not sure": "It is not sure" denies.
    """
    answers = {row["answer"].lower().rstrip(".") for row in questions}
    short = sorted(
        a
        for a in answers
        if len(a.split()) <= 4 and not a.endswith("?") and not re.match("(yes|no)$|not ", a)
    )
    assert len(short) > 300
    for i, answer in enumerate(short):
        other = short[(i + 97) % len(short)]
        task = Task("vqa", labels=[answer, other])
        for template in SAID:
            assert read_label(template.format(answer), task).label == 0, (template, answer)
            assert read_label(template.format(answer.upper()), task).label == 0, (template, answer)
        for template in DENIED:
            assert read_label(template.format(answer), task).label is None, (template, answer)
