"""The text of an answer: words, numbers and marks, and what is not the same as what."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from medreward.language.answer_text import fold_answer, split_answer
from medreward.language.understanding import part_of


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Pneumoni\u0301a", "pneumonia"),
        ("PNEUMON\u00cdA", "pneumonia"),
        ("\uff30neumonia", "pneumonia"),
        ("pneu\u00admonia", "pneumonia"),
        ("ab\u200bnormal", "abnormal"),
        ("no\u00a0pneumonia", "no pneumonia"),
        ("isn\u2019t", "isn't"),
        ("non\u2011malignant", "non-malignant"),
        ("2\u20133", "2-3"),
        ("\u2461", "2"),
        ("Stra\u00dfe", "strasse"),
        ("n<b>o</b> finding", "no finding"),
        ("&#110;o", "no"),
        ("\\boxed{2}", " {2}"),
        ("pneumonia</s>", "pneumonia"),
        ("pneumonia<|im_end|>\n", "pneumonia"),
    ],
)
def test_what_a_page_shows_is_read(text: str, folded: str) -> None:
    assert fold_answer(text) == folded


@pytest.mark.parametrize(
    "text",
    [
        *(
            "\u2260",
            "\u00b2",
            "p\u0336",
            "\u202e",
            "\U0001f170",
            "\x00",
            "~~",
            "<s>",
            "\u00bd",
            "\u0440",
        ),
        *("\\xmark", "\u2204", "\u20e0"),
    ],
)
def test_what_is_another_character_stays(text: str) -> None:
    assert fold_answer(text) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("non-malignant", ("nonmalignant",)),
        ("non malignant", ("nonmalignant",)),
        ("ab normal", ("abnormal",)),
        ("benign-appearing", ("benign", "appearing")),
        ("isn't", ("isn't",)),
        ("0.95 and 2.0", ("0.95", "and", "2")),
        ("1. normal", ("1", "normal")),
        ("normal_chest", ("normal", "chest")),
        ("90 % 5% 2mm 3\u00d74", ("90%", "5%", "2mm", "3", "4")),
        ("\u80ba\u708e2\u7ea7", ("\u80ba", "\u708e", "2", "\u7ea7")),
        ("...", ()),
    ],
)
def test_splitting(text: str, words: tuple[str, ...]) -> None:
    assert split_answer(text).words == words


def test_a_part_of_a_text_has_its_capitals_at_their_places() -> None:
    text = split_answer("so a, B c. D")
    assert text.capitals == {2, 4}
    assert part_of(text, 1, 4) == split_answer("a, B c. ")
    assert part_of(text, 2, 5) == split_answer("B c. D")


def test_letters_that_are_capitals_are_known() -> None:
    assert split_answer("A or b, then \u24b8").capitals == {0, 4}


@example("A_0")  # a prefix in capitals
@given(st.text(alphabet="aAb\u00e9 n-'._0129%\u200b\u0301\u80ba \n|$<>"))
def test_words_and_gaps_interleave(text: str) -> None:
    words, gaps, capitals = split_answer(text)
    assert len(gaps) == len(words) + 1
    assert all(words)
    assert not any(char.isalnum() for gap in gaps for char in gap)
    assert all(len(words[place]) == 1 for place in capitals)


@given(st.text())
def test_any_text_can_be_split(text: str) -> None:
    assert len(split_answer(text).gaps) == len(split_answer(text).words) + 1
