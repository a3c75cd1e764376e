"""`medreward prepare` with several labels an image, and what it says of prompts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from medreward import ConfigError, Task
from medreward.commands.cli import main
from medreward.data import medmnist
from medreward.data.sources import coco, huggingface, npz, table
from medreward.data.sources.record import Flags, Record
from medreward.prepare.labels import settle_labels
from medreward.priors.prompt import PromptBuilder
from tests import prepare_support as support
from tests.prepare_support import card, folder_of_images, run

CHEST = """
name: chest
kind: multilabel
question: Which findings?
labels: [atelectasis, {name: effusion, synonyms: [pleural effusion]}, mass]
"""
NO_SPLIT = ("--split", "train=1")


def truths(folder: Path, split: str = "train") -> list[list[str]]:
    return [json.loads(text) for text in support.truths(folder, split)]


def pictures(folder: Path, lines: list[str]) -> Path:
    """Write a picture for each line, and a CSV file of the lines with the picture's name first."""
    header, *cells = lines
    names = [f"{i}.png" for i in range(len(cells))]
    images = folder_of_images(folder / "images", names)
    rows = [f"image,{header}", *(f"{n},{c}" for n, c in zip(names, cells, strict=True))]
    (images / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    return images


def from_csv(images: Path, *options: object) -> int:
    task = card(images.parent, CHEST)
    source = ("--images", images, "--csv", images / "labels.csv")
    return run("--task", task, *source, "--out", images.parent / "out", *NO_SPLIT, *options)


# MedMNIST


def test_chestmnist_arrays(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for split in medmnist.SPLITS:
        arrays[f"{split}_images"] = random.integers(0, 256, (40, 28, 28), np.uint8)
        arrays[f"{split}_labels"] = (random.random((40, 14)) < 0.1).astype(np.uint8)
    np.savez(tmp_path / "chestmnist.npz", **arrays)
    out = tmp_path / "out"
    words = ("--task", "chestmnist", "--npz", tmp_path / "chestmnist.npz", "--out", out)
    assert run(*words) == 0
    names = [label.name for label in Task.load("chestmnist").labels]
    for split in medmnist.SPLITS:
        wanted = [
            [n for n, f in zip(names, row, strict=True) if f] for row in arrays[f"{split}_labels"]
        ]
        assert truths(out, split) == wanted
    counts = arrays["train_labels"].sum(axis=0)
    text = (out / "dataset_card.md").read_text()
    lines = {line.split(" | ")[0].strip("| "): line for line in text.splitlines()}
    assert lines["effusion"].split(" | ")[1] == str(counts[names.index("effusion")])
    empty = int((arrays["train_labels"].sum(axis=1) == 0).sum())
    assert lines["no finding"].split(" | ")[1] == str(empty)
    assert lines["**images**"].split(" | ")[1] == "40"
    before = support.content(out)
    assert run(*words) == 0
    assert support.content(out) == before
    assert main(["rows", "check", str(out / "train.parquet")]) == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [((1, 0), "are not a 0 or 1 for each of the 3 labels"), ((1, 0, 2), "are not a 0 or 1")],
)
def test_arrays_that_do_not_fit_the_card(flags: tuple[int, ...], message: str) -> None:
    records = [Record("a", "image a", "a", Flags(flags))]
    with pytest.raises(ConfigError, match=f"image a: its labels .* {message}"):
        settle_labels(records, support.task(CHEST))


def test_several_labels_are_refused_by_a_task_of_one(test_data: Path) -> None:
    records = [Record("a", "image a", "a", ("alpha", "beta"))]
    with pytest.raises(ConfigError, match=r"its labels are alpha, beta .* multilabel"):
        settle_labels(records, support.task(support.LETTERS))
    source = npz.open_npz(test_data / "medmnist" / "pneumoniamnist.npz")
    pneumonia = "\n".join([CHEST.replace("mass", "pneumonia"), "max_typos: 0"])
    with pytest.raises(ConfigError, match="does not know"):
        settle_labels([*source.records[:5], Record("b", "b", "b", 7)], support.task(pneumonia))


# CSV with a separator, as NIH ChestX-ray14


def test_nih_style_cells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = [
        "Effusion|Mass",
        "No Finding",
        "Atelectasis",
        "Pleural Effusion | effusion",
        "Mass|Effusion",
    ]
    images = pictures(tmp_path, ["Finding Labels", *cells])
    options = ("--label-column", "Finding Labels", "--label-separator", "|")
    assert from_csv(images, *options) == 0
    both = ["effusion", "mass"]
    assert truths(tmp_path / "out") == [both, [], ["atelectasis"], ["effusion"], both]
    text = (tmp_path / "out" / "dataset_card.md").read_text()
    assert "--label-column 'Finding Labels' --label-separator '|'" in text
    assert from_csv(images, "--label-column", "Finding Labels") == 2
    said = capsys.readouterr().err
    assert "where 'Effusion|Mass' is several labels, --label-separator says what stands" in said


def test_unknown_labels_are_counted_with_the_nearest_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = ["Effusion|Hernia", "Hernia", "Mas|Effusion", "", "No finding"]
    images = pictures(tmp_path, ["label", *cells])
    assert from_csv(images, "--label-separator", "|") == 2
    said = capsys.readouterr().err
    assert "'Hernia': 2 images" in said
    assert "'Mas': 1 images; nearest: mass" in said
    assert "'(empty)': 1 images" in said
    assert "the card has: atelectasis, effusion, mass, no finding" in said
    options = ("--label-separator", "|", "--map", "Mas=mass", "--map", "=no finding")
    assert from_csv(images, *options, "--map", "Hernia=no finding") == 0
    assert truths(tmp_path / "out") == [["effusion"], [], ["effusion", "mass"], [], []]
    assert from_csv(images, *options, "--map", "Hernia=") == 0
    assert truths(tmp_path / "out") == [["effusion", "mass"], [], []]
    said = capsys.readouterr().out
    assert "labels.csv line 2 (0.png): left out: a label of it is mapped to nothing" in said
    assert from_csv(images, *options, "--map", "Hernia=", "--map", "Herna=mass") == 2
    assert "did you mean 'Hernia'" in capsys.readouterr().err


def test_no_finding_beside_a_finding_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = pictures(tmp_path, ["label", "Mass", "No Finding|Mass"])
    assert from_csv(images, "--label-separator", "|") == 2
    assert "line 3 (1.png): 'No Finding' stands beside Mass; --map" in capsys.readouterr().err
    assert from_csv(images, "--label-separator", "|", "--map", "No Finding=no finding") == 0
    assert truths(tmp_path / "out") == [["mass"], ["mass"]]


# CSV with a column a label, as CheXpert


@pytest.mark.parametrize("cell", ["", "-1", "2", "x", "yes", "0.5", "1 "])
def test_a_flag_that_is_neither_0_nor_1_is_never_taken_for_the_label(cell: str) -> None:
    label = table.Columns(flags=("Mass",)).label_of({"Mass": cell})
    records = [Record("a", "image a", "a", label)]
    if cell.strip() == "1":
        [kept], _ = settle_labels(records, support.task(CHEST))
        assert kept.label == '["mass"]'
        return
    with pytest.raises(ConfigError, match=r"'Mass: .*': 1 images; nearest: mass"):
        settle_labels(records, support.task(CHEST))


def test_a_column_of_zeros_and_ones_a_label(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = pictures(tmp_path, ["Mass,Pleural Effusion", "1,1.0", "0.0,0", "0,1", "-1,1", ",0"])
    columns = ("--label-columns", "Mass", "Pleural Effusion")
    assert from_csv(images, *columns) == 2
    said = capsys.readouterr().err
    assert "'Mass: -1': 1 images; nearest: mass" in said
    assert "'Mass: (empty)': 1 images" in said
    options = ("--map", "Mass: -1=mass", "--map", "Mass: (empty)=no finding")
    assert from_csv(images, *columns, *options) == 0
    both = ["effusion", "mass"]
    assert truths(tmp_path / "out") == [both, [], ["effusion"], both, []]
    assert (
        "--label-columns Mass 'Pleural Effusion' "
        in (tmp_path / "out" / "dataset_card.md").read_text()
    )
    assert from_csv(images, "--label-columns", "Mas") == 2
    assert "did you mean 'Mass'" in capsys.readouterr().err
    assert from_csv(images, *columns, "--label-separator", "|") == 2
    assert "one of them, not both" in capsys.readouterr().err


def test_a_table_of_flags_and_one_of_names_give_the_same(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    names = ["atelectasis", "effusion", "mass"]
    flags = random.integers(0, 2, (30, 3))
    joined = ["|".join(n for n, f in zip(names, row, strict=True) if f) or "none" for row in flags]
    for folder, lines in (
        ("a", [",".join(names), *(",".join(map(str, row)) for row in flags)]),
        ("b", ["label", *joined]),
    ):
        pictures(tmp_path / folder, lines)
    found = []
    for folder, columns in (
        ("a", table.Columns(flags=tuple(names))),
        ("b", table.Columns(separator="|")),
    ):
        images = tmp_path / folder / "images"
        source = table.open_table(images, images / "labels.csv", columns)
        mapping = {"none": "no finding"} if folder == "b" else {}
        kept, _ = settle_labels(source.records, support.task(CHEST), mapping)
        found.append([record.label for record in kept])
    assert found[0] == found[1]


# COCO and Hugging Face


def test_coco_categories_are_a_set_and_crowds_count(tmp_path: Path) -> None:
    folder_of_images(tmp_path, [f"{i}.png" for i in range(4)])
    categories = [{"id": i, "name": n} for i, n in enumerate(["Mass", "Effusion", "Device"])]
    found = [(0, 0, 0), (0, 0, 0), (0, 1, 0), (1, 1, 1), (2, 2, 0)]  # image, category, crowd
    content = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 12, "height": 10} for i in range(4)],
        "categories": categories,
        "annotations": [
            {"id": n, "image_id": i, "category_id": c, "iscrowd": crowd, "bbox": [1, 1, 5, 5]}
            for n, (i, c, crowd) in enumerate(found)
        ],
    }
    (tmp_path / "x.json").write_text(json.dumps(content))
    source = coco.open_coco({None: tmp_path / "x.json"}, tmp_path)
    with pytest.raises(ConfigError, match="'Device': 1 images"):
        settle_labels(source.records, support.task(CHEST))
    out = tmp_path / "out"
    words = ("--images", tmp_path, "--coco", tmp_path / "x.json", "--out", out, *NO_SPLIT)
    task = card(tmp_path, CHEST)
    given = (*words, "--map", "Device=no finding")
    assert run("--task", task, *given) == 0
    assert truths(out) == [["effusion", "mass"], ["effusion"], []]
    assert run("--task", task, *given, "--unannotated", "negative") == 0
    assert truths(out) == [["effusion", "mass"], ["effusion"], [], []]
    with pytest.raises(ConfigError, match="a localisation card fits, or a multilabel one"):
        settle_labels(source.records, support.task(support.LETTERS))


@pytest.mark.parametrize("kind", ["class", "text"])
def test_hugging_face_sequences(kind: str, tmp_path: Path) -> None:
    import datasets

    names = ["No finding", "Mass", "Effusion"]
    each = datasets.ClassLabel(names=names) if kind == "class" else datasets.Value("string")
    values: list[list[int]] = [[1, 2], [0], [], [2]]
    labels = values if kind == "class" else [[names[i] for i in v] for v in values]
    images = [support.noise(i, 12, 10) for i in range(4)]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Sequence(each)})
    data = datasets.Dataset.from_dict({"image": images, "label": labels}, features=features)
    data.save_to_disk(str(tmp_path / "saved"))
    out = tmp_path / "out"
    task = card(tmp_path, CHEST)
    assert run("--task", task, "--hf", tmp_path / "saved", "--out", out, *NO_SPLIT) == 0
    assert truths(out) == [["effusion", "mass"], [], [], ["effusion"]]


def test_a_sequence_of_numbers_is_not_guessed_at(tmp_path: Path) -> None:
    import datasets

    images = [support.noise(i, 12, 10) for i in range(2)]
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.Sequence(datasets.Value("int64"))}
    )
    content = {"image": images, "label": [[0, 1, 0], [0, 0, 1]]}
    data = datasets.Dataset.from_dict(content, features=features)
    data.save_to_disk(str(tmp_path / "saved"))
    with pytest.raises(ConfigError, match="numbers may be labels or zeros and ones"):
        huggingface.open_hugging_face(tmp_path / "saved")


# Prompts


def test_prompts_are_the_builders_and_the_card_says_what_they_hold(
    test_data: Path, tmp_path: Path
) -> None:
    source = test_data / "medmnist" / "pneumoniamnist.npz"
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(special_tokens=["[UNK]"], show_progress=False)
    task = Task.load("pneumoniamnist")
    tokenizer.train_from_iterator([PromptBuilder(task)().text], trainer)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    budget = len(tokenizer.encode(PromptBuilder(task, "context")().text).ids)
    words = ["--npz", source, "--task", "pneumoniamnist", "--limit", "6", "--seed", "3"]
    words += ["--budget", budget, "--tokenizer", tmp_path / "tokenizer.json"]
    out, again = tmp_path / "out", tmp_path / "again"
    assert run(*words, "--out", out) == 0
    assert run(*words, "--out", again, "--workers", "2") == 0
    assert support.content(out) == support.content(again)
    builder = PromptBuilder(task, seed=3, budget=budget, tokenizer=tokenizer)
    orders = set()
    for split in medmnist.SPLITS:
        for row in support.rows(out, split):
            prompt = builder(row["extra_info"]["id"])
            assert row["prompt"] == prompt.messages
            assert row["extra_info"]["knowledge"] == prompt.knowledge == task.knowledge[0].text
            orders.add(prompt.text)
    assert len(orders) == 2
    text = (out / "dataset_card.md").read_text()
    for line in (
        f"- knowledge: full: {task.count_reviews()}",
        "- labels: in an order of each row's own (seed 3)",
        f"- budget: {budget} tokens, without the image and the chat template",
        f"- {task.labels[0].attributes[0].text} (18 prompts)",
        f"    {task.question}",
        "- tokenizer: tokenizer.json",
    ):
        assert f"{line}\n" in text
    assert str(tmp_path) not in text


def test_a_template_and_no_shuffling(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = pictures(tmp_path, ["label", *["mass"] * 6])
    template = tmp_path / "mine.yaml"
    template.write_text("multilabel: '{question} {knowledge}({labels}) <answer>'\n")
    options = ("--label-separator", "|", "--template", template)
    assert from_csv(images, *options, "--no-shuffle-labels") == 0
    said = {row["prompt"][0]["content"] for row in support.rows(tmp_path / "out", "train")}
    assert said == {"<image>Which findings? (atelectasis; effusion; mass) <answer>"}
    text = (tmp_path / "out" / "dataset_card.md").read_text()
    assert "- labels: in the card's order\n" in text
    assert "- template: mine.yaml (SHA-256 " in text
    assert "--no-shuffle-labels --template mine.yaml" in text
    assert from_csv(images, *options) == 0
    shuffled = {row["prompt"][0]["content"] for row in support.rows(tmp_path / "out", "train")}
    assert len(shuffled) > 1
    template.write_text("multilabel: '{question}'\n")
    assert from_csv(images, *options) == 2
    assert "has no {knowledge}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--budget", "40"], "budget: needs a tokenizer"),
        (["--budget", "0"], "budget: 0 is not"),
        (["--tokenizer", "x.json"], "tokenizer: it counts the tokens of a budget"),
        (
            ["--tokenizer", "x.json", "--budget", "40"],
            "tokenizer 'x.json' cannot be read: No such file",
        ),
        (["--template", "x.yaml"], "template 'x.yaml' cannot be read"),
    ],
)
def test_wrong_options_are_named(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = pictures(tmp_path, ["label", "mass"])
    assert from_csv(images, "--label-separator", "|", *options) == 2
    assert message in capsys.readouterr().err
