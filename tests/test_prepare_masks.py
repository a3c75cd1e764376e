"""Rows of kind segmentation from COCO's polygons and run lengths, and from NIfTI label maps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from medreward import ConfigError
from medreward.data.sources import Columns, open_coco, open_nifti
from tests import prepare_support as support
from tests.mask_support import LESION, decoded, listed, packed, picture
from tests.prepare_support import card, image, rows, run, truths

SIZE = (60, 40)
STAR = [3.2, 2.7, 23.5, 2.1, 23.9, 8.4, 9.3, 8.8, 9.1, 30.6, 3.4, 30.2]
TRIANGLE = [40.5, 5.5, 55.5, 9.25, 44.0, 30.75]
OVER = [50.0, 30.0, 70.0, 30.0, 70.0, 52.0, 50.0, 52.0]  # half of it outside
BRUSH: np.ndarray = np.zeros((40, 60), np.uint8)
BRUSH[12:20, 30:38] = 1
BRUSH[35, 2] = 1


def note(number: int, image_id: int, segmentation: Any, **others: Any) -> dict[str, Any]:
    found = {"id": number, "image_id": image_id, "category_id": 1, "bbox": [1, 1, 5, 5]}
    return {**found, "segmentation": segmentation, "iscrowd": 0, "area": 25, **others}


def coco_file(folder: Path, *notes: dict[str, Any], images: int = 4) -> Path:
    """Write pictures and their annotations; category 1 is lesion, 2 is vessel."""
    names = [f"{i}.png" for i in range(images)]
    for seed, name in enumerate(names):
        support.noise(seed, *SIZE).save(folder / name)
    content = {
        "images": [
            {"id": i, "file_name": name, "width": SIZE[0], "height": SIZE[1]}
            for i, name in enumerate(names)
        ],
        "categories": [{"id": 1, "name": "lesion"}, {"id": 2, "name": "vessel"}],
        "annotations": list(notes),
    }
    path = folder / "coco.json"
    path.write_text(json.dumps(content))
    return path


def coco_options(folder: Path, file: Path) -> list[object]:
    own = card(folder, LESION)
    source = ["--images", folder, "--coco", f"train={file}", "--out", folder / "out"]
    return ["--task", own, *source]


def test_masks_of_coco_are_those_of_pycocotools(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = coco_file(
        tmp_path,
        note(1, 0, [STAR, TRIANGLE]),
        note(2, 0, [OVER]),
        note(3, 1, packed(BRUSH)),
        note(4, 1, [TRIANGLE]),
        note(5, 2, listed(BRUSH), iscrowd=1),
    )
    assert run(*coco_options(tmp_path, file)) == 0
    said = capsys.readouterr().out
    found = {
        row["extra_info"]["id"]: decoded(row["reward_model"]["ground_truth"])
        for row in rows(tmp_path / "out", "train")
    }
    assert [*found] == ["image-000001", "image-000002", "image-000003"]  # the last: not annotated
    theirs = COCO(file)
    for i, mask in enumerate(found.values()):
        own = [theirs.annToMask(one) for one in theirs.loadAnns(theirs.getAnnIds(imgIds=[i]))]
        assert (mask == (np.sum(own, axis=0) > 0)).all()
        assert mask.any()
    assert "3.png: no annotation; left out" in said
    assert "0.png: an outline that leaves the image: what is outside of it is cut off" in said
    assert "2.png: crowd annotation: its pixels are taken" in said
    assert "5 masks of 'lesion': taken as the mask that is asked for" in said


def test_one_list_of_numbers_is_one_polygon(tmp_path: Path) -> None:
    file = coco_file(tmp_path, note(1, 0, STAR), note(2, 1, [STAR]), images=2)
    assert run(*coco_options(tmp_path, file)) == 0
    one, other = truths(tmp_path / "out", "train")
    assert one == other


def test_masks_follow_the_size_of_the_image(tmp_path: Path) -> None:
    file = coco_file(tmp_path, note(1, 0, packed(BRUSH)), images=1)
    assert run(*coco_options(tmp_path, file), "--size", 30) == 0
    assert decoded(truths(tmp_path / "out", "train")[0])[6:10, 15:19].all()
    assert image(rows(tmp_path / "out", "train")[0]).size == (30, 20)


def test_several_names_need_a_choice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = coco_file(
        tmp_path,
        note(1, 0, [STAR]),
        note(2, 0, [TRIANGLE], category_id=2),
        note(3, 1, [TRIANGLE], category_id=2),
        images=2,
    )
    options = coco_options(tmp_path, file)
    assert run(*options) == 2
    said = capsys.readouterr().err
    assert "the masks have 2 names ('lesion': 1; 'vessel': 2), and task 'lesion' asks" in said
    assert run(*options, "--box-label", "lesion") == 0
    said = capsys.readouterr().out
    assert "2 masks of 'vessel': not part of the mask that is asked for" in said
    first, second = map(decoded, truths(tmp_path / "out", "train"))
    assert first[5, 5]
    assert not first[10, 45]
    assert not second.any()  # a vessel, and no lesion
    assert run(*options, "--map", "vessel=lesion") == 0
    first, second = map(decoded, truths(tmp_path / "out", "train"))
    assert first[5, 5]
    assert first[10, 45]
    assert second[10, 45]
    assert run(*options, "--map", "vessel=") == 0
    assert run(*options, "--box-label", "leson") == 2
    assert "did you mean 'lesion'" in capsys.readouterr().err
    assert run(*options, "--map", "tumour=") == 2


def test_an_object_without_an_outline_leaves_its_image_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = coco_file(
        tmp_path,
        note(1, 0, []),
        note(2, 0, [STAR]),
        note(3, 1, [[1, 1, 9, 9]]),
        note(4, 2, [STAR]),
        note(5, 2, [[1, 1, 9, 9]], category_id=2),
        note(6, 3, [[5.1, 5.1, 5.2, 5.1, 5.2, 5.2]]),
    )
    assert run(*coco_options(tmp_path, file), "--box-label", "lesion") == 0
    said = capsys.readouterr().out
    assert [row["extra_info"]["id"] for row in rows(tmp_path / "out", "train")] == ["image-000003"]
    for name in ("0.png", "1.png", "3.png"):
        assert f"{name}: left out: of an object that is asked for there is no outline" in said
    assert "1.png: a polygon with fewer than three corners dropped" in said


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([[0.1, 0.1, 0.9, 0.1, 0.9, 0.9]], "annotation 7: the box .* in fractions of the image"),
        ([[0, 0, 500, 0, 500, 500]], "annotation 7: its segmentation: a polygon leaves the image"),
        ({"size": [4, 6], "counts": [24]}, r"annotation 7: .* is not \[height, width\] = "),
        ({"size": [40, 60], "counts": [3]}, "annotation 7: its segmentation: RLE counts sum to 3"),
        ([[1, 2, 3, "a", 5, 6]], "annotation 7: its segmentation .* is neither polygons"),
        ([[1, 2, 3, 4, 5, 6, 7]], "annotation 7: its segmentation .* is neither polygons"),
        ("mask.png", "annotation 7: its segmentation 'mask.png' is neither polygons"),
        (True, "annotation 7: its segmentation 'True' is neither polygons"),
    ],
)
def test_wrong_outlines_are_named(tmp_path: Path, segmentation: Any, message: str) -> None:
    file = coco_file(tmp_path, note(7, 0, segmentation), images=1)
    with pytest.raises(ConfigError, match=message):
        open_coco({None: file}, tmp_path, pixels=True)


def test_masks_need_the_size_of_their_image(tmp_path: Path) -> None:
    file = coco_file(tmp_path, note(7, 0, [STAR]), images=1)
    content = json.loads(file.read_text())
    del content["images"][0]["width"]
    file.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match="annotation 7: width and height of its image 0 are"):
        open_coco({None: file}, tmp_path, pixels=True)


# NIfTI


def labelled() -> np.ndarray:
    """Return labels 1 and 4 in a volume without symmetry."""
    values: np.ndarray = np.zeros((12, 10, 8), np.int16)
    values[1:5, 2:9, 1:6] = 1
    values[8:11, 0:3, 2:8] = 4
    return values


def save(path: Path, values: np.ndarray, affine: Any = None, axes: str = "RAS") -> None:
    """Write a volume, stored along other axes with the same voxels at the same places."""
    zooms = np.diag([1.0, 2.0, 2.0, 1.0]) if affine is None else affine
    volume = nibabel.Nifti1Image(values, zooms)
    turned = volume.as_reoriented(nibabel.orientations.axcodes2ornt(axes))
    nibabel.save(turned, path)


def volumes(folder: Path, axes: str = "RAS", label_axes: str | None = None) -> Path:
    """Write a volume whose bright voxels are its labels, and a table of three of its slices."""
    save(folder / "scan.nii.gz", (labelled() > 0).astype(np.float32) * 1000, axes=axes)
    save(folder / "seg.nii.gz", labelled(), axes=label_axes or axes)
    return table(folder, "2", "5", "0")


def table(folder: Path, *slices: str) -> Path:
    path = folder / "slices.csv"
    lines = [f"scan.nii.gz,seg.nii.gz,{one}" for one in slices]
    path.write_text("\n".join(["image,seg,slice", *lines]))
    return path


def nifti_options(folder: Path, listed: Path, *others: object) -> list[object]:
    source = ["--nifti", folder, "--csv", listed, "--mask-column", "seg", "--split", "train=1"]
    return [*source, "--out", folder / "out", *others]


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("axes", [("RAS", "RAS"), ("AIR", "AIR"), ("LPS", "RAS"), ("RAS", "IPR")])
def test_label_maps_lie_on_their_image(tmp_path: Path, axes: tuple[str, str], plane: str) -> None:
    listed = volumes(tmp_path, *axes)
    save(tmp_path / "seg.nii.gz", (labelled() > 0).astype(np.uint8), axes=axes[1])
    options = nifti_options(tmp_path, listed, "--plane", plane, "--intensity", 0, 1000)
    own = card(tmp_path, LESION)
    assert run("--task", own, *options) == 0
    found = rows(tmp_path / "out", "train")
    assert len(found) == 3
    for row in found:
        mask = decoded(row["reward_model"]["ground_truth"])
        shown = np.asarray(image(row))
        # Bicubic edges are at half of the height where nearest ones are.
        assert shown.shape == mask.shape
        assert (mask == (shown > 127)).all()
    assert decoded(found[0]["reward_model"]["ground_truth"]).any()


def test_values_of_label_maps_are_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = nifti_options(tmp_path, volumes(tmp_path))
    own = ("--task", card(tmp_path, LESION))
    assert run(*own, *options) == 2
    assert "the masks have 2 names ('1': 2; '4': 2)" in capsys.readouterr().err
    assert run(*own, *options, "--box-label", "4") == 0
    said = capsys.readouterr().out
    assert "2 masks of '1': not part of the mask that is asked for" in said
    assert "2 masks of '4': taken as the mask that is asked for" in said
    first, _, last = (decoded(truth) for truth in truths(tmp_path / "out", "train"))
    values = labelled()[:, :, 2]
    wanted = np.repeat(values.T[::-1, ::-1] == 4, 2, axis=0)  # 1 mm across, 2 mm down
    assert (first == wanted).all()
    assert first.any()
    assert not last.any()
    said = (tmp_path / "out" / "dataset_card.md").read_text()
    assert "| mask | 2 |" in said
    assert "| empty mask | 1 |" in said


def test_a_card_of_boxes_gets_boxes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = support.CELLS.replace("name: cells", "name: organs") + "labels: [liver, tumour]\n"
    own = ("--task", card(tmp_path, text))
    options = nifti_options(tmp_path, volumes(tmp_path))
    assert run(*own, *options) == 2  # numbers are not taken in the card's order
    assert "'1': 2 boxes" in capsys.readouterr().err
    assert run(*own, *options, "--map", "1=liver", "--map", "4=tumour") == 0
    first = json.loads(truths(tmp_path / "out", "train")[0])
    assert first["boxes"] == [
        {"box": [7, 2, 11, 16], "label": "liver"},
        {"box": [1, 14, 4, 20], "label": "tumour"},
    ]


def refused(folder: Path, *slices: str, **columns: Any) -> str:
    listed = table(folder, *(slices or ("2",)))
    try:
        source = open_nifti(folder, listed, Columns(mask="seg", **columns), regions="pixels")
    except ConfigError as error:
        return str(error)
    return "\n".join(f"{record.where}: {record.problem}" for record in source.records)


def test_label_maps_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    volumes(tmp_path)
    shifted = np.diag([1.0, 2.0, 2.0, 1.0])
    shifted[0, 3] = 1.5
    save(tmp_path / "seg.nii.gz", labelled(), shifted)
    said = refused(tmp_path, "2", "3")
    assert said.count("its label volume") == 2
    assert "slices.csv line 2: its label volume: its affine is not its image's" in said
    assert "up to 1.5 mm apart, and voxels have 1 mm" in said
    save(tmp_path / "seg.nii.gz", labelled()[:, :, :-1])
    assert "it has 12 x 10 x 7 voxels, its image 12 x 10 x 8" in refused(tmp_path)
    save(tmp_path / "seg.nii.gz", labelled() / np.float32(2))
    assert "its values are not whole numbers" in refused(tmp_path)
    save(tmp_path / "seg.nii.gz", -labelled())
    assert "its values are not from 0" in refused(tmp_path)
    (tmp_path / "seg.nii.gz").write_text("no volume")
    assert "not a readable NIfTI volume" in refused(tmp_path)
    (tmp_path / "seg.nii.gz").unlink()
    assert "line 2: its label volume: no such file" in refused(tmp_path)


def test_label_maps_of_several_slices_or_none_are_refused(tmp_path: Path) -> None:
    volumes(tmp_path)
    assert "a label volume beside 2 slices" in refused(tmp_path, "2;3")
    assert "slice 99 asked for; there are 8" in refused(tmp_path, "99")
    listed = tmp_path / "slices.csv"
    listed.write_text("image,seg,slice\nscan.nii.gz,,2")
    source = open_nifti(tmp_path, listed, Columns(mask="seg"), regions="pixels")
    assert source.records[0].problem == "its label volume: its cell is empty"
    with pytest.raises(ConfigError, match=r"mask column: 'sge' is not one of .*--mask-column"):
        open_nifti(tmp_path, listed, Columns(mask="sge"))


@pytest.mark.parametrize("regions", ["pixels", "components"])
def test_a_bad_label_volume_stops_a_run_or_is_skipped(
    regions: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    volumes(tmp_path)
    (tmp_path / "bad.nii.gz").write_text("no volume")
    listed = tmp_path / "slices.csv"
    listed.write_text("image,seg,slice\nscan.nii.gz,seg.nii.gz,2\nscan.nii.gz,bad.nii.gz,3\n")
    text = LESION if regions == "pixels" else support.CELLS
    options = ("--task", card(tmp_path, text), "--nifti", tmp_path, "--csv", listed)
    where = ("--mask-column", "seg", "--split", "train=1", "--out", tmp_path / "out")
    given = (*options, *where, "--box-label", "4")
    bad = "slices.csv line 3: its label volume: not a readable NIfTI volume"
    assert run(*given) == 2
    said = capsys.readouterr().err
    assert "1 images cannot be used" in said
    assert bad in said
    assert run(*given, "--dry-run") == 0
    said = capsys.readouterr().out
    assert "train: 1 rows" in said
    assert bad in said
    assert run(*given, "--on-error", "skip") == 0
    assert bad in (tmp_path / "out" / "dataset_card.md").read_text()
    assert len(truths(tmp_path / "out", "train")) == 1


def test_a_bad_mask_stops_a_run_or_is_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = support.folder_of_images(tmp_path / "in", ["0.png", "1.png"])
    mask: np.ndarray = np.zeros((10, 12), np.uint8)
    mask[2:5, 3:7] = 1
    Image.fromarray(mask).save(folder / "0_mask.png")
    (folder / "1_mask.png").write_text("no picture")
    given = ("--images", folder, "--masks", folder, "--split", "train=1", "--out", tmp_path / "out")
    own = ("--task", card(tmp_path, LESION))
    assert run(*own, *given) == 2
    assert "1.png: its mask 1_mask.png: it cannot be read" in capsys.readouterr().err
    assert run(*own, *given, "--on-error", "skip") == 0
    (found,) = truths(tmp_path / "out", "train")
    assert (decoded(found) == mask).all()


def test_without_orientation_only_both(tmp_path: Path) -> None:
    volumes(tmp_path)
    bare = nibabel.Nifti1Image(labelled(), None)
    nibabel.save(bare, tmp_path / "seg.nii.gz")
    assert "it has no orientation in its header, its image has one" in refused(tmp_path)


def test_missing_volumes_are_left_to_the_reading_of_images(tmp_path: Path) -> None:
    volumes(tmp_path)
    (tmp_path / "scan.nii.gz").unlink()
    source = open_nifti(tmp_path, table(tmp_path, "2"), Columns(mask="seg"), regions="pixels")
    assert len(source.records) == 1


def test_pointing_at_masks_of_a_label_map(tmp_path: Path) -> None:
    text = LESION.replace("segmentation", "pointing").replace("name: lesion", "name: spots")
    options = nifti_options(tmp_path, volumes(tmp_path), "--mask-regions", "pixels")
    assert run("--task", card(tmp_path, text), *options) == 0
    first, _, last = map(json.loads, truths(tmp_path / "out", "train"))
    assert len(first["masks"]) == 2
    assert last["masks"] == []


def test_masks_beside_pictures_of_another_size_are_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = coco_file(tmp_path, note(1, 0, [STAR]), images=1)
    picture(np.ones((30, 30))).save(tmp_path / "0.png")
    assert run(*coco_options(tmp_path, file)) == 2
    assert "its annotation is for an image of 60 x 40 pixels, it has 30 x 30" in (
        capsys.readouterr().err
    )
    assert Image.open(tmp_path / "0.png").size == (30, 30)
