"""Folding: the one form in which texts are compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medreward.text.words import fold, tokenize


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


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text())
def test_tokens_are_folded_words(text: str) -> None:
    assert tokenize(text) == tokenize(fold(text))
