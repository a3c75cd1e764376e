"""What the TRL recipes refuse before a model is loaded, and that they go on from a checkpoint."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import load_file

from medreward import ConfigError, Task
from medreward.data import mni152
from medreward.data.example import Example
from medreward.data.parquet import write_parquet
from medreward.data.rows import Row, make_row, make_rows
from medreward.kinds.truth import ground_truth
from medreward.priors.prompt import build_prompt
from medreward.runs.trace_sources import read_trace
from medreward_trl.dataset import from_rows
from medreward_trl.recipe import (
    check_grpo,
    check_lora,
    check_model,
    check_rows,
    load_processor,
    model_to_load,
)
from tests.processes import run_here
from tests.trl_tools import RIGHT, SIZE, WRONG, level_rows

ROOT = Path(__file__).parent.parent
RECIPE = ROOT / "recipes" / "trl_vrft.py"


def run_recipe(monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    return run_here(RECIPE, *options, monkeypatch=monkeypatch)


def write(path: Path, rows: list[Row]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("data.npz=", "data: give npz"),
        ("data=", "data: None is not a mapping"),
        ("data.nzp=a", "did you mean 'npz'"),
        ("lora.rank=4", "lora: LoraConfig field"),
        ("lora=4", "lora: 4 is not a mapping"),
        ("grpo.eval_strategy=steps", "grpo.eval_strategy: there are no rows for an evaluation"),
        ("data.validation=none.parquet", "data.validation: grpo.eval_strategy is 'no'"),
        ("grpo.learning_rate=1e-5", "grpo.learning_rate: '1e-5' is a text and not a number"),
        ("lora.lora_dropout=1e-1", "lora.lora_dropout: '1e-1' is a text and not a number"),
        ("grpo.use_vllm=true", "grpo.use_vllm: vLLM is not installed"),
        ("grpo.report_to=mlflow", "grpo.report_to: 'mlflow' is not installed"),
        ("grpo.resume_from_checkpoint=true", "there is no checkpoint in output_dir"),
        ("grpo.resume_from_checkpoint=runs/none", "'runs/none' is no folder"),
        ("model=", "model: None is neither"),
        ("task=[]", "task: the list is empty"),
        ("task=[pneumoniamnist, busi]", "task: there is no row of 'busi'"),
        ("model=/nowhere/model", "model: '/nowhere/model' is no folder here, and no hub name"),
    ],
)
def test_a_dry_run_names_what_the_run_would_refuse(
    change: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "vLLM" in message:
        pytest.importorskip("trl")
        monkeypatch.setitem(sys.modules, "vllm", None)
    path = write(tmp_path / "rows.parquet", level_rows())
    options = ["--dry-run", "--set", "task=pneumoniamnist", "--set", "reward.decay=exact"]
    options += ["--set", f"grpo.output_dir={tmp_path / 'out'}"]
    options += [] if change.startswith("data") else ["--set", f"data.parquet={path}"]
    assert run_recipe(monkeypatch, *options, "--set", change) == 2
    assert message in capsys.readouterr().err


def test_wandb_with_completions_is_refused() -> None:
    pytest.importorskip("wandb")
    settings = {"report_to": "wandb", "log_completions": True, "output_dir": "out"}
    with pytest.raises(ConfigError, match=r"log_completions.*wandb.Table"):
        check_grpo(settings, resumes=True)
    check_grpo({**settings, "log_completions": False}, resumes=True)
    check_grpo({**settings, "report_to": "none"}, resumes=True)


def test_a_recipe_that_cannot_resume_says_so() -> None:
    with pytest.raises(ConfigError, match="cannot go on from a checkpoint"):
        check_grpo({"resume_from_checkpoint": True}, resumes=False)


@pytest.mark.parametrize("name", ["trl_vrft", "trl_two_stage"])
def test_the_recipes_settings_pass(name: str) -> None:
    config = yaml.safe_load((ROOT / "recipes" / f"{name}.yaml").read_text(encoding="utf-8"))
    check_lora(config["lora"])
    check_grpo(config["grpo"], resumes=True)


def test_the_model_is_loaded_in_bfloat16() -> None:
    config = yaml.safe_load((ROOT / "recipes" / "trl_vrft.yaml").read_text(encoding="utf-8"))
    assert config["grpo"]["model_init_kwargs"] == {"dtype": "bfloat16"}
    assert config["grpo"]["log_completions"] is False


@pytest.mark.parametrize("number", [0, 1, 2])
def test_rows_with_any_number_of_images_are_checked(number: int) -> None:
    made = level_rows(2)
    for one in made:
        one["images"] = one["images"] * number
        text = one["prompt"][0]["content"].replace("<image>", "<image>" * number)
        one["prompt"] = [{"role": "user", "content": text}]
    lines = list(check_rows(from_rows(made), Task.load("pneumoniamnist"), {}))
    shown = ", ".join([f"({SIZE}, {SIZE})"] * number) or "none"
    assert f"train0: image {shown}, target" in lines[1]


def test_images_that_the_prompt_does_not_mark_are_named() -> None:
    made = [one | {"images": one["images"] * 2} for one in level_rows(2)]
    with pytest.raises(ConfigError, match="row train0: its prompt marks 1 images, and it has 2"):
        list(check_rows(from_rows(made), Task.load("pneumoniamnist"), {}))


def test_a_prompt_of_another_frame_is_named() -> None:
    task = Task.load("mni152_brain_box")
    png = level_rows(1)[0]["images"][0]["bytes"]
    truth = ground_truth(task, [[2, 2, 9, 9]])
    made = [make_row(task, build_prompt(task), truth, png, id="a", split="train")]
    assert len(list(check_rows(from_rows(made), task, {}))) == 3
    with pytest.raises(
        ConfigError, match="row a: prompt: it asks for coordinates in the frame 'pixels'"
    ):
        list(check_rows(from_rows(made), task, {"frame": "per-mille"}))


def test_a_model_by_its_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no config.json"):
        check_model(str(tmp_path))
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    assert check_model(str(tmp_path)) == f"model: the folder {tmp_path}"


class Hub(BaseHTTPRequestHandler):
    """Answers as the hub does for a model that it has, and for one that it has not."""

    def do_HEAD(self) -> None:
        known = self.path.startswith("/known/model/")
        self.send_response(200 if known else 401)
        if known:
            self.send_header("ETag", '"a"')
            self.send_header("X-Repo-Commit", "0" * 40)
        else:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Stay silent."""


@pytest.fixture(scope="module")
def hub_address() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.parametrize(
    ("name", "offline", "message"),
    [
        ("known/model", False, "model: known/model, from the hub"),
        ("known/modle", False, "ConfigError: model: 'known/modle' is no folder here, and the hub"),
        ("known/modle", True, "was NOT checked"),
    ],
)
def test_a_model_by_its_hub_name(
    name: str,
    offline: bool,
    message: str,
    hub_address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    template = f"{hub_address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "ENDPOINT", hub_address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    try:
        found = check_model(name)
    except ConfigError as error:
        found = f"ConfigError: {error}"
    assert message in found


def test_the_recipe_goes_on_from_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medreward_trl.demo.model import build, save

    path = write(tmp_path / "rows.parquet", level_rows())
    save(build([RIGHT, WRONG], seed=0, size=SIZE), tmp_path / "model")
    grpo = {
        "output_dir": tmp_path / "run",
        "num_generations": 2,
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 1,
        "max_completion_length": 4,
        "bf16": "false",
        "use_cpu": "true",
        "gradient_checkpointing": "false",
        "save_steps": 1,
    }
    changes = [f"model={tmp_path / 'model'}", "lora={r: 2, target_modules: [q_proj]}"]
    changes += [f"trace={tmp_path / 'trace.jsonl'}", "task=pneumoniamnist", "reward.decay=exact"]
    changes += [f"data.parquet={path}"]
    changes += [f"grpo.{name}={value}" for name, value in grpo.items()]
    options = [word for change in changes for word in ("--set", change)]
    assert run_recipe(monkeypatch, *options, "--set", "grpo.max_steps=1") == 0
    again = ["--set", "grpo.max_steps=2", "--set", "grpo.resume_from_checkpoint=true"]
    assert run_recipe(monkeypatch, *options, *again) == 0
    assert [r.step for r in read_trace([tmp_path / "trace.jsonl"])] == [1] * 4 + [2] * 4


def test_a_resumed_run_gives_what_one_gives_that_was_not_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from medreward_trl.demo.model import build, save

    path = write(tmp_path / "rows.parquet", level_rows())
    save(build([RIGHT, WRONG], seed=0, size=SIZE), tmp_path / "model")
    grpo = "{output_dir: %s, num_generations: 2, per_device_train_batch_size: 2, max_steps: 3, "
    grpo += "gradient_accumulation_steps: 2, max_completion_length: 6, use_cpu: true, "
    # Answers of a model that was never trained earn alike: what moves the weights is their decay.
    grpo += "learning_rate: 0.01, weight_decay: 0.5, save_steps: 2}"
    changes = [f"data.parquet={path}", "task=pneumoniamnist", f"model={tmp_path / 'model'}"]
    changes += ["lora=null", "reward={delta: 0}"]

    def trained(name: str, *more: str) -> tuple[dict[str, Any], list[str]]:
        out = tmp_path / name
        own = [f"grpo={grpo % out}", f"trace={out}.jsonl", *more]
        options = [word for change in [*changes, *own] for word in ("--set", change)]
        assert run_recipe(monkeypatch, *options) == 0
        said = [r.completion for r in read_trace([tmp_path / f"{name}.jsonl"]) if r.step == 3]
        return load_file(out / "model.safetensors"), said

    weights, said = trained("whole")
    # What a killed run leaves behind: its last checkpoint.
    shutil.copytree(tmp_path / "whole" / "checkpoint-2", tmp_path / "cut" / "checkpoint-2")
    again, resumed = trained("cut", "grpo.resume_from_checkpoint=true")
    assert said == resumed
    assert len(said) == 4
    assert all(torch.equal(weights[name], again[name]) for name in weights)
    before = load_file(tmp_path / "model" / "model.safetensors")
    assert not all(torch.equal(weights[name], before[name]) for name in weights)
    done = [*changes, f"grpo={grpo % (tmp_path / 'cut')}", "grpo.resume_from_checkpoint=true"]
    words = [word for one in done for word in ("--set", one)]
    assert run_recipe(monkeypatch, *words, "--dry-run") == 2
    assert "3 of 3 steps are done; the policy is in" in capsys.readouterr().err


def test_the_best_checkpoint_is_refused_where_its_weights_would_not_be_loaded() -> None:
    asked = {"load_best_model_at_end": True, "output_dir": "runs"}
    assert model_to_load("model", asked, {"r": 4}) == "model"
    with pytest.raises(ConfigError, match="without LoRA, transformers does not load"):
        model_to_load("model", asked, None)
    assert model_to_load("model", {"resume_from_checkpoint": "a/checkpoint-4"}, None) == (
        "a/checkpoint-4"
    )


def test_rows_are_evaluated_while_it_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from medreward_trl.demo.model import build, save

    rows = write(tmp_path / "train.parquet", level_rows())
    held_out = write(tmp_path / "val.parquet", level_rows(2, "val"))
    save(build([RIGHT, WRONG], seed=0, size=SIZE), tmp_path / "model")
    grpo = "{output_dir: %s, num_generations: 2, per_device_train_batch_size: 4, max_steps: 2, "
    grpo += "max_completion_length: 4, use_cpu: true, eval_strategy: steps, eval_steps: 1, "
    grpo += "num_generations_eval: 1, per_device_eval_batch_size: 2}"
    changes = [f"data={{parquet: {rows}, validation: {held_out}}}", "task=pneumoniamnist"]
    changes += [f"model={tmp_path / 'model'}", "lora=null", "reward={delta: 0}"]
    changes += [f"trace={tmp_path / 'trace.jsonl'}", f"grpo={grpo % (tmp_path / 'run')}"]
    options = [word for change in changes for word in ("--set", change)]
    assert run_recipe(monkeypatch, *options, "--dry-run") == 0
    assert "data.validation: 2 rows are evaluated while it trains" in capsys.readouterr().out
    assert run_recipe(monkeypatch, *options) == 0
    assert "'eval_correct'" in capsys.readouterr().out
    found = [(row.step, row.split) for row in read_trace([tmp_path / "trace.jsonl"])]
    assert found == [(1, "train")] * 4 + [(1, "val")] * 2 + [(2, "train")] * 4 + [(2, "val")] * 2
    other = write(tmp_path / "other.parquet", [{**level_rows(1)[0], "data_source": "busi"}])
    wrong = [*options, "--set", f"data.validation={other}", "--dry-run"]
    assert run_recipe(monkeypatch, *wrong) == 2
    assert "it is of task 'busi', not pneumoniamnist" in capsys.readouterr().err


def test_what_the_machine_cannot_do_is_said_before_the_model_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here, which can do it")
    path = write(tmp_path / "rows.parquet", level_rows())
    changes = [f"data.parquet={path}", "task=pneumoniamnist", "grpo.bf16=true"]
    options = [word for change in changes for word in ("--set", change)]
    assert run_recipe(monkeypatch, *options) == 2
    assert "a run without a GPU: --set grpo.use_cpu=true" in capsys.readouterr().err


def in_two_files(folder: Path) -> tuple[Path, Path]:
    """Rows of grades, and rows of boxes of the same kind of picture."""
    level = write(folder / "level.parquet", level_rows())
    examples = mni152.examples("mni152_brain_box", split="train", count=4, seed=0, size=SIZE)
    box = folder / "box.parquet"
    write_parquet(box, make_rows(examples, Task.load("mni152_brain_box"), "none"))
    return level, box


def tasks_of(path: Path) -> set[str]:
    return {row["data_source"] for row in pq.read_table(path).to_pylist()}


def test_several_tasks_train_together_with_a_scale_and_a_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from medreward_trl.demo.model import build, save

    level, box = in_two_files(tmp_path)
    (first,) = tasks_of(level)
    save(build([RIGHT, WRONG], seed=0, size=SIZE), tmp_path / "model")
    grpo = "{output_dir: %s, num_generations: 2, per_device_train_batch_size: 16, max_steps: 1, "
    grpo += "max_completion_length: 4, bf16: false, use_cpu: true, gradient_checkpointing: false}"
    changes = [
        f"task=[{first}, mni152_brain_box]",
        f"data={{parquet: [{level}, {box}]}}",
        f"model={tmp_path / 'model'}",
        "lora={r: 2, target_modules: [q_proj]}",
        f"reward={{delta: 0, task_scale: {{{first}: 'standardise:0.5', mni152_brain_box: none}}}}",
        f"trace={tmp_path / 'trace.jsonl'}",
        f"grpo={grpo % (tmp_path / 'run')}",
    ]
    options = [word for change in changes for word in ("--set", change)]
    assert run_recipe(monkeypatch, *options, "--dry-run") == 0
    said = capsys.readouterr().out
    assert f"|task:{first}:" in said
    assert "|task:mni152_brain_box:" in said
    assert run_recipe(monkeypatch, *options) == 0
    rows = [*read_trace([tmp_path / "trace.jsonl"])]
    assert {row.task for row in rows} == {first, "mni152_brain_box"}
    assert all(("task_scale" in str(row.signature)) == (row.task == first) for row in rows)
    alone = [*options, "--set", f"task={first}"]
    assert run_recipe(monkeypatch, *alone, "--dry-run") == 2
    assert f"it is of task 'mni152_brain_box', not {first}" in capsys.readouterr().err
    more = [*options, "--set", f"task=[{first}, mni152_brain_box, busi]"]
    assert run_recipe(monkeypatch, *more, "--dry-run") == 2
    assert "there is no row of 'busi'" in capsys.readouterr().err


def test_a_limit_of_pixels_reaches_the_image_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import LlavaProcessor
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    from medreward_trl.demo.model import build, save

    save(build([RIGHT], seed=0, size=SIZE), tmp_path / "plain")
    with pytest.raises(ConfigError, match=r"processor\.max_pixels: CLIP\w+, the model's image"):
        load_processor(str(tmp_path / "plain"), {"max_pixels": 50_176})
    with pytest.raises(ConfigError, match="did you mean 'max_pixels'"):
        load_processor(str(tmp_path / "plain"), {"max_pixel": 50_176})
    assert load_processor(str(tmp_path / "plain"), None) is None
    path = write(tmp_path / "rows.parquet", level_rows())
    changes = [f"model={tmp_path / 'plain'}", "task=pneumoniamnist", f"data.parquet={path}"]
    changes.append("processor.max_pixels=50176")
    words = [word for change in changes for word in ("--set", change)]
    assert run_recipe(monkeypatch, *words, "--dry-run") == 2
    assert "does not take it" in capsys.readouterr().err
    plain = build([RIGHT], seed=0, size=SIZE).processor
    LlavaProcessor(
        image_processor=Qwen2VLImageProcessorPil(),
        tokenizer=plain.tokenizer,
        chat_template=plain.chat_template,
    ).save_pretrained(tmp_path / "qwen")
    made = load_processor(str(tmp_path / "qwen"), {"max_pixels": 50_176})
    grid = made.image_processor(Image.new("RGB", (640, 480)))["image_grid_thw"][0]
    assert 0 < grid[1] * grid[2] * 14 * 14 <= 50_176


def test_a_dry_run_says_which_settings_have_no_effect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}", encoding="utf-8")
    path = write(tmp_path / "rows.parquet", level_rows())
    options = [
        "--dry-run",
        "--set",
        f"grpo.output_dir={tmp_path / 'out'}",
        "--set",
        f"model={model}",
    ]
    options += ["--set", "task=pneumoniamnist", "--set", f"data.parquet={path}"]
    assert run_recipe(monkeypatch, *options) == 0
    said = capsys.readouterr().out
    assert "note: reward.decay shapes nothing here (pneumoniamnist: classification)" in said
    assert "note: reward.delta" not in said
    assert "of their own: data.npz, knowledge\n" in said
    others = ["--set", "data.npz=null", "--set", "data.limit=3", "--set", "knowledge=null"]
    assert run_recipe(monkeypatch, *options, *others) == 0
    assert "of their own: data.limit\n" in capsys.readouterr().out
    card = Task.load("pneumoniamnist")
    examples = [Example(Image.new("L", (SIZE, SIZE)), 0, "a", "train")]
    write_parquet(path, make_rows(examples, card, "context"))
    assert run_recipe(monkeypatch, *options, "--set", "knowledge=none") == 2
    assert "'none', but 1 of 1 rows of data.parquet have knowledge" in capsys.readouterr().err
