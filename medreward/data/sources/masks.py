"""Images with a mask file each -> boxes around the regions of each value.

A mask has the path of its image, apart from the ending, and may have ``_mask``, ``_segmentation``
or ``_seg``, and a number, before it; an image may have several. Its
values are classes, 0 is background; ``--map 1=lesion`` names them, ``--map 128,0,0=lesion`` those
that are colours, or a table of colours beside them does (`mask_files`). A box is drawn around each
connected region (pixels that touch by side or corner), or around all pixels of a value.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from medreward.data.picture import load_file
from medreward.data.sources.annotated import split_of_path
from medreward.data.sources.base import IMAGES, SourceType, option
from medreward.data.sources.mask_files import Mask, read_labelmap, read_mask
from medreward.data.sources.mask_names import (
    find_masks,
    image_stem,
    pair_by_folders,
    pair_by_rest,
)
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
_OTHER_PALETTE = "another colour for the same value of a mask than before: the values are taken"
_INVERTED = "the mask's values reach all four corners: 0 has to be the background"
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
    pairs: dict[str, str] = {}
    if Path(folder).resolve() == Path(masks).resolve():
        pairs = pair_by_folders(found)
        named = find_masks(found) | {*pairs}
        images, found = [p for p in images if p not in named], sorted(named)
    own, remarks = _masks_by_image(images, found)
    for mask, image in pairs.items():
        own[image] = sorted({*own[image], mask})
    records: list[Record] = []
    taken = _Taken(str(masks), regions, value)
    for number, image in enumerate(show_progress(images, desc="masks", unit="mask"), start=1):
        if not own[image]:
            remarks.append(Remark(printable(image), _NO_MASK))
            continue
        place = (str(folder), image)
        name, split = f"image-{number:06d}", split_of_path(image)
        bare = Record(name, printable(image), place, key=image, split=split)
        records.append(taken.add(bare, own[image]))
    records = taken.finish(records)
    remarks += taken.remarks
    if not records:
        raise ConfigError(
            f"{masks}: no mask for any of {len(images)} images in {folder}; a mask is named as its "
            f"image, or with _mask, _segmentation or _seg and a number behind that, or all of them "
            f"differ from their images in the same words"
        )
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
        self.table = None if regions == "instances" else read_labelmap(folder)
        self.counts: Counter[str] = Counter()
        self.palette: dict[int, int] = {}
        self.values: dict[str, int] = {}  # of masks of pixels without names, what their value is
        self.has_names = False

    def add(self, record: Record, paths: Sequence[str]) -> Record:
        """Return a record with the target that its masks give, or with the problem of one."""
        try:
            masks = [read_mask(self.folder, path, self.table) for path in paths]
        except UnusableError as error:
            return replace(record, problem=str(error), **no_target(self.regions))
        if any(mask.values.shape != masks[0].values.shape for mask in masks):
            problem = f"its masks ({', '.join(map(printable, paths))}) are not of one size"
            return replace(record, problem=problem, **no_target(self.regions))
        self._count(masks)
        if len(masks) > 1:
            taken = "pixels" if self.regions == PIXELS else "boxes"
            self.remarks.append(
                Remark(record.where, f"several masks: the {taken} of all are taken")
            )
        size = masks[0].values.shape[1], masks[0].values.shape[0]
        if self.regions == PIXELS:
            return replace(record, label=self._pixels(record, masks, size), size=size)
        boxes = tuple(box for mask in masks for box in _boxes_in(mask, self.regions))
        return replace(record, boxes=boxes, size=size)

    def finish(self, records: Sequence[Record]) -> list[Record]:
        """Return the records with masks that all have names, where some have.

        Raises:
            ConfigError: if the value of the mask was given and some masks have names.
        """
        self.remarks += [
            Remark(f"{n} of {len(records)} images", what) for what, n in sorted(self.counts.items())
        ]
        if self.regions != PIXELS or not self.has_names:
            return [*records]
        if self.value is not None:
            raise ConfigError(
                f"{self.folder}: --mask-value {self.value} chooses a whole number, and these masks "
                f"have colours; --box-label NAME says which of them is meant"
            )
        return [self._named(record) for record in records]

    def _named(self, record: Record) -> Record:
        if not isinstance(record.label, dict) or record.size is None:
            return record
        value = self.values.get(record.id)
        parts = () if value is None else ((str(value), record.label["counts"]),)
        return replace(record, label=NamedMasks(record.size, parts))

    def _count(self, masks: Sequence[Mask]) -> None:
        self.counts.update({note for mask in masks for note in mask.notes})
        if any(_has_all_corners(mask.values) for mask in masks):
            self.counts[_INVERTED] += 1
        for mask in masks:
            colours = {} if mask.names or self.regions == "instances" else mask.palette
            others = [i for i, c in colours.items() if self.palette.setdefault(i, c) != c]
            self.counts[_OTHER_PALETTE] += bool(others)
        self.counts = +self.counts

    def _pixels(self, record: Record, masks: Sequence[Mask], size: tuple[int, int]) -> Any:
        if not any(mask.names for mask in masks):
            where = f"{self.folder}: the mask of {record.where}"
            layers = [mask.values for mask in masks]
            found = [int(layer.max()) for layer in layers if layer.any()]
            if found:
                self.values[record.id] = max(found)
            return _mask_of(layers, self.value, where)
        self.has_names = True
        parts: dict[str, np.ndarray] = {}
        for mask in masks:
            for value in np.unique(mask.values).tolist():
                if value:
                    name, own = mask.name(value), mask.values == value
                    parts[name] = own | parts.get(name, False)
        runs = ((name, parse_mask(own.astype(np.uint8)).counts) for name, own in parts.items())
        return NamedMasks(size, tuple(runs))


def _boxes_in(mask: Mask, regions: str) -> Iterator[NamedBox]:
    """Yield the boxes of a mask by the names of its values."""
    names = {str(value): name for value, name in mask.names.items()}
    for box in boxes_of(mask.values, regions):
        yield box._replace(name=names.get(box.name, box.name))


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
