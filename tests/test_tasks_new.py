"""`medreward tasks new`: a card from data that loads, and with which `prepare` runs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from medreward import ConfigError, Task
from medreward.commands.cli import main
from medreward.data.picture import load_file
from medreward.data.sources import Record, Source
from medreward.data.sources.detect import detect_source
from medreward.prepare.draft_card import draft_card
from tests import prepare_support as support


def folders(folder: Path) -> Path:
    names = [f"{label}/{i}.png" for label in ("benign", "malignant", "normal") for i in range(4)]
    return support.folder_of_images(folder, names)


def table(folder: Path, text: str, count: int = 6) -> Path:
    support.folder_of_images(folder, [f"{i}.png" for i in range(count)])
    (folder / "labels.csv").write_text(text)
    return folder / "labels.csv"


def grades(folder: Path) -> Path:
    lines = [f"{i},{i % 3},p{i}" for i in range(6)]
    return table(folder, "\n".join(["id_code,diagnosis,patient", *lines]))


def findings(folder: Path) -> Path:
    cells = ["Mass|Edema", "No Finding", "Edema", "Mass", "Edema|Mass", "No Finding"]
    lines = [f"{i}.png,{cell}" for i, cell in enumerate(cells)]
    return table(folder, "\n".join(["Image Index,Finding Labels", *lines]))


def coco(folder: Path) -> Path:
    support.folder_of_images(folder, ["0.png", "1.png"])
    notes = [
        {"id": i, "image_id": i % 2, "category_id": 1 + i % 2, "bbox": [1, 1, 4, 4]}
        for i in range(3)
    ]
    content = {
        "images": [{"id": i, "file_name": f"{i}.png"} for i in range(2)],
        "categories": [{"id": 1, "name": "red cell"}, {"id": 2, "name": "nucleus"}],
        "annotations": notes,
    }
    (folder / "coco.json").write_text(json.dumps(content))
    return folder / "coco.json"


def roboflow(folder: Path) -> Path:
    for split in ("train", "valid"):
        file = coco(folder / split)
        file.rename(file.with_name("_annotations.coco.json"))
    support.folder_of_images(folder, ["valid/0.png", "valid/1.png", "train/0.png", "train/1.png"])
    return folder


def npz(folder: Path) -> Path:
    folder.mkdir()
    arrays = {}
    for i, split in enumerate(("train", "val", "test")):
        seeds = range(4 * i, 4 * i + 4)
        arrays[f"{split}_images"] = np.stack([np.asarray(support.noise(s, 28, 28)) for s in seeds])
        arrays[f"{split}_labels"] = np.array([[0], [1], [2], [1]])
    np.savez(folder / "some.npz", **arrays)
    return folder / "some.npz"


CASES: dict[str, tuple[Callable[[Path], Path], str, list[str]]] = {
    "folders": (folders, "classification", ["benign", "malignant", "normal"]),
    "grades": (grades, "ordinal", ["0", "1", "2"]),
    "findings": (findings, "multilabel", ["Edema", "Mass"]),
    "coco": (coco, "localisation", ["red cell", "nucleus"]),
    "roboflow": (roboflow, "localisation", ["red cell", "nucleus"]),
    "npz": (npz, "ordinal", ["0", "1", "2"]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_drafted_card_loads_and_its_commands_run(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, kind, labels = CASES[case]
    out = tmp_path / "card.yaml"
    assert main(["tasks", "new", "--from", str(make(tmp_path / "in")), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    task = Task.load(out)
    assert task.kind == kind
    assert sorted(label.name for label in task.labels) == sorted(labels)
    assert not task.statements
    assert all(not label.synonyms for label in task.labels)
    assert f"kind {kind}: " in said
    commands = [line.strip() for line in said.splitlines() if line.startswith("  medreward ")]
    assert len(commands) == 3
    for command in commands:
        words = shlex.split(command)[1:]
        words = [str(tmp_path / word) if word == "rows" else word for word in words]
        assert main(words) == 0, command
    assert (tmp_path / "rows/train.parquet").exists()


def test_counts_stand_beside_the_labels(tmp_path: Path) -> None:
    source = folders(tmp_path / "in")
    out = tmp_path / "card.yaml"
    assert main(["tasks", "new", "--folders", str(source), "--out", str(out)]) == 0
    text = out.read_text()
    assert "  - name: benign  # 4 images\n    synonyms: []" in text
    assert main(["tasks", "new", "--folders", str(source), "--out", str(out)]) == 2
    assert out.read_text() == text


def test_options_that_are_given_win(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "image,grade,side\n" + "".join(f"{i}.png,{i % 2},{'lr'[i % 2]}\n" for i in range(6))
    file = table(tmp_path / "in", text)
    new = ["tasks", "new", "--from", str(file), "--out", str(tmp_path / "card.yaml")]
    assert main(new) == 2
    said = capsys.readouterr().err
    assert "2 columns could be the labels (grade: 0, 1; side: l, r); --label-column NAME" in said
    assert main([*new, "--label-column", "side", "--kind", "classification"]) == 0
    assert sorted(x.name for x in Task.load(tmp_path / "card.yaml").labels) == ["l", "r"]


def made(*labels: object) -> Source:
    records = [Record(str(i), str(i), None, label=label) for i, label in enumerate(labels)]
    return Source("folder per class x", records, load=load_file)


def test_close_labels_get_no_typos_and_no_labels_no_card() -> None:
    draft = draft_card(made("macula", "macule", "no", "yes"))
    assert "max_typos: 0" in draft.text
    assert '- name: "no"' in draft.text
    with pytest.raises(ConfigError, match="no label in the data"):
        draft_card(made(None, ""))
    with pytest.raises(ConfigError, match=r"the labels do not make a card yet: .*rename them"):
        draft_card(made("?!", "!!"))
    with pytest.raises(ConfigError, match="600 labels, such as"):
        draft_card(made(*map(str, range(1000, 1600))))


def test_what_is_no_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file or folder"):
        detect_source(tmp_path / "gone")
    with pytest.raises(ConfigError, match="no layout is seen"):
        detect_source(tmp_path)
    (tmp_path / "a.bin").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"neither a folder nor a \.csv"):
        detect_source(tmp_path / "a.bin")
    coco(tmp_path / "both")
    (tmp_path / "both/data.yaml").write_text("names: [a]")
    with pytest.raises(ConfigError, match=r"data.yaml: YOLO; .*: give --yolo or --images"):
        detect_source(tmp_path / "both")
