"""LabelMe, CVAT, Label Studio and Hugging Face objects: boxes, splits, and what is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from medreward import ConfigError
from medreward.data.sources import (
    Source,
    open_cvat,
    open_hugging_face,
    open_label_studio,
    open_labelme,
)
from tests import prepare_support as support
from tests.prepare_support import boxes_of, card, rows, run, truths

SIZE = {"imageWidth": 12, "imageHeight": 10}  # of `support.folder_of_images`


def by_name(source: Source) -> dict[str, Any]:
    return {record.where: record for record in source.records}


def said(source: Source) -> str:
    return "\n".join(f"{r.where}: {r.what} ({r.detail})" for r in source.remarks)


# LabelMe


def labelme(folder: Path, name: str, *shapes: dict[str, Any], **content: Any) -> None:
    path = folder / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = f"{Path(name).name}.png"
    path.write_text(json.dumps({"imagePath": picture, "shapes": shapes, **SIZE, **content}))


def shape(kind: str, *points: tuple[float, float], label: str = "cell") -> dict[str, Any]:
    return {"label": label, "shape_type": kind, "points": [list(p) for p in points]}


def test_labelme_shapes_become_boxes(tmp_path: Path) -> None:
    names = [*(f"train/{i}.png" for i in range(5)), "val/9.png"]
    folder = support.folder_of_images(tmp_path / "in", names)
    corners = shape("rectangle", (8, 7), (2, 3))
    labelme(folder, "train/0", corners, shape("polygon", (1, 1), (5, 1), (3, 6)))
    labelme(folder, "train/1", shape("circle", (5, 5), (5, 7)), imagePath="..\\train\\1.png")
    labelme(folder, "train/2")
    labelme(folder, "train/3", shape("point", (5, 5)))
    labelme(folder, "val/9", shape("polygon", (1, 1), (5, 1), (3, 6)), imagePath="gone.jpg")
    source = open_labelme(folder)
    found = by_name(source)
    assert [box.box for box in found["train/0.png"].boxes] == [(2, 3, 8, 7), (1, 1, 5, 6)]
    assert found["train/1.png"].boxes[0].box == (3, 3, 7, 7)
    assert (found["train/2.png"].boxes, found["train/2.png"].unsaid) == ((), False)
    assert "train/3.png" not in found  # not "nothing to find"
    assert found["train/4.png"].unsaid
    assert found["val/9.png"].split == "val"  # by its own name, beside its json file
    assert "train/3.png: a point of cell has no box; dropped" in said(source)
    out = tmp_path / "out"
    own = card(tmp_path, support.CELLS)
    assert run("--task", own, "--labelme", folder, "--out", out) == 0
    assert [boxes_of(row) for row in rows(out, "train")] == [
        [[2, 3, 8, 7], [1, 1, 5, 6]],
        [[3, 3, 7, 7]],
        [],
    ]


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([shape("spline", (1, 1), (2, 2))], r"0.json: shape 1: shape_type: 'spline'"),
        ([shape("polygon", (1, 1), (2, 2), label="")], "shape 1 has no label"),
        ([shape("rectangle", (1, 1))], "are no points of a rectangle"),
        ([shape("rectangle", (0.1, 0.1), (0.5, 0.5))], "in fractions of the image"),
        ([{"label": "cell"}], "not a LabelMe file: KeyError 'points'"),
    ],
)
def test_labelme_files_that_are_wrong(
    shapes: list[dict[str, Any]], message: str, tmp_path: Path
) -> None:
    folder = support.folder_of_images(tmp_path / "in", ["0.png"])
    labelme(folder, "0", *shapes)
    with pytest.raises(ConfigError, match=message):
        open_labelme(folder)


def test_labelme_refuses_two_files_of_one_picture(tmp_path: Path) -> None:
    folder = support.folder_of_images(tmp_path / "in", ["0.png"])
    labelme(folder, "0")
    labelme(folder, "other", imagePath="0.png")
    with pytest.raises(ConfigError, match=r"are about '0\.png', 0\.json and other"):
        open_labelme(folder)
    (tmp_path / "none").mkdir()
    with pytest.raises(ConfigError, match="no json file of LabelMe"):
        open_labelme(tmp_path / "none")


# CVAT


def cvat(folder: Path, *images: str) -> Path:
    text = "<annotations><version>1.1</version>" + "".join(images) + "</annotations>"
    (folder / "annotations.xml").write_text(text)
    return folder


def picture(name: str, *inside: str, **further: str) -> str:
    more = "".join(f' {key}="{value}"' for key, value in further.items())
    return f'<image id="0" name="{name}" width="12" height="10"{more}>{"".join(inside)}</image>'


BOX = '<box label="cell" xtl="2" ytl="3" xbr="8" ybr="7" rotation="{}"/>'
POLYGON = '<polygon label="cell" points="1,1;5,1;3,6"/>'
MASK = '<mask label="cell" left="4" top="2" width="3" height="5" rle="1"/>'


def test_cvat_shapes_become_boxes(tmp_path: Path) -> None:
    names = ["images/train/0.png", "images/train/1.png", "images/2.png", "images/val/3.png"]
    folder = support.folder_of_images(tmp_path / "in", names)
    ellipse = '<ellipse label="cell" cx="5" cy="5" rx="2" ry="1" rotation="90"/>'
    points = '<points label="cell" points="1,1"/>'
    cvat(
        folder,
        picture("0.png", BOX.format(0), POLYGON, MASK, subset="train"),
        picture("train/1.png", ellipse, '<tag label="odd"/>', subset="Train"),
        picture("2.png", subset="train"),
        picture("3.png", points, subset="Validation"),
    )
    source = open_cvat(folder)
    found = by_name(source)
    boxes = [box.box for box in found["0.png"].boxes]
    assert boxes == [(2, 3, 8, 7), (1, 1, 5, 6), (4, 2, 7, 7)]
    assert found["0.png"].place[1] == "images/train/0.png"
    assert found["train/1.png"].boxes[0].box == pytest.approx((4, 3, 6, 7))
    assert found["2.png"].unsaid
    assert "3.png" not in found
    assert {record.split for record in source.records} == {"train"}
    for text in (
        "train/1.png: a turned box: the upright one around it is taken",
        "train/1.png: tags of the image are not used, as the source has shapes (odd)",
        "3.png: a points of cell has no box; dropped",
    ):
        assert text in said(source)


def test_cvat_tags_are_labels_where_there_are_no_shapes(tmp_path: Path) -> None:
    folder = support.folder_of_images(tmp_path / "in", [f"images/{i}.png" for i in range(3)])
    tags = [f'<tag label="{name}"/>' for name in ("alpha", "beta")]
    cvat(folder, picture("0.png", tags[0]), picture("1.png", tags[1]), picture("2.png"))
    own = card(tmp_path, support.LETTERS)
    split = ["--split", "train=1"]
    assert run("--task", own, "--cvat", folder, *split, "--out", tmp_path / "out") == 0
    assert truths(tmp_path / "out", "train") == ["alpha", "beta"]
    assert "2.png: no annotation; left out" in (tmp_path / "out/dataset_card.md").read_text()


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        ('<blob label="cell"/>', "kind of shape: 'blob'"),
        ('<box xtl="1" ytl="1" xbr="2" ybr="2"/>', r"annotation 1 \(box\) has no label"),
        ('<box label="cell" xtl="1"/>', "image '0.png': 'ytl'"),
        ('<box label="cell" xtl="nan" ytl="1" xbr="2" ybr="2"/>', "no finite numbers"),
    ],
)
def test_cvat_files_that_are_wrong(inside: str, message: str, tmp_path: Path) -> None:
    folder = support.folder_of_images(tmp_path / "in", ["images/0.png"])
    with pytest.raises(ConfigError, match=message):
        open_cvat(cvat(folder, picture("0.png", inside)))


def test_cvat_of_a_video_and_with_entities_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"of a video .*CVAT for images"):
        open_cvat(cvat(tmp_path, '<track id="0" label="cell"/>'))
    (tmp_path / "annotations.xml").write_text('<!DOCTYPE a [<!ENTITY b "c">]><annotations/>')
    with pytest.raises(ConfigError, match="declares a document type"):
        open_cvat(tmp_path)
    with pytest.raises(ConfigError, match="no such file"):
        open_cvat(tmp_path / "gone")


# Label Studio


def result(kind: str, label: str = "cell", **value: Any) -> dict[str, Any]:
    names = {} if kind in ("rectangle",) else {kind: [label]}
    size = {"original_width": 12, "original_height": 10}
    return {"id": "r1", "type": kind, **size, "value": {**value, **names}}


def task_of(name: str, *results: dict[str, Any], **annotation: Any) -> dict[str, Any]:
    return {
        "id": 1,
        "data": {"image": name},
        "annotations": [{"result": list(results), "was_cancelled": False, **annotation}],
    }


def studio(folder: Path, *tasks: dict[str, Any]) -> Source:
    (folder / "export.json").write_text(json.dumps(tasks))
    return open_label_studio(folder / "export.json", folder)


RECTANGLE: dict[str, Any] = {"x": 25, "y": 20, "width": 50, "height": 40}


def test_label_studio_shapes_become_boxes(tmp_path: Path) -> None:
    folder = support.folder_of_images(tmp_path / "in", [f"{i}.png" for i in range(7)])
    turned = result("rectanglelabels", **RECTANGLE, rotation=90)
    polygon = result("polygonlabels", points=[[50, 10], [75, 10], [60, 60]])
    ellipse = result("ellipselabels", x=50, y=50, radiusX=25, radiusY=10)
    bare = [result("rectangle", **RECTANGLE), {**result("labels"), "id": "r1"}]
    source = studio(
        folder,
        task_of("/data/upload/3/0a1b2c3d-0.png", result("rectanglelabels", **RECTANGLE)),
        task_of("s3://bucket/some/1.png", turned, polygon, ellipse),
        task_of("/data/local-files/?d=some/2.png", *bare),
        task_of("3.png"),
        task_of("4.png", result("rectanglelabels", **RECTANGLE), was_cancelled=True),
        {"id": 2, "data": {"image": "5.png"}, "annotations": [], "predictions": [{"result": []}]},
        task_of("6.png", result("keypointlabels", x=1, y=1, width=1)),
    )
    found: dict[str, Any] = {record.place[1]: record for record in source.records}
    assert found["0.png"].boxes[0].box == (3, 2, 9, 6)
    assert found["0.png"].size == (12, 10)
    # Turned by 90 degrees about its upper left corner (3, 2): to the left of it, and cut there.
    assert [box.box for box in found["1.png"].boxes] == [
        pytest.approx((0, 2, 3, 8)),
        pytest.approx((6, 1, 9, 6)),
        pytest.approx((3, 4, 9, 6)),
    ]
    assert found["2.png"].boxes[0] == ("cell", (3, 2, 9, 6))
    assert (found["3.png"].unsaid, found["3.png"].boxes) == (False, ())
    assert found["4.png"].unsaid
    assert found["5.png"].unsaid
    assert "6.png" not in found
    assert "5.png: predictions of a model are not used" in said(source)
    assert "a keypointlabels of cell has no box; dropped" in said(source)


def test_label_studio_choices_are_labels(tmp_path: Path) -> None:
    folder = support.folder_of_images(tmp_path / "in", ["0.png", "1.png"])
    choices = [{"type": "choices", "value": {"choices": [name]}} for name in ("alpha", "beta")]
    studio(folder, task_of("0.png", choices[0]), task_of("1.png", choices[1]))
    source = ["--images", folder, "--label-studio", folder / "export.json", "--split", "train=1"]
    own = card(tmp_path, support.LETTERS)
    assert run("--task", own, *source, "--out", tmp_path / "out") == 0
    assert truths(tmp_path / "out", "train") == ["alpha", "beta"]


def several(**second: Any) -> dict[str, Any]:
    task = task_of("0.png", result("rectanglelabels", **RECTANGLE))
    task["annotations"].append({"result": [], **second})
    return task


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (several(), "2 annotations, of which 0 are marked as ground truth"),
        ({"id": 4, "image": "0.png", "label": []}, r"task 4: no 'annotations' \(JSON-MIN\)"),
        (task_of("0.txt"), "names 0 images"),
        (task_of("0.png", result("rectanglelabels", **RECTANGLE) | {"value": RECTANGLE}), "no la"),
        (
            task_of("0.png", {**result("rectanglelabels", **RECTANGLE), "image_rotation": 90}),
            "turn",
        ),
        (task_of("0.png", {"type": "rectanglelabels"}), "not as Label Studio exports it"),
    ],
)
def test_label_studio_exports_that_are_wrong(
    task: dict[str, Any], message: str, tmp_path: Path
) -> None:
    folder = support.folder_of_images(tmp_path / "in", ["0.png"])
    with pytest.raises(ConfigError, match=message):
        studio(folder, task)


def test_label_studio_takes_the_annotation_marked_as_truth(tmp_path: Path) -> None:
    folder = support.folder_of_images(tmp_path / "in", ["0.png"])
    source = studio(folder, several(ground_truth=True))
    assert (source.records[0].boxes, source.records[0].unsaid) == ((), False)


# Hugging Face objects


def saved(folder: Path, boxes: list[list[list[float]]], *, as_structs: bool = False) -> str:
    """Write a data set with an image a list of boxes, of the classes cell and nucleus."""
    datasets = pytest.importorskip("datasets")
    names = datasets.ClassLabel(names=["cell", "nucleus"])
    number = datasets.Value("float32")
    fields = {"bbox": datasets.List(number), "category": names}
    if as_structs:
        objects: Any = datasets.List(fields)
        cells: list[Any] = [
            [{"bbox": box, "category": i % 2} for i, box in enumerate(own)] for own in boxes
        ]
    else:
        objects = {name: datasets.List(kind) for name, kind in fields.items()}
        cells = [{"bbox": own, "category": [i % 2 for i in range(len(own))]} for own in boxes]
    features = datasets.Features({"image": datasets.Image(), "objects": objects})
    images = [support.noise(i, 60, 40) for i in range(len(boxes))]
    data = datasets.Dataset.from_dict({"image": images, "objects": cells}, features=features)
    data.save_to_disk(str(folder / "set"))
    return str(folder / "set")


@pytest.mark.parametrize("as_structs", [False, True])
def test_objects_of_a_hugging_face_set_become_boxes(as_structs: bool, tmp_path: Path) -> None:
    boxes = [[[10.0, 20.0, 8.0, 12.0], [30.0, 5.0, 20.0, 20.0]], [], [[50.0, 30.0, 5.0, 5.0]]]
    name = saved(tmp_path, boxes, as_structs=as_structs)
    own = card(tmp_path, support.CELLS)
    source = ["--hf", name, "--objects-column", "objects", "--split", "train=1"]
    assert run("--task", own, *source, "--out", tmp_path / "out") == 0
    assert [boxes_of(row) for row in rows(tmp_path / "out", "train")] == [
        [[10, 20, 18, 32], [30, 5, 50, 25]],
        [[50, 30, 55, 35]],
    ]
    text = (tmp_path / "out/dataset_card.md").read_text()
    assert "taken as x, y, width, height, since not all of them could be corners" in text
    assert "split train, row 1: no annotation; left out" in text


def test_boxes_of_either_format_have_to_be_said(tmp_path: Path) -> None:
    name = saved(tmp_path, [[[10.0, 10.0, 20.0, 20.0]]])
    with pytest.raises(ConfigError, match="--box-format coco or voc says which"):
        open_hugging_face(name, objects="objects")
    for box_format, corners in (("coco", (10, 10, 30, 30)), ("voc", (10, 10, 20, 20))):
        source = open_hugging_face(name, objects="objects", box_format=box_format)
        assert source.records[0].boxes == (("cell", corners),)
    with pytest.raises(ConfigError, match="--box-format: 'yolo'"):
        open_hugging_face(name, objects="objects", box_format="yolo")
    with pytest.raises(ConfigError, match="column 'image' holds"):
        open_hugging_face(name, objects="image")
