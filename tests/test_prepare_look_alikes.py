"""Pictures of two splits that look alike are said; those that only resemble each other are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medreward.data.render import LOOK_SIDES
from medreward.prepare import merge_parts
from medreward.prepare.look_alikes import MOST_NAMED, WHAT, LookAlikes
from medreward.prepare.outcome import Identity
from tests.prepare_support import LETTERS, card, run


def scene(seed: int) -> Image.Image:
    """Return a smooth picture, as photographs are, with some noise."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (8, 10), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((480, 384), Image.Resampling.BICUBIC), dtype=float)
    return Image.fromarray(np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype("uint8"))


def save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=70)


def look(image: Image.Image) -> bytes:
    pixels: bytes = image.resize(LOOK_SIDES, Image.Resampling.BOX).tobytes()
    return pixels


def pictures(root: Path) -> Path:
    """Write four pictures a split; the test split has one of train, smaller and as JPEG."""
    for number in range(4):
        label = ("alpha", "beta")[number % 2]
        save(scene(number), root / "train" / label / f"{number}.png")
        save(scene(10 + number), root / "test" / label / f"{number}.png")
    save(scene(1).resize((400, 320)), root / "test" / "beta" / "again.jpg")
    return root


def test_a_picture_that_was_stored_again_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--task", card(tmp_path, LETTERS), "--folders", pictures(tmp_path / "in"))
    assert run(*given, "--workers", 1, "--out", tmp_path / "rows") == 0
    said = f"train/beta/1.png: {WHAT} (test: test/beta/again.jpg)"
    assert capsys.readouterr().out.count(WHAT) == 1
    text = (tmp_path / "rows" / "dataset_card.md").read_text()
    assert said in text
    for part in ("1/3", "2/3", "3/3"):
        assert run(*given, "--workers", 1, "--out", tmp_path / "parts", "--part", part) == 0
    merge_parts([tmp_path / "parts"], tmp_path / "joined")
    assert (tmp_path / "joined" / "dataset_card.md").read_text() == text


def test_pairs_beyond_the_named_ones_are_counted() -> None:
    looks = LookAlikes()
    for number in range(MOST_NAMED + 5):
        for split in ("test", "train"):
            looks.add(look(scene(number)), Identity(f"{split} {number}", split, number, 0))
    named, others = looks.remarks()
    assert [remark.where for remark in named] == [f"train {n}" for n in range(MOST_NAMED)]
    assert [remark.detail for remark in named] == [f"test: test {n}" for n in range(MOST_NAMED)]
    assert others == 5


@pytest.mark.parametrize(
    ("first", "second", "splits"),
    [
        (scene(1), scene(2), ("train", "test")),
        (scene(1), scene(1).transpose(Image.Transpose.FLIP_LEFT_RIGHT), ("train", "test")),
        (scene(1), scene(1).point(lambda v: v // 2), ("train", "test")),  # darker: another one
        (scene(1), scene(1), ("train", "train")),
        (Image.new("L", (64, 48)), Image.new("L", (64, 48), 1), ("train", "test")),
    ],
)
def test_other_pictures_are_not_said(
    first: Image.Image, second: Image.Image, splits: tuple[str, str]
) -> None:
    looks = LookAlikes()
    for number, (image, split) in enumerate(zip((first, second), splits, strict=True)):
        looks.add(look(image), Identity(str(number), split, number, 0))
    assert looks.remarks() == ([], 0)


def test_none_and_several_images_are_like_no_other() -> None:
    looks = LookAlikes()
    looks.add(b"", Identity("a", "train", 0, 0))
    looks.add(b"", Identity("b", "test", 1, 0))
    assert looks.remarks() == ([], 0)
