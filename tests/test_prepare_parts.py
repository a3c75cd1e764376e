"""Shards, parts of a run and their joining: the same rows, card and sheet as one run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from medreward import ConfigError, Task
from medreward.commands.cli import main
from medreward.data.row_files import row_files
from medreward.data.sources import open_class_folders
from medreward.prepare import Options, merge_parts, prepare
from tests import prepare_support as support
from tests.prepare_support import card, content, run
from tests.test_prepare import wait_for

PARTS = 3


def rows_of(folder: Path, split: str) -> list[dict[str, Any]]:
    """Return the rows of a split in a folder, from one file or its shards."""
    files = sorted(folder.glob(f"{split}*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    """Pictures of two classes in three splits; two are the same in train and test."""
    names = [
        f"{split}/{label}/{i}.png"
        for split, count in (("train", 9), ("val", 4), ("test", 5))
        for label in ("alpha", "beta")
        for i in range(count)
    ]
    folder = support.folder_of_images(tmp_path / "images", names)
    for i in (0, 7):
        twin = folder / f"train/alpha/{i}.png"
        twin.write_bytes((folder / f"test/alpha/{min(i, 4)}.png").read_bytes())
    return folder


def options_of(folder: Path) -> list[str]:
    own = card(folder.parent, support.LETTERS)
    return ["--task", own, "--folders", str(folder), "--drop-duplicates"]


def run_parts(options: list[str], out: Path, count: int = PARTS) -> None:
    for number in range(1, count + 1):
        assert run(*options, "--part", f"{number}/{count}", "--out", out) == 0


def test_joined_parts_are_what_one_run_writes(letters: Path, tmp_path: Path) -> None:
    options = options_of(letters)
    assert run(*options, "--out", tmp_path / "whole") == 0
    run_parts(options, tmp_path / "parts")
    assert main(["rows", "merge", str(tmp_path / "parts"), "--out", str(tmp_path / "joined")]) == 0
    assert content(tmp_path / "joined") == content(tmp_path / "whole")
    assert len(rows_of(tmp_path / "joined", "train")) == 16  # two are in test too


def test_boxes_questions_and_copies_are_joined_too(test_data: Path, tmp_path: Path) -> None:
    """Grounding questions and transformed copies: several rows an image, counts of questions."""
    source = ["--task", "bccd", "--voc", str(test_data / "bccd"), "--limit", "5", "--size", "48"]
    asked = ["--ask", "where,count"]
    copied = ["--transforms", "Rotate(degrees=-5..5)", "--copies", "2"]
    for name, further in (("asked", asked), ("copied", copied)):
        options = [*source, *further, "--split", "train=0.5,test=0.5"]
        assert run(*options, "--out", tmp_path / name / "whole") == 0
        run_parts(options, tmp_path / name / "parts", 2)
        merge_parts([tmp_path / name / "parts"], tmp_path / name / "joined")
        assert content(tmp_path / name / "joined") == content(tmp_path / name / "whole")


def test_a_picture_in_two_splits_is_found_over_parts(
    letters: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = options_of(letters)[:-1]
    parts = 18  # so that twins are in different ones
    run_parts(options, tmp_path / "out", parts)
    capsys.readouterr()
    assert main(["rows", "merge", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "the same picture is in two splits" in said
    assert "train/alpha/7.png: its picture is in another split (test: test/alpha/4.png)" in said
    assert not (tmp_path / "out" / "dataset_card.md").exists()


def test_images_that_cannot_be_used_are_counted_over_parts(letters: Path, tmp_path: Path) -> None:
    (letters / "val/beta/1.png").write_bytes(b"no picture")
    options = [*options_of(letters), "--on-error", "skip"]
    assert run(*options, "--out", tmp_path / "whole") == 0
    run_parts(options, tmp_path / "parts")
    summary = merge_parts([tmp_path / "parts"], tmp_path / "joined")
    assert [remark.where for remark in summary.skipped] == ["val/beta/1.png"]
    assert content(tmp_path / "joined") == content(tmp_path / "whole")


def test_parts_of_another_run_are_refused(letters: Path, tmp_path: Path) -> None:
    options = options_of(letters)
    assert run(*options, "--part", "1/2", "--out", tmp_path / "out") == 0
    with pytest.raises(ConfigError, match=r"parts 2 of 2 are missing; --part 2/2 makes"):
        merge_parts([tmp_path / "out"], tmp_path / "joined")
    assert run(*options, "--part", "2/2", "--seed", "5", "--out", tmp_path / "out") == 0
    with pytest.raises(ConfigError, match=r"not of one run:\n(.*\n)*.*settings, seed: 0 and 5"):
        merge_parts([tmp_path / "out"], tmp_path / "joined")
    (letters / "train/alpha/new.png").write_bytes((letters / "train/alpha/1.png").read_bytes())
    assert run(*options, "--part", "2/2", "--out", tmp_path / "out") == 0
    with pytest.raises(ConfigError, match=r"not of one run:\n  plan: "):
        merge_parts([tmp_path / "out"], tmp_path / "joined")
    assert not (tmp_path / "joined").exists()


def test_a_part_that_was_cut_is_refused(letters: Path, tmp_path: Path) -> None:
    run_parts(options_of(letters), tmp_path / "out", 2)
    journal = tmp_path / "out/part-00002-of-00002/rows-3.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:-1]))
    with pytest.raises(ConfigError, match=r"8 records, and its share is 9.*--part 2/2"):
        merge_parts([tmp_path / "out"], tmp_path / "joined")
    (tmp_path / "out/part-00001-of-00002/rows-3.parquet").unlink()
    with pytest.raises(ConfigError, match="fewer rows than when it was written"):
        merge_parts([tmp_path / "out"], tmp_path / "joined")


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "a/b", "1/0"])
def test_a_part_that_is_none_is_named(
    part: str, letters: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*options_of(letters), "--part", part, "--out", letters.parent / "out") == 2
    assert f"part: '{part}' is not I/N" in capsys.readouterr().err.replace("--", "")


def test_a_part_holds_no_patient(tmp_path: Path) -> None:
    support.folder_of_images(tmp_path / "in", ["1.png", "2.png"])
    (tmp_path / "t.csv").write_text(
        "image,label,patient\n1.png,alpha,Doe^Jane\n2.png,beta,Roe^Mary\n"
    )
    source = ["--images", tmp_path / "in", "--csv", tmp_path / "t.csv", "--split", "train=1"]
    own = card(tmp_path, support.LETTERS)
    assert run("--task", own, *source, "--part", "1/1", "--out", tmp_path / "out") == 0
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(files) == 5  # rows, a journal for each split, the state
    assert not any(b"Doe" in path.read_bytes() for path in files)


# Shards


def test_shards_hold_the_rows_of_one_file(letters: Path, tmp_path: Path) -> None:
    options = options_of(letters)
    assert run(*options, "--out", tmp_path / "one") == 0
    assert run(*options, "--shard-rows", 5, "--out", tmp_path / "shards") == 0
    names = [path.name for path in sorted((tmp_path / "shards").glob("train*"))]
    assert names == [f"train-0000{i}-of-00004.parquet" for i in range(4)]
    for split in ("train", "val", "test"):
        assert rows_of(tmp_path / "shards", split) == rows_of(tmp_path / "one", split)
    run_parts(options, tmp_path / "parts")
    merge = ["rows", "merge", str(tmp_path / "parts"), "--shard-rows", "5"]
    assert main([*merge, "--out", str(tmp_path / "joined")]) == 0
    joined, shards = content(tmp_path / "joined"), content(tmp_path / "shards")
    assert {n: c for n, c in joined.items() if n != "dataset_card.md"} == {
        n: c for n, c in shards.items() if n != "dataset_card.md"
    }


def test_files_of_an_earlier_run_do_not_stay(letters: Path, tmp_path: Path) -> None:
    options = [*options_of(letters), "--out", tmp_path / "out"]
    assert run(*options, "--shard-rows", 5) == 0
    assert run(*options, "--shard-rows", 9) == 0
    assert len(list((tmp_path / "out").glob("train*"))) == 2
    assert run(*options) == 0
    assert [path.name for path in (tmp_path / "out").glob("train*")] == ["train.parquet"]
    assert run(*options, "--shard-rows", 9) == 0
    assert not (tmp_path / "out/train.parquet").exists()


@pytest.fixture
def shards(letters: Path, tmp_path: Path) -> Path:
    source, task = open_class_folders(letters), support.task(support.LETTERS)
    prepare(source, task, tmp_path / "shards", Options(shard_rows=5, drop_duplicates=True))
    return tmp_path / "shards"


def test_commands_read_shards_by_folder_and_pattern(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = ["--task", card(tmp_path, support.LETTERS)]
    assert main(["rows", "check", str(shards), *own]) == 0
    assert f"{shards}: 34 rows are right" in capsys.readouterr().out
    pattern = str(shards / "train-*.parquet")
    assert main(["rows", "check", pattern, *own]) == 0
    assert "16 rows are right" in capsys.readouterr().out
    assert main(["view", pattern, "--out", str(tmp_path / "view.html"), *own]) == 0
    assert "16 of 16 rows" in capsys.readouterr().out
    export = ["rows", "export", str(shards), "--to", "ms-swift", "--out", str(tmp_path / "swift")]
    assert main([*export, *own]) == 0
    assert "train.jsonl: 16 rows" in capsys.readouterr().out
    lines = [
        json.dumps({"id": row["extra_info"]["id"], "completion": "<answer>alpha</answer>"})
        for row in rows_of(shards, "test")
    ]
    (tmp_path / "said.jsonl").write_text("\n".join(lines))
    said = ["--completions", str(tmp_path / "said.jsonl"), "--resamples", "100"]
    assert main(["evaluate", str(shards / "test-*.parquet"), *said, *own]) == 0


def test_a_shard_that_is_missing_is_named(shards: Path) -> None:
    (shards / "train-00002-of-00004.parquet").unlink()
    with pytest.raises(ConfigError, match=r"1 of 4 shards of 'train' are missing, such as train-0"):
        row_files(shards)
    with pytest.raises(ConfigError, match=r"val.parquet: No such file; 2 shards of it are there"):
        row_files(shards / "val.parquet")
    with pytest.raises(ConfigError, match="no file matches"):
        row_files(shards / "nothing-*.parquet")


def test_trl_reads_shards_by_pattern_and_as_a_stream(shards: Path) -> None:
    datasets = pytest.importorskip("datasets")
    from medreward_trl import from_parquet

    rows = rows_of(shards, "train")
    data = from_parquet(shards / "train-*.parquet")
    assert data["id"] == [row["extra_info"]["id"] for row in rows]
    stream = from_parquet(shards / "train-*.parquet", streaming=True)
    assert [row["target"] for row in stream] == data["target"]
    with pytest.raises(ConfigError, match="files of test, train, val, which would become one set"):
        from_parquet(shards)
    # The library itself, as verl and others call it.
    files = str(shards / "train-*.parquet")
    assert datasets.load_dataset("parquet", data_files=files)["train"].num_rows == 16
    assert set(datasets.load_dataset(str(shards))) == {"train", "validation", "test"}


def test_one_part_by_python_is_the_whole_run(letters: Path, tmp_path: Path) -> None:
    task = Task.load(card(tmp_path, support.LETTERS))
    options = Options(part=(1, 1), drop_duplicates=True)
    summary = prepare(open_class_folders(letters), task, tmp_path / "out", options)
    assert [path.name for path in summary.files] == ["part-00001-of-00001"]
    assert merge_parts([tmp_path / "out"], tmp_path / "out").images == summary.images


def test_parts_beside_the_rows_are_no_rows(letters: Path, tmp_path: Path) -> None:
    """The library looks into sub-folders, where the parts may still be."""
    datasets = pytest.importorskip("datasets")
    options = [*options_of(letters), "--shard-rows", "5"]
    run_parts(options, tmp_path / "out")
    assert main(["rows", "merge", str(tmp_path / "out")]) == 0
    found = datasets.load_dataset(str(tmp_path / "out"))
    assert {split: data.num_rows for split, data in found.items()} == {
        "train": 16,
        "validation": 8,
        "test": 10,
    }


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds worker processes in /proc")
def test_a_part_that_was_killed_is_made_again(test_data: Path, tmp_path: Path) -> None:
    source = ["--voc", str(test_data / "bccd"), "--size", "64", "--limit", "30"]
    options = ["--task", card(tmp_path, support.CELLS), *source]
    assert run(*options, "--out", tmp_path / "whole", "--workers", 1) == 0
    out = tmp_path / "out"
    command = [sys.executable, "-m", "medreward", "prepare", *options, "--part", "2/2"]
    with subprocess.Popen([*command, "--out", str(out)], stdout=subprocess.DEVNULL) as process:
        begun = out / ".medreward-partial-part-00002-of-00002" / "rows-1.parquet"
        wait_for(lambda: begun.exists() or process.poll() is not None)
        process.send_signal(signal.SIGKILL)
    with pytest.raises(ConfigError, match="neither a part of a run nor a folder of parts"):
        merge_parts([out], tmp_path / "joined")
    run_parts(options, out, 2)
    merge_parts([out], tmp_path / "joined")
    assert content(tmp_path / "joined") == content(tmp_path / "whole")
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == []
