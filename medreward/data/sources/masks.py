"""Images with a mask file each -> boxes around the regions of each value.

A mask has the path of its image, apart from the ending, and may have ``_mask``, ``_segmentation``
or ``_seg``, and a number, before it; an image may have several. Its
values are classes, 0 is background; ``--map 1=lesion`` names them. A box is drawn around each
connected region (pixels that touch by side or corner), or around all pixels of a value.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from medreward.data.image_file import open_image, path_within
from medreward.data.picture import load_file
from medreward.data.sources.base import IMAGES, SourceType, option
from medreward.data.sources.mask_names import find_masks, image_stem, pair_by_rest
from medreward.data.sources.record import (
    ANY_OBJECT,
    NamedBox,
    NamedMasks,
    Record,
    Remark,
    Source,
    UnusableError,
    printable,
)
from medreward.data.sources.table import check_folder, files_in, is_picture
from medreward.errors import ConfigError, expected
from medreward.files.progress import show_progress
from medreward.geometry.masks import mask_json, parse_mask
from medreward.geometry.value_boxes import boxes_of_values

REGIONS = ("components", "whole", "instances")
PIXELS = "pixels"  # no boxes, but the mask itself
_LOSSLESS = (".png", ".tif", ".tiff", ".bmp", ".gif", ".pgm", ".dib")
_LOSS, _MOST_BETWEEN = 64, 0.02  # how far JPEG takes a value, and how many at edges
_NO_MASK = "no mask; left out, as it may show something"


MASK_REGIONS = option(
    "--mask-regions",
    metavar="HOW",
    help="a box for each of the masks' components (default), whole: one for each value, "
    "instances: each value is an object of the card's only label, or pixels: the mask itself "
    "(default for a card that asks for a mask)",
)


class MaskFolder(SourceType):
    """Images and a mask for each."""

    flags = (
        IMAGES,
        option("--masks", metavar="DIR", help="one or more masks for each image, with --images"),
    )
    options = (
        MASK_REGIONS,
        option(
            "--mask-value",
            type=int,
            metavar="N",
            help="with --mask-regions pixels: the value of the mask, where there are several",
        ),
    )
    example = "--task lesions.yaml --images photos --masks masks --map 255=lesion"

    def open(self, arguments: argparse.Namespace) -> Source:
        """Return the images with the boxes of their masks."""
        return open_mask_folder(
            arguments.images, arguments.masks, arguments.mask_regions, value=arguments.mask_value
        )


def open_mask_folder(
    folder: str | Path,
    masks: str | Path,
    regions: str = "components",
    *,
    value: int | None = None,
) -> Source:
    """Return the images of a folder that have a mask, with boxes around its regions.

    Args:
        folder: the images.
        masks: the masks, with one value a class and 0 for background.
        regions: "components" for a box a connected region, "whole" for one a value, "instances"
            for one a value, each of which is an object of the same class ("object"); "pixels" for
            no boxes, but the mask itself as a label.
        value: with "pixels", the value of the mask; None: that which is not 0, if it is one.

    An image whose mask cannot be used has that for its problem.

    Raises:
        ConfigError: if a folder is missing, no image has a mask, or masks have several values and
            `value` does not say which is meant.

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
    if regions not in (*REGIONS, PIXELS):
        raise expected("regions", regions, (*REGIONS, PIXELS))
    if value is not None and regions != PIXELS:
        raise ConfigError("--mask-value: it goes with --mask-regions pixels")
    check_folder(folder)
    check_folder(masks)
    images = [path for path in files_in(Path(folder)) if is_picture(path)]
    found = [path for path in files_in(Path(masks)) if is_picture(path)]
    if Path(folder).resolve() == Path(masks).resolve():
        named = find_masks(found)
        images, found = [p for p in images if p not in named], sorted(named)
    own, remarks = _masks_by_image(images, found)
    records: list[Record] = []
    taken = _Taken(str(masks), regions, value)
    for number, image in enumerate(show_progress(images, desc="masks", unit="mask"), start=1):
        if not own[image]:
            remarks.append(Remark(printable(image), _NO_MASK))
            continue
        place = (str(folder), image)
        bare = Record(f"image-{number:06d}", printable(image), place, key=image)
        records.append(taken.add(bare, own[image]))
    remarks += taken.remarks
    if not records:
        raise ConfigError(
            f"{masks}: no mask for any of {len(images)} images in {folder}; a mask is named as its "
            f"image, or with _mask, _segmentation or _seg and a number behind that, or all of them "
            f"differ from their images in the same words"
        )
    remarks += _say_inverted(taken.inverted, len(records))
    used = {path for paths in own.values() for path in paths}
    remarks += [
        Remark(printable(p), "of no image by its name; left out") for p in found if p not in used
    ]
    name = f"images with masks {Path(folder).name}"
    return Source(name, records, load_file, remarks=tuple(remarks))


class _Taken:
    """Makes boxes or masks of mask files, and counts what is to be said of them."""

    def __init__(self, folder: str, regions: str, value: int | None) -> None:
        self.folder, self.regions, self.value = folder, regions, value
        self.remarks: list[Remark] = []
        self.inverted = 0

    def add(self, record: Record, paths: Sequence[str]) -> Record:
        """Return a record with the target that its masks give, or with the problem of one."""
        try:
            layers = [_values(self.folder, path) for path in paths]
        except UnusableError as error:
            return replace(record, problem=str(error), **no_target(self.regions))
        if any(layer.shape != layers[0].shape for layer in layers):
            problem = f"its masks ({', '.join(map(printable, paths))}) are not of one size"
            return replace(record, problem=problem, **no_target(self.regions))
        self.inverted += any(map(_has_all_corners, layers))
        if len(layers) > 1:
            taken = "pixels" if self.regions == PIXELS else "boxes"
            self.remarks.append(
                Remark(record.where, f"several masks: the {taken} of all are taken")
            )
        size = layers[0].shape[1], layers[0].shape[0]
        if self.regions == PIXELS:
            where = f"{self.folder}: the mask of {record.where}"
            return replace(record, label=_mask_of(layers, self.value, where), size=size)
        boxes = tuple(box for layer in layers for box in boxes_of(layer, self.regions))
        return replace(record, boxes=boxes, size=size)


def _masks_by_image(
    images: Sequence[str], masks: Sequence[str]
) -> tuple[dict[str, list[str]], list[Remark]]:
    """Return the masks of each image, and what is to be said of them.

    A mask has its image's name, or that with a mask's ending behind or before it. Where no image
    has such a mask, those are taken that are named as the images but for the same words.
    """
    by_stem: dict[str, list[str]] = defaultdict(list)
    for path in masks:
        stem = os.path.splitext(path)[0]
        by_stem[stem].append(path)
        if image_stem(stem) != stem:
            by_stem[image_stem(stem)].append(path)
    found = {image: sorted(by_stem.get(os.path.splitext(image)[0], ())) for image in images}
    if any(found.values()):
        return found, []
    paired = pair_by_rest(images, masks)
    if not paired:
        return found, []
    image, mask = next(iter(paired.items()))
    detail = f"such as {printable(mask)} for {printable(image)}"
    remark = Remark(f"{len(paired)} masks", "named as their images but for some words", detail)
    return {image: [mask] for image, mask in paired.items()}, [remark]


def _say_inverted(count: int, of: int) -> list[Remark]:
    what = "the mask's values reach all four corners: 0 has to be the background"
    return [Remark(f"{count} of {of} images", what)] if count else []


def _has_all_corners(values: np.ndarray) -> bool:
    """Whether a mask is set in all four corners, as one is whose background is not 0."""
    return bool((values[:: max(1, len(values) - 1), :: max(1, values.shape[1] - 1)] != 0).all())


def no_target(regions: str) -> dict[str, Any]:
    """Return the fields of a record that has a problem in place of boxes or masks."""
    return {"label": NamedMasks((1, 1), ())} if regions == PIXELS else {"boxes": ()}


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
        yield NamedBox(ANY_OBJECT if regions == "instances" else str(value), (x1, y1, x2, y2))


def _mask_of(layers: Sequence[np.ndarray], value: int | None, where: str) -> dict[str, Any]:
    """Return the pixels of a value in any of several layers, as run lengths.

    Raises:
        ConfigError: if they have several values and none is given.
    """
    found = sorted({int(v) for layer in layers for v in np.unique(layer) if v})
    if value is None and len(found) > 1:
        shown = ", ".join(map(str, found[:10]))
        raise ConfigError(f"{where} has the values {shown}; --mask-value N says which one it is")
    chosen = [layer != 0 if value is None else layer == value for layer in layers]
    return mask_json(parse_mask(np.logical_or.reduce(chosen).astype(np.uint8)))


def _values(folder: str, name: str) -> np.ndarray:
    """Return the values of a mask file; of a palette image the indices.

    Raises:
        UnusableError: if it cannot be read, or has no whole number a pixel.
    """
    mask = f"its mask {printable(name)}"
    try:
        with open_image(path_within(folder, name)) as opened:
            values = np.asarray(opened)
    except UnusableError as error:
        raise UnusableError(f"{mask}: it cannot be read: {error}") from error
    if values.ndim == 3 and (values[..., :1] == values[..., :3]).all():
        values = values[..., 0]  # grey, stored as colour
    if values.ndim != 2 or values.dtype.kind not in "iub":
        raise UnusableError(f"{mask}: a mask has one whole number a pixel, 0 for background")
    whole: np.ndarray = values.astype(np.int64)
    is_lossy = Path(name).suffix.lower() not in _LOSSLESS
    return _two_valued(whole, mask) if is_lossy else whole


def _two_valued(values: np.ndarray, mask: str) -> np.ndarray:
    """Return 0 and 255 for a mask that was stored with losses, which spread around the two.

    Raises:
        UnusableError: if the values are not near 0 or 255, so that they may be classes.
    """
    far = np.minimum(values, 255 - values) > _LOSS
    if far.mean() > _MOST_BETWEEN:
        raise UnusableError(
            f"{mask}: {far.mean():.0%} of its values are neither near 0 nor near 255, and a file "
            f"with losses such as JPEG keeps no others; store the mask as PNG"
        )
    two: np.ndarray = np.where(values > 127, 255, 0)
    return two
