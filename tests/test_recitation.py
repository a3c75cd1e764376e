"""R_recite equals nltk's BLEU, and counts the knowledge once a group."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from medreward import Task, explain
from medreward.scoring.parts import recitation
from medreward.scoring.parts.recitation import ORDER, Reference, reference
from medreward.text.words import tokenize

KNOWLEDGE = Task.load("pneumoniamnist").knowledge_text()
METHOD1 = SmoothingFunction().method1


def nltk_bleu(knowledge: str, text: str) -> float:
    return float(sentence_bleu([tokenize(knowledge)], tokenize(text), smoothing_function=METHOD1))


@pytest.mark.parametrize(
    ("text", "bleu"),
    [
        (KNOWLEDGE, 1.0),
        (KNOWLEDGE.upper() + "!!!", 1.0),
        ("", 0.0),
        ("...", 0.0),
        ("zzz yyy", 0.0),
    ],
)
def test_golden_values(text: str, bleu: float) -> None:
    assert Reference(KNOWLEDGE).bleu(text) == pytest.approx(bleu, abs=1e-15)


@pytest.mark.parametrize(
    "text",
    [
        "lungs",
        "both lungs",
        "the two sides",
        "Bacterial pneumonia typically shows a focal lobar consolidation.",
        "a a a a a a a a a a",
        "I see a focal opacity in the right lower lobe, which suggests bacterial pneumonia.",
        KNOWLEDGE * 3,
        KNOWLEDGE[: len(KNOWLEDGE) // 2],
    ],
)
def test_equal_to_nltk_on_real_knowledge(text: str) -> None:
    assert Reference(KNOWLEDGE).bleu(text) == pytest.approx(nltk_bleu(KNOWLEDGE, text), abs=1e-12)


sentences = st.lists(st.sampled_from("a b c d lung opacity no é".split()), max_size=30).map(
    " ".join
)


@given(sentences.filter(bool), sentences)
def test_equal_to_nltk(knowledge: str, text: str) -> None:
    bleu = Reference(knowledge).bleu(text)
    assert bleu == pytest.approx(nltk_bleu(knowledge, text), abs=1e-12)
    assert 0.0 <= bleu <= 1.0


words = st.lists(st.sampled_from("a b c d e".split()), max_size=40)


@given(words, st.lists(words, min_size=1, max_size=5))
def test_matches_are_those_of_counted_n_grams(knowledge: list[str], texts: list[list[str]]) -> None:
    def counted(tokens: list[str], n: int) -> Counter[tuple[str, ...]]:
        return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))

    found = Reference(" ".join(knowledge))._matches(texts)
    for n, matches in enumerate(found, start=1):
        known = counted(knowledge, n)
        assert matches.tolist() == [(counted(text, n) & known).total() for text in texts]
    assert n == ORDER


@given(sentences.filter(bool), st.lists(sentences, max_size=200))
def test_a_batch_equals_its_texts_one_by_one(knowledge: str, texts: list[str]) -> None:
    counted = Reference(knowledge)
    assert counted.bleus(texts) == [counted.bleu(text) for text in texts]


def test_long_knowledge_is_counted_in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [KNOWLEDGE[: 40 * n] for n in range(20)]
    at_once = Reference(KNOWLEDGE).bleus(texts)
    monkeypatch.setattr(recitation, "_MOST_COUNTS", 1)
    assert Reference(KNOWLEDGE).bleus(texts) == at_once


def test_a_groups_knowledge_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []

    class Counting(Reference):
        def __init__(self, text: str) -> None:
            counted.append(text)
            super().__init__(text)

    monkeypatch.setattr(recitation, "Reference", Counting)
    reference.cache_clear()
    group = [f"<think>Opacity {i} in both lungs.</think><answer>normal</answer>" for i in range(8)]
    explain(group, 0, task="pneumoniamnist", knowledge="Look at both lungs.")
    explain(group[:2], 0, task="pneumoniamnist", knowledge=["Look at both lungs.", "Other."])
    reference.cache_clear()
    assert counted == ["Look at both lungs.", "Other."]


RECITED = f"<think>{KNOWLEDGE}</think><answer>{{}}</answer>"


@pytest.mark.parametrize(
    ("answer", "delta", "part"),
    [
        ("pneumonia", 1, 1.0),
        ("pneumonia", -1, -1.0),
        ("pneumonia", 0, 0.0),
        ("normal", 1, 1.0),
        ("normal", -1, -1.0),
        ("who knows", 1, 0.0),
        ("who knows", -1, -1.0),
        ("normal or pneumonia", -1, -1.0),
        ("normal or pneumonia", 1, 0.0),
        ("possibly pneumonia", 1, 0.0),
        ("possibly pneumonia", -1, -1.0),
        ("", 1, 0.0),
        ("", -1, -1.0),
        ("who knows", 0, 0.0),
    ],
)
def test_the_penalty_charges_every_answer_and_the_reward_pays_what_can_be_read(
    answer: str, delta: int, part: float
) -> None:
    score = explain(RECITED.format(answer), "pneumonia", task="pneumoniamnist", delta=delta)
    assert score.parts["recitation"] == pytest.approx(part, abs=1e-12)
    reasons = {1.0: "recitation_rewarded", -1.0: "recitation_penalised"}
    named = [r for r in score.reasons if r.startswith("recitation")]
    assert named == ([reasons[part]] if part else [])


@pytest.mark.parametrize(
    "text",
    [
        f"{KNOWLEDGE}<answer>normal</answer>",
        f"<answer>normal</answer>{KNOWLEDGE}",
        f"<think>x</think>{KNOWLEDGE}<answer>normal</answer>",
    ],
)
def test_leaving_the_tags_out_is_no_way_round_the_penalty(text: str) -> None:
    assert explain(text, 0, task="pneumoniamnist").parts["recitation"] < -0.9


@pytest.mark.parametrize("knowledge", ["", " \n", "...", "\u200b"])
def test_without_knowledge_there_is_no_recitation(knowledge: str) -> None:
    score = explain(RECITED.format("normal"), 0, task="pneumoniamnist", knowledge=knowledge)
    assert str(score.parts["recitation"]) == "0.0"


def test_nothing_recited_is_plain_zero() -> None:
    text = "<think>zzz</think><answer>normal</answer>"
    assert str(explain(text, 0, task="pneumoniamnist", delta=-1).parts["recitation"]) == "0.0"
