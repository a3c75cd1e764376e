"""Metrics equal torchmetrics' on the same predictions; the others' tests need less installed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from medreward import Task
from medreward.runs.evaluation_answers import squad_f1
from tests.evaluation_rows import metrics_by_name, predictions

tm = pytest.importorskip("torchmetrics", reason="torchmetrics is not installed")
functional = pytest.importorskip("torchmetrics.functional")

GRADES = Task("grades", kind="ordinal", question="?", labels=list("abcde"))
CHEST = Task("chest", kind="multilabel", question="?", labels=["edema", "effusion", "mass"],
             reward={"delta": 0})  # fmt: skip


@pytest.fixture(autouse=True)
def _in_double_precision(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let torchmetrics, which counts in single precision, count in double."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def tensor(values: Any, kind: Any = None) -> Any:
    return torch.tensor(np.array(values), dtype=kind)


def test_grades_and_their_confidences() -> None:
    chance = np.random.default_rng(1)
    share = chance.dirichlet([1] * 5, 80)
    true = chance.integers(0, 5, 80)
    said = share.argmax(axis=1)
    own = predictions(GRADES, [int(i) for i in true], [str(i) for i in said])
    own = [one._replace(confidence=tuple(map(float, p))) for one, p in zip(own, share, strict=True)]
    found = metrics_by_name(GRADES, own)
    five: Any = {"num_classes": 5}
    pair = tensor(said), tensor(true)
    sure = tensor(share, torch.float64), tensor(true)
    kappa = functional.classification.multiclass_cohen_kappa(*pair, **five, weights="quadratic")
    for name, wanted in {
        "accuracy": functional.classification.multiclass_accuracy(*pair, **five, average="micro"),
        "balanced accuracy": functional.classification.multiclass_recall(*pair, **five),
        "macro F1": functional.classification.multiclass_f1_score(*pair, **five),
        "quadratic weighted kappa": kappa,
        "macro AUROC": functional.classification.multiclass_auroc(*sure, **five),
        "macro average precision": functional.classification.multiclass_average_precision(
            *sure, **five
        ),
        "expected calibration error": functional.classification.multiclass_calibration_error(
            *sure, **five, n_bins=10
        ),
    }.items():
        assert found[name] == pytest.approx(float(wanted), abs=1e-9), name


def test_sets() -> None:
    chance = np.random.default_rng(2)
    true, said = (chance.random((60, 3)) < 0.4 for _ in range(2))
    said[said.all(axis=1), 0] = False  # an answer of all labels earns nothing
    names = [label.name for label in CHEST.labels]
    sets = [[[n for n, there in zip(names, row, strict=True) if there] for row in rows]
            for rows in (true, said)]  # fmt: skip
    own = predictions(CHEST, sets[0], [json.dumps(x) if x else "no finding" for x in sets[1]])
    found = metrics_by_name(CHEST, own)
    for how in ("micro", "macro"):
        wanted = functional.classification.multilabel_f1_score(
            tensor(said, torch.int64), tensor(true, torch.int64), num_labels=3, average=how
        )
        assert found[f"{how} F1"] == pytest.approx(float(wanted), abs=1e-9)
    wanted = functional.classification.multilabel_exact_match(
        tensor(said, torch.int64), tensor(true, torch.int64), num_labels=3
    )
    assert found["exact match"] == pytest.approx(float(wanted), abs=1e-9)


def test_masks() -> None:
    from pycocotools import mask as coco_masks

    chance = np.random.default_rng(3)
    task = Task("lesion", kind="segmentation", question="Where?")
    true, said = (chance.random((2, 9, 16, 16)) < 0.3).astype(np.uint8)
    codes = [coco_masks.encode(np.asfortranarray(mask))["counts"].decode() for mask in said]
    answers = [json.dumps({"size": [16, 16], "counts": code}) for code in codes]
    found = metrics_by_name(task, predictions(task, [*true], answers))
    pairs = [(tensor(s).flatten(), tensor(t).flatten()) for s, t in zip(said, true, strict=True)]
    dice = [float(functional.classification.binary_f1_score(*pair)) for pair in pairs]
    assert found["mean Dice"] == pytest.approx(np.mean(dice), abs=1e-9)
    overlap = [float(functional.classification.binary_jaccard_index(*pair)) for pair in pairs]
    assert found["mean IoU"] == pytest.approx(np.mean(overlap), abs=1e-9)


def test_short_answers() -> None:
    from torchmetrics.functional.text import squad

    chance = random.Random(4)
    words = ["the", "left", "lung", "effusion,", "No", "small", "a", "mass", "edema."]
    pairs = [
        [" ".join(chance.choices(words, k=chance.randint(1, 5))) for _ in range(3)]
        for _ in range(60)
    ]
    for said, *accepted in pairs:
        target = {"answers": {"answer_start": [0, 0], "text": accepted}, "id": "0"}
        wanted = squad([{"prediction_text": said, "id": "0"}], [target])["f1"]
        assert squad_f1(said, accepted) == pytest.approx(float(wanted) / 100, abs=1e-9)
