"""Rows that would be wrong without a word: what a source does not say, splits, masks, geometry."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medreward import ConfigError, Task, shaped_reward
from medreward.data.sources import open_coco, open_table
from tests import prepare_support as support
from tests.prepare_support import boxes_of, card, run

THING = """
name: thing
kind: localisation
question: Where is it?
labels: [thing]
"""
LESION = THING.replace("thing", "lesion")
LETTERS = """
name: letters
kind: classification
question: Which one?
labels: [alpha, beta]
"""
CHEST = """
name: chest
kind: multilabel
question: What is there?
labels: [edema, effusion]
"""
ONE = ("--split", "train=1")
SIDE = {"width": 60, "height": 40}


def folder_of_images(folder: Path, names: Sequence[str]) -> None:
    """Write a picture of 60 x 40 pixels, different for each, to each name."""
    for i, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        support.noise(sum(map(ord, name)) + 1000 * i).save(path)


def coco(folder: Path, notes: Sequence[dict[str, Any]], **changes: Any) -> Path:
    images = [{"id": i, "file_name": f"{i}.png", **SIDE} for i in range(2)]
    content = {
        "images": images,
        "categories": [{"id": 1, "name": "thing"}],
        "annotations": [{"id": n, "category_id": 1, **note} for n, note in enumerate(notes)],
        **changes,
    }
    path = folder / "coco.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def prepared(
    folder: Path, text: str, *options: object, capsys: pytest.CaptureFixture[str] | None = None
) -> Any:
    """Return the rows of all splits, or the error."""
    out = folder / "out"
    status = run("--task", card(folder, text), *options, "--out", out)
    if status:
        assert capsys is not None
        return capsys.readouterr().err
    splits = [split for split in ("train", "val", "test") if (out / f"{split}.parquet").exists()]
    return [row for split in splits for row in support.rows(out, split)]


def from_coco(folder: Path, *options: object, capsys: Any = None) -> Any:
    folder_of_images(folder, ["0.png", "1.png"])
    given = ("--images", folder, "--coco", f"train={folder / 'coco.json'}")
    return prepared(folder, THING, *given, *options, capsys=capsys)


BOX = [10, 10, 20, 10]


@pytest.mark.parametrize(
    ("notes", "boxes", "said"),
    [
        # Nothing is said of the second image: it is left out unless somebody says what that means.
        ([{"image_id": 0, "bbox": BOX}], [[[10, 10, 30, 20]]], "1.png: no annotation; left out"),
        ([{"image_id": 0, "bbox": BOX}, {"image_id": 1, "iscrowd": 1, "segmentation": {}}],
         [[[10, 10, 30, 20]]], "1.png: left out: none of what is annotated"),
        ([{"image_id": 0, "bbox": BOX}, {"image_id": 1, "bbox": []}],
         [[[10, 10, 30, 20]]], "1.png: an annotation of thing without a box dropped"),
        ([{"image_id": 0, "bbox": BOX}, {"image_id": 1}],
         [[[10, 10, 30, 20]]], "1.png: left out: none of what is annotated"),
        ([{"image_id": "0", "bbox": BOX}, {"image_id": "1", "bbox": BOX}],
         [[[10, 10, 30, 20]]] * 2, "2 annotations: its image_id and the image's id are a text"),
        ([{"image_id": i, "bbox": [20, 10, 10, 20], "attributes": {"rotation": 90.0}}
          for i in (0, 1)], [[[15, 15, 35, 25]]] * 2, "a turned box: the upright one around it"),
    ],
)  # fmt: skip
def test_what_coco_files_do_not_say(
    notes: list[dict[str, Any]],
    boxes: list[Any],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    coco(tmp_path, notes)
    rows = from_coco(tmp_path, capsys=capsys)
    assert [boxes_of(row) for row in rows] == boxes, rows
    assert said in capsys.readouterr().out
    assert said.partition(": ")[2] in (tmp_path / "out" / "dataset_card.md").read_text()


def test_images_without_annotations_are_negative_where_somebody_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coco(tmp_path, [])
    assert "2 of 2 images have no annotation" in from_coco(tmp_path, capsys=capsys)
    rows = from_coco(tmp_path, "--unannotated", "negative")
    assert [boxes_of(row) for row in rows] == [[], []]
    assert "2 of 2 images: without an annotation: taken as showing" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("notes", "changes", "message"),
    [
        ([{"image_id": 0, "bbox": [0.2, 0.2, 0.5, 0.4]}], {}, "it is in fractions of the image"),
        ([{"image_id": 7, "bbox": BOX}], {}, "annotation 0: no image has its image_id 7"),
        ([{"image_id": 0, "bbox": BOX, "category_id": 7}], {}, "category 7 is none of the file's"),
        ([{"image_id": 0, "bbox": [*BOX, 30]}], {}, "has 5 numbers; .* a fifth would be an angle"),
        ([], {"images": [{"id": 0, "file_name": f"{i}.png"} for i in (0, 1)]}, "have the id 0"),
        ([], {"images": [{"id": i, "file_name": "0.png"} for i in (0, 1)]}, "is listed twice"),
        ([{"image_id": 0, "bbox": BOX}], {"categories": [{"id": 1, "name": "other"}]},
         "'other': 1 boxes"),
    ],
)  # fmt: skip
def test_coco_files_that_contradict_themselves(
    notes: list[dict[str, Any]],
    changes: dict[str, Any],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    coco(tmp_path, notes, **changes)
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(from_coco(tmp_path, capsys=capsys))


def test_coco_files_beside_their_images_and_backslashes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder a split with its own file is what Roboflow exports."""
    for i, split in enumerate(("train", "valid")):
        folder_of_images(tmp_path / split, [f"{i}.png"])
        note = {"image_id": 0, "bbox": BOX}
        coco(tmp_path / split, [note], images=[{"id": 0, "file_name": f"{i}.png", **SIDE}])
    files = [f"{s}={tmp_path / s / 'coco.json'}" for s in ("train", "valid")]
    given = ("--images", tmp_path, "--coco", files[0], "--coco", files[1])
    rows = prepared(tmp_path, THING, *given)
    assert [row["extra_info"]["split"] for row in rows] == ["train", "val"]
    coco(tmp_path, [], images=[{"id": 0, "file_name": "images\\7.png", **SIDE}])
    folder_of_images(tmp_path, ["7.png"])
    more = ("--coco", f"train={tmp_path / 'coco.json'}", "--unannotated", "negative")
    error = prepared(tmp_path, THING, "--images", tmp_path, *more, capsys=capsys)
    assert "its name has backslashes; 7.png is there" in error


def voc(folder: Path, objects: str) -> Path:
    folder_of_images(folder, ["0.png"])
    text = f"<annotation><size><width>60</width><height>40</height></size>{objects}</annotation>"
    (folder / "0.xml").write_text(text)
    return folder


CORNERS = "<xmin>21</xmin><ymin>11</ymin><xmax>30</xmax><ymax>30</ymax>"


def test_voc_beside_images_without_names_and_turned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def of(objects: str) -> Any:
        given = ("--voc", voc(tmp_path, objects), *ONE)
        return prepared(tmp_path, THING, *given, capsys=capsys)

    name = "<name>thing</name>"
    plain = of(f"<object>{name}<bndbox>{CORNERS}</bndbox></object>")
    assert [boxes_of(row) for row in plain] == [[[20, 10, 30, 30]]]
    turned = of(f"<object>{name}<bndbox>{CORNERS}<angle>90</angle></bndbox></object>")
    assert [boxes_of(row) for row in turned] == [[[15, 15, 35, 25]]]
    assert [boxes_of(row) for row in of("")] == [[]]  # annotated, and nothing is there
    assert "object 1 has no name" in of(f"<object><bndbox>{CORNERS}</bndbox></object>")
    parts = zip(("xmin", "ymin", "xmax", "ymax"), (0.1, 0.1, 0.5, 0.6), strict=True)
    fractions = "".join(f"<{side}>{value}</{side}>" for side, value in parts)
    error = of(f"<object>{name}<bndbox>{fractions}</bndbox></object>")
    assert "in fractions of the image" in error


@pytest.mark.parametrize(
    ("paths", "splits"),
    [
        (["alpha/Train/1.png", "alpha/Test/2.png", "beta/train/3.png", "beta/test/4.png"],
         {"train": ["alpha", "beta"], "test": ["alpha", "beta"]}),
        (["alpha/img/Train/1.png", "alpha/img/Test/2.png", "beta/img/Train/3.png"],
         {"train": ["alpha", "beta"], "test": ["alpha"]}),
        (["train/alpha/1.png", "valid/beta/2.png"], {"train": ["alpha"], "val": ["beta"]}),
    ],
)  # fmt: skip
def test_splits_above_and_below_classes(
    paths: list[str], splits: dict[str, list[str]], tmp_path: Path
) -> None:
    folder_of_images(tmp_path / "in", paths)
    rows = prepared(tmp_path, LETTERS, "--folders", tmp_path / "in")
    found: dict[str, list[str]] = {}
    for row in rows:
        truth = row["reward_model"]["ground_truth"]
        found.setdefault(row["extra_info"]["split"], []).append(truth)
    assert found == splits


def test_splits_of_some_classes_only_are_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder_of_images(tmp_path / "in", ["alpha/Test/1.png", "alpha/2.png", "beta/3.png"])
    error = prepared(tmp_path, LETTERS, "--folders", tmp_path / "in", capsys=capsys)
    assert "is in a folder named as a split" in error


MASKS = ["alpha/1.png", "alpha/1_mask.png", "alpha/1_mask_1.png", "beta/2.png", "beta/3_mask.png"]


def test_masks_are_no_images_of_a_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder_of_images(tmp_path / "in", MASKS)
    rows = prepared(tmp_path, LETTERS, "--folders", tmp_path / "in", *ONE)
    assert len(rows) == 3  # 3_mask.png is a mask of no image that is there
    assert "alpha/1_mask_1.png: by its name a mask of another image" in capsys.readouterr().out


def mask(path: Path, box: tuple[int, int, int, int], value: int = 255) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("L", (60, 40))
    image.paste(value, box)
    image.save(path, quality=90)


def test_several_masks_and_usual_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder_of_images(tmp_path / "in", ["1.png", "ISIC_2.png", "3.png"])
    mask(tmp_path / "in/1_mask.png", (8, 8, 16, 24))
    mask(tmp_path / "in/1_mask_1.png", (32, 8, 40, 16))
    mask(tmp_path / "in/ISIC_2_segmentation.png", (0, 0, 8, 8))
    mask(tmp_path / "in/3_mask.jpg", (16, 16, 32, 32))
    given = ("--images", tmp_path / "in", "--masks", tmp_path / "in", "--map", "255=lesion", *ONE)
    rows = prepared(tmp_path, LESION, *given)
    found = [boxes_of(row) for row in rows]
    assert found == [[[8, 8, 16, 24], [32, 8, 40, 16]], [[16, 16, 32, 32]], [[0, 0, 8, 8]]]
    assert "1.png: several masks: the boxes of all are taken" in capsys.readouterr().out
    mask(tmp_path / "in/3_mask.jpg", (16, 16, 32, 32), value=120)
    assert "neither near 0 nor near 255" in prepared(tmp_path, LESION, *given, capsys=capsys)


def test_instance_masks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder_of_images(tmp_path / "in", ["1.png"])
    values: Any = np.zeros((40, 60), np.uint16)
    values[5:15, 5:15], values[5:15, 15:25] = 1001, 1002
    (tmp_path / "masks").mkdir()
    Image.fromarray(values).save(tmp_path / "masks/1.png")
    given = ("--images", tmp_path / "in", "--masks", tmp_path / "masks", *ONE)
    assert "--mask-regions instances" in prepared(tmp_path, LESION, *given, capsys=capsys)
    rows = prepared(tmp_path, LESION, *given, "--mask-regions", "instances")
    assert [boxes_of(row) for row in rows] == [[[5, 5, 15, 15], [15, 5, 25, 15]]]


def from_table(folder: Path, text: str, table: str, *options: object, capsys: Any = None) -> Any:
    path = folder / "table.csv"
    path.write_text(table, encoding="utf-8")
    given = ("--images", folder / "in", "--csv", path, *ONE)
    return prepared(folder, text, *given, *options, capsys=capsys)


def truths(rows: Any) -> list[Any]:
    return [row["reward_model"]["ground_truth"] for row in rows]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder_of_images(tmp_path / "in", ["0.png", "1.png", "deep/2.png"])
    return tmp_path


def test_rows_of_one_image_are_joined(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = "image,label\n0.png,edema\n0.png,effusion\n0.png,edema\n1.png,no finding\n"
    assert truths(from_table(pictures, CHEST, table)) == ['["edema", "effusion"]', "[]"]
    assert "their labels are a set (3 rows)" in capsys.readouterr().out
    twice = "image,label\n0.png,alpha\n0.png,alpha\n1.png,beta\n"
    assert truths(from_table(pictures, LETTERS, twice)) == ["alpha", "beta"]
    torn = "image,label,split\n0.png,edema,train\n0.png,effusion,test\n"
    path = pictures / "table.csv"
    path.write_text(torn)
    given = ("--images", pictures / "in", "--csv", path)
    assert "differ in their split" in prepared(pictures, CHEST, *given, capsys=capsys)


def test_one_hot_columns_and_what_other_flags_mean(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = "image,alpha,beta\n0.png,0.0,1.0\n1.png,1,0\n"
    columns = ("--label-columns", "alpha", "beta")
    assert truths(from_table(pictures, LETTERS, table, *columns)) == ["beta", "alpha"]
    both = table + "2.png,1,1\n"
    error = from_table(pictures, LETTERS, both, *columns, capsys=capsys)
    assert "its labels are alpha, beta" in error
    flags = "image,edema,effusion\n0.png,1.0,\n1.png,-1.0,0.0\n2.png,1,-1\n"
    columns = ("--label-columns", "edema", "effusion")
    error = from_table(pictures, CHEST, flags, *columns, capsys=capsys)
    assert "--flag-value VALUE=1" in error
    ones = ("--flag-value=-1=1", "--flag-value", "=0")
    rows = from_table(pictures, CHEST, flags, *columns, *ones)
    assert truths(rows) == ['["edema"]', '["edema"]', '["edema", "effusion"]']
    gone = ("--flag-value=-1=", "--flag-value", "=0")
    assert truths(from_table(pictures, CHEST, flags, *columns, *gone)) == ['["edema"]']
    error = from_table(pictures, CHEST, flags, *columns, "--flag-value=-1=maybe", capsys=capsys)
    assert "a value means 1, 0, or nothing" in error


def test_boxes_from_columns(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = "id,x,y,w,h,what\n0,10,10,20,10,thing\n0,5,25,10,10,thing\n1,,,,,\n"
    columns = ("--image-column", "id", "--image-suffix", ".png", "--label-column", "what")
    given = (*columns, "--box-columns", "x", "y", "w", "h")
    rows = from_table(pictures, THING, table, *given)
    assert [boxes_of(row) for row in rows] == [[[10, 10, 30, 20], [5, 25, 15, 35]], []]
    corners = (*columns, "--corner-columns", "x", "y", "right", "h")
    named = table.replace("0,5,25,10,10,thing\n", "").replace(",w,h", ",right,h")
    rows = from_table(pictures, THING, named, *corners, capsys=capsys)
    assert "none of its boxes can be used" in str(rows)  # 10 to 10 is no height
    parts = "id,x,y,w,h,what\n0,0.1,0.1,0.3,0.4,thing\n"
    assert "in fractions of the image" in from_table(pictures, THING, parts, *given, capsys=capsys)
    for spoilt in ("0,10,,20,10,thing", "0,a,10,20,10,thing", "0,inf,10,20,10,thing"):
        error = from_table(pictures, THING, f"id,x,y,w,h,what\n{spoilt}\n", *given, capsys=capsys)
        assert "line 2" in error
        assert "four" in error


def test_files_elsewhere_and_headers_that_help(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = from_table(pictures, LETTERS, "image,label\n0.png,alpha\n2.png,beta\n")
    assert truths(rows) == ["alpha", "beta"]
    assert "1 images: in a sub-folder, found by its name" in capsys.readouterr().out
    assert truths(from_table(pictures, LETTERS, "image;label\n0.png;alpha\n")) == ["alpha"]
    assert "its columns are separated by semicolons (;)" in capsys.readouterr().out
    for table, message in {
        "image,label\n0.PNG,alpha\n": "0.png is there (names differ in case)",
        "file,label\n0.png,alpha\n": "--image-column NAME says which column it is",
        "a;b\n0.png;alpha\n": "separated by semicolons",
        "0.png,1\n1.png,0\n": "seems to be no header",
        "image,finding\n0.png,alpha\n": "--label-column or --label-columns NAME",
    }.items():
        assert message in from_table(pictures, LETTERS, table, capsys=capsys)


def test_columns_that_look_like_patients_and_splits_are_remarked(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = "image,label,PatientID,fold\n0.png,alpha,p1,1\n1.png,beta,p2,2\n"
    assert from_table(pictures, LETTERS, table)
    said = capsys.readouterr().out
    assert "column 'PatientID' looks like a patient, and is not used" in said
    assert "column 'fold' looks like a split, and is not used" in said
    assert from_table(pictures, LETTERS, table, "--patient-column", "PatientID")
    assert "looks like a patient" not in capsys.readouterr().out


def test_hugging_face_patients_and_files_without_a_type(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import datasets

    pngs = []
    for i in range(6):
        support.noise(i, 12, 10).save(tmp_path / f"{i}.png")
        pngs.append({"bytes": (tmp_path / f"{i}.png").read_bytes(), "path": None})
    content: dict[str, Any] = {
        "image": pngs,
        "label": ["alpha", "beta"] * 3,
        "patient": ["p1", "p1", "p1", "p2", "p2", "p2"],
        "subject_id": list("abcdef"),
    }
    datasets.Dataset.from_dict(content).save_to_disk(str(tmp_path / "saved"))
    shares = ("--split", "train=0.5,test=0.5")
    for seed in range(4):
        given = ("--hf", tmp_path / "saved", *shares, "--seed", seed)
        rows = prepared(tmp_path, LETTERS, *given)
        places: dict[str, set[str]] = {}
        for row in rows:
            number = int(row["extra_info"]["id"].split("-")[1])
            places.setdefault(content["patient"][number], set()).add(row["extra_info"]["split"])
        assert all(len(splits) == 1 for splits in places.values())
    assert "subject_id" not in capsys.readouterr().out  # a column of patients is used


def grey16(path: Path, white_is_zero: bool) -> None:
    """Write a TIFF of 16 bits by hand: bright on the left, dark on the right."""
    values = np.linspace(60000, 1000, 60).astype("<u2").repeat(40).reshape(60, 40).T.copy()
    stored = 65535 - values if white_is_zero else values
    image = Image.fromarray(stored)
    image.save(path, tiffinfo={262: 0 if white_is_zero else 1})


def test_zero_is_white_in_some_tiffs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    for name, white in (("0.tif", False), ("1.tif", True)):
        grey16(tmp_path / "in" / name, white)
    with Image.open(tmp_path / "in" / "1.tif") as opened:
        if opened.tag_v2.get(262) != 0:
            pytest.skip("this Pillow does not write the tag")
    rows = from_table(tmp_path, LETTERS, "image,label\n0.tif,alpha\n1.tif,beta\n")
    one, two = (np.asarray(support.image(row)).astype(int) for row in rows)
    assert abs(one - two).max() <= 1
    assert one[:, 0].mean() > one[:, -1].mean()
    assert "0 is white in it: inverted" in capsys.readouterr().out


def test_arrays_that_are_no_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def of(images: np.ndarray) -> Any:
        parts: dict[str, Any] = {}
        for i, split in enumerate(("train", "val", "test")):
            parts[f"{split}_images"] = images + np.array(i, images.dtype)
            parts[f"{split}_labels"] = np.array([[i % 2] for i in range(len(images))])
        np.savez(tmp_path / "a.npz", **parts)
        given = ("--npz", tmp_path / "a.npz")
        return prepared(tmp_path, LETTERS, *given, capsys=capsys)

    chance: Any = np.random.default_rng(0)

    def pixels(*shape: int) -> Any:
        return chance.integers(0, 255, shape, np.uint8)

    assert "of volumes, take slices" in of(pixels(2, 28, 28, 28))
    assert "channels first" in of(pixels(2, 3, 28, 28))
    assert len(of(pixels(2, 28, 28))) == 6
    said = capsys.readouterr().out
    assert "label 1: taken for the card's label at that place, counted from 0 (beta: 3" in said
    assert "8-bit images" in of(pixels(2, 28, 28).astype(np.float32))


def test_a_card_that_says_nothing_of_recitation_can_be_used() -> None:
    """Where recitation could outweigh the answer it is left out, and the signature says so."""
    places = Task("own", kind="localisation", question="Where?", labels=["a"])
    assert places.reward.delta == 0
    many = Task(
        "many",
        kind="multilabel",
        question="What?",
        labels=[f"finding {i}" for i in "abcdefghijklmn"],
    )
    said = "<think>x</think><answer>finding a</answer>"
    assert shaped_reward(said, ["finding a"], task=many) == 1.2
    assert many.reward.delta == 0
    assert Task("two", question="?", labels=["a", "b"]).reward.delta == -1
    assert Task("own", kind="localisation", question="?", reward={"delta": -1}).reward.delta == -1


def test_a_dry_run_says_what_is_known_without_an_image(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No image is decoded: these are none. What is wrong with labels is an error, as in a run."""
    (tmp_path / "in").mkdir()
    for name in ("0.png", "1.png", "2.png"):
        (tmp_path / "in" / name).write_bytes(b"no picture")
    lines = ["image,label,split,PatientID", "0.png,alpha,train,p", "1.png,beta,train,p"]
    lines += ["2.png,beta,test,p", "9.png,beta,test,p"]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(lines), encoding="utf-8")
    given = ["--task", card(tmp_path, LETTERS), "--images", tmp_path / "in", "--csv", table]
    assert run(*given, "--dry-run") == 0
    said = capsys.readouterr().out
    assert "train: 2 rows\n  alpha: 1\n  beta: 1\ntest: 2 rows\n  beta: 2\n" in said
    assert "missing: 1 of 4 files" in said
    assert "table.csv line 5 (9.png): no such file" in said
    assert "column 'PatientID' looks like a patient" in said
    assert "first prompt:\n  Which one?" in said
    assert not (tmp_path / "out").exists()
    assert run(*given, "--dry-run", "--patient-column", "PatientID") == 2
    assert "1 patients are in more than one split" in capsys.readouterr().err
    assert run(*given) == 2
    assert "--out: the folder to write to is missing" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--ask", "where"], []])
def test_a_dry_run_of_boxes(options: list[str], tmp_path: Path, capsys: Any) -> None:
    coco(tmp_path, [{"image_id": 0, "bbox": BOX}])
    folder_of_images(tmp_path, ["0.png", "1.png"])
    given = ["--images", tmp_path, "--coco", f"train={tmp_path / 'coco.json'}", "--dry-run"]
    assert run("--task", card(tmp_path, THING), *given, *options) == 0
    said = capsys.readouterr().out
    assert "train: 1 rows\n  thing: 1\n" in said
    assert "1.png: no annotation; left out" in said


def yolo(folder: Path, lines: dict[str, str], names: str = "[thing, other]") -> Path:
    """Write two pictures a split in Roboflow's layout, with the lines of some text files."""
    folder_of_images(folder, [f"{s}/images/{i}.png" for s in ("train", "valid") for i in (0, 1)])
    (folder / "data.yaml").write_text(f"names: {names}\nnc: 2\ntrain: ../train/images\n")
    for name, text in lines.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_yolo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = {
        "train/labels/0.txt": "0 0.5 0.5 0.5 0.25\n1 0.1 0.1 0.2 0.2\n",
        "train/labels/1.txt": "",  # looked at, and nothing is there
        "valid/labels/0.txt": "0 0.1 0.1 0.5 0.1 0.5 0.6 0.1 0.6\n",  # a polygon
    }
    both = THING.replace("[thing]", "[thing, other]")
    rows = prepared(tmp_path, both, "--yolo", yolo(tmp_path / "in", lines))
    assert [row["extra_info"]["split"] for row in rows] == ["train", "train", "val"]
    found = [boxes_of(row) for row in rows]
    assert found == [[[15, 15, 45, 25], [0, 0, 12, 8]], [], [[6, 4, 30, 24]]]
    assert "valid/images/1.png: no annotation; left out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "7 0.5 0.5 0.5 0.5",
            "line 1: class 7 is none of those that are named: 0 (thing), 1 (other)",
        ),
        ("0 0.5 0.5 0.5", "line 1: 3 numbers behind the class"),
        ("0 30 20 10 10", "YOLO's numbers are fractions"),
        ("thing 0.5 0.5 0.5 0.5", "is not a line of numbers"),
        ("0 nan 0.5 0.5 0.5", "YOLO's numbers are fractions"),
    ],
)
def test_yolo_lines_that_are_no_objects(
    line: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = yolo(tmp_path / "in", {"train/labels/0.txt": line})
    assert message in prepared(tmp_path, THING, "--yolo", folder, capsys=capsys)


def test_yolo_without_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = yolo(tmp_path / "in", {}, names="thing")
    assert "names: 'thing' is not a list" in prepared(
        tmp_path, THING, "--yolo", folder, capsys=capsys
    )
    (folder / "data.yaml").unlink()
    assert "which names the classes" in prepared(tmp_path, THING, "--yolo", folder, capsys=capsys)


def test_missing_files_are_said_before_anything_is_decoded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{i}.png" for i in range(70)]
    support.folder_of_images(tmp_path / "in", names[2:])
    lines = [f"{name},{'alpha' if i % 2 else 'beta'}" for i, name in enumerate(names)]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["image,label", *lines]))
    source = ["--images", tmp_path / "in", "--csv", table, "--split", "train=1", "--workers", "1"]
    options = ["--task", card(tmp_path, support.LETTERS), *source, "--out", tmp_path / "out"]
    assert run(*options) == 2
    said = capsys.readouterr().err
    assert said.startswith("2 of 70 files are not there:\n  table.csv line 2 (0.png): no such file")
    assert "2 images cannot be used" in said
    assert run(*options, "--on-error", "skip") == 0
    assert len(support.rows(tmp_path / "out", "train")) == 68
    table.write_text("\n".join(["image,label", *(line.replace(".png", ".PNG") for line in lines)]))
    capsys.readouterr()
    assert run(*options) == 2
    said = capsys.readouterr().err
    assert "70 of 70 files are not there:" in said
    assert "9.png is there (names differ in case)" in said
    assert "cannot be used" not in said


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1", "utf-8"])
def test_tables_in_other_encodings(
    encoding: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    support.folder_of_images(tmp_path / "in", ["1.png", "2.png"])
    table = tmp_path / "table.csv"
    table.write_text("image,label,note\n1.png,alpha,für\n2.png,beta,é\n", encoding=encoding)
    source = ["--images", tmp_path / "in", "--csv", table, "--split", "train=1"]
    options = ["--task", card(tmp_path, support.LETTERS), *source, "--out", tmp_path / "out"]
    if encoding == "latin-1":
        assert run(*options) == 2
        assert "--csv-encoding NAME says what it is in, such as latin-1" in capsys.readouterr().err
        assert run(*options, "--csv-encoding", "klingon") == 2
        assert "'klingon' is no encoding" in capsys.readouterr().err
        options += ["--csv-encoding", "latin-1"]
    assert run(*options) == 0
    assert support.truths(tmp_path / "out", "train") == ["alpha", "beta"]


def test_masks_in_a_folder_of_their_own_are_no_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in the COVID-19 Radiography Database: CLASS/images/x.png and CLASS/masks/x.png."""
    names = [
        f"{c}/{what}/{c}-{i}.png"
        for c in ("alpha", "beta")
        for i in (1, 2)
        for what in ("images", "masks")
    ]
    names += ["alpha/Masks/alone.png"]
    folder = support.folder_of_images(tmp_path / "in", names)
    own = support.card(tmp_path, support.LETTERS)
    source = ["--task", own, "--folders", folder, "--split", "train=1"]
    assert support.run(*source, "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "alpha/masks/alpha-1.png: by its name a mask of another image; left out" in said
    assert support.truths(tmp_path / "out", "train") == ["alpha"] * 3 + ["beta"] * 2


def corner_file(folder: Path, *boxes: list[float]) -> Path:
    support.folder_of_images(folder, ["0.png"])
    width, height = Image.open(folder / "0.png").size
    content = {
        "images": [{"id": 1, "file_name": "0.png", "width": width, "height": height}],
        "categories": [{"id": 1, "name": "thing"}],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": 1, "bbox": box} for i, box in enumerate(boxes)
        ],
    }
    path = folder / "coco.json"
    path.write_text(json.dumps(content))
    return path


def test_corners_in_place_of_width_and_height_are_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    file = corner_file(folder, [1, 1, 3, 3], [1, 1, 3, 3])
    width, height = Image.open(folder / "0.png").size
    low = [0.6 * width, 0.6 * height]
    corners = [*low, width, height]
    file = corner_file(folder, corners, [1, 1, 9, 9])
    with pytest.raises(ConfigError, match=r"1 of 2 boxes reach far over .* fit as x1, y1, x2, y2"):
        open_coco({None: file}, folder)
    file = corner_file(folder, corners, [4, 4, 3, 3])  # no corners: they would fall
    (record,) = open_coco({None: file}, folder).records
    assert record.boxes
    assert record.boxes[0].box == (*low, width, height)


def test_absolute_paths_of_a_table_are_not_reported_as_unlisted(tmp_path: Path) -> None:
    folder = support.folder_of_images(tmp_path / "in", ["a/0.png", "1.png"])
    table = tmp_path / "table.csv"
    table.write_text(f"image,label\n{folder / 'a/0.png'},alpha\n./1.png,beta\n")
    assert open_table(folder, table).remarks == ()
