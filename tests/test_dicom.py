"""DICOM: pixels as documented, and nothing of a header in any output."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pydicom.data
import pytest
from pydicom._uid_dict import UID_dictionary
from pydicom.multival import MultiValue

import medreward
from medreward import ConfigError
from medreward.data.images import FileProblemError, ImageFile
from medreward.data.sources import dicom
from medreward.data.sources.dicom import FACTS, DicomFile
from tests.test_prepare import LETTERS, card, content, run

FILES = Path(pydicom.data.__file__).parent / "test_files"
ALL = sorted(path for path in FILES.rglob("*") if path.is_file())
DATA = Path(medreward.__file__).parent / "data"


def own_words() -> str:
    """Return what outputs may say although a header says it too: our own words and encodings."""
    ours = (path.read_text(encoding="utf-8") for path in sorted(DATA.rglob("*.py")))
    encodings = (entry[0] for entry in UID_dictionary.values())
    return "\n".join([*ours, *encodings, LETTERS]).casefold()


def opened(name: str, frame: str = "first") -> np.ndarray:
    image: np.ndarray = np.asarray(DicomFile(ImageFile(FILES, name), frame).open().image)
    return image


def folder_of(tmp_path: Path, files: list[Path]) -> Path:
    """Make a folder of files under names of patients, with a CSV file."""
    folder = tmp_path / "scans of Dr Who"
    folder.mkdir()
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "label", "who"])
        for i, path in enumerate(files):
            name = f"Lovelace^Ada{i} {path.name}"
            shutil.copy(path, folder / name)
            table.writerow([name, "ab"[i % 2], f"Ada Lovelace {i}"])
    return folder


def written(path: Path, change: dict[str, object], source: str = "CT_small.dcm") -> Path:
    dataset = pydicom.dcmread(FILES / source)
    for name, value in change.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    dataset.save_as(path)
    return path


def strings(dataset: pydicom.Dataset) -> Iterator[str]:
    """Yield every text and number with at least 5 characters in a header, but the allowed facts."""
    for element in dataset.iterall():
        value = element.value
        values = value if isinstance(value, MultiValue | list) else [value]
        for item in values:
            text = item.decode("latin-1") if isinstance(item, bytes) else str(item)
            allowed = FACTS.get(element.keyword)
            if element.keyword == "PixelData" or (allowed and re.fullmatch(allowed, text)):
                continue
            if isinstance(item, str | bytes | pydicom.valuerep.PersonName):
                yield from re.findall(r"[^\W_][\w.^ -]{3,}[^\W_]", text[:2000])


def test_no_header_string_of_any_of_pydicoms_files_gets_out(tmp_path: Path) -> None:
    assert len(ALL) > 150
    folder, out = folder_of(tmp_path, ALL), tmp_path / "out"
    script = tmp_path / "script.py"
    script.write_text(
        "import sys; from tests.test_prepare import run\n"
        "if __name__ == '__main__': run(*sys.argv[1:])"
    )
    options = ["--task", str(card(tmp_path, LETTERS)), "--on-error", "skip", "--on-leak", "keep"]
    options += ["--patient-column", "who", "--size", "64", "--workers", "2", "--out", str(out)]
    root = os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(script), "dicom", str(folder), *options],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=True,
    )
    printed = (done.stdout + done.stderr).replace(str(out), "")
    text = printed + (out / "dataset_card.md").read_text()
    rows = [row for path in out.glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    pictures = [row["images"][0].pop("bytes") for row in rows] + [
        (out / "contact_sheet.png").read_bytes()
    ]
    assert len(rows) >= 80
    assert all(chunks(png) <= {b"IHDR", b"IDAT", b"IEND"} for png in pictures)
    text = (text + str(rows) + "".join(p.name for p in out.iterdir())).casefold()
    everything = text.encode() + b"".join(content(out).values())
    assert "lovelace" not in text
    assert b"Lovelace" not in everything
    text = re.sub(r"dicom-\d{6}|csv line \d+", "", text)
    seen, own = set(), own_words()
    for path in ALL:
        assert path.name.casefold() not in text
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found = set(strings(pydicom.dcmread(path, force=True)))
            except (ValueError, NotImplementedError, KeyError):
                continue  # not even pydicom reads this one's header
        seen |= {s for s in found if s.casefold() in text and s.casefold() not in own}
    assert seen == set()


def chunks(png: bytes) -> set[bytes]:
    kinds, place = set(), 8
    while place < len(png):
        length = int.from_bytes(png[place : place + 4])
        kinds.add(png[place + 4 : place + 8])
        place += 12 + length
    return kinds


def test_a_windowed_ct_is_as_the_formula_says(tmp_path: Path) -> None:
    path = written(tmp_path / "ct.dcm", {"WindowCenter": 40, "WindowWidth": 400})
    dataset = pydicom.dcmread(path)
    units = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    # PS3.3 C.11.2.1.2.1: ((x - (c - 0.5)) / (w - 1) + 0.5), clipped, times the range
    share = np.clip((units - 39.5) / 399 + 0.5, 0, 1)
    image = np.asarray(DicomFile(ImageFile(tmp_path, "ct.dcm")).open().image)
    assert np.abs(image - np.round(255 * share)).max() == 0


def test_without_a_window_the_frames_own_range_counts(tmp_path: Path) -> None:
    image, stored = opened("CT_small.dcm"), pydicom.dcmread(FILES / "CT_small.dcm").pixel_array
    share = (stored - stored.min()) / np.ptp(stored)
    assert np.abs(image - np.round(255 * share)).max() == 0


def test_monochrome1_is_the_inverse_of_monochrome2(tmp_path: Path) -> None:
    written(tmp_path / "one.dcm", {"PhotometricInterpretation": "MONOCHROME1"})
    one = np.asarray(DicomFile(ImageFile(tmp_path, "one.dcm")).open().image)
    assert (one == 255 - opened("CT_small.dcm")).all()


def test_frames_are_chosen_by_place_or_number() -> None:
    frames = pydicom.dcmread(FILES / "rtdose.dcm").pixel_array
    middle = opened("rtdose.dcm", "middle")
    assert (middle == opened("rtdose.dcm", str(len(frames) // 2 + 1))).all()
    assert (opened("rtdose.dcm", "last") != opened("rtdose.dcm")).any()
    picture = DicomFile(ImageFile(FILES, "rtdose.dcm"), "2").open()
    assert picture.notes == ("several frames: the 2 is used",)
    with pytest.raises(FileProblemError, match="has 15 frames; --frame 99 is none"):
        opened("rtdose.dcm", "99")


def test_palette_and_colour_images_are_rgb() -> None:
    for name in ("SC_rgb.dcm", "SC_ybr_full_uncompressed.dcm", "examples_palette.dcm"):
        if (FILES / name).exists():
            image = opened(name)
            assert image.ndim == 3
            assert image.dtype == np.uint8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"BurnedInAnnotation": "YES"}, "may show names"),
        ({"PixelData": None}, "has no image"),
        ({"Rows": 30000, "Columns": 30000}, "pixels by its header"),
        ({"PixelData": b"1234"}, "cannot be decoded"),
        ({"Rows": None}, "has no size"),
    ],
)
def test_files_that_cannot_be_used_say_why(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    written(tmp_path / "x.dcm", change)
    with pytest.raises(FileProblemError, match=message):
        DicomFile(ImageFile(tmp_path, "x.dcm")).open()
    if "BurnedInAnnotation" in change:
        assert DicomFile(ImageFile(tmp_path, "x.dcm"), burned_in=True).open().image


def test_damaged_dicom_never_raises_anything_else(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("CT_small.dcm", "rtdose.dcm", "JPEG2000.dcm"):
        whole = (FILES / name).read_bytes()
        for _ in range(40):
            damaged = bytearray(whole)
            for place in rng.integers(132, 2500, 6):
                damaged[place] = int(rng.integers(256))
            (tmp_path / "x.dcm").write_bytes(damaged)
            try:
                DicomFile(ImageFile(tmp_path, "x.dcm")).open()
            except FileProblemError as problem:
                assert len(str(problem)) < 200  # noqa: PT017 - either outcome is right


def test_burned_in_annotation_stops_the_command_by_row(tmp_path: Path) -> None:
    path = written(tmp_path / "names.dcm", {"BurnedInAnnotation": "YES"})
    folder = folder_of(tmp_path, [path])
    arguments = ["dicom", folder, "--task", card(tmp_path, LETTERS), "--split", "train=1"]
    with pytest.raises(ConfigError, match=r"labels\.csv line 2: may show names") as error:
        run(*arguments, "--out", tmp_path / "out")
    assert "Lovelace" not in str(error.value)
    run(*arguments, "--allow-burned-in", "--out", tmp_path / "out")
    card_text = (tmp_path / "out" / "dataset_card.md").read_text()
    assert "| Modality | CT | 1 |" in card_text
    assert "| allow-burned-in | True |" in card_text
    with pytest.raises(ConfigError, match="--frame: '0'"):
        dicom.records(folder, frame="0")
