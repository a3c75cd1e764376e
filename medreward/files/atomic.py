"""Writing so that a kill leaves the old file or the new one, never half of one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medreward.errors import ConfigError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; what was written there takes its place on success.

    A file replaces a file in one step. A folder replaces a folder in two, between which `path`
    does not exist. After an error, the old content is still there and the temporary path is gone.

    Raises:
        ConfigError: if the folder of `path` cannot be written to, or the disk is full.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from error
    try:
        written = scratch / path.name
        yield written
        _sync(written)
        if written.is_dir() and path.is_dir():
            path.rename(scratch / "old")
        written.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_text_atomic(path: str | Path, text: str) -> None:
    """Write `text` to a file as UTF-8, whole or not at all."""
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


def _sync(written: Path) -> None:
    """Have the disk hold what was written before it takes its place."""
    if written.is_file():
        with written.open("rb") as file:
            os.fsync(file.fileno())
