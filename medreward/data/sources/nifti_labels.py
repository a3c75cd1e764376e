"""Label volumes beside NIfTI volumes -> the boxes or masks of slices.

A label volume has a whole number a voxel, 0 for background, and lies on the grid of its image, in
whatever order the two files store it: the same voxels along each direction, and no corner further
away than a tenth of a voxel. Its slices are taken, turned
and made square as those of the image are, without values in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from medreward.data.image_file import path_within
from medreward.data.sources.masks import PIXELS, boxes_of, no_target
from medreward.data.sources.nifti_volume import (
    Grid,
    Volume,
    layer_of,
    read_grid,
    read_volume,
    square_size,
)
from medreward.data.sources.record import NamedMasks, Record, UnusableError
from medreward.errors import ConfigError
from medreward.files.progress import show_progress
from medreward.geometry.masks import parse_mask

_MOST_OFF = 0.1  # of the smallest side of a voxel


class Wanted(NamedTuple):
    """What is made of label volumes.

    Attributes:
        axis: across which slices lie, by its place in `medreward.data.sources.nifti_volume.PLANES`.
        regions: "pixels" for masks, or what boxes are drawn around (`boxes_of`).
        max_pixels: as for pictures.
    """

    axis: int
    regions: str
    max_pixels: int


def add_labels(
    records: Sequence[Record], volumes: Mapping[str, str], wanted: Wanted
) -> list[Record]:
    """Return the records with the boxes or masks of their slices, named by the labels' numbers.

    Args:
        records: with a place (folder, path, axis, ((slice, frame),)).
        volumes: the id of each record -> the path of its label volume in the same folder.
        wanted: what is made of them.

    A record whose label volume cannot be read, is not of whole numbers, or does not lie as its
    image does, has that for its problem.

    Raises:
        ConfigError: for several slices a row.
    """
    finished: dict[int, Record] = {}
    frames = {record.id: record.place[3][0][1] or 0 for record in records}
    order = sorted(
        range(len(records)), key=lambda i: (volumes[records[i].id], frames[records[i].id])
    )
    _forget_files()  # which may have changed
    for i in show_progress(order, desc="label volumes", unit="slice"):
        record = records[i]
        try:
            finished[i] = _with_labels(record, volumes[record.id], wanted)
        except UnusableError as error:
            nothing = replace(record, problem=f"its label volume: {error}", size=None)
            finished[i] = replace(nothing, **no_target(wanted.regions))
    _forget_files()
    return [finished[i] for i in range(len(records))]


def _forget_files() -> None:
    _label_volume.cache_clear()
    _grid_of.cache_clear()


def _with_labels(record: Record, name: str, wanted: Wanted) -> Record:
    folder, image, _, layers = record.place
    if len(layers) > 1:
        raise ConfigError(
            f"{record.where}: a label volume beside {len(layers)} slices: boxes and masks are of "
            f"one image; give a row one slice"
        )
    if not name:
        raise UnusableError("its cell is empty")
    index, frame = layers[0]
    volume = _label_volume(path_within(folder, name), wanted.max_pixels, frame)
    _check_grid(volume.grid, _grid_of(folder, image))
    layer: np.ndarray = layer_of(volume, wanted.axis, index).astype(np.int32)
    size = square_size(volume, wanted.axis, wanted.max_pixels)
    if size != layer.shape[::-1]:
        layer = np.asarray(Image.fromarray(layer).resize(size, Image.Resampling.NEAREST))
    if wanted.regions == PIXELS:
        parts = tuple(
            (str(value), parse_mask(layer == value).counts) for value in np.unique(layer) if value
        )
        return replace(record, label=NamedMasks(size, parts), size=size)
    return replace(record, boxes=tuple(boxes_of(layer, wanted.regions)), size=size)


@lru_cache(maxsize=1)  # records are taken volume by volume
def _label_volume(path: Path, max_pixels: int, frame: int | None) -> Volume:
    grid = read_grid(path)
    is_series = grid is not None and grid.volumes > 1
    volume = read_volume(path, max_pixels, frame if is_series else None)
    values = volume.values
    if not np.isfinite(values).all() or (values != np.rint(values)).any():
        raise UnusableError("its values are not whole numbers, so that it is no map of labels")
    if values.size and (values.min() < 0 or values.max() >= 2**24):
        raise UnusableError("its values are not from 0 to 16777215")
    return volume


@lru_cache(maxsize=1)
def _grid_of(folder: str, name: str) -> Grid | None:
    """Return where the voxels of an image lie; None where it has no file, which is said later."""
    try:
        return read_grid(path_within(folder, name))
    except UnusableError:
        return None


def _check_grid(labels: Grid, image: Grid | None) -> None:
    """Raise `UnusableError` unless labels lie on the grid of their image."""
    if image is None:
        return
    if labels.shape != image.shape:
        own, other = (" x ".join(map(str, shape)) for shape in (labels.shape, image.shape))
        raise UnusableError(f"it has {own} voxels, its image {other}")
    if labels.has_orientation != image.has_orientation:
        one, other = ("it", "its image") if image.has_orientation else ("its image", "it")
        raise UnusableError(f"{one} has no orientation in its header, {other} has one")
    corners: Any = np.array([(*c, 1) for c in product(*((0, n - 1) for n in image.shape))]).T
    off = np.linalg.norm(((labels.affine - image.affine) @ corners)[:3], axis=0).max()
    side = np.linalg.norm(image.affine[:3, :3], axis=0).min()
    if not off <= _MOST_OFF * side:
        raise UnusableError(
            f"its affine is not its image's: they are up to {off:.3g} mm apart, and voxels have "
            f"{side:.3g} mm; resample the labels to the image"
        )
