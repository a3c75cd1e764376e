"""Cards for the test data, and how the tests run `medreward prepare` and read what it wrote."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from medreward import Task
from medreward.commands.cli import main
from medreward.task.task import parse_card

BUSI = """
name: busi
kind: classification
question: This is an ultrasound image of a breast. Is it normal, benign or malignant?
modality: ultrasound
data: {licence: CC BY 4.0}
labels: [{name: normal, absence: true}, benign, malignant]
"""
FUNDUS = """
name: fundus
kind: ordinal
question: Which grade of diabetic retinopathy, from 0 to 4, does this photograph show?
labels: ["0", "1", "2", "3", "4"]
"""
CELLS = """
name: cells
kind: localisation
question: Where are the cells? Answer with boxes [[x1, y1, x2, y2]] in pixels.
reward: {delta: 0}
"""
LETTERS = """
name: letters
kind: classification
question: A or B?
labels: [alpha, beta]
"""


def card(folder: Path, text: str) -> str:
    """Write a card to a file and return its path."""
    path = folder / f"{parse_card(text).name}.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def task(text: str) -> Task:
    return parse_card(text)


def run(*options: object) -> int:
    return main(["prepare", *map(str, options)])


def rows(folder: Path, split: str) -> list[dict[str, Any]]:
    return pq.read_table(folder / f"{split}.parquet").to_pylist()  # type: ignore[no-any-return]


def truths(folder: Path, split: str) -> list[str]:
    return [row["reward_model"]["ground_truth"] for row in rows(folder, split)]


def boxes_of(row: dict[str, Any]) -> Any:
    """Return the boxes of a row without their labels."""
    boxes = json.loads(row["reward_model"]["ground_truth"])["boxes"]
    return [box["box"] if isinstance(box, dict) else box for box in boxes]


def image(row: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(row["images"][0]["bytes"]))


def content(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder with its bytes."""
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def noise(seed: int, width: int = 60, height: int = 40, channels: int = 3) -> Image.Image:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def folder_of_images(folder: Path, names: Sequence[str]) -> Path:
    """Write a small picture, different for each, to each name."""
    for i, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise(i, 12, 10).save(path)
    return folder
