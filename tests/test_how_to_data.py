"""The page "My data look like this": each command runs on a folder made of the page's own tree."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from medreward.commands.cli import _parser, main
from tests import prepare_support as support

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "my-data-look-like-this.md"
TREE = re.compile(r"^```text\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^```bash\n(.*?)^```$", re.DOTALL | re.MULTILINE)
CONTENT = re.compile(r"^`([^`\n]+)`:\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SIZE = (60, 40)


class Layout(NamedTuple):
    """A section of the page: paths of its tree, content of its small files, its command."""

    name: str
    paths: list[str]
    content: dict[str, str]
    command: str


def layouts() -> Iterator[Layout]:
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        command = COMMAND.search(section)
        if command:
            tree = TREE.search(section)
            assert tree, section
            yield Layout(
                section.partition("\n")[0],
                list(paths_of(tree[1])),
                dict(CONTENT.findall(section)),
                command[1].strip(),
            )


def paths_of(tree: str) -> Iterator[str]:
    """Yield the files of a tree: two spaces a level, a slash behind folders."""
    above: list[str] = []
    for line in tree.splitlines():
        name = line.strip()
        above = [*above[: (len(line) - len(line.lstrip())) // 2], name.rstrip("/")]
        if not name.endswith("/"):
            yield "/".join(above)


LAYOUTS = {layout.name: layout for layout in layouts()}
WANTED = (
    "A folder a class, ISIC, HAM10000, NIH, CheXpert, RSNA, VinDr, BUSI, Kvasir-SEG, Roboflow, "
    "COCO with polygons or RLE, NIfTI with label maps, CVAT, Label Studio, LabelMe, MedMNIST, "
    "SLAKE, VQA-RAD"
).split(", ")


def write_picture(path: Path, seed: int) -> None:
    picture = support.noise(seed, *SIZE)
    if "mask" in path.as_posix():
        values = np.zeros(SIZE[::-1], np.uint8)
        values[10:30, 8:40] = 255
        picture = Image.fromarray(values)
    picture.save(path)


def write_dicom(path: Path, seed: int) -> None:
    pydicom = pytest.importorskip("pydicom")
    header = pydicom.Dataset()
    header.file_meta = pydicom.dataset.FileMetaDataset()
    header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    header.Rows, header.Columns = SIZE[1], SIZE[0]
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 8
    header.HighBit, header.PixelRepresentation = 7, 0
    header.Modality, header.PatientID = "CR", f"patient {seed}"
    header.PixelData = np.asarray(support.noise(seed, *SIZE, 1)).tobytes()
    header.save_as(path, enforce_file_format=False)


def write_coco(path: Path, seed: int) -> None:
    names = sorted(one.name for one in path.parent.glob("*.jpg"))
    names = names or ["1_jpg.rf.0a1b.jpg", "2_jpg.rf.2c3d.jpg"]
    if path.parent.name == "valid":
        names = ["3_jpg.rf.4e5f.jpg"]
    across, down = SIZE
    content = {
        "categories": [{"id": 0, "name": "cells"}, {"id": 1, "name": "nucleus"}],
        "images": [
            {"id": i, "file_name": name, "width": across, "height": down}
            for i, name in enumerate(names)
        ],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "bbox": [4, 5, 20, 10]}
            for i in range(len(names))
        ],
    }
    path.write_text(json.dumps(content))


def write_polygons(path: Path, seed: int) -> None:
    across, down = SIZE
    names = ["1.png", "2.png"]
    ring = [[4, 5, 24, 5, 24, 15, 4, 15]]
    rle = {"size": [down, across], "counts": [down * 30, down * 10, down * 20]}
    content = {
        "categories": [{"id": 1, "name": "nucleus"}, {"id": 2, "name": "artefact"}],
        "images": [
            {"id": i, "file_name": name, "width": across, "height": down}
            for i, name in enumerate(names)
        ],
        "annotations": [
            {"id": 1, "image_id": 0, "category_id": 1, "segmentation": ring, "iscrowd": 0},
            {"id": 2, "image_id": 0, "category_id": 2, "segmentation": ring, "iscrowd": 0},
            {"id": 3, "image_id": 1, "category_id": 1, "segmentation": rle, "iscrowd": 1},
        ],
    }
    path.write_text(json.dumps(content))


def write_volume(path: Path, seed: int) -> None:
    nibabel = pytest.importorskip("nibabel")
    values = np.random.default_rng(seed).integers(0, 255, (12, 10, 8)).astype(np.int16)
    if path.parent.name == "labelsTr":
        values = np.zeros((12, 10, 8), np.int16)
        values[2:8, 2:8, 1:7] = 1
        values[4:6, 4:6, 2:6] = 2
    nibabel.save(nibabel.Nifti1Image(values, np.diag([1, 1, 2, 1])), path)


def write_cvat(path: Path, seed: int) -> None:
    box = '<box label="nucleus" xtl="4" ytl="5" xbr="24" ybr="15"/>'
    images = "".join(
        f'<image id="{i}" name="{i}.png" width="60" height="40">{box if i < 3 else ""}</image>'
        for i in (1, 2, 3)
    )
    path.write_text(f"<annotations><version>1.1</version>{images}</annotations>")


def write_studio(path: Path, seed: int) -> None:
    value = {"x": 10, "y": 10, "width": 50, "height": 50, "rectanglelabels": ["nucleus"]}
    shape = {
        "type": "rectanglelabels",
        "original_width": SIZE[0],
        "original_height": SIZE[1],
        "value": value,
    }
    tasks = [
        {
            "id": i,
            "data": {"image": f"/data/upload/1/0a1b2c{i}d-{i}.png"},
            "annotations": [{"result": [shape]}],
        }
        for i in (1, 2, 3)
    ]
    path.write_text(json.dumps(tasks))


def write_labelme(path: Path, seed: int) -> None:
    shape = {"label": "nucleus", "shape_type": "rectangle", "points": [[4, 5], [24, 15]]}
    path.write_text(json.dumps({"imagePath": f"{path.stem}.png", "shapes": [shape]}))


def write_npz(path: Path, seed: int) -> None:
    arrays: dict[str, Any] = {}
    for i, split in enumerate(("train", "val", "test")):
        pictures = [np.asarray(support.noise(10 * i + j, 28, 28, 1)) for j in range(4)]
        arrays[f"{split}_images"] = np.stack(pictures)
        arrays[f"{split}_labels"] = np.array([[0], [1], [1], [0]])
    np.savez(path, **arrays)


def write_slake(path: Path, seed: int) -> None:
    number = ("train", "validate", "test").index(path.stem)
    rows = [
        {"qid": number, "img_name": f"xmlab{number}/source.jpg", "q_lang": "en"}
        | {"question": "Is there a mass?", "answer": "Yes"},
        {"qid": 9, "img_name": f"xmlab{number}/source.jpg", "q_lang": "zh"}
        | {"question": "有肿块吗？", "answer": "是"},
    ]
    path.write_text(json.dumps(rows))


def write_vqa_rad(path: Path, seed: int) -> None:
    rows = [
        {"qid": i, "image_name": name, "question": "Is there a mass?", "answer": answer}
        for i, (name, answer) in enumerate([("synpic54610.jpg", "Yes"), ("synpic29265.jpg", "No")])
    ]
    path.write_text(json.dumps(rows))


# By the layout and the ending of a file; pictures are written by their endings alone.
WRITERS: dict[tuple[str, str], Callable[[Path, int], None]] = {
    ("Roboflow", ".json"): write_coco,
    ("COCO with polygons or RLE", ".json"): write_polygons,
    ("NIfTI with label maps", ".gz"): write_volume,
    ("CVAT", ".xml"): write_cvat,
    ("Label Studio", ".json"): write_studio,
    ("LabelMe", ".json"): write_labelme,
    ("MedMNIST", ".npz"): write_npz,
    ("SLAKE", ".json"): write_slake,
    ("VQA-RAD", ".json"): write_vqa_rad,
    ("RSNA", ".dcm"): write_dicom,
    ("VinDr", ".dicom"): write_dicom,
}


def make(layout: Layout, folder: Path) -> None:
    """Make the folder of a layout."""
    for seed, name in enumerate(layout.paths):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name in layout.content:
            path.write_text(layout.content[name])
        elif (layout.name, path.suffix) in WRITERS:
            WRITERS[layout.name, path.suffix](path, seed)
        else:
            assert path.suffix in (".png", ".jpg"), name
            write_picture(path, seed)
    for name, text in layout.content.items():
        if name.endswith(".yaml"):
            (folder / name).write_text(text)


def test_the_page_has_every_layout() -> None:
    assert list(LAYOUTS) == WANTED


def draft(command: list[str]) -> None:
    """Draft card.yaml with the command's options of the source."""
    start = command.index("--task") + 2
    words = command[start : command.index("--out")]
    assert main(["tasks", "new", *words, "--out", "card.yaml"]) == 0


@pytest.mark.parametrize("name", WANTED)
def test_the_command_of_each_layout_runs(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    layout = LAYOUTS[name]
    make(layout, tmp_path)
    monkeypatch.chdir(tmp_path)
    assert "\n" not in layout.command
    command = shlex.split(layout.command)
    assert command[:3] == ["medreward", "prepare", "--task"]
    if command[3] == "card.yaml" and "card.yaml" not in layout.content:
        draft(command)
    assert main([*command[1:], "--dry-run"]) == 0
    assert not (tmp_path / "rows").exists()
    assert main(command[1:]) == 0, capsys.readouterr().err
    rows = [
        row
        for split in ("train", "val", "test")
        if (tmp_path / "rows" / f"{split}.parquet").exists()
        for row in support.rows(tmp_path / "rows", split)
    ]
    # Of CVAT's images one has no annotation; the masks of BUSI are no images.
    pictures = {"CVAT": 2, "BUSI": 3, "MedMNIST": 12, "NIfTI with label maps": 3}
    expected = pictures.get(name, sum(is_image(path) for path in layout.paths))
    assert len(rows) == expected
    assert len({row["extra_info"]["id"] for row in rows}) == len(rows)


def is_image(path: str) -> bool:
    return "masks/" not in path and path.endswith((".png", ".jpg", ".dcm", ".dicom"))


def test_patients_of_a_path_stay_in_one_split(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"photos/{label}/p{i}_{k}.png" for label in "ab" for i in range(12) for k in "lr"]
    support.folder_of_images(tmp_path, names)
    card = support.card(tmp_path, support.LETTERS.replace("alpha", "a").replace("beta", "b"))
    source = ["--folders", tmp_path / "photos", "--split", "train=0.5,test=0.5"]
    options = ["--task", card, *source, "--out", tmp_path / "rows"]
    assert support.run(*options, "--patient-pattern", "(p[0-9]+)_") == 0
    text = (tmp_path / "rows" / "dataset_card.md").read_text()
    assert "--patient-pattern" in text
    for split in ("train", "test"):
        assert len(support.rows(tmp_path / "rows", split)) % 4 == 0  # two eyes, in two classes
    assert support.run(*options, "--patient-pattern", "x") == 2
    assert "'x' finds nothing in the paths of 48 of 48 images" in capsys.readouterr().err
    assert support.run(*options, "--patient-pattern", "(") == 2


def test_the_commands_for_large_data_are_commands() -> None:
    pages = [PAGE.with_name(name) for name in ("large-data.md", "scaling.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    lines = [line for line in text.splitlines() if line.startswith("medreward ")]
    lines += re.findall(r'--wrap "(medreward [^"]*)"', text)
    assert len(lines) == 7
    for line in lines:
        words = shlex.split(line.replace("$SLURM_ARRAY_TASK_ID", "3"))[1:]
        arguments = _parser().parse_args(words)
        assert callable(arguments.run)


def test_the_parts_of_a_ray_task_make_a_set(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    text = PAGE.with_name("scaling.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```py\n(import ray\n.*?)^```$", text, re.DOTALL | re.MULTILINE)
    support.folder_of_images(tmp_path / "photos", [f"{i}.png" for i in range(6)])
    names = [f"{i}.png,{('alpha', 'beta')[i % 2]},train" for i in range(6)]
    (tmp_path / "labels.csv").write_text("\n".join(["image,label,split", *names]))
    Path(support.card(tmp_path, support.LETTERS)).rename(tmp_path / "card.yaml")
    code = code.replace("/data/", f"{tmp_path}/").replace("workers=8", "workers=1")
    content: dict[str, Any] = {"__name__": "example"}
    exec(compile(code.replace("PARTS = 16", "PARTS = 2"), "scaling.md", "exec"), content)
    for number in (1, 2):
        assert content["make_part"]._function(number) == number
    content["merge_parts"]([tmp_path / "rows"], tmp_path / "rows")
    assert (tmp_path / "rows" / "train-00000-of-00001.parquet").is_file()
