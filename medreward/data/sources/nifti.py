"""Slices of NIfTI volumes that a CSV file lists.

A volume is brought to the closest canonical orientation (x to the patient's right, y forward, z
up). A slice is shown with forward or up at the top and, in axial and coronal planes, the patient's
right on the left, as radiologists and DICOM viewers show it; sagittal ones look forward to the
right. A volume whose header has no orientation (qform and sform 0) is taken as canonical, with a
remark: which side is which is not known then. Pixels are made square. Values are
rescaled linearly from the volume's 0.5th and 99.5th percentile to 0 and 255, or from
``Reading.intensity``.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from PIL import Image

from medreward.data.image_file import path_within
from medreward.data.picture import stretch_values
from medreward.data.record_list import RecordList
from medreward.data.sources.base import CSV, SourceType, option
from medreward.data.sources.find_files import find_files
from medreward.data.sources.masks import MASK_REGIONS, PIXELS, REGIONS
from medreward.data.sources.nifti_labels import Wanted, add_labels
from medreward.data.sources.nifti_volume import (
    PLANES,
    Volume,
    layer_of,
    nibabel,
    read_volume,
    square_size,
)
from medreward.data.sources.record import (
    DEFAULT_MAX_PIXELS,
    Picture,
    ReadingOptions,
    Record,
    Source,
)
from medreward.data.sources.table import (
    COLUMN_OPTIONS,
    Columns,
    check_folder,
    columns_of,
    indices,
    read_rows,
    rows_of,
    walk_files,
)
from medreward.errors import ConfigError, expected

_FEW_VALUES = 4
_LIKE_LABELS = "it has a few values only, as a volume of labels has: is it the image?"
_PERCENTILES = (0.5, 99.5)


class NiftiFolder(SourceType):
    """NIfTI volumes and a table with a row for each slice."""

    flags = (option("--nifti", metavar="DIR", help="NIfTI volumes, with --csv"), CSV)
    options = (
        *COLUMN_OPTIONS,
        option("--plane", default="axial", help="axial (default), coronal or sagittal"),
        option(
            "--slice-column",
            default="slice",
            help="index of the slice from 0, or several such as 10;20;30, which become several "
            "images of the row (default: slice)",
        ),
        option(
            "--mask-column",
            metavar="NAME",
            help="volume of labels beside the image, 0 for background: a card of boxes gets boxes "
            "around its regions, one of masks the masks, named by their numbers",
        ),
        MASK_REGIONS,
    )
    example = "--task brain.yaml --nifti volumes --csv slices.csv --plane coronal"

    def open(self, arguments: argparse.Namespace) -> Source:
        """Return the slices that the table lists."""
        return open_nifti(
            arguments.nifti,
            arguments.csv,
            columns_of(arguments),
            plane=arguments.plane,
            slice_column=arguments.slice_column,
            regions=arguments.mask_regions,
            max_pixels=getattr(arguments, "max_pixels", DEFAULT_MAX_PIXELS),
        )


def open_nifti(
    folder: str | Path,
    table: str | Path,
    columns: Columns | None = None,
    *,
    plane: str = "axial",
    slice_column: str = "slice",
    regions: str = REGIONS[0],
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> Source:
    """Return slices of the volumes in a folder that a CSV file lists.

    A row gives a slice by its index from 0 in the canonical orientation in `slice_column`, or
    several slices, which become several images; without the column, the middle one is taken. Of a
    series of volumes (4-D), `columns.frame` says which. `columns.mask` names volumes of labels, of
    whose slices `regions` says what is taken: see `medreward.data.sources.masks.open_mask_folder`.

    Raises:
        ConfigError: if nibabel, the folder, the file or a column is missing, or an index is wrong.

    Coronal slices, with the columns image, slice and label::

        source = open_nifti("volumes", "volumes/labels.csv", plane="coronal")
    """
    nibabel()
    if plane not in PLANES:
        raise expected("plane", plane, PLANES)
    columns = columns or Columns()
    _check_regions(regions, columns)
    check_folder(folder)
    # Files are named after patients often enough: rows are named by their line.
    rows, remarks = read_rows(folder, table, columns, private=True)
    records, found = find_files(Path(folder), rows, partial(walk_files, Path(folder)))
    remarks += found
    slices, masks = {}, {}
    for line, row in rows_of(Path(table), columns):
        slices[f"row-{line:06d}"] = row.get(slice_column)
        masks[f"row-{line:06d}"] = row[columns.mask].strip() if columns.mask else ""
    placed = RecordList()
    for record in records:
        folder_name, path, *frames = record.place
        layers = _layers(slices[record.id], frames[0] if frames else (), record)
        place = (folder_name, path, PLANES.index(plane), layers)
        # Slices of one volume stay together.
        placed.append(replace(record, place=place, group=record.group or record.key))
    if columns.mask:
        labelled = add_labels(placed, masks, Wanted(PLANES.index(plane), regions, max_pixels))
        placed = RecordList(labelled)
    name = f"NIfTI {plane} slices listed in {Path(table).name}"
    return Source(name, placed, _load, remarks=tuple(remarks), private=True)


def _check_regions(regions: str, columns: Columns) -> None:
    if regions not in (*REGIONS, PIXELS):
        raise expected("--mask-regions", regions, (*REGIONS, PIXELS))
    if columns.mask is None and regions not in (REGIONS[0], PIXELS):
        raise ConfigError("--mask-regions: it goes with --mask-column")
    if columns.mask is not None and columns.boxes:
        raise ConfigError("--mask-column and columns of boxes: one of them, not both")


def _layers(
    text: str | None, frames: tuple[int, ...], record: Record
) -> tuple[tuple[int | None, int | None], ...]:
    """Return the slices of a row with the frame of each; None: the middle one, the only one.

    Raises:
        ConfigError: if there are several of both and not as many of each, or boxes beside several.
    """
    slices: tuple[int | None, ...] = indices(text, record.where, "slice") or (None,)
    volumes: tuple[int | None, ...] = frames or (None,)
    count = max(len(slices), len(volumes))
    slices = slices * count if len(slices) == 1 else slices
    volumes = volumes * count if len(volumes) == 1 else volumes
    if len(slices) != len(volumes):
        raise ConfigError(
            f"{record.where}: {len(slices)} slices and {len(volumes)} frames: give one of one of "
            f"them, or as many of both"
        )
    if count > 1 and record.boxes is not None:
        raise ConfigError(f"{record.where}: boxes beside {count} slices: boxes are of one image")
    return tuple(zip(slices, volumes, strict=True))


@lru_cache(maxsize=1)  # rows of one volume follow each other
def _volume(path: Path, max_pixels: int, frame: int | None) -> tuple[Volume, tuple[float, float]]:
    """Return a volume and its two percentiles."""
    volume = read_volume(path, max_pixels, frame)
    finite = volume.values[np.isfinite(volume.values)]
    low, high = np.percentile(finite, _PERCENTILES) if finite.size else (0.0, 0.0)
    return volume, (float(low), float(high))


def _load(
    place: tuple[str, str, int, tuple[tuple[int | None, int | None], ...]], reading: ReadingOptions
) -> Picture | list[Picture]:
    folder, relative, axis, layers = place
    path = path_within(folder, relative)
    pictures = [_slice(path, axis, index, frame, reading) for index, frame in layers]
    return pictures[0] if len(pictures) == 1 else pictures


def _slice(
    path: Path, axis: int, index: int | None, frame: int | None, reading: ReadingOptions
) -> Picture:
    volume, percentiles = _volume(path, reading.max_pixels, frame)
    shown = layer_of(volume, axis, index)
    grey = Image.fromarray(stretch_values(shown, *(reading.intensity or percentiles)))
    size = square_size(volume, axis, reading.max_pixels)
    square = grey if size == grey.size else grey.resize(size, Image.Resampling.BICUBIC)
    notes = [volume.note] * bool(volume.note)
    if 1 < len(np.unique(shown[np.isfinite(shown)])) <= _FEW_VALUES:
        notes.append(_LIKE_LABELS)
    return Picture(square, tuple(notes))
