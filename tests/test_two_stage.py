"""recipes/trl_two_stage.py: plan, checks, and arms on the demo's model and real smears."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets import concatenate_datasets
from PIL.Image import Resampling

from medreward import ConfigError, Task
from medreward.data.example import Example
from medreward.data.parquet import write_parquet
from medreward.data.picture import load_file
from medreward.data.rows import make_rows
from medreward.data.sources import voc
from medreward.data.sources.record import ReadingOptions, Record
from medreward.runs import read_trace
from medreward_trl.dataset import from_parquet
from medreward_trl.demo.model import Tiny, build, load, save
from medreward_trl.demo.warm_start import imitate
from recipes.trl_two_stage import demonstrations, plan, train
from tests.processes import run_here

ROOT = Path(__file__).parent.parent
SIZE = 56
CARDS = ROOT / "benchmarks" / "two_stage"
BOXES, KIND = (Task.load(CARDS / f"{name}.yaml") for name in ("cells_boxes", "cells_kind"))
TINY = {"learning_rate": 2e-4, "bf16": False, "use_cpu": True, "save_strategy": "no"}
QUIET = {"report_to": "none", "logging_steps": 1, "disable_tqdm": True}


def example(record: Record, task: Task) -> Example:
    """A whole smear at `SIZE` pixels with its white cells, or with the kinds of its cells."""
    image = load_file(record.place, ReadingOptions()).image
    across, down = SIZE / image.width, SIZE / image.height
    small = image.convert("RGB").resize((SIZE, SIZE), Resampling.BILINEAR)
    named = record.boxes or ()
    cells = [b for name, b in named if name == "WBC"]
    scaled = [[b[0] * across, b[1] * down, b[2] * across, b[3] * down] for b in cells]
    kind = bool(cells) + 2 * any(name == "Platelets" for name, _ in named)
    target = {"boxes": scaled, "size": [SIZE, SIZE]} if task is BOXES else kind
    return Example(small, target, record.id, "train")


@pytest.fixture(scope="module")
def config(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The recipe's configuration for eight smears and a model that knows the words."""
    folder = tmp_path_factory.mktemp("two_stage")
    records = voc.open_voc(test_data / "bccd").records[:8]
    content: dict[str, Any] = {"model": str(folder / "model"), "out": str(folder / "out")}
    for name, task in (("localisation", BOXES), ("classification", KIND)):
        path = folder / f"{name}.parquet"
        write_parquet(path, make_rows([example(record, task) for record in records], task, "none"))
        card = str(CARDS / f"{task.name}.yaml")
        content[name] = {"task": card, "rows": str(path), "steps": 2}
    content["localisation"]["reward"] = {"box_quality": "giou"}
    content["grpo"] = {
        "num_generations": 4,
        "per_device_train_batch_size": 8,
        "max_completion_length": 32,
        "gradient_checkpointing": False,
        **TINY,
        **QUIET,
    }
    content["supervised"] = {"per_device_train_batch_size": 2, **TINY, **QUIET}
    save(_warm(content), folder / "model")
    return content


def _warm(content: dict[str, Any]) -> Tiny:
    """A model that has seen right completions, so that some groups have a variance."""
    texts: list[str] = []
    shown = []
    for name, task in (("localisation", BOXES), ("classification", KIND)):
        data = from_parquet(content[name]["rows"])
        texts += [row[0]["content"] for row in demonstrations(data, task, {})["completion"]]
        shown.append(data)
    tiny = build(texts, seed=0, size=SIZE, mean=0.7, std=0.1)
    imitate(tiny, concatenate_datasets(shown), texts, steps=60, seed=0)
    return tiny


def test_arms_differ_in_stages_and_steps(config: dict[str, Any]) -> None:
    steps = {
        arm: [(stage.name, stage.supervised, stage.steps) for stage in plan(config, arm)]
        for arm in ("two_stage", "direct", "supervised", "short")
    }
    assert steps == {
        "two_stage": [("localisation", False, 2), ("classification", False, 2)],
        "direct": [("classification", False, 4)],
        "supervised": [("localisation", True, 2), ("classification", False, 2)],
        "short": [("classification", False, 2)],
    }


def test_demonstrations_are_right(config: dict[str, Any]) -> None:
    from medreward import explain
    from medreward.kinds.truth import target_of

    data = from_parquet(config["localisation"]["rows"])
    shown = demonstrations(data, BOXES, {})
    assert shown.column_names == ["prompt", "completion", "image"]
    for target, row in zip(data["target"], shown, strict=True):
        assert row["image"].size == (SIZE, SIZE)
        score = explain(row["completion"], target_of(BOXES, target), task=BOXES)
        assert score.correct, score


def test_demonstrations_have_the_form_and_frame_of_the_reward(config: dict[str, Any]) -> None:
    from medreward import explain
    from medreward.kinds.truth import target_of

    data = from_parquet(config["localisation"]["rows"])
    own = {"model_profile": "qwen3_vl_thinking"}
    for target, row in zip(data["target"], demonstrations(data, BOXES, own), strict=True):
        text = row["completion"][0]["content"]
        assert "<think>" not in text
        assert explain(text, target_of(BOXES, target), task=BOXES, **own).total == 1.2


@pytest.mark.parametrize("arm", ["two_stage", "supervised"])
def test_an_arm_trains_and_is_not_run_twice(
    arm: str, config: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    policy = train(config, arm)
    assert policy.parent == Path(config["out"]) / arm / "seed_0"
    start = load(Path(config["model"])).model.state_dict()
    for stage in (policy.with_name("localisation"), policy):
        trained = load(stage).model.state_dict()
        assert any(not trained[name].equal(start[name]) for name in start), stage
        start = trained
    trace = policy.with_name("classification.trace.jsonl")
    assert {row.step for row in read_trace([trace])} == {1, 2}
    assert policy.with_name("localisation.trace.jsonl").exists() == (arm == "two_stage")
    capsys.readouterr()
    assert train(config, arm) == policy
    assert capsys.readouterr().out.count("complete") == 2


def test_lora_is_merged_into_each_policy(config: dict[str, Any]) -> None:
    lora = {"r": 4, "target_modules": ["q_proj", "v_proj"]}
    policy = train({**config, "out": config["out"] + "_lora", "lora": lora}, "short")
    start = load(Path(config["model"])).model.state_dict()
    trained = load(policy).model.state_dict()
    assert start.keys() == trained.keys()
    changed = {name for name in start if not trained[name].equal(start[name])}
    assert changed
    assert all("q_proj" in name or "v_proj" in name for name in changed)


def test_dry_run_on_the_command_line(
    config: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    recipe = ROOT / "recipes" / "trl_two_stage.py"
    assert run_here(recipe, "--config", file, "--dry-run", monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "stage 1: GRPO on localisation, 2 steps" in printed
    assert "dry run passed" in printed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"localisation": {"task": "bccd"}}, "localisation: .* is not a mapping with task, rows"),
        ({"classification": {"task": "bcd", "rows": "x", "steps": 1}}, "did you mean 'bccd'"),
        ({"classification": {"task": "bccd", "rows": "x", "steps": 0}}, "steps: 0 is not a whole"),
    ],
)
def test_a_wrong_stage_is_named(
    change: dict[str, Any], message: str, config: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match=message):
        plan({**config, **change}, "two_stage")
