"""Faults of exports that nobody would see in the rows: each is an error or a counted remark."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from medreward import ConfigError
from medreward.data.sources import open_coco, open_voc, open_yolo
from medreward.data.sources.labelme import open_labelme
from tests import prepare_support as support
from tests.prepare_support import LETTERS, boxes_of, card, run

LESION = "name: lesion\nkind: localisation\nquestion: Where is it?\nlabels: [mass, cyst]\n"


def pictures(folder: Path, *names: str) -> Path:
    """Write a picture of 60 x 40 pixels, different for each, to each name."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        support.noise(sum(map(ord, name))).save(folder / name)
    return folder


def from_table(
    folder: Path, text: str, table: str, *options: str
) -> tuple[int, list[dict[str, Any]]]:
    """Return the exit status and the rows of a table beside the pictures in a folder."""
    (folder / "table.csv").write_text(table, encoding="utf-8")
    given = ("--images", folder / "images", "--csv", folder / "table.csv", "--split", "train=1")
    status = run("--task", card(folder, text), *given, *options, "--out", folder / "out")
    return status, [] if status else support.rows(folder / "out", "train")


def test_boxes_of_a_larger_original(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures(tmp_path / "images", "0.png", "1.png")
    header = "image,label,x_min,y_min,x_max,y_max,width,height\n"
    table = f"{header}0.png,mass,10,10,30,20,120,80\n1.png,,,,,,120,80\n"
    assert from_table(tmp_path, LESION, table)[0] == 2
    said = capsys.readouterr().err
    assert said.count("its annotation is for an image of 120 x 80 pixels, it has 60 x 40") == 2
    status, rows = from_table(tmp_path, LESION, table.replace("120,80", "60,40"))
    assert status == 0
    assert boxes_of(rows[0]) == [[10, 10, 30, 20]]
    said = capsys.readouterr().out
    assert "table.csv: its columns are the size of the image that boxes are drawn on" in said


def test_the_boxes_own_width_and_height(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures(tmp_path / "images", "0.png", "1.png")
    header = "image,label,x_min,y_min,x_max,y_max,width,height\n"
    table = f"{header}0.png,mass,10,10,30,20,20,10\n1.png,mass,5,5,15,25,10,20\n"
    status, rows = from_table(tmp_path, LESION, table)
    assert status == 0
    assert [boxes_of(row) for row in rows] == [[[10, 10, 30, 20]], [[5, 5, 15, 25]]]
    assert "size of the image" not in capsys.readouterr().out


def test_boxes_that_leave_the_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures(tmp_path / "images", "0.png", "1.png")
    header = "image,label,x_min,y_min,x_max,y_max\n"
    table = f"{header}0.png,mass,40,30,100,70\n1.png,mass,40,30,61,40\n"
    assert from_table(tmp_path, LESION, table)[0] == 0
    said = capsys.readouterr().out
    assert "line 2 (0.png): box reaches far out of the image, clipped: was it drawn on an" in said
    assert "line 3 (1.png): box clipped to the image (mass [40, 30, 61, 40])" in said


@pytest.mark.parametrize("folders", [("train", "Test"), ("train", "train"), ("a", "test")])
def test_folders_named_as_splits(folders: tuple[str, str], tmp_path: Path, capsys: Any) -> None:
    names = [f"{folder}/{i}.png" for i, folder in enumerate(folders)]
    pictures(tmp_path / "images", *names)
    lines = "".join(f"{name},alpha\n" for name in names)
    (tmp_path / "t.csv").write_text("image,label\n" + lines)
    given = ("--images", tmp_path / "images", "--csv", tmp_path / "t.csv", "--out", tmp_path / "o")
    assert run("--task", card(tmp_path, LETTERS), *given) == 0
    said = "2 images: in folders named as splits, which are not used: splits are drawn (train 1, te"
    assert (said in capsys.readouterr().out) == (folders == ("train", "Test"))
    (tmp_path / "t.csv").write_text(
        "image,label,split\n" + "".join(f"{name},alpha,train\n" for name in names)
    )
    assert run("--task", card(tmp_path, LETTERS), *given) == 0
    assert "named as splits" not in capsys.readouterr().out


@pytest.mark.parametrize("mapping", [("--map", "beta=alpha"), ()])
def test_one_label_for_all(mapping: tuple[str, ...], tmp_path: Path, capsys: Any) -> None:
    names = [f"{i}.png" for i in range(12)]
    pictures(tmp_path / "images", *names)
    lines = (f"{name},{'alpha' if i % 2 else 'beta'}\n" for i, name in enumerate(names))
    assert from_table(tmp_path, LETTERS, "image,label\n" + "".join(lines), *mapping)[0] == 0
    said = "labels: all images have the same one: there is nothing to tell (alpha)"
    assert (said in capsys.readouterr().out) == bool(mapping)


def test_a_box_that_is_the_whole_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures(tmp_path / "images", "0.png", "1.png")
    header = "image,label,x_min,y_min,x_max,y_max\n"
    table = f"{header}0.png,mass,0,0,60,40\n1.png,mass,0,0,60,39\n"
    assert from_table(tmp_path, LESION, table, "--size", "30")[0] == 0
    said = capsys.readouterr().out
    assert "line 2 (0.png): a box is the whole image: was it drawn, or filled in?" in said
    assert said.count("whole image") == 1


@pytest.mark.parametrize(
    ("names", "cell", "said"),
    [
        (("a/1.png", "b/1.png"), "1.png", "several files in sub-folders have its name"),
        (("1.png", "1.jpg"), "1", "several files have its name, with other endings"),
    ],
)
def test_files_that_may_be_either(
    names: tuple[str, ...], cell: str, said: str, tmp_path: Path, capsys: Any
) -> None:
    pictures(tmp_path / "images", *names)
    assert from_table(tmp_path, LETTERS, f"image,label\n{cell},alpha\n")[0] == 2
    assert said in capsys.readouterr().err


def test_two_columns_of_one_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures(tmp_path / "images", "0.png")
    assert from_table(tmp_path, LETTERS, "image,label,label\n0.png,alpha,beta\n")[0] == 2
    assert "two columns have the name 'label'; rename one" in capsys.readouterr().err
    (tmp_path / "qa.csv").write_text("image,question,answer,answer\n0.png,What?,a,b\n")
    text = "name: vqa\nkind: short_answer\nquestion: What?\n"
    source = ("--questions", tmp_path / "qa.csv", "--image-folder", tmp_path / "images")
    assert run("--task", card(tmp_path, text), *source, "--out", tmp_path / "out") == 2
    assert "two columns have the name 'answer'" in capsys.readouterr().err


def test_cells_without_a_patient(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"{i}.png" for i in range(6)]
    pictures(tmp_path / "images", *names)
    cells = ("1", "1", "nan", "NaN", "N/A", "")
    lines = (f"{name},alpha,{cell}\n" for name, cell in zip(names, cells, strict=True))
    assert from_table(tmp_path, LETTERS, "image,label,patient\n" + "".join(lines))[0] == 0
    said = capsys.readouterr().out
    assert "patients: 1 in 2 images, each in one split" in said
    assert "patients: 4 images have none; each is its own" in said


def test_two_ways_to_write_a_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures(tmp_path / "images", "0.png", "1.png")
    table = "image,label\n0.png,alpha\n./0.png,beta\n"
    assert from_table(tmp_path, LETTERS, table)[0] == 2
    assert "its labels are alpha, beta" in capsys.readouterr().err


def coco(folder: Path, *notes: Mapping[str, Any]) -> Path:
    pictures(folder / "images", "0.png")
    content = {
        "images": [{"id": 1, "file_name": "0.png", "width": 60, "height": 40}],
        "categories": [{"id": 1, "name": "mass"}],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": 1, **note} for i, note in enumerate(notes)
        ],
    }
    (folder / "coco.json").write_text(json.dumps(content))
    return folder / "coco.json"


@pytest.mark.parametrize(
    "own",
    [
        {"area": 80},
        {"area": 80.3},
        {"segmentation": [[10, 10, 20, 10, 20, 18, 10, 18]]},
        {"segmentation": [[10, 10, 20, 10], [20, 18, 10, 18]], "area": 360},
    ],
)
def test_coco_boxes_that_are_corners(own: dict[str, Any], tmp_path: Path) -> None:
    file = coco(tmp_path, {"bbox": [10, 10, 20, 18], **own})
    with pytest.raises(ConfigError, match=r"1 of 1 boxes are x1, y1, x2, y2 by the area or out"):
        open_coco({None: file}, tmp_path / "images")


@pytest.mark.parametrize(
    "own",
    [
        {"area": 360},
        {"area": 200},  # of the pixels in the outline
        {"segmentation": [[10, 10, 30, 10, 30, 28, 10, 28]], "area": 80},
        {"segmentation": {"size": [40, 60], "counts": [2400]}},
        {"segmentation": []},
    ],
)
def test_coco_boxes_that_may_be_what_they_should(own: dict[str, Any], tmp_path: Path) -> None:
    file = coco(tmp_path, {"bbox": [10, 10, 20, 18], **own})
    (record,) = open_coco({None: file}, tmp_path / "images").records
    assert record.boxes == (("mass", (10, 10, 30, 28)),)


def test_a_box_that_stands_twice(tmp_path: Path) -> None:
    box = {"bbox": [10, 10, 20, 18]}
    source = open_coco({None: coco(tmp_path, box, box)}, tmp_path / "images")
    (record,) = source.records
    assert record.boxes == (("mass", (10, 10, 30, 28)),)
    assert record.dropped == ()  # nothing of the image is lost
    assert [remark.what for remark in source.remarks] == [
        "the same box with the same name again: kept once"
    ]


@pytest.mark.parametrize("has_boxes", [True, False])
def test_a_turned_photograph(has_boxes: bool, tmp_path: Path, capsys: Any) -> None:
    file = coco(tmp_path, {"bbox": [10, 10, 20, 18]})
    turned = Image.Exif()
    turned[0x0112] = 3
    support.noise(1).save(tmp_path / "images" / "0.png", exif=turned)
    (tmp_path / "t.csv").write_text("image,label,split\n0.png,alpha,train\n")
    source = ("--coco", f"train={file}") if has_boxes else ("--csv", str(tmp_path / "t.csv"))
    own = card(tmp_path, LESION if has_boxes else LETTERS)
    given = ("--task", own, "--images", tmp_path / "images", *source)
    assert run(*given, "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "turned as its EXIF orientation says" in said
    assert ("boxes and masks are taken as drawn on the turned image" in said) == has_boxes


def test_pictures_that_show_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures(tmp_path / "images", "0.png")
    Image.new("L", (60, 40), 9).save(tmp_path / "images" / "1.png")
    Image.new("RGB", (60, 40), (1, 2, 3)).save(tmp_path / "images" / "2.png")
    table = "image,label\n0.png,alpha\n1.png,beta\n2.png,beta\n"
    assert from_table(tmp_path, LETTERS, table)[0] == 0
    lines = capsys.readouterr().out.splitlines()
    said = [line for line in lines if "all of its pixels have one value: it shows nothing" in line]
    assert [line.split()[2] for line in said] == ["3", "4"]


def test_voc_of_another_file_and_difficult_objects(tmp_path: Path) -> None:
    pictures(tmp_path, "0.png", "1.png", "2.png")
    box = "<bndbox><xmin>5</xmin><ymin>5</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    for stem, name, difficult in (("0", "0.jpg", 0), ("1", "C:\\x\\7.png", 0), ("2", "", 1)):
        (tmp_path / f"{stem}.xml").write_text(
            f"<annotation><filename>{name}</filename><object><name>mass</name>"
            f"<difficult>{difficult}</difficult>{box}</object></annotation>"
        )
    remarks = open_voc(tmp_path).remarks
    assert [(remark.where, remark.what.partition(":")[0]) for remark in remarks] == [
        ("2.png", "an object marked as difficult"),
        ("1 annotations", "their <filename> is of another file"),
    ]
    assert remarks[1].detail == "such as 1.xml has 7.png"


def test_yolo_counts_and_endings(tmp_path: Path) -> None:
    pictures(tmp_path, "0.png")
    (tmp_path / "data.yaml").write_text("names: [mass, cyst]\nnc: 2\n")
    (tmp_path / "0.TXT").write_text("1 0.5 0.5 0.5 0.5\n")
    (record,) = open_yolo(tmp_path).records
    assert record.boxes == (("cyst", (15, 10, 45, 30)),)
    (tmp_path / "data.yaml").write_text("names: [mass, cyst]\nnc: 3\n")
    with pytest.raises(ConfigError, match="nc is 3, and names has 2 classes"):
        open_yolo(tmp_path)


def test_labelme_groups(tmp_path: Path) -> None:
    pictures(tmp_path, "0.png", "1.png")
    points = [[3, 2], [10, 2], [10, 10]]
    for name, group in (("0", 7), ("1", None)):
        shape = {"label": "a", "shape_type": "polygon", "points": points, "group_id": group}
        content = {"imagePath": f"{name}.png", "shapes": [shape]}
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    (remark,) = open_labelme(tmp_path).remarks
    assert remark.where == "0.png"
    assert "may be parts of one object: each is one of its own" in remark.what


def test_nifti_labels_as_images_and_slices_from_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values: Any = np.zeros((20, 24, 10), np.uint8)
    values[2:8, 2:8] = 1
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "labels.nii")
    scan: Any = np.random.default_rng(1).normal(size=(20, 24, 10)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(scan, np.eye(4)), tmp_path / "scan.nii")
    lines = "labels.nii,alpha,3\nscan.nii,beta,4\n"
    source = ("--nifti", tmp_path, "--csv", tmp_path / "t.csv", "--split", "train=1")
    given = ("--task", card(tmp_path, LETTERS), *source, "--out", tmp_path / "out")
    (tmp_path / "t.csv").write_text("image,label,slice\n" + lines)
    assert run(*given) == 0
    said = capsys.readouterr().out
    assert "line 2: it has a few values only, as a volume of labels has" in said
    assert said.count("a few values only") == 1
    (tmp_path / "t.csv").write_text("image,label,slice\n" + lines.replace("4", "10"))
    assert run(*given) == 2
    said = capsys.readouterr().err
    assert "slice 10 asked for; there are 10, from 0 to 9: are they counted from 1" in said
