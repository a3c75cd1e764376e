"""NIfTI volumes in canonical orientation, and their slices as they are shown."""

from __future__ import annotations

import math
import warnings
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from medreward.data.sources.record import UnusableError
from medreward.errors import ConfigError

PLANES = ("sagittal", "coronal", "axial")  # in the order of the canonical axes x, y, z
UNORIENTED = "no orientation in its header (qform and sform 0): sides are not known; as stored"
TWO_ORIENTATIONS = "its qform and sform say different sides: the sform is taken"
_SLICES_ALLOWED = 10  # a volume may have so many times the voxels that a picture may have pixels


class Grid(NamedTuple):
    """Where the voxels of a volume lie, in the closest canonical orientation.

    Attributes:
        shape: voxels along the three axes.
        affine: from their indices to mm, 4 x 4.
        has_orientation: whether the header says which side is which.
        volumes: how many the file has.
    """

    shape: tuple[int, ...]
    affine: np.ndarray
    has_orientation: bool
    volumes: int = 1


class Volume(NamedTuple):
    """A volume in the closest canonical orientation, as it is where the header has none.

    Attributes:
        values: along x, y and z.
        zooms: voxel sizes in mm.
        grid: where its voxels lie in the file.
        note: what is to be said of it, or nothing.
    """

    values: np.ndarray
    zooms: tuple[float, ...]
    grid: Grid
    note: str


@cache
def nibabel() -> Any:
    """Return the package.

    Raises:
        ConfigError: if it is not installed.
    """
    try:
        import nibabel as package
    except ModuleNotFoundError as error:
        raise ConfigError("NIfTI needs nibabel: pip install 'medreward[data]' brings it") from error
    return package


def read_volume(path: Path, max_pixels: int, frame: int | None = None) -> Volume:
    """Return a volume, or one of a series of them.

    Raises:
        UnusableError: if it cannot be read, is none, or is too large. The message holds nothing of
            the header.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = _of_frame(_as_volume(nibabel().load(path)), frame)
            _check_shape(image.shape, max_pixels)
            grid = _grid(image)
            image = nibabel().as_closest_canonical(image) if grid.has_orientation else image
            values = image.get_fdata(dtype=np.float32).reshape(image.shape[:3])
            zooms = tuple(float(z) or 1.0 for z in image.header.get_zooms()[:3])
        except UnusableError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, its text may quote the header
            raise UnusableError(f"not a readable NIfTI volume ({type(error).__name__})") from None
    return Volume(values, zooms, grid, _note(image.header, grid))


def _as_volume(image: Any) -> Any:
    """Return an image with three axes, also where it is a single slice.

    Raises:
        UnusableError: if its voxels are colours.
    """
    if image.get_data_dtype().fields:
        raise UnusableError("its voxels are colours, and one number each is expected")
    if len(image.shape) != 2:
        return image
    values = np.asanyarray(image.dataobj)[..., np.newaxis]
    return type(image)(values, image.affine, image.header)


def _note(header: Any, grid: Grid) -> str:
    """Return what is to be said of where a volume's sides are."""
    if not grid.has_orientation:
        return UNORIENTED
    if not all(int(header.get(f"{form}_code") or 0) > 0 for form in ("qform", "sform")):
        return ""
    sides = {nibabel().aff2axcodes(affine) for affine in (header.get_qform(), header.get_sform())}
    return TWO_ORIENTATIONS if len(sides) > 1 else ""


def read_grid(path: Path) -> Grid | None:
    """Return where the voxels of a volume lie, None where that cannot be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _grid(_as_volume(nibabel().load(path)))
        except Exception:  # noqa: BLE001 - what is wrong with it is said when it is shown
            return None


def layer_of(volume: Volume, axis: int, index: int | None) -> np.ndarray:
    """Return a slice as it is shown: forward or up at the top, the patient's right on the left.

    Args:
        volume: the volume.
        axis: across which it lies, by its place in `PLANES`.
        index: from 0; None: the middle one.

    Raises:
        UnusableError: if there is no such slice.
    """
    count = volume.values.shape[axis]
    if index is not None and index >= count:
        raise UnusableError(
            f"slice {index} asked for; there are {count}, from 0 to {count - 1}"
            + (": are they counted from 1 here?" if index == count else "")
        )
    layer = np.moveaxis(volume.values, axis, 0)[count // 2 if index is None else index]
    upright: np.ndarray = layer.T[::-1]
    return upright if axis == 0 else upright[:, ::-1]


def square_size(volume: Volume, axis: int, max_pixels: int) -> tuple[int, int]:
    """Return width and height of a slice with square pixels, of the smaller side of its voxels.

    Raises:
        UnusableError: if the voxels have no size, or the picture would have too many pixels.
    """
    across, down = (n for a, n in enumerate(volume.values.shape) if a != axis)
    x_mm, y_mm = (abs(z) for a, z in enumerate(volume.zooms) if a != axis)
    side = min(x_mm, y_mm)
    if not (side > 0 and max(x_mm, y_mm) < math.inf):
        raise UnusableError("its header gives no size of voxels")
    width, height = across * (x_mm / side), down * (y_mm / side)
    if not width * height <= max_pixels:
        raise UnusableError(f"with square pixels more than {max_pixels:,} pixels; not drawn")
    return round(width), round(height)


def _grid(image: Any) -> Grid:
    shape = tuple(int(n) for n in image.shape[:3])
    affine = np.asarray(image.affine, float)
    volumes = int(image.shape[3]) if len(image.shape) == 4 else 1
    if not _has_orientation(image.header):
        return Grid(shape, affine, has_orientation=False, volumes=volumes)
    turns = nibabel().orientations.io_orientation(affine)
    affine = affine @ nibabel().orientations.inv_ornt_aff(turns, shape)
    turned = tuple(shape[int(axis)] for axis in np.argsort(turns[:, 0]))
    return Grid(turned, affine, has_orientation=True, volumes=volumes)


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
