"""What people look at: pages that commands write, on real data."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image

from benchmarks.pictures.png import save, shoot
from medreward import Task, explain
from medreward.commands.cli import main as medreward

NAIVE = '''
def accuracy(completions, target, **kwargs):
    """1 if the right label stands in the answer, else 0."""
    texts = [completion[0]["content"] for completion in completions]
    answers = [text.rpartition("<answer>")[2].partition("</answer>")[0] for text in texts]
    return [float(right in said) for right, said in zip(target, answers)]
'''


@contextmanager
def scratch() -> Iterator[Path]:
    """Give an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def run(*arguments: str | Path) -> None:
    """Run a command of medreward as a user does; an audit that finds something has status 1."""
    if medreward([str(one) for one in arguments]) > 1:
        sys.exit(f"medreward {arguments[0]} failed")


def contact_sheet(data: Path, path: Path) -> None:
    """Draw the contact sheet of ultrasound images."""
    with scratch() as folder:
        run("prepare", "--task", "busi", "--images", data / "busi", "--csv",
            data / "busi" / "labels.csv", "--size", "160", "--drop-duplicates", "--limit", "60",
            "--knowledge", "none", "--out", folder / "rows")  # fmt: skip
        sheet = Image.open(folder / "rows" / "contact_sheet.png")
        half = sheet.crop((0, 0, sheet.width, sheet.height // 2))
        save(half.resize((half.width * 2 // 3, half.height * 2 // 3)), path, 64)


def audit(data: Path, path: Path) -> None:
    """Draw the report on a reward that looks for the label in the answer."""
    with scratch() as folder:
        (folder / "my_rewards.py").write_text(NAIVE, encoding="utf-8")
        with chdir(folder):  # the report names the file as it was given
            run("audit", "my_rewards.py:accuracy", "--task", "busi", "--out", "audit.html")
        shoot(folder / "audit.html", path, (1000, 1280), 64)


def review_sheet(data: Path, path: Path) -> None:
    """Draw the sheet on which a clinician judges a card."""
    with scratch() as folder:
        sheet = folder / "review.html"
        run("review", "sheet", "busi", "--out", sheet)
        shoot(sheet, path, (1000, 800), 64)


def view(data: Path, path: Path) -> None:
    """Draw rows with boxes, and answers to them that were written by hand."""
    with scratch() as folder:
        rows = folder / "rows"
        run("prepare", "--task", "bccd", "--voc", data / "bccd", "--limit", "8", "--split",
            "train=1", "--knowledge", "none", "--out", rows)  # fmt: skip
        task = Task.load("bccd")
        with (folder / "trace.jsonl").open("w", encoding="utf-8") as trace:
            for row in pq.read_table(rows / "train.parquet").to_pylist():
                target = json.loads(row["reward_model"]["ground_truth"])
                for text in answers_to(target):
                    score = explain(text, target, task=task, knowledge="")
                    line = {"step": 1, "id": row["extra_info"]["id"], "task": "bccd"}
                    line |= {"target": row["reward_model"]["ground_truth"], "completion": text}
                    trace.write(json.dumps(line | score.as_dict()) + "\n")
        run("view", rows / "train.parquet", "--trace", folder / "trace.jsonl", "--limit", "1",
            "--sort", "best", "--out", folder / "view.html")  # fmt: skip
        shoot(folder / "view.html", path, (1000, 980), 128)


def answers_to(target: dict[str, list[dict[str, object]]]) -> list[str]:
    """Return an answer with boxes that are nearly right, and one that leaves a box out."""
    moved = [
        {"bbox_2d": [value + 9 for value in one["box"]], "label": one["label"]}
        for one in target["boxes"]
    ]
    return [
        f"<think>One large violet cell.</think><answer>{json.dumps(boxes)}</answer>"
        for boxes in (moved, moved[1:])
    ]
