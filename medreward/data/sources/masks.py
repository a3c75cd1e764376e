"""Images with a mask file each -> boxes around the regions of each value.

A mask has the path of its image, apart from the ending, and may have ``_mask`` before it. Its
values are classes, 0 is background; ``--map 1=lesion`` names them. A box is drawn around each
connected region (pixels that touch by side or corner), or around all pixels of a value.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from medreward.data.image_file import open_image, path_within
from medreward.data.picture import load_file
from medreward.data.sources.base import IMAGES, SourceType, option
from medreward.data.sources.record import (
    NamedBox,
    Record,
    Remark,
    Source,
    UnusableError,
    printable,
)
from medreward.data.sources.table import check_folder, files_in, is_picture
from medreward.errors import ConfigError, expected
from medreward.geometry.value_boxes import boxes_of_values

REGIONS = ("components", "whole")
_LOSSLESS = (".png", ".tif", ".tiff", ".bmp", ".gif", ".pgm", ".dib")
_ENDINGS = ("", "_mask")
_NO_MASK = "no mask; left out, as it may show something"


class MaskFolder(SourceType):
    """Images and a mask for each."""

    flags = (
        IMAGES,
        option("--masks", metavar="DIR", help="a mask an image, with --images"),
    )
    options = (
        option(
            "--mask-regions",
            default="components",
            metavar="HOW",
            help="a box for each of the masks' components (default), or whole: one for each value",
        ),
    )

    def open(self, arguments: argparse.Namespace) -> Source:
        """Return the images with the boxes of their masks."""
        return open_mask_folder(arguments.images, arguments.masks, arguments.mask_regions)


def open_mask_folder(folder: str | Path, masks: str | Path, regions: str = "components") -> Source:
    """Return the images of a folder that have a mask, with boxes around its regions.

    Args:
        folder: the images.
        masks: the masks, with one value a class and 0 for background.
        regions: "components" for a box a connected region, "whole" for one a value.

    Raises:
        ConfigError: if a folder is missing, no image has a mask, or a mask cannot be used.

    >>> import tempfile
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> Image.new("L", (64, 48)).save(folder / "1.png")
    >>> mask = Image.new("L", (64, 48))
    >>> mask.paste(1, (8, 8, 24, 30))
    >>> mask.save(folder / "1_mask.png")
    >>> open_mask_folder(folder, folder).records[0].boxes[0].box
    (8, 8, 24, 30)
    """
    if regions not in REGIONS:
        raise expected("regions", regions, REGIONS)
    check_folder(folder)
    check_folder(masks)
    images = [path for path in files_in(Path(folder)) if is_picture(path)]
    found = {os.path.splitext(p)[0]: p for p in files_in(Path(masks)) if _is_mask(p)}
    if Path(folder).resolve() == Path(masks).resolve():
        images = [p for p in images if not os.path.splitext(p)[0].endswith("_mask")]
        found = {stem: path for stem, path in found.items() if stem.endswith("_mask")}
    records: list[Record] = []
    remarks: list[Remark] = []
    for number, image in enumerate(tqdm(images, desc="masks", unit="mask", disable=None), start=1):
        stem = os.path.splitext(image)[0]
        mask = next((found[stem + end] for end in _ENDINGS if stem + end in found), None)
        if mask is None:
            remarks.append(Remark(printable(image), _NO_MASK))
            continue
        values = _values(masks, mask)
        records.append(
            Record(
                id=f"image-{number:06d}",
                where=printable(image),
                place=(str(folder), image),
                boxes=tuple(boxes_of(values, regions)),
                size=(values.shape[1], values.shape[0]),
                key=image,
            )
        )
    if not records:
        raise ConfigError(f"{masks}: no mask for any of {len(images)} images in {folder}")
    name = f"images with masks {Path(folder).name}"
    return Source(name, records, load_file, remarks=tuple(remarks))


def boxes_of(values: np.ndarray, regions: str = "components") -> Iterator[NamedBox]:
    """Yield the half-open box around each region of a mask (rows by columns), named by its value.

    >>> mask = np.array([[1, 0, 0, 2], [0, 1, 0, 2], [0, 0, 0, 0], [1, 0, 0, 0]])
    >>> [box.box for box in boxes_of(mask) if box.name == "1"]
    [(0, 0, 2, 2), (0, 3, 1, 4)]
    >>> [box.box for box in boxes_of(mask, "whole")]
    [(0, 0, 2, 4), (3, 0, 4, 2)]
    """
    found, boxes = boxes_of_values(values, connected=regions == "components")
    for value, (x1, y1, x2, y2) in zip(found, boxes, strict=True):
        yield NamedBox(str(value), (x1, y1, x2, y2))


def _is_mask(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in _LOSSLESS


def _values(folder: str | Path, name: str) -> np.ndarray:
    """Return the values of a mask file; of a palette image the indices."""
    where = Path(folder) / name
    try:
        with open_image(path_within(str(folder), name)) as opened:
            values = np.asarray(opened)
    except UnusableError as error:
        raise ConfigError(f"{where}: a mask that cannot be read: {error}") from error
    if values.ndim == 3 and (values[..., :1] == values[..., :3]).all():
        values = values[..., 0]  # grey, stored as colour
    if values.ndim != 2 or values.dtype.kind not in "iub":
        raise ConfigError(f"{where}: a mask has one whole number a pixel, 0 for background")
    whole: np.ndarray = values.astype(np.int64)
    return whole
