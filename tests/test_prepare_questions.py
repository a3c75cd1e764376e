"""Questions from files: published layouts, splits, several images, and what is wrong with a row."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from medreward import Task, explain
from medreward.commands.cli import main
from medreward.kinds.right_answers import completion_with
from medreward.kinds.truth import target_of
from tests.prepare_support import rows, run, truths


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    for i in range(12):
        path = folder / f"case{i}" / "source.jpg"
        path.parent.mkdir(parents=True)
        Image.new("L", (40, 30), 20 * i).save(path)
        Image.new("L", (40, 30), 20 * i + 5).save(folder / f"{i}.png")
    return folder


def write_json(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def first_image(row: dict[str, Any], index: int = 0) -> int:
    value: int = Image.open(io.BytesIO(row["images"][index]["bytes"])).getpixel((0, 0))
    return value


def all_rows(out: Path) -> list[dict[str, Any]]:
    return [
        row for split in ("train", "val", "test") if (out / f"{split}.parquet").exists()
        for row in rows(out, split)
    ]  # fmt: skip


def test_slake_with_a_file_a_split(tmp_path: Path, pictures: Path) -> None:
    """Only the language that is asked for; several questions about one image."""
    files = []
    for n, split in enumerate(("train", "validation", "test")):
        content = [
            {"img_id": i, "img_name": f"case{4 * n + i // 2}/source.jpg", "qid": 100 * n + i,
             "question": f"What is shown, {i}?", "answer": ["liver", "Yes", "No", "lung"][i % 4],
             "q_lang": "zh" if i == 5 else "en", "answer_type": "OPEN", "base_type": "vqa"}
            for i in range(6)
        ]  # fmt: skip
        files.append(write_json(tmp_path / f"{split}.json", content))
    options = ["--questions", *files, "--layout", "slake", "--image-folder", pictures]
    out = tmp_path / "rows"
    assert run("--task", "short_answer", *options, "--where", "q_lang=en", "--out", out) == 0
    assert {split: len(rows(out, split)) for split in ("train", "val", "test")} == {
        "train": 5, "val": 5, "test": 5
    }  # fmt: skip
    row = rows(out, "val")[1]
    assert row["prompt"][0]["content"].startswith("<image>What is shown, 1?\n")
    truth = json.loads(row["reward_model"]["ground_truth"])
    assert truth == {"answers": ["Yes"], "question": "What is shown, 1?"}
    assert row["extra_info"]["id"] == "validation-q-101"
    assert abs(first_image(row) - 80) < 3
    card = (out / "dataset_card.md").read_text(encoding="utf-8")
    assert "1 rows left out: not q_lang=en" in card
    assert "| **questions** | 5 | 5 | 5 |" in card
    assert main(["rows", "check", str(out / "train.parquet")]) == 0


def test_pmc_vqa_as_csv(tmp_path: Path, pictures: Path) -> None:
    path = tmp_path / "train_2.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        head = ["index", "Figure_path", "Caption", "Question", "Choice A", "Choice B", "Choice C"]
        table.writerow([*head, "Choice D", "Answer", "split"])
        for i in range(8):
            choices = [" A:CT ", " B:MRI ", " C: Ultrasound", " D:PET "]
            table.writerow([i, f"{i}.png", "c", f" Which modality, {i}? ", *choices, "B", "train"])
    out = tmp_path / "rows"
    options = ["--questions", path, "--layout", "pmc-vqa", "--image-folder", pictures]
    assert run("--task", "multiple_choice", *options, "--out", out) == 0
    found = rows(out, "train")
    targets = [json.loads(row["reward_model"]["ground_truth"]) for row in found]
    letters = Counter(target["answer"] for target in targets)
    assert len(letters) > 1  # shuffled, and the letters with the texts
    for row, target in zip(found, targets, strict=True):
        assert target["options"]["ABCD".index(target["answer"])] == "MRI"
        lines = row["prompt"][0]["content"].split("\n")
        assert lines[1:5] == [f"{x}. {o}" for x, o in zip("ABCD", target["options"], strict=True)]
    again = tmp_path / "again"
    assert run("--task", "multiple_choice", *options, "--no-shuffle-labels", "--out", again) == 0
    assert {json.loads(truth)["answer"] for truth in truths(again, "train")} == {"B"}


def test_omnimedvqa_with_texts_and_fewer_options(tmp_path: Path, pictures: Path) -> None:
    content = [
        {"dataset": "x", "question_id": f"x_{i:04}", "question_type": "Modality Recognition",
         "question": "What imaging technique was used?", "gt_answer": "Dermoscopy",
         "image_path": f"{i}.png", "option_A": "CT", "option_B": "Dermoscopy", "option_C": "MRI",
         **({"option_D": "None of the above"} if i % 2 else {}), "modality_type": "Dermoscopy"}
        for i in range(8)
    ]  # fmt: skip
    path = write_json(tmp_path / "qa.json", content)
    out = tmp_path / "rows"
    options = ["--questions", path, "--layout", "omnimedvqa", "--image-folder", pictures]
    assert run("--task", "multiple_choice", *options, "--out", out) == 0
    targets = [json.loads(row["reward_model"]["ground_truth"]) for row in all_rows(out)]
    assert Counter(len(target["options"]) for target in targets) == {3: 4, 4: 4}
    assert {target["options"][3] for target in targets if len(target["options"]) == 4} == {
        "None of the above"
    }


def test_pathvqa_from_parquet_with_bytes(tmp_path: Path, pictures: Path) -> None:
    content = [
        {"image": {"bytes": (pictures / f"{i}.png").read_bytes(), "path": None},
         "question": f"is it there, {i}?", "answer": "yes" if i % 2 else "moving the patient"}
        for i in range(10)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(content), tmp_path / "data.parquet")
    out = tmp_path / "rows"
    options = ["--questions", tmp_path / "data.parquet", "--layout", "pathvqa"]
    assert run("--task", "short_answer", *options, "--out", out) == 0
    assert len(all_rows(out)) == 10


def test_vqa_rad_to_the_end(test_data: Path, tmp_path: Path, capsys: Any) -> None:
    """Every row of the published file: prepared, scored right by its answer and by no other."""
    out = tmp_path / "rows"
    path = test_data / "vqa-rad" / "trainset.json"
    options = ["--questions", path, "--layout", "vqa-rad", "--text-only", "--out", out]
    assert run("--task", "short_answer", *options) == 2
    # Their answers are questions themselves; one has a sign that is no word.
    said = capsys.readouterr().err
    assert "7 of 3064 questions cannot be scored" in said
    assert "its own right answer 'Air?' is not read as right (the answer leaves open" in said
    assert run("--task", "short_answer", *options, "--on-error", "skip") == 0
    found = all_rows(out)
    assert len(found) == 3057
    assert all(
        row["images"] == [] and "<image>" not in row["prompt"][0]["content"] for row in found
    )
    task = Task.load("short_answer")
    closed = 0
    for row in found:
        target = target_of(task, row["reward_model"]["ground_truth"])
        [answer] = target["answers"]
        assert explain(completion_with(answer), target, task=task, knowledge="").correct
        other = {"yes": "no", "no": "yes"}.get(answer.lower().strip())
        closed += other is not None
        for wrong in (other or "zebra stripes", "", f"not {answer}", f"{answer} or zebra"):
            assert not explain(completion_with(wrong), target, task=task, knowledge="").correct
    assert closed > 1700
    splits: dict[str, set[str]] = {}
    images = {str(entry["qid"]): entry["image_name"] for entry in json.loads(path.read_text())}
    for row in found:
        name = images[row["extra_info"]["id"].removeprefix("q-").partition("-")[0]]
        splits.setdefault(name, set()).add(row["extra_info"]["split"])
    assert all(len(found) == 1 for found in splits.values())  # no image in two splits


def test_yes_or_no_with_the_question_in_the_prompt(tmp_path: Path, pictures: Path) -> None:
    """A card with labels takes questions too."""
    content = [
        {"image": f"{i}.png", "question": f"Is there a mass, {i}?", "answer": ["yes", "No"][i % 2]}
        for i in range(10)
    ]
    path = tmp_path / "lines.jsonl"
    path.write_text("\n".join(map(json.dumps, content)), encoding="utf-8")
    out = tmp_path / "rows"
    options = ["--questions", path, "--image-folder", pictures, "--out", out]
    assert run("--task", "yes_no", *options) == 0
    found = all_rows(out)
    assert {row["reward_model"]["ground_truth"] for row in found} == {"yes", "no"}
    assert all("Is there a mass, " in row["prompt"][0]["content"] for row in found)


def test_several_images_in_their_order(tmp_path: Path, pictures: Path) -> None:
    content = [
        {"images": [f"{i}.png", f"{i + 1}.png"], "question": "Which grew?", "split": "train",
         "options": '["the first", "the second"]', "answer": "A", "patient": f"p{i}"}
        for i in range(0, 6, 2)
    ]  # fmt: skip
    path = write_json(tmp_path / "pairs.json", content)
    out = tmp_path / "rows"
    options = ["--questions", path, "--image-folder", pictures, "--image-column", "images"]
    assert run("--task", "multiple_choice", *options, "--size", 20, "--out", out) == 0
    for row, first in zip(rows(out, "train"), (5, 45, 85), strict=True):
        assert [first_image(row, i) for i in range(2)] == [first, first + 20]
        assert row["prompt"][0]["content"].startswith("<image><image>Which grew?")
    assert main(["rows", "check", str(out / "train.parquet")]) == 0


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ([{"question": "q", "answer": "E", "options": ["x", "y"]}], (), "row 1: .*'E' is no op"),
        ([{"question": "q", "answer": "x", "options": ["x", "X"]}], (), "row 1: .*the same text"),
        ([{"question": "", "answer": "x"}], (), "row 1: column 'question' is empty"),
        ([{"question": "q", "answer": ""}], (), "row 1: column 'answer' is empty"),
        ([{"question": "q", "answer": []}], (), "row 1: column 'answer' is empty"),
        ([{"ask": "q", "answer": "x"}], (), "question column: 'question' is not"),
        ([{"question": "q", "reply": "x"}], (), "answer column: 'answer' is not one of"),
        ([{"question": "q", "answer": "A"}], ("--options-column", "o"), "column: 'o' is not"),
        ([], (), "it has no rows"),
        ({"question": "q"}, (), "not a list of objects"),
        ([1], (), "not a list of objects"),
        ([{"question": "q", "answer": "x"}], ("--where", "lang=en"), "column: 'lang' is not"),
        ([{"question": "q", "answer": "x"}], ("--where", "lang"), "'lang' is not COLUMN=VALUE"),
        ([{"question": "q", "answer": "x"}], ("--layout", "slak"), "did you mean 'slake'"),
        ([{"question": "q", "answer": "x", "split": "trian"}], (), "row 1: column 'split'"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_named(
    content: Any, options: tuple[str, ...], message: str, tmp_path: Path, capsys: Any
) -> None:
    path = write_json(tmp_path / "questions.json", content)
    given = ["--questions", path, "--text-only", *options, "--out", tmp_path / "rows"]
    assert run("--task", "multiple_choice", *given) == 2
    said = capsys.readouterr().err
    assert re.search(message, said), said
    assert not (tmp_path / "rows").exists()


def test_paths_without_a_folder_and_missing_images_are_named(
    tmp_path: Path, pictures: Path, capsys: Any
) -> None:
    content = [{"question": "q?", "answer": "lung", "image": "gone.png"}]
    path = write_json(tmp_path / "questions.json", content)
    given = ["--task", "short_answer", "--questions", path, "--out", tmp_path / "rows"]
    assert run(*given) == 2
    assert "say with --image-folder where they are" in capsys.readouterr().err
    assert run(*given, "--image-folder", pictures) == 2
    assert "gone.png" in capsys.readouterr().err


def test_questions_that_cannot_be_scored_are_left_out_with_a_word(
    tmp_path: Path, capsys: Any
) -> None:
    content = [{"question": f"q{i}?", "answer": "?" if i == 3 else "lung"} for i in range(12)]
    path = write_json(tmp_path / "questions.json", content)
    given = ["--task", "short_answer", "--questions", path, "--text-only"]
    assert run(*given, "--out", tmp_path / "rows") == 2
    said = capsys.readouterr().err
    assert "1 of 12 questions cannot be scored" in said
    assert "questions.json row 4: answers[0]: '?' has no letter or digit" in said
    assert run(*given, "--on-error", "skip", "--out", tmp_path / "rows") == 0
    assert "left out: cannot be scored" in capsys.readouterr().out
    assert len(all_rows(tmp_path / "rows")) == 11


def test_the_same_question_with_two_answers_is_remarked(
    tmp_path: Path, pictures: Path, capsys: Any
) -> None:
    content = [
        {"question": "Where?", "answer": answer, "image": f"{i // 2}.png"}
        for i, answer in enumerate(["left", "right", "left", "left"] + ["up"] * 12)
    ]
    path = write_json(tmp_path / "questions.json", content)
    given = ["--task", "short_answer", "--questions", path, "--image-folder", pictures]
    assert run(*given, "--out", tmp_path / "rows") == 0
    assert capsys.readouterr().out.count("has another answer; both are kept") == 1


def test_file_names_that_are_no_splits_are_refused(tmp_path: Path, capsys: Any) -> None:
    content = [{"question": "q?", "answer": "lung"}]
    files = [write_json(tmp_path / name, content) for name in ("train.json", "more.json")]
    given = ["--task", "short_answer", "--questions", *files, "--text-only"]
    assert run(*given, "--out", tmp_path / "rows") == 2
    assert "more.json: its name does not say which split it is" in capsys.readouterr().err


def test_a_table_of_images_with_a_column_of_questions(
    tmp_path: Path, pictures: Path, capsys: Any
) -> None:
    """Two questions about one image are two rows; two labels without a question are an error."""
    lines = ["image,question,label"]
    for i in range(20):
        asked, right = ("a mass" if i % 2 else "an effusion"), ("yes" if i % 3 else "no")
        lines.append(f"{i // 2}.png,Is there {asked}?,{right}")
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    given = ["--task", "yes_no", "--images", pictures, "--csv", path]
    assert run(*given, "--out", tmp_path / "rows") == 0
    said = [row["prompt"][0]["content"] for row in all_rows(tmp_path / "rows")]
    assert sum("an effusion?" in text for text in said) == 10
    assert sum("a mass?" in text for text in said) == 10
    capsys.readouterr()
    path.write_text("\n".join(line.replace("question", "asked") for line in lines), "utf-8")
    assert run(*given, "--out", tmp_path / "none") == 2
    error = capsys.readouterr().err
    assert "labels.csv line 2 (0.png): its labels are no, yes" in error
    assert "--question-column" in error
    assert run(*given, "--question-column", "asked", "--out", tmp_path / "more") == 0
