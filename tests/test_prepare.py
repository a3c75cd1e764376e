"""``medreward prepare``, run as a user runs it, on real data and on folders as they come."""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from medreward import ConfigError, Task, shaped_reward
from medreward.data.labels import LabelMap, read_map
from medreward.data.parquet import SCHEMA
from medreward.data.prepare_command import add_parser
from medreward.data.splits import draw, read_fractions
from medreward.task import Label
from tests.nasty import BAD, GOOD, nasty_folder

BUSI = """
name: busi
question: What does this breast ultrasound image show?
kind: classification
labels: [{name: normal, absence: true}, benign, malignant]
max_typos: 0
"""
GRADES = """
name: dr
question: Which grade of diabetic retinopathy does this photograph show?
kind: ordinal
labels: [none, mild, moderate, severe, proliferative]
"""
BOXES = "{name: cells, kind: localisation, question: Where are white blood cells}"
LETTERS = "{name: letters, kind: classification, question: Which one, labels: [a, b]}"


def run(*arguments: object) -> None:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    parsed = parser.parse_args(["prepare", *map(str, arguments)])
    assert parsed.run(parsed) == 0


def card(folder: Path, text: str) -> Path:
    path = folder / "card.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    table = pq.read_table(path)
    assert table.schema.equals(SCHEMA)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def busi(test_data: Path, tmp_path: Path, out: str = "out", *more: object) -> Path:
    options = ["--split-column", "split", "--on-leak", "drop", *more]
    arguments = [test_data / "busi", "--task", card(tmp_path, BUSI), "--out", tmp_path / out]
    run("csv", *arguments, *options)
    return tmp_path / out


def test_the_command_is_registered() -> None:
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
    commands = project["project"]["entry-points"]["medreward.commands"]
    assert commands["prepare"] == f"{add_parser.__module__}:{add_parser.__name__}"


def test_busi_ends_with_the_same_bytes_for_any_number_of_workers(
    test_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = content(busi(test_data, tmp_path, "one", "--workers", 1, "--size", 96))
    two = content(busi(test_data, tmp_path, "two", "--workers", 2, "--size", 96))
    assert one == two
    assert sorted(one) == ["contact_sheet.png", "dataset_card.md", "test.parquet", "train.parquet"]
    rows = [r for name in ("train", "test") for r in read(tmp_path / "one" / f"{name}.parquet")]
    assert len(rows) == 591
    for row in rows[::40]:
        truth, name = row["reward_model"]["ground_truth"], row["extra_info"]["id"]
        assert name.startswith(f"images-{truth}_")
        image = Image.open(io.BytesIO(row["images"][0]["bytes"]))
        assert max(image.size) == 96
        answer = f"<think>An image.</think><answer>{truth}</answer>"
        task = Task.load(str(tmp_path / "card.yaml"))
        assert shaped_reward(answer, truth, task=task) >= 1
    assert "dropped, also in a later split: images/malignant_145.png" in capsys.readouterr().out


def test_an_image_in_two_splits_is_an_error_that_names_both(
    test_data: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"identical images.*\n.*benign_433.*malignant_145"):
        busi(test_data, tmp_path, "out", "--on-leak", "stop")
    assert not (tmp_path / "out").exists()
    busi(test_data, tmp_path, "out", "--on-leak", "keep", "--limit", 5)
    assert "kept, in two splits" in (tmp_path / "out" / "dataset_card.md").read_text()


def test_patients_stay_together(test_data: Path, tmp_path: Path) -> None:
    source = test_data / "dr-fundus"
    options = ["--task", card(tmp_path, GRADES), "--label-column", "grade", "--size", 32]
    drawn = ["--patient-column", "patient", "--split", "train=0.6,val=0.2,test=0.2"]
    run("csv", source, *options, *drawn, "--on-leak", "drop", "--out", tmp_path / "out")
    patients = {
        split: {
            r["extra_info"]["id"].split("_")[0] for r in read(tmp_path / "out" / f"{split}.parquet")
        }
        for split in ("train", "val", "test")
    }
    assert not patients["train"] & patients["test"]
    assert not patients["train"] & patients["val"]
    assert sum(map(len, patients.values())) > 150


def test_a_patient_in_two_splits_is_named_by_row(tmp_path: Path) -> None:
    for i in range(2):
        Image.new("L", (4, 4), i).save(tmp_path / f"{i}.png")
    table = "image,label,who,split\n0.png,a,Jane Doe,train\n1.png,b,Jane Doe,test\n"
    (tmp_path / "labels.csv").write_text(table)
    options = ["--patient-column", "who", "--split-column", "split"]
    with pytest.raises(ConfigError, match=r"csv line 2 in train, labels\.csv line 3") as error:
        run("csv", tmp_path, "--task", card(tmp_path, LETTERS), *options, "--out", tmp_path / "o")
    assert "Doe" not in str(error.value)


def test_boxes_are_in_pixels_of_the_scaled_image(test_data: Path, tmp_path: Path) -> None:
    arguments = ["voc", test_data / "bccd", "--task", card(tmp_path, BOXES), "--limit", 8]
    run(*arguments, "--object", "WBC", "--size", 320, "--out", tmp_path / "half")
    run(*arguments, "--object", "WBC", "--out", tmp_path / "full")
    for half, full in zip(
        read(tmp_path / "half" / "train.parquet"),
        read(tmp_path / "full" / "train.parquet"),
        strict=True,
    ):
        assert half["extra_info"] == full["extra_info"]
        assert Image.open(io.BytesIO(half["images"][0]["bytes"])).size == (320, 240)
        ends = (json.loads(row["reward_model"]["ground_truth"]) for row in (half, full))
        small, large = (np.array(boxes) for boxes in ends)
        assert np.allclose(small * 2, large)


def test_medmnist_in_its_splits(test_data: Path, tmp_path: Path) -> None:
    path = test_data / "medmnist" / "pneumoniamnist.npz"
    options = ["--limit", 30, "--on-leak", "keep", "--workers", 1]
    run("medmnist", path, "--task", "pneumoniamnist", *options, "--out", tmp_path / "out")
    with np.load(path) as arrays:
        for row in read(tmp_path / "out" / "test.parquet"):
            index = int(row["extra_info"]["id"].removeprefix("test-"))
            image = Image.open(io.BytesIO(row["images"][0]["bytes"]))
            assert (np.asarray(image) == arrays["test_images"][index]).all()
            label = ("normal", "pneumonia")[int(arrays["test_labels"][index, 0])]
            assert row["reward_model"]["ground_truth"] == label


def test_a_nasty_folder_loses_nothing_else(
    test_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nasty = nasty_folder(tmp_path / "nasty", test_data / "busi" / "images" / "normal_97.png")
    options = ["--task", card(tmp_path, LETTERS), "--split", "train=1"]
    with pytest.raises(ConfigError, match=r"files that cannot be used: 3; --on-error skip"):
        run("folders", nasty, *options, "--out", tmp_path / "out")
    run("folders", nasty, *options, "--on-error", "skip", "--out", tmp_path / "out")
    printed, card_text = capsys.readouterr().out, (tmp_path / "out" / "dataset_card.md").read_text()
    ids = {row["extra_info"]["id"] for row in read(tmp_path / "out" / "train.parquet")}
    assert len(ids) == len(GOOD)
    assert "a-line_break" in ids
    for name, reason in BAD.items():
        if name != "folder.png":  # a folder is no image of its class
            assert any(name in line and reason in line for line in printed.splitlines())
            assert any(name in line and reason in line for line in card_text.splitlines())
    for name, note in GOOD.items():
        assert not note or any(note in x and name in x for x in printed.splitlines())
    assert "John Doe" not in printed + card_text
    assert all(b"John Doe" not in data for data in content(tmp_path / "out").values())
    assert str(tmp_path) not in card_text


def test_unknown_labels_stop_with_counts_and_nearest_names(tmp_path: Path, test_data: Path) -> None:
    text = BUSI.replace("benign", "{name: harmless, synonyms: [benign lesion]}")
    arguments = ["csv", test_data / "busi", "--task", card(tmp_path, text), "--split", "all=1"]
    message = r"the card 'busi' does not know: 1; .*\n  'benign': \d+ images; .*'harmless'"
    with pytest.raises(ConfigError, match=message):
        run(*arguments, "--out", tmp_path / "out")
    run(*arguments, "--map", "benign=harmless", "--limit", 9, "--out", tmp_path / "out")
    truths = {r["reward_model"]["ground_truth"] for r in read(tmp_path / "out" / "all.parquet")}
    assert truths <= {"normal", "harmless", "malignant"}
    assert "| benign | harmless |" in (tmp_path / "out" / "dataset_card.md").read_text()


def test_labels_are_matched_without_guessing(tmp_path: Path) -> None:
    names = tuple(map(Label, ("none", "very mild", "severe")))
    task = Task("t", kind="ordinal", labels=names, first_grade=1)
    labels = LabelMap(task, {"?": "none"})
    given = ["None", "VERY_MILD", "3", "1.0", "?", "sever", "0", "4", "²", "-1", ""]
    assert [labels.index(x) for x in given] == [0, 1, 2, 0, 0, None, None, None, None, None, None]
    for pairs, message in [
        (["a=nnoe"], "did you mean 'none'"),
        (["none"], "is not old=new"),
        (["zz=none"], "label of the data: 'zz'"),
    ]:
        with pytest.raises(ConfigError, match=message):
            LabelMap(task, read_map(pairs)).indices(["none"])
    (tmp_path / "map.yaml").write_text("9: none\n'?': severe\n")
    assert read_map(["?=none"], tmp_path / "map.yaml") == {"9": "none", "?": "none"}
    (tmp_path / "map.yaml").write_text("no: none")
    with pytest.raises(ConfigError, match=r"map\.yaml: not a mapping of labels"):
        read_map([], tmp_path / "map.yaml")


def test_drawn_splits_have_their_fractions() -> None:
    fractions = read_fractions("train=0.7,val=0.1,test=0.2")
    drawn = [draw(str(i), 0, fractions) for i in range(5000)]
    for name, share in fractions.items():
        assert abs(drawn.count(name) / 5000 - share) < 0.02
    assert drawn != [draw(str(i), 1, fractions) for i in range(5000)]
    for text in ("train=0.7", "train", "a/b=1", "a=0.5,a=0.5", "a=nan", "a=-1,b=2"):
        with pytest.raises(ConfigError, match="--split"):
            read_fractions(text)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--size", "0"], "size: 0"),
        (["--task", "mni152_brain_box"], "the source has labels, the task .* asks for boxes"),
        (["--split-column", "image"], "is not a name of letters"),
    ],
)
def test_wrong_options_are_named(
    test_data: Path, tmp_path: Path, more: Sequence[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        busi(test_data, tmp_path, "out", *more)
    assert not (tmp_path / "out").exists()


def test_a_folder_with_other_files_is_left_alone(test_data: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.docx").touch()
    with pytest.raises(ConfigError, match=r"holds thesis\.docx; choose a new"):
        busi(test_data, tmp_path, "out")
    (tmp_path / "out" / "thesis.docx").rename(tmp_path / "out" / "other.parquet")
    with pytest.raises(ConfigError, match="not of an earlier run"):
        busi(test_data, tmp_path, "out")


def test_a_kill_at_any_moment_and_a_rerun_end_with_the_same_bytes(
    test_data: Path, tmp_path: Path
) -> None:
    expected = content(busi(test_data, tmp_path, "whole", "--size", 200))
    code = (
        "import sys; from tests.test_prepare import run\n"
        "if __name__ == '__main__': run(*sys.argv[1:])"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    options = ["--task", str(tmp_path / "card.yaml"), "--split-column", "split", "--size", "200"]
    options += ["--on-leak", "drop", "--workers", "2", "--out", str(tmp_path / "out")]
    command = [sys.executable, str(script), "csv", str(test_data / "busi"), *options]
    root = Path(__file__).parent.parent
    path = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    for wait in (0.9, 1.8):
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
            time.sleep(wait)
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=10)  # ends with the last worker that holds the pipe
        assert not (tmp_path / "out").exists() or content(tmp_path / "out") == expected
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert content(tmp_path / "out") == expected
