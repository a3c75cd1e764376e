"""Boxes of real smears from annotation to reward: prepare, both trainers, a wrong frame."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from medreward import ConfigError, Task, explain
from medreward.data.check import check_parquet
from medreward.geometry.frames import qwen_resized
from medreward.kinds.truth import ground_truth, target_of
from medreward.runs.frame_report import compare_frames
from medreward.scoring.task_book import name_tasks
from medreward_trl.rewards import reward_funcs
from medreward_verl import compute_score
from tests import prepare_support as support

TASK = Task.load("bccd")
SEEN = (28, 3136, 50_176)


@pytest.fixture(scope="module")
def rows(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    out = tmp_path_factory.mktemp("bccd")
    options = ("--limit", 24, "--split", "train=1", "--size", 320, "--seen", *SEEN, "--out", out)
    assert support.run("--task", "bccd", "--voc", test_data / "bccd", *options) == 0
    assert check_parquet(out / "train.parquet") == 24
    return support.rows(out, "train")


def truth(row: dict[str, Any]) -> str:
    return str(row["reward_model"]["ground_truth"])


def answer(row: dict[str, Any], frame: str = "pixels") -> str:
    """The row's boxes as Qwen writes them, whole numbers in a frame."""
    target = json.loads(truth(row))
    extent = {"pixels": target["size"], "per-mille": (1000, 1000), "resized": target["seen"]}[frame]
    scale = [side / own for side, own in zip(extent, target["size"], strict=True)]
    boxes = [
        {"bbox_2d": [round(v * scale[i % 2]) for i, v in enumerate(b["box"])], "label": b["label"]}
        for b in target["boxes"]
    ]
    return f"<think>x</think><answer>```json\n{json.dumps(boxes)}\n```</answer>"


def test_targets_have_labels_and_sizes(rows: list[dict[str, Any]]) -> None:
    labels = set()
    for row in rows:
        target = json.loads(truth(row))
        assert target["size"] == [320, 240]
        assert target["seen"] == list(qwen_resized((320, 240), *SEEN))
        labels |= {box["label"] for box in target["boxes"]}
        assert ground_truth(TASK, target_of(TASK, truth(row))) == truth(row)
        content = row["prompt"][0]["content"]
        line = content.partition("Possible labels: ")[2].partition(".")[0]
        assert sorted(line.split("; ")) == ["Platelets", "RBC", "WBC"]
    assert labels == {"RBC", "WBC", "Platelets"}


@pytest.mark.parametrize("frame", ["pixels", "per-mille", "resized"])
def test_both_trainers_reward_the_right_boxes(rows: list[dict[str, Any]], frame: str) -> None:
    texts, targets = [answer(row, frame) for row in rows], [truth(row) for row in rows]
    funcs, _ = reward_funcs("bccd", frame=frame)
    assert funcs[0](completions=texts, target=targets) == [1.0] * len(rows)
    for text, target in zip(texts, targets, strict=True):
        scored = compute_score("bccd", text, target, frame=frame)
        assert (scored["score"], scored["correct"]) == (1.2, 1.0)


def test_labels_count(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        swapped = answer(row).replace("RBC", "WBC")
        if swapped != answer(row):
            assert explain(swapped, target_of(TASK, truth(row)), task=TASK).parts["accuracy"] < 0.6


def test_a_wrong_frame_shows_in_a_batch(rows: list[dict[str, Any]]) -> None:
    targets = [truth(row) for row in rows]
    for frame in ("per-mille", "resized"):
        report = compare_frames([answer(row, frame) for row in rows], targets, TASK)
        assert report.likely == frame
        assert report.accuracy["pixels"] < 0.2
        assert report.accuracy[frame] == 1.0


def test_rows_without_the_size_that_the_frame_needs(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    card = tmp_path / "cells.yaml"
    text = support.CELLS.replace("delta: 0", "delta: 0, frame: per-mille")
    card.write_text(text, encoding="utf-8")
    row = {
        "data_source": "cells",
        "prompt": [],
        "images": [],
        "reward_model": {"style": "rule", "ground_truth": "[[0, 0, 9, 9]]"},
        "extra_info": {"id": "r"},
    }
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "rows.parquet")
    with pytest.raises(ConfigError, match="row 0: target: it has no 'size'"):
        check_parquet(tmp_path / "rows.parquet", name_tasks([f"cells={card}"]))


def test_classes_that_the_card_does_not_know(
    test_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "name: cells\nkind: localisation\nquestion: Where?\nlabels: [erythrocyte, WBC]\n"
    source = ("--task", support.card(tmp_path, text), "--voc", test_data / "bccd", "--limit", 2)
    assert support.run(*source, "--out", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert "'RBC': 3" in said
    assert "boxes" in said
    options = ("--map", "RBC=erythrocyte", "--map", "Platelets=", "--split", "train=1")
    assert support.run(*source, *options, "--out", tmp_path / "out") == 0
    made = [json.loads(truth(row)) for row in support.rows(tmp_path / "out", "train")]
    assert {box["label"] for target in made for box in target["boxes"]} <= {"erythrocyte", "WBC"}
    assert support.run(*source, "--seen", 0, 1, 1, "--out", tmp_path / "out") == 2
