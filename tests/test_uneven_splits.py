"""Splits that were drawn: an empty one and one that lacks a label are remarked, others are not."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from medreward import Task
from medreward.data.sources import open_table
from medreward.data.sources.record import Source
from medreward.prepare import Options, prepare

TASK = Task("severity", kind="ordinal", labels=["none", "mild", "severe"])


def table(folder: Path, labels: list[str], split: str = "") -> Source:
    """Return a source of one picture a label."""
    lines = ["image,label,split" if split else "image,label"]
    for i, label in enumerate(labels):
        Image.new("L", (32, 32), i).save(folder / f"{i}.png")
        lines.append(f"{i}.png,{label}" + (f",{split}" if split else ""))
    (folder / "labels.csv").write_text("\n".join(lines))
    return open_table(folder, folder / "labels.csv")


def remarks(source: Source, out: Path) -> list[str]:
    """Return what the data set's card says of splits."""
    prepare(source, TASK, out, Options())
    lines = (out / "dataset_card.md").read_text().splitlines()
    return [line for line in lines if "--split takes" in line or "--seed draws" in line]


def test_an_empty_split_and_a_missing_grade_are_remarked(tmp_path: Path) -> None:
    found = remarks(table(tmp_path, ["none"] * 5 + ["severe"]), tmp_path / "rows")
    assert any("no image in it" in line for line in found)
    assert any("no image of 2, of which there are 1" in line for line in found)


def test_nothing_is_said_of_the_source_s_own_splits(tmp_path: Path) -> None:
    assert remarks(table(tmp_path, ["none", "severe"], "train"), tmp_path / "rows") == []


def test_nothing_is_said_of_splits_that_have_every_label(tmp_path: Path) -> None:
    labels = ["none", "mild", "severe"] * 40
    assert remarks(table(tmp_path, labels), tmp_path / "rows") == []
