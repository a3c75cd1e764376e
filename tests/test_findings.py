"""The part `findings`: reasoning held against the findings that a card's attributes name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medreward import ConfigError, RewardSettings, Score, Task, Weights, explain, shaped_reward
from medreward.audit import audit, load_reward
from medreward.kinds.base import kind_of
from medreward.scoring.scorer import Scorer
from medreward.task.card import shipped
from medreward.task.labels import Label, Statement
from tests.growth import Work, assert_linear

WEIGHED: dict[str, Any] = {"weights": {"findings": 0.1}}
SOURCE = {"book": "A book"}


def card(*findings: tuple[str, ...], **changes: Any) -> Task:
    """Return a card whose label ``a``, ``b`` … names the findings of each tuple."""
    labels = [
        Label(
            f"label {chr(97 + i)}", attributes=(Statement(" and ".join(own), "book", findings=own),)
        )
        for i, own in enumerate(findings)
    ]
    return Task("signs", labels=labels, references=SOURCE, **changes)


def fit(reasoning: str, answer: str = "malignant", target: str = "malignant") -> float:
    text = f"<think>{reasoning}</think><answer>{answer}</answer>"
    score: Score = explain(text, target, task="busi", **WEIGHED)
    return score.parts["findings"]


@pytest.mark.parametrize(
    ("reasoning", "value"),
    [
        ("The margin is spiculated.", 1.0),
        ("Spiculated, angular.", 1.0),
        ("The margin is SPICULATED and the shape irregular!", 1.0),
        ("An oval mass. It is circumscribed.", -1.0),
        ("An oval mass. The margin is spiculated.", 0.0),
        ("Oval; spiculated; angular.", 1 / 3),
        ("Spiculated. Spiculated. Spiculated. Oval.", 0.0),
        ("I look at the image.", 0.0),
        ("", 0.0),
        # Denied, open, contrasted, asked, or told of a label: not stated.
        ("The margin is not spiculated.", 0.0),
        ("No spiculated margin is seen.", 0.0),
        ("without spiculated margins", 0.0),
        ("The margin may be spiculated.", 0.0),
        ("Is it spiculated?", 0.0),
        ("Spiculated or smooth.", 0.0),
        ("A malignant mass has a spiculated margin.", 0.0),
        ("A benign mass is typically oval and circumscribed and lies parallel to the skin.", 0.0),
        # Another word.
        ("The margin is unspiculated.", 0.0),
        ("non-spiculated", 0.0),
    ],
)
def test_what_reasoning_states(reasoning: str, value: float) -> None:
    assert fit(reasoning) == pytest.approx(value, abs=1e-12)


# A finding of each card, its label, and another label, whose answer it contradicts.
SHIPPED = {
    "breastmnist": ("A spiculated margin.", "malignant", "normal, benign"),
    "dermamnist": ("A blue-white veil.", "melanoma", "melanocytic nevi"),
    "ham10000": ("Milia-like cysts.", "benign keratosis-like lesions", "melanoma"),
    "isic2019": ("Leaf-like areas.", "basal cell carcinoma", "dermatofibroma"),
    "chestmnist": ("Displaced fissures.", ["atelectasis"], ["effusion"]),
    "chestxray14": ("A meniscus.", ["Effusion"], ["Atelectasis"]),
    "icdr": ("Venous beading.", 3, 1),
    "retinamnist": ("Neovascularisation.", 4, 2),
    "octmnist": ("Cystoid spaces.", "diabetic macular edema", "drusen"),
    "busi": ("The margin is spiculated.", "malignant", "benign"),
}


def test_the_cards_that_name_findings_are_known() -> None:
    assert {name for name in shipped() if Task.load(name).findings} == set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_finding_fits_its_label_and_contradicts_another(name: str) -> None:
    task, (reasoning, own, other) = Task.load(name), SHIPPED[name]
    weights: Any = {"weights": {"findings": 1e-3}}
    for target, value in ((own, 1.0), (other, -1.0)):
        rules = kind_of(task)
        answer = rules.right(task, rules.parse(task, target), task.reward)
        text = f"<think>{reasoning}</think><answer>{answer}</answer>"
        score: Score = explain(text, target, task=task, **weights)
        assert (score.correct, score.parts["findings"]) == (True, value)
    # Knowledge that is told again names its labels, and states nothing of the image.
    text = f"<think>{task.knowledge_text()}</think><answer>x</answer>"
    assert -1 <= explain(text, own, task=task, **weights).parts["findings"] <= 1


def test_signs_of_a_lower_grade_say_nothing_against_a_higher_one() -> None:
    def found(reasoning: str, grade: int) -> float:
        text = f"<think>{reasoning}</think><answer>{grade}</answer>"
        score: Score = explain(text, grade, task="icdr", **WEIGHED)
        return score.parts["findings"]

    assert [found("Microaneurysms.", grade) for grade in range(5)] == [-1.0, 1.0, 0.0, 0.0, 0.0]
    both = "Microaneurysms. Venous beading."
    assert [found(both, grade) for grade in range(5)] == [-1.0, 0.0, -1.0, 1.0, 0.0]


def test_it_is_for_right_answers_only() -> None:
    for answer in ("benign", "", "malignant or benign", "not malignant", "xyz"):
        for reasoning in ("The margin is spiculated.", "An oval mass."):
            assert fit(reasoning, answer) == 0.0
    assert fit("An oval mass.", "benign", "benign") == 1.0


def test_the_total_and_the_reasons() -> None:
    text = "<think>{}</think><answer>malignant</answer>"
    totals = shaped_reward(
        [text.format(think) for think in ("Spiculated.", "Hm.", "Oval.")],
        "malignant",
        task="busi",
        knowledge="",
        **WEIGHED,
    )
    assert totals == pytest.approx([1.3, 1.2, 1.1])
    score = explain(text.format("Oval."), "malignant", task="busi", **WEIGHED)
    assert score.reasons == ("correct", "findings_contradict")
    assert Scorer(Task.load("busi"), RewardSettings(weights=Weights(findings=0.1))).range == (
        pytest.approx((-0.15, 1.3))
    )


def test_without_a_weight_nothing_changes() -> None:
    score = explain("<think>Oval.</think><answer>benign</answer>", "benign", task="busi")
    assert [*score.parts] == ["accuracy", "format", "recitation"]
    assert "findings" not in score.signature
    assert "|findings:0.1|" in explain("", "benign", task="busi", **WEIGHED).signature


def test_a_set_of_labels_answers_for_the_findings_of_all_of_them() -> None:
    task = card(("round",), ("square",), ("thin",), kind="multilabel")
    said = "<think>A round thing. A square thing. A thin thing.</think><answer>{}</answer>"
    settings = {**WEIGHED, "delta": 0}
    both = explain(said.format("label a, label b"), ["label a", "label b"], task=task, **settings)
    assert both.parts["findings"] == pytest.approx(1 / 3)


def test_a_finding_of_two_labels_fits_both() -> None:
    task = card(("round", "big"), ("round",))
    for label in ("label a", "label b"):
        text = f"<think>It is round.</think><answer>{label}</answer>"
        assert explain(text, label, task=task, **WEIGHED).parts["findings"] == 1.0


def test_what_a_card_may_not_name() -> None:
    with pytest.raises(ConfigError, match="'square' does not stand in the text 'round and big'"):
        Task(
            "x",
            labels=[Label("a", attributes=(Statement("round and big", "b", findings=("square",)),))]
            * 1
            + [Label("b")],
            references={"b": "B"},
        )
    with pytest.raises(ConfigError, match=r"labels\[0\].attributes\[0\].findings: 'round' is not"):
        Task(
            "x",
            labels=[Label("a", attributes=(Statement("round", "b", findings="round"),)), "b"],  # type: ignore[arg-type]
            references={"b": "B"},
        )
    for never in ("no echoes", "not round", "a label b of its own", "round or square"):
        with pytest.raises(ConfigError, match="could never be found in reasoning"):
            card((never,), ("fine",))


def test_a_weight_on_a_card_without_findings_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"weights\.findings 0\.1: the card's attributes name no"):
        explain("", 0, task="bloodmnist", **WEIGHED)


def test_a_weight_that_lets_a_wrong_answer_win_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"weights\.findings 1"):
        explain("", 0, task="busi", weights={"findings": 1.0})


@pytest.mark.parametrize("weight", [0.3])
def test_the_audit_passes_with_a_weight(weight: float) -> None:
    task = Task.load("busi")
    task = replace(task, reward=task.reward.updated({"weights": {"findings": weight}}))
    found = audit(load_reward("shaped", task), task)
    assert found.passed, found.failures
    assert "stuffed-findings" in [result.family for result in found.tried]


SIGNS = ("spiculated", "oval", "irregular", "angular", "circumscribed")


@given(
    st.lists(st.sampled_from((*SIGNS, "hm", "not", "no", ".", "benign", "or", "the")), max_size=12)
)
def test_no_reasoning_pays_for_another_answer_than_the_right_one(words: list[str]) -> None:
    reasoning = " ".join(words)
    assert -1.0 <= fit(reasoning) <= 1.0
    assert fit(reasoning, "benign") == fit(reasoning, "oval") == 0.0


@pytest.mark.parametrize(
    "piece", ["A spiculated margin. I A. ", "spiculated ", "a. I. ", "or not "]
)
def test_the_time_is_linear(piece: str) -> None:
    settings = RewardSettings(weights=Weights(findings=0.1))
    scorer = Scorer(Task.load("busi"), settings)

    def work_of(size: int) -> Work:
        text = f"<think>{piece * (size // len(piece))}</think><answer>malignant</answer>"
        return lambda: scorer.score(text, "malignant")

    assert_linear(work_of, 40_000)
