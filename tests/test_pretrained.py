"""The pretrained model: its weights, its tower, and the prefix that a batch shares."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from medreward import ConfigError, Task
from medreward.data.example import Example
from medreward.data.parquet import write_parquet
from medreward.data.rows import make_rows
from medreward_trl.demo import efficientnet
from medreward_trl.demo.model import Tiny, build, load, save
from medreward_trl.demo.shared_prefix import share_prefix
from medreward_trl.demo.weights import INSTALL, LANGUAGE, VISION, WeightsFile, find_weights

ROOT = Path(__file__).parent.parent
QUESTION = "Is there a lump in this picture of the breast , or is there none at all to be seen ?"


def package(folder: Path, content: bytes, name: str) -> WeightsFile:
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text("raise RuntimeError('is not to be imported')")
    (folder / name / "some.bin").write_bytes(content)
    return WeightsFile("some-weights==1.2", name, "some.bin", sha256(b"right").hexdigest())


def test_weights_are_found_without_importing_their_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = package(tmp_path, b"right", "weights_that_are_there")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    assert find_weights(one) == tmp_path / one.package / "some.bin"
    assert one.package not in sys.modules


def test_other_weights_than_those_that_are_meant_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = package(tmp_path, b"wrong", "weights_that_are_others")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    with pytest.raises(ConfigError, match=r"some\.bin: its sha256 is .*some-weights==1\.2 again"):
        find_weights(one)


def test_absent_weights_name_the_command_that_brings_them() -> None:
    with pytest.raises(ConfigError) as caught:
        find_weights(LANGUAGE._replace(package="no_such_package_of_weights"))
    assert INSTALL in str(caught.value)
    assert all(one.distribution in INSTALL for one in (LANGUAGE, VISION))


@pytest.mark.parametrize(("side", "kernel", "stride"), [(224, 3, 2), (7, 5, 2), (8, 3, 1)])
def test_convolutions_are_padded_as_tensorflow_does(side: int, kernel: int, stride: int) -> None:
    """SAME: ceil(side / stride) places, and what is odd of the padding is behind."""
    one = efficientnet._ConvNorm((1, 1), kernel, stride, 1, False)
    nn.init.ones_(one.conv.weight)
    out = one.eval()(torch.ones(1, 1, side, side)).squeeze()
    assert out.shape == (-(-side // stride),) * 2
    before = max((out.shape[0] - 1) * stride + kernel - side, 0) // 2
    first = (kernel - before) ** 2 / (1 + 1e-3) ** 0.5
    assert out[0, 0].item() == pytest.approx(first)


def test_the_tower_has_the_published_number_of_parameters_and_stays_in_evaluation() -> None:
    """4.65 M with its classifier of 1000 classes (1280 x 1000 + 1000), which we leave out."""
    tower = efficientnet.EfficientNetTower(efficientnet.EfficientNetTowerConfig(grid=2))
    count = sum(p.numel() for p in tower.parameters())
    assert count + 1_281_000 == 4_652_008
    assert not tower.train().training
    pixels = torch.rand(2, 3, 64, 64)
    features = tower.features(pixels)
    tower.standardise(features)
    shown = tower(pixel_values=pixels).last_hidden_state
    assert shown.shape == (2, 4, efficientnet.FEATURES)
    assert shown.mean().abs() < 1e-3


@pytest.fixture
def tiny() -> Tiny:
    return build([QUESTION, "yes no"], seed=0, size=28)


def inputs_of(tiny: Tiny, completions: list[str]) -> dict[str, torch.Tensor]:
    content = [{"type": "text", "text": QUESTION + " "}, {"type": "image"}]
    row = {"prompt": [{"role": "user", "content": content}]}
    pictures = [Image.new("L", (28, 28), 60 * i) for i in range(len(completions))]
    tiny.processor.tokenizer.padding_side = "right"
    inputs = tiny.encode([{**row, "image": p} for p in pictures], completions)
    return dict(inputs)


def test_a_shared_prefix_changes_neither_logits_nor_gradients(tiny: Tiny) -> None:
    inputs = inputs_of(tiny, [" yes", " no no no", " yes yes"])
    shown = inputs["attention_mask"].bool()

    def run() -> tuple[torch.Tensor, torch.Tensor]:
        tiny.model.zero_grad()
        logits = tiny.model(**inputs).logits[shown]
        logits.square().mean().backward()
        return logits.detach(), tiny.model.lm_head.weight.grad.clone()

    plain = run()
    seen: list[int] = []
    inner = tiny.model.model.language_model
    inner.register_forward_pre_hook(
        lambda _, __, given: seen.append(
            (
                given.get("input_ids")
                if given.get("input_ids") is not None
                else given["inputs_embeds"]
            ).shape[1]
        ),
        with_kwargs=True,
    )
    share_prefix(tiny.model)
    shared = run()
    assert seen[0] >= 16  # the prefix, once
    assert seen[0] + seen[1] == inputs["input_ids"].shape[1]
    for before, after in zip(plain, shared, strict=True):
        assert torch.allclose(before, after, atol=1e-5)


def test_a_shared_prefix_generates_the_same(tiny: Tiny) -> None:
    inputs = inputs_of(tiny, ["", "", ""])
    say = {"max_new_tokens": 8, "do_sample": False}
    plain = tiny.model.generate(**inputs, **say)
    share_prefix(tiny.model)
    assert torch.equal(plain, tiny.model.generate(**inputs, **say))


def write_model(folder: Path) -> None:
    """Write a model with the real tower, untrained, and a language model of few numbers."""
    from transformers import LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    from medreward_trl.demo import model, pretrained

    tokenizer = model._tokenizer([QUESTION, "benign malignant normal"])
    tower = efficientnet.EfficientNetTowerConfig(grid=pretrained.GRID)
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    made = LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=tower,
            text_config=text,
            image_token_index=tokenizer.convert_tokens_to_ids(model.IMAGE),
            vision_feature_layer=-1,
            vision_feature_select_strategy="full",
            image_seq_length=pretrained.GRID**2,
        )
    )
    save(Tiny(made, pretrained._processor(tokenizer)), folder)


def entry_points_in(folder: Path, line: str) -> Path:
    """Write what an installed package says of itself; the checkout's may be older than it."""
    told = folder / "toys-1.0.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text(f"[medreward.architectures]\n{line}\n")
    return folder


def test_evaluate_knows_the_architecture_of_a_saved_model(tmp_path: Path) -> None:
    """In a process of its own, where nothing else has imported the tower."""
    write_model(tmp_path / "policy")
    task = Task.load("busi")
    examples = [Example(Image.new("RGB", (28, 28), 9), "benign", "a", "test")]
    write_parquet(tmp_path / "rows.parquet", make_rows(examples, task, "none"))
    line = next(
        line
        for line in (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
        if line.startswith(efficientnet.EfficientNetTowerConfig.model_type)
    ).replace('"', "")
    path = [str(entry_points_in(tmp_path / "there", line)), os.environ.get("PYTHONPATH", "")]
    words = ["evaluate", tmp_path / "rows.parquet", "--model", tmp_path / "policy"]
    words += ["--completions", tmp_path / "said.jsonl", "--max-new-tokens", 4]
    done = subprocess.run(
        [sys.executable, "-m", "medreward", *map(str, words)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "said.jsonl").read_text().splitlines()) == 1


def test_an_architecture_whose_package_is_not_there_names_what_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medreward.runs.local_model import _register_architectures

    monkeypatch.syspath_prepend(entry_points_in(tmp_path / "there", "toy_tower = no_such_package"))
    config = {"model_type": "llava", "vision_config": {"model_type": "toy_tower"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=r"names 'toy_tower', which needs no_such_package: pip"):
        _register_architectures(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llava"}))
    _register_architectures(tmp_path)


def test_each_model_of_the_demo_has_its_own_number_of_steps(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from medreward.commands.cli import main

    with pytest.raises(SystemExit):
        main(["demo", "--help"])
    assert "default: 200 of tiny and 10 of smollm2" in " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_the_pretrained_model_reads_again_bit_for_bit_and_answers(tmp_path: Path) -> None:
    from medreward_trl.demo.pretrained import build_smollm2

    try:
        made = build_smollm2()
    except ConfigError as error:
        pytest.skip(str(error))
    save(made, tmp_path)
    again = load(tmp_path)
    ours, theirs = made.model.state_dict(), again.model.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    content = [{"type": "image"}, {"type": "text", "text": "What is the capital of France?"}]
    row = {"prompt": [{"role": "user", "content": content}], "image": Image.new("RGB", (90, 60))}
    inputs = again.encode([row])
    with torch.no_grad():
        logits = [one.model.eval()(**inputs).logits for one in (made, again)]
        said = again.model.generate(**inputs, max_new_tokens=12, do_sample=False)
    assert torch.equal(*logits)
    text = again.processor.batch_decode(said[:, inputs["input_ids"].shape[1] :])[0]
    assert text == "The capital of France is Paris.<|im_end|>"


@pytest.mark.slow
def test_the_demo_trains_the_pretrained_model(tmp_path: Path) -> None:
    from medreward.commands.cli import main

    try:
        find_weights(LANGUAGE)
    except ConfigError as error:
        pytest.skip(str(error))
    assert main(["demo", "--model", "smollm2", "--steps", "1", "--out", str(tmp_path)]) == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        *("train.parquet", "test.parquet", "warm_start", "policy", "trace.jsonl"),
        *("warm_start.jsonl", "policy.jsonl", "report.json"),
    }
    said = [json.loads(line)["completion"] for line in (tmp_path / "policy.jsonl").open()]
    assert sum("<answer>" in text for text in said) > 0.8 * len(said)  # the format is learnt


def test_the_demo_says_what_the_pretrained_model_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from medreward.commands.cli import main
    from medreward_trl.demo import pretrained

    absent = LANGUAGE._replace(package="no_such_package_of_weights")
    monkeypatch.setattr(pretrained, "LANGUAGE", absent)
    out = str(tmp_path / "out")
    assert main(["demo", "--model", "smollm2", "--out", out]) == 2
    assert INSTALL in capsys.readouterr().err
    assert not Path(out).exists()
