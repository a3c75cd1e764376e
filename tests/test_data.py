"""MRI slices, rows, parquet files and atomic writing."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from medreward import ConfigError, Task, shaped_reward
from medreward.data import medmnist, mni152
from medreward.data.example import Example
from medreward.data.parquet import SCHEMA, write_parquet
from medreward.data.rows import make_rows
from medreward.files.atomic import replacing, write_text_atomic
from medreward.priors.prompt import build_prompt

LEVEL = Task.load("mni152_level")


def slices_of(split: mni152.Split, count: int = 15) -> list[Example]:
    return mni152.examples("mni152_level", split=split, count=count, seed=0)


@pytest.mark.parametrize("plane", mni152.PLANES)
def test_train_and_test_slices_are_no_neighbours(plane: str) -> None:
    train, test = (np.array(mni152.slices(plane, split)) for split in ("train", "test"))
    assert np.abs(train[:, None] - test[None, :]).min() > mni152.GAP_MM
    assert min(len(train), len(test)) >= 20


def test_levels_are_fifths_of_the_measured_height() -> None:
    first, stop = mni152.extent("axial")
    levels = [mni152.level(i) for i in range(first, stop)]
    assert levels == sorted(levels)
    sizes = np.bincount(levels)
    assert len(sizes) == 5
    assert sizes.max() - sizes.min() <= 1


def test_every_grade_is_in_both_splits_in_equal_numbers() -> None:
    for split in ("train", "test"):
        targets = [example.target for example in slices_of(split)]
        assert np.bincount(targets).tolist() == [3] * 5


def test_examples_depend_on_the_seed_and_not_on_the_count() -> None:
    few, many = slices_of("train", 3), slices_of("train", 6)
    other = mni152.examples("mni152_level", split="train", count=3, seed=1)
    for one, same, different in zip(few, many, other, strict=False):
        assert one.image.tobytes() == same.image.tobytes()
        assert one.image.tobytes() != different.image.tobytes()


def test_the_brain_box_holds_the_bright_pixels() -> None:
    for example in mni152.examples("mni152_brain_box", split="test", count=20, seed=0):
        x1, y1, x2, y2 = example.target
        assert 0 <= x1 < x2 <= example.image.width
        assert 0 <= y1 < y2 <= example.image.height
        pixels = np.asarray(example.image, dtype=float)
        inside = pixels[y1:y2, x1:x2].sum()
        assert inside > 0.9 * pixels[pixels > 40].sum()
        text = f"<think>x</think><answer>{json.dumps([example.target])}</answer>"
        assert shaped_reward(text, [example.target], task="mni152_brain_box") == 1.2


def test_the_template_has_no_sides() -> None:
    t1 = mni152._volumes().t1
    assert (t1 == t1[::-1]).all()


def test_planes_are_told_apart_by_name() -> None:
    found = [e.target for e in mni152.examples("mni152_plane", split="test", count=6, seed=0)]
    assert sorted(set(found)) == ["axial", "coronal", "sagittal"]


@pytest.mark.parametrize(
    ("task", "split", "message"),
    [("mni152_levl", "train", "mni152_level"), ("mni152_level", "tset", "did you mean 'test'")],
)
def test_unknown_sources_are_named(task: str, split: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        mni152.examples(task, split=split, count=1, seed=0)  # type: ignore[arg-type]


def test_medmnist_rows_from_the_real_file(test_data: Path) -> None:
    path = test_data / "medmnist" / "pneumoniamnist.npz"
    made = list(make_rows(medmnist.read_medmnist(path, "test", 5), Task.load("pneumoniamnist")))
    assert [row["reward_model"]["ground_truth"] for row in made] == [
        ("normal", "pneumonia")[int(label)] for label in np.load(path)["test_labels"][:5, 0]
    ]
    image = Image.open(io.BytesIO(made[0]["images"][0]["bytes"]))
    assert (np.asarray(image) == np.load(path)["test_images"][0]).all()


def chest_npz(folder: Path) -> Path:
    """A file laid out as ChestMNIST's, with made-up pixels and labels."""
    arrays: dict[str, np.ndarray] = {}
    for split in medmnist.SPLITS:
        arrays[f"{split}_images"] = np.zeros((3, 28, 28), np.uint8)
        arrays[f"{split}_labels"] = np.eye(14, dtype=np.uint8)[:3] * [[1], [1], [0]]
    np.savez(folder / "chestmnist.npz", **arrays)  # type: ignore[arg-type]
    return folder / "chestmnist.npz"


def test_several_labels_an_image(tmp_path: Path) -> None:
    made = make_rows(medmnist.read_medmnist(chest_npz(tmp_path), "train"), Task.load("chestmnist"))
    truths = [row["reward_model"]["ground_truth"] for row in made]
    assert truths == ['["atelectasis"]', '["cardiomegaly"]', "[]"]


def test_wrong_npz_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.npz: No such file"):
        next(medmnist.read_medmnist(tmp_path / "none.npz", "test"))
    np.savez(tmp_path / "other.npz", x=np.zeros(1))
    with pytest.raises(ConfigError, match="no array 'test_images'"):
        next(medmnist.read_medmnist(tmp_path / "other.npz", "test"))
    (tmp_path / "text.npz").write_text("not a zip")
    with pytest.raises(ConfigError, match=r"text\.npz: not a MedMNIST npz file"):
        next(medmnist.read_medmnist(tmp_path / "text.npz", "test"))


def test_rows_carry_the_knowledge_that_their_prompt_has() -> None:
    for level in ("none", "context", "full"):
        for name in ("retinamnist", "mni152_level"):
            row = next(make_rows(slices_of("train", 1), Task.load(name), level))
            knowledge = row["extra_info"]["knowledge"]
            assert knowledge in row["prompt"][0]["content"]
            assert knowledge == build_prompt(Task.load(name), level).knowledge
            assert (knowledge == "") == (level == "none")


def test_a_target_outside_the_label_set_names_the_example() -> None:
    wrong = Example(Image.new("L", (4, 4)), 7, "scan-3", "train")
    with pytest.raises(ConfigError, match=r"'scan-3'.*target 7"):
        list(make_rows([wrong], LEVEL))


def test_parquet_is_the_same_to_the_byte_and_in_the_schema(tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert write_parquet(tmp_path / name, make_rows(slices_of("train"), LEVEL)) == 15
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    table = pq.read_table(tmp_path / "a")
    assert table.schema.equals(SCHEMA)
    assert table.to_pylist() == list(make_rows(slices_of("train"), LEVEL))


def test_an_error_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    write_parquet(path, make_rows(slices_of("train", 2), LEVEL))
    old = path.read_bytes()
    wrong = Example(Image.new("L", (4, 4)), 7, "scan-3", "train")
    with pytest.raises(ConfigError, match="scan-3"):
        write_parquet(path, make_rows([*slices_of("train", 2), wrong], LEVEL))
    with pytest.raises(ConfigError, match="no rows"):
        write_parquet(path, [])
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_a_kill_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    code = (
        "import sys, time\n"
        "from medreward.files.atomic import replacing\n"
        "with replacing(sys.argv[1]) as scratch:\n"
        "    scratch.write_text('half'); print('written', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        process.send_signal(signal.SIGKILL)
    time.sleep(0.1)
    assert path.read_text() == "old"
    write_text_atomic(path, "new")
    assert path.read_text() == "new"


def test_a_folder_takes_the_place_of_a_folder(tmp_path: Path) -> None:
    for content in ("one", "two"):
        with replacing(tmp_path / "model") as scratch:
            scratch.mkdir()
            (scratch / content).touch()
    assert [p.name for p in (tmp_path / "model").iterdir()] == ["two"]
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"file/report\.html: cannot be written"):
        write_text_atomic(tmp_path / "file" / "report.html", "")
