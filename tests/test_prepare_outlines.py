"""Shapes of annotation tools as masks: the pixels that CVAT, LabelMe and Label Studio draw."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medreward import ConfigError, Task, shaped_reward
from medreward.data.sources.brush import read_brush
from medreward.data.sources.cvat import open_cvat
from medreward.data.sources.label_studio import open_label_studio
from medreward.data.sources.labelme import open_labelme
from medreward.data.sources.outlines import draw_ellipse
from medreward.geometry.masks import coco
from tests import prepare_support as support
from tests.prepare_support import card, run, truths

LESION = """
name: lesion
kind: segmentation
question: Outline the lesion.
"""
# As label-studio-converter 0.0.59 packs 3 to 9 by 2 to 6, and the pixel (1, 7), of 12 x 10.
BRUSH = [*bytes.fromhex("000001e0391bfe6b00c2fff85c030bffe1700c2fff85c030bffe3f008fff438000")]
PAINTED: Any = np.zeros((10, 12), bool)
PAINTED[2:6, 3:9] = PAINTED[7, 1] = True


def decode(truth: str) -> np.ndarray:
    """Return the pixels of a row's target."""
    content = json.loads(truth)
    rle = {"size": content["size"], "counts": content["counts"].encode("ascii")}
    pixels: np.ndarray = coco().decode(rle).astype(bool)
    return pixels


def masks_of(folder: Path, *source: object, split: str = "train") -> list[np.ndarray]:
    """Return the masks of the rows that `prepare` writes."""
    out = folder / "out"
    given = (*source, "--split", "train=1")
    assert run("--task", card(folder, LESION), *given, "--out", out) == 0
    return [decode(truth) for truth in truths(out, split)]


def rectangle(x1: int, y1: int, x2: int, y2: int) -> np.ndarray:
    pixels: np.ndarray = np.zeros((10, 12), bool)
    pixels[y1:y2, x1:x2] = True
    return pixels


# CVAT


def cvat(folder: Path, *images: str) -> Path:
    named = "".join(
        f'<image id="{i}" name="{i}.png" width="12" height="10">{inside}</image>'
        for i, inside in enumerate(images)
    )
    (folder / "annotations.xml").write_text(f"<annotations>{named}</annotations>")
    return folder


POLYGON = '<polygon label="lesion" points="2,1;7,1;7,6;2,6"/>'
MASK = '<mask label="lesion" left="4" top="2" width="3" height="2" rle="0,2,1,3"/>'


def test_masks_from_cvat(tmp_path: Path) -> None:
    folder = support.folder_of_images(tmp_path / "in", [f"{i}.png" for i in range(5)])
    box = '<box label="lesion" xtl="2" ytl="3" xbr="8" ybr="5"/>'
    turned = box.replace("/>", ' rotation="90"/>')
    ellipse = '<ellipse label="lesion" cx="6" cy="5" rx="4" ry="2"/>'
    cvat(folder, POLYGON + MASK, box, turned, ellipse, "")
    found = masks_of(tmp_path, "--cvat", folder, "--unannotated", "negative")
    mask = rectangle(2, 1, 7, 6)  # the mask lies in it, but for (6, 3) that is 0 by itself
    assert (found[0] == mask).all()
    assert (found[1] == rectangle(2, 3, 8, 5)).all()
    assert (found[2] == rectangle(4, 1, 6, 7)).all()
    assert (found[3] == draw_ellipse((6, 5), (4, 2), 0, (12, 10))).all()
    assert not found[4].any()


def test_a_mask_of_cvat_is_read_row_by_row(tmp_path: Path) -> None:
    folder = support.folder_of_images(tmp_path / "in", ["0.png"])
    (found,) = masks_of(tmp_path, "--cvat", cvat(folder, MASK))
    rows = [(x, y) for y in range(10) for x in range(12) if found[y, x]]
    assert rows == [(4, 2), (5, 2), (4, 3), (5, 3), (6, 3)]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (MASK.replace("0,2,1,3", "1,2"), "runs sum to 3, not to 3 x 2"),
        (MASK.replace('left="4"', 'left="10"'), "leaves its image of 12 x 10"),
    ],
)
def test_masks_of_cvat_that_are_wrong(shape: str, message: str, tmp_path: Path) -> None:
    folder = support.folder_of_images(tmp_path / "in", ["0.png"])
    with pytest.raises(ConfigError, match=message):
        open_cvat(cvat(folder, shape), pixels=True)


def test_an_image_with_an_object_without_an_outline_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = support.folder_of_images(tmp_path / "in", ["0.png", "1.png"])
    cvat(folder, POLYGON, POLYGON + '<points label="lesion" points="1,1"/>')
    assert len(masks_of(tmp_path, "--cvat", folder)) == 1
    out = capsys.readouterr().out
    assert "1.png: a points of lesion without an outline that holds a pixel" in out
    assert "1.png: left out: of an object that is asked for there is no outline (lesion)" in out


def test_names_of_masks_choose(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = support.folder_of_images(tmp_path / "in", ["0.png"])
    cvat(folder, POLYGON + MASK.replace("lesion", "other"))
    own = ("--task", card(tmp_path, LESION), "--cvat", folder, "--out", tmp_path / "out")
    assert run(*own) == 2
    assert "the masks have 2 names ('lesion': 1; 'other': 1)" in capsys.readouterr().err
    (found,) = masks_of(tmp_path, "--cvat", folder, "--box-label", "other")
    assert found.sum() == 5


# LabelMe


def png(pixels: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8) * 255).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def labelme(folder: Path, number: int, *shapes: dict[str, Any], **further: Any) -> None:
    named = [{"label": "lesion", **shape} for shape in shapes]
    content = {"imagePath": f"{number}.png", "shapes": named, **further}
    (folder / f"{number}.json").write_text(json.dumps(content))


def test_masks_from_labelme(tmp_path: Path) -> None:
    folder = support.folder_of_images(tmp_path / "in", [f"{i}.png" for i in range(5)])
    corners = [[2, 1], [7, 1], [7, 6], [2, 6]]
    labelme(folder, 0, {"shape_type": "polygon", "points": corners})
    labelme(folder, 1, {"shape_type": "rectangle", "points": [[7, 6], [2, 1]]})
    labelme(folder, 2, {"shape_type": "circle", "points": [[6, 5], [6, 2]]})
    inside = np.array([[1, 0, 1], [0, 1, 1]])
    mask = {"shape_type": "mask", "points": [[4, 2], [6, 3]], "mask": png(inside)}
    labelme(folder, 3, mask, imageWidth=12, imageHeight=10)
    labelme(folder, 4)
    found = masks_of(tmp_path, "--labelme", folder)
    assert (found[0] == rectangle(2, 1, 7, 6)).all()
    assert (found[1] == found[0]).all()
    assert (found[2] == draw_ellipse((6, 5), (3, 3), 0, (12, 10))).all()
    assert (found[3][2:4, 4:7] == inside).all()
    assert found[3].sum() == 4
    assert not found[4].any()
    assert open_labelme(folder).records[3].boxes == (("lesion", (4, 2, 7, 4)),)


@pytest.mark.parametrize("mask", [png(np.ones((2, 2))), "bm8=", "%", None])
def test_masks_of_labelme_that_are_wrong(mask: str | None, tmp_path: Path) -> None:
    folder = support.folder_of_images(tmp_path / "in", ["0.png"])
    labelme(folder, 0, {"shape_type": "mask", "points": [[4, 2], [6, 3]], "mask": mask})
    with pytest.raises(ConfigError, match=r"its mask (has 2 x 2 pixels|cannot be read)"):
        open_labelme(folder, pixels=True)


# Label Studio


def result(kind: str, **value: Any) -> dict[str, Any]:
    size = {"original_width": 12, "original_height": 10}
    return {"id": "r", "type": kind, **size, "value": {**value, kind: ["lesion"]}}


def studio(folder: Path, *results: list[dict[str, Any]]) -> Path:
    tasks = [
        {"id": i, "data": {"image": f"/up/{i}.png"}, "annotations": [{"result": own}]}
        for i, own in enumerate(results)
    ]
    (folder / "export.json").write_text(json.dumps(tasks))
    return folder / "export.json"


def test_masks_from_label_studio(tmp_path: Path) -> None:
    folder = support.folder_of_images(tmp_path / "in", [f"{i}.png" for i in range(6)])
    corners = [[25, 10], [50, 10], [50, 60], [25, 60]]
    box = {"x": 25, "y": 10, "width": 25, "height": 50}
    file = studio(
        folder,
        [result("polygonlabels", points=corners)],
        [result("rectanglelabels", **box)],
        [result("rectanglelabels", **box, rotation=-90)],
        [result("ellipselabels", x=50, y=50, radiusX=25, radiusY=20)],
        [result("brushlabels", format="rle", rle=BRUSH)],
        [],
    )
    found = masks_of(tmp_path, "--images", folder, "--label-studio", file)
    assert (found[0] == rectangle(3, 1, 6, 6)).all()
    assert (found[1] == found[0]).all()
    assert (found[2] == rectangle(3, 0, 8, 1)).all()  # turned upwards: the rest is cut off
    assert (found[3] == draw_ellipse((6, 5), (3, 2), 0, (12, 10))).all()
    assert (found[4] == PAINTED).all()
    assert not found[5].any()


def test_a_brush_stroke_has_a_box(tmp_path: Path) -> None:
    folder = support.folder_of_images(tmp_path / "in", ["0.png"])
    file = studio(folder, [result("brushlabels", format="rle", rle=BRUSH)])
    assert open_label_studio(file, folder).records[0].boxes == (("lesion", (1, 2, 9, 8)),)


def pack(values: np.ndarray, sizes: tuple[int, ...] = (3, 4, 8, 16)) -> list[int]:
    """Pack values as the format says, every run of single values."""
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in sizes)
    for start in range(0, len(values), 2 ** sizes[1]):
        part = values[start : start + 2 ** sizes[1]]
        bits += f"001{len(part) - 1:0{sizes[1]}b}" + "".join(f"{v:08b}" for v in part)
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


def test_brush_strokes_of_single_values() -> None:
    painted = np.random.default_rng(0).random((7, 9)) > 0.5
    values: Any = np.repeat(painted.ravel(), 4) * 255
    assert (read_brush(pack(values), (9, 7)) == painted).all()


@pytest.mark.parametrize(
    ("packed", "size", "message"),
    [
        (BRUSH[:-4], (12, 10), "it ends too early"),
        (BRUSH, (10, 10), "480 values of 8 bits; an image of 10 x 10 has 400 of 8"),
        ([300], (12, 10), "not a brush stroke"),
        (BRUSH, (10**6, 10**6), "not decoded"),
    ],
)
def test_brush_strokes_that_are_wrong(
    packed: list[int], size: tuple[int, int], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        read_brush(packed, size)


def test_a_row_earns_full_marks_for_its_own_mask(tmp_path: Path) -> None:
    folder = support.folder_of_images(tmp_path / "in", ["0.png"])
    masks_of(tmp_path, "--cvat", cvat(folder, POLYGON))
    (truth,) = truths(tmp_path / "out", "train")
    answer = f"<think>It is bright.</think><answer>{truth}</answer>"
    task = Task.load(tmp_path / "lesion.yaml")
    assert shaped_reward([answer], [json.loads(truth)], task=task) == [
        pytest.approx(1.2)
    ]  # mask and format
