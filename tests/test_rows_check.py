"""Rows that a trainer could not use are found when they are written and when they are checked."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from medreward import ConfigError, Task
from medreward.commands.cli import main
from medreward.data.check import check_parquet
from medreward.data.example import Example
from medreward.data.parquet import write_parquet
from medreward.data.rows import make_rows


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (8, 8), 9).save(buffer, format="PNG")
    return buffer.getvalue()


def example(target: Any, image: Image.Image | None = None) -> Example:
    return Example(image or Image.new("L", (8, 8)), target, f"e{target}", "train")


def made() -> list[dict[str, Any]]:
    return list(make_rows([example(grade) for grade in range(3)], Task.load("retinamnist")))


def written(folder: Path, content: list[dict[str, Any]]) -> Path:
    """Write rows past medreward's own checks, as another tool would."""
    path = folder / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(content), path)
    return path


def test_good_rows_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "train.parquet"
    write_parquet(path, made())
    assert check_parquet(path) == 3
    assert main(["rows", "check", str(path)]) == 0
    assert "3 rows are right" in capsys.readouterr().out


def test_images_may_be_paths_that_exist(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    picture.write_bytes(png())
    content = [row | {"images": [str(picture)]} for row in made()]
    rows = written(tmp_path, content)
    assert check_parquet(rows, image_root=tmp_path) == 3
    with pytest.raises(ConfigError, match="rows do not choose what is read"):
        check_parquet(rows)


def change(row: dict[str, Any], **values: Any) -> None:
    row.update(values)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda r: change(r, data_source="retinamist"), "row 1: data_source.*mean 'retinamnist'"),
        (
            lambda r: change(r, reward_model={"style": "rule", "ground_truth": "7"}),
            "row 1: task 'retinamnist': target '7'.*grades 0 to 4",
        ),
        (lambda r: change(r, images=[{"bytes": png()[:40]}]), r"row 1: images\[0\]: not a pict"),
        (lambda r: change(r, images=[{"bytes": b"no image"}]), r"row 1: images\[0\]: not a pict"),
        (lambda r: change(r, images=[{"bytes": None}]), r"row 1: images\[0\]: neither bytes nor"),
        (lambda r: change(r, images=[]), "row 1: prompt: 1 <image> marks for 0 images"),
        (
            lambda r: change(r, extra_info={"task": "no.yaml"}),
            "row 1: extra_info.task: 'no.yaml' is a file",
        ),
    ],
)
def test_a_bad_row_is_named(
    break_it: Callable[[dict[str, Any]], None], message: str, tmp_path: Path
) -> None:
    content = made()
    break_it(content[1])
    with pytest.raises(ConfigError, match=message):
        check_parquet(written(tmp_path, content))


def test_a_path_that_does_not_exist(tmp_path: Path) -> None:
    content = [row | {"images": ["gone.png"]} for row in made()]
    with pytest.raises(ConfigError, match=r"row 0: images\[0\]: 'gone.png': no such file"):
        check_parquet(written(tmp_path, content), image_root=tmp_path)


def test_a_path_beside_empty_bytes_is_not_for_verl(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    picture.write_bytes(png())
    content = [row | {"images": [{"bytes": None, "path": str(picture)}]} for row in made()]
    with pytest.raises(ConfigError, match="store the file's bytes"):
        check_parquet(written(tmp_path, content))


def test_a_problem_of_many_rows_is_said_once(tmp_path: Path) -> None:
    content = [row | {"data_source": "cats"} for row in made() * 5]
    content[7] = {**content[7], "images": []}
    with pytest.raises(ConfigError) as caught:
        check_parquet(written(tmp_path, content))
    first, second = str(caught.value).splitlines()
    assert "row 0: data_source: 'cats'" in first
    assert first.endswith("(15 rows: 0, 1, 2, …)")
    assert second.endswith("row 7: prompt: 1 <image> marks for 0 images")


def test_problems_that_differ_in_values_are_said_once(tmp_path: Path) -> None:
    content = [row | {"data_source": f"cats{i}"} for i, row in enumerate(made() * 5)]
    with pytest.raises(ConfigError) as caught:
        check_parquet(written(tmp_path, content))
    said = str(caught.value)
    assert "row 0: data_source: 'cats0' is not one of" in said
    assert "alike) (" in said
    assert len(said.splitlines()) <= 2  # with a name that is near, and without


@pytest.mark.parametrize("column", ["data_source", "images", "reward_model", "extra_info"])
def test_a_missing_column(column: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = [{k: v for k, v in row.items() if k != column} for row in made()]
    assert main(["rows", "check", str(written(tmp_path, content))]) == 2
    assert f"column '{column}' is missing; it has" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=f"row 0: column '{column}' is missing"):
        write_parquet(tmp_path / "new.parquet", content)
    assert not (tmp_path / "new.parquet").exists()


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        check_parquet(tmp_path / "none.parquet")
    path = tmp_path / "text.parquet"
    path.write_text("hello, this is not parquet at all")
    with pytest.raises(ConfigError, match="not a parquet file"):
        check_parquet(path)


def test_writing_finds_a_target_outside_of_the_labels(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    examples = [example(0), example(9)]
    with pytest.raises(ConfigError, match=r"row 1, example 'e9': .*target 9 .*grades 0 to 4"):
        write_parquet(path, make_rows(examples, Task.load("retinamnist")))
    assert list(tmp_path.iterdir()) == []


def test_writing_finds_an_image_that_cannot_be_decoded(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 99).save(buffer, format="PNG")
    broken = Image.open(io.BytesIO(buffer.getvalue()[:500]))
    with pytest.raises(ConfigError, match="row 0, example 'e1': the image cannot be decoded"):
        write_parquet(
            tmp_path / "a.parquet", make_rows([example(1, broken)], Task.load("retinamnist"))
        )


def test_prepared_rows_are_checked_from_the_command_line(
    test_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    npz = str(test_data / "medmnist" / "pneumoniamnist.npz")
    command = ["prepare", "--npz", npz, "--task", "pneumoniamnist", "--limit", "20"]
    assert main([*command, "--out", str(tmp_path)]) == 0
    files = [str(tmp_path / f"{split}.parquet") for split in ("train", "val", "test")]
    assert main(["rows", "check", *files]) == 0
    assert capsys.readouterr().out.count("20 rows are right") == 3
    assert main(["rows", "check", files[0], "--task", "pneumoniamnist=retinamnist"]) == 2
    assert "row 0: task 'retinamnist'" in capsys.readouterr().err


def test_rows_of_one_target_are_remarked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = Task.load("retinamnist")
    for name, grades in (("same", [2, 2, 2]), ("mixed", [2, 2, 1])):
        path = tmp_path / f"{name}.parquet"
        rows = [replace(example(g), id=f"e{i}") for i, g in enumerate(grades)]
        write_parquet(path, make_rows(rows, card))
        assert main(["rows", "check", str(path)]) == 0
        said = capsys.readouterr().out
        assert ("all 3 rows have the target '2'" in said) == (name == "same")
