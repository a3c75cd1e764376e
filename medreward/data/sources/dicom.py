"""A folder of DICOM files and a CSV file with their labels; nothing of a header gets out.

Pixels: the modality LUT or rescale, then the VOI LUT or the first window, then its range to 0..255;
without either, the frame's own least to greatest value (8-bit unsigned values stay as they are).
MONOCHROME1 is inverted, so that more is brighter. Colour of 16 bits is divided by 257.

Privacy: ids are running numbers, messages name rows of the CSV file, and of the header only the
`FACTS` are published, each if it has the form that the standard gives it. Files whose header says
that names may be burned into the pixels are refused.
"""

from __future__ import annotations

import logging
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, pixel_array
from pydicom.uid import UID

from medreward.data.images import FileProblemError, ImageFile, Picture, check_size, inside
from medreward.data.images import to_eight_bits as sixteen_to_eight
from medreward.data.sources.csv_file import Columns, read_lines, record
from medreward.data.sources.record import Found, folder
from medreward.errors import ConfigError

FACTS = {
    "Modality": r"[A-Z]{2,10}",
    "BodyPartExamined": r"ABDOMEN|ANKLE|BRAIN|BREAST|CHEST|ELBOW|EYE|FOOT|HAND|HEAD|HEART|HIP|KNEE"
    r"|LIVER|NECK|PELVIS|SHOULDER|SKULL|SPINE|[CTL]SPINE|WRIST",
    "PhotometricInterpretation": r"MONOCHROME[12]|PALETTE COLOR|RGB|YBR_[A-Z0-9_]{2,12}",
    "BitsStored": r"[0-9]{1,2}",
}
FRAMES = ("first", "middle", "last")
# What pydicom and its decoders raise on damaged or unsupported input.
_FAILURES = (
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    NotImplementedError,
    OverflowError,
    ArithmeticError,
    RuntimeError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
    InvalidDicomError,
    BytesLengthException,
)


@dataclass(frozen=True)
class DicomFile:
    """A DICOM file, opened when it is its turn; travels between processes.

    Attributes:
        file: where it is.
        frame: of several frames, "first", "middle", "last", or a number from 1 on.
        burned_in: whether to take files that say that annotation is burned into the pixels.
    """

    file: ImageFile
    frame: str = "first"
    burned_in: bool = False

    def digest(self) -> bytes:
        """Return the SHA-256 of the file's bytes."""
        return self.file.digest()

    def open(self) -> Picture:
        """Return the image in 8 bits; errors say nothing that the header holds."""
        path = inside(self.file.root, self.file.relative)
        with _silent():
            dataset = _read(path)
            self._check(dataset)
            index, notes = _frame(dataset, self.frame)
            image = _image(dataset, index)
            facts = tuple(_facts(dataset))
        return Picture(image, notes, facts)

    def _check(self, dataset: Dataset) -> None:
        if "PixelData" not in dataset:
            raise FileProblemError("has no image (no PixelData)")
        burned_in = str(dataset.get("BurnedInAnnotation", "NO")).strip().upper()
        if burned_in == "YES" and not self.burned_in:
            raise FileProblemError(
                "may show names: its header says that annotation is burned into the image; "
                "--allow-burned-in takes it all the same"
            )
        try:
            width, height = int(dataset.Columns), int(dataset.Rows)
        except (AttributeError, TypeError, ValueError):
            raise FileProblemError("has no size in its header") from None
        check_size(width, height)


def records(
    path: Path,
    table: Path | None = None,
    columns: Columns | None = None,
    *,
    frame: str = "first",
    burned_in: bool = False,
) -> Found:
    """Return the images that a CSV file lists; ids are running numbers.

    Args:
        path: the folder of the DICOM files.
        table: the CSV file; else the only one in the folder.
        columns: which columns hold what.
        frame: of files with several frames, "first", "middle", "last", or a number from 1 on.
        burned_in: whether to take files that say that annotation is burned into the pixels.

    Raises:
        ConfigError: if the CSV file cannot be read, or the frame is none.
    """
    if frame not in FRAMES and not re.fullmatch(r"[1-9][0-9]{0,5}", frame):
        raise ConfigError(f"--frame: {frame!r} is not one of {', '.join(FRAMES)} or from 1 on")
    lines = read_lines(folder(path), table, columns or Columns())
    return Found(
        [
            record(
                line,
                f"dicom-{number:06d}",
                DicomFile(ImageFile(path, line.image), frame, burned_in),
                line.where,
            )
            for number, line in enumerate(lines, start=1)
        ],
        [],
    )


@contextmanager
def _silent() -> Iterator[None]:
    """Keep pydicom's warnings and log lines, which quote values of the header, from showing."""
    logger = logging.getLogger("pydicom")
    disabled = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = disabled


def _read(path: Path) -> Dataset:
    try:
        return dcmread(path)
    except InvalidDicomError:
        raise FileProblemError("is not a DICOM file") from None
    except _FAILURES as error:
        raise FileProblemError(f"is a damaged DICOM file ({type(error).__name__})") from None


def _frame(dataset: Dataset, choice: str) -> tuple[int, tuple[str, ...]]:
    """Return the index of the chosen frame, and a note if there was a choice."""
    try:
        count = max(1, int(dataset.get("NumberOfFrames") or 1))
    except (TypeError, ValueError):
        raise FileProblemError("has a NumberOfFrames that is no number") from None
    index = {"first": 0, "middle": count // 2, "last": count - 1}.get(choice)
    if index is None:
        index = int(choice) - 1
    if index >= count:
        raise FileProblemError(f"has {count} frames; --frame {choice} is none of them")
    return index, (f"several frames: the {choice} is used",) if count > 1 else ()


def _image(dataset: Dataset, index: int) -> Image.Image:
    try:
        pixels = pixel_array(dataset, index=index)
        kind = str(dataset.PhotometricInterpretation)
        if kind == "PALETTE COLOR":
            return _colour(apply_color_lut(pixels, dataset))
        if pixels.ndim == 3:
            return _colour(pixels)
        image = Image.fromarray(_grey(pixels, _settings(dataset, index)))
        return ImageOps.invert(image) if kind == "MONOCHROME1" else image
    except FileProblemError:
        raise
    except _FAILURES as error:
        raise FileProblemError(_why(dataset, error)) from None


def _why(dataset: Dataset, error: Exception) -> str:
    """Return why pixels cannot be decoded, in words of the standard and none of the file's."""
    syntax: Any = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    known = isinstance(syntax, UID) and syntax.is_transfer_syntax and not syntax.is_private
    name = syntax.name if known else "an unknown encoding"
    missing = isinstance(error, RuntimeError | NotImplementedError)
    hint = "; some encodings need pip install 'pylibjpeg[all]'" if missing else ""
    return f"cannot be decoded ({name}, {type(error).__name__}){hint}"


def _colour(pixels: np.ndarray) -> Image.Image:
    if pixels.dtype == np.uint8:
        return Image.fromarray(np.ascontiguousarray(pixels[..., :3]))
    bands = [sixteen_to_eight(pixels[..., i]) for i in range(3)]
    return Image.merge("RGB", bands)


def _settings(dataset: Dataset, index: int) -> Dataset:
    """Return a data set with the rescale and the window of a frame of an enhanced image."""
    functional = Dataset()
    functional.update({e.tag: e for e in dataset if e.tag.group == 0x0028 and e.VR != "SQ"})
    for name in ("ModalityLUTSequence", "VOILUTSequence"):
        if name in dataset:
            functional[name] = dataset[name]
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    frames = dataset.get("PerFrameFunctionalGroupsSequence") or []
    for group in [*list(shared)[:1], *list(frames)[index : index + 1]]:
        for name in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
            for item in group.get(name) or []:
                functional.update(item)
    return functional


def _grey(stored: np.ndarray, settings: Dataset) -> np.ndarray:
    """Return stored values as 8 bits, by the modality and VOI transforms of the header."""
    values: np.ndarray = apply_modality_lut(stored, settings)
    if stored.dtype == np.uint8 and np.array_equal(values, stored):
        values = stored
    low, high = float(values.min()), float(values.max())
    if settings.get("VOILUTSequence"):
        bits = int(settings.VOILUTSequence[0].LUTDescriptor[2])
        whole = np.round(values).astype(np.int64)
        values, low, high = apply_voi_lut(whole, settings), 0.0, 2.0**bits - 1
    elif settings.get("WindowCenter") is not None and settings.get("WindowWidth") is not None:
        # The ends of the output's range are what the window makes of values beyond both its ends.
        ends = apply_voi_lut(np.array([-1e9, 1e9]), settings)
        values, low, high = apply_voi_lut(values, settings), float(ends[0]), float(ends[1])
    elif values is stored and stored.dtype == np.uint8:
        return stored
    share = (values - low) / (high - low) if high > low else np.zeros(values.shape)
    grey: np.ndarray = np.round(255 * np.clip(share, 0, 1)).astype(np.uint8)
    return grey


def _facts(dataset: Dataset) -> Iterator[tuple[str, str]]:
    for name, form in FACTS.items():
        value: Any = dataset.get(name)
        if value is not None and re.fullmatch(form, str(value)):
            yield name, str(value)
