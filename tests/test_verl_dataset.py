"""verl's own data set over our parquet, with a real processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from medreward import Task
from medreward.data import medmnist
from medreward.data.parquet import write_parquet
from medreward.data.row_files import write_shards
from medreward.data.rows import make_rows
from medreward.priors.prompt import build_prompt
from medreward_verl.dataset import PlainImageDataset
from tests.verl_tools import compose

COUNT = 6


@pytest.fixture(scope="module")
def parquet(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "train.parquet"
    examples = medmnist.read_medmnist(test_data / "medmnist" / "pneumoniamnist.npz", "train", COUNT)
    write_parquet(path, make_rows(examples, Task.load("pneumoniamnist")))
    return path


@pytest.fixture(scope="module")
def processor() -> Any:
    from medreward_trl.demo.model import build

    return build([build_prompt(Task.load("pneumoniamnist")).text], seed=0, size=28).processor


def load(kind: Any, parquet: Path, processor: Any, *overrides: str) -> Any:
    settings = [f"+data.cache_dir={parquet.parent}", "data.filter_overlong_prompts_workers=1"]
    config = compose(*settings, *overrides).data
    return kind(str(parquet), processor.tokenizer, config, processor)


def test_verls_own_data_set_reads_the_rows(parquet: Path, processor: Any) -> None:
    from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn

    data = load(RLHFDataset, parquet, processor, "data.filter_overlong_prompts=False")
    assert len(data) == COUNT
    first = data[0]
    image, question = first["raw_prompt"][0]["content"]
    assert image["image"].size == (28, 28)
    assert "pneumonia" in question["text"]
    assert first["data_source"] == "pneumoniamnist"
    assert first["reward_model"]["ground_truth"] in ("normal", "pneumonia")
    collated = collate_fn([data[i] for i in range(COUNT)])
    assert len(collated["raw_prompt"]) == len(collated["extra_info"]) == COUNT


def test_shards_are_read_by_pattern(test_data: Path, processor: Any, tmp_path: Path) -> None:
    from verl.utils.dataset.rl_dataset import RLHFDataset

    examples = medmnist.read_medmnist(test_data / "medmnist" / "pneumoniamnist.npz", "train", COUNT)
    rows = make_rows(examples, Task.load("pneumoniamnist"))
    assert write_shards(tmp_path, "train", rows, 4) == COUNT
    pattern = tmp_path / "train-*.parquet"
    data = load(RLHFDataset, pattern, processor, "data.filter_overlong_prompts=False")
    assert [data[i]["extra_info"]["id"] for i in range(len(data))] == [
        f"train-{i}" for i in range(COUNT)
    ]


def test_the_processor_turns_a_row_into_model_inputs(parquet: Path, processor: Any) -> None:
    data = load(PlainImageDataset, parquet, processor, "data.filter_overlong_prompts=True")
    assert len(data) == COUNT, "verl dropped rows that it could not process"
    messages = data[0]["raw_prompt"]
    images, _, _ = data._process_multi_modal_info(messages, 14, data.config)
    text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    inputs = processor(text=[text], images=images, return_tensors="pt")
    assert inputs["pixel_values"].shape == (1, 3, 28, 28)
    marks = (inputs["input_ids"] == processor.tokenizer.convert_tokens_to_ids("<image>")).sum()
    assert marks == 4  # (28 / 14)² patches


def test_prompts_that_are_too_long_are_left_out(parquet: Path, processor: Any) -> None:
    limits = ["data.filter_overlong_prompts=True", "data.max_prompt_length=10"]
    assert len(load(PlainImageDataset, parquet, processor, *limits)) == 0
