"""`rows check --model`, and model profiles: what does not fit a model is said before a run."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from medreward import ConfigError, Task, explain, shaped_reward
from medreward.commands.cli import main
from medreward.data.example import Example
from medreward.data.parquet import write_parquet
from medreward.data.rows import make_rows
from medreward.geometry.frames import FRAMES, qwen_resized
from medreward.kinds.right_answers import completion_with, right_answer
from medreward.task.profile import load_profile, profile_names, profiles_for
from medreward.text.formats.registry import format_names
from medreward_trl import reward_funcs
from medreward_verl import compute_score
from tests.verl_tools import byte_tokenizer

IMAGE, END = "<|image_pad|>", "<|im_end|>"
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% for part in message.content %}"
    "{% if part.type == 'image' %}IMAGE{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\nSTART{% endif %}"
)
RESIZE = (28, 3136, 100_352)
NORMAL = {"patch_size": 14, "merge_size": 2, "min_pixels": 3136, "max_pixels": 100_352}


def model_folder(
    folder: Path,
    *,
    start: str = "",
    image: str = IMAGE,
    model_type: str = "qwen2_5_vl",
    processor: dict[str, Any] | None = None,
    end: Sequence[str] = (END,),
) -> Path:
    """Write what a model has beside its weights."""
    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": [IMAGE, END]})
    tokenizer.add_tokens(["<turn>"])
    tokenizer.chat_template = TEMPLATE.replace("IMAGE", image).replace("START", start)
    tokenizer.save_pretrained(folder)
    number = tokenizer.convert_tokens_to_ids
    files = {
        "config.json": {"model_type": model_type, "image_token_id": number(IMAGE)},
        "preprocessor_config.json": NORMAL if processor is None else processor,
        "generation_config.json": {"eos_token_id": [number(one) for one in end]},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder


def label_rows(folder: Path, completion_format: str = "think_answer") -> Path:
    card = Task.load("pneumoniamnist")
    settings = card.reward.updated({"completion_format": completion_format})
    examples = [
        Example(Image.new("L", (280, 280), 9), name, f"row-{name}", "train")
        for name in ("normal", "pneumonia")
    ]
    path = folder / "train.parquet"
    write_parquet(path, make_rows(examples, replace(card, reward=settings), "none"))
    return path


def box_rows(folder: Path, frame: str, seen: tuple[int, int] | None = None) -> Path:
    card = Task.load("bccd")
    target: Any = {"boxes": [{"box": [10, 10, 90, 80], "label": "WBC"}], "size": [640, 480]}
    target |= {"seen": [*seen]} if seen else {}
    task = replace(card, reward=card.reward.updated({"frame": frame}))
    path = folder / "train.parquet"
    example = Example(Image.new("L", (640, 480)), target, "row", "train")
    write_parquet(path, make_rows([example], task, "none"))
    return path


def checked(*arguments: object) -> int:
    return main(["rows", "check", *map(str, arguments)])


def test_rows_that_fit_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, model = label_rows(tmp_path), model_folder(tmp_path / "m")
    assert checked(rows, "--model", model, "--max-prompt", 700) == 0
    said = capsys.readouterr().out
    assert "model type qwen2_5_vl; model profiles for it: qwen2_5_vl" in said
    assert "--seen 28 3136 100352" in said
    assert f"completions end with {END}" in said
    # A token a byte, and 100 for an image of 280 x 280.
    text = "<|im_start|>user\n", "<|im_start|>assistant\n"
    prompt = next(iter(_prompts(rows)))
    expected = len(prompt.replace("<image>", "")) + sum(map(len, text)) + 100 + len(END[:1]) + 1
    assert f"prompts of {expected} to {expected} tokens, images among them" in said


def _prompts(path: Path) -> list[str]:
    from medreward.data.check import first_rows

    return [row["prompt"][0]["content"] for row in first_rows(path, 2)]


@pytest.mark.parametrize(
    ("settings", "asked", "message"),
    [
        ({"start": "<think>\n"}, "think_answer", "ends with <think>, so that completions begin"),
        ({"start": "<think>\n"}, "thinking_answer", None),
        ({"start": "<think>\n"}, "answer_only", "ends with <think>, so that completions begin"),
        ({"start": "<think>"}, "prefilled_think", None),
        ({"start": "<think>"}, "after_think", None),
        ({"start": "<think>"}, "boxed", None),
        ({}, "prefilled_think", "does not end with <think>, which 'prefilled_think' takes"),
        ({}, "boxed", None),
        ({}, "answer_only", None),
        ({"start": "<think>\n\n</think>\n\n"}, "think_answer", "thinking is off"),
        ({"start": "<think>\n\n</think>\n\n"}, "answer_only", None),
        ({"image": ""}, "think_answer", "has 0 of the image token <|image_pad|> for 1 images"),
        ({"image": IMAGE * 2}, "think_answer", "has 2 of the image token"),
    ],
)
def test_what_a_chat_template_does_not_fit(
    settings: dict[str, Any],
    asked: str,
    message: str | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows, model = label_rows(tmp_path, asked), model_folder(tmp_path / "m", **settings)
    status = checked(rows, "--model", model, "--completion-format", asked)
    said = capsys.readouterr().err
    assert (status, message is None or message in said) == (0 if message is None else 2, True), said


def test_a_prompt_that_is_too_long_and_an_end_token_that_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = label_rows(tmp_path)
    model = model_folder(tmp_path / "m", end=("<turn>", END))
    assert checked(rows, "--model", model, "--max-prompt", 64) == 2
    out, err = capsys.readouterr()
    assert "and the limit is 64" in err
    assert "note: <turn> is no special token of the tokenizer" in out
    assert checked(rows, "--max-prompt", 64) == 2
    assert "it goes with --model" in capsys.readouterr().err
    other = model_folder(tmp_path / "other", processor={"size": {"height": 224, "width": 224}})
    assert checked(rows, "--model", other, "--max-prompt", 64) == 0
    assert "NOT counted" in capsys.readouterr().out


def test_boxes_in_another_frame_or_for_another_resize(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = model_folder(tmp_path / "m")
    card = tmp_path / "card.yaml"
    text = Path("medreward/tasks/bccd.yaml").read_text(encoding="utf-8")
    card.write_text(text.replace("reward:", "reward:\n  frame: resized"), encoding="utf-8")
    task = ("--task", f"bccd={card}")
    seen = qwen_resized((640, 480), *RESIZE)
    rows = box_rows(tmp_path, "resized", seen)
    assert checked(rows, *task, "--model", model) == 0, capsys.readouterr().err
    rows = box_rows(tmp_path, "resized", (644, 476))
    assert checked(rows, *task, "--model", model) == 2
    assert "prepare the rows with --seen 28 3136 100352" in capsys.readouterr().err
    rows = box_rows(tmp_path, "pixels")
    assert checked(rows, "--model", model) == 2
    assert "was trained to give resized (profile qwen2_5_vl)" in capsys.readouterr().err
    assert checked(rows, "--model-profile", "qwen3_vl") == 2
    assert "in the frame 'pixels', and the reward reads 'per-mille'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ("config.json", "has no config.json"),
        ("tokenizer.json", "the tokenizer of"),
        ("chat_template.jinja", "has no chat template"),
    ],
)
def test_a_model_that_cannot_be_read_is_named(
    spoil: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, model = label_rows(tmp_path), model_folder(tmp_path / "m")
    (model / spoil).unlink()
    assert checked(rows, "--model", model) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("named", "status", "message"),
    [
        ("media_placeholder_token_id", 0, "images among them"),  # Kimi-VL's
        ("image_token_index", 0, "images among them"),  # LLaVA's
        ("vision_config", 0, "NOT counted"),  # takes images; of which token is not said
        ("other", 2, "the model takes no images"),
    ],
)
def test_what_a_model_calls_its_image_token(
    named: str, status: int, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, model = label_rows(tmp_path), model_folder(tmp_path / "m")
    config = json.loads((model / "config.json").read_text())
    number = config.pop("image_token_id")
    config[named] = {} if named == "vision_config" else number
    (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert checked(rows, "--model", model) == status
    said = capsys.readouterr()
    assert message in said.out + said.err


def test_a_template_with_a_switch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = "{% if enable_thinking is true %}<think>\n{% else %}<think>\n\n</think>\n\n{% endif %}"
    rows = label_rows(tmp_path, "prefilled_think")
    model = model_folder(tmp_path / "m", start=start)
    given = [rows, "--model", model, "--completion-format", "prefilled_think"]
    assert checked(*given) == 2
    assert "--template-option enable_thinking=true here" in capsys.readouterr().err
    assert checked(*given, "--template-option", "enable_thinking=true") == 0
    assert checked(*given, "--template-option", "enable_thinking") == 2
    assert "'enable_thinking' is not NAME=VALUE" in capsys.readouterr().err
    assert checked(rows, "--template-option", "enable_thinking=true") == 2
    assert "it goes with --model" in capsys.readouterr().err


# A folder of folders, each with the small files of a real model, named as on the hub.
REAL = os.environ.get("MEDREWARD_MODELS")


@pytest.mark.skipif(REAL is None, reason="MEDREWARD_MODELS names no folder of real models' files")
def test_profiles_fit_the_real_templates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = 0
    for folder in sorted(Path(str(REAL)).iterdir()):
        for profile in profiles_for(folder.name):
            (tmp_path / profile.name).mkdir(exist_ok=True)
            rows = label_rows(tmp_path / profile.name, profile.completion_format)
            status = checked(rows, "--model", folder, "--model-profile", profile.name)
            assert status == 0, capsys.readouterr().err
            factor = f"--seen {profile.factor} "
            assert profile.factor is None or factor in capsys.readouterr().out
            seen += 1
    assert seen


@pytest.mark.parametrize("name", profile_names())
def test_shipped_profiles(name: str) -> None:
    profile = load_profile(name)
    assert profile.completion_format in ("", *format_names())
    assert profile.frame in ("", *FRAMES)
    assert profile.models
    assert profile in profiles_for(profile.models[0].replace("*", ""), "")
    given = {"completion_format", "frame", "factor"}
    stated = {
        one for one in given if getattr(profile, one) and getattr(profile, one) != _usual(one)
    }
    assert stated <= {*profile.sources}, "each has its source"


def _usual(name: str) -> object:
    return "think_answer" if name == "completion_format" else None


def test_a_profile_is_one_setting_for_every_trainer() -> None:
    text = "Focal opacity.</think><answer>pneumonia</answer>"
    given: dict[str, Any] = {"model_profile": "qwen3_vl_thinking"}
    score = explain(text, "pneumonia", task="pneumoniamnist", knowledge="", **given)
    assert score.total == 1.2
    assert "|completion_format:prefilled_think|" in score.signature
    funcs, weights = reward_funcs("pneumoniamnist", **given)
    row: dict[str, Any] = {"completions": [text], "target": ["pneumonia"], "knowledge": [""]}
    parts = [float(func(**row)[0] or 0.0) for func in funcs]
    assert sum(w * p for w, p in zip(weights, parts, strict=True)) == pytest.approx(1.2)
    info = {"knowledge": ""}
    assert compute_score("pneumoniamnist", text, "pneumonia", info, **given)["score"] == 1.2
    boxes = {"boxes": [[64, 48, 128, 96]], "size": [640, 480]}
    said = completion_with("[[100, 100, 200, 200]]")
    found = shaped_reward(said, boxes, task="mni152_brain_box", model_profile="qwen3_vl")
    assert found == pytest.approx(1.2)


def test_a_profile_reaches_the_places_of_a_field() -> None:
    fields = {
        "side": Task("side", labels=["left", "right"]),
        "where": Task("where", kind="localisation", labels=["mass"], reward={"delta": 0}),
    }
    task = load_profile("kimi_vl").apply(
        Task("both", kind="fields", fields=fields, reward={"delta": 0})
    )
    assert task.fields["where"].reward.frame == "unit"
    boxes = {"boxes": [{"box": [0, 0, 50, 50], "label": "mass"}], "size": [100, 100]}
    target = {"side": "left", "where": boxes}
    assert "0.5" in right_answer(task, task.parse_target(target))


def test_what_contradicts_a_profile_is_an_error(tmp_path: Path) -> None:
    given: dict[str, Any] = {"task": "pneumoniamnist", "model_profile": "qwen3_vl_thinking"}
    with pytest.raises(ConfigError, match="'boxed' beside model_profile qwen3_vl_thinking"):
        shaped_reward("", "normal", completion_format="boxed", **given)
    assert shaped_reward("", "normal", completion_format="prefilled_think", **given) == 0.0
    card = Task("x", labels=["a", "b"], reward={"completion_format": "boxed"})
    with pytest.raises(ConfigError, match="take completion_format out of the card"):
        load_profile("qwen3_vl_thinking").apply(card)
    with pytest.raises(ConfigError, match="did you mean 'qwen3_vl'"):
        load_profile("qwen3-vl")
    for text, message in (
        ("name: x\nframe: pixel", "frame: 'pixel'"),
        ("frame: pixels", "name: None"),
        ("name: x\nfactor: big", "factor: 'big'"),
        ("name: x\ncompletion_format: box", "completion_format"),
        ("name: x\nsize: 3", "size"),
    ):
        path = tmp_path / "own.yaml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match=message):
            load_profile(path)


def test_tokens_of_other_processors_are_those_that_they_make(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A real LLaVA processor, read from its folder: 16 tokens an image, and those of the text."""
    from medreward_trl.demo.model import build

    rows = label_rows(tmp_path)
    prompt = _prompts(rows)[0]
    tiny = build([prompt], seed=0, size=56)
    folder = tmp_path / "llava"
    tiny.processor.save_pretrained(folder)
    tiny.model.config.save_pretrained(folder)
    assert checked(rows, "--model", folder) == 0
    text = tiny.processor.apply_chat_template(
        [{"role": "user", "content": prompt.replace("<image>", "")}],
        add_generation_prompt=True,
        tokenize=False,
    )
    words = len(tiny.processor.tokenizer(text)["input_ids"])
    counted = re.search(r"prompts of (\d+) to \1 tokens, images", capsys.readouterr().out)
    assert counted
    assert int(counted[1]) == words + 16
