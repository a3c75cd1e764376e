"""The studies on the pretrained model: their arms, pictures, demonstrations and tables."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from medreward import ConfigError, Task, explain
from medreward.data.example import Example
from medreward.data.parquet import write_parquet
from medreward.data.rows import make_rows
from medreward.kinds.right_answers import completion_with
from medreward.scoring.scorer import scorer
from recipes.evidence import pictures
from recipes.evidence.__main__ import _parser, _stages
from recipes.evidence.demonstrations import demonstration
from recipes.evidence.figure import figure
from recipes.evidence.studies import GRPO, RECITED, STUDIES
from recipes.evidence.table import BEGIN, END, fill, tables

ROOT = Path(__file__).parent.parent
KNOWLEDGE = Task.load("busi").knowledge_text()


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_compares_arms_that_can_be_trained(name: str) -> None:
    study = STUDIES[name]
    assert study.reference in study.arms
    assert study.source in pictures.SOURCES
    for arm in study.arms.values():
        scorer(Task.load(study.source), dict(arm.reward))
        assert arm.level in study.levels
        assert {*arm.stages} <= {study.source, study.beside}
    trained = [
        dict(arm.reward, level=arm.level, stages=arm.stages)
        for arm in study.arms.values()
        if arm.training == GRPO
    ]
    assert len({json.dumps(one) for one in trained}) == len(trained)


def test_studies_with_one_folder_share_their_warm_start_and_their_arms() -> None:
    for one, other in combinations(STUDIES.values(), 2):
        if one.folder and one.folder == other.folder:
            assert replace(one, question="", arms={}) == replace(other, question="", arms={})
            for name in one.arms.keys() & other.arms.keys():
                assert one.arms[name] == other.arms[name]


def test_stages_have_files_of_their_own_and_the_reward_of_their_card(tmp_path: Path) -> None:
    study = STUDIES["together"]
    words = ["run", "--study", "together", "--out", str(tmp_path), "--limit", "1"]
    arguments = _parser().parse_args(words)
    found = {name: _stages(arguments, study, arm) for name, arm in study.arms.items()}
    assert [(s.name, s.task.name) for s in found["all"]] == [
        ("-stage1", "mni152_brain_box"),
        ("", "mni152_level"),
    ]
    assert [stage.reward for stage in found["all"]] == [{}, study.arms["all"].reward]
    assert found["all"][1].rows.name == "mni152_level-context-1"
    assert [(s.name, s.task.name) for s in found["places alone"]] == [
        ("-stage1", "mni152_brain_box")
    ]
    assert [stage.name for stage in found["rft"]] == [""]
    twice = _stages(arguments, study, STUDIES["localisation"].arms["rft twice"])
    assert [stage.name for stage in twice] == ["-stage1", ""]
    for stage in found["all"]:
        rows = pq.read_table(stage.rows / "test.parquet").num_rows
        assert rows == (5 if stage.task.labels else 1)


def test_demonstrations_are_right_and_half_of_them_quote() -> None:
    chance = random.Random(3)
    texts = [demonstration("benign", KNOWLEDGE, chance) for _ in range(300)]
    scores = explain(
        texts,
        ["benign"] * 300,
        task="busi",
        knowledge=KNOWLEDGE,
        delta=1,
        recitation_measure="containment",
    )
    assert all(score.correct and score.parts["format"] == 1 for score in scores)
    shares = [score.parts["recitation"] for score in scores]
    assert 0.4 < np.mean([share > 0.5 for share in shares]) < 0.6
    plain = [demonstration("benign", "", chance) for _ in range(50)]
    assert all(
        score.parts["recitation"] < 0.3
        for score in explain(
            plain,
            ["benign"] * 50,
            task="busi",
            knowledge=KNOWLEDGE,
            delta=1,
            recitation_measure="containment",
        )
    )


def test_pictures_are_squares_with_the_whole_picture_in_the_middle() -> None:
    made = pictures.square(Image.new("L", (40, 20), 200))
    assert made.size == (224, 224)
    middle = np.asarray(made)[:, 112, 0]
    assert (middle[:50] == 0).all()
    assert (middle[-50:] == 0).all()
    assert (middle[70:150] == 200).all()  # bicubic filters overshoot at the edge


def _examples(data: Path) -> list[Example]:
    """Two pictures each of 20 patients, and one training picture that is a test picture too."""
    del data
    found = []
    for patient in range(20):
        for side in "LR":
            shade = 10 * patient + (side == "R")
            picture = Image.new("RGB", (8, 8), (shade, 0, 0))
            split = "test" if patient < 4 else "train"
            found.append(
                Example(
                    picture,
                    ("benign", "normal")[patient % 2],
                    f"{patient}{side}",
                    split,
                    {"patient": str(patient)},
                )
            )
    return [*found, replace(found[0], id="copy", split="train", meta={"patient": "copy"})]


def ids(path: Path) -> list[str]:
    return [row["id"] for row in pq.read_table(path).column("extra_info").to_pylist()]


def test_no_patient_is_in_two_splits_and_no_test_picture_is_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(pictures.SOURCES, "busi", _examples)
    folder = pictures.rows_of("busi", "context", tmp_path, tmp_path / "out")
    splits = {split: ids(folder / f"{split}.parquet") for split in ("warm", "train", "test")}
    assert sorted(name for own in splits.values() for name in own) == sorted(
        one.id for one in _examples(tmp_path) if one.id != "copy"
    )
    patients = [{name[:-1] for name in own} for own in splits.values()]
    assert sum(map(len, patients)) == 20
    assert all(patients)
    other = pictures.rows_of("busi", "none", tmp_path, tmp_path / "out")
    assert ids(other / "warm.parquet") == splits["warm"]  # knowledge moves no picture
    few = pictures.rows_of("busi", "none", tmp_path, tmp_path / "out", 2)
    assert len(ids(few / "test.parquet")) == 4


def test_medmnist_keeps_its_official_test_pictures(tmp_path: Path, test_data: Path) -> None:
    found = list(pictures.SOURCES["pneumoniamnist"](test_data))
    assert Counter(one.split for one in found) == {"train": 600, "test": 624}
    assert {one.image.size for one in found} == {(224, 224)}
    assert len({one.id for one in found}) == 1224
    assert {one.target for one in found if one.split == "train"} == {0, 1}
    with pytest.raises(ConfigError, match=r"pneumoniamnist\.npz is not there"):
        next(pictures.SOURCES["pneumoniamnist"](tmp_path))


def test_a_split_with_one_target_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = lambda data: (replace(one, target="benign") for one in _examples(data))  # noqa: E731
    monkeypatch.setitem(pictures.SOURCES, "busi", same)
    with pytest.raises(ConfigError, match=r"'warm' have 1 target \(benign\)"):
        pictures.rows_of("busi", "none", tmp_path, tmp_path / "out")


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--data: .*labels.csv is not there"):
        pictures.rows_of("busi", "none", tmp_path / "nowhere", tmp_path)


# Tables, of completions that are written here


STUDY = STUDIES["recitation"]


def write_arm(
    out: Path, name: str, seed: int, said: list[str], steps: list[dict[str, Any]]
) -> None:
    folder = out / "recitation" / name.replace(" ", "-") / f"seed{seed}"
    folder.mkdir(parents=True)
    lines = [{"id": f"p{i}", "completion": text} for i, text in enumerate(said)]
    (folder / "test.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if steps:
        (folder / "steps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in steps))
    result = {
        "seed": seed,
        "level": "context",
        "rows": "busi-context",
        "steps": len(steps),
        "warm_start": {"seed": 1},
        "cpu_seconds": {"all": 10 * seed},
    }
    (folder / "result.json").write_text(json.dumps(result))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Two arms of two seeds on 40 pictures: one is right on 30 and quotes, one on 10."""
    rows = tmp_path / "rows" / "busi-context"
    rows.mkdir(parents=True)
    examples = [Example(Image.new("L", (8, 8), i), "benign", f"p{i}", "test") for i in range(40)]
    write_parquet(rows / "test.parquet", make_rows(examples, Task.load("busi"), "context"))
    context = make_rows(examples[:1], Task.load("busi"), "context")
    known = next(iter(context))["extra_info"]["knowledge"]
    quoting = {"step": 1, "quoting": 1.0, "correct": 0.5, "reward": 1.0}
    for seed in (1, 2):
        for name, right, reasoning in (("zero", 10, "It fits."), ("plus bleu", 30, known)):
            said = [
                completion_with("benign" if i < right else "normal", reasoning) for i in range(40)
            ]
            steps = [dict(quoting, quoting=(name != "zero") / seed, step=s) for s in (1, 2, 3, 4)]
            write_arm(tmp_path, name, seed, said, steps)
    return tmp_path


def cells(text: str, arm: str, heading: str) -> list[str]:
    section = text[text.index(heading) :]
    line = next(line for line in section.splitlines() if line.startswith(f"| {arm} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_tables_hold_the_means_of_seeds_and_paired_intervals(out: Path) -> None:
    text = tables("recitation", STUDY, out)
    assert "Test pictures: 40" in text
    assert cells(text, "zero", "Test pictures")[1:3] == ["2", "0.250 (0.250 to 0.250)"]
    assert cells(text, "plus bleu", "Test pictures")[2].startswith("0.750")
    change = cells(text, "plus bleu", "Less the arm `zero`")[2]
    value, low, high = (
        float(one) for one in change.replace("(", "").replace(")", "").replace(" to ", " ").split()
    )
    assert value == 0.5
    assert 0.3 < low < 0.4
    assert 0.6 < high < 0.7  # 20 of 40 pictures: 0.5 ± 1.96 √(0.25/40)


def test_tables_hold_recitation_by_one_measure_and_the_steps(out: Path) -> None:
    text = tables("recitation", STUDY, out)
    assert RECITED["recitation_measure"] == "bleu"
    assert cells(text, "plus bleu", "Test pictures")[-1] == "1.000 (1.000 to 1.000)"
    assert cells(text, "zero", "Test pictures")[-1] == "0.000 (0.000 to 0.000)"
    assert cells(text, "plus bleu", "`quoting` by step")[1:] == ["2", *["0.75"] * 4]
    assert cells(text, "plus bleu", "by seed")[1:] == ["1.00", "0.50"]
    assert cells(text, "zero", "by seed")[1:] == ["0.00", "0.00"]
    assert cells(text, "plus bleu", "signature")[1:5] == ["1, 2", "1", "4", "15"]


def test_the_signature_is_that_of_the_trace(out: Path) -> None:
    folder = out / "recitation" / "zero" / "seed1"
    (folder / "trace.jsonl").write_text(json.dumps({"signature": "medreward|y"}) + "\n")
    text = tables("recitation", STUDY, out)
    assert "| zero | 1, 2 | 1 | 4 | 15 | `medreward\\|y` |" in text
    assert "| plus bleu | 1, 2 | 1 | 4 | 15 | none: no reward |" in text
    (folder / "trace.jsonl").rename(folder / "trace-stage1.jsonl")
    assert "| zero | 1, 2 | 1 | 4 | 15 | `medreward\\|y` |" in tables("recitation", STUDY, out)


def test_a_stage_before_has_its_own_table(out: Path) -> None:
    lines = [{"step": s, "reward": s / 10, "correct": 0.0, "words": 9.0} for s in (1, 2, 3, 4)]
    folder = out / "recitation" / "plus-bleu" / "seed1"
    (folder / "steps-stage1.jsonl").write_text("".join(json.dumps(r) + "\n" for r in lines))
    text = tables("recitation", STUDY, out)
    assert cells(text, "plus bleu, stage 1", "Stages before")[1:3] == ["1", "0.100 → 0.300"]
    assert "zero, stage 1" not in text


def test_the_figure_has_a_panel_for_each_measure_and_a_line_for_each_seed(out: Path) -> None:
    drawn = figure("recitation", STUDY, out)
    root = ElementTree.fromstring(drawn)
    space = "{http://www.w3.org/2000/svg}"
    titles = [one.text for one in root.iter(f"{space}text") if one.get("class") == "title"]
    assert titles == ["reward", "right", "quoting"]
    lines = [one for one in root.iter(f"{space}polyline") if "seed" in str(one.get("class"))]
    assert len(lines) == 3 * 2 * 2
    assert "plus bleu" in drawn
    with pytest.raises(ConfigError, match="no arm is finished"):
        figure("mfrs", STUDIES["mfrs"], out)


def test_arms_that_are_not_finished_are_no_rows(out: Path) -> None:
    text = tables("recitation", STUDY, out)
    assert "minus bleu" not in text
    with pytest.raises(ConfigError, match="no arm is finished"):
        tables("mfrs", STUDIES["mfrs"], out)


def test_a_page_gets_its_tables_between_the_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    fill(page, "| new |\n")
    assert page.read_text() == f"before\n{BEGIN}\n\n| new |\n\n{END}\nafter\n"
    page.write_text("nothing")
    with pytest.raises(ConfigError, match="has no lines"):
        fill(page, "x")


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "recipes.evidence", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_study_or_an_arm_that_is_not_there_is_refused(tmp_path: Path) -> None:
    done = command("run", "--study", "recitations", "--out", str(tmp_path))
    assert done.returncode == 1
    assert "recitation" in done.stderr
    done = command("run", "--study", "mfrs", "--arms", "exactly", "--out", str(tmp_path))
    assert done.returncode == 1
    assert "--arms" in done.stderr
    assert "exact" in done.stderr


@pytest.mark.slow
def test_two_arms_of_the_real_model(tmp_path: Path, test_data: Path) -> None:
    """What `make evidence` does: real weights, three steps, a table."""
    from medreward_trl.demo.weights import LANGUAGE, VISION, find_weights

    try:
        find_weights(LANGUAGE), find_weights(VISION)
    except ConfigError as error:
        pytest.skip(str(error))
    out = str(tmp_path)
    chosen = ("--study", "recitation", "--out", out)
    short = (
        "--arms",
        "minus bleu",
        "plus bleu",
        "--steps",
        "3",
        "--warm-steps",
        "6",
        "--limit",
        "4",
    )
    done = command("run", *chosen, *short, "--data", str(test_data))
    assert done.returncode == 0, done.stderr
    traces = {}
    for arm in ("minus-bleu", "plus-bleu"):
        folder = tmp_path / "recitation" / arm / "seed1"
        steps = [json.loads(line) for line in (folder / "steps.jsonl").read_text().splitlines()]
        assert [row["step"] for row in steps] == [1, 2, 3]
        assert all(row["completions"] == 24 for row in steps)
        tested = [json.loads(line) for line in (folder / "test.jsonl").read_text().splitlines()]
        assert len(tested) == 12
        rows = [json.loads(line) for line in (folder / "trace.jsonl").read_text().splitlines()]
        traces[arm] = [row["completion"] for row in rows if row["step"] == 1]
        assert not (folder / "policy").exists()
    assert traces["minus-bleu"] == traces["plus-bleu"]  # same warm start, seed and pictures
    again = command("run", *chosen, *short, "--data", str(test_data))
    assert "minus bleu, seed 1: is there" in again.stdout
    table = command("table", *chosen)
    assert table.returncode == 0, table.stderr
    assert "| plus bleu | 1 |" in table.stdout


def test_the_short_form_is_the_one_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert "--steps 3 --warm-steps 6 --limit 4" in makefile
