"""A folder for each class, with or without a folder for each split above or below them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath

from medreward.data.image_file import open_image
from medreward.data.picture import load_file
from medreward.data.record_list import RecordList
from medreward.data.sources.base import SourceType, option
from medreward.data.sources.mask_names import (
    find_derived,
    find_masks,
    in_place_of_classes,
    pair_by_folders,
)
from medreward.data.sources.record import Record, Remark, Source, UnusableError, printable
from medreward.data.sources.table import check_folder, files_in, is_picture
from medreward.data.splits import split_or_none
from medreward.errors import ConfigError, quote

_FOLD = re.compile(r"(cv|k)?[ _-]?fold[ _-]?\d+", re.I)


class ClassFolders(SourceType):
    """A folder a class."""

    flags = (
        option(
            "--folders", metavar="DIR", help="CLASS/image, SPLIT/CLASS/image or CLASS/SPLIT/image"
        ),
    )
    example = "--task busi --folders Dataset_BUSI"

    def open(self, arguments: argparse.Namespace) -> Source:
        """Return the images with their folders for labels."""
        return open_class_folders(arguments.folders)


def open_class_folders(folder: str | Path) -> Source:
    """Return the images of ``CLASS/…``, ``SPLIT/CLASS/…`` or ``CLASS/SPLIT/…``.

    Splits are train, val(idation) and test. A file that is named as a mask of another image, such
    as ``1_mask.png`` beside ``1.png``, is no image of a class.

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
    found = [p for p in paths if is_picture(p) and len(PurePath(p).parts) > 1]
    if two := in_place_of_classes(pair_by_folders(found)):
        raise ConfigError(
            f"{folder}: its folders {quote(two[0])} and {quote(two[1])} hold images and their "
            f"masks, and no classes; --images {folder} --masks {folder} takes them as that"
        )
    masks = find_masks(found)
    derived = find_derived(p for p in found if p not in masks)
    flat = {p for p in derived if _is_flat(Path(folder) / p)}
    masks |= flat
    pictures = [p for p in found if p not in masks]
    if not pictures:
        raise ConfigError(f"{folder}: no image in a folder of it; expected CLASS/image.png")
    level = _split_level(str(folder), pictures)
    numbered = enumerate(pictures, start=1)
    records = RecordList(_record(folder, path, level, i) for i, path in numbered)
    rest = sorted({*paths} - {*found})
    remarks = (
        *_say_derived({p: other for p, other in derived.items() if p not in flat}),
        *_say_folds(pictures),
        *(Remark(printable(p), "not an image in a class folder; left out") for p in rest),
        *(
            Remark(printable(p), "by its name a mask of another image; left out")
            for p in sorted(masks)
        ),
    )
    return Source(f"folder per class {Path(folder).name}", records, load_file, remarks=remarks)


def _is_flat(path: Path) -> bool:
    """Whether a picture has two values at most, as masks have."""
    try:
        with open_image(path) as opened:
            return bool(opened.getcolors(2))
    except UnusableError:
        return False  # which is said when it is read


def _say_derived(derived: Mapping[str, str]) -> Iterator[Remark]:
    if derived:
        path, other = next(iter(derived.items()))
        what = "named after another one of the folder: a copy or an overlay? taken as images"
        detail = f"such as {printable(path)} after {printable(other)}"
        yield Remark(f"{len(derived)} pictures", what, detail)


def _say_folds(pictures: Sequence[str]) -> Iterator[Remark]:
    folds = sum(any(map(_FOLD.fullmatch, PurePath(path).parts[:-1])) for path in pictures)
    if folds:
        yield Remark(f"{folds} images", "in folders named as folds, which are not used")


def _split_level(folder: str, pictures: list[str]) -> int | None:
    """Return at which level the folders are named as splits: 0 is the top, None for no level.

    Raises:
        ConfigError: if below the classes some are named as splits, and others not.
    """
    parts = {path: PurePath(path).parts[:-1] for path in pictures}
    for level in range(max(map(len, parts.values()))):
        named = {
            p: len(own) > level and split_or_none(own[level]) is not None
            for p, own in parts.items()
        }
        if all(named.values()) and all(len(own) > 1 for own in parts.values()):
            return level
        if level and any(named.values()):
            inside = next(path for path in pictures if named[path])
            outside = next(path for path in pictures if not named[path])
            raise ConfigError(
                f"{folder}: {quote(inside)} is in a folder named as a split, and {quote(outside)} "
                f"is not; give every class its folders of splits, or none"
            )
    return None


def _record(folder: str | Path, path: str, level: int | None, number: int) -> Record:
    parts = PurePath(path).parts
    return Record(
        id=f"image-{number:06d}",
        where=printable(path),
        place=(str(folder), path),
        label=parts[1 if level == 0 else 0],
        split=None if level is None else split_or_none(parts[level]),
        key=path,
    )
