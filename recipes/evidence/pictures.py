"""Pictures of a study: squares, split so that nothing is trained on twice or tested on early."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from PIL import Image

from medreward import ConfigError, Task
from medreward.data import mni152
from medreward.data.example import Example
from medreward.data.image_file import open_image
from medreward.data.medmnist import read_medmnist
from medreward.data.parquet import write_parquet
from medreward.data.rows import make_rows
from medreward.files.atomic import replacing
from medreward.priors.prompt import PromptBuilder
from medreward_trl.demo.pretrained import SIZE

WARM, TRAIN, TEST = "warm", "train", "test"
_SLICES, _TEST_SLICES = 300, 150
_MEDMNIST = 600  # training pictures


def rows_of(source: str, level: str, data: Path, out: Path, limit: int | None = None) -> Path:
    """Return the folder with a source's rows at a level of knowledge; make it if need be.

    ``warm.parquet`` and ``train.parquet`` are the two halves of the training pictures (of which
    those that are a test picture too are left out), ``test.parquet`` the test pictures. A patient
    is in one half only. The split depends on names alone, never on a seed. With `limit`, each
    split has at most so many pictures of each label.
    """
    folder = out / "rows" / "-".join([source, level, *([str(limit)] if limit else [])])
    if folder.is_dir():
        return folder
    task = Task.load(source)
    examples = _halved(list(SOURCES[source](data)))
    prompts = PromptBuilder(task, level, shuffle=False)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing(folder) as scratch:
        scratch.mkdir(exist_ok=True)
        for split in (WARM, TRAIN, TEST):
            own = _first([one for one in examples if one.split == split], limit)
            _check_targets(source, split, own)
            write_parquet(
                scratch / f"{split}.parquet", make_rows(own, task, prompts), total=len(own)
            )
    return folder


def _check_targets(source: str, split: str, examples: list[Example]) -> None:
    """Raise `ConfigError` if a split's pictures have one target."""
    targets = {str(one.target) for one in examples}
    if len(targets) == 1 < len(examples):
        raise ConfigError(
            f"{source}: the {len(examples)} pictures of {split!r} have {len(targets)} target "
            f"({', '.join(targets)}): an arm that always answers so would be right"
        )


def _halved(examples: list[Example]) -> list[Example]:
    tested = {one.image.tobytes() for one in examples if one.split == TEST}
    return [
        one if one.split == TEST else replace(one, split=_half(one))
        for one in examples
        if one.split == TEST or one.image.tobytes() not in tested
    ]


def _first(examples: list[Example], limit: int | None) -> list[Example]:
    seen: Counter[str | int] = Counter()
    chosen = []
    for one in examples:
        label = one.target if isinstance(one.target, str | int) else "places"
        seen[label] += 1
        if limit is None or seen[label] <= limit:
            chosen.append(one)
    return chosen


def _half(example: Example) -> str:
    return (WARM, TRAIN)[_digest(str(example.meta.get("patient", example.id)))[0] % 2]


def _digest(name: str) -> bytes:
    return sha256(name.encode()).digest()


def _table(folder: str, column: str) -> Callable[[Path], Iterator[Example]]:
    """Return the reader of a folder with pictures and ``labels.csv``."""

    def read(data: Path) -> Iterator[Example]:
        table = data / folder / "labels.csv"
        if not table.is_file():
            raise ConfigError(f"--data: {table} is not there; docs/evidence/method.md says of what")
        with table.open(encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file):
                with open_image(data / folder / line["image"]) as opened:
                    picture = square(opened)
                meta = {"patient": line["patient"]} if "patient" in line else {}
                name = Path(line["image"]).stem
                yield Example(picture, line[column], name, line["split"], meta)

    return read


def _slices(task: str) -> Callable[[Path], Iterator[Example]]:
    """Return the reader of slices of the MNI152 template, which come with a package."""

    def read(data: Path) -> Iterator[Example]:
        del data
        yield from mni152.examples(task, split="train", count=_SLICES, seed=0, size=SIZE)
        yield from mni152.examples(task, split="test", count=_TEST_SLICES, seed=0, size=SIZE)

    return read


def _medmnist(name: str) -> Callable[[Path], Iterator[Example]]:
    """Return the reader of a MedMNIST file: some of its training pictures, and all test pictures.

    Those are drawn by their numbers' digests: files that are sorted by label would give one label.
    """

    def read(data: Path) -> Iterator[Example]:
        path = data / "medmnist" / f"{name}.npz"
        if not path.is_file():
            raise ConfigError(f"--data: {path} is not there; docs/evidence/method.md says of what")
        training = sorted(read_medmnist(path, TRAIN), key=lambda one: _digest(one.id))[:_MEDMNIST]
        for split, examples in ((TRAIN, training), (TEST, read_medmnist(path, TEST))):
            for one in examples:
                yield replace(one, image=square(one.image), split=split)

    return read


def square(picture: Image.Image) -> Image.Image:
    """Return a picture in the middle of a black square, with the sides that the tower has."""
    colour = picture.convert("RGB")
    side = max(colour.size)
    made = Image.new("RGB", (side, side))
    made.paste(colour, ((side - colour.width) // 2, (side - colour.height) // 2))
    return made.resize((SIZE, SIZE), Image.Resampling.BICUBIC)


SOURCES: dict[str, Callable[[Path], Iterator[Example]]] = {
    "busi": _table("busi", "label"),
    "icdr": _table("dr-fundus", "grade"),
    "pneumoniamnist": _medmnist("pneumoniamnist"),
    "mni152_level": _slices("mni152_level"),
    "mni152_brain_box": _slices("mni152_brain_box"),
}
