"""The adapter for EasyR1: by its call, and in its own reward manager where its source is at hand.

Set MEDREWARD_EASYR1 to a checkout of EasyR1 to run the latter; its package is called verl too, so
it runs in a process of its own. Its data set class needs torchvision and is not run here.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from medreward import ConfigError, Task, shaped_reward
from medreward.data.exports import export_rows
from medreward.data.parquet import write_parquet
from medreward.kinds.right_answers import completion_with
from medreward.kinds.truth import ground_truth
from medreward_easyr1 import REWARD_NAME, REWARD_TYPE, compute_score
from tests.trainer_rows import ANSWERS, TARGETS, target_rows


def truth(name: str, **more: Any) -> str:
    told = {"task": name, "target": ground_truth(Task.load(name), TARGETS[name]), "knowledge": ""}
    return json.dumps({**told, "id": "a", **more})


def test_it_scores_as_shaped_reward_does() -> None:
    given, expected = [], []
    for name, target in TARGETS.items():
        for answer in ANSWERS:
            text = completion_with(answer)
            given.append({"response": text, "response_length": 9, "ground_truth": truth(name)})
            expected.append(shaped_reward(text, target, task=name, knowledge=""))
    found = compute_score(given)
    assert [one["overall"] for one in found] == expected
    assert {tuple(one) for one in found} == {
        ("overall", "accuracy", "format", "recitation", "findings", "acc", "correct", "unreadable")
    }
    assert (REWARD_NAME, REWARD_TYPE) == ("medreward", "batch")


def test_settings_and_reasons_are_those_of_the_call() -> None:
    given = [{"response": completion_with("1"), "ground_truth": truth("retinamnist")}]
    [found] = compute_score(given, decay="linear", weights={"format": 0.1}, reasons=["wrong_grade"])
    assert found["overall"] == pytest.approx(0.85)
    assert found["reason_wrong_grade"] == 1.0


@pytest.mark.parametrize("text", ["2", "", None, '{"task": "retinamnist"}', "[1]", 7])
def test_a_ground_truth_without_its_task_is_named(text: Any) -> None:
    good = {"response": "x", "ground_truth": truth("retinamnist")}
    with pytest.raises(ConfigError, match=r"row 1 of the batch: ground_truth.*rows export"):
        compute_score([good, {"response": "x", "ground_truth": text}])
    with pytest.raises(ConfigError, match="row 0 of the batch: data_source: 'nobodys'"):
        compute_score([{"response": "x", "ground_truth": truth("retinamnist", task="nobodys")}])


def test_its_file_is_loaded_by_path() -> None:
    """As EasyR1 loads it: from a file, under a name of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "medreward_easyr1"], capture_output=True, text=True, check=True
    )
    spec = importlib.util.spec_from_file_location("custom_reward_fn", done.stdout.strip())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.REWARD_TYPE == "batch"
    given = [{"response": completion_with("2"), "ground_truth": truth("retinamnist")}]
    assert module.compute_score(given)[0]["overall"] == 1.2


_RUN = """
import json, sys
import numpy as np, torch
from tensordict import TensorDict
from verl.protocol import DataProto
from verl.workers.reward.config import RewardConfig
from verl.workers.reward.function import AutoRewardManager
from datasets import load_dataset
from tests.verl_tools import byte_tokenizer

path, rows, out = sys.argv[1:]
items = list(load_dataset("parquet", data_files=rows, split="train"))
tokenizer = byte_tokenizer()
texts = json.loads(sys.stdin.read())
encoded = [tokenizer(text)["input_ids"] for text in texts]
width = max(map(len, encoded))
responses = torch.tensor([ids + [0] * (width - len(ids)) for ids in encoded])
mask = torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids in encoded])
truths = np.array([item["answer"] for item in items], dtype=object)
batch = DataProto(TensorDict({"responses": responses, "response_mask": mask}, len(texts)),
                  {"ground_truth": truths})
config = RewardConfig(reward_function=f"{path}:compute_score")
config.post_init()
tensor, metrics = AutoRewardManager(config, tokenizer).compute_reward(batch)
with open(out, "w") as file:
    json.dump({"sums": tensor.sum(-1).tolist(), "metrics": sorted(metrics),
               "images": [len(item["images"]) for item in items]}, file)
"""


@pytest.mark.skipif(
    "MEDREWARD_EASYR1" not in os.environ, reason="MEDREWARD_EASYR1 names no checkout of EasyR1"
)
def test_its_own_reward_manager(tmp_path: Path) -> None:
    rows = target_rows()
    (tmp_path / "rows").mkdir()
    write_parquet(tmp_path / "rows" / "train.parquet", rows)
    export_rows(tmp_path / "rows", tmp_path / "out", "easyr1")
    texts = [completion_with(answer) for answer in ANSWERS[:4]]
    root = Path(__file__).parent.parent
    folders = [os.environ["MEDREWARD_EASYR1"], str(root), str(root / "adapters")]
    found = tmp_path / "found.json"
    file = str(root / "adapters" / "medreward_easyr1" / "__init__.py")
    command = [
        sys.executable,
        "-c",
        _RUN,
        file,
        str(tmp_path / "out" / "train.parquet"),
        str(found),
    ]
    done = subprocess.run(
        command,
        input=json.dumps(texts),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(found.read_text())
    assert said["sums"] == pytest.approx([1.2, 1.2, 1.2, 1.0 + 0.2], abs=1e-6)
    assert said["images"] == [1, 1, 1, 1]
    assert "accuracy" in said["metrics"]
