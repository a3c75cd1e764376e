"""Slices of the MNI152 template: real T1-weighted MRI that the ``nilearn`` wheel ships.

The template is the average of 152 adult brains (ICBM152 2009a, skull-stripped, 1 mm voxels) with
maps of the grey- and white-matter share of each voxel. Nothing is downloaded. Three tasks ask for
what is true of a slice by construction:

``mni152_level``
    axial level: the fifth of the brain's height the slice lies in, 0 (lowest) to 4 (highest).
``mni152_plane``
    "axial", "coronal" or "sagittal".
``mni152_brain_box``
    axial slice; one box [x1, y1, x2, y2] around grey and white matter in pixels of the image,
    half-open: x1 and y1 are the first column and row with tissue, x2 and y2 one past the last.

Images show the patient's left on the left, anterior or superior at the top, and are never flipped.
One brain gives few slices, so each example is the slice under its own random shift, scale,
rotation, contrast and noise. It is one (average) brain: good to see a pipeline learn, no evidence
about patients. Its left and right halves are exact mirror images (measured: the volume equals its
own flip), so no question about sides can be asked of it.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, Literal, NamedTuple
from zlib import crc32

import numpy as np
from PIL import Image
from scipy import ndimage

from medreward.data.example import Example
from medreward.errors import expected

Split = Literal["train", "test"]
PLANES = ("sagittal", "coronal", "axial")  # in the order of the volume's axes: x, y, z
TASKS = ("mni152_level", "mni152_plane", "mni152_brain_box")
GRADES = 5
# Along an axis blocks repeat: slices to train on, unused ones, slices to test on, unused ones.
TRAIN_MM, GAP_MM, TEST_MM = 8, 3, 4
_PERIOD = TRAIN_MM + GAP_MM + TEST_MM + GAP_MM
MIN_TISSUE_MM2 = 600  # a slice with less tissue shows too little to tell anything by
FIELD_MM = 220.0  # side of the square that an image shows, before augmentation


class _Volumes(NamedTuple):
    """T1 in [0, 1], white matter and all tissue (grey + white) as shares, and the z offset."""

    t1: np.ndarray
    white: np.ndarray
    tissue: np.ndarray
    origin: tuple[float, ...]


@cache
def _volumes() -> _Volumes:
    from nilearn import datasets

    t1 = datasets.load_mni152_template(resolution=1)
    grey = datasets.load_mni152_gm_template(resolution=1).get_fdata(dtype=np.float32)
    white = datasets.load_mni152_wm_template(resolution=1).get_fdata(dtype=np.float32)
    origin = tuple(float(v) for v in t1.affine[:3, 3])
    return _Volumes(t1.get_fdata(dtype=np.float32), white, grey + white, origin)


@cache
def _areas(plane: str) -> np.ndarray:
    """Tissue in each slice along a plane's axis, in mm² (voxels are 1 mm)."""
    axis = PLANES.index(plane)
    others = tuple(a for a in range(3) if a != axis)
    areas: np.ndarray = (_volumes().tissue > 0.5).sum(axis=others)
    return areas


@cache
def extent(plane: str) -> tuple[int, int]:
    """Return the first slice along a plane's axis with any tissue and one past the last."""
    found = np.flatnonzero(_areas(plane))
    return int(found[0]), int(found[-1]) + 1


def level(index: int) -> int:
    """Return the grade of an axial slice: which fifth of the brain's height it lies in."""
    first, stop = extent("axial")
    return min(GRADES - 1, max(0, (index - first) * GRADES // (stop - first)))


@cache
def slices(plane: str, split: Split) -> tuple[int, ...]:
    """Return the slices of a split: blocks with `GAP_MM` unused slices between train and test.

    So a train and a test slice of the same plane are more than `GAP_MM` mm apart.
    """
    first, stop = extent(plane)
    begin, length = (0, TRAIN_MM) if split == "train" else (TRAIN_MM + GAP_MM, TEST_MM)
    block = range(begin, begin + length)
    return tuple(
        i
        for i in range(first, stop)
        if (i - first) % _PERIOD in block and _areas(plane)[i] >= MIN_TISSUE_MM2
    )


def examples(task: str, *, split: Split, count: int, seed: int, size: int = 56) -> list[Example]:
    """Return `count` examples of a task, the same for the same arguments.

    Classes come in equal numbers; the first examples do not depend on `count`.

    Args:
        task: one of `TASKS`.
        split: "train" or "test"; the two share no slice, nor neighbouring ones.
        count: how many examples.
        seed: seeds the choice of slices and their augmentation.
        size: side of the images in pixels.

    Raises:
        ConfigError: if there is no such task or split.
    """
    if task not in TASKS:
        raise expected("task", task, TASKS)
    if split not in ("train", "test"):
        raise expected("split", split, ("train", "test"))
    return [_example(task, split, i, seed, size) for i in range(count)]


def _slice(volume: np.ndarray, plane: str, index: int) -> np.ndarray:
    layer: np.ndarray = np.moveaxis(volume, PLANES.index(plane), 0)[index]
    return layer


def facts(plane: str, index: int) -> dict[str, Any]:
    """Return what is measured on a slice.

    ``mm``: position in MNI space; ``tissue_mm2``: area of grey and white matter; ``size``: that
    area as a share of the plane's largest; ``white``: white matter as a share of the tissue.
    """
    volumes, area = _volumes(), int(_areas(plane)[index])
    tissue = float(_slice(volumes.tissue, plane, index).sum())
    return {
        "plane": plane,
        "mm": index + volumes.origin[PLANES.index(plane)],
        "tissue_mm2": area,
        "size": area / int(_areas(plane).max()),
        "white": float(_slice(volumes.white, plane, index).sum()) / tissue if tissue else 0.0,
    }


def box_around(mask: np.ndarray) -> list[int]:
    """Return the half-open box [x1, y1, x2, y2] around the true pixels of a mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return [int(v) for v in (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)]


def _example(task: str, split: Split, number: int, seed: int, size: int) -> Example:
    rng = np.random.default_rng([seed, crc32(f"{task}/{split}".encode()), number])
    plane = PLANES[number % len(PLANES)] if task == "mni152_plane" else "axial"
    choices = slices(plane, split)
    if task == "mni152_level":
        choices = tuple(i for i in choices if level(i) == number % GRADES)
    index = int(rng.choice(choices))
    image, tissue = _picture(plane, index, size, rng)
    target = {"mni152_level": level(index), "mni152_plane": plane}.get(task, box_around(tissue))
    name = f"{task}-{split}-{seed}-{number:05d}"
    return Example(image, target, name, split, facts(plane, index))


def _picture(
    plane: str, index: int, size: int, rng: np.random.Generator
) -> tuple[Image.Image, np.ndarray]:
    """Return an image of a slice under a random pose, contrast and noise, and its tissue mask."""
    scale = FIELD_MM / size * rng.uniform(0.92, 1.08)
    shift, angle = rng.uniform(-8.0, 8.0, 2), math.radians(rng.uniform(-8.0, 8.0))
    gain, gamma, noise = rng.uniform(0.85, 1.15), rng.uniform(0.8, 1.25), rng.uniform(0.0, 0.04)
    turn = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    matrix = scale * np.array(turn)
    offset = _centre(plane) + shift - matrix @ np.full(2, size / 2 - 0.5)
    t1, tissue = (
        ndimage.affine_transform(layer, matrix, offset, (size, size), order=1)
        for layer in _layers(plane, index, size)
    )
    grey = gain * np.clip(t1, 0, 1) ** gamma + rng.normal(0.0, noise, t1.shape)
    pixels = np.round(255 * np.clip(grey, 0, 1)).astype(np.uint8)
    return Image.fromarray(pixels), tissue > 0.5


@cache
def _layers(plane: str, index: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return T1 and tissue of a slice as pictures, smoothed for sampling at the image's size."""
    sigma = 0.5 * FIELD_MM / size
    t1, tissue = (
        ndimage.gaussian_filter(_slice(volume, plane, index).T[::-1], sigma)
        for volume in (_volumes().t1, _volumes().tissue)
    )
    return t1, tissue


@cache
def _centre(plane: str) -> np.ndarray:
    """Return the row and column of the brain's middle in the pictures of a plane."""
    column, row = (axis for axis in range(3) if axis != PLANES.index(plane))
    middle = [(sum(extent(PLANES[axis])) - 1) / 2 for axis in (row, column)]
    centre: np.ndarray = np.array([_volumes().t1.shape[row] - 1 - middle[0], middle[1]])
    return centre
