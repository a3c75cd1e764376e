"""Masks in colours: near-grey JPEG, one colour a class, CVAT's table, palettes, transparency."""

from __future__ import annotations

import json
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medreward import ConfigError
from medreward.commands.cli import main
from medreward.data.sources import open_class_folders, open_mask_folder
from medreward.data.sources.record import NamedBox, NamedMasks
from medreward.prepare import merge_parts
from medreward.sheets.contact_sheet import Tile, contact_sheet
from tests import prepare_support as support
from tests.mask_support import LESION as PIXELS
from tests.mask_support import decoded
from tests.prepare_support import boxes_of, card, run

BOXES = "name: lesion\nkind: localisation\nquestion: Where is it?\nlabels: [mass, cyst]\n"
RED, GREEN, DARK = (128, 0, 0), (0, 128, 0), (64, 0, 0)
TABLE = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nmass:128,0,0::\ncyst:0,128,0::\n"
LEFT, RIGHT = (10, 10, 20, 20), (40, 10, 50, 30)


def drawn(*parts: tuple[tuple[int, int, int, int], Any], mode: str = "RGB") -> Image.Image:
    mask = Image.new(mode, (60, 40))
    for box, colour in parts:
        mask.paste(colour, box)
    return mask


def masked(folder: Path, *masks: Image.Image, ending: str = ".png", **saved: Any) -> Path:
    """Write a picture for each mask, and the masks, whose folder is returned."""
    (folder / "images").mkdir(exist_ok=True)
    (folder / "masks").mkdir(exist_ok=True)
    for i, mask in enumerate(masks):
        support.noise(i).save(folder / "images" / f"{i}.png")
        mask.save(folder / "masks" / f"{i}{ending}", **saved)
    return folder / "masks"


def prepared(folder: Path, text: str, *options: object) -> list[dict[str, Any]]:
    source = ("--images", folder / "images", "--masks", folder / "masks", "--split", "train=1")
    given = ("--task", card(folder, text), *source, *options, "--out", folder / "out")
    return [] if run(*given) else support.rows(folder / "out", "train")


def labels_of(row: dict[str, Any]) -> list[tuple[str, list[int]]]:
    boxes = json.loads(row["reward_model"]["ground_truth"])["boxes"]
    return [(box["label"], box["box"]) for box in boxes]


def test_nearly_grey_jpeg(tmp_path: Path) -> None:
    masks = masked(tmp_path, drawn((LEFT, (240, 255, 225))), ending=".jpg", quality=90)
    with Image.open(masks / "0.jpg") as opened:
        stored = np.asarray(opened)
    assert (stored[..., 0] != stored[..., 2]).any()
    (record,) = open_mask_folder(tmp_path / "images", masks).records
    assert not record.problem
    assert record.boxes
    ((name, box),) = record.boxes
    assert name == "255"
    assert np.abs(np.subtract(box, LEFT)).max() <= 1


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ((200, 30, 30), r"it has colours \(.*0,0,0: \d+ pixels.*store the mask as PNG"),
        ((2, 2, 2), "its brightest value is 2, so that its values may be classes"),
        ((60, 60, 60), "its brightest value is [0-9]+, so that its values may be classes"),
    ],
)
def test_what_jpeg_does_not_keep(value: tuple[int, int, int], said: str, tmp_path: Path) -> None:
    masks = masked(tmp_path, drawn(((8, 8, 16, 16), value)), ending=".jpg", quality=95)
    (record,) = open_mask_folder(tmp_path / "images", masks).records
    assert record.boxes == ()
    assert re.search(said, record.problem), record.problem


def test_colours_are_mapped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    masked(tmp_path, drawn((LEFT, RED), (RIGHT, GREEN)), drawn((RIGHT, GREEN)), drawn())
    assert prepared(tmp_path, BOXES) == []
    said = capsys.readouterr().err
    assert "'0,128,0': 2 boxes" in said
    assert "'128,0,0': 1 boxes" in said
    assert "--map OLD=NEW" in said
    rows = prepared(tmp_path, BOXES, "--map", "128,0,0=mass", "--map", "0,128,0=cyst")
    assert [labels_of(row) for row in rows] == [
        [("cyst", [*RIGHT]), ("mass", [*LEFT])],
        [("cyst", [*RIGHT])],
        [],
    ]
    assert "2 of 3 images: coloured: each colour is a class" in capsys.readouterr().out


@pytest.mark.parametrize("mode", ["RGB", "P"])
@pytest.mark.parametrize("place", ["masks", "."])
def test_a_table_names_the_colours(
    mode: str, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if mode == "RGB":
        mask = drawn((LEFT, RED), (RIGHT, GREEN))
    else:
        mask = drawn((LEFT, 2), (RIGHT, 7), mode="P")
        mask.putpalette([0, 0, 0, 9, 9, 9, *RED, *([9] * 12), *GREEN])
    masked(tmp_path, mask)
    (tmp_path / place / "labelmap.txt").write_text(TABLE)
    (row,) = prepared(tmp_path, BOXES)
    assert sorted(labels_of(row)) == [("cyst", [*RIGHT]), ("mass", [*LEFT])]
    assert "1 of 1 images: coloured: named as labelmap.txt says" in capsys.readouterr().out


def test_a_table_that_grey_masks_do_not_follow(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    masked(tmp_path, drawn((LEFT, 1), (RIGHT, 2), mode="L"))
    (tmp_path / "labelmap.txt").write_text(TABLE)
    (row,) = prepared(tmp_path, BOXES, "--map", "1=mass", "--map", "2=cyst")
    assert labels_of(row) == [("mass", [*LEFT]), ("cyst", [*RIGHT])]
    assert "labelmap.txt beside them is not used" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mass:128,0,0::\ncyst:128,0,0::\n", "line 2: 128,0,0 is the colour of 'mass' and of"),
        ("mass:128,0::\n", "line 1: 'mass:128,0::' is not NAME:R,G,B"),
        ("mass:300,0,0\n", "line 1: 'mass:300,0,0' is not NAME:R,G,B"),
    ],
)
def test_tables_that_cannot_be_used(text: str, said: str, tmp_path: Path) -> None:
    masks = masked(tmp_path, drawn((LEFT, RED)))
    (masks / "labelmap.txt").write_text(text)
    with pytest.raises(ConfigError, match=said):
        open_mask_folder(tmp_path / "images", masks)


def test_colours_without_a_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    masked(tmp_path, drawn((LEFT, RED), (RIGHT, DARK)))
    (tmp_path / "labelmap.txt").write_text(TABLE)
    assert prepared(tmp_path, BOXES) == []
    said = capsys.readouterr().err
    assert "its mask 0.png: labelmap.txt has no name for the colours 64,0,0: 200 pixels" in said


def test_a_picture_is_no_mask(tmp_path: Path) -> None:
    masks = masked(tmp_path, support.noise(7))
    (record,) = open_mask_folder(tmp_path / "images", masks).records
    assert "it has 2,399 colours (" in record.problem
    assert "and 2,394 more" in record.problem
    assert "is it a picture, or drawn with soft edges?" in record.problem


def test_colours_of_objects(tmp_path: Path) -> None:
    masks = masked(tmp_path, drawn((LEFT, RED), (RIGHT, GREEN)))
    (tmp_path / "labelmap.txt").write_text(TABLE)
    (record,) = open_mask_folder(tmp_path / "images", masks, "instances").records
    assert sorted(record.boxes or ()) == [("object", LEFT), ("object", RIGHT)]


def test_masks_of_pixels_in_colours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    white = drawn((LEFT, (255, 255, 255)))  # grey, and yet another class than red
    masked(tmp_path, drawn((LEFT, RED), (RIGHT, GREEN)), white, drawn())
    assert prepared(tmp_path, PIXELS) == []
    said = capsys.readouterr().err
    assert "the masks have 3 names ('0,128,0': 1; '128,0,0': 1; '255': 1)" in said
    assert prepared(tmp_path, PIXELS, "--mask-value", 255) == []
    assert "--box-label NAME says which of them is meant" in capsys.readouterr().err
    rows = prepared(tmp_path, PIXELS, "--box-label", "0,128,0")
    found = [decoded(row["reward_model"]["ground_truth"]) for row in rows]
    assert [int(mask.sum()) for mask in found] == [200, 0, 0]
    assert found[0][10:30, 40:50].all()
    masks = open_mask_folder(tmp_path / "images", tmp_path / "masks", "pixels").records
    assert all(isinstance(record.label, NamedMasks) for record in masks)


def test_transparent_pixels_are_background(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = Image.new("RGBA", (60, 40), (255, 255, 255, 0))
    mask.paste((255, 255, 255, 255), LEFT)
    masked(tmp_path, mask)
    (row,) = prepared(tmp_path, BOXES, "--map", "255=mass")
    assert boxes_of(row) == [[*LEFT]]
    assert "its transparent pixels are taken as background" in capsys.readouterr().out
    mask.paste((255, 255, 255, 90), RIGHT)
    masked(tmp_path, mask)
    assert prepared(tmp_path, BOXES, "--map", "255=mass") == []
    assert "its pixels have the opacity 0, 90, 255 (0 to 255)" in capsys.readouterr().err


def test_a_palette_whose_black_is_not_its_first(tmp_path: Path) -> None:
    mask = drawn(((0, 0, 60, 40), 1), (LEFT, 0), mode="P")
    mask.putpalette([255, 255, 255, 0, 0, 0])
    masks = masked(tmp_path, mask, ending=".gif")
    (record,) = open_mask_folder(tmp_path / "images", masks).records
    assert record.boxes == (("255", LEFT),)


def test_palettes_that_differ_are_said(tmp_path: Path) -> None:
    one, other = drawn((LEFT, 1), mode="P"), drawn((LEFT, 1), mode="P")
    one.putpalette([0, 0, 0, *RED])
    other.putpalette([0, 0, 0, *GREEN])
    (remark,) = open_mask_folder(tmp_path / "images", masked(tmp_path, one, other)).remarks
    assert remark.where == "1 of 2 images"
    assert "another colour for the same value of a mask than before" in remark.what


def test_masks_of_several_pages_are_refused(tmp_path: Path) -> None:
    pages = [drawn((RIGHT, 255), mode="L")]
    first = drawn((LEFT, 255), mode="L")
    masks = masked(tmp_path, first, ending=".tif", save_all=True, append_images=pages)
    (record,) = open_mask_folder(tmp_path / "images", masks).records
    assert "its mask 0.tif: it has 2 pages; a mask has one" in record.problem


def yellow(folder: Path) -> list[tuple[int, int]]:
    """Return the places of the contact sheet that have the first colour of boxes and outlines."""
    with Image.open(folder / "contact_sheet.png") as opened:
        found = np.argwhere((np.asarray(opened.convert("RGB")) == (255, 212, 0)).all(axis=2))
    return [(int(y), int(x)) for y, x in found]


@pytest.mark.parametrize("part", [False, True])
def test_the_contact_sheet_shows_masks(part: bool, tmp_path: Path) -> None:
    masked(tmp_path, drawn((LEFT, RED)))
    assert prepared(tmp_path, PIXELS)
    found = yellow(tmp_path / "out")
    if part:
        source = ("--images", tmp_path / "images", "--masks", tmp_path / "masks")
        given = ("--task", card(tmp_path, PIXELS), *source, "--split", "train=1")
        assert run(*given, "--part", "1/1", "--out", tmp_path / "parts") == 0
        merge_parts([tmp_path / "parts"], tmp_path / "joined")
        assert yellow(tmp_path / "joined") == found
    ys, xs = zip(*found, strict=True)
    # 60 x 40 pixels are 200 x 133 of a tile of 200 x 200, which begins at 8, 8.
    box = [8 + 10 * 200 / 60, 8 + 33 + 10 * 200 / 60, 8 + 20 * 200 / 60, 8 + 33 + 20 * 200 / 60]
    assert np.abs(np.subtract([min(xs), min(ys), max(xs), max(ys)], box)).max() < 3


def test_the_contact_sheet_names_boxes(tmp_path: Path) -> None:
    png = BytesIO()
    support.noise(1).save(png, "PNG")
    sizes = []
    for names in (("", ""), ("cyst", "mass")):
        boxes = [NamedBox(name, LEFT) for name in names]
        contact_sheet([Tile(0, "train: boxes", "a", png.getvalue(), boxes)], tmp_path / "s.png")
        with Image.open(tmp_path / "s.png") as opened:
            sizes.append(opened.size)
    assert sizes[1][1] > sizes[0][1]
    words = "side: right; finding: a rather long one, of two lines; size: 3 cm"
    contact_sheet([Tile(0, words, "a", png.getvalue())], tmp_path / "s.png")
    with Image.open(tmp_path / "s.png") as opened:
        assert opened.height > sizes[0][1]


def test_splits_of_masks(tmp_path: Path) -> None:
    for i, split in enumerate(("train", "test", "test")):
        for kind, picture in (("images", support.noise(i)), ("masks", drawn((LEFT, RED)))):
            path = tmp_path / kind / split / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path)
    records = open_mask_folder(tmp_path / "images", tmp_path / "masks").records
    assert [record.split for record in records] == ["test", "test", "train"]


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("{0}/images/{1}.png", "{0}/masks/{1}.png"),
        ("images/{0}/{1}.png", "masks/{0}/{1}.png"),
        ("{0}/Images/{1}.png", "{0}/GroundTruth/{1}_mask.png"),
        ("{0}/images/{1}.png", "{0}/labels/{1}_segmentation.png"),
    ],
)
def test_folders_of_images_and_masks(
    image: str, mask: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "set"
    for i, split in enumerate(("train", "train", "test")):
        for name, picture in ((image, support.noise(i)), (mask, drawn((LEFT, RED)))):
            path = root / name.format(split, i)
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path)
    with pytest.raises(ConfigError, match=f"--images {root} --masks {root} takes them as that"):
        open_class_folders(root)
    source = open_mask_folder(root, root)
    assert [record.split for record in source.records] == ["test", "train", "train"]
    assert {record.boxes for record in source.records} == {(("128,0,0", LEFT),)}
    assert main(["tasks", "new", "--from", str(root), "--out", str(tmp_path / "c.yaml")]) == 0
    said = capsys.readouterr().out
    assert "folders of images and masks hold the same names" in said
    assert f"--images {root} --masks {root}" in said


def test_masks_as_classes_stay_classes(tmp_path: Path) -> None:
    names = ["mask/1.png", "no_mask/1.png", "images/2.png", "masks/3.png"]
    for i, name in enumerate(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        support.noise(i).save(tmp_path / name)
    labels = {record.label for record in open_class_folders(tmp_path).records}
    assert labels == {"mask", "no_mask", "images", "masks"}
