"""SHA-256 of what the commands write and print, so that two checkouts can be compared.

    PYTHONPATH=CHECKOUT:CHECKOUT/adapters python benchmarks/golden.py [--data DIR] [--trace FILE]

A line a file or answer: its hash, and its name. `medreward prepare` is run once for each source, on
images and tables that are made here; `check`, `tasks show`, `score`, `why`, `sweep` and `audit` on
completions and a trace that are made here as well. With `--data`, also for the test data (BCCD,
BUSI, fundus photographs, PneumoniaMNIST), and with `--trace`, `why` and `sweep` on a run's trace.

Only the command line is used, so that it does not matter where a checkout has its modules. Run it
on one machine: PNG and parquet files depend on the versions of Pillow and pyarrow. What a change is
meant to change shows as a line that differs; all others have to be equal.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

COUNT = 12  # images of each source
SPLITS = ("train", "val", "test")
LETTERS = """\
name: letters
kind: classification
question: A or B?
knowledge: [{text: Alpha stands before beta., source: book}]
labels:
- {name: alpha, attributes: [{text: Alpha is dark., source: book}]}
- {name: beta, attributes: [{text: Beta is bright., source: book}]}
references: {book: "Author A. On letters. Journal of Letters 1:2-3, 2020."}
"""
BOXES = """\
name: boxes
kind: localisation
question: Where?
labels: [alpha, beta]
reward: {delta: 0}
"""
CELLS = "name: cells\nkind: localisation\nquestion: Where are cells?\nreward: {delta: 0}\n"
VOC = """\
<annotation><filename>{name}</filename>
<size><width>{width}</width><height>{height}</height></size>
<object><name>{label}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax>
<ymax>{y2}</ymax></bndbox></object></annotation>
"""
WIDTH, HEIGHT = 40, 30
# Time that a reward took; it is another one in each run.
TIMES = ("seconds", "slowest", "time")


def pixels(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)


def label(number: int) -> str:
    return ("alpha", "beta")[number % 2]


def box(number: int) -> tuple[int, int, int, int]:
    return 2 + number, 3, 12 + number, 3 + 2 * (number % 5) + 4


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def picture(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(number)).save(path)


def make_table(folder: Path) -> list[str]:
    """Images and a CSV file with patients."""
    lines = ["image,label,patient"]
    for i in range(COUNT):
        picture(folder / "images" / f"{i}.png", i)
        lines.append(f"{i}.png,{label(i)},p{i // 2}")
    write(folder / "labels.csv", "\n".join(lines))
    return ["--images", "images", "--csv", "labels.csv", "--size", "32"]


def make_folders(folder: Path) -> list[str]:
    for i in range(COUNT):
        picture(folder / "classes" / SPLITS[i % 3] / label(i // 3) / f"{i}.png", i)
    return ["--folders", "classes"]


def make_npz(folder: Path) -> list[str]:
    arrays: dict[str, Any] = {}
    for first, split in enumerate(SPLITS):
        numbers = range(100 * first, 100 * first + 4)
        arrays[f"{split}_images"] = np.stack([pixels(i)[:28, :28] for i in numbers])
        arrays[f"{split}_labels"] = np.array([[i % 2] for i in numbers], np.uint8)
    np.savez(folder / "some.npz", **arrays)
    return ["--npz", "some.npz"]


def make_coco(folder: Path) -> list[str]:
    content: dict[str, list[dict[str, Any]]] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 0, "name": "alpha"}, {"id": 1, "name": "beta"}],
    }
    for i in range(COUNT):
        picture(folder / "images" / f"{i}.png", i)
        at = {"id": i, "file_name": f"{i}.png", "width": WIDTH, "height": HEIGHT}
        x1, y1, x2, y2 = box(i)
        found = {"id": i, "image_id": i, "category_id": i % 2, "bbox": [x1, y1, x2 - x1, y2 - y1]}
        content["images"].append(at)
        content["annotations"].append(found)
    write(folder / "coco.json", json.dumps(content))
    return ["--images", "images", "--coco", "coco.json", "--seen", "28", "3136", "1003520"]


def make_voc(folder: Path) -> list[str]:
    for i in range(COUNT):
        picture(folder / "voc" / "JPEGImages" / f"{i}.png", i)
        x1, y1, x2, y2 = box(i)
        text = VOC.format(
            name=f"{i}.png", width=WIDTH, height=HEIGHT, label=label(i), x1=x1, y1=y1, x2=x2, y2=y2
        )
        write(folder / "voc" / "Annotations" / f"{i}.xml", text)
    return ["--voc", "voc"]


def make_masks(folder: Path) -> list[str]:
    for i in range(COUNT):
        picture(folder / "images" / f"{i}.png", i)
        mask = Image.new("L", (WIDTH, HEIGHT))
        mask.paste(1, box(i))
        (folder / "masks").mkdir(exist_ok=True)
        mask.save(folder / "masks" / f"{i}.png")
    return ["--images", "images", "--masks", "masks"]


def make_dicom(folder: Path) -> list[str]:
    lines = ["image,label"]
    (folder / "studies").mkdir()
    for i in range(COUNT):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
        meta.MediaStorageSOPInstanceUID = f"1.2.3.{i + 1}"
        made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        made.SOPClassUID, made.SOPInstanceUID = SecondaryCaptureImageStorage, f"1.2.3.{i + 1}"
        made.PatientID, made.Modality = f"patient {i // 2}", "DX"
        made.Rows, made.Columns = HEIGHT, WIDTH
        made.SamplesPerPixel, made.PixelRepresentation = 1, 0
        made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
        made.PhotometricInterpretation = "MONOCHROME2"
        made.PixelData = (pixels(i).astype(np.uint16) * 16).tobytes()
        pydicom.dcmwrite(folder / "studies" / f"{i}.dcm", made, enforce_file_format=True)
        lines.append(f"{i}.dcm,{label(i)}")
    write(folder / "labels.csv", "\n".join(lines))
    return ["--dicom", "studies", "--csv", "labels.csv"]


def make_nifti(folder: Path) -> list[str]:
    lines = ["image,label,slice"]
    (folder / "volumes").mkdir()
    for i in range(COUNT):
        volume = np.random.default_rng(i).integers(0, 1000, (12, 10, 8), dtype=np.int16)
        nibabel.Nifti1Image(volume, np.eye(4)).to_filename(folder / "volumes" / f"{i}.nii")
        lines.append(f"{i}.nii,{label(i)},{i % 8}")
    write(folder / "labels.csv", "\n".join(lines))
    return ["--nifti", "volumes", "--csv", "labels.csv"]


def make_hugging_face(folder: Path) -> list[str]:
    import datasets

    made: dict[str, Any] = {"image": [], "label": [label(i) for i in range(COUNT)]}
    made["image"] = [Image.fromarray(pixels(i)) for i in range(COUNT)]
    data = datasets.Dataset.from_dict(made).cast_column("image", datasets.Image())
    datasets.DatasetDict({"train": data}).save_to_disk(str(folder / "saved"))
    return ["--hf", "saved"]


Maker = Callable[[Path], list[str]]
SOURCES: dict[str, tuple[Maker, str]] = {
    "table": (make_table, LETTERS),
    "folders": (make_folders, LETTERS),
    "npz": (make_npz, LETTERS),
    "coco": (make_coco, BOXES),
    "voc": (make_voc, BOXES),
    "masks": (make_masks, CELLS),
    "dicom": (make_dicom, LETTERS),
    "nifti": (make_nifti, LETTERS),
    "hf": (make_hugging_face, LETTERS),
}
BUSI = "name: busi\nkind: classification\nquestion: Which?\nlabels: [normal, benign, malignant]\n"
FUNDUS = 'name: fundus\nkind: ordinal\nquestion: Which?\nlabels: ["0", "1", "2", "3", "4"]\n'
FUNDUS_TABLE = "dr-fundus/labels.csv"
TEST_DATA = {
    "bccd": (["--voc", "bccd"], CELLS),
    "bccd, grounding": (["--voc", "bccd", "--ask", "all"], "bccd"),
    "busi": (["--images", "busi", "--csv", "busi/labels.csv", "--drop-duplicates"], BUSI),
    "fundus": (["--images", "dr-fundus", "--csv", FUNDUS_TABLE, "--label-column", "grade"], FUNDUS),
    "pneumoniamnist": (["--npz", "medmnist/pneumoniamnist.npz", "--limit", "40"], "pneumoniamnist"),
}
AUDITED = ("pneumoniamnist", "retinamnist", "chestmnist", "mni152_brain_box", "grounding_point")
ANSWERS = ("2", "grade 1", "2 or 3", "", "not 2", "severe", "0", "4 [1]", "Grade 3.", "no idea")


def medreward(folder: Path, *words: str) -> bytes:
    """Run a command in a folder and return what it prints; status 1 may be a finding."""
    done = subprocess.run(
        [sys.executable, "-m", "medreward", *words],
        cwd=folder,
        capture_output=True,
        check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    if done.returncode not in (0, 1):
        raise SystemExit(f"medreward {' '.join(words)}: {done.stderr.decode()}")
    return done.stdout


def prepared(folder: Path, options: list[str], card: str) -> Iterator[tuple[str, bytes]]:
    """Yield the files that a run of `prepare` writes."""
    if "\n" in card:
        write(folder / "card.yaml", card)
        card = "card.yaml"
    words = ["--task", card, "--out", "rows", "--workers", "1"]
    medreward(folder, "prepare", *options, *words)
    for path in sorted((folder / "rows").iterdir()):
        yield path.name, path.read_bytes()


def of_sources() -> Iterator[tuple[str, bytes]]:
    for name, (make, card) in SOURCES.items():
        with tempfile.TemporaryDirectory() as folder:
            options = make(Path(folder))
            for file, content in prepared(Path(folder), options, card):
                yield f"prepare, {name}: {file}", content


def of_test_data(data: Path) -> Iterator[tuple[str, bytes]]:
    for name, (options, card) in TEST_DATA.items():
        with tempfile.TemporaryDirectory() as folder:
            for entry in data.iterdir():
                (Path(folder) / entry.name).symlink_to(entry.resolve())
            for file, content in prepared(Path(folder), [*options, "--size", "64"], card):
                yield f"prepare, {name}: {file}", content


def completions(steps: int = 40, group: int = 8) -> str:
    """Return a run's completions: the share of right answers rises, and some recite."""
    chance = random.Random(0)
    lines = []
    for step in range(1, steps + 1):
        for number in range(group):
            target = (step * 7) % 5
            answer = str(target) if chance.random() < step / steps else chance.choice(ANSWERS)
            think = chance.choice(["Dot bleeds.", "Microaneurysms only.", "", "I look closely."])
            text = f"<think>{think}</think><answer>{answer}</answer>"
            if chance.random() < 0.1:
                text = text[: chance.randrange(len(text))]
            row = {"completion": text, "target": target, "step": step, "id": f"eye {step}"}
            lines.append(json.dumps({**row, "group": f"{step}", "number": number}))
    return "\n".join(lines) + "\n"


def without_times(content: bytes) -> bytes:
    def kept(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: kept(v) for k, v in value.items() if not any(t in k for t in TIMES)}
        return [kept(item) for item in value] if isinstance(value, list) else value

    return json.dumps(kept(json.loads(content)), sort_keys=True).encode()


def of_answers(trace: Path | None) -> Iterator[tuple[str, bytes]]:
    with tempfile.TemporaryDirectory() as named:
        folder = Path(named)
        write(folder / "run.jsonl", completions())
        task = ["--task", "retinamnist"]
        medreward(folder, "score", "run.jsonl", *task, "--out", "scored.jsonl")
        yield "score", (folder / "scored.jsonl").read_bytes()
        yield from of_trace(folder, "scored.jsonl", "made here")
        for name in AUDITED:
            found = medreward(folder, "audit", "--task", name, "--json")
            yield f"audit --json, {name}", without_times(found)
            yield f"tasks show --json, {name}", medreward(folder, "tasks", "show", name, "--json")
        if trace:
            (folder / "run-trace.jsonl").symlink_to(trace.resolve())
            yield from of_trace(folder, "run-trace.jsonl", trace.name)


def of_trace(folder: Path, file: str, name: str) -> Iterator[tuple[str, bytes]]:
    yield f"why --json, {name}", medreward(folder, "why", file, "--json")
    grid = ["--grid", "weights.recitation=0,0.05", "--grid", "delta=-1,0"]
    task = ["--task", "retinamnist"] if file == "scored.jsonl" else []
    found = medreward(folder, "sweep", file, *task, *grid, "--json")
    yield f"sweep --json, {name}", without_times(found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="the folder of test data")
    parser.add_argument("--trace", type=Path, help="a trace, such as that of the demo")
    parser.add_argument("--keep", type=Path, help="write what is hashed to this folder")
    arguments = parser.parse_args()
    parts = [of_sources(), of_answers(arguments.trace)]
    if arguments.data:
        parts.append(of_test_data(arguments.data.resolve()))
    for part in parts:
        for name, content in part:
            print(sha256(content).hexdigest(), name, flush=True)
            if arguments.keep:
                arguments.keep.mkdir(parents=True, exist_ok=True)
                (arguments.keep / name.replace("/", "_")).write_bytes(content)


if __name__ == "__main__":
    main()
