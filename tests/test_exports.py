"""Rows in other trainers' forms: nothing is lost on the way, and what is read back scores alike."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from PIL import Image

from medreward import Task, shaped_reward
from medreward.commands.cli import main
from medreward.data.example import Example
from medreward.data.exports import EXPORTS, export_rows
from medreward.data.parquet import write_parquet
from medreward.data.rows import Row, make_row, make_rows
from medreward.errors import ConfigError
from medreward.kinds.truth import ground_truth, target_of
from medreward.priors.prompt import PromptBuilder

TARGETS: dict[str, list[Any]] = {
    "multiple_choice": [{"options": ["CT", "MRI"], "answer": letter} for letter in "BA"],
    "short_answer": ["yes", {"answers": ["left lung"], "not": ["right lung"]}],
    "retinamnist": [0, 3],
    "bccd": [[{"box": [2, 2, 9, 9], "label": "WBC"}], []],
}  # fmt: skip


def write_rows(folder: Path) -> list[Row]:
    """Write rows of several tasks, one with two images and one with none, and return them."""
    rows: list[Row] = []
    for name, targets in TARGETS.items():
        examples = [
            Example(Image.new("L", (24, 20), 9 * i), target, f"{name}-{i}", "train", {}, f"Q {i}?")
            for i, target in enumerate(targets)
        ]
        rows += make_rows(examples, Task.load(name), "context")
    task = Task.load("short_answer")
    prompt = PromptBuilder(task).for_row(task.parse_target("no"), "Did it grow?")()
    pngs = [rows[i]["images"][0]["bytes"] for i in range(2)]
    for count in (2, 0):
        shown, name = pngs[:count], f"images-{count}"
        rows.append(make_row(task, prompt, ground_truth(task, "no"), shown, id=name, split="train"))
    folder.mkdir()
    write_parquet(folder / "train.parquet", rows)
    return rows


def pixels(content: bytes) -> tuple[tuple[int, int], int]:
    image = Image.open(io.BytesIO(content))
    return image.size, image.getpixel((0, 0))


def shown(row: Row) -> list[Any]:
    return [pixels(entry["bytes"]) for entry in row["images"]]


def text(row: Row) -> str:
    return "\n".join(message["content"] for message in row["prompt"])


def test_ms_swift(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows")
    out = tmp_path / "out"
    options = ["--to", "ms-swift", "--out", str(out)]
    assert main(["rows", "export", str(tmp_path / "rows"), *options]) == 0
    read = [json.loads(line) for line in (out / "train.jsonl").read_text("utf-8").splitlines()]
    assert len(read) == len(rows)
    for row, made in zip(rows, read, strict=True):
        assert made["messages"] == row["prompt"]
        assert [pixels((out / path).read_bytes()) for path in made["images"]] == shown(row)
        assert "".join(m["content"] for m in made["messages"]).count("<image>") == len(
            made["images"]
        )
        assert made["target"] == row["reward_model"]["ground_truth"]
        assert (made["task"], made["id"]) == (row["data_source"], row["extra_info"]["id"])
        assert made["knowledge"] == row["extra_info"]["knowledge"]
    loaded = load_dataset("json", data_files=str(out / "train.jsonl"), split="train")
    assert loaded["target"] == [row["reward_model"]["ground_truth"] for row in rows]


@pytest.mark.parametrize("images", ["inside", "beside"])
def test_easyr1(images: str, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows")
    out = tmp_path / "out"
    assert export_rows(tmp_path / "rows", out, "easyr1", images=images) == {"train.parquet": 10}
    read = pq.read_table(out / "train.parquet").to_pylist()
    for row, made in zip(rows, read, strict=True):
        assert made["problem"] == text(row)
        contents = [
            one["bytes"] if images == "inside" else (out / one).read_bytes()
            for one in made["images"]
        ]
        assert list(map(pixels, contents)) == shown(row)
        truth = json.loads(made["answer"])
        task = Task.load(truth["task"])
        right = f"<think>x</think><answer>{_right(task, truth['target'])}</answer>"
        target = target_of(task, truth["target"])
        # What the ground truth carries is all that a reward needs.
        assert shaped_reward(right, target, task=task, knowledge=truth["knowledge"]) > 0.9


def test_llava(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows")
    out = tmp_path / "out"
    assert export_rows(tmp_path / "rows", out, "llava") == {"train.json": 10}
    read = json.loads((out / "train.json").read_text("utf-8"))
    for row, made in zip(rows, read, strict=True):
        human, gpt = made["conversations"]
        assert (human["from"], human["value"]) == ("human", text(row))
        task = Task.load(made["task"])
        target = target_of(task, made["target"])
        assert gpt["from"] == "gpt"
        assert shaped_reward(gpt["value"], target, task=task, knowledge="") > 0.99
        paths = made.get("image", [])
        paths = [paths] if isinstance(paths, str) else paths
        assert [pixels((out / path).read_bytes()) for path in paths] == shown(row)


def _right(task: Task, truth: str) -> str:
    from medreward.kinds.right_answers import right_answer

    return right_answer(task, target_of(task, truth))


@pytest.mark.parametrize("form", EXPORTS)
def test_what_is_no_folder_of_rows_is_named(form: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no \.parquet file"):
        export_rows(tmp_path, tmp_path / "out", form)
    rows = write_rows(tmp_path / "rows")
    with pytest.raises(ConfigError, match="is the folder of the rows themselves"):
        export_rows(tmp_path / "rows", tmp_path / "rows", form)
    rows[3] = {**rows[3], "data_source": "nobodys"}
    write_parquet(tmp_path / "rows" / "train.parquet", rows)
    with pytest.raises(ConfigError, match="data_source: 'nobodys' is not one of"):
        export_rows(tmp_path / "rows", tmp_path / "out", form)
    assert not [*(tmp_path / "out").glob(f"train{EXPORTS[form].suffix}")]


def test_wrong_options_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--to: 'swift' is not one of ms-swift, easyr1, llava"):
        export_rows(tmp_path, tmp_path / "out", "swift")
    with pytest.raises(ConfigError, match="ms-swift has no room for images inside"):
        export_rows(tmp_path, tmp_path / "out", "ms-swift", images="inside")
    with pytest.raises(ConfigError, match="--images: 'here' is not one of"):
        export_rows(tmp_path, tmp_path / "out", "easyr1", images="here")
    rows = write_rows(tmp_path / "rows")
    rows[0]["extra_info"]["id"] = "../../x"
    write_parquet(tmp_path / "rows" / "train.parquet", rows)
    with pytest.raises(ConfigError, match=r"'\.\./\.\./x' is no part of a file name"):
        export_rows(tmp_path / "rows", tmp_path / "out", "llava")


def test_the_audit_takes_targets_from_rows(tmp_path: Path, capsys: Any) -> None:
    """What a row brings along is attacked as it stands there."""
    write_rows(tmp_path / "rows")
    path = str(tmp_path / "rows" / "train.parquet")
    given = ["--targets", path, "--family", "letter-with-another-text"]
    assert main(["audit", "--task", "multiple_choice", *given]) == 0
    assert "on 4 cases" in capsys.readouterr().out
    assert main(["audit", "--task", "busi", "--targets", path]) == 2
    assert "has no row of task 'busi'" in capsys.readouterr().err


@pytest.mark.parametrize("form", EXPORTS)
def test_several_sets_in_one_run_do_not_clash(form: str, tmp_path: Path) -> None:
    sets = {name: write_rows(tmp_path / name) for name in ("vqa", "mcq")}
    out = tmp_path / "out"
    written = export_rows([tmp_path / name for name in sets], out, form, images="beside")
    assert [*written.values()] == [20]
    rows = [row for one in sets.values() for row in one]
    names = [path.name for path in (out / "images").iterdir()]
    assert len(names) == sum(len(shown(row)) for row in rows)
    assert {name.split("-")[1].split(".")[0] for name in names} == {*sets}
    twin = tmp_path / "other" / "vqa"
    twin.parent.mkdir()
    write_rows(twin)
    with pytest.raises(ConfigError, match="are both named 'vqa'"):
        export_rows([tmp_path / "vqa", twin], out, form)


def test_a_single_set_keeps_its_ids(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows")
    export_rows([tmp_path / "rows"], tmp_path / "out", "ms-swift")
    lines = (tmp_path / "out" / "train.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == [row["extra_info"]["id"] for row in rows]
