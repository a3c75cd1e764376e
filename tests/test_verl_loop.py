"""veRL's own trainer, from a warm start to a merged checkpoint, on a CPU (recipes/cpu)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from medreward.runs.trace_sources import read_trace
from medreward.scoring.groups import gather_groups
from medreward_verl import KEYS
from medreward_verl.merge import merge

ROOT = Path(__file__).parent.parent
STEPS = 3


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("loop")
    demo = [sys.executable, "-m", "medreward", "demo", "--steps", "1", "--out", f"{folder}/demo"]
    subprocess.run(demo, check=True, capture_output=True)
    sizes = {"STEPS": str(STEPS), "SAVE_FREQ": str(STEPS), "VAL_SAMPLES": "16"}
    sizes |= {"PROMPTS": "4", "MINI": "4"}
    paths = {"DEMO": f"{folder}/demo", "OUT": f"{folder}/run", "PYTHON": sys.executable}
    trace = f"+reward.custom_reward_function.reward_kwargs.trace={folder}/run/trace.jsonl"
    dump = f"+trainer.rollout_data_dir={folder}/run/rollout"
    done = subprocess.run(
        [str(ROOT / "recipes" / "cpu" / "verl_grpo.sh"), trace, dump],
        env={**os.environ, **sizes, **paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return folder / "run"


@pytest.fixture(scope="module")
def metrics(out: Path) -> list[dict[str, Any]]:
    lines = (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["data"] for line in lines]


@pytest.mark.slow
def test_every_step_trains_on_our_reward(metrics: list[dict[str, Any]]) -> None:
    steps = [step for step in metrics if "critic/score/mean" in step]
    assert len(steps) == STEPS
    for step in steps:
        assert 0.0 < step["critic/score/mean"] <= 1.2
        assert step["critic/score/max"] == pytest.approx(1.2)  # right, well-formed, no recitation
        assert step["actor/grad_norm"] > 0.0


@pytest.mark.slow
def test_validation_reports_every_key(metrics: list[dict[str, Any]], out: Path) -> None:
    for key in KEYS:
        section = "val-core" if key == "acc" else "val-aux"
        assert f"{section}/mni152_level/{key}/mean@1" in metrics[0]
    dumped = (out / "validation" / "0.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(dumped) == 16
    row = json.loads(dumped[0])
    assert row["score"] == pytest.approx(row["accuracy"] + 0.2 * row["format"], abs=0.051)


@pytest.mark.slow
def test_the_trace_holds_what_verl_dumps_and_trains_on(out: Path) -> None:
    rows = list(read_trace([out / "trace.jsonl"]))
    trained = [row for row in rows if row.split == "train"]
    dumped = list(read_trace([out / "rollout"]))
    for step in range(1, STEPS + 1):
        ours, verls = (
            sorted((row.completion, row.total) for row in found if row.step == step)
            for found in (trained, dumped)
        )
        assert [text for text, _ in ours] == [text for text, _ in verls]
        assert [t for _, t in ours] == pytest.approx([t for _, t in verls], abs=1e-6)
    sizes = {len(group) for group in gather_groups(trained)}
    assert sizes == {len(group) for group in gather_groups(dumped)}
    assert min(sizes) > 1
    assert any(row.split == "test" and row.step == 0 for row in rows)  # validated before training


@pytest.mark.slow
def test_the_checkpoint_becomes_a_model_folder(out: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForImageTextToText

    merge(out / "checkpoints" / f"global_step_{STEPS}" / "actor", tmp_path / "merged")
    folders = [out.parent / "demo" / "warm_start", tmp_path / "merged"]
    before, after = (AutoModelForImageTextToText.from_pretrained(f).state_dict() for f in folders)
    assert before.keys() == after.keys()
    moved = [(before[name] - after[name]).abs().max().item() for name in before]
    assert 0.0 < max(moved) < 0.1  # trained, and by three steps
