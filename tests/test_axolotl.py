"""Axolotl's own command on our rewards: its YAML, its loader of rewards, its GRPO trainer.

MEDREWARD_AXOLOTL names the Python of an environment with axolotl and medreward[data].
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
from inspect import signature
from pathlib import Path

import pytest
import yaml

from medreward import shaped_reward
from medreward_trl import tasks

CONFIG = {
    "base_model": "./model",
    "rl": "grpo",
    "trl": {
        "beta": 0.0,
        "use_vllm": False,
        "max_completion_length": 8,
        "num_generations": 2,
        "reward_funcs": ["my_rewards.accuracy", "my_rewards.format_", "my_rewards.recitation"],
        "reward_weights": [1.0, 0.2, 0.05],
    },
    "datasets": [{"path": "./rows.jsonl", "ds_type": "json", "split": "train"}],
    "sequence_len": 128,
    "micro_batch_size": 4,
    "gradient_accumulation_steps": 1,
    "max_steps": 2,
    "logging_steps": 1,
    "learning_rate": 1e-5,
    "optimizer": "adamw_torch",
    "lr_scheduler": "constant",
    "bf16": False,
    "fp16": False,
    "tf32": False,
    "attn_implementation": "sdpa",
    "val_set_size": 0,
    "output_dir": "./out",
    "dataset_prepared_path": "./prepared",
    "save_strategy": "no",
    "remove_unused_columns": False,
}


def test_a_reward_by_its_path_has_the_parameters_that_axolotl_asks_for() -> None:
    # GRPOStrategy.get_reward_func: the last part of the name, of the module before it.
    reward = getattr(tasks, "medreward_trl.tasks.retinamnist".rpartition(".")[2])
    assert len(signature(reward).parameters) >= 2
    texts = ["<think>Dot bleeds.</think><answer>2</answer>"]
    assert reward(prompts=["?"], completions=texts, completion_ids=[[1]], target=["2"]) == [1.2]


@pytest.mark.skipif(
    "MEDREWARD_AXOLOTL" not in os.environ, reason="MEDREWARD_AXOLOTL names no Python with axolotl"
)
def test_axolotl_trains_on_our_rewards(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from tests.trainers_text_model import write

    write(tmp_path)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    given = {"HF_HUB_OFFLINE": "1", "PYTHONPATH": ".", "ACCELERATE_USE_CPU": "true"}
    given |= {"AXOLOTL_DO_NOT_TRACK": "1", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [os.environ["MEDREWARD_AXOLOTL"], "-m", "axolotl.cli.train", "config.yaml"],
        env={**os.environ, **given},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [json.loads(line) for line in (tmp_path / "trace.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1] * 4 + [2] * 4
    for row in rows:
        again = shaped_reward(row["completion"], "normal", task=row["task"], knowledge="")
        assert row["total"] == pytest.approx(again)
    logged = map(ast.literal_eval, re.findall(r"\{'loss'[^}]*\}", done.stdout + done.stderr))
    means = [float(entry["reward"]) for entry in logged]
    for step, mean in enumerate(means):
        own = [row["total"] for row in rows if row["step"] == step + 1]
        assert mean == pytest.approx(sum(own) / 4, abs=1e-3)
    assert len(means) == 2
