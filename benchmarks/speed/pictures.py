"""Transforms and `prepare` against the same calls of PIL, alone and in `datasets.map`."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from benchmarks import prepare
from benchmarks.speed import transforms
from benchmarks.speed.measure import REPEATS, Pair, Row, compared, timed
from medreward.perception import Region, Sample, parse

CORNERS = (40, 30, 600, 450)
PIPELINE = parse(f"Flip(horizontal) | Crop({list(CORNERS)})")
IMAGES, SIZE, WORKERS = 1000, 224, 2


def rows(short: bool) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = prepare._make(folder, 8 if short else IMAGES)
        yield from transformed([path.read_bytes() for path in paths[:32]], short)
        yield from transforms.rows(Image.open(paths[0]).convert("RGB"), short)
        if not short:
            yield from prepared(folder, paths)


def transformed(jpegs: list[bytes], short: bool) -> Iterator[Row]:
    """Flip and crop an image, in medreward with its boxes and words."""

    def ours(image: Image.Image) -> Image.Image:
        regions = tuple(Region(box, "cell", key=key) for key, box in enumerate(transforms.BOXES))
        after = PIPELINE.draw(0, "row")(Sample((image,), regions, {"question": "Which cells?"}))
        assert after.regions
        return after.image

    def plain(image: Image.Image) -> Image.Image:
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).crop(CORNERS)

    def through(change: Callable[[Image.Image], Image.Image]) -> list[bytes]:
        return [_encoded(change(Image.open(io.BytesIO(jpeg)).convert("RGB"))) for jpeg in jpegs]

    pair = Pair(
        lambda: through(ours),
        lambda: through(plain),
        _same_bytes,
        len(jpegs),
        "decoding and encoding alone",
        lambda: through(lambda image: image.crop(CORNERS)),
    )
    names = (
        f"decode, flip and crop with {len(transforms.BOXES)} boxes, encode",
        f"{len(jpegs)} JPEG of 640×480",
        "the same calls of PIL, image only",
    )
    yield compared(names, pair, 0 if short else REPEATS)


def prepared(folder: Path, paths: list[Path]) -> Iterator[Row]:
    """Run `prepare` on a folder, which also checks, splits, finds copies and builds prompts."""
    ours = partial(prepare._whole, folder, SIZE, WORKERS)
    theirs = partial(mapped, paths, SIZE, WORKERS)
    ours()
    written = {
        image["bytes"]
        for file in (folder / "rows").glob("*.parquet")
        for row in pq.read_table(file, columns=["images"]).to_pylist()
        for image in row["images"]
    }
    _same_images(written, set(theirs()))
    alone = partial(prepare._alone, paths, SIZE, WORKERS)
    runs = [tuple(timed(work, perf_counter) for work in (ours, theirs, alone)) for _ in range(3)]
    names = (
        "`prepare`, 2 processes",
        f"{len(paths):,} JPEG of 640×480 to {SIZE} px",
        "`datasets.map` with the same calls of PIL",
    )
    one, least = (median(run[i] for run in runs) / len(paths) for i in (0, 2))
    ratios = [other / own for own, other, _ in runs]
    yield Row(*names, one, ratios, "PIL's decoder, resize and encoder in 2 processes", least)


def mapped(paths: list[Path], size: int, workers: int) -> list[bytes]:
    """Return the images as PNG, made by `datasets.map`."""
    import datasets

    datasets.disable_caching()
    datasets.disable_progress_bars()
    rows = datasets.Dataset.from_dict({"path": [str(path) for path in paths]})
    made = rows.map(partial(_mapped_row, size), num_proc=workers)
    return list(made["image"])


def _mapped_row(size: int, row: dict[str, Any]) -> dict[str, bytes]:
    return {"image": prepare._one(size, Path(row["path"]))}


def _encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def _same_bytes(ours: list[bytes], theirs: list[bytes]) -> None:
    assert ours == theirs, "images differ"


def _same_images(ours: set[bytes], theirs: set[bytes]) -> None:
    """Compare images, whatever their order and compression."""
    assert _pixels(ours) == _pixels(theirs), "images differ"


def _pixels(images: set[bytes]) -> set[bytes]:
    return {np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).tobytes() for data in images}
