"""DICOM files that a CSV file lists, as a viewer would show them, and nothing from their headers.

Grey images: the modality's rescale or LUT, then the VOI LUT or the first window, then
MONOCHROME1 inverted. Without window: linear from the lowest to the highest value but padding. With
``Reading.intensity``, that range replaces the window. Colour images: converted to RGB.

Only what `ALLOWED` lists leaves this module. Decoders' error messages and warnings can quote a
header, so they are replaced by texts of ours.
"""

from __future__ import annotations

import argparse
import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from medreward.data.image_file import path_within
from medreward.data.picture import stretch_values
from medreward.data.record_list import RecordList
from medreward.data.sources.base import CSV, SourceType, option
from medreward.data.sources.dicom_terms import defined_term
from medreward.data.sources.find_files import find_files
from medreward.data.sources.record import Picture, ReadingOptions, Record, Source, UnusableError
from medreward.data.sources.table import (
    COLUMN_OPTIONS,
    Columns,
    check_folder,
    columns_of,
    join_rows,
    read_rows,
    walk_files,
)
from medreward.errors import ConfigError
from medreward.files.progress import show_progress

# The only header elements whose values may appear in an output or a message.
ALLOWED = (
    "Modality",
    "BodyPartExamined",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "PixelSpacing",
    "WindowCenter",
    "WindowWidth",
    "TransferSyntaxUID",  # by its standard name only
)
_FACTS = ("Modality", "BodyPartExamined", "PhotometricInterpretation")  # counted in the card
_DECODERS = "a decoder may be missing: pip install pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg"
_MADE = ("SEG", "RTDOSE", "REG")
_WRITTEN_ON = ("US", "OT", "SC", "ES", "XC", "IVUS", "DOC")  # where scanners draw text into images
_SQUARE = 0.02  # by how much the sides of a pixel may differ
_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
_GROUPS = ("PixelValueTransformationSequence", "FrameVOILUTSequence")


class DicomFolder(SourceType):
    """DICOM files and a table with a row for each."""

    flags = (option("--dicom", metavar="DIR", help="DICOM files, with --csv"), CSV)
    options = COLUMN_OPTIONS
    example = "--task chest.yaml --dicom studies --csv findings.csv"

    def open(self, arguments: argparse.Namespace) -> Source:
        """Return the files that the table lists."""
        return open_dicom(arguments.dicom, arguments.csv, columns_of(arguments))


def open_dicom(folder: str | Path, table: str | Path, columns: Columns | None = None) -> Source:
    """Return the DICOM files of a folder that a CSV file lists.

    Rows are known by their line in the CSV file, as files are often named after patients. Without
    a column of patients, images are kept together by the header's PatientID, which stays in memory.

    Raises:
        ConfigError: if pydicom, the folder, the file or a column is missing.

    With the columns image, label and patient::

        source = open_dicom("studies", "studies/labels.csv", Columns(label="finding"))
    """
    _pydicom()
    check_folder(folder)
    columns = columns or Columns()
    rows, remarks = read_rows(folder, table, columns, private=True)
    placed, found = find_files(Path(folder), rows, partial(walk_files, Path(folder)))
    joined, said = join_rows(Path(table), placed, has_boxes=bool(columns.boxes))
    shown = show_progress(joined, desc="patients in headers", unit="file")
    records = RecordList(
        replace(record, group=record.group or _patient(record)) for record in shown
    )
    name = f"DICOM files listed in {Path(table).name}"
    return Source(name, records, load, remarks=(*remarks, *found, *said), private=True)


def load(place: tuple[Any, ...], reading: ReadingOptions) -> Picture | list[Picture]:
    """Return the picture in a DICOM file, or several frames of it.

    Args:
        place: a folder, a path within it, and perhaps the numbers of frames.
        reading: how pictures are read.

    Raises:
        UnusableError: if there is no picture, it cannot be decoded, or it has burned-in annotation.
    """
    folder, relative, *frames = place
    path = path_within(folder, relative)
    if not frames or not frames[0]:
        return _load_frame(path, reading)
    return [_load_frame(path, replace(reading, frame=frame)) for frame in frames[0]]


def _load_frame(path: Path, reading: ReadingOptions) -> Picture:
    with _quiet():
        header = _read(path)
        try:
            _check(header, reading)
            _check_length(header)
            frame, note = _frame(header, reading.frame)
            pixels = _pixels(header, frame, reading)
            facts = {name: defined_term(name, header.get(name)) for name in _FACTS}
            modality = facts["Modality"]
            notes = (
                note,
                _burned_in(header, modality),
                _aspect(header),
                _no_view(header, modality),
            )
        except UnusableError:
            raise
        except Exception as error:  # noqa: BLE001 - pydicom reads an element when it is asked for
            # Not from the error: its text may hold values of the header.
            raise UnusableError(_undecodable(header, error)) from None
    return Picture(Image.fromarray(pixels), tuple(n for n in notes if n), facts)


@cache
def _pydicom() -> Any:
    try:
        import pydicom
        import pydicom.pixels
    except ModuleNotFoundError as error:
        raise ConfigError("DICOM needs pydicom: pip install 'medreward[data]' brings it") from error
    return pydicom


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep pydicom from warning and logging, which can quote a header."""
    logger = logging.getLogger("pydicom")
    before = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before


def _read(path: Path, **options: Any) -> Any:
    try:
        return _pydicom().dcmread(path, **options)
    except _pydicom().errors.InvalidDicomError:
        return _read_bare(path, **options)
    except Exception as error:  # noqa: BLE001 - whatever it is, its text may quote the header
        raise UnusableError(f"its header cannot be read ({type(error).__name__})") from None


def _read_bare(path: Path, **options: Any) -> Any:
    """Return a data set that stands in a file without the preamble of DICOM files.

    Raises:
        UnusableError: if there is no such thing in it.
    """
    try:
        header = _pydicom().dcmread(path, force=True, **options)
        is_one = any(name in header for name in ("SOPClassUID", "PixelData", "PatientID"))
    except Exception:  # noqa: BLE001 - whatever it is, its text may quote the header
        is_one = False
    if not is_one:
        raise UnusableError("not a DICOM file")
    if not getattr(header.file_meta, "TransferSyntaxUID", None):
        little, implicit = header.original_encoding[1], header.original_encoding[0]
        names = {
            (True, True): "ImplicitVRLittleEndian",
            (False, True): "ExplicitVRLittleEndian",
            (False, False): "ExplicitVRBigEndian",
        }
        name = names.get((bool(implicit), bool(little)), "ImplicitVRLittleEndian")
        header.file_meta.TransferSyntaxUID = getattr(_pydicom().uid, name)
    return header


def _patient(record: Record) -> str | None:
    """Return the header's PatientID, or None where the file will be refused anyway."""
    with _quiet():
        try:
            header = _read(path_within(*record.place[:2]), specific_tags=["PatientID"])
            return str(header.get("PatientID") or "") or None
        except Exception:  # noqa: BLE001 - whatever it is, its text may quote the header
            return None


def _check(header: Any, reading: ReadingOptions) -> None:
    burned = str(header.get("BurnedInAnnotation") or "").strip().upper()
    if burned == "YES" and not reading.allow_burned_in:
        raise UnusableError("its header says burned-in annotation (--allow-burned-in takes it)")
    if "PixelData" not in header:
        raise UnusableError("no picture in it (no pixel data)")
    sides = header.get("Columns"), header.get("Rows")
    if not all(isinstance(side, int) and side > 0 for side in sides):
        raise UnusableError("its header lacks the picture's rows or columns")
    if math.prod(map(int, sides)) > reading.max_pixels:  # its numbers could be anybody's, too
        raise UnusableError(f"more than {reading.max_pixels:,} pixels; not decoded")


def _check_length(header: Any) -> None:
    """Refuse pixel data that end too early, where their length is known."""
    uid = getattr(getattr(header, "file_meta", None), "TransferSyntaxUID", None)
    if uid is None or uid not in _pydicom().uid.UID_dictionary or uid.is_compressed:
        return
    expected = _pydicom().pixels.utils.get_expected_length(header)
    if len(header.PixelData) < expected:
        raise UnusableError(
            f"its pixel data are truncated: {len(header.PixelData):,} of {expected:,} bytes"
        )


def _burned_in(header: Any, modality: str) -> str:
    said = str(header.get("BurnedInAnnotation") or "").strip().upper()
    if said or modality not in _WRITTEN_ON:
        return ""
    return f"modality {modality}, often with text burned in; its header does not say: look at it"


def _no_view(header: Any, modality: str) -> str:
    """Return what to say of pixels that are no picture as a reader sees it.

    Presentation Intent Type and Image Type are defined in DICOM PS3.3, C.8.11.7 and C.7.6.1.1.2.
    """
    intent = str(header.get("PresentationIntentType") or "").strip().upper()
    kinds = header.get("ImageType") or ()
    if intent == "FOR PROCESSING":
        return "raw data of a detector (FOR PROCESSING): readers see a FOR PRESENTATION file"
    if not isinstance(kinds, str) and "LOCALIZER" in {str(kind).upper() for kind in kinds}:
        return "a localizer by its ImageType: it shows where slices lie, and is none of them"
    return f"modality {modality}: no picture, but made from one" if modality in _MADE else ""


def _aspect(header: Any) -> str:
    """Return what to say of pixels that are not square: they are shown as they are stored."""
    for name in ("PixelSpacing", "ImagerPixelSpacing", "PixelAspectRatio"):
        try:
            down, across = (float(value) for value in header.get(name) or ())
        except (TypeError, ValueError):
            continue
        if down > 0 and across > 0:
            square = abs(down / across - 1) < _SQUARE
            return "" if square else "its pixels are not square; shown as they are stored"
    return ""


def _frame(header: Any, wanted: str | int) -> tuple[int, str]:
    """Return the number of the frame to show, and what to say about it."""
    count = int(header.get("NumberOfFrames") or 1)
    if count <= 1 and not (isinstance(wanted, int) and wanted):
        return 0, ""
    frame = {"first": 0, "middle": count // 2}.get(wanted) if isinstance(wanted, str) else wanted
    if frame is None or not 0 <= frame < count:
        raise UnusableError(f"frame {wanted} asked for; there are not so many")
    return frame, f"several frames: the {wanted if isinstance(wanted, str) else 'given'} one taken"


def _pixels(header: Any, frame: int, reading: ReadingOptions) -> np.ndarray:
    low_bits = _lift_low_bits(header)
    pixels = _pydicom().pixels.pixel_array(header, index=frame) >> low_bits
    if str(header.PhotometricInterpretation) == "PALETTE COLOR":
        _order_palette(header)
        coloured = _pydicom().pixels.apply_color_lut(pixels, header)
        return _full_range(np.asarray(coloured)[..., :3])
    if pixels.ndim == 3:
        return _full_range(pixels)
    _lift_frame_settings(header, frame)
    grey = _grey(pixels, header, reading)
    inverted = str(header.PhotometricInterpretation) == "MONOCHROME1"
    return 255 - grey if inverted else grey


def _lift_low_bits(header: Any) -> int:
    """Make pydicom keep all bits up to the highest one, and return how many below are not used.

    It takes the lowest bits of a pixel, which is right where the highest one that is used is
    BitsStored - 1, as it nearly always is.
    """
    stored, high = int(header.BitsStored), int(header.get("HighBit") or 0)
    is_plain = not header.file_meta.TransferSyntaxUID.is_compressed
    if not (is_plain and stored <= high < int(header.BitsAllocated)):
        return 0
    header.BitsStored = high + 1
    return high + 1 - stored


def _order_palette(header: Any) -> None:
    """Bring a big-endian file's tables of 16-bit colours into the order that pydicom reads."""
    if header.original_encoding[1] is not False:  # little endian, or not known
        return
    for colour in ("Red", "Green", "Blue"):
        name = f"{colour}PaletteColorLookupTableData"
        if name in header and header[name].VR == "OW":
            header[name].value = np.frombuffer(header[name].value, ">u2").astype("<u2").tobytes()


def _full_range(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype == np.uint8:
        return pixels
    return stretch_values(pixels, 0, float(np.iinfo(pixels.dtype).max))


def _grey(pixels: np.ndarray, header: Any, reading: ReadingOptions) -> np.ndarray:
    for name, default in (("RescaleSlope", 1), ("RescaleIntercept", 0)):
        if name in header and header[name].is_empty:
            setattr(header, name, default)
    values = np.asarray(_pydicom().pixels.apply_modality_lut(pixels, header))
    if reading.intensity:
        return stretch_values(values, *reading.intensity)
    if header.get("VOILUTSequence"):
        bits = int(header.VOILUTSequence[0].LUTDescriptor[2])
        shown = _pydicom().pixels.apply_voi_lut(values, header)
        return stretch_values(np.asarray(shown), 0, float(2**bits - 1))
    window = _window(header)
    if window:
        return _windowed(values, header, *window)
    real = values[~_is_padding(pixels, header)]
    real = real if real.size else values
    return stretch_values(values, float(real.min()), float(real.max()))


def _is_padding(pixels: np.ndarray, header: Any) -> np.ndarray:
    """Return which pixels are padding: of one value, or of a range of values."""
    value, limit = (header.get(name) for name in ("PixelPaddingValue", "PixelPaddingRangeLimit"))
    if value is None:
        none: np.ndarray = np.zeros(pixels.shape, bool)
        return none
    ends = sorted((value, value if limit is None else limit))
    within: np.ndarray = (pixels >= ends[0]) & (pixels <= ends[1])
    return within


def _window(header: Any) -> tuple[float, float] | None:
    """Return centre and width of the first window; None where there is none, or an empty one.

    A function of no standard name is the default one, as an empty one is in files of some scanners.
    """
    try:
        centre, width = (
            float(np.atleast_1d(header.get(name))[0]) for name in ("WindowCenter", "WindowWidth")
        )
    except (TypeError, ValueError, IndexError):
        return None
    if str(header.get("VOILUTFunction") or "").strip().upper() not in _FUNCTIONS:
        header.VOILUTFunction = "LINEAR"
    least = 0.0 if header.get("VOILUTFunction") != "LINEAR" else 1.0
    can_apply = math.isfinite(centre) and math.isfinite(width) and width > 0 and width >= least
    return (centre, width) if can_apply else None


def _windowed(values: np.ndarray, header: Any, centre: float, width: float) -> np.ndarray:
    """Apply the first window; what it gives far below and above is black and white."""
    far = np.array([centre - 1e4 * abs(width), centre + 1e4 * abs(width)])
    low, high = _pydicom().pixels.apply_windowing(far, header)
    return stretch_values(
        _pydicom().pixels.apply_windowing(values, header), float(low), float(high)
    )


def _lift_frame_settings(header: Any, frame: int) -> None:
    """Put an enhanced multi-frame's rescale and window of a frame where pydicom looks for them."""
    shared = header.get("SharedFunctionalGroupsSequence") or []
    own = header.get("PerFrameFunctionalGroupsSequence") or []
    for item in [*shared[:1], *own[frame : frame + 1]]:
        for name in _GROUPS:
            for settings in item.get(name) or []:
                header.update(settings)


def _undecodable(header: Any, error: BaseException) -> str:
    """Say why, by the encoding's standard name: a UID that is not standard could say anything."""
    try:
        uid = getattr(getattr(header, "file_meta", None), "TransferSyntaxUID", None)
    except Exception:  # noqa: BLE001 - whatever it is, its text may quote the header
        uid = None
    if uid is None or uid not in _pydicom().uid.UID_dictionary:
        return f"its pixels cannot be decoded (unknown transfer syntax; {type(error).__name__})"
    said = f"its pixels cannot be decoded ({uid.name}; {type(error).__name__})"
    return f"{said}; {_DECODERS}" if isinstance(error, RuntimeError) and uid.is_compressed else said
