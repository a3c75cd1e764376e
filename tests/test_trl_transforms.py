"""TRL's own trainer over a data set that transforms its rows as they are read."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medreward import ConfigError, Task
from medreward.data import mni152
from medreward.data.rows import make_rows
from medreward.perception import parse
from medreward_trl import RewardFuncs
from medreward_trl.dataset import from_rows
from medreward_trl.transforms import with_transforms
from tests.mask_support import TASK as LESION
from tests.mask_support import decoded, mask_row, with_truth
from tests.test_perception_rows import row

TEXT = "Flip(p=0.5) | Rotate(degrees=-20..20) | CropPart(share=0.8..1, x=0..1, y=0..1)"
SIZE, GROUP, PROMPTS = 28, 4, 2


@pytest.fixture(scope="module")
def boxes() -> Any:
    examples = mni152.examples("mni152_brain_box", split="train", count=8, seed=0, size=SIZE)
    return from_rows(make_rows(examples, Task.load("mni152_brain_box")))


class Spy:
    """A reward function that notes what TRL gives it; rewards the first two of a group."""

    def __init__(self) -> None:
        self.batches: list[dict[str, Any]] = []
        self.__name__ = "spy"

    def __call__(self, *, completions: list[Any], **columns: Any) -> list[float]:
        self.batches.append(columns)
        return [float(i % GROUP < 2) for i in range(len(completions))]


def train(data: Any, callback: Any, spy: Spy, folder: Path, steps: int, **settings: Any) -> Any:
    from medreward_trl.demo.model import build
    from medreward_trl.train import make_trainer

    text = data[0]["prompt"][0]["content"][-1]["text"]
    tiny = build([text], seed=0, size=SIZE)
    trainer = make_trainer(
        model=tiny.model,
        dataset=data,
        reward=RewardFuncs([spy], [1.0]),  # type: ignore[list-item]
        settings={
            "output_dir": str(folder),
            "max_steps": steps,
            "num_generations": GROUP,
            "per_device_train_batch_size": GROUP * PROMPTS,
            "max_completion_length": 4,
            "gradient_checkpointing": False,
            "bf16": False,
            "use_cpu": True,
            "save_strategy": "no",
            "report_to": [],
            "disable_tqdm": True,
            **settings,
        },
        processor=tiny.processor,
        callbacks=[callback],
    )
    trainer.train()
    return trainer


LETTERBOX = f" | Letterbox(width={SIZE}, height={SIZE})"


@pytest.mark.parametrize("workers", [0, 2])
def test_a_group_shares_image_and_target_and_epochs_differ(
    boxes: Any, tmp_path: Path, workers: int
) -> None:
    data, callback = with_transforms(boxes, TEXT + LETTERBOX, "mni152_brain_box", seed=1)
    spy = Spy()
    settings = {"dataloader_num_workers": workers, "num_iterations": 2}
    settings["dataloader_persistent_workers"] = workers > 0  # so they have to hear of the epoch
    train(data, callback, spy, tmp_path, 16, **settings)  # 4 batches, each used twice: 2 epochs
    assert len(spy.batches) == 8
    epochs: dict[str, list[str]] = {}
    for number, batch in enumerate(spy.batches):
        for start in range(0, GROUP * PROMPTS, GROUP):
            group = slice(start, start + GROUP)
            for column in ("id", "transforms", "target"):
                assert len(set(batch[column][group])) == 1
            pixels = {image.tobytes() for image in batch["image"][group]}
            assert len(pixels) == 1
            name, drawn = batch["id"][start], batch["transforms"][start]
            epochs.setdefault(name, []).append(drawn)
            original = next(r for r in boxes if r["id"] == name)
            expected = parse(TEXT + LETTERBOX).draw(1, name, epoch=number // 4)
            assert str(expected) == drawn
            assert_same(expected, original, batch["image"][start], batch["target"][start])
    assert len(epochs) == 8
    assert all(len(set(drawn)) == 2 for drawn in epochs.values())


def assert_same(drawn: Any, original: Any, image: Any, target: str) -> None:
    """Check an image and a target against a transform of the untouched row."""
    from medreward.perception import Region, Sample

    ((x1, y1, x2, y2),) = json.loads(original["target"])
    after = drawn(Sample((original["image"],), (Region((x1, y1, x2, y2)),)))
    assert after.image.tobytes() == image.tobytes()
    assert [[round(v) for v in region.box] for region in after.regions] == json.loads(target)


def test_copies_of_the_data_set_hear_of_the_epoch(boxes: Any) -> None:
    data, callback = with_transforms(boxes, TEXT, "mni152_brain_box")
    copies = [copy.deepcopy(data), data.select(range(4)), data.shuffle(seed=0)]

    class State:
        epoch = 1.0

    before = [one[0]["transforms"] for one in copies]
    callback.on_epoch_begin(None, State(), None)
    after = [one[0]["transforms"] for one in copies]
    assert all(old != new for old, new in zip(before, after, strict=True))
    assert data[0]["transforms"] == str(parse(TEXT).draw(0, data[0]["id"], epoch=1))


def test_side_words_follow_in_trls_prompt() -> None:
    data = from_rows([row(Task.load("organamnist"), "kidney-left", level="none")])
    ours, _ = with_transforms(data, "Flip()", "organamnist")
    first = ours[0]
    assert first["target"] == "kidney-right"
    before, after = (one["prompt"][0]["content"][-1]["text"] for one in (data[0], first))
    labels = before.index("femur-left") < before.index("femur-right")
    assert (after.index("femur-right") < after.index("femur-left")) == labels


def test_masks_move_with_the_image() -> None:
    names = [f"train-{i}" for i in range(12)]
    data = from_rows([mask_row(name=name) for name in names])
    text = "Flip(p=0.5) | Rotate(0/90/180/270, expand=true) | CropPart(0.6..1, x=0..1, y=0..1)"
    ours, callback = with_transforms(data, text, LESION, seed=2)

    class State:
        epoch = 1.0

    before = [dict(row) for row in ours]
    callback.on_epoch_begin(None, State(), None)
    shapes = set()
    for after in [*before, *ours]:
        mask = decoded(after["target"])
        assert np.array_equal(mask, np.asarray(after["image"]) > 0)
        shapes.add(mask.shape)
    assert len(shapes) > 6


def test_a_mask_of_another_size_names_its_row() -> None:
    wrong = with_truth(mask_row(name="train-5"), '{"size": [60, 40], "counts": [2400]}')
    ours, _ = with_transforms(from_rows([wrong]), "Flip()", LESION)
    with pytest.raises(ConfigError, match=r"row 'train-5': .*not that of the image, 60 x 40"):
        ours[0]


def test_a_mask_as_a_mapping_stays_one() -> None:
    data = from_rows([mask_row()]).map(lambda row: {"target": json.loads(row["target"])})
    ours, _ = with_transforms(data, "Flip()", LESION)
    assert isinstance(ours[0]["target"], dict)
    assert np.array_equal(decoded(ours[0]["target"]), np.asarray(ours[0]["image"]) > 0)


def test_a_second_image_is_in_column_and_prompt() -> None:
    task = Task.load("retinamnist")
    data, _ = with_transforms(from_rows([row(task, 1)] * 2), "ContrastBeside(tiles=4)", task)
    first = data[0]
    assert "image" not in first
    assert len(first["images"]) == 2
    kinds = [part["type"] for part in first["prompt"][0]["content"]]
    assert kinds == ["image", "image", "text", "text"]


def test_rows_that_were_prepared_with_two_images_keep_both() -> None:
    from medreward.perception import RowTransform

    one = row(Task.load("retinamnist"), 1)
    two = RowTransform(parse("ContrastBeside(tiles=4)"))(one)
    data = from_rows([one, two])
    assert [len(images) for images in data["images"]] == [1, 2]
    assert [p["type"] for p in data[1]["prompt"][0]["content"]] == ["image", "image", "text"]


def test_two_images_train_in_trl(tmp_path: Path) -> None:
    examples = mni152.examples("mni152_level", split="train", count=4, seed=0, size=SIZE)
    plain = from_rows(make_rows(examples, Task.load("mni152_level"), "none"))
    data, callback = with_transforms(plain, "ContrastBeside(tiles=2)", "mni152_level")
    spy = Spy()
    train(data, callback, spy, tmp_path, 2)
    assert all(len(images) == 2 for batch in spy.batches for images in batch["images"])


WRONG = [
    ("Flip()", "organsmnist", "task 'organsmnist'"),
    ("Flop()", "organamnist", "did you mean"),
    ("Flip()", [], "list of tasks is empty"),
    ("Flip()", "organmnist", "not one of"),
]


@pytest.mark.parametrize(("text", "task", "message"), WRONG)
def test_what_is_wrong_is_named_at_once(text: str, task: Any, message: str) -> None:
    data = from_rows([row(Task.load("organamnist"), "kidney-left", level="none")])
    with pytest.raises(ConfigError, match=message):
        with_transforms(data, text, task)
    with pytest.raises(ConfigError, match="column 'id' is missing"):
        with_transforms(data.remove_columns("id"), "Flip()", "organamnist")
