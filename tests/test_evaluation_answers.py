"""Metrics of short answers, numbers, findings and fields equal known implementations."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from sklearn import metrics as sk
from transformers.data.metrics.squad_metrics import compute_f1

from medreward import Task
from medreward.runs.evaluation_answers import squad_f1
from medreward.runs.evaluation_metrics import label_table
from tests.evaluation_rows import metrics_by_name, predictions

WORDS = ["the", "left", "lung", "effusion,", "No", "small", "a", "pleural-", "(mass)", "edema."]


def test_token_f1_equals_squad() -> None:
    chance = random.Random(1)
    for _ in range(300):
        said, one, other = (
            " ".join(chance.choices(WORDS, k=chance.randint(0, 5))) for _ in range(3)
        )
        wanted = max(compute_f1(true, said) for true in (one, other))
        assert squad_f1(said, [one, other]) == pytest.approx(wanted, abs=1e-12), (said, one, other)


def test_short_answers_are_told_by_open_and_closed_questions() -> None:
    task = Task("vqa", kind="short_answer", question="?")
    targets = ["yes", "no", "liver", ["pleural effusion", "effusion"]]
    found = metrics_by_name(task, predictions(task, targets, ["yes", "yes", "the liver", "edema"]))
    assert found["accuracy"] == 0.5
    assert found["accuracy of yes or no"] == 0.5
    assert found["accuracy of open answers"] == 0.5
    assert found["token F1 of open answers"] == 0.5
    alone = metrics_by_name(task, predictions(task, targets[2:], ["liver", "large effusion"]))
    assert alone["token F1"] == pytest.approx((1 + 2 / 3) / 2)
    assert "accuracy of yes or no" not in alone


def test_errors_of_numbers_equal_scikit_learn() -> None:
    chance = random.Random(2)
    task = Task("size", kind="number", question="How large?")
    true = [round(chance.uniform(1, 9), 1) for _ in range(40)]
    said = [round(t + chance.gauss(0, 1.5), 1) for t in true]
    targets = [{"value": t, "unit": "cm", "tolerance": 0.2} for t in true]
    # The same in another unit; the last two are not read, or in the unit of something else.
    answers = [f"{s * 10:.0f} mm" if i % 2 else f"{s} cm" for i, s in enumerate(said)]
    answers[-2:] = ["zorb", "3 kg"]
    own = predictions(task, targets, answers)
    found = metrics_by_name(task, own)
    wanted = sk.mean_absolute_error(true[:-2], said[:-2])
    assert found["mean absolute error (cm) of numbers read"] == pytest.approx(wanted, abs=1e-9)
    errors = np.minimum(1, np.abs(np.subtract(said, true)) / np.array(true))
    errors[-2:] = 1
    assert found["mean relative error, at most 1"] == pytest.approx(errors.mean(), abs=1e-9)
    within = np.mean([abs(s - t) <= 0.2 + 1e-9 for s, t in zip(said[:-2], true, strict=False)])
    assert found["accuracy"] == pytest.approx(within * 38 / 40, abs=1e-12)


def test_numbers_of_several_units_have_no_absolute_error() -> None:
    task = Task("size", kind="number", question="How large?")
    targets = [{"value": 2, "unit": "cm"}, {"value": 50, "unit": "%"}, {"value": 0, "unit": "cm"}]
    found = metrics_by_name(task, predictions(task, targets, ["2 cm", "75 %", "1 cm"]))
    assert found["mean relative error, at most 1"] == pytest.approx((0 + 0.5 + 1) / 3)
    assert not [name for name in found if "absolute" in name]


def test_findings_equal_scikit_learn() -> None:
    chance = random.Random(3)
    names = ["effusion", "pleural effusion", "mass"]  # one name ends with another one
    task = Task("chest", kind="report", question="?", labels=names, reward={"delta": 0})
    states = ("present", "absent", "uncertain")
    true, said = (
        [{name: chance.choice(states) for name in names} for _ in range(50)] for _ in range(2)
    )
    own = predictions(task, true, ["\n".join(f"{n}: {s}" for n, s in x.items()) for x in said])
    assert all(one.score.prediction for one in own)
    read = [dict(part.split(": ") for part in str(one.score.prediction).split("; ")) for one in own]
    matrix, guess = (
        np.array([[row.get(name) == "present" for name in names] for row in rows])
        for rows in (true, read)
    )
    found = metrics_by_name(task, own)
    for how in ("micro", "macro"):
        wanted = sk.f1_score(matrix, guess, average=how, zero_division=0)
        assert found[f"{how} F1 of what is present"] == pytest.approx(wanted, abs=1e-12)
    table = label_table(task, own)
    precision, recall, f1, counts = sk.precision_recall_fscore_support(matrix, guess)
    assert [row["precision"] for row in table] == pytest.approx(precision, abs=1e-12)
    assert [row["recall"] for row in table] == pytest.approx(recall, abs=1e-12)
    assert [row["f1"] for row in table] == pytest.approx(f1, abs=1e-12)
    assert [row["rows"] for row in table] == [*counts]


def test_fields_have_the_metrics_of_their_kinds() -> None:
    fields = {
        "side": Task("side", labels=["left", "right"]),
        "size": Task("size", kind="number"),
        "boxes": Task("boxes", kind="localisation", labels=["mass"], reward={"delta": 0}),
    }
    task = Task("mammogram", kind="fields", question="?", fields=fields, reward={"delta": 0})
    target = {"side": "left", "size": {"value": 4, "unit": "mm"}, "boxes": [[0, 0, 8, 8]]}
    right = {"side": "left", "size": "4 mm", "boxes": [[0, 0, 8, 8]]}
    wrong = {"side": "right", "size": "5 mm", "boxes": [[0, 0, 8, 4]]}
    answers = [json.dumps(right), json.dumps(wrong), "side: left"]
    own = predictions(task, [target] * 3, answers)
    found = metrics_by_name(task, own)
    assert found["side: accuracy"] == pytest.approx(2 / 3)
    assert found["size: mean absolute error (mm) of numbers read"] == 0.5
    assert found["size: unreadable"] == pytest.approx(1 / 3)
    assert found["boxes: mean IoU"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert found["accuracy"] == pytest.approx(1 / 3)
    labels = [row["label"] for row in label_table(task, own)]
    assert labels == ["side: left", "side: right", "boxes: mass"]
