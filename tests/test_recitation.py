"""R_recite equals nltk's BLEU, and counts the knowledge once a group."""

from __future__ import annotations

from collections import Counter
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, brevity_penalty, sentence_bleu
from PIL import Image

from medreward import Task, explain
from medreward.commands.cli import main
from medreward.data.example import Example
from medreward.data.parquet import write_parquet
from medreward.data.rows import make_rows
from medreward.scoring.parts import recitation
from medreward.scoring.parts.recitation import (
    ORDER,
    Reference,
    largest_recitation,
    reference,
    words_needed,
)
from medreward.task.settings import RECITATION_MEASURES
from medreward.text.words import tokenize
from tests.growth import assert_linear

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


def nltk_precision(knowledge: str, text: str) -> float:
    """nltk's BLEU without its brevity penalty."""
    known, said = tokenize(knowledge), tokenize(text)
    if not said or not known:
        return 0.0
    penalty: float = brevity_penalty(len(known), len(said))
    return nltk_bleu(knowledge, text) / penalty


def difflib_containment(knowledge: str, text: str) -> float:
    known, said = tokenize(knowledge), tokenize(text)
    if not said:
        return 0.0
    found = SequenceMatcher(None, said, known, autojunk=False).find_longest_match()
    return float(found.size / len(said))


@given(sentences, st.lists(sentences, min_size=1, max_size=6))
def test_other_measures_equal_known_implementations(knowledge: str, texts: list[str]) -> None:
    known = Reference(knowledge)
    for measure, peer in (("precision", nltk_precision), ("containment", difflib_containment)):
        expected = [peer(knowledge, text) for text in texts]
        assert known.values(measure, texts) == pytest.approx(expected, abs=1e-12)
    assert known.values("bleu", texts) == known.bleus(texts)


@pytest.mark.parametrize("measure", RECITATION_MEASURES)
@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_nothing_is_above_the_largest_recitation(
    measure: str, reasoning: int, knowledge: int, data: st.DataObject
) -> None:
    words = "abcdefghijklm"
    known = " ".join(words[:knowledge])
    said = data.draw(st.lists(st.sampled_from(words), min_size=reasoning, max_size=reasoning))
    most = largest_recitation(measure, reasoning, knowledge)
    [value] = Reference(known).values(measure, [" ".join(said)])
    assert value <= most + 1e-12
    copied = known.split()[:reasoning] + ["zz"] * (reasoning - knowledge)
    assert Reference(known).values(measure, [" ".join(copied)])[0] == pytest.approx(most)


def test_seven_words_against_a_card_matter_where_there_is_no_brevity_penalty() -> None:
    knowledge = " ".join(f"word{i}" for i in range(140))
    told = "<think>word3 word4 word5 word6 word7 word8 word9</think><answer>normal</answer>"
    found = {
        measure: explain(
            told, "normal", task="pneumoniamnist", knowledge=knowledge, recitation_measure=measure
        )
        for measure in RECITATION_MEASURES
    }
    values = {measure: score.parts["recitation"] for measure, score in found.items()}
    assert -1e-7 < values["bleu"] < 0.0
    assert values["precision"] == values["containment"] == -1.0
    assert "|recitation_measure:" not in found["bleu"].signature
    assert "|recitation_measure:precision|" in found["precision"].signature
    assert words_needed("bleu", 140, 0.01) == 25
    assert words_needed("containment", 140, 0.5) == 1
    assert words_needed("bleu", 140, 1.5) is None
    assert largest_recitation("precision", 0, 10) == largest_recitation("bleu", 5, 0) == 0.0


@pytest.mark.parametrize("unit", ["a ", "a b ", "a a b ", "word3 word4 zz ", "word3 "])
def test_the_longest_run_is_found_in_linear_time(unit: str) -> None:
    known = Reference(" ".join(["a"] * 300 + ["b"] + [f"word{i}" for i in range(300)]))

    def work(length: int) -> Any:
        text = unit * (length // len(unit))
        return lambda: known.values("containment", [text])

    assert_linear(work, 200_000)


def test_rows_check_says_where_recitation_cannot_matter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    examples = [Example(Image.new("L", (20, 20), i), "normal", f"r{i}", "train") for i in range(3)]
    task = Task.load("pneumoniamnist")
    rows = [*make_rows(examples, task)]
    write_parquet(tmp_path / "rows.parquet", rows)
    given = ["rows", "check", str(tmp_path / "rows.parquet")]
    assert main(given) == 0
    [knowledge] = {row["extra_info"]["knowledge"] for row in rows}
    known = tokenize(knowledge)
    smooth = SmoothingFunction().method1
    shortest = next(
        n
        for n in range(1, len(known))
        if sentence_bleu([known], known[:n], smoothing_function=smooth) >= 0.01
    )
    assert (
        f"knowledge of {len(known)} words: R_recite (bleu) can reach 0.01 from {shortest} words of "
        f"reasoning" in capsys.readouterr().out
    )
    assert main([*given, "--recitation-measure", "precision"]) == 0
    assert "R_recite (precision) can reach 0.01 from 1 words" in capsys.readouterr().out
