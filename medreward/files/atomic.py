"""Writing so that a kill leaves the old file or the new one, never half of one."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medreward.errors import ConfigError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path; what was written there takes the place of `path` on success.

    A file replaces a file in one step. A folder replaces a folder in two, between which `path`
    does not exist. After an error, the old content is still there and the temporary path is gone.
    A link is followed: what it points to is replaced, and the link stays. A device or a pipe, such
    as /dev/null, is written to and never replaced.

    Raises:
        ConfigError: if `path` cannot be written to, is a folder where a file was written, a socket
            or a disk, a pipe that nobody reads, or the disk is full.

    >>> out = Path(tempfile.mkdtemp()) / "report.txt"
    >>> with replacing(out) as scratch:
    ...     _ = scratch.write_text("whole or not at all")
    >>> out.read_text()
    'whole or not at all'
    """
    path = Path(path)
    try:
        target = path.resolve() if path.is_symlink() else path
        kind = _kind_of(target)
        if kind is not None and not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            _check_stream(path, kind)
            parent = None
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            parent = target.parent
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=parent))
    except (OSError, ValueError, RuntimeError) as error:
        raise _unwritable(path, error) from error
    try:
        written = scratch / target.name
        yield written
        if parent is None:
            _pour(written, target)
            return
        _sync(written)
        if written.is_dir() and target.is_dir():
            target.rename(scratch / "old")
        written.replace(target)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _unwritable(path: Path, error: Exception) -> ConfigError:
    reason = getattr(error, "strerror", None) or error
    if isinstance(error, OSError) and error.errno == errno.ENXIO:
        reason = "it is a pipe that nobody reads"
    return ConfigError(f"{path}: cannot be written: {reason}")


def _kind_of(path: Path) -> int | None:
    """Return the mode of what is at a path, or None where nothing is."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _check_stream(path: Path, kind: int) -> None:
    """Raise `ConfigError` for what is neither a file, a folder nor a stream."""
    if not (stat.S_ISCHR(kind) or stat.S_ISFIFO(kind)):
        what = "a disk" if stat.S_ISBLK(kind) else "a socket"
        raise ConfigError(f"{path}: cannot be written: it is {what}; name a file")


def _pour(written: Path, stream: Path) -> None:
    """Write a finished file into a device or a pipe; a pipe that nobody reads is an error."""
    if written.is_dir():
        raise ConfigError(f"{stream}: cannot be written: it is no folder")
    with os.fdopen(os.open(stream, os.O_WRONLY | os.O_NONBLOCK), "wb") as sink:
        os.set_blocking(sink.fileno(), True)
        with written.open("rb") as source:
            shutil.copyfileobj(source, sink)


def write_text_atomic(path: str | Path, text: str) -> None:
    """Write `text` to a file as UTF-8, whole or not at all."""
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


def _sync(written: Path) -> None:
    """Have the disk hold what was written before it takes its place."""
    if written.is_file():
        with written.open("rb") as file:
            os.fsync(file.fileno())
