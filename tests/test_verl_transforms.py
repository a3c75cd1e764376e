"""verl's data set that transforms rows as it reads them, with verl's own data loader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medreward import ConfigError, Task
from medreward.data import mni152
from medreward.data.example import Example
from medreward.data.parquet import write_parquet
from medreward.data.rows import make_rows
from medreward.perception import Region, Sample, parse
from medreward.priors.prompt import build_prompt
from medreward_verl.dataset import TransformedDataset, TransformedPlainImageDataset
from tests.mask_support import LESION, decoded, mask_row, with_truth
from tests.prepare_support import card, noise
from tests.test_verl_dataset import load

TEXT = "Flip(p=0.5) | Rotate(degrees=-20..20)"
COUNT = 6


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    task = Task.load("mni152_brain_box")
    examples = mni152.examples("mni152_brain_box", split="train", count=COUNT, seed=0, size=56)
    path = tmp_path_factory.mktemp("rows") / "train.parquet"
    write_parquet(path, make_rows(examples, task))
    return path


@pytest.fixture(scope="module")
def processor() -> Any:
    from medreward_trl.demo.model import build

    return build([build_prompt(Task.load("mni152_brain_box")).text], seed=0, size=56).processor


def opened(parquet: Path, processor: Any, text: str = TEXT, *more: str) -> Any:
    transforms = [f"+data.transforms='{text}'", "+data.transforms_seed=4", *more]
    short = "data.filter_overlong_prompts=False"
    return load(TransformedPlainImageDataset, parquet, processor, short, *transforms)


def image_of(row: dict[str, Any]) -> Any:
    return row["raw_prompt"][0]["content"][0]["image"]


def test_image_and_truth_change_together_and_again_in_the_next_epoch(
    parquet: Path, processor: Any
) -> None:
    import pyarrow.parquet as pq

    data = opened(parquet, processor)
    plain = pq.read_table(parquet).to_pylist()
    for epoch in range(3):
        for i, before in enumerate(plain):
            after = data[i]
            drawn = parse(TEXT).draw(4, before["extra_info"]["id"], epoch)
            assert after["extra_info"]["transforms"] == str(drawn)
            picture = prepared(before)
            ((x1, y1, x2, y2),) = json.loads(before["reward_model"]["ground_truth"])
            sample = drawn(Sample((picture,), (Region((x1, y1, x2, y2)),)))
            assert image_of(after).convert("RGB") == sample.image.convert("RGB")
            wanted = [[round(v) for v in region.box] for region in sample.regions]
            assert json.loads(after["reward_model"]["ground_truth"]) == wanted
    assert "_number" not in data[0]


def prepared(row: dict[str, Any]) -> Any:
    from tests.prepare_support import image

    picture = image(row)
    picture.load()
    return picture


@pytest.mark.parametrize("workers", [0, 2])
def test_verls_data_loader_sees_another_draw_each_epoch(
    parquet: Path, processor: Any, workers: int
) -> None:
    from torchdata.stateful_dataloader import StatefulDataLoader
    from verl.utils.dataset.rl_dataset import collate_fn

    data = opened(parquet, processor)
    loader = StatefulDataLoader(data, batch_size=2, num_workers=workers, collate_fn=collate_fn)
    seen = [
        {info["id"]: info["transforms"] for batch in loader for info in batch["extra_info"]}
        for _ in range(3)
    ]
    for epoch, drawn in enumerate(seen):
        assert drawn == {name: str(parse(TEXT).draw(4, name, epoch)) for name in drawn}
        assert len(drawn) == COUNT


def test_the_validation_split_is_left_alone(processor: Any, tmp_path: Path) -> None:
    task = Task.load("mni152_brain_box")
    path = tmp_path / "val.parquet"
    example = Example(noise(0, 56, 56, 1), [[0, 0, 20, 20]], "val-0", "val")
    write_parquet(path, make_rows([example], task))
    row = opened(path, processor, "Flip()")[0]
    assert json.loads(row["reward_model"]["ground_truth"]) == [[0, 0, 20, 20]]
    assert row["extra_info"]["transforms"] is None
    assert image_of(row).convert("L") == example.image


def test_a_card_of_ones_own_is_named_in_the_configuration(processor: Any, tmp_path: Path) -> None:
    from tests.prepare_support import CELLS
    from tests.prepare_support import task as task_of

    path = tmp_path / "cells.parquet"
    example = Example(noise(0, 56, 56, 1), [[0, 0, 20, 20]], "train-0", "train")
    write_parquet(path, make_rows([example], task_of(CELLS)))
    named = f"+data.transforms_tasks.cells={card(tmp_path, CELLS)}"
    row = opened(path, processor, "Flip()", named)[0]
    assert row["reward_model"]["ground_truth"] == "[[36, 0, 56, 20]]"
    with pytest.raises(ConfigError, match="cells"):
        opened(path, processor, "Flip()")[0]


def test_masks_move_with_the_image(processor: Any, tmp_path: Path) -> None:
    path = tmp_path / "lesion.parquet"
    write_parquet(path, [mask_row(name=f"train-{i}") for i in range(COUNT)])
    named = f"+data.transforms_tasks.lesion={card(tmp_path, LESION)}"
    text = "Flip(p=0.5) | Rotate(0/90/180/270, expand=true) | CropPart(0.6..1, x=0..1, y=0..1)"
    data = opened(path, processor, text, named)
    shapes = set()
    for _ in range(3):
        for i in range(COUNT):
            row = data[i]
            mask = decoded(row["reward_model"]["ground_truth"])
            assert np.array_equal(mask, np.asarray(image_of(row).convert("L")) > 0)
            shapes.add(mask.shape)
    assert len(shapes) > 6


def test_a_mask_of_another_size_names_its_row(processor: Any, tmp_path: Path) -> None:
    path = tmp_path / "lesion.parquet"
    wrong = with_truth(mask_row(name="train-5"), '{"size": [60, 40], "counts": [2400]}')
    write_parquet(path, [wrong])
    named = f"+data.transforms_tasks.lesion={card(tmp_path, LESION)}"
    for text in ("Flip()", "Flip(p=0)"):
        with pytest.raises(ConfigError, match=r"row 'train-5': .*not that of the image, 60 x 40"):
            opened(path, processor, text, named)[0]


def test_missing_or_wrong_transforms_are_named(parquet: Path, processor: Any) -> None:
    with pytest.raises(ConfigError, match=r"data\.transforms: missing"):
        load(TransformedDataset, parquet, processor, "data.filter_overlong_prompts=False")
    with pytest.raises(ConfigError, match="did you mean 'Flip'"):
        opened(parquet, processor, "Flop()")
