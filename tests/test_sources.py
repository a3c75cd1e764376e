"""Sources, and images as they come."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medreward import ConfigError
from medreward.data.encode import Encoder, workers
from medreward.data.images import FileProblemError, ImageFile, open_image
from medreward.data.sources import class_folders, csv_file, medmnist_npz, voc
from medreward.data.sources.csv_file import Columns
from medreward.data.sources.record import Record
from tests.nasty import BAD, GOOD, nasty_folder


@pytest.fixture
def nasty(tmp_path: Path, test_data: Path) -> Path:
    return nasty_folder(tmp_path / "nasty", test_data / "busi" / "images" / "normal_97.png")


@pytest.mark.parametrize("name", GOOD)
def test_an_odd_image_is_treated_and_noted(nasty: Path, name: str) -> None:
    where = "b" if name == "plain.png" else "a"
    picture = ImageFile(nasty, f"{where}/{name}").open()
    assert GOOD[name] in "; ".join(picture.notes)
    assert bool(GOOD[name]) == bool(picture.notes)
    assert picture.image.mode in ("L", "RGB")
    assert picture.image.info == {}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_cannot_be_used_says_why(nasty: Path, name: str) -> None:
    with pytest.raises(FileProblemError, match=BAD[name]):
        ImageFile(nasty, f"a/{name}").open()


@pytest.mark.parametrize("name", ["../outside.png", "a/../../outside.png", "/etc/passwd", "a\0b"])
def test_a_path_out_of_the_folder_is_refused(nasty: Path, name: str) -> None:
    with pytest.raises(FileProblemError, match=r"outside the folder|not a file's name"):
        ImageFile(nasty, name).open()


def test_a_link_that_stays_in_the_folder_is_followed(nasty: Path) -> None:
    (nasty / "a" / "near.png").symlink_to(nasty / "b" / "plain.png")
    assert ImageFile(nasty, "a/near.png").open().image.size


def test_pixels_of_odd_images_are_as_documented(nasty: Path) -> None:
    grey = np.asarray(open_image(nasty / "a" / "grey16.png").image)
    values = np.asarray(Image.open(nasty / "a" / "grey16.png")).astype(float)
    assert (grey == np.round(values / 257)).all()
    assert (grey.min(), grey.max()) == (0, 255)
    assert open_image(nasty / "a" / "rotated.jpg").image.size == (20, 40)
    palette = Image.open(nasty / "a" / "palette.png")
    clear = np.asarray(palette.convert("RGBA"))[..., 3] == 0
    assert clear.any()
    assert (np.asarray(open_image(nasty / "a" / "palette.png").image)[clear] == 0).all()


def test_every_cut_of_a_png_and_a_jpeg_is_read_or_refused(tmp_path: Path, test_data: Path) -> None:
    for real in ("busi/images/normal_97.png", "dr-fundus/images/Patient128_L.jpg"):
        whole = (test_data / real).read_bytes()
        for cut in range(1, len(whole), len(whole) // 60):
            (tmp_path / "cut").write_bytes(whole[:cut])
            with pytest.raises(FileProblemError):
                open_image(tmp_path / "cut")


def test_damaged_bytes_never_raise_anything_else(tmp_path: Path, test_data: Path) -> None:
    whole = (test_data / "dr-fundus/images/Patient128_L.jpg").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(100):
        damaged = bytearray(whole)
        for place in rng.integers(0, 700, 5):
            damaged[place] = int(rng.integers(256))
        (tmp_path / "damaged").write_bytes(damaged)
        encoded = Encoder()(Record("x", ImageFile(tmp_path, "damaged"), "x"))
        assert bool(encoded.png) != bool(encoded.problem)
        assert str(tmp_path) not in encoded.problem


def test_busi_by_csv(test_data: Path) -> None:
    found = csv_file.records(test_data / "busi", columns=Columns(split="split"))
    assert len(found.records) == 592
    assert found.notes == []
    first = found.records[0]
    assert (first.id, first.label, first.split) == ("images-benign_1", "benign", "train")
    assert first.where == "images/benign_1.png (labels.csv line 2)"
    assert len({r.id for r in found.records}) == 592
    assert all(pickle.loads(pickle.dumps(r)) == r for r in found.records[:5])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,lable\nx.png,a\n", "--label-column: 'label' .* did you mean 'lable'"),
        ("image,label\nx.png,a\nx.png,b\n", "line 3: the same image as in labels.csv line 2"),
        ("image,label\nx.png\n", "line 2: the header has 2 cells, this row has not"),
        ("image,label\nx.png,a,b\n", "line 2: the header has 2 cells"),
        ("image,label\nx.png,\n", "line 2: column 'label' is empty"),
        ("image,label,label\nx.png,a,b\n", "column 'label' is there 2 times"),
        ('image,label\nx.png,"a\n', "not CSV"),
        ("image,label\n", "no rows"),
        ("", "--image-column"),
    ],
)
def test_a_wrong_csv_names_the_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(ConfigError, match=message):
        csv_file.records(tmp_path)


def test_csv_files_are_found_named_and_decoded(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="one CSV file is expected, found none"):
        csv_file.records(tmp_path)
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfimage,label\nx.png,a\n")
    (tmp_path / "b.tsv").write_bytes(b"image\tlabel\nx.png\tcaf\xe9\n")
    with pytest.raises(ConfigError, match=r"found a\.csv, b\.tsv; --csv names it"):
        csv_file.records(tmp_path)
    assert csv_file.records(tmp_path, tmp_path / "a.csv").records[0].label == "a"
    with pytest.raises(ConfigError, match="not UTF-8"):
        csv_file.records(tmp_path, tmp_path / "b.tsv")
    with pytest.raises(ConfigError, match="not a folder"):
        csv_file.records(tmp_path / "none")


def test_images_that_the_csv_lacks_are_counted(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("image,label\nx.png,a\n")
    (tmp_path / "other.png").touch()
    (tmp_path / ".hidden.png").touch()
    notes = csv_file.records(tmp_path).notes
    assert notes == ["not in the CSV file, left out: 1 images (other.png)"]


def test_class_folders_with_and_without_splits(tmp_path: Path) -> None:
    for name in ("train/cat/1.png", "train/dog/x/1.png", "valid/cat/2.PNG"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = class_folders.records(tmp_path).records
    assert [(r.label, r.split) for r in found] == [
        ("cat", "train"),
        ("dog", "train"),
        ("cat", "val"),
    ]
    (tmp_path / "top.png").touch()
    flat = class_folders.records(tmp_path / "train")
    assert [(r.label, r.split, r.id) for r in flat.records] == [
        ("cat", None, "cat-1"),
        ("dog", None, "dog-x-1"),
    ]
    assert class_folders.records(tmp_path).notes == ["in no class's folder, left out: top.png"]
    with pytest.raises(ConfigError, match="no images in folders"):
        class_folders.records(tmp_path / "train" / "cat")


def test_medmnist_keeps_its_splits(test_data: Path) -> None:
    path = test_data / "medmnist" / "pneumoniamnist.npz"
    found = medmnist_npz.records(path).records
    assert [sum(r.split == s for r in found) for s in ("train", "val", "test")] == [3882, 524, 624]
    with np.load(path) as content:
        assert (np.asarray(found[-1].image.open().image) == content["test_images"][-1]).all()
        assert found[-1].label == str(content["test_labels"][-1, 0])


def test_bccd_boxes_are_half_open_and_degenerate_ones_named(test_data: Path) -> None:
    found = voc.records(test_data / "bccd")
    assert len(found.records) == 282
    dropped = [note for note in found.notes if note.startswith("box without area")]
    assert dropped == [
        "box without area dropped: BloodImage_00338.jpg RBC [504, 337, 504, 337]",
        "box without area dropped: BloodImage_00343.jpg RBC [181, 329, 181, 329]",
    ]
    for record in found.records:
        assert record.boxes is not None
        assert all(x1 < x2 and y1 < y2 for x1, y1, x2, y2 in record.boxes)
    white = voc.records(test_data / "bccd", ["WBC"])
    assert 0 < sum(len(r.boxes or ()) for r in white.records) < 500
    with pytest.raises(ConfigError, match=r"--object: 'WBS'.*did you mean 'WBC"):
        voc.records(test_data / "bccd", ["WBS"])


@pytest.mark.parametrize(
    "text",
    ["<a", "<a><object><name>x</name><bndbox><xmin>1</xmin></bndbox></object></a>", ""],
)
def test_wrong_annotations_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "JPEGImages").mkdir()
    (tmp_path / "Annotations" / "1.xml").write_text(text)
    with pytest.raises(ConfigError, match=r"1\.xml: not a VOC annotation"):
        voc.records(tmp_path)


def test_boxes_scale_with_the_image_and_are_clipped(test_data: Path) -> None:
    image = ImageFile(test_data / "bccd" / "JPEGImages", "BloodImage_00301.jpg")
    record = Record("x", image, "x", boxes=((-4, 0, 320, 480), (700, 0, 710, 9)), frame=(640, 480))
    encoded = Encoder(size=64)(record)
    assert encoded.size == (64, 48)
    assert encoded.boxes == ((0, 0, 32, 48),)
    assert encoded.notes == ("box outside the image: dropped",)
    turned = Record("x", image, "x", boxes=((0, 0, 3, 4),), frame=(480, 640))
    assert "boxes drawn on 480 x 640" in Encoder()(turned).problem


def _slow_square(number: int) -> int:
    if number == 3:
        os.sched_yield()
    return number * number


def _die(_: int) -> None:
    os._exit(9)


@pytest.mark.parametrize("count", [1, 2])
def test_workers_keep_the_order(count: int) -> None:
    with workers(count) as pool:
        assert list(pool.map(_slow_square, range(100))) == [n * n for n in range(100)]


def test_a_dead_worker_is_an_error_for_people() -> None:
    with workers(2) as pool, pytest.raises(ConfigError, match="memory is short"):
        list(pool.map(_die, range(3)))
