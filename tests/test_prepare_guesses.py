"""What `prepare` finds out by names and numbers, says when it does, and refuses where it cannot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from medreward import ConfigError
from medreward.data.sources import open_class_folders, open_coco, open_mask_folder, open_yolo
from medreward.data.sources.cvat import open_cvat
from medreward.data.sources.label_studio import open_label_studio
from medreward.data.sources.labelme import open_labelme
from medreward.data.sources.nifti_volume import TWO_ORIENTATIONS, read_volume
from medreward.data.sources.record import ReadingOptions
from tests import prepare_support as support
from tests.prepare_support import LETTERS, boxes_of, card, run

LESION = "name: lesion\nkind: localisation\nquestion: Where is it?\nlabels: [lesion]\n"


def pictures(folder: Path, names: Sequence[str]) -> Path:
    for i, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        support.noise(i + sum(map(ord, name))).save(path)
    return folder


def square(path: Path, *, ground: int = 0, value: int = 255) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values: Any = np.full((40, 60), ground, np.uint8)
    values[10:20, 10:30] = value
    Image.fromarray(values).save(path)


def from_table(
    folder: Path, text: str, table: str, *options: str, names: Sequence[str] = ("0.png", "1.png")
) -> tuple[int, list[dict[str, Any]]]:
    """Return the exit status and the rows of a table beside pictures."""
    pictures(folder / "images", names)
    (folder / "table.csv").write_text(table, encoding="utf-8")
    given = ("--images", folder / "images", "--csv", folder / "table.csv", "--split", "train=1")
    status = run("--task", card(folder, text), *given, *options, "--out", folder / "out")
    return status, [] if status else support.rows(folder / "out", "train")


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("image,x,y,width,height,label", "--box-columns x y width height"),
        ("image,xmin,ymin,w,h,label", "--box-columns xmin ymin w h"),
        ("image,Bbox [x,y,w,h],label", "--box-columns 'Bbox [x' y w 'h]'"),
    ],
)
def test_columns_of_boxes_are_found_by_their_names(
    header: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = f"{header}\n0.png,10,10,20,10,1\n1.png,NaN,NaN,NaN,NaN,0\n"
    status, rows = from_table(tmp_path, LESION, table)
    assert status == 0
    assert [boxes_of(row) for row in rows] == [[[10, 10, 30, 20]], []]
    out = capsys.readouterr().out
    assert said in out
    assert "label 1: taken for the card's only label, as all boxes have it (lesion: 1 boxes)" in out


def test_corners_win_over_the_size_of_the_image(tmp_path: Path) -> None:
    table = "image,x_min,y_min,x_max,y_max,width,height,label\n0.png,10,10,30,20,60,40,lesion\n"
    status, rows = from_table(tmp_path, LESION, table)
    assert status == 0
    assert boxes_of(rows[0]) == [[10, 10, 30, 20]]


def test_a_cell_of_four_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = 'image,label,bbox\n0.png,lesion,"[10, 10, 20.0, 10]"\n1.png,lesion,[]\n'
    status, _ = from_table(tmp_path, LESION, table)
    assert status == 2
    assert "--box-columns bbox says that they are x, y, width" in capsys.readouterr().err
    status, rows = from_table(tmp_path, LESION, table, "--box-columns", "bbox")
    assert status == 0
    assert [boxes_of(row) for row in rows] == [[[10, 10, 30, 20]], []]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--box-columns", "x1", "y1", "x2", "y2"), "'x2' and 'y2' are named as corners"),
        (("--corner-columns", "x", "y", "w", "h"), "'w' and 'h' are named as sides"),
        (("--box-columns", "x", "y"), "2 columns are named; a box has four, or one"),
    ],
)
def test_columns_of_another_form_are_refused(
    given: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = f"image,label,{','.join(given[1:])}\n0.png,lesion,10,10,25,20\n"
    assert from_table(tmp_path, LESION, table, *given)[0] == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("names", "cells", "said"),
    [
        (("a/0.png", "b/1.png"), ("0.png", "C:\\x\\1.png"), "in a sub-folder, found by its name"),
        (("0.png", "1.png"), ("0", "1"), "the table gives no ending: found by its name without"),
        (
            ("0007.png", "0012.png"),
            ("7.png", "12.png"),
            "found by its number, which the table gives without leading zeros",
        ),
        (
            ("0007.png", "0012.png"),
            ("7", "12"),
            "found by its number, which the table gives without leading zeros",
        ),
    ],
)
def test_files_are_found(
    names: Sequence[str],
    cells: Sequence[str],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = "# written by a tool\nimage,label\n" + "".join(
        f"{cell},{label}\n" for cell, label in zip(cells, ("alpha", "beta"), strict=True)
    )
    status, rows = from_table(tmp_path, LETTERS, table, names=names)
    assert status == 0
    assert [row["extra_info"]["id"] for row in rows] == ["row-000003", "row-000004"]
    assert f"2 images: {said}" in capsys.readouterr().out


def test_of_two_files_of_a_number_none_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = "image,label\n7.png,alpha\n"
    assert from_table(tmp_path, LETTERS, table, names=("007.png", "0007.png"))[0] == 2
    assert "no such file" in capsys.readouterr().err


@pytest.mark.parametrize("column", ["lesion_id", "ExamNo", "病人编号", "StudyInstanceUID"])
def test_columns_of_what_one_patient_has_several_of(
    column: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from_table(tmp_path, LETTERS, f"image,label,{column}\n0.png,alpha,7\n1.png,beta,7\n")
    assert f"column '{column}' looks like a patient, and is not used" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("train_set/1.png", "test_set/2.png"), ["test", "train"]),
        (("val2017/1.png", "Training-Images/2.png"), ["train", "val"]),
        (("fold1/1.png", "fold2/2.png"), [None, None]),
    ],
)
def test_folders_below_a_class(
    names: Sequence[str], splits: list[str | None], tmp_path: Path
) -> None:
    source = open_class_folders(pictures(tmp_path, [f"alpha/{name}" for name in names]))
    assert [record.split for record in source.records] == splits
    said = [remark.what for remark in source.remarks]
    assert said == ([] if splits[0] else ["in folders named as folds, which are not used"])


@pytest.mark.parametrize("mask", ["1_lesion.png", "mask_1.png", "1_GroundTruth.png", "label/1.png"])
def test_masks_are_no_images_of_a_class(mask: str, tmp_path: Path) -> None:
    pictures(tmp_path, ["alpha/1.png"])
    square(tmp_path / "alpha" / mask)
    source = open_class_folders(tmp_path)
    assert [record.where for record in source.records] == ["alpha/1.png"]
    assert source.remarks[0].what == "by its name a mask of another image; left out"


def test_copies_and_overlays_are_said(tmp_path: Path) -> None:
    source = open_class_folders(pictures(tmp_path, ["a/1.png", "a/1_overlay.png", "a/1-2.png"]))
    assert len(source.records) == 3
    (remark,) = source.remarks
    assert remark.where == "1 pictures"
    assert remark.what.startswith("named after another one of the folder")


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("IMD{}.bmp", "IMD{}_lesion.bmp"),
        ("{}_training.tif", "{}_manual1.gif"),
        ("bus_{}.png", "mask_{}.png"),
        ("{}.jpg", "{}_GroundTruth.png"),
    ],
)
def test_masks_named_as_their_images_but_for_some_words(
    image: str, mask: str, tmp_path: Path
) -> None:
    pictures(tmp_path / "images", [image.format(n) for n in (1, 2)])
    for number in (1, 2):
        square(tmp_path / "masks" / mask.format(number))
    source = open_mask_folder(tmp_path / "images", tmp_path / "masks")
    assert [record.boxes[0].box for record in source.records if record.boxes] == [
        (10, 10, 30, 20)
    ] * 2


def test_a_mask_with_its_background_set_is_said(tmp_path: Path) -> None:
    pictures(tmp_path / "images", ["1.png", "2.png"])
    square(tmp_path / "masks" / "1.png", ground=255, value=0)
    square(tmp_path / "masks" / "2.png")
    (remark,) = open_mask_folder(tmp_path / "images", tmp_path / "masks").remarks
    assert remark.where == "1 of 2 images"
    assert "0 has to be the background" in remark.what


def coco_of(folder: Path, **changes: Any) -> Path:
    content = {
        "images": [{"id": 1, "file_name": "train/0.png", "width": 60, "height": 40}],
        "categories": [{"id": 1, "name": "mass"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 10]}],
        **changes,
    }
    pictures(folder, ["images/0.png"])
    (folder / "coco.json").write_text(json.dumps(content), encoding="utf-8")
    return folder / "coco.json"


def test_coco_images_in_another_folder(tmp_path: Path) -> None:
    source = open_coco({None: coco_of(tmp_path)}, tmp_path / "images")
    assert source.load(source.records[0].place, ReadingOptions()).image.size == (60, 40)  # type: ignore[union-attr]
    assert source.remarks[0].what == "in another folder, found by name"


def test_coco_ids_of_two_categories(tmp_path: Path) -> None:
    file = coco_of(tmp_path, categories=[{"id": 1, "name": "mass"}, {"id": 1, "name": "cyst"}])
    with pytest.raises(ConfigError, match="the id 1 is of two categories, 'mass' and 'cyst'"):
        open_coco({None: file}, tmp_path / "images")


@pytest.mark.parametrize("field", ["score", "ignore"])
def test_coco_annotations_that_may_not_be_truth(field: str, tmp_path: Path) -> None:
    note = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 10], field: 1}
    source = open_coco({None: coco_of(tmp_path, annotations=[note])}, tmp_path / "images")
    assert source.remarks[0].where == "1 annotations"
    assert "taken as what is in the image" in source.remarks[0].what


def test_two_entries_of_one_picture(tmp_path: Path) -> None:
    pictures(tmp_path, ["0.png"])
    box = '<box label="mass" xtl="8" ytl="8" xbr="24" ybr="30"/>'
    images = f'<image name="0.png" width="60" height="40">{box}</image>' * 2
    (tmp_path / "annotations.xml").write_text(f"<annotations>{images}</annotations>")
    with pytest.raises(ConfigError, match=r"about '0\.png', image 1 and image 2"):
        open_cvat(tmp_path)
    tasks: list[Any] = [
        {"id": i, "data": {"image": f"/up/{i:08x}-0.png"}, "annotations": [{"result": []}]}
        for i in (7, 8)
    ]
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    with pytest.raises(ConfigError, match=r"about '0\.png', task 7 and task 8"):
        open_label_studio(tmp_path / "tasks.json", tmp_path)


@pytest.mark.parametrize("kind", ["oriented_rectangle", "rotation"])
def test_turned_boxes_of_labelme(kind: str, tmp_path: Path) -> None:
    pictures(tmp_path, ["0.png"])
    shape = {"label": "a", "shape_type": kind, "points": [[20, 5], [30, 15], [20, 25], [10, 15]]}
    (tmp_path / "0.json").write_text(json.dumps({"imagePath": "0.png", "shapes": [shape]}))
    source = open_labelme(tmp_path)
    assert source.records[0].boxes == (("a", (10, 5, 30, 25)),)
    assert "a turned box" in source.remarks[0].what


@pytest.mark.parametrize("names", ["classes.txt", "labels/classes.txt", "obj.names"])
def test_yolo_with_a_list_of_classes(names: str, tmp_path: Path) -> None:
    pictures(tmp_path, ["images/a.png"])
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("1 0.5 0.5 0.5 0.5")
    (tmp_path / names).write_text("mass\ncyst\n")
    assert open_yolo(tmp_path).records[0].boxes == (("cyst", (15, 10, 45, 30)),)


def test_yolo_corners_in_place_of_middles(tmp_path: Path) -> None:
    pictures(tmp_path, ["a.png"])
    (tmp_path / "data.yaml").write_text("names: [mass]")
    (tmp_path / "a.txt").write_text("0 0.1 0.1 0.9 0.9\n0 0.6 0.6 0.95 0.95\n")
    with pytest.raises(ConfigError, match="all of them fit as x1, y1, x2, y2"):
        open_yolo(tmp_path)


def test_nifti_slices_colours_and_two_orientations(tmp_path: Path) -> None:
    values: Any = np.arange(24, dtype=np.float32).reshape(4, 6)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "slice.nii")
    volume = read_volume(tmp_path / "slice.nii", 10_000)
    assert volume.values.shape == (4, 6, 1)
    assert volume.values[1, 2, 0] == values[1, 2]
    image = nibabel.Nifti1Image(values[..., None], None)
    image.set_sform(np.eye(4), code=1)
    image.set_qform(np.diag([-1.0, 1, 1, 1]), code=1)
    nibabel.save(image, tmp_path / "two.nii")
    assert read_volume(tmp_path / "two.nii", 10_000).note == TWO_ORIENTATIONS
    colours: Any = np.zeros((4, 6, 1), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(colours, np.eye(4)), tmp_path / "rgb.nii")
    with pytest.raises(ValueError, match="its voxels are colours"):
        read_volume(tmp_path / "rgb.nii", 10_000)


def test_unit_and_tolerance_of_a_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "name: size\nkind: number\nquestion: How long is it?\n"
    pictures(tmp_path, ["0.png", "1.png"])
    table = "image,question,answer,unit,tolerance\n0.png,How long?,12,mm,1\n1.png,How wide?,2.5,,\n"
    (tmp_path / "qa.csv").write_text(table)
    source = ("--questions", tmp_path / "qa.csv", "--image-folder", tmp_path, "--split", "train=1")
    assert run("--task", card(tmp_path, text), *source, "--out", tmp_path / "out") == 0
    found = [json.loads(truth) for truth in support.truths(tmp_path / "out", "train")]
    assert found[0] == {"value": 12, "unit": "mm", "tolerance": 1}
    assert "qa.csv: its columns belong to the number" in capsys.readouterr().out


SIZE = "name: size\nkind: number\nquestion: How long is it?\n"


def test_unit_and_tolerance_beside_a_label(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = "image,label,unit,tolerance\n0.png,12,mm,1\n1.png,2.5,,\n0.png,12,mm,1\n"
    status, rows = from_table(tmp_path, SIZE, table)
    assert status == 0
    found = [json.loads(row["reward_model"]["ground_truth"]) for row in rows]
    assert found == [{"value": 12, "unit": "mm", "tolerance": 1}, {"value": 2.5}]
    said = capsys.readouterr().out
    assert "table.csv: its columns belong to the number that is right (unit, tolerance)" in said
    assert "listed twice" in said
    status, _ = from_table(tmp_path, SIZE, "image,label,unit\n0.png,12 cm,mm\n")
    assert status == 2
    assert "line 2 (0.png): the answer '12 cm' and the column unit" in capsys.readouterr().err
    status, _ = from_table(tmp_path, SIZE, "image,label,unit\n0.png,12,mm\n0.png,13,mm\n")
    assert status == 2


def test_unit_and_tolerance_of_a_hugging_face_set(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    content = {
        "image": [support.noise(i) for i in range(2)],
        "label": [12, 30],
        "unit": ["mm", "cm"],
    }
    datasets.Dataset.from_dict(content).save_to_disk(tmp_path / "saved")
    source = ("--hf", tmp_path / "saved", "--split", "train=1")
    assert run("--task", card(tmp_path, SIZE), *source, "--out", tmp_path / "out") == 0
    found = [json.loads(truth) for truth in support.truths(tmp_path / "out", "train")]
    assert found == [{"value": 12, "unit": "mm"}, {"value": 30, "unit": "cm"}]


@pytest.mark.parametrize("label", ["1,200", "1,200 mm", "-3,125"])
def test_a_comma_that_may_be_of_thousands(
    label: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert from_table(tmp_path, SIZE, f'image,label,unit\n0.png,"{label}",mm\n')[0] == 2
    assert "write it without a comma" in capsys.readouterr().err
    assert from_table(tmp_path, SIZE, 'image,label\n0.png,"0,250"\n')[0] == 0


def test_questions_separated_by_semicolons(tmp_path: Path) -> None:
    text = "name: size\nkind: number\nquestion: How long is it?\n"
    pictures(tmp_path, ["0.png"])
    (tmp_path / "qa.csv").write_text("image;question;answer\n0.png;How long, in mm?;12,5\n")
    source = ("--questions", tmp_path / "qa.csv", "--image-folder", tmp_path, "--split", "train=1")
    assert run("--task", card(tmp_path, text), *source, "--out", tmp_path / "out") == 0
    (found,) = support.truths(tmp_path / "out", "train")
    assert json.loads(found)["value"] == 12.5


def test_options_are_asked_for_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "name: mcq\nkind: choice\nquestion: Which one?\n"
    pictures(tmp_path, ["0.png"])
    rows = "".join(f"0.png,What is {n}?,x,y,B\n" for n in range(30))
    (tmp_path / "qa.csv").write_text(f"image,question,A,B,answer\n{rows}")
    source = ("--questions", tmp_path / "qa.csv", "--image-folder", tmp_path)
    assert run("--task", card(tmp_path, text), *source, "--out", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert "none of 30 questions has options" in said
    assert "--options-column A B C D" in said
    assert len(said.splitlines()) == 1


def test_fields_with_a_box_get_the_size_of_their_image(tmp_path: Path) -> None:
    text = (
        "name: report\nkind: fields\nquestion: Fill it in.\n"
        'fields:\n  side: {kind: classification, question: "Which side?", labels: [left, right]}\n'
        '  what: {kind: short_answer, question: "What?"}\n'
        '  place: {kind: localisation, question: "Where?"}\n'
    )
    pictures(tmp_path, ["0.png", "1.png"])
    place = {"boxes": [[10, 10, 30, 20]]}
    answer = {"side": "left", "what": {"answers": ["a cyst"]}, "place": place}
    rows = [{"image": f"{n}.png", "question": "Fill it in.", "answer": answer} for n in (0, 1)]
    (tmp_path / "qa.json").write_text(json.dumps(rows))
    source = ("--questions", tmp_path / "qa.json", "--image-folder", tmp_path, "--split", "train=1")
    given = ("--task", card(tmp_path, text), *source, "--out", tmp_path / "out")
    assert run(*given) == 0
    content = json.loads(support.truths(tmp_path / "out", "train")[0])
    assert json.loads(content["place"])["size"] == [60, 40]
    said = (tmp_path / "out" / "dataset_card.md").read_text()
    assert "| side: left | 2 |" in said
    assert "| place: 1 boxes | 2 |" in said
    assert "| what: (other answers) | 2 |" in said
    answer["place"] = {"boxes": [[10, 10, 90, 20]]}
    (tmp_path / "qa.json").write_text(json.dumps(rows))
    assert run(*given) == 2  # now that the size is known, the box leaves the image


def test_what_is_left_out_is_counted_in_the_card(tmp_path: Path) -> None:
    pictures(tmp_path, ["0.png", "1.png"])
    table = "image,label,E\n0.png,alpha,1\n1.png,beta,x\n"
    (tmp_path / "t.csv").write_text(table)
    text = LETTERS.replace("[alpha, beta]", "[E, F]")
    given = ("--images", tmp_path, "--csv", tmp_path / "t.csv", "--label-columns", "E")
    more = ("--flag-value", "x=", "--split", "train=1", "--out", tmp_path / "out")
    assert run("--task", card(tmp_path, text), *given, *more) == 0
    left_out = (tmp_path / "out" / "dataset_card.md").read_text().partition("## Left out")[2]
    assert left_out.startswith("\n\n- 1: left out: a value of its flags says so")
