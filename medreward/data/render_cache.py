"""Decoded and resized images of a run that did not end well, for the next one.

An entry is known by the content of the image's file and by all that its rendering depends on, so
that a changed file or option is rendered again. It holds the PNG files that rows hold, what was
said of the image, and the digest of its pixels; nothing of where it came from. Boxes are not kept:
they are brought to size anew.
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
from typing import Any

import numpy as np

from medreward.data.image_file import path_within
from medreward.data.sources.record import UnusableError
from medreward.errors import ConfigError
from medreward.files.reading import file_digest, parse_json, read_bytes
from medreward.version import __version__


@dataclass(frozen=True)
class KeptImages:
    """The images of one record as an entry holds them.

    Attributes:
        pngs: in order.
        old_size: of the first one before resizing, to which boxes refer.
        size: of the first one.
        digest: of the pixels of all, before resizing.
        notes: what was done to them.
        facts: allow-listed facts from the first one's header.
    """

    pngs: tuple[bytes, ...]
    old_size: tuple[int, int]
    size: tuple[int, int]
    digest: bytes
    notes: tuple[str, ...]
    facts: Mapping[str, str]


@dataclass(frozen=True)
class RenderCache:
    """A folder of entries; can be pickled and used by several processes at once.

    Attributes:
        folder: made when the first entry is written.
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
            head, _, content = read_bytes(self._path(key)).partition(b"\n")
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
            )
        except (ConfigError, ValueError, KeyError, TypeError, IndexError):
            return None

    def write(self, key: str, images: KeptImages) -> None:
        """Write an entry, whole or not at all; a full disk only means that it is not kept."""
        content = b"".join(images.pngs)
        head = {
            "lengths": [len(png) for png in images.pngs],
            "old_size": images.old_size,
            "size": images.size,
            "digest": images.digest.hex(),
            "notes": images.notes,
            "facts": dict(images.facts),
            "check": sha256(content).hexdigest(),
        }
        path = self._path(key)
        scratch = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            scratch.write_bytes(json.dumps(head).encode() + b"\n" + content)
            scratch.replace(path)
        except OSError:
            scratch.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / key[2:]


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
