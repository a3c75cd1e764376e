"""DICOM: pictures as a viewer shows them, and nothing from a header in anything that is written."""

from __future__ import annotations

import csv
import logging
import struct
import subprocess
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pydicom.data
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from medreward.data.image_file import DECODER_ERRORS
from medreward.data.sources import dicom
from medreward.data.sources.record import Picture, ReadingOptions, Record, UnusableError
from medreward.data.sources.table import Columns
from tests import prepare_support as support
from tests.prepare_support import card, run

BUNDLED = Path(pydicom.data.__file__).parent / "test_files"
FILES = sorted(str(p.relative_to(BUNDLED)) for p in BUNDLED.rglob("*") if p.is_file())
MARK = "Zebediah"
LOUD = (  # the command, for a user who wants to see every log and warning
    "import logging, sys; logging.basicConfig(level=0)\n"
    "from medreward.commands.cli import main; sys.exit(main(sys.argv[1:]))"
)
TEXTS = "AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT".split()


def header(**elements: Any) -> FileDataset:
    """Return a grey 4x4 image of values 0 to 15 with the given header elements."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    made.Rows = made.Columns = 4
    made.SamplesPerPixel, made.PixelRepresentation = 1, 0
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
    made.PhotometricInterpretation = "MONOCHROME2"
    made.PixelData = np.arange(16, dtype=np.uint16).tobytes()
    for name, value in elements.items():
        setattr(made, name, value)
    return made


def shown(folder: Path, made: FileDataset, **reading: Any) -> np.ndarray:
    pixels: np.ndarray = np.asarray(loaded(folder, made, **reading).image)
    return pixels


def loaded(folder: Path, made: FileDataset, **reading: Any) -> Picture:
    made.save_as(folder / "x.dcm", enforce_file_format=True)
    return opened(folder, "x.dcm", **reading)


def opened(folder: Path, name: str, **reading: Any) -> Picture:
    found = dicom.load((str(folder), name), ReadingOptions(**reading))
    assert isinstance(found, Picture)
    return found


# Pictures


def test_without_a_window_the_values_fill_the_range(tmp_path: Path) -> None:
    assert shown(tmp_path, header()).ravel().tolist() == [17 * i for i in range(16)]
    padded = header(PixelPaddingValue=0)
    assert shown(tmp_path, padded).ravel().tolist()[:2] == [0, 0]


def test_rescale_window_and_monochrome1(tmp_path: Path) -> None:
    """PS3.3 C.11.2.1.2: y = ((x - (c - 0.5)) / (w - 1) + 0.5) (ymax - ymin) + ymin, clipped."""
    made = header(RescaleSlope=10, RescaleIntercept=-100, WindowCenter=0, WindowWidth=101)
    units = np.arange(16) * 10.0 - 100
    wanted = np.round(255 * np.clip((units + 0.5) / 100 + 0.5, 0, 1)).reshape(4, 4)
    assert np.abs(shown(tmp_path, made) - wanted).max() <= 1
    made.PhotometricInterpretation = "MONOCHROME1"
    assert np.abs(shown(tmp_path, made) - (255 - wanted)).max() <= 1
    given = np.round(255 * np.clip((units + 50) / 100, 0, 1)).reshape(4, 4)
    assert (shown(tmp_path, made, intensity=(-50, 50)) == 255 - given).all()


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ({"PresentationIntentType": "FOR PROCESSING"}, "raw data of a detector (FOR PROCESSING)"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "a localizer by its ImageType"),
        ({"Modality": "SEG"}, "modality SEG: no picture, but made from one"),
        ({"PresentationIntentType": "FOR PRESENTATION", "Modality": "MG"}, ""),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"]}, ""),
        ({"ImageType": "LOCALIZER OF DOE JANE"}, ""),
    ],
)
def test_what_is_no_picture_of_the_patient(
    elements: dict[str, Any], said: str, tmp_path: Path
) -> None:
    notes = loaded(tmp_path, header(**elements)).notes
    assert [note[: len(said)] for note in notes] == ([said] if said else [])


def test_the_first_of_several_windows_and_other_functions(tmp_path: Path) -> None:
    one = shown(tmp_path, header(WindowCenter=8, WindowWidth=4))
    several = shown(tmp_path, header(WindowCenter=[8, 2], WindowWidth=[4, 1]))
    assert (one == several).all()
    exact = header(WindowCenter=8, WindowWidth=16, VOILUTFunction="LINEAR_EXACT")
    assert (np.abs(shown(tmp_path, exact).ravel() - np.arange(16) * 255 / 16) <= 1).all()
    curve = shown(tmp_path, header(WindowCenter=8, WindowWidth=4, VOILUTFunction="SIGMOID"))
    sigmoid = 255 / (1 + np.exp(-4 * (np.arange(16) - 8) / 4))
    assert (np.abs(curve.ravel() - sigmoid) <= 1).all()


@pytest.mark.parametrize(
    "elements",
    [
        {"WindowCenter": None, "WindowWidth": None},
        {"WindowCenter": 8, "WindowWidth": 0},
        {"WindowCenter": 8},
        {"WindowCenter": 8, "WindowWidth": -4},
    ],
)
def test_a_window_that_is_none_is_left_out(elements: dict[str, Any], tmp_path: Path) -> None:
    assert shown(tmp_path, header(**elements)).ravel().tolist() == [17 * i for i in range(16)]


def test_a_function_of_no_name_is_the_default_one(tmp_path: Path) -> None:
    window = {"WindowCenter": 8, "WindowWidth": 4}
    plain = shown(tmp_path, header(**window))
    for name in ("", "OTHER"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert (shown(tmp_path, header(**window, VOILUTFunction=name)) == plain).all()


def test_a_range_of_padding_and_pixels_that_are_not_square(tmp_path: Path) -> None:
    padded = header(PixelPaddingValue=0)
    padded.add_new("PixelPaddingRangeLimit", "US", 5)
    values = shown(tmp_path, padded).ravel().tolist()
    assert values[:7] == [0] * 7
    assert values[15] == 255
    assert any("not square" in note for note in loaded(tmp_path, header(PixelSpacing=[1, 2])).notes)
    assert not loaded(tmp_path, header(PixelSpacing=[1, 1])).notes


def test_files_without_a_preamble_and_files_that_end_early(tmp_path: Path) -> None:
    made = header()
    plain = shown(tmp_path, made)
    content = (tmp_path / "x.dcm").read_bytes()
    (tmp_path / "x.dcm").write_bytes(content[132:])
    assert (np.asarray(opened(tmp_path, "x.dcm").image) == plain).all()
    bare = Dataset()
    for element in made:
        bare.add(element)
    bare.save_as(tmp_path / "x.dcm", implicit_vr=True, little_endian=True)
    assert (np.asarray(opened(tmp_path, "x.dcm").image) == plain).all()
    made.PixelData = made.PixelData[:-4]
    with pytest.raises(UnusableError, match="truncated: 28 of 32 bytes"):
        loaded(tmp_path, made)
    (tmp_path / "x.dcm").write_bytes(b"no DICOM at all, but long enough to be read" * 9)
    with pytest.raises(UnusableError, match="not a DICOM file"):
        dicom.load((str(tmp_path), "x.dcm"), ReadingOptions())


def test_boxes_of_a_table_are_kept(tmp_path: Path) -> None:
    header().save_as(tmp_path / "x.dcm", enforce_file_format=True)
    table = tmp_path / "boxes.csv"
    table.write_text("image,label,x,y,w,h\nx.dcm,thing,0,0,2,2\nx.dcm,thing,1,1,2,2\n")
    columns = Columns(boxes=("x", "y", "w", "h"))
    [record] = dicom.open_dicom(tmp_path, table, columns).records
    assert [box.box for box in record.boxes or ()] == [(0, 0, 2, 2), (1, 1, 3, 3)]


def test_a_lut_goes_before_a_window(tmp_path: Path) -> None:
    lut = Dataset()
    lut.LUTDescriptor = [16, 0, 8]
    lut.add_new("LUTData", "US", [255 - 17 * i for i in range(16)])
    made = header(WindowCenter=8, WindowWidth=4, VOILUTSequence=[lut])
    assert shown(tmp_path, made).ravel().tolist() == [255 - 17 * i for i in range(16)]


def test_frames_and_their_own_window(tmp_path: Path) -> None:
    made = header(NumberOfFrames=3)
    made.PixelData = np.arange(48, dtype=np.uint16).tobytes()
    items = []
    for centre in (8, 24, 40):
        window, item = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = centre, 17
        item.FrameVOILUTSequence = [window]
        items.append(item)
    made.PerFrameFunctionalGroupsSequence = items
    pictures = {frame: shown(tmp_path, made, frame=frame) for frame in ("first", "middle", 1, 2)}
    assert (pictures["middle"] == pictures[1]).all()
    assert all((picture == pictures["first"]).all() for picture in pictures.values())
    assert pictures["first"].max() > 230
    with pytest.raises(UnusableError, match="frame 3 asked for; there are not so many"):
        loaded(tmp_path, made, frame=3)


@pytest.mark.parametrize("name", ["SC_rgb_gdcm_KY.dcm", "SC_rgb_dcmtk_+eb+cy+np.dcm"])
def test_colour_is_rgb(name: str) -> None:
    picture = opened(BUNDLED, name).image
    assert picture.mode == "RGB"
    red, green, blue = picture.getpixel((50, 5))
    assert red > 250
    assert max(green, blue) < 5


def test_bundled_ct_is_what_pydicom_gives() -> None:
    made = pydicom.dcmread(BUNDLED / "CT_small.dcm")
    units = pydicom.pixels.apply_modality_lut(made.pixel_array, made)
    wanted = np.round(255 * np.clip((units + 160) / 400, 0, 1))
    picture = opened(BUNDLED, "CT_small.dcm", intensity=(-160, 240))
    assert (np.asarray(picture.image) == wanted).all()
    assert picture.facts["Modality"] == "CT"


# Privacy


def test_burned_in_annotation_is_refused_unless_allowed(tmp_path: Path) -> None:
    for said in ("YES", "Yes", "yes "):
        with pytest.raises(UnusableError, match="burned-in annotation"):
            loaded(tmp_path, header(BurnedInAnnotation=said))
    made = header(BurnedInAnnotation="YES")
    assert shown(tmp_path, made, allow_burned_in=True).shape == (4, 4)
    assert loaded(tmp_path, header(Modality="US")).notes == (
        "modality US, often with text burned in; its header does not say: look at it",
    )
    assert loaded(tmp_path, header(Modality="US", BurnedInAnnotation="NO")).notes == ()


def test_free_text_in_an_allowed_field_is_not_passed_on(tmp_path: Path) -> None:
    facts = loaded(tmp_path, header(BodyPartExamined=f"{MARK} Smith", Modality="CT")).facts
    assert facts == {
        "Modality": "CT",
        "BodyPartExamined": "",
        "PhotometricInterpretation": "MONOCHROME2",
    }


def prepared(
    folder: Path, files: list[str], out: Path, *options: str
) -> subprocess.CompletedProcess[str]:
    """Run the command on files as a user does, to catch all that it prints."""
    table = out.parent / "labels.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "label"])
        writer.writerows([name, ("alpha", "beta")[i % 2]] for i, name in enumerate(files))
    command = [sys.executable, "-W", "always", "-c", LOUD, "prepare", "--dicom", str(folder)]
    command += ["--csv", str(table), "--task", card(out.parent, support.LETTERS), "--out", str(out)]
    return subprocess.run(
        [*command, *options], capture_output=True, text=True, check=False, cwd=out.parent
    )


def test_nothing_from_pydicoms_test_files_gets_out(tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--on-error", "skip", "--drop-duplicates", "--split", "train=1", "--allow-burned-in")
    done = prepared(BUNDLED, FILES, out, *options)
    assert done.returncode == 0, done.stderr
    made = support.rows(out, "train")
    assert len(made) > 70
    text = done.stdout + done.stderr + (out / "dataset_card.md").read_text(encoding="utf-8")
    text += str([{**row, "images": None} for row in made])
    harmless = said_anyway([f"row-{line:06d}" for line in range(2, len(FILES) + 2)])
    values = {value for name in FILES for value in header_values(BUNDLED / name)}
    assert len(values) > 500
    leaked = sorted(value for value in values if value in text and value not in harmless)
    assert leaked == []
    for row in made:
        png = row["images"][0]["bytes"]
        assert png.count(b"IDAT") >= 1
        assert not any(kind in png for kind in (b"tEXt", b"iTXt", b"zTXt", b"eXIf"))
    for name in FILES:
        assert Path(name).name not in text


def said_anyway(ids: list[str]) -> str:
    """Return what a run says whatever the headers hold: header texts that are in it are no leak."""
    allowed = [value for name in FILES for value in header_values(BUNDLED / name, allowed=True)]
    encodings = [entry[0] for entry in pydicom.uid.UID_dictionary.values() if "JPEG" in entry[0]]
    own = Path(dicom.__file__).read_text(encoding="utf-8")
    return " ".join([*allowed, *encodings, *ids, own, support.LETTERS, "train 100000000"])


def header_values(path: Path, *, allowed: bool = False) -> Iterator[str]:
    """Yield each text in a header that is outside (or on) the allow-list, also in sequences."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            made = pydicom.dcmread(path, stop_before_pixels=True)
            elements = list(made.iterall()) + list(made.file_meta)
        except (*DECODER_ERRORS, pydicom.errors.InvalidDicomError):
            return  # broken files of the collection have no values to look for
        for element in elements:
            if element.VR not in TEXTS or (element.keyword in dicom.ALLOWED) != allowed:
                continue
            value = element.value
            for part in value if isinstance(value, pydicom.multival.MultiValue) else [value]:
                if len(str(part).strip()) >= 4:
                    yield str(part).strip()


def test_a_name_in_every_text_field_stays_in_the_file(tmp_path: Path) -> None:
    """Also in the names of files and folders, and where a broken value makes pydicom complain."""
    folder = tmp_path / "dicom"
    (folder / MARK).mkdir(parents=True)
    files = []
    for i in range(6):
        made = header(PatientName=f"{MARK}^A", PatientID=f"{MARK}{i // 2}", Modality="OT")
        made.PixelData = (np.arange(16, dtype=np.uint16) * (i + 1)).tobytes()
        made.StudyDescription = made.InstitutionName = made.PatientComments = MARK
        made.add_new((0x0011, 0x0010), "LO", MARK)  # a private element
        made.add_new((0x0011, 0x1001), "LT", MARK)
        files.append(f"{MARK}/{MARK}_{i}.dcm")
        made.save_as(folder / files[-1], enforce_file_format=True)
    broken = [
        f"{MARK}/{kind}.dcm"
        for kind in ("syntax", "photometric", "text", "absent", "rescale", "count")
    ]
    for name in broken:
        made = header(PatientID=MARK)
        if name.endswith("syntax.dcm"):
            made.file_meta.TransferSyntaxUID = "1.2.3.4.5.6789"
        if name.endswith("photometric.dcm"):
            made.PhotometricInterpretation = MARK.upper()
        if name.endswith("rescale.dcm"):
            made.RescaleSlope, made.RescaleIntercept = None, 0
        if name.endswith("count.dcm"):
            made.NumberOfFrames = "1" * len(MARK)
        made.save_as(folder / name, implicit_vr=False, little_endian=True, enforce_file_format=True)
    # A value that is no number: pydicom quotes it in a warning and in its log.
    count = folder / broken[5]
    count.write_bytes(count.read_bytes().replace(b"1" * len(MARK), MARK.encode()))
    (folder / broken[2]).write_text(MARK)
    (folder / broken[3]).unlink()
    done = prepared(
        folder, [*files, *broken], tmp_path / "out", "--on-error", "skip", "--split", "train=1"
    )
    assert done.returncode == 0, done.stderr
    assert len(support.rows(tmp_path / "out", "train")) >= 6
    mark = MARK.lower().encode()
    for name, written in support.content(tmp_path / "out").items():
        assert mark not in written.lower(), name
        assert b"1.2.3.4.5.6789" not in written, name
    assert MARK.lower() not in (done.stdout + done.stderr).lower()
    assert "1.2.3.4.5.6789" not in done.stdout + done.stderr
    stopped = prepared(folder, [*files, *broken], tmp_path / "other", "--split", "train=1")
    assert stopped.returncode == 2
    assert MARK.lower() not in (stopped.stdout + stopped.stderr).lower()


def test_patients_of_the_header_are_kept_together(tmp_path: Path) -> None:
    folder = tmp_path / "dicom"
    folder.mkdir()
    for i in range(24):
        made = header(PatientID=f"{MARK}{i // 4}")
        made.PixelData = np.roll(np.arange(16, dtype=np.uint16), i).tobytes()
        if i >= 16:
            made.PixelData = (np.arange(16, dtype=np.uint16) ** 2 % (i + 3)).tobytes()
        made.save_as(folder / f"{i:02d}.dcm", enforce_file_format=True)
    out = tmp_path / "out"
    done = prepared(
        folder, [f"{i:02d}.dcm" for i in range(24)], out, "--split", "train=0.5,test=0.5"
    )
    assert done.returncode == 0, done.stderr
    patients = [
        {(int(row["extra_info"]["id"][-6:]) - 2) // 4 for row in support.rows(out, split)}
        for split in ("train", "test")
    ]
    assert not patients[0] & patients[1]
    assert all(patients)


def test_a_torn_patient_is_named_by_lines_only(tmp_path: Path) -> None:
    folder = tmp_path / "dicom"
    folder.mkdir()
    for i in range(2):
        header(PatientID=MARK).save_as(folder / f"{i}.dcm", enforce_file_format=True)
    (tmp_path / "labels.csv").write_text("image,label,split\n0.dcm,alpha,train\n1.dcm,beta,test\n")
    task = card(tmp_path, support.LETTERS)
    command = [sys.executable, "-m", "medreward", "prepare", "--task", task, "--dicom", str(folder)]
    command += ["--csv", str(tmp_path / "labels.csv"), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "train: labels.csv line 2; test: labels.csv line 3" in done.stderr
    assert MARK not in done.stderr


def test_run_is_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--task", "retinamnist", "--dicom", tmp_path, "--out", tmp_path / "out") == 2
    assert "--dicom goes with --csv" in capsys.readouterr().err


# Headers with a person's name or date of birth under every value representation


VRS = (
    "AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR "
    "US UT UV XX"
).split()
LONG = frozenset("OB OD OF OL OV OW SQ UC UN UR UT UV SV".split())
SECRETS = ("DOE^JANE 1970", "DOE JANE", "ZEBEDIAH", "19700131", "0815.4711")
ASKED = {
    "PatientID": (0x0010, 0x0020),
    "PatientName": (0x0010, 0x0010),
    "Modality": (0x0008, 0x0060),
    "BodyPartExamined": (0x0018, 0x0015),
    "BurnedInAnnotation": (0x0028, 0x0301),
    "PhotometricInterpretation": (0x0028, 0x0004),
    "Rows": (0x0028, 0x0010),
    "Columns": (0x0028, 0x0011),
    "NumberOfFrames": (0x0028, 0x0008),
    "SamplesPerPixel": (0x0028, 0x0002),
    "BitsAllocated": (0x0028, 0x0100),
    "PixelPaddingValue": (0x0028, 0x0120),
    "WindowCenter": (0x0028, 0x1050),
    "WindowWidth": (0x0028, 0x1051),
    "RescaleSlope": (0x0028, 0x1053),
    "VOILUTSequence": (0x0028, 0x3010),
    "SharedFunctionalGroupsSequence": (0x5200, 0x9229),
    "SpecificCharacterSet": (0x0008, 0x0005),
}


def element(tag: tuple[int, int], vr: str, value: bytes) -> bytes:
    value += b" " * (len(value) % 2)
    start = struct.pack("<HH", *tag) + vr.encode()
    if vr in LONG:
        return start + b"\0\0" + struct.pack("<I", len(value)) + value
    return start + struct.pack("<H", len(value)) + value


def with_element(plain: bytes, tag: tuple[int, int], vr: str, value: bytes) -> bytes:
    """Return a file with an element in place of its own of that tag, in the order of tags."""
    meta_length = struct.unpack("<I", plain[140:144])[0]
    start = 144 + meta_length
    kept: list[tuple[tuple[int, int], bytes]] = []
    place = start
    while place < len(plain):
        group, number = struct.unpack("<HH", plain[place : place + 4])
        own = plain[place + 4 : place + 6].decode()
        if own in LONG:
            stop = place + 12 + struct.unpack("<I", plain[place + 8 : place + 12])[0]
        else:
            stop = place + 8 + struct.unpack("<H", plain[place + 6 : place + 8])[0]
        if (group, number) != tag:
            kept.append(((group, number), plain[place:stop]))
        place = stop
    kept.append((tag, element(tag, vr, value)))
    return plain[:start] + b"".join(content for _, content in sorted(kept))


def test_no_value_of_a_header_gets_out_under_any_representation(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Some 3,000 headers: whatever is said of them, in an error, a fact, a log or a warning."""
    header().save_as(tmp_path / "x.dcm", enforce_file_format=True)
    plain = (tmp_path / "x.dcm").read_bytes()
    file = tmp_path / "file.dcm"
    record = Record("row-1", "row 1", (str(tmp_path), "file.dcm"))
    said, count, usable = [], 0, 0
    logging.getLogger("pydicom").setLevel(logging.DEBUG)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for tag in ASKED.values():
            for vr in VRS:
                for secret in SECRETS:
                    file.write_bytes(with_element(plain, tag, vr, secret.encode()))
                    dicom._patient(record)  # kept in memory
                    try:
                        picture = dicom.load(record.place, ReadingOptions())
                        assert isinstance(picture, Picture)
                        said.append(f"{picture.notes} {dict(picture.facts)}")
                        usable += 1
                    except UnusableError as error:
                        said.append("".join(traceback.format_exception(error)))
                    count += 1
    said += [str(warning.message) for warning in warned] + [caplog.text, *capfd.readouterr()]
    assert count > 3000
    assert usable > 300
    text = "\n".join(said).replace(str(tmp_path), "")
    assert [secret for secret in SECRETS if secret in text] == []


@pytest.mark.parametrize("skip", [(), ("--on-error", "skip")])
@pytest.mark.parametrize("name", ["PatientID", "Modality", "Rows", "BurnedInAnnotation"])
def test_a_broken_header_is_a_line_that_quotes_nothing(
    tmp_path: Path, name: str, skip: tuple[str, ...]
) -> None:
    files = tmp_path / "files"
    files.mkdir()
    for i in range(4):
        made = header(PixelData=np.arange(i, 16 + i, dtype=np.uint16).tobytes())
        made.save_as(files / f"{i}.dcm", enforce_file_format=True)
    broken = files / "0.dcm"
    broken.write_bytes(with_element(broken.read_bytes(), ASKED[name], "FL", b"DOE^JANE 1970"))
    out = tmp_path / "out"
    done = prepared(files, [f"{i}.dcm" for i in range(4)], out, "--split", "train=1", *skip)
    refused = name != "PatientID"  # which is not needed for a picture
    assert done.returncode == (2 if refused and not skip else 0), done.stderr
    assert "Traceback" not in done.stderr
    text = done.stdout + done.stderr
    text += (out / "dataset_card.md").read_text(encoding="utf-8") if out.exists() else ""
    assert "DOE" not in text
    assert "1970" not in text


@pytest.mark.parametrize("signed", [0, 1])
def test_bits_that_are_not_the_lowest_ones(signed: int, tmp_path: Path) -> None:
    """As dcmtk and others read it: the highest bit that is used is HighBit, whatever is below."""
    plain = header(PixelRepresentation=signed, RescaleSlope=None, RescaleIntercept=None)
    lifted = header(PixelRepresentation=signed, HighBit=15)
    lifted.PixelData = (np.arange(16, dtype=np.uint16) << 4 | 5).tobytes()  # 5: not the image's
    assert (shown(tmp_path, lifted) == shown(tmp_path, plain)).all()
    assert len(np.unique(shown(tmp_path, plain))) == 16


def test_dicom_files_in_sub_folders(tmp_path: Path) -> None:
    (tmp_path / "in" / "a").mkdir(parents=True)
    header(PatientID="p").save_as(tmp_path / "in" / "a" / "1.dcm", enforce_file_format=True)
    table = tmp_path / "table.csv"
    table.write_text("image,label\n1.dcm,a\n1,a\n")
    source = dicom.open_dicom(tmp_path / "in", table)
    assert source.records[0].group == "p"
    assert source.records[0].place == (str(tmp_path / "in"), "a/1.dcm")
    assert [remark.where for remark in source.remarks if "found by" in remark.what] == [
        "1 images",
        "1 images",
    ]
