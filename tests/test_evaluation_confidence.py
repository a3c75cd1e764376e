"""Samples and confidences: votes, pass@K, and AUROC as scikit-learn has it."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from medreward import ConfigError, Task
from medreward.commands.cli import main
from medreward.kinds.right_answers import completion_with
from medreward.runs.evaluation import evaluate, read_answers, score_completions
from medreward.runs.evaluation_confidence import auroc_way, precision_way, reliability
from medreward.runs.evaluation_files import ModelAnswer
from medreward.runs.evaluation_metrics import differences, label_table, metrics_of
from medreward.runs.evaluation_samples import join_samples
from medreward.scoring.scorer import Scorer
from tests.evaluation_rows import metrics_by_name, predictions, write_completions, write_rows

LETTERS = Task("letters", question="?", labels=["alpha", "beta", "gamma"])
CHEST = Task("chest", kind="multilabel", question="?", labels=["edema", "effusion", "mass"],
             reward={"delta": 0})  # fmt: skip
PAIR = Task("pair", question="?", labels=["normal", "ill"])


@pytest.mark.parametrize("seed", range(3))
def test_curves_equal_scikit_learn_with_ties_and_weights(seed: int) -> None:
    chance = np.random.default_rng(seed)
    scores = chance.integers(0, 8, 60) / 7
    true = (chance.random(60) < 0.4).astype(float)
    weights = chance.integers(0, 4, (5, 60)).astype(float)
    area, precision = auroc_way(scores, true)(weights), precision_way(scores, true)(weights)
    for i, own in enumerate(weights):
        there = own > 0
        given: Any = {"sample_weight": own[there]}
        wanted = sk.roc_auc_score(true[there], scores[there], **given)
        assert area[i] == pytest.approx(wanted, abs=1e-12)
        wanted = sk.average_precision_score(true[there], scores[there], **given)
        assert precision[i] == pytest.approx(wanted, abs=1e-12)


def test_probabilities_of_labels_equal_scikit_learn(tmp_path: Path) -> None:
    chance = np.random.default_rng(4)
    share = chance.dirichlet([1, 1, 1], 50)
    true = [int(i) for i in chance.integers(0, 3, 50)]
    names = [label.name for label in LETTERS.labels]
    said = {
        f"r{i}": [ModelAnswer(completion_with(names[int(p.argmax())]),
                              dict(zip(names, map(float, p), strict=True)))]
        for i, p in enumerate(share)
    }  # fmt: skip
    rows = write_rows(tmp_path, LETTERS, true)
    own = score_completions(rows, said, lambda *_: Scorer(LETTERS))["letters"].predictions
    found = metrics_by_name(LETTERS, own)
    wanted = sk.roc_auc_score(true, share, multi_class="ovr", average="macro")
    assert found["macro AUROC"] == pytest.approx(wanted, abs=1e-12)
    hot = np.eye(3)[true]
    wanted = sk.average_precision_score(hot, share, average="macro")
    assert found["macro average precision"] == pytest.approx(wanted, abs=1e-12)
    table = label_table(LETTERS, own)
    by_label = sk.roc_auc_score(hot, share, average=None)
    assert [row["auroc"] for row in table] == pytest.approx(by_label, abs=1e-12)
    right, sure = share.argmax(axis=1) == true, share.max(axis=1)
    wanted = sk.roc_auc_score(right, sure)
    assert found["AUROC of right answers"] == pytest.approx(wanted, abs=1e-12)
    counts, _ = np.histogram(sure, bins=10, range=(0, 1))
    share_right, mean_sure = calibration_curve(right, sure, n_bins=10)
    error = (counts[counts > 0] / 50 * np.abs(share_right - mean_sure)).sum()
    assert found["expected calibration error"] == pytest.approx(error, abs=1e-12)
    bins = reliability(sure, right.astype(float))
    assert [one["right"] for one in bins] == pytest.approx(share_right, abs=1e-12)
    assert [one["confidence"] for one in bins] == pytest.approx(mean_sure, abs=1e-12)


def test_one_number_is_enough_of_two_labels() -> None:
    chance = random.Random(5)
    true = [chance.randrange(2) for _ in range(40)]
    said = [t if chance.random() < 0.7 else 1 - t for t in true]
    sure = [round(chance.uniform(0.5, 1), 2) for _ in true]
    own = predictions(PAIR, true, [PAIR.labels[i].name for i in said])
    own = [one._replace(confidence=c) for one, c in zip(own, sure, strict=True)]
    ill = [c if s else 1 - c for s, c in zip(said, sure, strict=True)]
    found = metrics_by_name(PAIR, own)
    assert found["macro AUROC"] == pytest.approx(sk.roc_auc_score(true, ill), abs=1e-12)


def test_a_confidence_of_one_is_in_the_last_bin() -> None:
    own = predictions(PAIR, [0, 0], ["normal", "ill"])
    own = [one._replace(confidence=1.0) for one in own]
    assert metrics_by_name(PAIR, own)["expected calibration error"] == 0.5
    (last,) = reliability(np.array([1.0, 1.0]), np.array([1.0, 0.0]))
    assert (last["from"], last["to"], last["right"]) == (0.9, 1.0, 0.5)


def test_sets_have_a_curve_for_each_label() -> None:
    chance = np.random.default_rng(6)
    true = chance.random((40, 3)) < 0.4
    share = chance.random((40, 3))
    names = [label.name for label in CHEST.labels]
    targets = [[n for n, there in zip(names, row, strict=True) if there] for row in true]
    own = predictions(CHEST, targets, ["edema"] * 40)
    own = [one._replace(confidence=tuple(p)) for one, p in zip(own, share, strict=True)]
    found = metrics_by_name(CHEST, own)
    assert found["macro AUROC"] == pytest.approx(sk.roc_auc_score(true, share), abs=1e-12)
    wanted = sk.average_precision_score(true, share)
    assert found["macro average precision"] == pytest.approx(wanted, abs=1e-12)
    assert "AUROC of right answers" not in found


def test_a_vote_takes_the_most_frequent_answer_that_is_read() -> None:
    def joined(*answers: str) -> Any:
        (found,) = join_samples(LETTERS, predictions(LETTERS, [0] * len(answers), answers))
        return found

    found = joined("?", "beta", "alpha", "alpha", "?", "?")
    assert found.score.prediction == "alpha"
    assert found.samples == (6, 2, 2, pytest.approx(2 / 6), 3)
    assert found.confidence == pytest.approx((2 / 6, 1 / 6, 0))
    assert joined("gamma", "beta", "beta", "gamma").score.prediction == "gamma"
    assert joined("?", "?").samples.agreeing == 0
    values = metrics_by_name(LETTERS, [found, joined(*["beta"] * 6)])
    assert values["accuracy"] == 0.5
    assert values["pass@1"] == pytest.approx((2 / 6 + 0) / 2)
    assert values["pass@6"] == 0.5
    assert values["agreement"] == pytest.approx((2 / 6 + 1) / 2)
    assert values["unreadable samples"] == pytest.approx(0.25)


def test_shares_of_samples_give_the_curve(tmp_path: Path) -> None:
    chance = random.Random(7)
    true = [chance.randrange(3) for _ in range(30)]
    names = [label.name for label in LETTERS.labels]
    drawn = [[chance.choice([names[t], chance.choice(names), "?"]) for _ in range(5)] for t in true]
    rows = write_rows(tmp_path, LETTERS, true)
    said = {f"r{i}": [ModelAnswer(completion_with(x)) for x in own] for i, own in enumerate(drawn)}
    scored = score_completions(rows, said, lambda *_: Scorer(LETTERS))["letters"]
    found = evaluate(scored, resamples=100)[0]
    share = np.array([[own.count(name) / 5 for name in names] for own in drawn])
    wanted = np.mean([sk.roc_auc_score(np.array(true) == i, share[:, i]) for i in range(3)])
    values = {one.name: one for one in found.metrics}
    assert values["macro AUROC"].value == pytest.approx(wanted, abs=1e-12)
    assert values["macro AUROC"].low < wanted < values["macro AUROC"].high
    assert found.rows == 30
    assert "most of its 5 samples" in " ".join(found.notes)


def test_a_row_without_samples_has_as_many_that_are_unread(tmp_path: Path) -> None:
    rows = write_rows(tmp_path, PAIR, [0, 0])
    said = {"r0": [ModelAnswer(completion_with("normal"))] * 3}
    own = score_completions(rows, said, lambda *_: Scorer(PAIR), missing="unread")["pair"]
    found = metrics_by_name(PAIR, own.predictions)
    assert (found["pass@1"], found["pass@3"], found["unreadable samples"]) == (0.5, 0.5, 0.5)


def test_confidences_of_samples_that_are_voted_on_are_refused() -> None:
    own = [one._replace(confidence=0.5) for one in predictions(PAIR, [0] * 2, ["normal"] * 2)]
    with pytest.raises(ConfigError, match=r"'r0': samples with a confidence each: .* leave the"):
        join_samples(PAIR, own)


def test_samples_of_places_count_each_by_itself() -> None:
    task = Task("own", kind="localisation", question="?", labels=["a"], reward={"delta": 0})
    own = join_samples(task, predictions(task, [[0, 0, 8, 8]] * 2, ["[[0,0,8,8]]", "[]"]))
    assert len(own) == 2
    assert metrics_by_name(task, own)["mean IoU"] == 0.5


def test_the_command_takes_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = write_rows(tmp_path, Task.load("pneumoniamnist"), ["normal", "pneumonia"])
    lines = [
        {"id": f"r{i}", "completion": completion_with(text)}
        for i, group in enumerate((["normal", "normal", "?"], ["pneumonia", "normal", "normal"]))
        for text in group
    ]
    path = tmp_path / "c.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    given = ["evaluate", str(rows), "--completions", str(path), "--resamples", "100"]
    assert main([*given, "--samples", "3"]) == 0
    said = capsys.readouterr().out
    assert "| pass@1 | 0.500 (" in said
    assert "| pass@3 | 1.000 (" in said
    assert "Only 2 rows" in said
    assert main(given) == 2
    assert "--samples says how many completions a row has" in capsys.readouterr().err
    assert main([*given, "--samples", "4"]) == 2
    assert "2 of 2 ids have fewer than 4 completions" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"confidence": [0.5, 1.5]}, "line 2: confidence: 1.5 is not a number from 0 to 1"),
        ({"confidence": [0.5, "high"]}, "line 2: confidence: 'high' is not a number"),
        ({"confidences": [[0.5], None]}, r"line 1: confidences: \[0.5\] is not a mapping"),
        ({"confidence": [0.5, None]}, "the confidence of 'r0' is 0.5, that of 'r1' None"),
        ({"confidences": [{"normal": 1}] * 2}, "'pneumonia' has none"),
        ({"confidences": [{"normal": 1, "pneumonia": 0, "gout": 0}] * 2}, "gout"),
        ({"confidence": [1, 1], "confidences": [{"a": 1}] * 2}, "both 'confidence' and"),
    ],
)
def test_confidences_that_do_not_fit_are_named(
    column: dict[str, Any], message: str, tmp_path: Path
) -> None:
    rows = write_rows(tmp_path, Task.load("pneumoniamnist"), ["normal", "pneumonia"])
    path = write_completions(tmp_path / "c.jsonl", ["normal"] * 2, **column)
    with pytest.raises(ConfigError, match=message):
        score_completions(rows, read_answers(path))


def test_parquet_gives_confidences_too(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = {
        "id": ["r0", "r1"],
        "completion": [completion_with("normal")] * 2,
        "confidences": [{"normal": 0.75, "pneumonia": 0.25}, {"normal": 0.5, "pneumonia": 0.5}],
    }
    pq.write_table(pa.table(table), tmp_path / "c.parquet")
    rows = write_rows(tmp_path, Task.load("pneumoniamnist"), ["normal", "pneumonia"])
    own = score_completions(rows, read_answers(tmp_path / "c.parquet"))["pneumoniamnist"]
    assert [one.confidence for one in own.predictions] == [(0.75, 0.25), (0.5, 0.5)]
    missing = {"r0": read_answers(tmp_path / "c.parquet")["r0"]}
    own = score_completions(rows, missing, missing="unread")["pneumoniamnist"]
    assert own.predictions[1].confidence == (0.0, 0.0)


def test_a_test_of_ranks_does_not_depend_on_the_scale_of_confidences() -> None:
    """Exchanged rows of models that say 0.5 to 1 and 0.97 to 1 would tell nothing of either."""
    chance = np.random.default_rng(8)
    true = (chance.random(60) < 0.4).astype(float)
    clusters = [str(i) for i in range(60)]

    def ranked(scores: Any) -> Any:
        own = predictions(PAIR, [int(t) for t in true], ["ill"] * 60)
        own = [one._replace(confidence=(1 - p, p)) for one, p in zip(own, scores, strict=True)]
        names = ("macro AUROC", "macro average precision")
        return [metric for metric in metrics_of(PAIR, own) if metric.name in names]

    good, bad = (1 / (1 + np.exp(-s * true - chance.normal(size=60))) for s in (2.5, 0.5))
    same = differences(ranked(good), ranked(bad), clusters, resamples=500)
    other = differences(ranked(good), ranked(0.97 + 0.03 * bad), clusters, resamples=500)
    assert [one.p for one in other] == [one.p for one in same]
    assert [one.value for one in other] == pytest.approx([one.value for one in same])
    assert same[0].p < 0.05
