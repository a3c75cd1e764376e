"""How long `medreward prepare` takes against decoding and encoding its images alone.

    python benchmarks/prepare.py FOLDER_OF_IMAGES [--repeat N] [--workers N] [--size PIXELS]

The folder's images are linked N times under classes "a" and "b". "Alone" is opening each image,
scaling it and writing it as PNG to memory, in one process, divided by the number of workers.
Copies in two splits are kept, since the images are copies of each other.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

from medreward import Task
from medreward.data.encode import Encoder
from medreward.data.images import SUFFIXES
from medreward.data.prepare import Settings, prepare
from medreward.data.sources import class_folders
from medreward.task import Label


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeat", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--size", type=int)
    arguments = parser.parse_args()
    files = sorted(p for p in arguments.folder.iterdir() if p.suffix.lower() in SUFFIXES)
    with tempfile.TemporaryDirectory() as name:
        measure(Path(name), files, arguments)


def measure(folder: Path, files: list[Path], arguments: argparse.Namespace) -> None:
    for number in range(arguments.repeat):
        for i, file in enumerate(files):
            copy = folder / "images" / "ab"[i % 2] / f"{number}-{file.name}"
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    found = class_folders.records(folder / "images")
    encoder = Encoder(arguments.size)
    start = time.perf_counter()
    for record in found.records[:: arguments.repeat]:
        encoder(record)
    each = (time.perf_counter() - start) / len(found.records[:: arguments.repeat])
    alone = each * len(found.records) / arguments.workers
    task = Task("ab", labels=(Label("a"), Label("b")), question="Which?")
    settings = Settings(size=arguments.size, workers=arguments.workers, on_leak="keep")
    start = time.perf_counter()
    prepare(found, task, folder / "out", settings)
    took = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{len(found.records)} images, {arguments.workers} workers: prepare {took:.1f} s, "
        f"decode and encode alone {alone:.1f} s, {took / alone:.2f} times; "
        f"{len(found.records) / took:.0f} images/s; main process at most {peak:.0f} MB"
    )


if __name__ == "__main__":
    main()
