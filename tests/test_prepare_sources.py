"""The other sources of `medreward prepare`: folders, COCO, NIfTI, Hugging Face data sets, CSV."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import nibabel as nib
import nilearn
import numpy as np
import pytest
from PIL import Image

from medreward import ConfigError
from medreward.data import mni152
from medreward.data.sources import coco, folders, huggingface, nifti, table, voc
from medreward.data.sources.record import Picture, ReadingOptions, Source, UnusableError
from medreward.data.sources.table import Columns
from tests import prepare_support as support
from tests.prepare_support import boxes_of, card, folder_of_images, noise, run

MNI = "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
MNI_FOLDER = Path(nilearn.__file__).parent / "datasets" / "data"


def picture(source: Source, number: int = 0, **reading: Any) -> Image.Image:
    record = source.records[number]
    loaded = source.load(source.fetch(record), ReadingOptions(**reading))
    assert isinstance(loaded, Picture)
    return loaded.image


# Image folder + CSV


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_suffix_and_images_that_no_row_lists(tmp_path: Path) -> None:
    folder = folder_of_images(tmp_path / "images", ["a.png", "b.png", "c.png"])
    listed = write(tmp_path / "t.tsv", "id_code\tdiagnosis\tfold\na\t0\tTraining\nb\t1\ttest\n")
    columns = Columns("id_code", "diagnosis", split="fold", suffix=".png")
    source = table.open_table(folder, listed, columns)
    assert [(r.id, r.label, r.split) for r in source.records] == [
        ("row-000002", "0", "train"),
        ("row-000003", "1", "test"),
    ]
    assert [remark.where for remark in source.remarks] == ["c.png"]
    assert (np.asarray(picture(source)) == np.asarray(Image.open(folder / "a.png"))).all()


def test_a_quoted_line_break_does_not_shift_the_lines(tmp_path: Path) -> None:
    folder = folder_of_images(tmp_path, ["a.png", "b.png"])
    listed = write(tmp_path / "t.csv", 'image,label,note\na.png,x,"one\ntwo"\nb.png,y,\n')
    assert [r.id for r in table.open_table(folder, listed).records] == ["row-000002", "row-000004"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,labl\n", "did you mean 'labl'"),
        ("image,label\n", "it has no rows"),
        ("image,label\na.png\n", "line 2: not as many fields"),
        ("image,label\na.png,x,y\n", "line 2: not as many fields"),
        ("image,label,split\na.png,x,fold1\n", "line 2: column 'split': split: 'fold1'"),
        ("", "image column: 'image' is not one of"),
    ],
)
def test_wrong_tables_are_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        table.open_table(tmp_path, write(tmp_path / "t.csv", text))


def test_absent_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        table.open_table(tmp_path / "none", tmp_path / "t.csv")
    with pytest.raises(ConfigError, match=r"t\.csv: No such file"):
        table.open_table(tmp_path, tmp_path / "t.csv")
    (tmp_path / "latin.csv").write_bytes("image,label\na.png,\xe9\n".encode("latin-1"))
    with pytest.raises(ConfigError, match="not a CSV file in UTF-8"):
        table.open_table(tmp_path, tmp_path / "latin.csv")


# A folder per class


def test_a_folder_per_class_with_and_without_splits(tmp_path: Path) -> None:
    plain = folder_of_images(tmp_path / "plain", ["beta/x.png", "alpha/deep/y.png", "alpha/a.png"])
    found = folders.open_class_folders(plain).records
    assert [(r.where, r.label, r.split) for r in found] == [
        ("alpha/a.png", "alpha", None),
        ("alpha/deep/y.png", "alpha", None),
        ("beta/x.png", "beta", None),
    ]
    names = ["train/alpha/a.png", "Validation/beta/b.png", "test/alpha/c.png"]
    split = folder_of_images(tmp_path / "split", names)
    assert {(r.label, r.split) for r in folders.open_class_folders(split).records} == {
        ("alpha", "train"),
        ("beta", "val"),
        ("alpha", "test"),
    }
    with pytest.raises(ConfigError, match=r"expected CLASS/image\.png"):
        folders.open_class_folders(folder_of_images(tmp_path / "flat", ["a.png"]))


def test_a_folder_per_class_by_command(tmp_path: Path) -> None:
    names = ["train/alpha/a.png", "test/beta/b.png"]
    folder, out = folder_of_images(tmp_path / "data", names), tmp_path / "out"
    task = card(tmp_path, support.LETTERS)
    assert run("--task", task, "--folders", folder, "--out", out) == 0
    assert support.truths(out, "train") == ["alpha"]
    assert support.truths(out, "test") == ["beta"]


# Pascal VOC and COCO


def annotation(boxes: Sequence[Sequence[float]], size: tuple[int, int] = (60, 40)) -> str:
    corners = ("xmin", "ymin", "xmax", "ymax")
    objects = "".join(
        "<object><name>cell</name><bndbox>"
        + "".join(f"<{c}>{v}</{c}>" for c, v in zip(corners, box, strict=True))
        + "</bndbox></object>"
        for box in boxes
    )
    sides = f"<width>{size[0]}</width><height>{size[1]}</height>"
    return f"<annotation><size>{sides}</size>{objects}</annotation>"


@pytest.fixture
def voc_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "voc"
    (folder / "JPEGImages").mkdir(parents=True)
    for i, name in enumerate(["whole", "over", "empty", "dots", "other", "alone"]):
        noise(i).save(folder / "JPEGImages" / f"{name}.png")
    for name, boxes, size in (
        ("whole", [[1, 1, 60, 40]], (60, 40)),
        ("over", [[0, 30, 99, 50], [5, 5, 5, 9]], (60, 40)),
        ("empty", [], (60, 40)),
        ("dots", [[5, 5, 5, 5]], (60, 40)),
        ("other", [[1, 1, 9, 9]], (99, 99)),
        ("gone", [[1, 1, 9, 9]], (60, 40)),
    ):
        write(folder / "Annotations" / f"{name}.xml", annotation(boxes, size))
    for split, names in (("train", ["whole", "other", "gone"]), ("val", ["over", "empty"])):
        write(folder / "ImageSets" / "Main" / f"{split}.txt", "\n".join(names))
    return folder


def test_voc_boxes_become_half_open_and_odd_ones_are_reported(
    voc_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, task = voc_folder.parent / "out", card(voc_folder.parent, support.CELLS)
    assert run("--task", task, "--voc", voc_folder, "--out", out, "--on-error", "skip") == 0
    said = capsys.readouterr().out
    assert [boxes_of(row) for row in support.rows(out, "train")] == [[[0, 0, 60, 40]]]
    assert [boxes_of(row) for row in support.rows(out, "val")] == [[], [[0, 29, 60, 40]]]
    for line in (
        "Annotations/over.xml: box reaches far out of the image, clipped: was it drawn on an",
        "Annotations/over.xml: degenerate box dropped (cell [5, 5, 5, 9])",
        "JPEGImages/dots.png: left out: none of its boxes can be used",
        "JPEGImages/other.png: its annotation is for an image of 99 x 99 pixels, it has 60 x 40",
        "JPEGImages/gone.jpg: no such file",
        "JPEGImages/alone.png: no annotation names it; left out",
    ):
        assert f"  {line}" in said


@pytest.mark.parametrize("text", ["<annotation>", annotation([[1, 1, 2, float("nan")]])])
def test_broken_annotations_are_named(text: str, voc_folder: Path) -> None:
    write(voc_folder / "Annotations" / "whole.xml", text)
    with pytest.raises(ConfigError, match=r"whole\.xml: not a Pascal VOC annotation"):
        voc.open_voc(voc_folder)


def coco_file(path: Path, names: list[str]) -> Path:
    content: dict[str, Any] = {
        "categories": [{"id": 1, "name": "cell"}, {"id": 3, "name": "dust"}],
        "images": [
            {"id": i + 10, "file_name": name, "width": 60, "height": 40}
            for i, name in enumerate(names)
        ],
        "annotations": [
            {"id": 1, "image_id": 10, "category_id": 1, "bbox": [10, 5, 20.4, 10], "iscrowd": 0},
            {"id": 2, "image_id": 10, "category_id": 3, "bbox": [0, 0, 60, 40]},
            {"id": 3, "image_id": 10, "category_id": 1, "bbox": [1, 1, 0, 4]},
            {"id": 4, "image_id": 11, "category_id": 1, "bbox": [0, 0, 6, 4], "iscrowd": 1},
        ],
    }
    return write(path, json.dumps(content))


def test_coco_boxes_crowds_and_categories(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    for i in range(4):
        noise(i).save(images / f"{i}.png")
    files = [coco_file(tmp_path / f"{k}.json", [f"{k}.png", f"{k + 1}.png"]) for k in (0, 2)]
    sources = (
        "--images",
        images,
        "--coco",
        f"train={files[0]}",
        "--coco",
        f"validation={files[1]}",
    )
    options = ("--box-label", "cell", "--size", 30, "--out", out)
    assert run("--task", card(tmp_path, support.CELLS), *sources, *options) == 0
    for split in ("train", "val"):
        # The second image has a crowd of cells: what is there is not told by boxes.
        assert [boxes_of(row) for row in support.rows(out, split)] == [[[5, 2, 15, 8]]]
    said = capsys.readouterr().out
    assert "0.png: degenerate box dropped (cell [1, 1, 1, 5])" in said
    assert "1.png: crowd annotation dropped" in said
    assert (
        run("--task", card(tmp_path, support.CELLS), *sources, "--box-label", "cel", "--out", out)
        == 2
    )
    assert "did you mean 'cell'" in capsys.readouterr().err


def test_labels_that_prompts_ask_for_and_no_target_has_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    noise(0).save(images / "0.png")
    boxes = [("WBC", [5, 2, 10, 6]), ("RBC", [1, 1, 4, 4]), ("RBC", [9, 9, 4, 4])]
    file = tmp_path / "boxes.json"
    names = sorted({name for name, _ in boxes})
    content = {
        "images": [{"id": 1, "file_name": "0.png", "width": 60, "height": 40}],
        "categories": [{"id": i, "name": name} for i, name in enumerate(names)],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": names.index(name), "bbox": box}
            for i, (name, box) in enumerate(boxes)
        ],
    }
    file.write_text(json.dumps(content))
    sources = ("--images", images, "--coco", file, "--split", "train=1", "--box-label", "WBC")
    assert run("--task", "bccd", *sources, "--out", tmp_path / "all") == 0
    assert (
        "label RBC: left out, though the card's prompts ask for it: a right answer would name "
        "boxes that no target has; make a card of the labels that count (2 boxes)"
    ) in capsys.readouterr().out
    one = "name: white\nkind: localisation\nquestion: Where are white cells?\nlabels: [WBC]\n"
    assert run("--task", card(tmp_path, one), *sources, "--out", tmp_path / "one") == 0
    assert "prompts ask for it" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a usable COCO file"),
        ("[]", "not a COCO file"),
        ('{"images": []}', "'categories' is missing"),
        ('{"images": [], "annotations": [], "categories": []}', "no images"),
    ],
)
def test_wrong_coco_files_are_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        coco.open_coco({None: write(tmp_path / "x.json", text)}, tmp_path)


# NIfTI


def mni_table(folder: Path, rows: list[str]) -> Path:
    return write(folder / "slices.csv", "\n".join(["image,label,slice", *rows]))


def test_slices_of_a_real_volume_are_the_right_way_up(tmp_path: Path) -> None:
    """As `mni152`, which reads the same volume in another way, shows them."""
    listed = mni_table(tmp_path, [f"{MNI},alpha,{i}" for i in (60, 90)] + [f"{MNI},beta,"])
    for plane in mni152.PLANES:
        source = nifti.open_nifti(MNI_FOLDER, listed, plane=plane)
        assert {record.group for record in source.records} == {MNI}
        assert source.records[2].place[-1] == ((None, None),)  # the middle one
        volume = mni152._volumes().t1
        for number, index in enumerate((60, 90)):
            wanted = mni152._slice(volume, plane, index).T[::-1]
            got = np.asarray(picture(source, number), dtype=float)
            assert got.shape == wanted.shape
            assert np.corrcoef(got.ravel(), wanted.ravel())[0, 1] > 0.99


def test_nifti_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{MNI},{('alpha', 'beta')[i % 2]},{60 + 3 * i}" for i in range(4)]
    listed = mni_table(tmp_path, [*rows, f"{MNI},alpha,999", "Jane-Doe.nii,alpha,3"])
    out, task = tmp_path / "out", card(tmp_path, support.LETTERS)
    source = ("--nifti", MNI_FOLDER, "--csv", listed, "--split", "train=1", "--on-error", "skip")
    assert run("--task", task, *source, "--size", 64, "--plane", "coronal", "--out", out) == 0
    said = capsys.readouterr().out
    assert len(support.rows(out, "train")) == 4
    assert "slices.csv line 6: slice 999 asked for; there are" in said
    assert "slices.csv line 7: no such file" in said
    assert "Jane" not in said + (out / "dataset_card.md").read_text()


def test_volumes_in_other_orientations_and_voxel_sizes(tmp_path: Path) -> None:
    values: np.ndarray = np.zeros((10, 20, 30), np.float32)
    values[7:, 15:, 25:] = 1000  # right, anterior, superior
    affine = np.diag([2.0, 1.0, 3.0, 1.0])
    image = nib.Nifti1Image(values, affine)
    flipped = image.as_reoriented(nib.orientations.axcodes2ornt("PIL"))
    nib.save(image, tmp_path / "ras.nii")
    nib.save(flipped, tmp_path / "other.nii.gz")
    listed = mni_table(tmp_path, ["ras.nii,a,28", "other.nii.gz,a,28"])
    source = nifti.open_nifti(tmp_path, listed)
    one, two = (np.asarray(picture(source, i, intensity=(0, 1000))) for i in range(2))
    assert (one == two).all()
    assert one.shape == (20, 20)  # 10 columns of 2 mm and 20 rows of 1 mm
    assert one[:4, :5].min() > 200  # the front at the top, the patient's right on the left
    assert one[8:].max() == 0
    listed = mni_table(tmp_path, ["ras.nii,a,18"])
    assert picture(nifti.open_nifti(tmp_path, listed, plane="coronal")).size == (10, 45)
    with pytest.raises(UnusableError, match="6,000 voxels; more than 100 pixels allow"):
        picture(nifti.open_nifti(tmp_path, listed), max_pixels=100)


def test_a_volume_without_orientation_is_remarked(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.arange(64, dtype=np.float32).reshape(4, 4, 4), np.eye(4))
    image.set_qform(None, 0)
    image.set_sform(None, 0)
    nib.save(image, tmp_path / "bare.nii")
    source = nifti.open_nifti(tmp_path, mni_table(tmp_path, ["bare.nii,a,2"]))
    loaded = source.load(source.fetch(source.records[0]), ReadingOptions())
    assert isinstance(loaded, Picture)
    assert "no orientation in its header" in loaded.notes[0]


def test_wrong_volumes_and_slices_are_refused(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4, 3), np.float32), np.eye(4)), tmp_path / "4d.nii")
    (tmp_path / "text.nii").write_text("not a volume")
    listed = mni_table(tmp_path, ["4d.nii,a,0", "text.nii,a,0"])
    source = nifti.open_nifti(tmp_path, listed)
    for number, message in enumerate(("4 dimensions", "not a readable NIfTI volume")):
        with pytest.raises(UnusableError, match=message):
            picture(source, number)
    with pytest.raises(ConfigError, match="line 2: slice 'x' is not a whole number"):
        nifti.open_nifti(tmp_path, mni_table(tmp_path, ["4d.nii,a,x"]))
    with pytest.raises(ConfigError, match="did you mean 'axial'"):
        nifti.open_nifti(tmp_path, listed, plane="axal")


# Hugging Face data sets


def hf_data(count: int, seed: int) -> datasets.Dataset:
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=["alpha", "beta"]),
            "subject": datasets.Value("string"),
        }
    )
    rows = {
        "image": [noise(seed + i) for i in range(count)],
        "label": [i % 2 for i in range(count)],
        "subject": [f"s{i // 2}" for i in range(count)],
    }
    return datasets.Dataset.from_dict(rows, features=features)


def test_a_saved_data_set_with_splits(tmp_path: Path) -> None:
    parts = {"train": hf_data(4, 0), "validation": hf_data(2, 100)}
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "saved"))
    out, task = tmp_path / "out", card(tmp_path, support.LETTERS)
    assert run("--task", task, "--hf", tmp_path / "saved", "--out", out) == 0
    assert support.truths(out, "train") == ["alpha", "beta", "alpha", "beta"]
    pixels = np.asarray(support.image(support.rows(out, "val")[1]))
    assert (pixels == np.asarray(noise(101))).all()


def test_a_data_set_without_splits_is_split_by_patient(tmp_path: Path) -> None:
    hf_data(30, 0).save_to_disk(str(tmp_path / "saved"))
    out, task = tmp_path / "out", card(tmp_path, support.LETTERS)
    source = ("--hf", tmp_path / "saved", "--patient-column", "subject")
    assert run("--task", task, *source, "--split", "train=0.5,test=0.5", "--out", out) == 0
    patients = [
        {int(row["extra_info"]["id"].split("-")[1]) // 2 for row in support.rows(out, split)}
        for split in ("train", "test")
    ]
    assert not patients[0] & patients[1]
    assert len(patients[0] | patients[1]) == 15


def test_a_folder_that_the_library_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    names = [
        f"{split}/{label}/{i}.png"
        for split in ("train", "test")
        for label in ("alpha", "beta")
        for i in range(2)
    ]
    folder = folder_of_images(tmp_path / "data", names)
    source = huggingface.open_hugging_face(folder)
    assert sorted((r.split, r.label) for r in source.records) == sorted(
        (name.split("/")[0], name.split("/")[1]) for name in names
    )
    assert picture(source).size == (12, 10)


def test_wrong_data_sets_are_named(tmp_path: Path) -> None:
    hf_data(2, 0).save_to_disk(str(tmp_path / "saved"))
    with pytest.raises(ConfigError, match="did you mean 'label'"):
        huggingface.open_hugging_face(tmp_path / "saved", label="labels")
    with pytest.raises(ConfigError, match="not images"):
        huggingface.open_hugging_face(tmp_path / "saved", image="subject")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        huggingface.open_hugging_face(tmp_path / "none")
