"""How long `prepare` takes, against decoding, resizing and encoding the same images and no more.

Both use as many processes. `prepare` also checks labels, splits and duplicates, builds prompts and
writes parquet, the card and the contact sheet. Best of three, in turns:

    python benchmarks/prepare.py [--images 2000] [--size 224] [--workers 2]
"""

from __future__ import annotations

import argparse
import csv
import io
import multiprocessing
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from medreward import Task
from medreward.data.sources import table
from medreward.prepare.options import Options
from medreward.prepare.run import prepare

SIDES = (640, 480)
RUNS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = _make(folder, arguments.images)
        alone, whole = [], []
        for _ in range(RUNS):
            alone.append(_timed(partial(_alone, paths, arguments.size, arguments.workers)))
            whole.append(_timed(partial(_whole, folder, arguments.size, arguments.workers)))
    print(f"{arguments.images} JPEG of {SIDES[0]}x{SIDES[1]}, to {arguments.size} px, ", end="")
    print(f"{arguments.workers} processes, best of {RUNS}")
    for what, seconds in (("decode+resize+encode alone", alone), ("medreward prepare", whole)):
        print(f"{what:28}{min(seconds):7.2f} s {arguments.images / min(seconds):8.0f} images/s")
    print(f"{'ratio':28}{min(whole) / min(alone):7.2f}")


def _make(folder: Path, count: int) -> list[Path]:
    """Write photographs that no two are the same, smooth with some noise, and their CSV file."""
    rng = np.random.default_rng(0)
    paths = []
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "label"])
        for i in range(count):
            coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
            values = np.asarray(coarse.resize(SIDES, Image.Resampling.BICUBIC), dtype=float)
            noisy = np.clip(values + rng.normal(0, 6, (SIDES[1], SIDES[0], 1)), 0, 255)
            paths.append(folder / f"{i:05d}.jpg")
            Image.fromarray(noisy.astype(np.uint8)).save(paths[-1], quality=90)
            writer.writerow([paths[-1].name, ("normal", "pneumonia")[i % 2]])
    return paths


def _one(size: int, path: Path) -> bytes:
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    scale = size / max(image.size)
    sides = round(image.width * scale), round(image.height * scale)
    buffer = io.BytesIO()
    image.resize(sides, Image.Resampling.BICUBIC).save(buffer, format="PNG")
    return buffer.getvalue()


def _alone(paths: list[Path], size: int, workers: int) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context) as pool:
        assert all(pool.map(partial(_one, size), paths, chunksize=8))


def _whole(folder: Path, size: int, workers: int) -> None:
    options = Options(size=size, workers=workers)
    source = table.open_table(folder, folder / "labels.csv")
    prepare(source, Task.load("pneumoniamnist"), folder / "rows", options)


def _timed(work: partial[None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
