"""Decoded and resized images of a run that did not end well, for the next one.

An entry is known by the content of the image's file and by all that its rendering depends on, so
that a changed file or option is rendered again. It holds the PNG files that rows hold, what was
said of the image, and the digest of its pixels; nothing of where it came from. Boxes are not kept:
they are brought to size anew.

Each process appends its entries to a file of its own: a file an image would cost as much as its
decoding on some disks, and again when the folder is removed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from medreward.data.image_file import path_within
from medreward.data.sources.record import UnusableError
from medreward.errors import ConfigError
from medreward.files.reading import file_digest, parse_json
from medreward.version import __version__


@dataclass(frozen=True)
class KeptImages:
    """The images of one record as an entry holds them.

    Attributes:
        pngs: in order.
        old_size: of the first one before resizing, to which boxes refer.
        size: of the first one.
        digest: of the pixels of all.
        notes: what was done to them.
        facts: allow-listed facts from the first one's header.
        look: a thumbnail's grey values, see `medreward.data.render`.
    """

    pngs: tuple[bytes, ...]
    old_size: tuple[int, int]
    size: tuple[int, int]
    digest: bytes
    notes: tuple[str, ...]
    facts: Mapping[str, str]
    look: bytes = b""


@dataclass(frozen=True)
class RenderCache:
    """A folder of entries; can be pickled and used by several processes at once.

    Attributes:
        folder: made when the first entry is written; a run begins with `forget_log` of it.
        how: all that rendering depends on beside an image's content.
    """

    folder: Path
    how: str

    def key(self, payload: Any) -> str | None:
        """Return the name of the entry of what a source fetched, None if that cannot be known."""
        digest = sha256(f"{__version__}\n{self.how}\n".encode())
        return digest.hexdigest() if _add_content(digest, payload) else None

    def read(self, key: str) -> KeptImages | None:
        """Return an entry, None if there is none or it is not whole."""
        try:
            head, content = _log_of(self.folder).read(key)
            kept = parse_json(head.decode())
            if kept["check"] != sha256(content).hexdigest():
                return None
            ends = np.cumsum([0, *kept["lengths"]]).tolist()
            return KeptImages(
                pngs=tuple(content[a:b] for a, b in pairwise(ends)),
                old_size=(int(kept["old_size"][0]), int(kept["old_size"][1])),
                size=(int(kept["size"][0]), int(kept["size"][1])),
                digest=bytes.fromhex(kept["digest"]),
                notes=tuple(map(str, kept["notes"])),
                facts=dict(kept["facts"]),
                look=bytes.fromhex(kept["look"]),
            )
        except (ConfigError, OSError, ValueError, KeyError, TypeError, IndexError):
            return None

    def write(self, key: str, images: KeptImages) -> None:
        """Write an entry; a full disk only means that it is not kept."""
        content = b"".join(images.pngs)
        head = {
            "lengths": [len(png) for png in images.pngs],
            "old_size": images.old_size,
            "size": images.size,
            "digest": images.digest.hex(),
            "notes": images.notes,
            "facts": dict(images.facts),
            "look": images.look.hex(),
            "check": sha256(content).hexdigest(),
        }
        _log_of(self.folder).append(key, json.dumps(head).encode(), content)


class _Place(NamedTuple):
    """Where an entry stands: its file, where its head begins, and the lengths of its two parts."""

    path: Path
    start: int
    head: int
    content: int


class _Log:
    """The entries of a folder, as one process reads them, and the file to which it appends.

    Before each entry stands a line with its name and the lengths of its head and its content.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"{os.getpid()}.log"
        self._places: dict[str, _Place] = {}
        self._file: BinaryIO | None = None
        self._is_full = False
        for path in sorted(folder.glob("*.log")):
            self._find(path)

    def _find(self, path: Path) -> None:
        """Note the entries of a file, as far as it is whole."""
        try:
            with path.open("rb") as file:
                end = path.stat().st_size
                while line := file.readline():
                    key, head, content = line.decode("ascii").split()
                    place = _Place(path, file.tell(), int(head), int(content))
                    file.seek(place.start + place.head + place.content)
                    if file.tell() > end:
                        return
                    self._places[key] = place
        except (OSError, ValueError):
            return

    def read(self, key: str) -> tuple[bytes, bytes]:
        """Return the head and the content of an entry; raises `KeyError` if there is none."""
        place = self._places[key]
        with place.path.open("rb") as file:
            file.seek(place.start)
            return file.read(place.head), file.read(place.content)

    def append(self, key: str, head: bytes, content: bytes) -> None:
        """Write an entry; after one that cannot be written whole, no other is."""
        if self._is_full:
            return
        try:
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("ab", buffering=0)
            line = f"{key} {len(head)} {len(content)}\n".encode("ascii")
            entry = b"".join((line, head, content))
            start = self._file.tell() + len(line)
            self._is_full = self._file.write(entry) != len(entry)
            self._places[key] = _Place(self._path, start, len(head), len(content))
        except OSError:
            self._is_full = True

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


_LOGS: dict[Path, _Log] = {}  # of this process


def _log_of(folder: Path) -> _Log:
    log = _LOGS.get(folder)
    if log is None:
        log = _LOGS[folder] = _Log(folder)
    return log


def forget_log(folder: Path) -> None:
    """Close what this process has open in a cache's folder, which a run begins or has removed."""
    log = _LOGS.pop(folder, None)
    if log is not None:
        log.close()


def _add_content(digest: Any, payload: Any) -> bool:
    """Add the content of what a source fetched to a digest; return False if it is not known."""
    if isinstance(payload, bytes):
        digest.update(b"bytes" + sha256(payload).digest())
        return True
    if isinstance(payload, np.ndarray):
        digest.update(f"array {payload.shape} {payload.dtype}".encode() + payload.tobytes())
        return True
    if isinstance(payload, Mapping):
        return isinstance(payload.get("bytes"), bytes) and _add_content(digest, payload["bytes"])
    if not isinstance(payload, tuple) or not payload:
        return False
    if isinstance(payload[0], str):
        return _add_file(digest, payload)
    digest.update(f"several {len(payload)}".encode())
    return all(_add_content(digest, one) for one in payload)


def _add_file(digest: Any, place: tuple[Any, ...]) -> bool:
    """Add the content of a file, given as a folder and a path in it, and what is asked of it."""
    folder, relative, *rest = place
    try:
        path = path_within(folder, relative)
        found = path.stat()
        content = _digest_of(path, found.st_mtime_ns, found.st_size)
    except (UnusableError, ConfigError, OSError, TypeError):
        return False
    digest.update(b"file" + content + repr(rest).encode())
    return True


@lru_cache(maxsize=16)  # rows of one volume follow each other
def _digest_of(path: Path, changed: int, size: int) -> bytes:
    """Return a digest of a file's content; when it was changed tells the calls apart."""
    return file_digest(path)
