"""Rows in TRL's own forms: the command line's data set, streams, and what cannot be a stream."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Image, load_dataset

from medreward import ConfigError
from medreward.data.rows import Row
from medreward_trl import shaped
from medreward_trl.dataset import from_parquet
from medreward_trl.export import export_rows
from medreward_trl.transforms import with_transforms
from tests.trl_tools import RIGHT, SIZE, WRONG, level_rows, make_trainer

ROOT = Path(__file__).parent.parent


def write(path: Path, rows: list[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_what_is_exported_trains_by_the_command_line(tmp_path: Path) -> None:
    from medreward_trl.demo.model import build, save

    write(tmp_path / "rows" / "train.parquet", level_rows())
    write(tmp_path / "rows" / "test.parquet", level_rows(2, "test"))
    command = [sys.executable, "-m", "medreward_trl.export", str(tmp_path / "rows")]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "trl")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "train.parquet: 4 rows" in done.stdout
    save(build([RIGHT, WRONG], seed=0, size=SIZE), tmp_path / "model")
    options = {
        "model_name_or_path": tmp_path / "model",
        "dataset_name": tmp_path / "trl",
        "reward_funcs": "medreward_trl.tasks.pneumoniamnist",
        "output_dir": tmp_path / "out",
        "eval_strategy": "steps",
        "eval_steps": "1",
        "per_device_train_batch_size": "4",
        "per_device_eval_batch_size": "4",
        "num_generations": "2",
        "max_completion_length": "4",
        "max_steps": "1",
        "logging_steps": "1",
        "use_cpu": "true",
        "bf16": "false",
        "gradient_checkpointing": "false",
        "report_to": "none",
        "save_strategy": "no",
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "trl.scripts.grpo", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "rewards/shaped/mean" in done.stdout
    assert "eval_rewards/shaped/mean" in done.stdout


@pytest.mark.parametrize("number", [0, 2])
def test_splits_share_their_columns_whatever_their_images(tmp_path: Path, number: int) -> None:
    other = [row | {"images": row["images"] * number} for row in level_rows(2)]
    write(tmp_path / "rows" / "train.parquet", level_rows())
    write(tmp_path / "rows" / "val.parquet", other)
    assert export_rows(tmp_path / "rows", tmp_path / "trl") == {
        "train.parquet": 4,
        "val.parquet": 2,
    }
    loaded = load_dataset(str(tmp_path / "trl"))
    assert [len(row["images"]) for row in loaded["train"]] == [1] * 4
    assert [len(row["images"]) for row in loaded["validation"]] == [number] * 2


def test_an_export_of_nothing_or_onto_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no .parquet file"):
        export_rows(tmp_path, tmp_path / "out")
    write(tmp_path / "train.parquet", level_rows())
    with pytest.raises(ConfigError, match="the folder of the rows themselves"):
        export_rows(tmp_path, tmp_path)
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(ConfigError, match=r"other.parquet: column 'data_source' is missing"):
        export_rows(tmp_path, tmp_path / "out")


def test_a_stream_has_the_same_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "train.parquet", level_rows())
    stream, whole = list(from_parquet(path, streaming=True)), list(from_parquet(path))
    assert len(stream) == len(whole) == 4
    for one, other in zip(stream, whole, strict=True):
        assert one["images"][0].tobytes() == other["image"].tobytes()
        assert {k: v for k, v in one.items() if k != "images"} == {
            k: v for k, v in other.items() if k != "image"
        }


def test_a_stream_trains(tmp_path: Path) -> None:
    path = write(tmp_path / "train.parquet", level_rows())
    trainer: Any = make_trainer(
        tmp_path / "out", shaped("pneumoniamnist"), from_parquet(path, streaming=True)
    )
    trainer.train()
    assert "rewards/shaped/mean" in trainer.state.log_history[0]


def test_transforms_on_a_stream_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "train.parquet", level_rows())
    with pytest.raises(ConfigError, match=r"IterableDataset.*not a stream"):
        with_transforms(from_parquet(path, streaming=True), "Flip()", "pneumoniamnist")


def test_one_image_a_row_is_a_column_of_images(tmp_path: Path) -> None:
    write(tmp_path / "rows" / "train.parquet", level_rows())
    export_rows(tmp_path / "rows", tmp_path / "trl")
    loaded = load_dataset(str(tmp_path / "trl"), split="train", streaming=True)
    assert isinstance(loaded.features["image"], Image)
    assert {row["split"] for row in loaded} == {"train"}
