"""Masks as a source of boxes, on slices of a real template against scikit-image."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from skimage.measure import label, regionprops

from medreward import ConfigError, Task
from medreward.data.sources import masks
from medreward.geometry.masks import coco, parse_mask
from tests import prepare_support as support
from tests.prepare_support import card, noise, run

SMALL = arrays(
    np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 2)
)


def reference(values: np.ndarray, regions: str) -> list[tuple[str, tuple[int, ...]]]:
    """Boxes by scikit-image: (min_row, min_col, max_row, max_col), half-open."""
    found = []
    for value in (v for v in np.unique(values) if v):
        marked = (values == value).astype(int)
        if regions == "components":
            marked = label(marked, connectivity=2)
        for region in regionprops(marked):
            top, left, bottom, right = region.bbox
            name = "object" if regions == "instances" else str(value)
            found.append((name, (left, top, right, bottom)))
    return sorted(found)


@pytest.fixture(scope="module")
def tissue() -> np.ndarray:
    """Axial slices of grey (1) and white (2) matter of the MNI152 template, slice first."""
    from nilearn.datasets import load_mni152_gm_mask, load_mni152_wm_mask

    grey, white = (
        np.asarray(load(2).dataobj) for load in (load_mni152_gm_mask, load_mni152_wm_mask)
    )
    values = np.where(white > 0, 2, np.where(grey > 0, 1, 0)).astype(np.uint8)
    slices: np.ndarray = np.moveaxis(values, 2, 0)[15:75:10]
    return slices


@pytest.fixture
def scans(tissue: np.ndarray, tmp_path: Path) -> Path:
    """A folder of images and one of masks; the last image has none."""
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for i, values in enumerate(tissue):
        Image.fromarray(values * 90).save(tmp_path / "images" / f"{i}.png")
        Image.fromarray(values).save(tmp_path / "masks" / f"{i}_mask.png")
    noise(1).save(tmp_path / "images" / "unmasked.png")
    return tmp_path


@pytest.mark.parametrize("regions", masks.REGIONS)
def test_boxes_of_real_masks_are_scikit_images(tissue: np.ndarray, regions: str) -> None:
    for values in tissue:
        found = sorted((name, tuple(box)) for name, box in masks.boxes_of(values, regions))
        assert found == reference(values, regions)
        assert found


@given(SMALL)
def test_boxes_of_any_mask_are_scikit_images(values: np.ndarray) -> None:
    for regions in masks.REGIONS:
        found = sorted((name, tuple(box)) for name, box in masks.boxes_of(values, regions))
        assert found == reference(values, regions)


def test_rows_of_masks(scans: Path, tissue: np.ndarray) -> None:
    folders = ["--images", scans / "images", "--masks", scans / "masks"]
    options = ["--split", "train=1", "--map", "1=grey matter", "--map", "2=white matter"]
    task = card(scans, support.CELLS + "labels: [grey matter, white matter]\n")
    whole = [*folders, *options, "--mask-regions", "whole"]
    assert run("--task", task, *whole, "--ask", "count,where", "--out", scans / "rows") == 0
    rows = {row["extra_info"]["id"]: row for row in support.rows(scans / "rows", "train")}
    for i, values in enumerate(tissue, start=1):
        for value, name in ((1, "grey"), (2, "white")):
            boxes = [list(box) for n, box in reference(values, "whole") if n == str(value)]
            count = rows.get(f"image-{i:06d}-count-{name}-matter")
            if count is not None or boxes:
                assert count is not None
                assert count["reward_model"]["ground_truth"] == str(len(boxes))
                where = rows[f"image-{i:06d}-where-{name}-matter"]
                assert support.boxes_of(where) == boxes
    assert not any("image-000007" in name for name in rows)
    assert "no mask; left out" in (scans / "rows" / "dataset_card.md").read_text()


def test_an_empty_mask_says_that_nothing_is_there(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        Image.new("L", (8, 8)).save(tmp_path / folder / "a.png")
    (record,) = masks.open_mask_folder(tmp_path / "images", tmp_path / "masks").records
    assert record.boxes == ()
    assert record.size == (8, 8)


def test_images_and_masks_in_one_folder(tmp_path: Path) -> None:
    noise(0, 8, 8).save(tmp_path / "a.png")
    Image.fromarray(np.pad(np.ones((2, 3), np.uint8), 1)).save(tmp_path / "a_mask.png")
    (record,) = masks.open_mask_folder(tmp_path, tmp_path).records
    assert [box.box for box in record.boxes or ()] == [(1, 1, 4, 3)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8),
            "it has 400 colours",
        ),
        (
            np.full((4, 4), 0.5, np.float32),
            "it cannot be read: a mask has a whole number or a colour a pixel",
        ),
        (None, "it cannot be read"),
    ],
)
def test_masks_that_cannot_be_used_are_named(
    values: np.ndarray | None, message: str, tmp_path: Path
) -> None:
    (tmp_path / "masks").mkdir()
    noise(0, 4, 4).save(tmp_path / "a.png")
    name = tmp_path / "masks" / "a.tif"
    if values is None:
        name.write_bytes(b"II*\0 not a picture")
    else:
        Image.fromarray(values).save(name)
    (record,) = masks.open_mask_folder(tmp_path, tmp_path / "masks").records
    assert record.problem.startswith(f"its mask a.tif: {message}")


def test_wrong_settings_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="regions: 'parts' is not one of components, whole"):
        masks.open_mask_folder(tmp_path, tmp_path, "parts")
    with pytest.raises(ConfigError, match="no mask for any of 0 images"):
        masks.open_mask_folder(tmp_path, tmp_path)
    assert run("--task", "bccd", "--voc", tmp_path, "--masks", "x", "--out", tmp_path / "o") == 2
    assert "--voc goes with none of --csv, --coco, --masks" in capsys.readouterr().err


SEGMENTATION = """
name: polyp_mask
kind: segmentation
question: Where is the polyp?
reward: {delta: 0}
"""


def mask_files(folder: Path, *values: int) -> Path:
    """Write pictures and masks with rectangles of these values."""
    for i in range(3):
        noise(i, 60, 40).save(folder / f"{i}.png")
        pixels: np.ndarray = np.zeros((40, 60), np.uint8)
        for k, value in enumerate(values):
            pixels[10:20, 10 + 20 * k : 20 + 20 * k] = value if i else 0
        Image.fromarray(pixels).save(folder / f"{i}_mask.png")
    return folder


def test_masks_themselves_are_targets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = card(tmp_path, SEGMENTATION)
    (tmp_path / "in").mkdir()
    folder = mask_files(tmp_path / "in", 255)
    source = ["--images", folder, "--masks", folder, "--split", "train=1", "--size", "30"]
    options = ["--task", own, *source, "--out", tmp_path / "out"]
    assert run(*options, "--mask-regions", "whole") == 2
    assert "--mask-regions pixels takes the masks themselves" in capsys.readouterr().err
    assert run(*options, "--mask-regions", "pixels") == 0
    rows = support.content(tmp_path / "out")["train.parquet"]
    assert run(*options) == 0  # as the card asks for masks
    assert support.content(tmp_path / "out")["train.parquet"] == rows
    task = Task.load(own)
    empty, one, _ = (
        task.parse_target(json.loads(truth)) for truth in support.truths(tmp_path / "out", "train")
    )
    assert (empty.size, one.size) == ((30, 20), (30, 20))
    decoded = coco().decode(one.rle())
    assert decoded.sum() == 25
    assert decoded[5:10, 5:10].all()
    assert not coco().decode(empty.rle()).any()


def test_a_value_of_several_is_named(tmp_path: Path) -> None:
    folder = mask_files(tmp_path, 1, 2)
    with pytest.raises(ConfigError, match="has the values 1, 2; --mask-value N says which"):
        masks.open_mask_folder(folder, folder, "pixels")
    mask = parse_mask(masks.open_mask_folder(folder, folder, "pixels", value=2).records[1].label)
    assert mask.size == (60, 40)
    found = coco().decode(mask.rle())
    assert found.sum() == 100
    assert found[10:20, 30:40].all()
    with pytest.raises(ConfigError, match="goes with --mask-regions pixels"):
        masks.open_mask_folder(folder, folder, value=2)
