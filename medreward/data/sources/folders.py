"""A folder for each class, with or without a folder for each split above them."""

from __future__ import annotations

import argparse
from pathlib import Path, PurePath

from medreward.data.picture import load_file
from medreward.data.sources.base import SourceType, option
from medreward.data.sources.record import Record, Remark, Source, printable
from medreward.data.sources.table import check_folder, files_in, is_picture
from medreward.data.splits import split_name
from medreward.errors import ConfigError


class ClassFolders(SourceType):
    """A folder a class."""

    flags = (option("--folders", metavar="DIR", help="CLASS/image or SPLIT/CLASS/image"),)

    def open(self, arguments: argparse.Namespace) -> Source:
        """Return the images with their folders for labels."""
        return open_class_folders(arguments.folders)


def open_class_folders(folder: str | Path) -> Source:
    """Return the images of ``CLASS/…`` or ``SPLIT/CLASS/…``; splits are train, val(idation), test.

    Raises:
        ConfigError: if there is no such folder, or no image in a folder of it.

    >>> import tempfile
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "pneumonia").mkdir()
    >>> Image.new("L", (32, 32)).save(folder / "pneumonia" / "1.png")
    >>> [record.label for record in open_class_folders(folder).records]
    ['pneumonia']
    """
    check_folder(folder)
    paths = files_in(Path(folder))
    pictures = [p for p in paths if is_picture(p) and len(PurePath(p).parts) > 1]
    if not pictures:
        raise ConfigError(f"{folder}: no image in a folder of it; expected CLASS/image.png")
    depth = _split_depth(pictures)
    records = [_record(folder, path, depth, i) for i, path in enumerate(pictures, start=1)]
    rest = sorted(set(paths) - set(pictures))
    remarks = tuple(Remark(printable(p), "not an image in a class folder; left out") for p in rest)
    return Source(f"folder per class {Path(folder).name}", records, load_file, remarks=remarks)


def _split_depth(pictures: list[str]) -> int:
    """Return 1 if every top folder is named as a split and has folders, else 0."""
    for path in pictures:
        parts = PurePath(path).parts
        try:
            split_name(parts[0])
        except ConfigError:
            return 0
        if len(parts) < 3:
            return 0
    return 1


def _record(folder: str | Path, path: str, depth: int, number: int) -> Record:
    parts = PurePath(path).parts
    return Record(
        id=f"image-{number:06d}",
        where=printable(path),
        place=(str(folder), path),
        label=parts[depth],
        split=split_name(parts[0]) if depth else None,
        key=path,
    )
