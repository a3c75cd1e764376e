"""recipes/verl_vrft.sh: its keys are verl's, and its check finds what would break a run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from medreward import ConfigError, Task
from medreward.commands.cli import main
from medreward.data import mni152
from medreward.data.parquet import write_parquet
from medreward.data.rows import make_rows
from medreward_verl.check import check, compose
from medreward_verl.check import main as check_main
from medreward_verl.merge import merge
from tests.test_model_check import model_folder
from tests.verl_tools import REWARD

ROOT = Path(__file__).parent.parent
RECIPE = ROOT / "recipes" / "verl_vrft.sh"
Capture = pytest.CaptureFixture[str]
VARIANTS = {
    "full": {},
    "lora": {"LORA_RANK": "16", "KL": "0.01"},
    "function": {"REWARD": "function", "DECAY": "reported", "DELTA": "0"},
    "nodes": {"NODES": "4", "RAY_ADDRESS": "auto", "TENSOR_PARALLEL": "2"},
}


def recipe(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    return subprocess.run(
        [str(RECIPE), *options],
        capture_output=True,
        text=True,
        check=False,
        env=environment | {"PYTHON": sys.executable} | variables,
    )


@pytest.fixture(scope="module")
def files(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("rows")
    npz = str(test_data / "medmnist" / "pneumoniamnist.npz")
    command = ["prepare", "--npz", npz, "--task", "pneumoniamnist", "--limit", "80"]
    assert main([*command, "--out", str(folder)]) == 0
    return {"TRAIN": str(folder / "train.parquet"), "VAL": str(folder / "val.parquet")}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("stage", ["localisation", "classification"])
def test_every_key_is_one_of_verls(stage: str, variant: str) -> None:
    done = recipe("--print", "--stage", stage, "--", "trainer.seed=1", **VARIANTS[variant])
    assert done.returncode == 0, done.stderr
    *overrides, last = done.stdout.splitlines()
    assert last == "trainer.seed=1"  # what follows -- goes to verl as it is …
    with pytest.raises(ConfigError, match=r"'trainer.seed' is not one of"):
        compose([*overrides, last])  # … and has to be a key of verl's too
    added = [override for override in overrides if override.startswith("+")]
    assert added
    assert all(override.startswith(f"{REWARD}.") for override in added)
    config = compose(overrides)
    assert config.algorithm.adv_estimator == "grpo"
    assert config.reward.custom_reward_function.reward_kwargs.delta == (
        0 if stage == "localisation" else int(VARIANTS[variant].get("DELTA", "-1"))
    )


def printed_by_check(done: subprocess.CompletedProcess[str], capsys: Capture) -> str:
    """Return what the check prints, in this process, of what the recipe would give to verl."""
    assert done.returncode == 0, done.stderr
    assert check_main(done.stdout.splitlines()) == 0
    return str(capsys.readouterr().out)


def test_check_on_the_command_line(files: dict[str, str]) -> None:
    done = recipe("--check", **files)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("check passed; the model was not loaded")


@pytest.mark.parametrize("variant", ["full", "lora", "function"])
def test_check_passes_on_real_rows(variant: str, files: dict[str, str], capsys: Capture) -> None:
    printed = printed_by_check(recipe("--print", **files, **VARIANTS[variant]), capsys)
    assert "80 rows" in printed
    assert "right +1.200 (correct); unread +0.200 (label_unknown)" in printed
    assert "80 rows: 1 steps of 64 prompts an epoch" in printed
    assert printed.rstrip().endswith("check passed; the model was not loaded")


def test_check_passes_on_boxes(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "boxes.parquet"
    examples = mni152.examples("mni152_brain_box", split="train", count=4, seed=0)
    write_parquet(path, make_rows(examples, Task.load("mni152_brain_box")))
    options = {"TRAIN": str(path), "VAL": str(path), "PROMPTS": "4", "MINI": "4", "GPUS": "4"}
    done = recipe("--print", "--stage", "localisation", **options)
    assert "kind:localisation" in printed_by_check(done, capsys)


@pytest.mark.parametrize(
    ("options", "variables", "message"),
    [
        (["--stage", "localization"], {}, "'localization' is neither"),
        (["--chek"], {}, "'--chek' is not an option"),
        ([], {"NODES": "2"}, "set RAY_ADDRESS"),
        ([], {"REWARD": "both"}, "'both' is neither manager nor function"),
        (["--from-localisation"], {"OUT": "nowhere"}, "run --stage localisation first"),
        (["--check"], {"TRAIN": "nowhere.parquet"}, "nowhere.parquet: No such file"),
        (["--check"], {"DECAY": "linar"}, "did you mean 'linear'"),
        (["--check"], {"W_FORMAT": "lots"}, "weights.format: 'lots'"),
        (["--check"], {"PROMPTS": "90", "MINI": "8"}, "90 prompts a step, but 80 rows in all"),
        (["--check"], {"MINI": "100"}, "verl's validate_config: train_batch_size"),
        (["--check"], {"TASKS": "{pneumoniamnist:retinamist}"}, "did you mean 'retinamnist'"),
        (["--check", "--", "trainer.nodes=1"], {}, "did you mean 'trainer.nnodes'"),
        ([], {"GPUS": "0"}, "GPUS: '0' is not a whole number from 1 on"),
        ([], {"LORA_RANK": "-1"}, "LORA_RANK: '-1' is not a whole number from 0 on"),
        ([], {"LORA_RANK": "abc"}, "LORA_RANK: 'abc'"),
        ([], {"STEPS": "abc"}, "STEPS: 'abc'"),
        (["--check"], {"GROUP": "1"}, "rollout.n: 1 completion a prompt is no group"),
        (["--check"], {"TENSOR_PARALLEL": "2", "GPUS": "1"}, "2 GPUs a model, but 1 GPUs in all"),
        (["--check"], {"MICRO": "5"}, "on 8 GPUs 32 each, which 5 at once do not divide"),
        (["--check"], {"MODEL": "/nope/model"}, "model.path: '/nope/model' is no folder here"),
        (["--check"], {"LOGGER": "[consle]"}, "did you mean 'console'"),
        (["--check"], {"MODEL_PROFILE": "qwen3-vl"}, "did you mean 'qwen3_vl'"),
        (["--check"], {"MODEL_PROFILE": "qwen3_vl_thinking"}, "the reward reads 'prefilled_think'"),
        (["--check", "--", "+reward.reward_kwargs.delta=1"], {}, "MedRewardManager does not read"),
        (["--check", "--", "trainer.total_training_steps=abc"], {}, "'abc' is not a whole number"),
    ],
)
def test_what_is_wrong_is_named(
    options: list[str],
    variables: dict[str, str],
    message: str,
    files: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "--check" not in options:
        done = recipe(*options, **(files | variables))
        assert (done.returncode, message in done.stderr) == (2, True), done.stderr
        return
    printed = recipe("--print", *options[1:], **(files | variables))  # checked in this process
    assert check_main(printed.stdout.splitlines()) == 2
    assert message in capsys.readouterr().err


def test_a_reward_that_is_not_ours_is_found(files: dict[str, str]) -> None:
    overrides = recipe("--print", **files).stdout.splitlines()
    with pytest.raises(ConfigError, match="give one of"):
        list(check([o for o in overrides if not o.startswith("reward.reward_manager")]))
    with pytest.raises(ConfigError, match="cannot be loaded"):
        list(check([*overrides, "reward.reward_manager.name=MedRewardManger"]))


def test_what_keeps_this_machine_from_training_is_an_error_then(files: dict[str, str]) -> None:
    overrides = recipe("--print", **files).stdout.splitlines()
    found = [line for line in check(overrides) if line.startswith("note: to train here")]
    assert any("TRL has to go" in line for line in found)
    with pytest.raises(ConfigError, match="has to"):
        list(check(overrides, train=True))


def test_merging_what_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no fsdp_config\.json"):
        merge(tmp_path, tmp_path / "merged")


def test_shellcheck_finds_nothing() -> None:
    found = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if found is None:
        pytest.skip("shellcheck is not installed")
    scripts = [str(path) for path in (ROOT / "recipes").rglob("*.sh")]
    done = subprocess.run([found, *scripts], capture_output=True, text=True, check=False)
    assert done.stdout == ""


def test_rows_without_places_are_no_first_stage(files: dict[str, str], capsys: Capture) -> None:
    done = recipe("--print", "--stage", "localisation", **files)
    assert check_main(["--places", *done.stdout.splitlines()]) == 2
    said = capsys.readouterr().err
    assert "--stage localisation is for rows with boxes, points or masks" in said


def test_prompts_are_measured_with_the_models_tokenizer(
    files: dict[str, str], tmp_path: Path, capsys: Capture
) -> None:
    model = str(model_folder(tmp_path / "model"))
    given = {**files, "MODEL": model}
    assert "prompts of" in printed_by_check(recipe("--print", **given), capsys)
    short = recipe("--print", **given, MAX_PROMPT="64").stdout.splitlines()
    assert check_main(short) == 2
    out, err = capsys.readouterr()
    assert "note: 80 of 80 rows" in out
    assert "64 tokens leave 0 rows, fewer than the 64 of a step" in err
    thinking = str(model_folder(tmp_path / "thinking", start="<think>"))
    asked = recipe("--print", **{**files, "MODEL": thinking}).stdout.splitlines()
    assert check_main(asked) == 2
    assert "the chat template ends with <think>" in capsys.readouterr().err
