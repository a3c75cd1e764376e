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


needs_axolotl = pytest.mark.skipif(
    "MEDREWARD_AXOLOTL" not in os.environ, reason="MEDREWARD_AXOLOTL names no Python with axolotl"
)


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Axolotl's command on the folder's config.yaml."""
    given = {"HF_HUB_OFFLINE": "1", "PYTHONPATH": ".", "ACCELERATE_USE_CPU": "true"}
    given |= {"AXOLOTL_DO_NOT_TRACK": "1", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [os.environ["MEDREWARD_AXOLOTL"], "-m", "axolotl.cli.train", "config.yaml"],
        env={**os.environ, **given},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@needs_axolotl
def test_axolotl_trains_on_our_rewards(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from tests.trainers_text_model import write

    write(tmp_path)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    done = run(tmp_path)
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


SEES = """
from functools import wraps
from transformers import LlavaForConditionalGeneration

forward = LlavaForConditionalGeneration.forward


@wraps(forward)
def watched(self, *args, **given):
    if given.get("pixel_values") is not None:
        with open("pixels.txt", "a") as file:
            file.write(f"{tuple(given['pixel_values'].shape)}\\n")
    return forward(self, *args, **given)


LlavaForConditionalGeneration.forward = watched
"""


def write_pictures(folder: Path) -> None:
    """Write rows with pictures as TRL wants them, a model that sees, and rewards that watch it."""
    from medreward.data.parquet import write_parquet
    from medreward_trl.demo.model import build, save
    from medreward_trl.export import export_rows
    from tests.test_swift import never_sample
    from tests.trainers_text_model import REWARDS
    from tests.trl_tools import RIGHT, SIZE, level_rows

    rows = level_rows()
    (folder / "rows").mkdir()
    write_parquet(folder / "rows" / "train.parquet", rows)
    export_rows(folder / "rows", folder / "trl_rows")
    prompts = [row["prompt"][0]["content"].replace("<image>", "") for row in rows]
    tiny = build([*prompts, RIGHT], seed=0, size=SIZE)
    never_sample(tiny, "<image>")
    save(tiny, folder / "model")
    (folder / "my_rewards.py").write_text(REWARDS + SEES, encoding="utf-8")


def plugin() -> str:
    """Return the plugin that the page on TRL gives."""
    page = (Path(__file__).parent.parent / "docs" / "how-to" / "trl.md").read_text("utf-8")
    [found] = re.findall(r"```py\n(# pictures\.py.*?)```", page, re.DOTALL)
    return str(found)


@needs_axolotl
@pytest.mark.parametrize("has_plugin", [True, False])
def test_pictures_reach_the_model_or_the_run_stops(tmp_path: Path, has_plugin: bool) -> None:
    pytest.importorskip("transformers")
    write_pictures(tmp_path)
    rows = {"path": "./trl_rows", "ds_type": "parquet", "split": "train"}
    config = {**CONFIG, "datasets": [rows], "sequence_len": 512}
    if has_plugin:
        (tmp_path / "pictures.py").write_text(plugin(), encoding="utf-8")
        config["plugins"] = ["pictures.Pictures"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    done = run(tmp_path)
    seen = tmp_path / "pixels.txt"
    if not has_plugin:
        assert (
            "processing_class: rows have pictures, but the trainer has a tokenizer" in done.stderr
        )
        assert not seen.exists()
        return
    assert done.returncode == 0, done.stderr[-3000:]
    assert set(seen.read_text().split("\n")) == {"(4, 3, 28, 28)", ""}
    rows_traced = [json.loads(line) for line in (tmp_path / "trace.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows_traced] == [1] * 4 + [2] * 4
    assert {row["target"] for row in rows_traced} == {"normal"}
