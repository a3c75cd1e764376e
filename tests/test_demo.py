"""The demo, and what builds on what it writes: run as a user runs them, for a few steps."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from medreward.commands.cli import main
from medreward.data import mni152
from medreward.data.parquet import SCHEMA
from medreward_trl.demo.demonstrations import demonstration
from tests.processes import run_here
from tests.test_docs import BLOCK

ROOT = Path(__file__).parent.parent
STEPS = 3


def command(*words: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "demo"
    done = command(sys.executable, "-m", "medreward", "demo", "--out", out, "--steps", STEPS)
    (out / "printed.txt").write_text(done.stdout, encoding="utf-8")
    return out


def test_it_prints_and_writes_the_metrics(demo: Path) -> None:
    result = json.loads((demo / "result.json").read_text(encoding="utf-8"))
    printed = (demo / "printed.txt").read_text(encoding="utf-8")
    html = (demo / "report.html").read_text(encoding="utf-8")
    for policy in ("before", "after"):
        assert {"accuracy", "quadratic weighted kappa", "zero_variance"} <= result[policy].keys()
        for name in result[policy]:
            assert f"{result[policy][name]:.3f}" in printed
            assert f"{result[policy][name]:.3f}" in html
    assert [step["step"] for step in result["history"]] == [1, 2, 3]
    assert result["signature"].startswith("medreward:")
    assert "decay:geometric" in result["signature"]
    assert html.count("<section") == 8


def test_the_warm_start_writes_the_format_and_knows_a_little(demo: Path) -> None:
    before = json.loads((demo / "result.json").read_text(encoding="utf-8"))["before"]
    assert before["unreadable"] < 0.1
    assert 0.3 < before["accuracy"] < 0.8


def test_held_out_completions_score_as_the_demo_says(demo: Path, tmp_path: Path) -> None:
    out = tmp_path / "scored.jsonl"
    source = str(demo / "held_out.jsonl")
    assert main(["score", source, "--task", "mni152_level", "--out", str(out)]) == 0
    scored = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    after = [row["correct"] for row in scored if row["policy"] == "grpo"]
    result = json.loads((demo / "result.json").read_text(encoding="utf-8"))
    assert sum(after) / len(after) == pytest.approx(result["after"]["accuracy"])


def test_only_what_is_documented_is_left(demo: Path) -> None:
    import pyarrow.parquet as pq

    made = {path.name for path in demo.iterdir()} - {"printed.txt"}
    assert made == {
        *("train.parquet", "test.parquet", "warm_start", "policy"),
        *("trace.jsonl", "held_out.jsonl", "result.json", "report.html"),
    }
    for name in ("train", "test"):
        assert pq.read_schema(demo / f"{name}.parquet").equals(SCHEMA)


def test_the_plain_loop_trains_the_demo_model(
    demo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = ROOT / "recipes" / "custom_loop.py"
    assert len(recipe.read_text(encoding="utf-8").splitlines()) <= 120
    assert run_here(recipe, "--demo", demo, "--steps", 3, monkeypatch=monkeypatch) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(0.0 < float(line.split()[-1]) < 1.3 for line in lines)


def test_the_readme_trains_in_trl_on_what_the_demo_wrote(
    demo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    code = next(block for block in BLOCK.findall(readme) if "runs/demo" in block)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "demo").symlink_to(demo)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {"__name__": "example"})
    assert "rewards/recitation/mean" in capsys.readouterr().out


def test_trl_command_line_takes_the_reward_by_dotted_path(demo: Path, tmp_path: Path) -> None:
    from medreward_trl.dataset import from_parquet

    (tmp_path / "data").mkdir()
    from_parquet(demo / "train.parquet").select(range(32)).to_parquet(
        tmp_path / "data" / "train.parquet"
    )
    options = {
        "model_name_or_path": demo / "warm_start",
        "dataset_name": tmp_path / "data",
        "reward_funcs": "medreward_trl.tasks.mni152_level",
        "output_dir": tmp_path / "out",
        "max_steps": 2,
        "num_generations": 4,
        "per_device_train_batch_size": 8,
        "max_completion_length": 16,
        "use_cpu": True,
        "bf16": False,
        "report_to": "none",
        "logging_steps": 1,
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    done = command(sys.executable, "-m", "trl.scripts.grpo", *words)
    assert "rewards/shaped/mean" in done.stdout
    assert "zero_variance" in done.stdout


def test_demonstrations_name_what_is_measured() -> None:
    examples = mni152.examples("mni152_level", split="train", count=50, seed=0)
    words = {demonstration(example) for example in examples}
    assert len(words) > 5
    assert {"small", "medium", "large"} <= {word.split()[1] for word in words}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", "0"], "steps: 0 is not a whole number from 1 on"),
        (["--seed", "-1"], "seed: -1"),
    ],
)
def test_wrong_options_are_named(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--out", str(tmp_path / "out"), *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
