"""What a source knows of an image before it is opened, and how names from the wild are shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import NamedTuple, Protocol

from medreward.data.images import SUFFIXES, Picture
from medreward.errors import ConfigError
from medreward.task import Box

SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


class Opener(Protocol):
    """An image still to be opened; travels between processes."""

    def digest(self) -> bytes:
        """Return a digest of the image's bytes, equal for identical images."""
        ...

    def open(self) -> Picture:
        """Return the image, or raise `medreward.data.images.FileProblemError`."""
        ...


@dataclass(frozen=True)
class Record:
    """An image of a source, not yet opened.

    Attributes:
        id: unique within the source; letters, digits, ``.``, ``_`` and ``-``.
        image: opens it.
        where: how messages and reports name it: a file or a row.
        label: the label as the source writes it; None in a source of boxes.
        boxes: half-open boxes [x1, y1, x2, y2] in pixels of the upright image.
        frame: width and height of the image that the boxes were drawn on, if the source says.
        split: the split that the source gives.
        patient: whose image it is; used to split and to find leaks, and never written anywhere.
        row: the row of a table that it comes from.
    """

    id: str
    image: Opener
    where: str
    label: str | None = None
    boxes: tuple[Box, ...] | None = None
    frame: tuple[int, int] | None = None
    split: str | None = None
    patient: str | None = None
    row: str = ""

    @property
    def private(self) -> str:
        """How messages about the patient name it: by row, since file names may name patients."""
        return self.row or self.where


class Found(NamedTuple):
    """The records of a source in its order, and lines for the report."""

    records: list[Record]
    notes: list[str]


def shown(name: object) -> str:
    r"""Return a name on one line that any terminal can print.

    >>> print(shown("scan" + chr(10) + "1.png"))
    scan\n1.png
    """
    text = str(name)
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def safe_ids(names: Iterable[str]) -> Iterator[str]:
    """Yield an id for each name, safe as a file name and given once, in order.

    >>> list(safe_ids(["a b.png", "a_b.jpg", "ü/x.png"]))
    ['a_b', 'a_b-2', '_-x']
    """
    given: set[str] = set()
    for name in names:
        stem = name.rpartition(".")[0] or name
        base = re.sub(r"[^A-Za-z0-9._-]", "_", stem.replace("/", "-")).strip(".")[-120:] or "image"
        for number in count(1):
            new = base if number == 1 else f"{base}-{number}"
            if new.lower() not in given:
                break
        given.add(new.lower())
        yield new


def folder(path: Path) -> Path:
    """Return `path` if it is a folder, or raise `ConfigError`."""
    if not path.is_dir():
        raise ConfigError(f"{shown(path)}: not a folder")
    return path


def image_files(root: Path) -> list[str]:
    """Return the paths of all image files below `root`, relative to it and sorted.

    Hidden files are left out and links to folders not followed.
    """
    found = (
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.suffix.lower() in SUFFIXES and (path.is_symlink() or not path.is_dir())
    )
    return sorted(name for name in found if not any(p.startswith(".") for p in name.split("/")))
