"""Agreement with evaluation suites: on clean answers by all, and a table in docs of where not."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from medreward import Task, explain
from medreward.kinds.right_answers import completion_with
from medreward.runs.others_rules import CHOICE, CLOSED, NONE

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "questions.md"
OPTIONS = ("Normal", "Pneumonia", "Pleural effusion", "Pneumothorax")
CARD, SHORT = Task.load("multiple_choice"), Task.load("short_answer")


def ours(answer: str) -> str:
    score = explain(completion_with(answer), {"options": OPTIONS, "answer": "B"}, task=CARD)
    return score.prediction or NONE


def ours_closed(answer: str) -> str:
    score = explain(completion_with(answer), "yes", task=SHORT)
    return score.prediction or NONE


def table(heading: str) -> list[list[str]]:
    """Return the rows of the first table behind a heading, code marks taken away."""
    text = PAGE.read_text(encoding="utf-8").split(heading, 1)[1]
    lines = itertools.dropwhile(lambda line: not line.startswith("|"), text.splitlines())
    found = [*itertools.takewhile(lambda line: line.startswith("|"), lines)]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in found]


@pytest.mark.parametrize("letter", "ABCD")
def test_all_agree_on_clean_letters(letter: str) -> None:
    """The intersection: a letter alone, and a letter with its text."""
    option = OPTIONS["ABCD".index(letter)]
    for name, read in CHOICE.items():
        if name != "PMC-VQA":  # compares with the options' texts only
            assert read(letter, OPTIONS) == letter == ours(letter), name
        assert read(option, OPTIONS) in (letter, NONE), name
    assert ours(option) == ours(f"{letter}. {option}") == letter
    for name in ("VLMEvalKit", "MedXpertQA", "MedVLThinker"):
        assert CHOICE[name](f"{letter}. {option}", OPTIONS) == letter, name


def test_all_agree_on_yes_and_no() -> None:
    for answer, wanted in itertools.product(("{}", "{}."), ("yes", "no")):
        said = answer.format(wanted.capitalize())
        assert [read(said) for read in CLOSED.values()] == [wanted] * len(CLOSED)
        assert ours_closed(said) == wanted


def test_the_table_of_options_is_true() -> None:
    head, _, *rows = table("### Multiple choice, beside the suites")
    assert head == ["answer", "medreward", *CHOICE]
    assert len(rows) >= 15
    for answer, said, *others in rows:
        text = answer.replace("\\n", "\n")
        assert ours(text) == said, answer
        assert [read(text, OPTIONS) for read in CHOICE.values()] == others, answer


def test_the_table_of_yes_and_no_is_true() -> None:
    head, _, *rows = table("### Yes and no, beside the suites")
    assert head == ["answer", "medreward", *CLOSED]
    assert len(rows) >= 8
    for answer, said, *others in rows:
        assert ours_closed(answer) == said, answer
        assert [read(answer) for read in CLOSED.values()] == others, answer


def test_we_never_read_an_option_that_no_suite_reads() -> None:
    """On what the table has; what we read more strictly is said there."""
    _, _, *rows = table("### Multiple choice, beside the suites")
    for answer, said, *others in rows:
        assert said == NONE or said in others, answer
    assert re.search(r"medreward reads none", PAGE.read_text(encoding="utf-8"))
