"""What reading boxes in the wrong frame costs, with perfect boxes of real annotations.

The boxes of a Pascal VOC folder are written as a perfect policy would in one frame, whole numbers
as models write them, and scored as if they were in another:

    python benchmarks/frame_cost.py VOC_FOLDER [--label NAME]

Prints the tables of docs/reference/localisation.md: for the sizes to which Qwen's processor resizes
the images under usual and under small limits of pixels, and what a box of the whole image and a
random box earn under each quality.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from medreward import RewardSettings, Task
from medreward.data.sources import voc
from medreward.geometry.frames import qwen_resized
from medreward.geometry.regions import Box, Size
from medreward.kinds.boxes.match import box_reward
from medreward.task.settings import BOX_QUALITIES

PLACE = Task("place", kind="localisation", reward=RewardSettings(delta=0))
Image = tuple[list[Box], Size]
Answer = Callable[[list[Box], Size], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="with Annotations and JPEGImages")
    parser.add_argument("--label", help="only boxes with this label, and images that have some")
    arguments = parser.parse_args()
    images = read(arguments.folder, arguments.label)
    print(f"{len(images)} images, {sum(len(boxes) for boxes, _ in images)} boxes")
    frames(images)
    gaming(images)


def read(folder: Path, label: str | None) -> list[Image]:
    images = []
    for record in voc.open_voc(folder).records:
        boxes = [b.box for b in record.boxes or () if label in (None, b.name)]
        if boxes and record.size:
            images.append((boxes, record.size))
    return images


def mean_reward(images: list[Image], answer: Answer, quality: str = "iou", **sizes: Size) -> float:
    settings = RewardSettings(delta=0, box_quality=quality)
    values = []
    for boxes, size in images:
        target = PLACE.parse_target({"boxes": boxes, "size": size, **sizes})
        values.append(box_reward(json.dumps(answer(boxes, size)), target, PLACE, settings).value)
    return fmean(values)


def written(extent: Size) -> Answer:
    """Return how a perfect policy writes boxes in a frame in which the image is that large."""

    def answer(boxes: list[Box], size: Size) -> list[list[int]]:
        scale = extent[0] / size[0], extent[1] / size[1]
        return [[round(v * scale[i % 2]) for i, v in enumerate(box)] for box in boxes]

    return answer


def frames(images: list[Image]) -> None:
    """Print the mean reward when pixels of the stored image are taken for granted."""
    width, height = (int(v) for v in images[0][1])
    extents = {
        f"pixels after a resize, at most {limit:,}": qwen_resized((width, height), max_pixels=limit)
        for limit in (1_003_520, 153_664, 50_176, 12_544)
    }
    extents["pixels of an image of twice the size"] = qwen_resized(
        (2 * width, 2 * height), max_pixels=12_845_056
    )
    extents["per-mille"] = (1000, 1000)
    table(
        "the model answers in",
        {f"{k}: {v[0]} x {v[1]}": written(v) for k, v in extents.items()},
        images,
    )


def table(heading: str, answers: dict[str, Answer], images: list[Image]) -> None:
    print(f"\n| {heading} | {' | '.join(f'`{q}`' for q in BOX_QUALITIES)} |")
    print("|---|" + "---|" * len(BOX_QUALITIES))
    for what, answer in answers.items():
        values = [mean_reward(images, answer, quality) for quality in BOX_QUALITIES]
        print(f"| {what} | {' | '.join(f'{value:.3f}' for value in values)} |")


def gaming(images: list[Image]) -> None:
    """Print what answers that have not looked at the image earn."""
    generator = np.random.default_rng(0)

    def random_box(boxes: list[Box], size: Size) -> list[list[float]]:
        sides = np.array(boxes[0][2:]) - boxes[0][:2]
        start = generator.uniform(0, np.array(size) - sides)
        return [[*start.tolist(), *(start + sides).tolist()]]

    answers: dict[str, Answer] = {
        "one box of the whole image": lambda boxes, size: [0, 0, *size],
        "as many random boxes as there are true ones": lambda boxes, size: [
            random_box([box], size)[0] for box in boxes
        ],
        "100 random boxes": lambda boxes, size: [
            random_box([boxes[i % len(boxes)]], size)[0] for i in range(100)
        ],
        "the right boxes, each twice": lambda boxes, size: [*boxes, *boxes],
        "the right boxes, and one of the whole image": lambda boxes, size: [*boxes, [0, 0, *size]],
    }
    table("answer", answers, images)


if __name__ == "__main__":
    main()
