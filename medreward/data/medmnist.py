"""MedMNIST's npz files -> examples."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from medreward.data.example import Example
from medreward.errors import ConfigError, expected, quote

SPLITS = ("train", "val", "test")


def read_medmnist(path: str | Path, split: str, limit: int | None = None) -> Iterator[Example]:
    """Yield the images and labels of a split of a MedMNIST npz file, at most `limit`.

    Raises:
        ConfigError: if the file cannot be read or is not laid out as MedMNIST's.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "some.npz"
    >>> images, labels = np.zeros((2, 28, 28), np.uint8), np.array([[0], [1]])
    >>> np.savez(path, train_images=images, train_labels=labels)
    >>> [example.target for example in read_medmnist(path, "train")]
    [0, 1]
    """
    if split not in SPLITS:
        raise expected("split", split, SPLITS)
    images, labels = arrays(Path(path), split)
    for i in range(len(images) if limit is None else min(limit, len(images))):
        yield Example(
            image=Image.fromarray(images[i]),
            target=_target(labels[i]),
            id=f"{split}-{i}",
            split=split,
            meta={},
        )


def _target(label: np.ndarray) -> int | np.ndarray:
    """Return the index of the one label, or zeros and ones for several."""
    return int(label.item()) if label.size == 1 else label


def arrays(path: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the images and the labels of a split, (n, 1), or (n, labels) of a multi-label set.

    Raises:
        ConfigError: if the file cannot be read or is not laid out as MedMNIST's.
    """
    names = f"{split}_images", f"{split}_labels"
    try:
        with np.load(path) as content:
            found = {name: content[name] for name in names if name in content}
            held = content.files
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except Exception as error:  # numpy and zipfile raise anything on a broken file
        said = str(getattr(error, "strerror", None) or error).partition("\n")[0]
        raise ConfigError(f"{path}: not a MedMNIST npz file: {quote(said)}") from error
    missing = [name for name in names if name not in found]
    if missing:
        raise ConfigError(f"{path}: no array {quote(missing[0])}; it has {held}")
    images, labels = (found[name] for name in names)
    if not (images.ndim and labels.ndim):
        raise ConfigError(f"{path}: not a MedMNIST npz file: {split} holds single numbers")
    if len(images) != len(labels) or images.dtype != np.uint8 or labels.ndim != 2:
        raise ConfigError(
            f"{path}: {split} has images {images.shape} {images.dtype} and labels {labels.shape}; "
            f"8-bit images with a row of labels each are expected"
        )
    return images, labels
