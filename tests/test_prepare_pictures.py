"""Odd and broken picture files: each has a line in the report, and nothing else is lost."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medreward.data.picture import load_bytes, load_file, png_bytes, stretch_values
from medreward.data.render import resize_image, scale_box
from medreward.data.sources.record import NamedBox, Picture, ReadingOptions, UnusableError
from tests import prepare_support as support
from tests.prepare_support import card, noise, run

SECRET = "Jane Q. Doe"


def png_header(width: int, height: int) -> bytes:
    """Return a PNG file that claims a size it has no pixels for."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", body), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.fixture
def nasty(tmp_path: Path) -> Path:
    """A folder per class with all that can be wrong, among good pictures."""
    folder = tmp_path / "nasty"
    alpha = folder / "alpha"
    support.folder_of_images(folder, ["beta/one.png", "beta/two.png", "alpha/good.png"])
    noise(10).save(alpha / "corrupt.jpg", quality=95)
    half = (alpha / "corrupt.jpg").read_bytes()
    (alpha / "corrupt.jpg").write_bytes(half[: len(half) // 2])
    (alpha / "noise.jpg").write_bytes(np.random.default_rng(0).bytes(999))
    (alpha / "empty.png").touch()
    Image.fromarray((np.arange(2400).reshape(40, 60) + 1000).astype(np.uint16)).save(
        alpha / "16.png"
    )
    noise(11).convert("CMYK").save(alpha / "cmyk.jpg")
    noise(12).quantize(16).save(alpha / "palette.png", transparency=0)
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, SECRET
    noise(13).save(alpha / "rotated.jpg", exif=exif)
    (alpha / "bomb.png").write_bytes(png_header(20_000, 20_000))
    (alpha / "small-bomb.png").write_bytes(png_header(12_000, 12_000))
    noise(14).save(tmp_path / "outside.png")
    (alpha / "link.png").symlink_to(tmp_path / "outside.png")
    (alpha / "inner.png").symlink_to(alpha / "cmyk.jpg")
    noise(15).save(alpha / "new\nline.png")
    noise(16).save(alpha / "back\\slash \u00e9 \u202e.png")
    (alpha / "dangling.png").symlink_to("nowhere.png")
    (alpha / "folder").symlink_to(tmp_path)
    (folder / "beta" / "notes.txt").write_text("not a picture")
    return folder


REFUSED = {
    "alpha/bomb.png": "more than 100,000,000 pixels; not decoded",
    "alpha/small-bomb.png": "12000 x 12000 is more than 100,000,000 pixels; not decoded",
    "alpha/corrupt.jpg": "cannot be decoded: image file is truncated",
    "alpha/noise.jpg": "not a picture in a known format, or its header is damaged",
    "alpha/empty.png": "the file is empty (0 bytes)",
    "alpha/link.png": "the path leads out of the folder",
    "alpha/dangling.png": "no such file",
}
NOTED = {
    "alpha/16.png": "more than 8 bits: rescaled linearly from its lowest to its highest value",
    "alpha/cmyk.jpg": "CMYK converted to RGB without a colour profile",
    "alpha/palette.png": "transparency composited on black",
    "alpha/rotated.jpg": "turned as its EXIF orientation says",
    "alpha/folder": "not an image in a class folder; left out",
    "beta/notes.txt": "not an image in a class folder; left out",
}


def test_each_has_its_line_and_nothing_else_is_lost(
    nasty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = nasty.parent / "out"
    source = ("--folders", nasty, "--split", "train=1", "--out", out)
    task = card(nasty.parent, support.LETTERS)
    assert run("--task", task, *source) == 2
    said = capsys.readouterr().err
    assert f"{len(REFUSED)} images cannot be used (--on-error skip leaves them out):" in said
    assert not out.exists()
    for where, why in REFUSED.items():
        assert f"  {where}: {why}" in said
    assert run("--task", task, *source, "--on-error", "skip") == 0
    printed = capsys.readouterr().out
    text = (out / "dataset_card.md").read_text(encoding="utf-8")
    for where, why in (REFUSED | NOTED).items():
        assert f"- {where}: {why}" in text
        assert f"  {where}: {why}" in printed
    good = {"16", "back", "cmyk", "good", "inner", "new", "palette", "rotated", "one", "two"}
    assert len(support.rows(out, "train")) == len(good)
    assert str(nasty) not in text + printed + said


def test_no_metadata_of_the_file_survives(nasty: Path) -> None:
    out = nasty.parent / "out"
    source = ("--folders", nasty, "--split", "train=1", "--on-error", "skip", "--out", out)
    assert run("--task", card(nasty.parent, support.LETTERS), *source) == 0
    for name, written in support.content(out).items():
        assert SECRET.encode() not in written, name
    for row in support.rows(out, "train"):
        assert chunks(row["images"][0]["bytes"]) <= {b"IHDR", b"IDAT", b"IEND"}


def chunks(png: bytes) -> set[bytes]:
    found, at = set(), 8
    while at < len(png):
        found.add(png[at + 4 : at + 8])
        at += 12 + int(struct.unpack(">I", png[at : at + 4])[0])
    return found


def test_png_text_colour_profiles_and_transparency_are_gone() -> None:
    image = noise(0)
    image.info.update(
        icc_profile=b"profile", transparency=(1, 2, 3), dpi=(72, 72), exif=b"x", comment="x"
    )
    assert chunks(png_bytes(image)) == {b"IHDR", b"IDAT", b"IEND"}


# What is done to the pixels


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def read(image: Image.Image, kind: str = "PNG", **options: object) -> Picture:
    return load_bytes(saved(image, kind, **options), ReadingOptions())


def test_eight_bit_pictures_are_unchanged() -> None:
    for channels in (1, 3):
        image = noise(0, channels=channels)
        assert (np.asarray(read(image).image) == np.asarray(image)).all()


def test_sixteen_bits_are_rescaled_by_the_picture_or_by_a_given_range() -> None:
    values = np.array([[1000, 2000], [3000, 4000]], np.uint16)
    content = saved(Image.fromarray(values))
    own = np.asarray(load_bytes(content, ReadingOptions()).image)
    assert own.tolist() == [[0, 85], [170, 255]]
    given_ = np.asarray(load_bytes(content, ReadingOptions(intensity=(0, 4000))).image)
    assert given_.tolist() == [[64, 128], [191, 255]]
    float_ = read(Image.fromarray(np.array([[0.0, np.nan, 0.5]], np.float32)), "TIFF")
    assert np.asarray(float_.image).tolist() == [[0, 0, 255]]


def test_transparent_pixels_become_black() -> None:
    layer = Image.new("RGBA", (2, 1), (200, 100, 50, 255))
    layer.putpixel((1, 0), (200, 100, 50, 0))
    assert np.asarray(read(layer).image).tolist() == [[[200, 100, 50], [0, 0, 0]]]
    grey = Image.new("LA", (1, 1), (200, 128))
    assert read(grey).image.mode == "L"
    assert read(grey).image.getpixel((0, 0)) == 100


def test_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rows of the file are columns of the scene
    image = noise(3)
    turned = read(image, "PNG", exif=exif).image
    assert (np.asarray(turned) == np.asarray(image.rotate(-90, expand=True))).all()


def test_the_first_of_several_frames() -> None:
    frames = [noise(i, channels=1) for i in range(3)]
    picture = read(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    assert picture.notes == ("several frames: the first is taken",)
    assert (np.asarray(picture.image) == np.asarray(frames[0])).all()


def test_formats_that_run_programs_are_not_opened() -> None:
    with pytest.raises(UnusableError, match="not a picture in a known format"):
        load_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", ReadingOptions())


@pytest.mark.parametrize("path", ["../outside.png", "/etc/hostname", "a/../../outside.png", "\0"])
def test_paths_out_of_the_folder_are_refused(path: str, tmp_path: Path) -> None:
    (tmp_path / "in" / "a").mkdir(parents=True)
    noise(0).save(tmp_path / "outside.png")
    with pytest.raises(UnusableError, match=r"leads out of the folder|cannot be followed"):
        load_file((str(tmp_path / "in"), path), ReadingOptions())


GOOD = [
    saved(noise(0, 16, 12)),
    saved(noise(0, 16, 12), "JPEG"),
    saved(noise(0, 16, 12), "GIF"),
    saved(noise(0, 16, 12), "TIFF", compression="tiff_lzw"),
    saved(noise(0, 16, 12), "BMP"),
]


@given(st.sampled_from(GOOD), st.integers(0, 5000), st.binary(min_size=1, max_size=12))
def test_damaged_files_are_read_or_refused_and_never_raise_anything_else(
    content: bytes, at: int, damage: bytes
) -> None:
    at %= len(content)
    damaged = content[:at] + damage + content[at + len(damage) :]
    try:
        picture = load_bytes(damaged, ReadingOptions(max_pixels=10_000))
    except UnusableError:
        return
    assert picture.image.mode in ("L", "RGB")
    assert png_bytes(picture.image)


# Size and boxes


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 200), st.data())
def test_boxes_stay_in_the_picture_and_on_their_pixels(
    width: int, height: int, size: int, data: st.DataObject
) -> None:
    x1, y1 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    x2, y2 = data.draw(st.integers(x1 + 1, width)), data.draw(st.integers(y1 + 1, height))
    new = resize_image(Image.new("L", (width, height)), size).size
    assert max(new) == size
    box = scale_box(NamedBox("x", (x1, y1, x2, y2)), (width, height), new).box
    assert 0 <= box[0] < box[2] <= new[0]
    assert 0 <= box[1] < box[3] <= new[1]
    for got, old, axis in zip(box, (x1, y1, x2, y2), (0, 1, 0, 1), strict=True):
        assert abs(got - old * new[axis] / (width, height)[axis]) <= 1


def test_a_bright_box_is_where_its_box_is_after_resizing() -> None:
    image = Image.new("L", (200, 100))
    image.paste(255, (40, 20, 120, 80))
    small = resize_image(image, 50)
    x1, y1, x2, y2 = scale_box(NamedBox("x", (40, 20, 120, 80)), image.size, small.size).box
    assert (x1, y1, x2, y2) == (10, 5, 30, 20)
    bright = np.asarray(small) > 127
    assert bright[int(y1) : int(y2), int(x1) : int(x2)].all()
    assert bright.sum() == (x2 - x1) * (y2 - y1)


def test_stretching_survives_flat_and_infinite_values() -> None:
    assert stretch_values(np.full(3, 7.0), 7, 7).tolist() == [0, 0, 0]
    assert stretch_values(np.array([-np.inf, 0, np.inf]), -1, 1).tolist() == [0, 128, 255]


@pytest.mark.parametrize(
    ("suffix", "dpi", "is_said"),
    [("png", (72, 144), True), ("jpg", (100, 200), True), ("png", (72, 72), False)],
)
def test_pixels_that_are_not_square_are_remarked(
    suffix: str, dpi: tuple[int, int], is_said: bool, tmp_path: Path
) -> None:
    Image.new("L", (12, 10)).save(tmp_path / f"1.{suffix}", dpi=dpi)
    picture = load_file((str(tmp_path), f"1.{suffix}"), ReadingOptions())
    assert any("not square" in note for note in picture.notes) is is_said
    assert picture.image.size == (12, 10)
