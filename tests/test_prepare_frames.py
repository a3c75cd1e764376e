"""Frames and slices: of TIFF, DICOM and NIfTI, one a row or several as several images of a row."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medreward import ConfigError
from medreward.data.sources import Columns, ReadingOptions, open_dicom, open_nifti, open_table
from medreward.data.sources.record import UnusableError
from tests import prepare_support as support
from tests.prepare_support import card, rows, run

GREYS = (10, 60, 110, 160, 210)


def write_table(folder: Path, *lines: str, header: str = "image,label,frame") -> Path:
    path = folder / "table.csv"
    path.write_text("\n".join([header, *lines]))
    return path


def greys(row: dict[str, Any]) -> list[int]:
    """Return the grey value of each image of a row."""
    images = [Image.open(io.BytesIO(one["bytes"])) for one in row["images"]]
    return [int(np.asarray(image)[0, 0]) for image in images]


def tiff(folder: Path) -> None:
    first, *others = [Image.new("L", (12, 10), grey) for grey in GREYS]
    first.save(folder / "1.tif", save_all=True, append_images=others)


def test_frames_of_a_tiff(tmp_path: Path) -> None:
    tiff(tmp_path)
    table = write_table(tmp_path, "1.tif,alpha,3", "1.tif,beta,0;2 4")
    source = ["--images", tmp_path, "--csv", table, "--split", "train=1"]
    own = card(tmp_path, support.LETTERS)
    options = ["--task", own, *source, "--frame-column", "frame", "--out", tmp_path / "out"]
    assert run(*options) == 0
    first, second = rows(tmp_path / "out", "train")
    assert (greys(first), greys(second)) == ([160], [10, 110, 210])
    assert second["prompt"][0]["content"].count("<image>") == 3
    assert "several frames" not in (tmp_path / "out/dataset_card.md").read_text()


@pytest.mark.parametrize(
    ("cell", "message"),
    [("9", "frame 9 asked for; there are 5"), ("x", "frame 'x' is not a whole number from 0 on")],
)
def test_frames_that_are_not_there(
    cell: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiff(tmp_path)
    table = write_table(tmp_path, f"1.tif,alpha,{cell}")
    source = ["--images", tmp_path, "--csv", table, "--frame-column", "frame"]
    own = card(tmp_path, support.LETTERS)
    assert run("--task", own, *source, "--out", tmp_path / "out") == 2
    assert message in capsys.readouterr().err


def test_boxes_are_of_one_image(tmp_path: Path) -> None:
    tiff(tmp_path)
    table = write_table(tmp_path, "1.tif,a,0;1,1,1,4,4", header="image,label,frame,x,y,w,h")
    columns = Columns(frame="frame", boxes=("x", "y", "w", "h"))
    with pytest.raises(ConfigError, match="boxes beside 2 frames"):
        open_table(tmp_path, table, columns)


def test_frames_of_a_dicom_are_rows_of_their_own(tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom")
    header = pydicom.Dataset()
    header.file_meta = pydicom.dataset.FileMetaDataset()
    header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    header.Rows, header.Columns, header.NumberOfFrames = 10, 12, len(GREYS)
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 8
    header.HighBit, header.PixelRepresentation = 7, 0
    header.WindowCenter, header.WindowWidth = 128, 256
    header.PatientID = "Doe^Jane"
    header.PixelData = b"".join(bytes([grey] * 120) for grey in GREYS)
    header.save_as(tmp_path / "1.dcm", enforce_file_format=False)
    table = write_table(tmp_path, "1.dcm,alpha,1", "1.dcm,beta,4", "1.dcm,beta,0;2", "1.dcm,beta,9")
    source = open_dicom(tmp_path, table, Columns(frame="frame"))
    assert [record.label for record in source.records] == ["alpha", "beta", "beta", "beta"]
    assert {record.group for record in source.records} == {"Doe^Jane"}

    def shown(index: int) -> list[int]:
        loaded: Any = source.load(source.fetch(source.records[index]), ReadingOptions())
        return [int(np.asarray(picture.image)[0, 0]) for picture in loaded]

    assert [shown(i) for i in range(3)] == [[60], [210], [10, 110]]
    with pytest.raises(UnusableError, match="frame 9 asked for"):
        shown(3)


def nifti(folder: Path, name: str, values: np.ndarray) -> None:
    nibabel = pytest.importorskip("nibabel")
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), folder / name)


def test_slices_and_volumes_of_a_series(tmp_path: Path) -> None:
    values: np.ndarray = np.zeros((12, 10, 5, 3), np.int16)  # x, y, z, time
    for z in range(5):
        for time in range(3):
            values[..., z, time] = 10 * z + time
    nifti(tmp_path, "series.nii", values)
    nifti(tmp_path, "one.nii", values[..., 0])
    lines = ["series.nii,alpha,2,1", "series.nii,beta,0;4,2", "series.nii,beta,1,0;1"]
    table = write_table(tmp_path, *lines, "one.nii,beta,0 1 2,", header="image,label,slice,time")
    options = ["--nifti", tmp_path, "--csv", table, "--frame-column", "time", "--split", "train=1"]
    own = card(tmp_path, support.LETTERS)
    intensity = ["--intensity", "0", "255"]
    assert run("--task", own, *options, *intensity, "--out", tmp_path / "out") == 0
    found = [greys(row) for row in rows(tmp_path / "out", "train")]
    assert found == [[21], [2, 42], [10, 11], [0, 10, 20]]


def test_slices_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    nifti(tmp_path, "series.nii", np.zeros((6, 6, 5, 3), np.int16))
    header = "image,label,slice,time"
    table = write_table(tmp_path, "series.nii,alpha,0;1;2,0;1", header=header)
    with pytest.raises(ConfigError, match="3 slices and 2 frames"):
        open_nifti(tmp_path, table, Columns(frame="time"))
    table = write_table(
        tmp_path, "series.nii,alpha,0", "series.nii,alpha,0", header="image,label,slice"
    )
    source = open_nifti(tmp_path, table)
    with pytest.raises(UnusableError, match="--frame-column names a volume"):
        source.load(source.fetch(source.records[0]), ReadingOptions())
