"""Multi-label tasks: reading sets of labels, F-beta, and what it must not pay for."""

from __future__ import annotations

import json
from itertools import chain, combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import fbeta_score, jaccard_score

from medreward import ConfigError, Label, Task, explain, shaped_reward
from medreward.commands.cli import main
from medreward.kinds.multilabel import best_partial_score, f_beta, read_label_set
from medreward.kinds.truth import ground_truth, target_of

CHEST = Task.load("chestmnist")
NAMES = [label.name for label in CHEST.labels]
SETS = st.sets(st.integers(0, len(NAMES) - 1))


def answer(text: str) -> str:
    return f"<think>x</think><answer>{text}</answer>"


def named(labels: set[int]) -> str:
    return ", ".join(NAMES[i] for i in labels) or "no finding"


def subsets(count: int) -> list[frozenset[int]]:
    sizes = range(count + 1)
    found = chain.from_iterable(combinations(range(count), n) for n in sizes)
    return list(map(frozenset, found))


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("effusion", ["effusion"]),
        ("Effusion, Mass", ["effusion", "mass"]),
        ("mass and pleural effusion", ["effusion", "mass"]),
        ("- effusion\n- mass\n- oedema", ["effusion", "mass", "edema"]),
        ("1. effusion\n2. mass", ["effusion", "mass"]),
        ('["effusion", "mass"]', ["effusion", "mass"]),
        ("effusion, effusion", ["effusion"]),
        ("The radiograph shows cardiomegaly with effusion.", ["cardiomegaly", "effusion"]),
        ("effusion without pneumothorax", ["effusion"]),
        ("Effusion. No mass, no nodule.", ["effusion"]),
        ("Pleural thickening; no effusion", ["pleural"]),
        ("pneumotorax", ["pneumothorax"]),
        ("no finding", []),
        ("No findings.", []),
        ("Normal", []),
        ("No abnormality. No effusion.", []),
        ("no effusion, normal", []),
    ],
)
def test_sets_that_are_read(text: str, labels: list[str]) -> None:
    assert read_label_set(text, CHEST) == (CHEST.parse_target(labels), "", "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty_answer"),
        ("I cannot tell", "label_unknown"),
        ("effusion or mass", "label_open"),
        ("effusion, possibly not", "answer_not_understood"),
        ("effusion; cannot exclude mass", "label_open"),
        ("effusion?", "label_open"),
        ("no effusion", "label_denied"),
        ("effusion, no effusion", "label_denied"),
        ("no finding, effusion", "finding_and_none"),
        ("normal heart, effusion", "answer_not_understood"),
        ("abnormal", "label_unknown"),
        ("m\u0430ss", "label_unknown"),
        ("mass " * 500, "answer_too_long"),
    ],
)
def test_sets_that_are_not_read(text: str, reason: str) -> None:
    assert read_label_set(text, CHEST)[:2] == (None, reason)
    assert explain(answer(text), ["mass"], task=CHEST).parts["accuracy"] == 0.0


@pytest.mark.parametrize(
    ("text", "prediction"),
    [
        ("effusion, mass", "effusion, mass"),
        ("nodule, effusion", "effusion, nodule"),
        ("hernia", "hernia"),
        ("normal", "no finding"),
        (", ".join(NAMES), ", ".join(NAMES)),
        ("cannot tell", None),
    ],
)
def test_a_score_says_which_set_was_read(text: str, prediction: str | None) -> None:
    assert explain(answer(text), ["effusion", "mass"], task=CHEST).prediction == prediction


@given(SETS, SETS, st.floats(0.1, 10.0))
def test_f_beta_is_that_of_scikit_learn(predicted: set[int], true: set[int], beta: float) -> None:
    ours = f_beta(predicted, true, [1.0] * len(NAMES), beta)
    flags = [[i in labels for i in range(len(NAMES))] for labels in (true, predicted)]
    theirs = fbeta_score(*flags, beta=beta, zero_division=1.0)
    assert ours == pytest.approx(theirs, abs=1e-12)


@given(SETS, SETS)
def test_jaccard_is_that_of_scikit_learn(predicted: set[int], true: set[int]) -> None:
    flags = [[i in labels for i in range(len(NAMES))] for labels in (true, predicted)]
    score = explain(answer(named(predicted)), true, task=CHEST, set_quality="jaccard", delta=0)
    if len(predicted) < len(NAMES) or predicted == true:
        theirs = jaccard_score(*flags, zero_division=1.0)
        assert score.parts["accuracy"] == pytest.approx(theirs, abs=1e-12)
    assert "|set_quality:jaccard|" in score.signature


@given(SETS, st.data())
def test_the_order_of_labels_does_not_matter(true: set[int], data: st.DataObject) -> None:
    predicted = data.draw(st.lists(st.integers(0, len(NAMES) - 1), min_size=1, unique=True))
    shuffled = data.draw(st.permutations(predicted))
    one, other = (
        explain(answer(", ".join(NAMES[i] for i in order)), true, task=CHEST)
        for order in (predicted, shuffled)
    )
    assert one == other


@given(SETS, SETS)
def test_only_the_right_set_earns_everything(predicted: set[int], true: set[int]) -> None:
    score = explain(answer(named(predicted)), true, task=CHEST)
    assert score.correct == (predicted == true) == (score.parts["accuracy"] == 1.0)
    assert (score.parts["accuracy"] == 0.0) >= (not predicted & true and predicted != true)


@given(SETS.filter(lambda true: len(true) < len(NAMES)))
def test_naming_everything_does_not_pay(true: set[int]) -> None:
    everything = explain(answer(", ".join(NAMES)), true, task=CHEST)
    assert everything.parts["accuracy"] == 0.0
    assert everything.reasons == ("all_labels",)
    fewer = explain(answer(named(true | {0, 1})), true, task=CHEST)
    assert fewer.total >= everything.total


@pytest.mark.parametrize("factor", [1.0, 2.0])
@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("costs", [(1.0, 1.0, 1.0, 1.0), (0.5, 2.0, 1.0, 7.0)])
def test_no_wrong_set_earns_more_than_the_bound(
    beta: float, costs: tuple[float, ...], factor: float
) -> None:
    labels = tuple(Label(name, cost=cost) for name, cost in zip("abcd", costs, strict=True))
    task = Task("t", kind="multilabel", labels=labels, reward={"delta": 0})
    wrong = [
        f_beta(predicted, true, list(costs), beta, factor)
        for predicted in subsets(4)
        for true in subsets(4)
        if predicted != true and len(predicted) < 4
    ]
    assert max(wrong) <= best_partial_score(task, beta, factor) < 1.0


def test_a_label_that_costs_more_counts_more() -> None:
    labels = (Label("hernia"), Label("pneumothorax", cost=3.0))
    task = Task("t", kind="multilabel", labels=labels)
    true = {"hernia", "pneumothorax"}
    cheap, dear = (
        explain(answer(text), true, task=task).parts["accuracy"]
        for text in ("pneumothorax", "hernia")
    )
    assert cheap == pytest.approx(6 / 7)
    assert dear == pytest.approx(2 / 5)


def test_beta_weighs_missed_against_false_and_is_signed() -> None:
    missed, false = answer("mass"), answer("mass, edema, hernia")
    true = ["mass", "edema"]
    for beta, better in ((0.5, missed), (2.0, false)):
        ranked = {
            t: shaped_reward(t, true, task=CHEST, beta=beta, delta=0) for t in (missed, false)
        }
        assert max(ranked, key=ranked.__getitem__) == better
    assert "|beta:2|" in explain(missed, true, task=CHEST, beta=2, delta=0).signature


@pytest.mark.parametrize(
    ("target", "labels"),
    [
        (["mass", "edema"], {4, 9}),
        ([4, "edema"], {4, 9}),
        ({"mass"}, {4}),
        ((), set()),
        ("mass", {4}),
        (4, {4}),
        ("no finding", set()),
        (np.eye(14, dtype=int)[4], {4}),
        (np.zeros(14), set()),
    ],
)
def test_targets(target: Any, labels: set[int]) -> None:
    assert CHEST.parse_target(target) == labels


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (["mas"], "target 'mas' is not one of its labels"),
        ([14], "target 14"),
        (["mass", "no finding"], "target 'no finding' is not one of its labels"),
        (np.zeros(13), "not an array of 14 zeros and ones"),
        (np.full(14, 2), "not an array of 14 zeros and ones"),
        (None, "target None is not a list of labels"),
        ([["mass", "edema"]], "is not one of its labels"),
    ],
)
def test_wrong_targets_are_named(target: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        shaped_reward("", target, task=CHEST)


def test_rows_hold_sets_as_json() -> None:
    for target in (["mass", "edema"], [], np.eye(14)[4]):
        truth = ground_truth(CHEST, target)
        assert CHEST.parse_target(target_of(CHEST, truth)) == CHEST.parse_target(target)
    assert ground_truth(CHEST, ["edema", 4]) == '["mass", "edema"]'
    assert target_of(CHEST, "mass") == "mass"
    with pytest.raises(ConfigError, match="is not JSON labels"):
        target_of(CHEST, "[mass]")


def test_sets_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    text = answer("mass, edema")
    for target, accuracy in (('["mass"]', 2 / 3), ("mass", 2 / 3), ("[]", 0.0)):
        words = ["explain", text, "--task", "chestmnist", "--target", target, "--json"]
        assert main(words) == 0
        parts = json.loads(capsys.readouterr().out)["parts"]
        assert parts["accuracy"] == pytest.approx(accuracy)


def test_a_set_serves_the_whole_group_and_a_list_is_one_target_each() -> None:
    group = [answer("mass"), answer("edema")]
    assert shaped_reward(group, {"mass"}, task=CHEST) == [1.2, 0.2]
    assert shaped_reward(group, ["mass", "edema"], task=CHEST) == [1.2, 1.2]
    assert shaped_reward(group, [["mass"], ["edema"]], task=CHEST) == [1.2, 1.2]


def test_recitation_that_could_outweigh_a_wrong_set_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"has to stay below 0\.037"):
        shaped_reward("", [], task=CHEST, weights={"recitation": 0.05})


def test_wrong_cards_are_named() -> None:
    with pytest.raises(ConfigError, match=r"labels\[1\]\.cost: 0 is not a finite number"):
        Task("t", kind="multilabel", labels=(Label("a"), Label("b", cost=0)))
    with pytest.raises(ConfigError, match="no_finding: 'none' is not a list"):
        Task("t", kind="multilabel", labels=("a", "b"), no_finding="none")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="'mass' names two labels"):
        Task("t", kind="multilabel", labels=("mass", "b"), no_finding=("mass",))
    with pytest.raises(ConfigError, match=r"beta: 0 is not a finite number from 0\.1 to 10"):
        shaped_reward("", [], task=CHEST, beta=0)


@pytest.mark.parametrize("beta", [0.3, 0.5, 1.0])
def test_a_missed_label_is_the_best_wrong_set(beta: float) -> None:
    task = Task("demo", kind="multilabel", labels=tuple(map(Label, "abcd")))
    sets = subsets(4)
    wrong = [
        f_beta(said, true, [1.0] * 4, beta)
        for said in sets
        for true in sets
        if said != true and len(said) < 4
    ]
    assert best_partial_score(task, beta) == pytest.approx(max(wrong), abs=1e-12)
