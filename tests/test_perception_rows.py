"""Transformed rows: image, target, question and knowledge agree, also those `prepare` writes."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medreward import ConfigError, Task
from medreward.commands.cli import main
from medreward.data.check import problems
from medreward.data.example import Example
from medreward.data.rows import Row, make_rows
from medreward.perception import RowTransform, parse
from medreward.scoring.task_book import TaskBook
from medreward.task.task import parse_card
from tests import prepare_support
from tests.prepare_support import CELLS, card, content, folder_of_images, image, noise

KIDNEYS = """
name: kidneys
kind: multilabel
question: Which of left and right kidney is seen?
labels: [{name: left kidney}, {name: right kidney, synonyms: [kidney on the right]}, spleen]
laterality: {swap: [[left, right]]}
knowledge: [{text: As a rule the left kidney is higher., source: none}]
references: {none: none}
"""


def row(task: Task, target: Any, picture: Image.Image | None = None, level: str = "full") -> Row:
    example = Example(picture or noise(0, 60, 40), target, "train-1", "train")
    return next(make_rows([example], task, level))


def changed(text: str, task: Task, target: Any, **given: Any) -> Row:
    return RowTransform(parse(text), TaskBook({task.name: task}), **given)(row(task, target))


def truth(row: Row) -> Any:
    return json.loads(row["reward_model"]["ground_truth"])


def test_words_and_targets_of_a_mirrored_row_change_sides() -> None:
    task = parse_card(KIDNEYS)
    before = row(task, ["left kidney", "spleen"], level="none")
    after = RowTransform(parse("Flip()"), TaskBook({task.name: task}))(before)
    assert truth(after) == ["right kidney", "spleen"]
    text = after["prompt"][0]["content"]
    assert "Which of right and left kidney" in text
    assert after["extra_info"]["transforms"] == "Flip()"


def test_statements_with_a_source_are_not_made_false() -> None:
    """A mirrored image would need "as a rule the right kidney is higher", which is not so."""
    with pytest.raises(ConfigError, match="knowledge: 'left': statements are not rewritten"):
        changed("Flip()", parse_card(KIDNEYS), ["left kidney"])
    assert truth(changed("Rotate(5)", parse_card(KIDNEYS), ["spleen"])) == ["spleen"]


@pytest.mark.parametrize(
    ("name", "target", "wanted"),
    [
        ("organamnist", "kidney-left", "kidney-right"),
        ("organcmnist", 5, "kidney-left"),
        ("organamnist", "left lung", "lung-right"),
        ("organamnist", "liver", "liver"),
        ("retinamnist", 3, "3"),
        ("pneumoniamnist", "normal", "normal"),
    ],
)
def test_targets_of_shipped_tasks(name: str, target: Any, wanted: str) -> None:
    before = row(Task.load(name), target, level="none")
    assert RowTransform(parse("Flip()"))(before)["reward_model"]["ground_truth"] == wanted


def test_a_target_given_as_a_number_is_swapped_too() -> None:
    task = Task.load("organamnist")
    given = row(task, "femur-left", level="none")
    given["reward_model"]["ground_truth"] = "1"
    after = RowTransform(parse("Flip()"))(given)
    assert after["reward_model"]["ground_truth"] == "femur-right"


def test_boxes_follow_in_whole_pixels() -> None:
    task = parse_card(CELLS)
    boxes = [[10, 5, 30, 25], [40, 0, 60, 40]]
    assert truth(changed("Flip()", task, boxes)) == [[30, 5, 50, 25], [0, 0, 20, 40]]
    assert truth(changed("Scale(0.5)", task, boxes)) == [[5, 2, 15, 12], [20, 0, 30, 20]]
    assert truth(changed("Crop([0, 0, 40, 40])", task, boxes)) == [[10, 5, 30, 25]]
    assert truth(changed("Crop([0, 30, 40, 40])", task, boxes)) == []
    same = changed("Gamma(0.5)", task, [[0.5, 1.25, 30, 20]])
    assert truth(same) == [[0.5, 1.25, 30, 20]]


CELL = '{"box": [20, 10, 30, 20], "label": "WBC"}'
FORMS = {
    "[[0, 0, 10, 10], [20, 10, 30, 20]]": "[[50, 0, 60, 10], [30, 10, 40, 20]]",
    f"[{CELL}]": '[{"box": [30, 10, 40, 20], "label": "WBC"}]',
    '{"boxes": [[0, 0, 10, 10]], "size": [60, 40], "seen": [56, 28]}': (
        '{"boxes": [[50, 0, 60, 10]], "size": [60, 40], "seen": [56, 28]}'
    ),
    '{"annotators": [[[0, 0, 10, 10]], [], [[20, 10, 30, 20]]]}': (
        '{"annotators": [[[50, 0, 60, 10]], [], [[30, 10, 40, 20]]]}'
    ),
    "[]": "[]",
    '{"boxes": [], "size": [60, 40]}': '{"boxes": [], "size": [60, 40]}',
}


def with_truth(text: str) -> tuple[Task, Row]:
    task = Task.load("bccd") if "label" in text else parse_card(CELLS)
    one = row(task, [])
    one["reward_model"]["ground_truth"] = text
    return task, one


@pytest.mark.parametrize(("text", "wanted"), FORMS.items())
def test_all_forms_of_targets_keep_their_form(text: str, wanted: str) -> None:
    task, before = with_truth(text)
    after = RowTransform(parse("Flip()"), TaskBook({task.name: task}))(before)
    assert after["reward_model"]["ground_truth"] == wanted
    same = RowTransform(parse("Flip() | Flip()"), TaskBook({task.name: task}))(before)
    assert same["reward_model"]["ground_truth"] == text


def test_the_size_in_a_target_follows_and_what_the_processor_saw_does_not() -> None:
    text = '{"boxes": [[0, 0, 10, 10]], "size": [60, 40], "seen": [56, 28]}'
    task, before = with_truth(text)
    after = truth(RowTransform(parse("Pad(left=20)"), TaskBook({task.name: task}))(before))
    assert after == {"boxes": [[20, 0, 30, 10]], "size": [80, 40]}


def test_each_annotator_has_boxes_of_their_own() -> None:
    task, before = with_truth('{"annotators": [[[0, 0, 10, 10]], [[28, 0, 38, 10]]]}')
    crop = RowTransform(parse("Crop([0, 0, 30, 40])"), TaskBook({task.name: task}))
    assert truth(crop(before)) == {"annotators": [[[0, 0, 10, 10]], [[28, 0, 30, 10]]]}


WRONG_TARGETS = [
    ('"left"', "not a list of boxes"),
    ("[[0, 0, 5]]", "is not .x1, y1, x2, y2."),
    ("[[70, 0, 80, 5]]", "is not on the image of 60 x 40"),
    ('{"boxes": [[0, 0, 5, 5]], "size": [61, 40]}', "not that of the image"),
    ('[{"box": [0, 0, 5, 5], "label": "cat"}]', "not one of RBC"),
]


@pytest.mark.parametrize(("text", "message"), WRONG_TARGETS)
def test_a_wrong_target_is_named(text: str, message: str) -> None:
    task, before = with_truth(text)
    with pytest.raises(ConfigError, match=message):
        RowTransform(parse("Flip()"), TaskBook({task.name: task}))(before)


def test_what_was_applied_can_be_applied_again() -> None:
    task = parse_card(CELLS)
    text = "Flip(p=0.5) | Rotate(-30..30) | CropPart(0.6..1, x=0..1, y=0..1) | Noise(1..9)"
    before = row(task, [[10, 5, 30, 25]])
    change = RowTransform(parse(text), TaskBook({task.name: task}), seed=5)
    for epoch in range(5):
        after = change(before, epoch)
        again = RowTransform(parse(after["extra_info"]["transforms"]), TaskBook({task.name: task}))(
            before
        )
        assert again == after
        assert not list(problems(after, TaskBook({task.name: task})))
    assert len({str(change(before, epoch)) for epoch in range(5)}) == 5
    assert change(before, 3) == pickle.loads(pickle.dumps(change))(before, 3)


def test_a_row_that_draws_nothing_keeps_its_bytes() -> None:
    before = row(Task.load("retinamnist"), 1)
    after = RowTransform(parse("Flip(p=0)"))(before)
    assert after["images"] == before["images"]
    assert after["extra_info"]["transforms"] == ""


def test_a_second_image_has_a_mark_and_is_explained() -> None:
    after = changed("ContrastBeside(tiles=4)", Task.load("retinamnist"), 1)
    assert after["prompt"][0]["content"].startswith("<image><image>The image is shown twice")
    assert len(after["images"]) == 2
    assert not list(problems(after))


def test_regions_beside_the_target_are_drawn_and_follow() -> None:
    task = Task.load("retinamnist")
    before = row(task, 1, Image.new("L", (60, 40)))
    before["extra_info"]["regions"] = "[[10, 5, 30, 25]]"
    after = RowTransform(parse("BoxOverlay() | Flip()"))(before)
    assert after["extra_info"]["regions"] == "[[30, 5, 50, 25]]"
    pixels = np.asarray(image(after)).max(axis=2)
    assert (np.argwhere(pixels > 0).min(axis=0) == [5, 30]).all()
    assert after["reward_model"] == before["reward_model"]


GIVEN_AWAY = ["BoxOverlay()", "MarkerOverlay()", "ZoomTo()", "CropAround(margin=0.1..1)"]


@pytest.mark.parametrize("text", GIVEN_AWAY)
def test_a_localisation_task_refuses_what_shows_the_answer(text: str) -> None:
    with pytest.raises(ConfigError, match="task 'cells'"):
        changed(text, parse_card(CELLS), [[0, 0, 9, 9]])
    changed("CropAround(0.5..2, shift_x=-1..1, shift_y=-1..1)", parse_card(CELLS), [[0, 0, 9, 9]])


def test_the_row_is_named_in_errors() -> None:
    before = row(Task.load("retinamnist"), 1)
    before["prompt"][0]["content"] += " Is it the left eye?"
    with pytest.raises(ConfigError, match=r"row 'train-1': Flip\(\): prompt\[0\]: 'left'"):
        RowTransform(parse("Flip()"))(before)
    before["images"] = [{"bytes": b"no picture"}]
    with pytest.raises(ConfigError, match="row 'train-1': image"):
        RowTransform(parse("Blur()"))(before)


RANDOM = "Rotate(-15..15, expand=true) | Gamma(0.8..1.2)"


def prepare_cells(test_data: Path, folder: Path, name: str, *options: object) -> Path:
    out = folder / name
    where = ["--task", card(folder, CELLS), "--voc", test_data / "bccd", "--box-label", "WBC"]
    given = ["--size", 160, "--limit", 12, "--on-error", "skip", "--drop-duplicates"]
    assert prepare_support.run(*where, *given, "--out", out, *options) == 0
    return out


def test_prepare_transforms_the_training_rows(test_data: Path, tmp_path: Path) -> None:
    plain = prepare_cells(test_data, tmp_path, "plain")
    first = prepare_cells(test_data, tmp_path, "a", "--transforms", RANDOM, "--workers", 1)
    again = prepare_cells(test_data, tmp_path, "b", "--transforms", RANDOM, "--workers", 2)
    assert content(first) == content(again)
    assert (plain / "test.parquet").read_bytes() == (first / "test.parquet").read_bytes()
    task = parse_card(CELLS)
    before, after = prepare_support.rows(plain, "train"), prepare_support.rows(first, "train")
    for old, new in zip(before, after, strict=True):
        drawn = new["extra_info"]["transforms"]
        assert drawn.startswith("Rotate(degrees=")
        redone = RowTransform(parse(drawn), TaskBook({task.name: task}))(old)
        assert redone == new
        for x1, y1, x2, y2 in prepare_support.boxes_of(new):
            assert 0 <= x1 < x2 <= image(new).width
            assert 0 <= y1 < y2 <= image(new).height
    assert "transforms: Rotate(degrees=-15..15" in (first / "dataset_card.md").read_text()


def test_copies_follow_their_row(test_data: Path, tmp_path: Path) -> None:
    options = ["--transforms", RANDOM, "--copies", 2, "--transform-splits", "train,val"]
    out = prepare_cells(test_data, tmp_path, "copies", *options)
    plain = prepare_support.rows(prepare_cells(test_data, tmp_path, "plain"), "train")
    found = prepare_support.rows(out, "train")
    assert len(found) == 3 * len(plain)
    assert found[::3] == plain
    name = found[0]["extra_info"]["id"]
    assert [r["extra_info"]["id"] for r in found[1:3]] == [f"{name}#1", f"{name}#2"]
    assert found[1]["images"] != found[2]["images"]
    total = sum(len(prepare_support.rows(out, s)) for s in ("train", "val", "test"))
    assert f"{total} rows for" in (out / "dataset_card.md").read_text()


def test_grounding_questions_are_transformed_but_not_cut(
    test_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--task", "bccd", "--voc", test_data / "bccd", "--size", 160, "--limit", 6]
    given = ["--on-error", "skip", "--drop-duplicates", "--workers", 1]
    asking = [*where, *given, "--ask", "where,count,present"]
    flip = ["--transforms", "Flip() | Gamma(0.5..2)", "--out", tmp_path / "flip"]
    assert prepare_support.run(*asking, *flip) == 0
    assert prepare_support.run(*asking, "--out", tmp_path / "plain") == 0
    pairs = zip(
        *(prepare_support.rows(tmp_path / name, "train") for name in ("plain", "flip")), strict=True
    )
    for before, after in pairs:
        assert after["prompt"] == before["prompt"]
        if before["data_source"] != "grounding_where":
            assert after["reward_model"] == before["reward_model"]
            continue
        for old, new in zip(truth(before)["boxes"], truth(after)["boxes"], strict=True):
            assert new == [160 - old[2], old[1], 160 - old[0], old[3]]
    cut = ["--transforms", "CropPart(0.5)", "--out", tmp_path / "cut"]
    assert prepare_support.run(*asking, *cut) == 2
    assert "the answer would not follow" in capsys.readouterr().err
    assert not (tmp_path / "cut").exists()


WRONG_OPTIONS = [
    (["--transforms", "Flop()"], "did you mean 'Flip'"),
    (["--transforms", "Flip()", "--copies", "2"], "would all be the same"),
    (["--copies", "2"], "transforms needs a range"),
    (["--transforms", "Flip(p=0.5)", "--copies", "-1"], "copies: -1"),
    (["--transforms", "Flip()", "--transform-splits", "training"], "did you mean 'train'"),
    (["--transforms", "BoxOverlay()"], "it shows where the regions are"),
    (["--transforms", "none.yaml"], "none.yaml: cannot be read"),
]


@pytest.mark.parametrize(("options", "message"), WRONG_OPTIONS)
def test_wrong_options_stop_before_anything_is_written(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of_images(tmp_path / "images", ["train/a.png"])
    coco = tmp_path / "coco.json"
    coco.write_text(
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "train/a.png", "width": 12, "height": 10}],
                "categories": [{"id": 1, "name": "WBC"}],
                "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5]}],
            }
        )
    )
    out = tmp_path / "out"
    where = ["--task", card(tmp_path, CELLS), "--images", str(folder), "--coco", str(coco)]
    assert main(["prepare", *where, "--out", str(out), *options]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_grey_images_of_rows_stay_grey() -> None:
    before = row(Task.load("pneumoniamnist"), 0, noise(0, 28, 28, 1))
    png = RowTransform(parse("Rotate(10)"))(before)["images"][0]["bytes"]
    assert Image.open(io.BytesIO(png)).mode == "L"
