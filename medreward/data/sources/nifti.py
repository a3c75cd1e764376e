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
import math
import warnings
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from medreward.data.image_file import path_within
from medreward.data.picture import stretch_values
from medreward.data.sources.base import CSV, SourceType, option
from medreward.data.sources.record import Picture, ReadingOptions, Record, Source, UnusableError
from medreward.data.sources.table import (
    COLUMN_OPTIONS,
    Columns,
    check_folder,
    columns_of,
    indices,
    read_rows,
    rows_of,
)
from medreward.errors import ConfigError, expected

PLANES = ("sagittal", "coronal", "axial")  # in the order of the canonical axes x, y, z
_PERCENTILES = (0.5, 99.5)
_UNORIENTED = "no orientation in its header (qform and sform 0): sides are not known; as stored"
_SLICES_ALLOWED = 10  # a volume may have so many times the voxels that a picture may have pixels


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
        )


def open_nifti(
    folder: str | Path,
    table: str | Path,
    columns: Columns | None = None,
    *,
    plane: str = "axial",
    slice_column: str = "slice",
) -> Source:
    """Return slices of the volumes in a folder that a CSV file lists.

    A row gives a slice by its index from 0 in the canonical orientation in `slice_column`, or
    several slices, which become several images; without the column, the middle one is taken. Of a
    series of volumes (4-D), `columns.frame` says which.

    Raises:
        ConfigError: if nibabel, the folder, the file or a column is missing, or an index is wrong.

    Coronal slices, with the columns image, slice and label::

        source = open_nifti("volumes", "volumes/labels.csv", plane="coronal")
    """
    _nibabel()
    if plane not in PLANES:
        raise expected("plane", plane, PLANES)
    check_folder(folder)
    columns = columns or Columns()
    # Files are named after patients often enough: rows are named by their line.
    records, remarks = read_rows(folder, table, columns, private=True)
    slices = {
        f"row-{line:06d}": row.get(slice_column) for line, row in rows_of(Path(table), columns)
    }
    placed = []
    for record in records:
        folder_name, path, *frames = record.place
        layers = _layers(slices[record.id], frames[0] if frames else (), record)
        place = (folder_name, path, PLANES.index(plane), layers)
        # Slices of one volume stay together.
        placed.append(replace(record, place=place, group=record.group or record.key))
    name = f"NIfTI {plane} slices listed in {Path(table).name}"
    return Source(name, placed, _load, remarks=tuple(remarks), private=True)


@cache
def _nibabel() -> Any:
    try:
        import nibabel
    except ModuleNotFoundError as error:
        raise ConfigError("NIfTI needs nibabel: pip install 'medreward[data]' brings it") from error
    return nibabel


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
def _volume(
    path: Path, max_pixels: int, frame: int | None
) -> tuple[np.ndarray, tuple[float, ...], tuple[float, float], str]:
    """Return values, voxel sizes in mm, the two percentiles of a volume, and what to say of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = _of_frame(_nibabel().load(path), frame)
            _check_shape(image.shape, max_pixels)
            note = "" if _has_orientation(image.header) else _UNORIENTED
            image = image if note else _nibabel().as_closest_canonical(image)
            values = image.get_fdata(dtype=np.float32).reshape(image.shape[:3])
            zooms = tuple(float(z) or 1.0 for z in image.header.get_zooms()[:3])
        except UnusableError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, its text may quote the header
            raise UnusableError(f"not a readable NIfTI volume ({type(error).__name__})") from None
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, _PERCENTILES) if finite.size else (0.0, 0.0)
    return values, zooms, (float(low), float(high)), note


def _of_frame(image: Any, frame: int | None) -> Any:
    """Return one volume of a series of them, without reading the others."""
    count = image.shape[3] if len(image.shape) == 4 else 1
    if frame is None:
        return image
    if frame >= count:
        raise UnusableError(f"frame {frame} asked for; there are {count}, from 0")
    return image.slicer[..., frame] if len(image.shape) == 4 else image


def _has_orientation(header: Any) -> bool:
    """Whether a header says which side is which; other formats than NIfTI always do."""
    codes = [header.get(name) for name in ("qform_code", "sform_code") if name in header]
    return not codes or any(int(code) > 0 for code in codes)


def _check_shape(shape: tuple[int, ...], max_pixels: int) -> None:
    if len(shape) < 3 or any(n != 1 for n in shape[3:]):
        raise UnusableError(
            f"it has {len(shape)} dimensions; a volume of 3 is expected (--frame-column names a "
            f"volume of a series of 4)"
        )
    if not all(side > 0 for side in shape):
        raise UnusableError("it has no voxels")
    if math.prod(shape) > _SLICES_ALLOWED * max_pixels:
        raise UnusableError(
            f"{math.prod(shape):,} voxels; more than {max_pixels:,} pixels allow; not read"
        )


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
    values, zooms, percentiles, note = _volume(path, reading.max_pixels, frame)
    count = values.shape[axis]
    if index is not None and index >= count:
        raise UnusableError(f"slice {index} asked for; there are {count}")
    layer = np.moveaxis(values, axis, 0)[count // 2 if index is None else index]
    upright = layer.T[::-1]
    shown = upright if axis == 0 else upright[:, ::-1]  # the patient's right on the left
    grey = Image.fromarray(stretch_values(shown, *(reading.intensity or percentiles)))
    x_mm, y_mm = (abs(z) for a, z in enumerate(zooms) if a != axis)
    picture = _square(grey, (x_mm, y_mm), reading.max_pixels)
    return Picture(picture, (note,) if note else ())


def _square(image: Image.Image, sides: tuple[float, float], max_pixels: int) -> Image.Image:
    """Return the image with square pixels, of the smaller of the two sides of its voxels.

    Raises:
        UnusableError: if the voxels have no size, or the picture would have too many pixels.
    """
    x_mm, y_mm = sides
    side = min(sides)
    if not (side > 0 and max(sides) < math.inf):
        raise UnusableError("its header gives no size of voxels")
    across, down = image.width * (x_mm / side), image.height * (y_mm / side)
    if not across * down <= max_pixels:
        raise UnusableError(f"with square pixels more than {max_pixels:,} pixels; not drawn")
    size = round(across), round(down)
    return image if size == image.size else image.resize(size, Image.Resampling.BICUBIC)
