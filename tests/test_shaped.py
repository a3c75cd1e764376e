"""The shaped total: what dominates, what it is made of, and what it refuses."""

from __future__ import annotations

import copy
import json
import math
import pickle
from array import array
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, reject
from hypothesis import settings as examples
from hypothesis import strategies as st

from medreward import (
    ConfigError,
    RewardSettings,
    Task,
    Weights,
    explain,
    shaped_reward,
)
from medreward.scoring.parts.base import used_parts
from medreward.scoring.scorer import Scorer
from medreward.task.card import shipped
from medreward.task.settings import (
    DECAYS,
    GATES,
)
from medreward.task.traits import Trait
from medreward.text.reasons import REASONS
from tests import at_most

RIGHT = "<think>Dot bleeds.</think><answer>2</answer>"
NAMED = tuple(
    name
    for name in shipped()
    if Task.load(name).labels and Trait.PLACES not in Task.load(name).traits
)

weights = st.builds(
    Weights,
    accuracy=st.floats(1e-6, 1e6),
    format=st.one_of(st.just(0.0), st.floats(0, 1e6), st.floats(0, 1)),
    recitation=st.one_of(st.just(0.0), st.floats(0, 1e6), st.floats(0, 1)),
)


@st.composite
def scorers(draw: st.DrawFn) -> Scorer:
    """Any of these tasks with any settings that validation admits."""
    task = Task.load(draw(st.sampled_from(NAMED)))
    delta = draw(st.sampled_from([-1, 0, 1]))
    gates = [
        g for g in GATES if (delta == 1 or not g.startswith("recitation")) and draw(st.booleans())
    ]
    settings: dict[str, Any] = {
        "weights": draw(weights),
        "delta": delta,
        "decay": draw(st.sampled_from([*DECAYS, (1.0, 0.9, 0.9), (1.0,)])),
        "under_grading": draw(st.floats(0, 1)),
        "over_grading": draw(st.floats(0, 1)),
        "gates": gates,
    }
    try:
        return Scorer(task, replace(task.reward, **settings))
    except ConfigError as error:
        if "lets a wrong answer outscore a right one" not in str(error):
            raise
        reject()


def thinkings(task: Task) -> st.SearchStrategy[str]:
    """Reasoning from nothing to do with the knowledge up to all of it."""
    words = task.knowledge_text().split() or ["zzz"]
    part = st.tuples(st.integers(0, len(words)), st.integers(1, len(words))).map(
        lambda cut: " ".join(words[cut[0] : cut[0] + cut[1]]) or "zzz"
    )
    return st.one_of(st.just("zzz"), st.just(" ".join(words)), part)


@pytest.mark.parametrize(
    "answer", ["normal or pneumonia", "no pneumonia or normal", "?", "I cannot tell", ""]
)
def test_the_recitation_penalty_does_not_spare_an_answer_that_cannot_be_read(answer: str) -> None:
    knowledge = Task.load("pneumoniamnist").knowledge_text()
    wrong, unread = (
        explain(f"<think>{knowledge}</think><answer>{a}</answer>", 1, task="pneumoniamnist")
        for a in ("normal", answer)
    )
    assert unread.prediction is None
    assert unread.parts["recitation"] <= wrong.parts["recitation"] == -1.0
    assert unread.total <= wrong.total


@examples(max_examples=at_most(200))
@given(scorers(), st.text(), st.data())
def test_a_score_is_finite_in_range_deterministic_and_the_weighted_sum(
    scorer: Scorer, noise: str, data: st.DataObject
) -> None:
    task = scorer.task
    name = data.draw(st.sampled_from([label.name for label in task.labels]))
    frame = data.draw(
        st.sampled_from(["<think>{}</think><answer>{}</answer>", "{}<answer>{}</answer>", "{}{}"])
    )
    think = data.draw(st.one_of(st.just(noise), thinkings(task)))
    answer = data.draw(st.one_of(st.just(name), st.just(noise)))
    text = frame.format(think, answer)
    score = scorer.score(text, 1)
    low, high = scorer.range
    assert math.isfinite(score.total)
    assert low <= score.total <= high
    assert score == scorer.score(text, 1)
    assert list(score.parts) == [part.name for part in used_parts(scorer.settings.weights)]
    assert 0.0 <= score.parts["accuracy"] <= 1.0
    assert score.parts["format"] in (0.0, 1.0)
    recited = score.parts["recitation"]
    assert recited * scorer.settings.delta == abs(recited) <= 1.0
    weight = scorer.settings.weights
    total = math.fsum(weight[part] * value for part, value in score.parts.items())
    assert score.total == pytest.approx(total, abs=1e-12 * sum(weight.values()))
    assert set(score.reasons) <= REASONS.keys()
    assert len(set(score.reasons)) == len(score.reasons)
    assert (score.prediction is None) <= (not score.correct)


@given(st.permutations(range(6)))
def test_the_order_of_a_group_does_not_matter(order: list[int]) -> None:
    group = [
        RIGHT,
        "<think>More than just microaneurysms.</think><answer>3</answer>",
        "<answer>2</answer>",
        "2",
        "<think>x</think><answer>2 or 3</answer>",
        "<think>x</think><answer>moderate NPDR</answer>",
    ]
    scores = explain(group, 2, task="retinamnist")
    assert explain([group[i] for i in order], 2, task="retinamnist") == [scores[i] for i in order]
    assert scores == [explain(text, 2, task="retinamnist") for text in group]


@pytest.mark.parametrize(
    ("completion", "settings", "total"),
    [
        (RIGHT, {}, 1.2),
        (RIGHT, {"weights": {"format": 0.5}}, 1.5),
        (RIGHT, {"weights": {"accuracy": 2, "format": 0}}, 2.0),
        ("<answer>2</answer>", {}, 1.0),
        ("<answer>2</answer>", {"gates": ["accuracy_needs_format"]}, 0.0),
        ("<think>x</think><answer>3</answer>", {}, 0.45),
        ("<think>x</think><answer>4</answer>", {"decay": "reported"}, pytest.approx(0.3)),
        ("<think>x</think><answer>4</answer>", {"decay": [1, 0.5, 0.4]}, pytest.approx(0.6)),
        ("<think>x</think><answer>3</answer>", {"over_grading": 0}, 0.2),
        ("<think>x</think><answer>not 2</answer>", {}, 0.2),
        ("no tags", {}, 0.0),
        ("", {}, 0.0),
    ],
)
def test_golden_totals(completion: str, settings: dict[str, Any], total: float) -> None:
    assert shaped_reward(completion, 2, task="retinamnist", knowledge="", **settings) == total


KNOWLEDGE = "Dot bleeds and hard exudates."


@pytest.mark.parametrize(
    ("answer", "gates", "sign"),
    [
        ("2", [], 1),
        ("3", [], 1),
        ("2", ["recitation_needs_accuracy"], 1),
        ("3", ["recitation_needs_accuracy"], 0),
        ("not 2", ["recitation_needs_accuracy"], 0),
    ],
)
def test_recitation_may_need_accuracy(answer: str, gates: list[str], sign: int) -> None:
    text = f"<think>{KNOWLEDGE}</think><answer>{answer}</answer>"
    score = explain(text, 2, task="retinamnist", knowledge=KNOWLEDGE, delta=1, gates=gates)
    assert score.parts["recitation"] == sign


def test_accuracy_may_need_the_format_and_still_says_that_it_is_right() -> None:
    score = explain("<answer>2</answer>", 2, task="retinamnist", gates=["accuracy_needs_format"])
    assert (score.total, score.correct, score.prediction) == (0.0, True, "2")
    assert score.reasons == ("correct", "no_think_tag")


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        ("retinamnist", {"weights": {"recitation": 0.75}}),
        ("retinamnist", {"weights": {"recitation": 0.0625}, "decay": "quadratic"}),
        ("retinamnist", {"decay": [1, 0.96]}),
        ("pneumoniamnist", {"weights": {"recitation": 1.0}}),
        ("pneumoniamnist", {"weights": {"accuracy": 1e-6, "format": 1e6}}),
        ("retinamnist", {"decay": [1, 0.9999999], "weights": {"recitation": 0}}),
    ],
)
def test_settings_under_which_a_wrong_answer_could_win_are_refused(
    task: str, settings: dict[str, Any]
) -> None:
    with pytest.raises(
        ConfigError, match=r"(weights\.recitation .*|rounding) lets a wrong answer outscore"
    ):
        shaped_reward("", 0, task=task, **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"weights": {"recitation": 0.7499}},
        {"weights": {"recitation": 0.9}, "decay": "exact"},
        {"weights": {"recitation": 5.0}, "delta": 0},
        {"weights": {"recitation": 5.0}, "delta": 1, "gates": ["recitation_needs_accuracy"]},
        {"weights": {"recitation": 0.9}, "under_grading": 0, "over_grading": 0},
    ],
)
def test_settings_that_are_just_admitted(settings: dict[str, Any]) -> None:
    assert shaped_reward("", 0, task="retinamnist", **settings) == 0.0


def test_settings_are_kept_in_one_form() -> None:
    given: dict[str, Any] = {
        "weights": {"format": 0},
        "delta": "+",
        "decay": [1, 0.5],
        "under_grading": 1,
        "over_grading": 0,
        "beta": 2,
        "gates": {"recitation_needs_accuracy", "accuracy_needs_format"},
    }
    kept = asdict(RewardSettings(**given))
    assert repr([kept[name] for name in given]) == (
        "[Weights(accuracy=1.0, format=0.0, recitation=0.05, findings=0.0), 1, (1.0, 0.5), 1.0, "
        "0.0, 2.0, ('accuracy_needs_format', 'recitation_needs_accuracy')]"
    )


@pytest.mark.parametrize("scale", [0.01, 1, 100])
def test_the_margin_of_a_right_answer_is_a_millionth_of_all_weights(scale: float) -> None:
    def score(recitation: float) -> float:
        weights = {"accuracy": 1.0, "format": 0.25, "recitation": recitation}
        scaled = {name: weight * scale for name, weight in weights.items()}
        return shaped_reward("", 0, task="retinamnist", weights=scaled)

    assert score(0.75 - 2.1e-6) == 0.0  # of weights of 2.0
    with pytest.raises(ConfigError, match=f"to stay below {scale * 0.749998:g} "):
        score(0.75 - 1.9e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dekay": "linear"}, "reward setting: 'dekay' is not one of .*; did you mean 'decay'"),
        ({"decay": "linar"}, "decay: 'linar' is not one of geometric, .*did you mean 'linear'"),
        ({"decay": []}, r"decay: \[\] is neither"),
        ({"decay": [0.9, 0.5]}, r"decay\[0\]: 0.9 .* must be 1"),
        ({"decay": [1, 0.5, 0.6]}, r"decay\[2\]: 0.6 must be below 1 and not above decay\[1\]"),
        ({"decay": [1, 1]}, r"decay\[1\]: 1.0 must be below 1"),
        ({"decay": [1, math.nan]}, r"decay\[1\]: nan is not a finite number from 0 to 1"),
        ({"delta": 0.5}, r"delta: 0.5 is not a sign"),
        ({"delta": True}, "delta: True is not a sign"),
        ({"weights": {"acuracy": 1}}, "weights: 'acuracy' .* did you mean 'accuracy'"),
        ({"weights": {"format": -1}}, r"weights\.format: -1 is not a finite number from 0 to 1e"),
        ({"weights": {"format": math.inf}}, r"weights\.format: inf"),
        ({"weights": {"format": "1"}}, r"weights\.format: '1'"),
        ({"weights": {"format": 10**400}}, r"weights\.format: <a number of 1329 bits>"),
        ({"weights": {"accuracy": 0}}, "accuracy: 0.0 is too small; at least 1e-06,"),
        ({"weights": 5}, "weights: 5 is not a mapping"),
        ({"under_grading": 1.1}, "under_grading: 1.1 is not a finite number from 0 to 1"),
        ({"gates": "accuracy_needs_format"}, "gates: 'accuracy_needs_format' is not a list"),
        ({"gates": ["accuracy"]}, "gates: 'accuracy' is not one of"),
        ({"gates": ["recitation_needs_accuracy"]}, r"goes with delta \+1 only, not -1"),
        ({"knowledge": 5}, "knowledge: 5 is not a text"),
        ({"task": "retinamist"}, "task: 'retinamist' .* did you mean 'retinamnist'"),
        ({"task": 5}, "task: 5 is not one of"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        shaped_reward(RIGHT, 2, **{"task": "retinamnist", **settings})


@pytest.mark.parametrize("target", [2, 2.0, "2", " 2 ", "moderate", "Moderate NPDR", [2], [[2]]])
def test_a_grade_by_number_or_name(target: object) -> None:
    assert explain(RIGHT, target, task="retinamnist").correct


def test_targets_of_other_number_types() -> None:
    import numpy as np

    targets: list[object] = [
        np.int64(2),
        np.array([2]),
        np.array([[2]]),
        np.float32(2),
        Fraction(2),
    ]
    for target in targets:
        assert explain(RIGHT, target, task="retinamnist").correct
    assert shaped_reward([RIGHT] * 2, np.array([2, 3]), task="retinamnist") == [1.2, 0.45]
    assert shaped_reward([RIGHT] * 2, np.array([2]), task="retinamnist") == [1.2, 1.2]
    assert shaped_reward([RIGHT] * 2, array("i", [2, 3]), task="retinamnist") == [1.2, 0.45]


@pytest.mark.parametrize(
    "target",
    [
        5,
        -1,
        2.5,
        10**400,
        math.nan,
        math.inf,
        True,
        None,
        "",
        "5",
        "9" * 5000,
        "mild severe",
        b"2",
        {},
        [],
        [2, 3],
    ],
)
def test_a_wrong_target_is_named_with_what_is_allowed(target: object) -> None:
    with pytest.raises(ConfigError, match=r"'retinamnist': target .* allowed: the grades 0 to 4"):
        shaped_reward(RIGHT, target, task="retinamnist")


@pytest.mark.parametrize("target", ["pneumonia", "PNEUMONIA", "viral pneumonia", 1, "1", 1.0])
def test_a_label_by_name_or_index(target: object) -> None:
    text = "<think>x</think><answer>pneumonia</answer>"
    assert explain(text, target, task="pneumoniamnist").correct


def chat(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


@pytest.mark.parametrize(
    ("completion", "target", "value"),
    [
        (RIGHT, 2, 1.2),
        (chat(RIGHT), 2, 1.2),
        ([RIGHT], 2, [1.2]),
        ([chat(RIGHT)], 2, [1.2]),
        ((RIGHT, chat(RIGHT)), (2, 3), [1.2, 0.45]),
        ([RIGHT, chat(RIGHT)], "severe", [0.45, 0.45]),
        ([RIGHT, RIGHT], ["2", 3], [1.2, 0.45]),
        ([], 2, []),
        ([], [], []),
    ],
)
def test_one_or_a_batch(completion: Any, target: object, value: float | list[float]) -> None:
    assert shaped_reward(completion, target, task="retinamnist") == value


def test_one_knowledge_a_completion() -> None:
    text = f"<think>{KNOWLEDGE}</think><answer>2</answer>"
    scores = explain([text] * 3, 2, task="retinamnist", knowledge=[KNOWLEDGE, "", None])
    recited = [score.parts["recitation"] for score in scores]
    assert recited[:2] == [-1.0, 0.0]
    assert recited[2] == explain(text, 2, task="retinamnist").parts["recitation"]


@pytest.mark.parametrize(
    ("completions", "target", "options", "message"),
    [
        ([RIGHT, RIGHT], [2], {}, "targets: 1 given for 2 completions"),
        ([RIGHT], [2, 2], {}, "targets: 2 given for 1 completions"),
        ([RIGHT, RIGHT], 2, {"knowledge": ["a"]}, "knowledge: 1 given for 2 completions"),
        ([RIGHT, RIGHT], 2, {"knowledge": ["a", 5]}, "knowledge: 5 is not a text"),
        (5, 2, {}, "completions: int is not a string or a list"),
        (None, 2, {}, "completions: NoneType"),
        ([RIGHT, RIGHT], [2, 7], {}, "target 7"),
        ([RIGHT, RIGHT], 2, {"knowledge": array("i")}, "knowledge: 0 given for 2 completions"),
        ([RIGHT, RIGHT], 2, {"knowledge": memoryview(b"a")[0:1].cast("B", ())}, "knowledge: int"),
    ],
)
def test_batches_that_do_not_fit_are_refused(
    completions: Any, target: object, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        shaped_reward(completions, target, task="retinamnist", **options)


@pytest.mark.parametrize(("targets", "knowledge"), [([2], ["", ""]), ([2, 2], [""])])
def test_a_scorer_takes_as_many_rows_of_everything(
    targets: list[object], knowledge: list[str | None]
) -> None:
    with pytest.raises(ValueError, match="zip"):
        Scorer(Task.load("retinamnist")).score_group([RIGHT, RIGHT], targets, knowledge)


def test_a_card_sets_what_keywords_override(tmp_path: Path) -> None:
    card = tmp_path / "grading.yaml"
    card.write_text(
        "name: grading\nkind: ordinal\nquestion: Which?\nlabels: [low, middle, high]\n"
        "reward: {decay: linear, weights: {format: 0.5}, delta: 0}\n"
    )
    text = "<think>x</think><answer>low</answer>"
    assert shaped_reward(text, "middle", task=card) == 1.0
    assert shaped_reward(text, "middle", task=str(card), decay="exact") == 0.5
    assert shaped_reward(text, "middle", task=Task.load(card), weights={"format": 0}) == 0.5


def test_a_score_is_json_ready_pickles_and_copies() -> None:
    score = explain(RIGHT, 2, task="retinamnist")
    assert json.loads(json.dumps(score.as_dict())) == {
        "total": 1.2,
        "parts": {"accuracy": 1.0, "format": 1.0, "recitation": score.parts["recitation"]},
        "reasons": ["correct"],
        "signature": score.signature,
        "correct": True,
        "prediction": "2",
        "unread": "",
    }
    assert pickle.loads(pickle.dumps(score)) == score
    assert copy.deepcopy(score) == score


def test_tasks_and_scorers_pickle() -> None:
    scorer = Scorer(Task.load("retinamnist"))
    scorer.score(RIGHT, 2)
    thawed = pickle.loads(pickle.dumps(scorer))
    assert thawed.score(RIGHT, 2) == scorer.score(RIGHT, 2)
    assert thawed.task == scorer.task
    assert hash(thawed.task) == hash(scorer.task)


def test_threads_agree() -> None:
    texts = [f"<think>Dot bleeds {i}.</think><answer>{i % 6}</answer>" for i in range(200)]
    alone = [explain(text, 2, task="retinamnist") for text in texts]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda t: explain(t, 2, task="retinamnist"), texts))
    assert together == alone


def test_recitation_is_not_for_localisation() -> None:
    with pytest.raises(ConfigError, match="recitation is not for localisation"):
        shaped_reward("", [0, 0, 1, 1], task="mni152_brain_box", delta=-1)
