"""MedMNIST: an npz file at hand, or one that the ``medmnist`` package downloads."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from medreward.data.medmnist import SPLITS, arrays
from medreward.data.picture import on_black
from medreward.data.sources.base import SourceType, option
from medreward.data.sources.record import Flags, Picture, ReadingOptions, Record, Source
from medreward.errors import ConfigError, expected

if TYPE_CHECKING:
    import numpy as np

SIZES = (28, 64, 128, 224)


class MedMnistDownload(SourceType):
    """A MedMNIST set by its name."""

    flags = (option("--medmnist", metavar="NAME", help="a MedMNIST set, by the medmnist package"),)
    options = (
        option(
            "--medmnist-size", type=int, default=28, help="pixels: 28 (default), 64, 128 or 224"
        ),
    )
    example = "--task pneumoniamnist --medmnist pneumoniamnist --medmnist-size 224"

    def open(self, arguments: argparse.Namespace) -> Source:
        """Download the set and return it."""
        return open_npz(download(arguments.medmnist, arguments.medmnist_size))


class NpzFile(SourceType):
    """An npz file in MedMNIST's layout."""

    flags = (option("--npz", metavar="FILE", help="an npz file in MedMNIST's layout"),)
    example = "--task pneumoniamnist --npz pneumoniamnist_224.npz --drop-duplicates"

    def open(self, arguments: argparse.Namespace) -> Source:
        """Return the images of the file."""
        return open_npz(arguments.npz)


def open_npz(path: str | Path) -> Source:
    """Return the images of an npz file in MedMNIST's layout, with its official splits.

    Raises:
        ConfigError: if the file cannot be read or is not laid out as MedMNIST's.

    >>> import tempfile
    >>> import numpy as np
    >>> path, parts = Path(tempfile.mkdtemp()) / "some.npz", {}
    >>> for split in SPLITS:
    ...     parts[f"{split}_images"] = np.zeros((2, 28, 28), np.uint8)
    ...     parts[f"{split}_labels"] = np.array([[0], [1]])
    >>> np.savez(path, **parts)
    >>> [(record.id, record.label) for record in open_npz(path).records][:2]
    [('train-0', 0), ('train-1', 1)]
    """
    content = {split: arrays(Path(path), split) for split in SPLITS}
    for split, (pixels, _) in content.items():
        check_shape(Path(path), split, pixels)
    records = [
        Record(
            id=f"{split}-{i}",
            where=f"{Path(path).name} {split} image {i}",
            place=(split, i),
            label=_label(label),
            split=split,
        )
        for split, (_, labels) in content.items()
        for i, label in enumerate(labels)
    ]
    images = {split: images for split, (images, _) in content.items()}
    return Source(f"MedMNIST {Path(path).name}", records, _load, _FetchPixels(images))


def _label(label: np.ndarray) -> int | Flags:
    """Return the index of the one label, or zeros and ones for several (ChestMNIST)."""
    return int(label.item()) if label.size == 1 else Flags(tuple(label.tolist()))


def download(name: str, size: int = 28, root: str | Path | None = None) -> Path:
    """Return the npz file of a MedMNIST set, downloaded unless it is there already.

    Args:
        name: MedMNIST's name, such as "pneumoniamnist".
        size: side of the images: 28, 64, 128 or 224.
        root: folder to download to; None: MedMNIST's own, ``~/.medmnist``.

    Raises:
        ConfigError: if ``medmnist`` is not installed, has no such set, or cannot download it.
    """
    try:
        import medmnist
    except ModuleNotFoundError as error:
        raise ConfigError(
            "--medmnist needs the medmnist package (with torch and torchvision): "
            "pip install medmnist; or give a downloaded file with --npz FILE"
        ) from error
    names = [known for known in medmnist.INFO if "3d" not in known]
    if name not in names:
        raise expected("--medmnist", name, names)
    if size not in SIZES:
        raise expected("--medmnist-size", size, map(str, SIZES))
    folder = Path(root or medmnist.info.DEFAULT_ROOT or ".")
    file = folder / (f"{name}.npz" if size == 28 else f"{name}_{size}.npz")
    if file.is_file():
        return file
    try:
        folder.mkdir(parents=True, exist_ok=True)
        made = getattr(medmnist, medmnist.INFO[name]["python_class"])
        made(split="train", download=True, size=size, root=str(folder))
    except (AttributeError, RuntimeError, OSError) as error:
        raise ConfigError(
            f"--medmnist {name}: the medmnist package could not download it: "
            f"{str(error).strip() or type(error).__name__}"
        ) from error
    return file


class _FetchPixels:
    """Takes an image's pixels in the main process, so that workers need not load the file."""

    def __init__(self, images: Mapping[str, np.ndarray]) -> None:
        self.images = images

    def __call__(self, record: Record) -> np.ndarray:
        split, index = record.place
        pixels: np.ndarray = self.images[split][index]
        return pixels


def _load(pixels: Any, _: ReadingOptions) -> Picture:
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        return Picture(on_black(Image.fromarray(pixels)), ("transparency composited on black",))
    return Picture(Image.fromarray(pixels))


def check_shape(path: Path, split: str, images: np.ndarray) -> None:
    """Raise `ConfigError` unless an array holds 8-bit pictures, grey, RGB or RGBA.

    >>> import numpy as np
    >>> check_shape(  # doctest: +ELLIPSIS
    ...     Path("a.npz"), "train", np.zeros((9, 28, 28, 28), np.uint8)
    ... )
    Traceback (most recent call last):
    ...
    medreward.errors.ConfigError: a.npz: train_images: 9 arrays of 28 x 28 x 28 uint8 are no ...
    """
    shape = images.shape[1:]
    if images.dtype == "uint8" and (len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4))):
        return
    first = " (channels first: move them behind, numpy.moveaxis(images, 1, -1))"
    hint = first if len(shape) == 3 and shape[0] in (1, 3, 4) else ""
    volumes = "; of volumes, take slices" if len(shape) == 3 and not hint else ""
    raise ConfigError(
        f"{path}: {split}_images: {len(images)} arrays of {' x '.join(map(str, shape))} "
        f"{images.dtype} are no pictures of height x width, with or without 3 or 4 colours "
        f"behind, in uint8{hint}{volumes}"
    )
