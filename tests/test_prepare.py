"""`medreward prepare` on real data: rows, labels, splits, duplicates, the same bytes every time."""

from __future__ import annotations

import csv
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from medreward import ConfigError, Task
from medreward.commands.parser import LateParser
from medreward.commands.prepare import add_parser
from medreward.data.parquet import SCHEMA
from medreward.data.sources import npz, table
from medreward.data.splits import parse_fractions
from medreward.prepare.labels import parse_mapping
from medreward.prepare.options import Options
from medreward.prepare.run import prepare
from medreward_trl.dataset import from_parquet
from tests import prepare_support as support
from tests.prepare_support import boxes_of, card, folder_of_images, run

CLI = [sys.executable, "-m", "medreward", "prepare"]


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    """A folder of twelve pictures, and a CSV file that names their label and patient."""
    names = [f"{i}.png" for i in range(12)]
    folder = folder_of_images(tmp_path / "letters", names)
    lines = ["image,label,patient"]
    lines += [f"{n},{('alpha', 'beta')[i % 2]},p{i // 3}" for i, n in enumerate(names)]
    (folder / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder


def from_letters(folder: Path, *options: object) -> int:
    source = ("--images", folder, "--csv", folder / "labels.csv")
    task = card(folder.parent, support.LETTERS)
    return run("--task", task, *source, "--out", folder.parent / "out", *options)


# The four image sets


@pytest.mark.slow
def test_medmnist_has_the_same_picture_in_train_and_val(
    test_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Found in the official split: 10 training pictures are in the validation split, to the bit."""
    out = tmp_path / "out"
    source = ("--npz", test_data / "medmnist" / "pneumoniamnist.npz", "--out", out)
    assert run("--task", "pneumoniamnist", *source) == 2
    said = capsys.readouterr().err
    assert "pneumoniamnist.npz train image 221: its picture is in another split (val:" in said
    assert [path.name for path in out.iterdir()] == [".medreward-cache"]  # for the next run
    assert run("--task", "pneumoniamnist", *source, "--drop-duplicates") == 0
    assert len(support.rows(out, "train")) == 3882 - 10
    assert [len(support.rows(out, split)) for split in ("val", "test")] == [524, 624]
    wanted = np.load(test_data / "medmnist" / "pneumoniamnist.npz")
    for i, row in enumerate(support.rows(out, "test")):
        assert row["extra_info"]["id"] == f"test-{i}"
        assert (np.asarray(support.image(row)) == wanted["test_images"][i]).all()
        label = ("normal", "pneumonia")[int(wanted["test_labels"][i, 0])]
        assert row["reward_model"]["ground_truth"] == label


def test_busi_has_one_picture_with_two_labels_in_two_splits(
    test_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = test_data / "busi", tmp_path / "out"
    source = ("--images", folder, "--csv", folder / "labels.csv", "--out", out)
    task = card(tmp_path, support.BUSI)
    assert run("--task", task, *source) == 2
    said = capsys.readouterr().err
    assert "images/malignant_145.png" in said
    assert "images/benign_433.png" in said
    assert run("--task", task, *source, "--drop-duplicates") == 0
    assert len(support.rows(out, "train")) == 470
    assert len(support.rows(out, "test")) == 121
    text = (out / "dataset_card.md").read_text(encoding="utf-8")
    assert "| malignant | 129 | 24 |" in text
    assert "licence: CC BY 4.0" in text
    assert "malignant_145" in text
    assert str(tmp_path) not in text


def test_fundus_grades_by_patient(test_data: Path, tmp_path: Path) -> None:
    folder, out = test_data / "dr-fundus", tmp_path / "out"
    source = ("--images", folder, "--csv", folder / "labels.csv", "--label-column", "grade")
    options = ("--size", 64, "--out", out)
    assert run("--task", card(tmp_path, support.FUNDUS), *source, *options) == 0
    with (folder / "labels.csv").open() as file:
        listed = list(csv.DictReader(file))
    for split in ("train", "test"):
        assert support.truths(out, split) == [r["grade"] for r in listed if r["split"] == split]
        assert {max(support.image(row).size) for row in support.rows(out, split)} == {64}
    written = b"".join(support.content(out).values())
    assert b"Patient001" not in written  # file names that hold a patient's number stay out of rows
    data = from_parquet(out / "test.parquet")
    assert data[0]["target"] == "0"
    assert data[0]["image"].size == support.image(support.rows(out, "test")[0]).size


def test_fundus_without_its_splits_keeps_patients_together(test_data: Path, tmp_path: Path) -> None:
    folder, out = test_data / "dr-fundus", tmp_path / "out"
    with (folder / "labels.csv").open() as file:
        listed = list(csv.DictReader(file))
    (tmp_path / "labels.csv").write_text(
        "\n".join(
            ["image,patient,grade", *(f"{r['image']},{r['patient']},{r['grade']}" for r in listed)]
        )
    )
    source = ("--images", folder, "--csv", tmp_path / "labels.csv", "--label-column", "grade")
    # Patients 299 and 300 of the source are the same two pictures.
    options = ("--split", "train=0.7,test=0.3", "--out", out, "--size", 32, "--drop-duplicates")
    assert run("--task", card(tmp_path, support.FUNDUS), *source, *options) == 0
    patients = {}
    for split in ("train", "test"):
        lines = [
            int(row["extra_info"]["id"].removeprefix("row-")) for row in support.rows(out, split)
        ]
        patients[split] = {listed[line - 2]["patient"] for line in lines}
    assert not patients["train"] & patients["test"]
    share = len(patients["test"]) / sum(map(len, patients.values()))
    assert 0.2 < share < 0.4
    assert not (out / "val.parquet").exists()


def test_cells_with_boxes_that_go_along(
    test_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    task = card(tmp_path, support.CELLS)
    options = ("--size", 160, "--split", "train=1", "--out", out)
    assert run("--task", task, "--voc", test_data / "bccd", *options) == 0
    said = capsys.readouterr().out
    for name, box in (("00338", "[504, 337, 504, 337]"), ("00343", "[181, 329, 181, 329]")):
        assert f"Annotations/BloodImage_{name}.xml: degenerate box dropped (RBC {box})" in said
    made = support.rows(out, "train")
    assert len(made) == 282
    assert sum(len(boxes_of(row)) for row in made) == 3164 + 288 + 275 - 2
    for row in made:
        assert support.image(row).size == (160, 120)
        for x1, y1, x2, y2 in boxes_of(row):
            assert 0 <= x1 < x2 <= 160
            assert 0 <= y1 < y2 <= 120
    assert "| RBC | 3162 |" in (out / "dataset_card.md").read_text()


def test_only_the_boxes_asked_for(test_data: Path, tmp_path: Path) -> None:
    """The darkest stain is in white cells: the pixels in their boxes show that boxes fit."""
    out, task = tmp_path / "out", card(tmp_path, support.CELLS)
    options = ("--box-label", "WBC", "--size", 160, "--limit", 40, "--split", "train=1")
    assert run("--task", task, "--voc", test_data / "bccd", *options, "--out", out) == 0
    made = [row for row in support.rows(out, "train") if boxes_of(row)]
    fits = 0
    for row in made:
        red = np.asarray(support.image(row), dtype=float)[..., 0]
        inside = np.zeros(red.shape, bool)
        for x1, y1, x2, y2 in boxes_of(row):
            inside[int(y1) : int(y2), int(x1) : int(x2)] = True
        fits += red[inside].mean() < red[~inside].mean()
    assert len(made) > 30
    assert fits / len(made) > 0.9


# The same bytes


@pytest.fixture(scope="module")
def cells(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("cells")
    options = ["--size", "96", "--limit", "100"]
    return ["--task", card(folder, support.CELLS), "--voc", str(test_data / "bccd"), *options]


@pytest.fixture(scope="module")
def clean(cells: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("clean")
    assert run(*cells, "--out", out, "--workers", 1) == 0
    return support.content(out)


def test_bytes_do_not_depend_on_the_number_of_workers(
    cells: list[str], clean: dict[str, bytes], tmp_path: Path
) -> None:
    assert sorted(clean) == [
        "contact_sheet.png",
        "dataset_card.md",
        "test.parquet",
        "train.parquet",
        "val.parquet",
    ]
    assert run(*cells, "--out", tmp_path / "out", "--workers", 3) == 0
    assert support.content(tmp_path / "out") == clean


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds worker processes in /proc")
@pytest.mark.parametrize(
    "stage",
    [
        ".",
        *(pytest.param(f"{name}.parquet", marks=pytest.mark.slow) for name in ("test", "val")),
        "train.parquet",
    ],
)
def test_a_killed_run_is_made_good_by_the_next(
    stage: str, cells: list[str], clean: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = [*CLI, *cells, "--out", str(out), "--workers", "2"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        wait_for(
            lambda: (out / ".medreward-partial" / stage).exists() or process.poll() is not None
        )
        time.sleep(0.2 if stage == "." else 0)
        workers = children(process.pid)
        process.send_signal(signal.SIGKILL)
    assert wait_for(lambda: not any(map(is_alive, workers)))
    assert run(*cells, "--out", out, "--workers", 1) == 0
    assert support.content(out) == clean


def wait_for(condition: object, seconds: float = 30.0) -> bool:
    assert callable(condition)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.005)
    return False


def children(pid: int) -> list[int]:
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_an_old_split_does_not_outlive_a_new_run(letters: Path) -> None:
    out = letters.parent / "out"
    assert from_letters(letters, "--split", "train=0.5,test=0.5") == 0
    assert (out / "test.parquet").exists()
    assert from_letters(letters, "--split", "train=1") == 0
    assert sorted(p.name for p in out.iterdir()) == [
        "contact_sheet.png",
        "dataset_card.md",
        "train.parquet",
    ]


def test_an_error_leaves_what_an_earlier_run_wrote(letters: Path) -> None:
    assert from_letters(letters, "--split", "train=1") == 0
    before = support.content(letters.parent / "out")
    (letters / "3.png").write_bytes(b"")
    assert from_letters(letters, "--split", "train=1") == 2
    assert support.content(letters.parent / "out") == before


# Labels from the wild


def test_unknown_labels_are_counted_with_their_nearest_and_nothing_is_written(
    test_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = test_data / "busi", tmp_path / "out"
    text = (folder / "labels.csv").read_text()
    text = text.replace(",benign,", ",bengin,", 7).replace(",normal,", ",,", 1)
    (tmp_path / "labels.csv").write_text(text)
    source = ("--images", folder, "--csv", tmp_path / "labels.csv", "--out", out)
    task = card(tmp_path, support.BUSI)
    assert run("--task", task, *source) == 2
    said = capsys.readouterr().err
    assert "'bengin': 7 images; nearest: benign" in said
    assert "'(empty)': 1 images" in said
    assert not out.exists()
    mapping = tmp_path / "map.yaml"
    mapping.write_text("bengin: benign\n")
    options = ("--map-file", mapping, "--map", "=", "--drop-duplicates", "--limit", 20)
    assert run("--task", task, *source, *options) == 0
    said = capsys.readouterr().out
    assert "left out: its label is mapped to nothing ('')" in said


def test_a_mapping_may_be_yaml_json_or_csv(tmp_path: Path) -> None:
    for name, text in (
        ("a.yaml", "'0': normal\n1: benign\nother:\n"),
        ("a.json", '{"0": "normal", "1": "benign", "other": ""}'),
        ("a.csv", "0,normal\n1,benign\nother,\n"),
    ):
        (tmp_path / name).write_text(text)
        mapping = parse_mapping(["1=malignant"], tmp_path / name)
        assert mapping == {"0": "normal", "1": "malignant", "other": ""}
    for name, text, message in (
        ("b.yaml", "yes: no", "put them in quotes"),
        ("b.csv", "a,b,c", "3 fields"),
        ("b.json", "[1]", "not a mapping"),
        ("b.txt", "", ".yaml"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(ConfigError, match=message):
            parse_mapping([], tmp_path / name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--map", "alpha"], "'alpha' is not OLD=NEW"),
        (["--map", "alfa=beta"], "did you mean 'alpha'"),
        (["--map", "alpha=gamma"], "'alpha', mapped to 'gamma': 6 images"),
        (["--label-column", "labl"], "did you mean 'label'"),
        (["--split-column", "fold"], "split column: 'fold' is not one of image, label, patient"),
        (["--split", "train=0.5"], "sums to 0.5, not to 1"),
        (["--split", "train=x"], "'train=x' is not NAME=SHARE"),
        (["--size", "0"], "size: 0 is not a whole number from 1"),
        (["--voc", "x"], "one source is needed"),
        (["--coco", "x"], "--images goes with --csv or --coco"),
    ],
)
def test_wrong_options_are_named(
    options: list[str], message: str, letters: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert from_letters(letters, *options) == 2
    assert message in capsys.readouterr().err
    assert not (letters.parent / "out").exists()


def test_a_source_that_does_not_fit_the_task_is_refused(letters: Path, test_data: Path) -> None:
    source = table.open_table(letters, letters / "labels.csv")
    with pytest.raises(ConfigError, match="needs boxes; the source has none"):
        prepare(source, support.task(support.CELLS), letters.parent / "out")
    from medreward.data.sources import voc

    with pytest.raises(ConfigError, match="a localisation card fits"):
        prepare(voc.open_voc(test_data / "bccd"), support.task(support.LETTERS), letters)


# Splits


def test_a_patient_in_two_splits_is_named(
    letters: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (letters / "labels.csv").read_text().split("\n")
    lines = [
        lines[0] + ",split",
        *(f"{x},{'test' if i < 4 else 'Training'}" for i, x in enumerate(lines[1:])),
    ]
    (letters / "labels.csv").write_text("\n".join(lines))
    assert from_letters(letters) == 2
    said = capsys.readouterr().err
    assert (
        "1 patients are in more than one split:\n  'p1': test: labels.csv line 5 (3.png);" in said
    )
    assert from_letters(letters, "--split", "train=1") == 2
    assert "the source has its own splits" in capsys.readouterr().err


def test_a_split_by_hash_is_stable_and_depends_on_the_seed(letters: Path) -> None:
    out = letters.parent / "out"
    found = []
    for seed in (0, 0, 1):
        assert from_letters(letters, "--split", "train=0.5,test=0.5", "--seed", seed) == 0
        found.append([row["extra_info"]["id"] for row in support.rows(out, "test")])
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_a_limit_draws_by_the_seed_and_keeps_the_order(letters: Path) -> None:
    out = letters.parent / "out"
    ids = []
    for seed in range(3):
        assert from_letters(letters, "--split", "train=1", "--limit", 5, "--seed", seed) == 0
        ids.append([row["extra_info"]["id"] for row in support.rows(out, "train")])
        assert ids[-1] == sorted(ids[-1])
        assert len(ids[-1]) == 5
    assert len({tuple(found) for found in ids}) > 1


def test_shares_are_written_with_the_usual_names() -> None:
    assert parse_fractions("training=0.5,valid=0.25,test=0.25") == {
        "train": 0.5,
        "val": 0.25,
        "test": 0.25,
    }


# The command


def test_the_card_has_the_command_without_the_machine(letters: Path) -> None:
    assert from_letters(letters, "--split", "train=1", "--size", 8, "--workers", 1) == 0
    text = (letters.parent / "out" / "dataset_card.md").read_text()
    command = "medreward prepare --task letters.yaml --images letters --csv labels.csv --size 8"
    assert f"{command} --split train=1 --out rows\n" in text


def test_rows_are_in_the_schema_and_knowledge_is_chosen(test_data: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    source = npz.open_npz(test_data / "medmnist" / "pneumoniamnist.npz")
    options = Options(limit=4, knowledge="none", size=40)
    summary = prepare(source, Task.load("pneumoniamnist"), tmp_path / "out", options)
    assert dict(summary.images) == {"test": 4, "val": 4, "train": 4}
    assert pq.read_schema(tmp_path / "out" / "val.parquet").equals(SCHEMA)
    row = support.rows(tmp_path / "out", "val")[0]
    assert row["extra_info"]["knowledge"] == ""
    assert row["extra_info"]["split"] == "val"
    assert support.image(row).size == (40, 40)


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from medreward.commands.cli import main\n"
        "sys.exit(main(['prepare', '--task', 'retinamnist', '--folders', 'x', '--out', 'y']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 2
    assert "prepare needs pyarrow" in done.stderr
    assert "pip install 'medreward[data]'" in done.stderr
    assert os.listdir(tmp_path) == []


def test_medmnist_names_are_checked_where_the_package_is() -> None:
    pytest.importorskip("medmnist")
    with pytest.raises(ConfigError, match="did you mean 'pneumoniamnist'"):
        npz.download("pneumonia")


def test_the_card_shows_the_mapping(letters: Path) -> None:
    assert from_letters(letters, "--split", "train=1", "--map", "alpha=beta") == 0
    assert set(support.truths(letters.parent / "out", "train")) == {"beta"}
    text = (letters.parent / "out" / "dataset_card.md").read_text()
    assert "- mapping: alpha = beta" in text


def test_the_commands_in_the_documentation_are_commands() -> None:
    page = Path(__file__).parent.parent / "docs" / "how-to" / "data.md"
    text = page.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("medreward prepare ")]
    assert len(lines) >= 10
    parser = LateParser()
    add_parser(parser.add_subparsers())
    for line in lines:
        parser.parse_args(shlex.split(line)[1:])
