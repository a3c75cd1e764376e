"""MedMNIST's npz files, with their official splits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medreward.data import medmnist
from medreward.data.images import ArrayImage
from medreward.data.sources.record import Found, Record, shown
from medreward.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np


def records(path: Path) -> Found:
    """Return the images of all three splits; a label is its number.

    Raises:
        medreward.ConfigError: if the file cannot be read, is not laid out as MedMNIST's, or has
            several labels an image.
    """
    found = [
        Record(
            f"{split}-{i}",
            ArrayImage(image),
            f"{shown(path.name)} {split} image {i}",
            label=_label(path, label),
            split=split,
        )
        for split in medmnist.SPLITS
        for i, (image, label) in enumerate(zip(*medmnist.arrays(path, split), strict=True))
    ]
    return Found(found, [])


def _label(path: Path, label: np.ndarray) -> str:
    if label.size != 1:
        raise ConfigError(
            f"{shown(path)}: has {label.size} labels an image; prepare takes one, and "
            f"`medreward rows write` takes several"
        )
    return str(int(label.item()))
