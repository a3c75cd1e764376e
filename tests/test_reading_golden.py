"""What answers are read as does not change unseen (`tests/reading_golden.py`)."""

from __future__ import annotations

import json

import pytest

from tests.reading_golden import FOLDER, RULES, certainty_of, claims_of, reading_of


def lines_of(name: str) -> list[str]:
    return (FOLDER / name).read_text(encoding="utf-8").splitlines()


def test_what_tokens_say_of_labels_is_as_it_was() -> None:
    lines = [line.split("\t") for line in lines_of("grammar.tsv")]
    assert len(lines) > 10_000
    changed = [
        (name, signs, said, claims_of(signs, RULES[name]))
        for name, signs, said in lines
        if claims_of(signs, RULES[name]) != said
    ]
    assert changed == []
    understood = [said for _, _, said in lines if not said.startswith("!")]
    assert len(understood) > 2_000


def test_what_shares_become_is_as_it_was() -> None:
    lines = [line.split("\t") for line in lines_of("certainty.tsv")]
    assert len(lines) > 4_000
    assert [line for line in lines if certainty_of(line[0]) != line[1]] == []


@pytest.mark.parametrize("block", range(4))
def test_what_answers_are_read_as_is_as_it_was(block: int) -> None:
    lines = [json.loads(line) for line in lines_of("readings.jsonl")][block::4]
    assert len(lines) > 2_000
    changed = [
        (name, text, said, found)
        for name, text, *said in lines
        if (found := [*reading_of(name, text)]) != said
    ]
    assert changed == []
