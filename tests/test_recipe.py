"""recipes/trl_vrft.py checks what it can without a GPU, and trains with the demo's model."""

from __future__ import annotations

from pathlib import Path

import pytest

from medreward import Task
from tests.evaluation_rows import write_rows
from tests.processes import run_alone, run_here

ROOT = Path(__file__).parent.parent
RECIPE = ROOT / "recipes" / "trl_vrft.py"


@pytest.fixture(scope="module")
def npz(test_data: Path) -> Path:
    return test_data / "medmnist" / "pneumoniamnist.npz"


@pytest.fixture
def on_pneumonia(npz: Path) -> list[str]:
    return ["--set", f"data.npz={npz}", "--set", "task=pneumoniamnist", "--set", "data.limit=12"]


def test_dry_run_on_real_images(on_pneumonia: list[str]) -> None:
    done = run_alone(RECIPE, "--dry-run", *on_pneumonia, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "12 rows" in done.stdout
    assert "clear lungs" in done.stdout
    assert "dry run passed" in done.stdout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("grpo.max_stps=1", "did you mean 'max_steps'"),
        ("rewrd.delta=1", "did you mean 'reward'"),
        ("data.npz=none.npz", "none.npz: No such file"),
        ("reward.decay=linar", "did you mean 'linear'"),
        ("data.split=trian", "did you mean 'train'"),
        ("knowledge=ful", "did you mean 'full'"),
        ("evaluation.parqet=x", "did you mean 'parquet'"),
        ("evaluation={parquet: none.parquet, out: report}", "none.parquet"),
        ("evaluation={parquet: none.parquet}", "evaluation.out: None is not a path"),
    ],
)
def test_dry_run_names_what_is_wrong(
    change: str,
    message: str,
    on_pneumonia: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--dry-run", *on_pneumonia, "--set", change]
    assert run_here(RECIPE, *words, monkeypatch=monkeypatch) == 2
    assert message in capsys.readouterr().err


def test_it_trains_a_model_from_a_folder(
    on_pneumonia: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from medreward_trl.demo.model import build, save

    words = "normal pneumonia look at both lung fields clear opacity"
    save(build([words], seed=0, size=28), tmp_path / "model")
    grpo = {
        "output_dir": tmp_path / "run",
        "max_steps": 2,
        "num_generations": 2,
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 1,
        "max_completion_length": 8,
        "bf16": "false",
        "use_cpu": "true",
        "gradient_checkpointing": "false",
        "log_completions": "false",
    }
    changes = [f"model={tmp_path / 'model'}", "lora={r: 4, target_modules: [q_proj, v_proj]}"]
    changes += [f"grpo.{name}={value}" for name, value in grpo.items()]
    rows = write_rows(tmp_path, Task.load("pneumoniamnist"), ["normal", "pneumonia"] * 2)
    report = tmp_path / "report"
    report.mkdir()
    (report / "completions.jsonl").write_text('{"id": "r0", "completion": "of an earlier run"}\n')
    changes.append(f"evaluation={{parquet: {rows}, out: {report}, max_new_tokens: 4, batch: 2}}")
    options = [*on_pneumonia, *(word for change in changes for word in ("--set", change))]
    assert run_here(RECIPE, *options, monkeypatch=monkeypatch) == 0
    said = capsys.readouterr().out
    assert "rewards/accuracy/mean" in said
    assert "4 new completions" in said
    assert "## pneumoniamnist (4 rows)" in said
    assert (report / "report.html").is_file()
    assert (tmp_path / "run" / "adapter_model.safetensors").exists()
