"""Patients: what is said where file names look like them, and where they are known."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from medreward import Task
from medreward.commands.cli import main
from medreward.data.check import scorers_of
from medreward.data.sources.patient_names import names_in_paths
from medreward.data.sources.record import Record
from medreward.prepare import merge_parts
from medreward.runs.evaluation import score_completions
from medreward.scoring.task_book import TaskBook
from tests.prepare_support import LETTERS, card, run

SAID = "none is used, though"


def folder(root: Path, patients: int = 12, name: str = "PT{0}_{1}.png") -> Path:
    """Two images of each patient; of every third patient in both classes."""
    for patient in range(patients):
        for number in range(2):
            label = ("alpha", "beta")[(patient + number * (patient % 3 == 0)) % 2]
            place = root / label / name.format(1090 + patient, number)
            place.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(2 * patient + number).integers(0, 255, (16, 16))
            Image.fromarray(pixels.astype("uint8")).save(place)
    return root


def prepared(root: Path, *options: str) -> str:
    """Return the data set card of rows from a folder of classes."""
    given = ("--task", card(root.parent, LETTERS), "--folders", root, "--workers", 1)
    assert run(*given, "--out", root.parent / "rows", *options) == 0
    return (root.parent / "rows" / "dataset_card.md").read_text(encoding="utf-8")


def test_names_that_several_files_share_are_remarked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = folder(tmp_path / "scans")
    given = ("--task", card(tmp_path, LETTERS), "--folders", root)
    assert run(*given, "--dry-run", "--out", tmp_path / "rows") == 0
    planned = capsys.readouterr().out
    text = prepared(root, "--split", "train=0.5,test=0.5")
    for said in (planned, capsys.readouterr().out):
        assert SAID in said
        assert "12 such names in 24 files" in said
        assert "--patient-pattern 'PT[0-9]+'" in said
    assert SAID in text
    assert "PT109" not in text  # a pattern is no patient


def test_known_patients_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder(tmp_path / "scans")
    text = prepared(root, "--patient-pattern", "PT[0-9]+", "--split", "train=0.5,test=0.5")
    for said in (text, capsys.readouterr().out):
        assert "patients: 12 in 24 images, each in one split (train " in said
        assert "have images with different labels (4 of 12)" in said
        assert SAID not in said
        assert "is that the patient?" not in said
    assert "PT109" not in text


def test_the_command_of_the_card_can_be_copied(tmp_path: Path) -> None:
    text = prepared(folder(tmp_path / "scans"), "--patient-pattern", "PT[0-9]+")
    line = next(x for x in text.splitlines() if x.startswith("medreward prepare"))
    assert "PT[0-9]+" in shlex.split(line)


def test_a_pattern_that_is_not_the_patient_is_remarked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared(folder(tmp_path / "scans"), "--patient-pattern", "_[01]", "--seed", "3")
    said = capsys.readouterr().out
    assert "very few, or one of them has most of the images: is that the patient?" in said
    assert "2 in all, the largest with 12 of 24 images" in said
    assert "no image is in" in said


def test_a_new_card_comes_with_a_pattern(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = folder(tmp_path / "scans")
    assert main(["tasks", "new", "--from", str(root), "--out", str(tmp_path / "c.yaml")]) == 0
    said = capsys.readouterr().out
    assert "look as if several images shared one (12 such names in 24 files)" in said
    command = next(x for x in said.splitlines() if "--dry-run" in x)
    assert main(shlex.split(command)[1:]) == 0
    assert "12 in 24 images, each in one split" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        ("PT{0}_{1}", "PT[0-9]+"),
        ("{0}_left_{1}", "[0-9]+"),
        ("US-{0}-{1}", r"US\-[0-9]+"),
        ("train/patient{0}/study1/view{1}", "patient[0-9]+"),
        ("x/slide{0}_patch_{1}", "slide[0-9]+"),
        ("img_{0}_{1}", "img_[0-9]+"),
        ("P{0}a{1}", "P[0-9]+"),
        ("image_{0}{1}", None),  # one a file
        ("benign ({0}{1})", None),
        ("{0}{1}", None),
        ("site{1}_{0}", None),  # two of them
    ],
)
def test_what_looks_like_a_patient_has_a_pattern(form: str, pattern: str | None) -> None:
    keys = [f"{form.format(100 + i, j)}.png" for i in range(20) for j in range(2)]
    found = names_in_paths([Record(k, k, k, label="a", key=k) for k in keys])
    assert (found and found.pattern) == pattern


def test_classes_are_no_patients() -> None:
    keys = [f"c{i}/{j}_x.png" for i in range(9) for j in range(20)]
    records = [Record(k, k, k, label=k[:2], key=k) for k in keys]
    found = names_in_paths(records)
    assert found is None or found.where == "file names"


def test_names_of_letters_alone_do_not_stand_in_the_pattern() -> None:
    keys = [f"{name}_{j}.png" for name in ("Doe", "Roe", "Poe", "Moe", "Loe") for j in "12"]
    found = names_in_paths([Record(k, k, k, label="a", key=k) for k in keys])
    assert found is not None
    assert "oe" not in found.pattern


def patients_of(folder: Path) -> list[str | None]:
    files = [folder / f"{split}.parquet" for split in ("train", "test")]
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    return [row["extra_info"]["patient"] for row in rows]


def test_rows_have_a_number_of_the_patient_and_no_name(tmp_path: Path) -> None:
    root = folder(tmp_path / "scans")
    options = ("--patient-pattern", "PT[0-9]+", "--split", "train=0.5,test=0.5")
    prepared(root, *options)
    numbers = patients_of(tmp_path / "rows")
    counts = Counter(numbers)
    assert {*counts} == {str(number) for number in range(12)}
    assert {*counts.values()} == {2}
    assert not any(b"PT10" in file.read_bytes() for file in (tmp_path / "rows").glob("*.parquet"))
    given = ("--task", tmp_path / "letters.yaml", "--folders", root, "--workers", 1, *options)
    for part in ("1/2", "2/2"):
        assert run(*given, "--out", tmp_path / "parts", "--part", part) == 0
    merge_parts([tmp_path / "parts"], tmp_path / "joined")
    assert patients_of(tmp_path / "joined") == numbers
    plain = ("--task", tmp_path / "letters.yaml", "--folders", root, "--workers", 1, *options[2:])
    assert run(*plain, "--out", tmp_path / "plain") == 0
    assert {*patients_of(tmp_path / "plain")} == {None}


def test_intervals_by_patient(tmp_path: Path) -> None:
    root = folder(tmp_path / "scans")
    prepared(root, "--patient-pattern", "PT[0-9]+", "--split", "train=0.5,test=0.5")
    rows = tmp_path / "rows" / "test.parquet"
    ids = [row["extra_info"]["id"] for row in pq.read_table(rows).to_pylist()]
    said = dict.fromkeys(ids, "<think>x</think><answer>alpha</answer>")
    book = TaskBook({"letters": Task.load(tmp_path / "letters.yaml")})
    one = score_completions(rows, said, scorers_of(book), cluster="patient")["letters"]
    assert Counter(Counter(p.cluster for p in one.predictions).values()) == {2: len(ids) // 2}
