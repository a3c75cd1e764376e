"""Answers that an attacker found to be paid, and that are not: one line each in tests/golden.

Beside them honest answers of the same attackers, which stay paid whatever is closed.

They were searched for by machine over cards of all kinds in English, German and Chinese: denials in
part, doubts, other times and places, verdicts between marks, words and fields that turn an answer
round, numbers of other things, words that are a letter away.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import yaml

from medreward import Task, explain
from medreward.kinds.right_answers import completion_with, right_answer

FILE = Path(__file__).parent / "golden" / "found_attacks.jsonl"
LINES = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]
HONEST = [
    json.loads(line)
    for line in FILE.with_name("honest_answers.jsonl").read_text(encoding="utf-8").splitlines()
]
PARTS = 8


Load = Callable[[str], Task]


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    """Return what loads a shipped task by its name, or a card in YAML."""
    folder = tmp_path_factory.mktemp("cards")

    @cache
    def task(text: str) -> Task:
        if ":" not in text:
            return Task.load(text)
        fields = {"name": "card", "kind": "classification", "question": "What is it?"}
        path = folder / f"{len(list(folder.iterdir()))}.yaml"
        path.write_text(yaml.safe_dump({**fields, **yaml.safe_load(text)}), encoding="utf-8")
        return Task.load(path)

    return task


@pytest.mark.parametrize("part", range(PARTS))
def test_no_answer_that_was_found_is_paid(part: int, load: Load) -> None:
    paid = []
    for line in LINES[part::PARTS]:
        task = load(line["card"])
        score = explain(line["answer"], line["target"], task=task, knowledge="")
        if score.parts["accuracy"] > 0:
            paid.append((line["card"], line["target"], line["answer"], score.parts["accuracy"]))
    assert paid == []


def test_the_right_answers_to_the_same_targets_are_paid(load: Load) -> None:
    assert len(LINES) > 1_500
    for line in LINES:
        task = load(line["card"])
        said = completion_with(right_answer(task, line["target"]))
        assert explain(said, line["target"], task=task, knowledge="").parts["accuracy"] == 1, line


def test_honest_answers_are_paid(load: Load) -> None:
    assert len(HONEST) > 500
    unpaid = []
    for line in HONEST:
        said = f"<think>hm</think><answer>{line['answer']}</answer>"
        score = explain(said, line["target"], task=load(line["card"]), knowledge="")
        if score.parts["accuracy"] < 1:
            unpaid.append((line["card"], line["answer"], score.reasons, score.unread))
    assert unpaid == []
