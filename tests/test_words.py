"""Folding: the one form in which texts are compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medreward.text.words import fold, mixes_scripts, split, tokenize


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Pneumonia", "pneumonia"),
        ("Pneumoni\u0301a", "pneumonia"),
        ("PNEUMONÍA", "pneumonia"),
        ("\uff30neumonia", "pneumonia"),
        ("pneu\u00admonia", "pneumonia"),
        ("ab\u200bnormal", "abnormal"),
        ("ab\u2060normal", "abnormal"),
        ("no\u00a0pneumonia", "no pneumonia"),
        ("isn\u2019t", "isn't"),
        ("non\u2011malignant", "non-malignant"),
        ("2\u20133", "2-3"),
        ("\u2460", "1"),
        ("Straße", "strasse"),
        ("\u2260 benign", " not  benign"),
        ("a\x00b\x07", "ab"),
    ],
)
def test_folding(text: str, folded: str) -> None:
    assert fold(text) == folded


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("non-malignant", ("nonmalignant",)),
        ("non malignant", ("nonmalignant",)),
        ("ab normal", ("abnormal",)),
        ("benign-appearing", ("benign", "appearing")),
        ("nonproliferative/non-proliferative", ("nonproliferative", "nonproliferative")),
        ("isn't", ("isn't",)),
        ("0.95 and 2.0", ("0.95", "and", "2")),
        ("1. normal", ("1", "normal")),
        ("normal_chest", ("normal", "chest")),
        ("...", ()),
    ],
)
def test_splitting(text: str, words: tuple[str, ...]) -> None:
    assert split(text).words == words


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text(alphabet="aAbé n-'._0129\u200b\u0301 \n"))
def test_words_and_gaps_interleave(text: str) -> None:
    words, gaps = split(text)
    assert len(gaps) == len(words) + 1
    assert all(words)
    assert not any(char.isalnum() for gap in gaps for char in gap)


@given(st.text())
def test_tokens_are_folded_words(text: str) -> None:
    assert tokenize(text) == tokenize(fold(text))


@pytest.mark.parametrize(
    ("word", "mixed"),
    [("normal", False), ("n\u043ermal", True), ("\u043dormal", True), ("норма", False)],
)
def test_homoglyphs_mix_scripts(word: str, mixed: bool) -> None:
    assert mixes_scripts(word) is mixed
