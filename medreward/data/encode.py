"""Records -> PNG images with their boxes, in worker processes and in order."""

from __future__ import annotations

import io
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from PIL import Image

from medreward.data.images import FileProblemError, Picture
from medreward.errors import ConfigError
from medreward.task import Box

if TYPE_CHECKING:
    from medreward.data.sources.record import Record

_In = TypeVar("_In")
_Out = TypeVar("_Out")
_COMPRESSION = 4  # a third of the time of zlib's 6 on photographs, for 1.5 % more bytes
_CHUNK = 8  # items a task: few enough to keep workers busy to the end
_AHEAD = 4  # tasks a worker that may be done or under way before the first is taken


@dataclass(frozen=True)
class Encoded:
    """An image as PNG bytes with its boxes, or the problem with its file.

    Attributes:
        png: the image; without metadata.
        size: width and height of the image in `png`.
        boxes: half-open boxes in pixels of that image.
        notes: what was done to the image or its boxes.
        facts: facts of the source that may be published.
        problem: why the file cannot be used; then there is no image.
    """

    png: bytes = b""
    size: tuple[int, int] = (0, 0)
    boxes: tuple[Box, ...] | None = None
    notes: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Encoder:
    """Opens a record's image, scales it and its boxes, and encodes it; travels to workers.

    Attributes:
        size: the longer side of the image in pixels; None leaves it as it is.
    """

    size: int | None = None

    def __call__(self, record: Record) -> Encoded:
        """Return the record's image and boxes, or the problem with its file."""
        try:
            picture = record.image.open()
            return self._encoded(record, picture)
        except FileProblemError as problem:
            return Encoded(problem=str(problem))

    def _encoded(self, record: Record, picture: Picture) -> Encoded:
        _check_frame(record, picture)
        image = _scaled(picture.image, self.size)
        boxes, notes = record.boxes, picture.notes
        if boxes is not None:
            kept = [clipped(box, picture.image.size) for box in boxes]
            if None in kept:
                notes += ("box outside the image: dropped",)
            elif tuple(kept) != boxes:
                notes += ("box over the image's edge: clipped",)
            factors = image.width / picture.image.width, image.height / picture.image.height
            boxes = tuple(scaled_box(box, factors) for box in kept if box is not None)
        return Encoded(encode_png(image), image.size, boxes, notes, picture.facts)


def digest(record: Record) -> bytes | str:
    """Return the digest of a record's image, or the problem with its file as text."""
    try:
        return record.image.digest()
    except FileProblemError as problem:
        return str(problem)
    except OSError as error:
        return error.strerror or type(error).__name__


def encode_png(image: Image.Image) -> bytes:
    """Return an image as PNG with nothing but its pixels."""
    clean = image.copy()
    clean.info = {}
    buffer = io.BytesIO()
    clean.save(buffer, format="PNG", compress_level=_COMPRESSION)
    return buffer.getvalue()


def clipped(box: Box, size: tuple[int, int]) -> Box | None:
    """Return the part of a box in an image of `size`, or None if there is none.

    >>> clipped((-2, 3, 8, 30), (10, 10)), clipped((12, 0, 14, 5), (10, 10))
    ((0, 3, 8, 10), None)
    """
    x1, y1, x2, y2 = box
    x1, y1, x2, y2 = max(x1, 0), max(y1, 0), min(x2, size[0]), min(y2, size[1])
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


def scaled_box(box: Box, factors: tuple[float, float]) -> Box:
    """Return a box times (horizontal, vertical) `factors`, to hundredths of a pixel.

    >>> scaled_box((10, 20, 31, 40), (0.5, 0.25))
    (5, 5, 15.5, 10)
    """
    x1, y1, x2, y2 = (_round(v * factors[i % 2]) for i, v in enumerate(box))
    return x1, y1, max(x2, x1 + 0.01), max(y2, y1 + 0.01)


def _round(value: float) -> float:
    value = round(float(value), 2)
    return int(value) if value.is_integer() else value


def _scaled(image: Image.Image, size: int | None) -> Image.Image:
    """Return an image with its longer side at `size` pixels, its proportions kept."""
    if size is None or max(image.size) == size:
        return image
    factor = size / max(image.size)
    width, height = (max(1, round(side * factor)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _check_frame(record: Record, picture: Picture) -> None:
    if record.boxes and record.frame and record.frame != picture.image.size:
        drawn, real = (f"{w} x {h}" for w, h in (record.frame, picture.image.size))
        raise FileProblemError(f"has boxes drawn on {drawn} pixels; the upright image has {real}")


class Workers:
    """Processes that map a function over items, in order, with few results waiting."""

    def __init__(self, count: int, pool: ProcessPoolExecutor | None) -> None:
        self.count = count
        self._pool = pool

    def map(self, function: Callable[[_In], _Out], items: Iterable[_In]) -> Iterator[_Out]:
        """Yield the function's results in the order of the items.

        Raises:
            ConfigError: if a worker died, as when memory is short.
        """
        if self._pool is None:
            yield from map(function, items)
            return
        source = iter(items)
        waiting: deque[Future[list[_Out]]] = deque()
        try:
            while True:
                while len(waiting) < self.count * _AHEAD and (
                    chunk := list(islice(source, _CHUNK))
                ):
                    waiting.append(self._pool.submit(_apply, function, chunk))
                if not waiting:
                    return
                yield from waiting.popleft().result()
        except BrokenProcessPool as error:
            raise ConfigError(
                "a worker process was ended from outside, as when memory is short; "
                "fewer --workers need less of it"
            ) from error


@contextmanager
def workers(count: int | None = None) -> Iterator[Workers]:
    """Give `count` worker processes (default: one for each core); 1 stays in this process."""
    count = count or _cores()
    if count == 1:
        yield Workers(1, None)
        return
    # "spawn": a forked copy of a process with threads (pyarrow's) can hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_end_with_parent)
    try:
        yield Workers(count, pool)
    finally:
        pool.shutdown(cancel_futures=True)


def _cores() -> int:
    """Return how many cores this process may use; macOS does not say."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _apply(function: Callable[[_In], _Out], items: list[_In]) -> list[_Out]:
    return [function(item) for item in items]


def _end_with_parent() -> None:
    """Have this worker end when the process that started it does, however that ended."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
