"""At least 20,000 hostile files over all commands: status 0, 1 or 2, and never a traceback.

A quarter of them is tried in `make test`.

Each file is a right one that was broken, by a seed: cards, case files, JSON lines, parquet rows,
COCO, VOC, DICOM, NIfTI, npz and pictures. What a run of `prepare` may hold, such as a folder of
pictures, is broken in many files at once.
"""

from __future__ import annotations

import copy
import io
import json
import random
import shutil
import traceback
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from medreward.commands.cli import main
from tests.test_prepare_dicom import header

CARD = """\
name: cells
kind: localisation
question: Where are cells?
labels:
- {name: WBC, synonyms: [white blood cell], cost: 2, attributes: [{text: Large., source: a}]}
- {name: RBC, absence: false}
knowledge: [{text: Cells are round., source: a}]
references: {a: "Somebody. Something. 2020. https://example.org"}
reward: {delta: 0, frame: pixels, weights: {format: 0.1}, gates: [accuracy_needs_format]}
laterality: {swap: [[left, right]]}
no_finding: [none]
max_typos: 1
data: {source: nowhere, licence: none}
"""
LETTERS = "name: letters\nkind: classification\nquestion: Which?\nlabels: [alpha, beta]\n"
CASES = """\
about: a test
task: pneumoniamnist
target: pneumonia
knowledge: ""
cases:
- {id: right, answer: pneumonia, expect: {correct: true, parts: {accuracy: 1}, equal_to: right}}
- {id: wrong, answer: normal, expect: {total: 0.2, worse_than: right, reasons: wrong_label}}
- {completion: "<think>x</think>", expect: {prediction: null}, settings: {delta: 0}}
"""
LINE = {
    "completion": "<think>Dot bleeds.</think><answer>2</answer>",
    "target": 2,
    "knowledge": "Dot bleeds.",
    "step": 1,
    "id": "a",
    "task": "retinamnist",
    "total": 1.2,
    "parts": {"accuracy": 1.0, "format": 1.0, "recitation": 0.0},
    "reasons": ["correct"],
    "correct": True,
    "prediction": "2",
}
COCO = {
    "images": [{"id": 1, "file_name": "a.png", "width": 8, "height": 8}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 4], "iscrowd": 0}],
    "categories": [{"id": 1, "name": "WBC"}],
}
VOC = """\
<annotation><filename>a.png</filename><size><width>8</width><height>8</height></size>
<object><name>WBC</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox>
</object></annotation>
"""
PIECES = [
    *(
        "",
        "null",
        "[]",
        "{}",
        "-1",
        "1e999",
        "9" * 400,
        "NaN",
        "[[[[",
        "]]]]",
        "&a [*a]",
        "*a",
        "<<",
    ),
    *(
        "!!python/object/apply:os.system [ls]",
        "\x1b[31m",
        "\u202e",
        "\ud800",
        "\x00",
        "\t",
        "- ",
        ": ",
    ),
    *("é", "\\ud800", '"', "'", "{a: {a: {a: {", "? [x]", "2020-13-45", "true", "0x1F", "1_0", "~"),
    *(
        "<!DOCTYPE x [<!ENTITY a 'b'>]>",
        "&a;",
        "</object>",
        "<",
        "|",
        "&",
        "../../etc/passwd",
        "%n",
    ),
]
VALUES: list[Any] = [
    *(None, True, -1, 0, 1e308, 10**300, "", "x" * 500, [], {}, [[]], [None], {"": None}, "\ud800"),
    *(
        "\x1b[31m",
        "../x",
        [1, 2],
        float("nan"),
        float("inf"),
        "9" * 400,
        ["a"] * 50,
        {"a": {"b": 1}},
    ),
]


def break_text(text: str, chance: random.Random) -> bytes:
    """Return a text with some pieces cut, doubled, swapped or put in; sometimes in other bytes."""
    for _ in range(chance.randint(1, 4)):
        a, b = sorted(chance.randrange(len(text) + 1) for _ in range(2))
        b = min(b, a + 40)
        how = chance.randrange(5)
        piece = chance.choice(PIECES)
        if how == 0:
            text = text[:a] + text[b:]
        elif how == 1:
            text = text[:b] + text[a:b] * chance.randint(1, 4) + text[b:]
        elif how == 2:
            text = text[:a] + piece + text[b:]
        elif how == 3:
            text = text[:a] + piece + text[a:]
        else:
            lines = text.split("\n")
            chance.shuffle(lines)
            text = "\n".join(lines)
    encoding = chance.choice(["utf-8"] * 12 + ["latin-1", "utf-16", "cp1252"])
    return text.encode(encoding, "surrogatepass" if encoding.startswith("utf") else "replace")


def break_bytes(content: bytes, chance: random.Random) -> bytes:
    """Return bytes with some flipped, cut, doubled or put in."""
    made = bytearray(content)
    for _ in range(chance.randint(1, 8)):
        place = chance.randrange(max(1, len(made)))
        how = chance.randrange(5)
        if how == 0:
            del made[place : place + chance.choice([1, 4, 64, 100_000])]
        elif how == 1:
            made[place:place] = chance.randbytes(chance.choice([1, 4, 32]))
        elif how == 2 and made:
            made[place : place + 4] = chance.choice([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff"])
        elif made:
            made[min(place, len(made) - 1)] = chance.randrange(256)
    return bytes(made)


def break_value(value: Any, chance: random.Random) -> Any:
    """Return JSON-like content with some of its values, keys or items replaced."""
    value = copy.deepcopy(value)
    for _ in range(chance.randint(1, 3)):
        places: list[tuple[Any, Any]] = []

        def collect(node: Any, places: list[tuple[Any, Any]] = places) -> None:
            children = node.items() if isinstance(node, dict) else enumerate(node)
            for key, child in children:
                places.append((node, key))
                if isinstance(child, dict | list):
                    collect(child)

        collect(value)
        if not places:
            return value
        node, key = chance.choice(places)
        how = chance.randrange(4)
        if how == 0:
            del node[key]
        elif how == 1 and isinstance(node, dict):
            node[chance.choice(["", "x", "task", "\ud800", "boxes"])] = node.pop(key)
        else:
            node[key] = copy.deepcopy(chance.choice(VALUES))
    return value


def dump(value: Any) -> bytes:
    return json.dumps(value).encode()


def run(words: list[str | Path]) -> None:
    """Run a command; fail with what it was given if it ends with anything but 0, 1 or 2."""
    out, err = io.StringIO(), io.StringIO()
    with warnings.catch_warnings(), redirect_stdout(out), redirect_stderr(err):
        warnings.simplefilter("ignore")
        try:
            status = main([str(word) for word in words])
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 1
        except BaseException:  # noqa: BLE001 - whatever it is, the file that caused it is named
            status = -1
            err.write(traceback.format_exc())
    kept = keep(words) if status not in (0, 1, 2) or "Traceback" in err.getvalue() else None
    assert kept is None, f"status {status}: {words}; content {kept}\n{err.getvalue()[-2500:]}"


def keep(words: list[str | Path]) -> list[bytes]:
    return [word.read_bytes()[:1500] for word in map(Path, words) if word.is_file()]


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def cards(folder: Path, chance: random.Random) -> int:
    text = chance.choice([CARD, LETTERS])
    file = write(folder / "card.yaml", break_text(text, chance))
    command = chance.choice([["tasks", "show"], ["tasks", "show"], ["priors", "lint"]])
    run([*command, file])
    return 1


def cases(folder: Path, chance: random.Random) -> int:
    run(["check", write(folder / "x.cases.yaml", break_text(CASES, chance))])
    return 1


def lines(folder: Path, chance: random.Random) -> int:
    made = [dump(break_value(LINE, chance)) for _ in range(3)]
    content = b"\n".join(chance.choice([*made, break_text(json.dumps(LINE), chance)]) for _ in made)
    file = write(folder / "x.jsonl", content)
    command = chance.choice(["score", "score", "why", "sweep", "audit"])
    if command == "score":
        run(["score", file, "--task", chance.choice(["retinamnist", "bccd", "chestmnist"])])
    elif command == "why":
        run(["why", file, *chance.choice([[], ["--task", "retinamnist"]])])
    elif command == "sweep":
        run(["sweep", file, "--grid", "decay=linear,exact", "--task", "retinamnist"])
    else:
        run(["audit", "--task", "bccd", "--targets", file, "--family", "empty-answer"])
    return 1


def rows(folder: Path, chance: random.Random) -> int:
    row = {
        "data_source": "pneumoniamnist",
        "prompt": [{"role": "user", "content": "<image>?"}],
        "images": [{"bytes": PICTURES["png"], "path": None}],
        "ability": "classification",
        "reward_model": {"style": "rule", "ground_truth": "normal"},
        "extra_info": {"id": "r", "split": "train", "knowledge": "", "task": None},
    }
    file = folder / "rows.parquet"
    buffer = io.BytesIO()
    try:
        pq.write_table(
            pa.Table.from_pylist([break_value(row, chance), row][: 1 + chance.randrange(2)]), buffer
        )
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        pq.write_table(pa.Table.from_pylist([row]), buffer)
    made = buffer.getvalue()
    write(file, break_bytes(made, chance) if chance.random() < 0.3 else made)
    if chance.random() < 0.5:
        run(["rows", "check", file])
    else:
        run(["view", file, "--out", folder / "view.html"])
    return 1


def prepare(folder: Path, card: str, *words: str | Path) -> None:
    path = write(folder / "card.yaml", card.encode())
    rest: list[str | Path] = [
        "--out",
        folder / "out",
        "--split",
        "train=1",
        "--workers",
        "1",
        "--drop-duplicates",
    ]
    run(["prepare", "--task", path, *words, *rest])
    shutil.rmtree(folder / "out", ignore_errors=True)


BOXES = "name: b\nkind: localisation\nquestion: Where?\nlabels: [WBC]\nreward: {delta: 0}\n"


def coco(folder: Path, chance: random.Random) -> int:
    images = folder / "images"
    images.mkdir(exist_ok=True)
    write(images / "a.png", PICTURES["png"])
    content = dump(break_value(COCO, chance))
    if chance.random() < 0.4:
        content = break_text(json.dumps(COCO), chance)
    prepare(folder, BOXES, "--images", images, "--coco", write(folder / "c.json", content))
    return 1


def voc(folder: Path, chance: random.Random) -> int:
    for name in ("Annotations", "JPEGImages"):
        (folder / name).mkdir(exist_ok=True)
    write(folder / "JPEGImages" / "a.png", PICTURES["png"])
    write(folder / "Annotations" / "a.xml", break_text(VOC, chance))
    prepare(folder, BOXES, "--voc", folder)
    return 1


def listed(folder: Path, name: str, contents: list[bytes], suffix: str) -> tuple[Path, Path]:
    """Write files and a table that lists them."""
    files = folder / name
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir()
    table = "image,label\n"
    for i, content in enumerate(contents):
        write(files / f"{i}{suffix}", content)
        table += f"{i}{suffix},{('alpha', 'beta')[i % 2]}\n"
    return files, write(folder / "t.csv", table.encode())


def dicom(folder: Path, chance: random.Random) -> int:
    contents = [break_bytes(FILES["dicom"], chance) for _ in range(100)] + [FILES["dicom"]]
    files, table = listed(folder, "dicom", contents, ".dcm")
    prepare(folder, LETTERS, "--dicom", files, "--csv", table, "--on-error", "skip")
    return 100


def nifti(folder: Path, chance: random.Random) -> int:
    contents = [break_bytes(FILES["nifti"], chance) for _ in range(50)] + [FILES["nifti"]]
    files, table = listed(folder, "nifti", contents, ".nii")
    prepare(folder, LETTERS, "--nifti", files, "--csv", table, "--on-error", "skip")
    return 50


def pictures(folder: Path, chance: random.Random) -> int:
    kinds = [*PICTURES]
    contents = [break_bytes(PICTURES[chance.choice(kinds)], chance) for _ in range(100)]
    files, table = listed(folder, "pictures", [*contents, PICTURES["png"]], ".png")
    prepare(folder, LETTERS, "--images", files, "--csv", table, "--on-error", "skip")
    return 100


def masks(folder: Path, chance: random.Random) -> int:
    images, named = folder / "images", folder / "masks"
    for one in (images, named):
        one.mkdir(exist_ok=True)
    write(images / "a.png", PICTURES["png"])
    write(named / "a.png", break_bytes(PICTURES[chance.choice([*PICTURES])], chance))
    prepare(folder, BOXES, "--images", images, "--masks", named)
    return 1


def npz(folder: Path, chance: random.Random) -> int:
    file = write(folder / "x.npz", break_bytes(FILES["npz"], chance))
    prepare(folder, LETTERS, "--npz", file)
    return 1


def tables(folder: Path, chance: random.Random) -> int:
    files, table = listed(folder, "pictures", [PICTURES["png"]], ".png")
    text = "image,label,split,patient\n0.png,alpha,train,p1\n"
    table.write_bytes(break_text(text, chance))
    prepare(folder, LETTERS, "--images", files, "--csv", table)
    return 1


def as_bytes(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind)
    return buffer.getvalue()


GREY = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
PICTURES = {
    kind.lower(): as_bytes(GREY, kind) for kind in ("PNG", "JPEG", "BMP", "TIFF", "GIF", "PPM")
}


def make_files() -> dict[str, bytes]:
    found = {}
    buffer = io.BytesIO()
    header().save_as(buffer, enforce_file_format=True)
    found["dicom"] = buffer.getvalue()
    volume = nibabel.Nifti1Image(np.arange(64, dtype=np.int16).reshape(4, 4, 4), np.eye(4))
    found["nifti"] = volume.to_bytes()
    arrays: dict[str, Any] = {}
    for split in ("train", "val", "test"):
        arrays[f"{split}_images"] = np.zeros((2, 4, 4), np.uint8)
        arrays[f"{split}_labels"] = np.array([[0], [1]])
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    found["npz"] = buffer.getvalue()
    return found


FILES = make_files()
# Rounds of each, in so many parts, of which `make test` runs one and `make test-slow` the others.
PARTS = 12
ROUNDS: dict[Callable[[Path, random.Random], int], int] = {
    cards: 1500,
    cases: 1000,
    lines: 1000,
    rows: 800,
    coco: 300,
    voc: 300,
    masks: 150,
    npz: 150,
    tables: 200,
    dicom: 60,
    nifti: 40,
    pictures: 80,
}


def count_of(made: Callable[[Path, random.Random], int]) -> int:
    return {"dicom": 100, "nifti": 50, "pictures": 100}.get(made.__name__, 1)


def test_there_are_at_least_20_000_files() -> None:
    assert sum(rounds * count_of(made) for made, rounds in ROUNDS.items()) >= 20_000


@pytest.mark.parametrize(
    "part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, PARTS))]
)
@pytest.mark.parametrize("made", ROUNDS, ids=lambda made: made.__name__)
def test_hostile_files(
    made: Callable[[Path, random.Random], int],
    part: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(part, ROUNDS[made], PARTS):
        assert made(tmp_path, random.Random(f"{made.__name__} {number}")) == count_of(made)
