"""The way of a row: from a line of a table to what `why` says, each step by the real code.

The completions alone are written by hand, in place of a model's.
"""

from __future__ import annotations

import base64
import csv
import json
import tempfile
import textwrap
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.pictures import svg as draw
from benchmarks.pictures.png import shoot
from medreward import Score, Task, explain
from medreward.data.sources import open_table
from medreward.files.atomic import write_text_atomic
from medreward.prepare import Options, prepare
from medreward.runs import analyse, read_trace
from medreward.runs.why_rules import findings

TASK = "busi"
COMPLETIONS = (
    "<think>An oval mass with a smooth margin.</think><answer>benign</answer>",
    "<think>An irregular mass.</think><answer>malignant</answer>",
    "<think>Hard to say.</think><answer>benign or malignant</answer>",
    "It is benign.",
)
STEPS = 30
TARGET = "benign"
SHOWN = ("step", "id", "task", "target", "completion", "total", "parts", "reasons")
WIDE, HIGH, GAP, TOP, LEFT = 296, 236, 44, 48, 16


def table_line(data: Path) -> dict[str, str]:
    """Return the first line of the table that says benign."""
    with (data / "labels.csv").open(newline="") as file:
        return next(line for line in csv.DictReader(file) if line["label"] == "benign")


def prepared(data: Path, line: dict[str, str], folder: Path) -> dict[str, Any]:
    """Return the row that `prepare` makes of a line."""
    table = folder / "labels.csv"
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, line.keys())
        writer.writeheader()
        writer.writerow(line | {"split": "train"})
    prepare(open_table(data, table), Task.load(TASK), folder / "rows", Options(knowledge="none"))
    row: dict[str, Any] = pq.read_table(folder / "rows" / "train.parquet").to_pylist()[0]
    return row


def write_trace(path: Path) -> dict[str, Any]:
    """Write a trace in which each row has this group; return a line of it, in part."""
    labels = [label.name for label in Task.load(TASK).labels]
    lines = []
    for step in range(1, STEPS + 1):
        target = labels[(step + 1 - labels.index(TARGET)) % len(labels)]
        for text, score in zip(COMPLETIONS, scored(target), strict=True):
            line = {"step": step, "id": f"train-{step}", "task": TASK, "target": target}
            lines.append(line | {"completion": text} | score.as_dict())
    write_text_atomic(path, "".join(json.dumps(line) + "\n" for line in lines))
    first = next(
        line for line in lines[2:] if line["target"] == TARGET and "or" in line["completion"]
    )
    return {name: first[name] for name in SHOWN}


def scored(target: str) -> list[Score]:
    """Return the scores of the group."""
    return list(explain(list(COMPLETIONS), [target] * 4, task=TASK, knowledge=""))


def station(i: int, title: str, lines: list[tuple[str, str]]) -> list[str]:
    """Return a box with a title and lines of (text, style), and the arrow to it."""
    column, below = (i, 0) if i < 3 else (5 - i, 1)
    x, y = LEFT + column * (WIDE + GAP), TOP + below * (HIGH + GAP)
    parts = [draw.box(x, y, WIDE, HIGH), draw.text(x + 12, y + 22, title, "bold")]
    for k, (said, style) in enumerate(lines):
        parts.append(draw.text(x + 12, y + 44 + k * 16, said, style))
    middle = y + HIGH / 2
    if i in (1, 2):
        parts.append(draw.arrow(x - GAP + 6, middle, x - 6, middle))
    elif i == 3:
        parts.append(draw.arrow(x + WIDE / 2, y - GAP + 6, x + WIDE / 2, y - 6))
    elif i > 3:
        parts.append(draw.arrow(x + WIDE + GAP - 6, middle, x + WIDE + 6, middle))
    return parts


def wrapped(said: str, most: int, style: str = "code", width: int = 40) -> list[tuple[str, str]]:
    """Return a text as at most so many lines."""
    lines = textwrap.wrap(said, width)
    if len(lines) > most:
        lines = [*lines[: most - 1], lines[most - 1] + " …"]
    return [(line, style) for line in lines]


def draw_row(data: Path) -> str:
    """Return the picture as SVG."""
    folder = data / "busi"
    line = table_line(folder)
    with tempfile.TemporaryDirectory() as scratch:
        row = prepared(folder, line, Path(scratch))
        path = Path(scratch) / "trace.jsonl"
        traced = json.dumps(write_trace(path))
        view = analyse(read_trace([path]))
        said = findings(view)[0]
    assert row["reward_model"]["ground_truth"] == TARGET
    picture = base64.b64encode((folder / line["image"]).read_bytes()).decode()
    prompt = row["prompt"][-1]["content"]
    earned = [
        (f"{i}.  {score.total:4.1f}  {score.reasons[0]}", "code")
        for i, score in enumerate(scored(TARGET), 1)
    ]
    sampled = [one for i, text in enumerate(COMPLETIONS, 1) for one in wrapped(f"{i}. {text}", 3)]
    shares = [
        (f"{title:<14} {view.all.mean(name):.2f}", "code")
        for title, name in (("right answers", "correct"), ("unreadable", "unreadable"))
    ]
    stations: list[tuple[str, list[tuple[str, str]]]] = [
        (
            "1  Your images and labels",
            [(",".join(cells), "code") for cells in (line, line.values())],
        ),
        (
            "2  prepare: a row (parquet)",
            [("prompt", "small"), *wrapped(prompt, 8), ("target", "small"), (TARGET, "code")],
        ),
        ("3  Your trainer samples a group", sampled),
        ("4  The reward: total and reason", earned),
        ("5  The trace: a line each", wrapped(traced[:-1] + ", …", 12)),
        (
            "6  why: what stands out in a run",
            [
                *shares,
                ("", ""),
                *wrapped(f"{said.rule}: {said.facts}", 4),
                ("", ""),
                *wrapped(f"first guess: {said.guess}", 5),
            ],
        ),
    ]
    parts = [draw.text(LEFT, 28, "The way of a row", "bold")]
    for i, (title, lines) in enumerate(stations):
        parts += station(i, title, lines)
    parts.append(
        f'<image x="{LEFT + 60}" y="{TOP + 78}" width="176" height="146" '
        f'href="data:image/png;base64,{picture}"/>'
    )
    height = TOP + 2 * HIGH + GAP + 34
    parts.append(
        draw.text(
            LEFT,
            height - 12,
            "Image: BUSI, Al-Dhabyani et al., Data in Brief 2020, "
            "CC BY 4.0, reduced. The completions are written by hand; all else is "
            "medreward's output.",
            "small",
        )
    )
    return draw.page(2 * LEFT + 3 * WIDE + 2 * GAP, height, parts, "The way of a row")


def draw_png(data: Path, path: Path) -> None:
    """Write the picture."""
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch) / "row.svg"
        page.write_text(draw_row(data), encoding="utf-8")
        size = 2 * LEFT + 3 * WIDE + 2 * GAP, TOP + 2 * HIGH + GAP + 34
        shoot(page, path, size, colours=64, scale=2)
