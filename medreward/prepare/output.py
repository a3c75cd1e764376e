"""The folder that rows are written to: unfinished files aside, finished ones in their places."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from medreward.data.render_cache import forget_log
from medreward.data.splits import SPLITS
from medreward.errors import ConfigError

CARD, SHEET = "dataset_card.md", "contact_sheet.png"
ORDER = ("test", "val", "train")  # of a picture in two splits, the one in test stays
_PARTIAL, _CACHE = ".medreward-partial", ".medreward-cache"


@contextmanager
def partial_folder(out: Path, name: str = "") -> Iterator[Path]:
    """Give an empty folder in `out` for what is not finished; a killed run's is removed.

    Args:
        out: the folder; it is removed at the end if it was not there and nothing was written to it.
        name: tells parts of a run apart, which may run at once.
    """
    folder, is_new = out / f"{_PARTIAL}{name}", not out.exists()
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written: {error.strerror or error}") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if is_new and not any(out.iterdir()):
            with suppress(OSError):  # another part has begun
                out.rmdir()


@contextmanager
def kept_images(out: Path, name: str = "") -> Iterator[Path]:
    """Give a folder in `out` for rendered images, which goes when all has gone well.

    After an error it stays, with a line in the error's message, and a killed run leaves it: the
    next run finds there what was rendered.

    Raises:
        ConfigError: what was raised, with that line.
    """
    folder = out / f"{_CACHE}{name}"
    try:
        yield folder
    except ConfigError as error:
        if not folder.exists():
            raise
        raise ConfigError(
            f"{error}\n(rendered images are kept in {folder} for the next run, which removes them; "
            f"--no-cache keeps none)"
        ) from error
    forget_log(folder)
    shutil.rmtree(folder, ignore_errors=True)


def split_files(folder: Path, split: str) -> list[Path]:
    """Return the files of a split in a folder: one, or its shards in order."""
    whole = folder / f"{split}.parquet"
    return [whole] if whole.exists() else sorted(folder.glob(f"{split}-*-of-*.parquet"))


def publish(folder: Path, out: Path) -> tuple[Path, ...]:
    """Move the finished files to `out`, the card last: without it, a folder is not complete."""
    (out / CARD).unlink(missing_ok=True)
    for split in SPLITS:
        (out / f"{split}.parquet").unlink(missing_ok=True)
        for old in out.glob(f"{split}-*-of-*.parquet"):
            old.unlink()
    rows = [file.name for split in SPLITS for file in split_files(folder, split)]
    (out / SHEET).unlink(missing_ok=True)
    sheet = [SHEET] if (folder / SHEET).exists() else []
    return tuple((folder / name).replace(out / name) for name in (*rows, *sheet, CARD))
