"""Rewards by dotted path, whatever their signature."""

from __future__ import annotations

import asyncio
import pickle
import textwrap
import traceback
from pathlib import Path
from typing import Any

import pytest

from medreward import ConfigError, shaped_reward
from medreward.audit.user_rewards import OwnReward, UserReward, load_reward, resolve
from tests.reading_tables import make

CHEST = "pneumoniamnist"
RIGHT = "<think>Opacity.</think><answer>pneumonia</answer>"
MODULE = """
import asyncio


class Rewards:
    def method(self, completion, target):
        return float(target in completion)


rewards = Rewards()
number = 3


def plain(completion, target, prompt="", knowledge=""):
    return float(target in completion) + (10.0 if prompt == "P" and knowledge == "K" else 0.0)


def batch(completions, targets):
    return [float(t in c) for c, t in zip(completions, targets, strict=True)]


def trl(prompts, completions, completion_ids, solution, **kwargs):
    assert len(prompts) == len(completions) == len(completion_ids) == len(kwargs["task"]) == 1
    kwargs["log_metric"]("seen", 1.0)
    assert prompts[0][0]["role"] == "user"
    return [float(s in c[0]["content"]) for c, s in zip(completions, solution, strict=True)]


def trl_column(*, completions, diagnosis):
    return [float(d in c[0]["content"]) for c, d in zip(completions, diagnosis, strict=True)]


async def trl_async(completions, target, **kwargs):
    await asyncio.sleep(0)
    return [float(t in c[0]["content"]) for c, t in zip(completions, target, strict=True)]


def verl(data_source, solution_str, ground_truth, extra_info=None):
    found = float(ground_truth in solution_str)
    return {"score": found, "length": len(solution_str), "of": data_source,
            "known": extra_info["knowledge"] == "K"}


async def verl_async(data_source, solution_str, ground_truth, extra_info=None):
    return float(ground_truth in solution_str)


def sees(completion, target):
    raise RuntimeError(repr(target))


def sees_verl(data_source, solution_str, ground_truth, extra_info=None):
    raise RuntimeError(repr(ground_truth))


def strings(completions, target, **kwargs):
    return [float(t in c) for c, t in zip(completions, target, strict=True)]


def nothing(completions, **kwargs):
    return [None]


def infinite(completion, target):
    return float("nan")


def alone(completion):
    return 1.0
"""


@pytest.fixture
def module(tmp_path: Path) -> str:
    file = tmp_path / "my_rewards.py"
    file.write_text(textwrap.dedent(MODULE), encoding="utf-8")
    return str(file)


@pytest.mark.parametrize(
    ("name", "signature"),
    [
        ("rewards.method", "plain"),
        ("plain", "plain"),
        ("batch", "batch"),
        ("trl", "trl"),
        ("trl_column", "trl"),
        ("trl_async", "trl"),
        ("verl", "verl"),
        ("verl_async", "verl"),
    ],
)
def test_every_signature_is_told_and_called(name: str, signature: str, module: str) -> None:
    reward = load_reward(f"{module}:{name}", CHEST)
    assert reward.signature == signature
    assert reward(RIGHT, "pneumonia") == 1.0
    assert reward(RIGHT, "normal") == 0.0
    chat = [{"role": "assistant", "content": RIGHT}]
    assert reward(chat, "pneumonia") == 1.0


def test_prompt_knowledge_and_further_columns_arrive(module: str) -> None:
    plain = load_reward(f"{module}:plain", CHEST)
    assert plain(RIGHT, "pneumonia", prompt="P", knowledge="K") == 11.0
    verl = load_reward(f"{module}:verl", CHEST)
    earned = verl.earned(RIGHT, "pneumonia", knowledge="K")
    assert earned.parts == {"length": len(RIGHT), "known": True}
    trl = load_reward(f"{module}:trl", CHEST)
    assert trl.earned(RIGHT, "normal", columns={"solution": "pneumonia"}).total == 1.0


def test_trainers_get_the_target_as_rows_hold_it(module: str) -> None:
    boxes = "mni152_brain_box"
    for name, seen in (("sees", "[[1, 2, 3, 4]]"), ("sees_verl", "'[[1, 2, 3, 4]]'")):
        with pytest.raises(RuntimeError) as raised:
            load_reward(f"{module}:{name}", boxes)(RIGHT, [[1, 2, 3, 4]])
        assert str(raised.value) == seen


def test_a_signature_may_be_named(module: str) -> None:
    reward = load_reward(f"{module}:strings", CHEST, signature="trl-text")
    assert reward(RIGHT, "pneumonia") == 1.0
    with pytest.raises(ConfigError, match="did you mean 'verl'"):
        load_reward(f"{module}:strings", CHEST, signature="verlt")


def test_an_async_reward_works_inside_a_running_loop(module: str) -> None:
    reward = load_reward(f"{module}:verl_async", CHEST)

    async def inside() -> float:
        return reward(RIGHT, "pneumonia")

    assert asyncio.run(inside()) == 1.0


def test_dotted_paths_and_our_own_rewards() -> None:
    ours = load_reward("shaped", CHEST)
    assert isinstance(ours, OwnReward)
    expected = shaped_reward(RIGHT, "pneumonia", task=CHEST)
    paths = ("medreward:shaped_reward", "medreward.scoring.shaped.shaped_reward")
    for reward in (ours, *(load_reward(path, CHEST) for path in paths)):
        assert reward(RIGHT, "pneumonia") == expected
    strict = load_reward("shaped", CHEST, settings={"weights": {"format": 0.5}})
    assert strict(RIGHT, "pneumonia", knowledge="") == 1.5
    with pytest.raises(ConfigError, match="settings"):
        load_reward("medreward:shaped_reward", CHEST, settings={"delta": 0})


@pytest.mark.parametrize(
    "path", ["medreward_verl:compute_score", "medreward_trl.tasks.retinamnist"]
)
@pytest.mark.parametrize("target", [2, "2", 0])
def test_our_adapters_are_called_as_their_trainers_call_them(path: str, target: Any) -> None:
    text = "<think>Dot bleeds.</think><answer>grade 2</answer>"
    reward = load_reward(path, "retinamnist")
    assert reward.signature in path
    assert reward(text, target) == shaped_reward(text, int(target), task="retinamnist")


def test_what_a_reward_raises_comes_through_with_its_place(module: str) -> None:
    with pytest.raises(RuntimeError, match="'normal'") as raised:
        load_reward(f"{module}:sees", CHEST)(RIGHT, "normal")
    shown = "".join(traceback.format_exception(raised.value))
    assert "my_rewards.py" in shown
    assert f"in reward {module}:sees (plain signature)" in shown


@pytest.mark.parametrize("name", ["nothing", "infinite"])
def test_a_result_that_is_no_number_is_an_error(name: str, module: str) -> None:
    with pytest.raises(TypeError, match="not a finite number"):
        load_reward(f"{module}:{name}", CHEST)(RIGHT, "normal")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("{module}:nowhere", "'nowhere' is not one of"),
        ("{module}:number", "3 is not a function"),
        ("{module}:Rewards", "is not a function or a callable object"),
        ("{module}:alone", "--signature"),
        ("{module}", "neither a dotted path nor a file"),
        ("missing.py:f", "there is no file"),
        ("nowhere_to_be_found:f", "No module named"),
        ("medreward:nowhere", "nowhere"),
        ("", "neither a dotted path"),
        ("builtins:max", "wrap it in a function"),
    ],
)
def test_a_path_that_leads_nowhere_is_a_wrong_configuration(
    path: str, message: str, module: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        load_reward(path.format(module=module), CHEST)


def test_what_a_module_raises_on_import_comes_through(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text("raise ValueError('mine')", encoding="utf-8")
    for _ in range(2):
        with pytest.raises(ValueError, match=r"^mine$"):
            resolve(f"{file}:f")


def test_rewards_pickle(module: str) -> None:
    task = make("demo", "normal", "pneumonia")
    for path in ("shaped", f"{module}:trl", "medreward:shaped_reward"):
        reward = load_reward(path, task)
        again = pickle.loads(pickle.dumps(reward))
        assert again(RIGHT, "pneumonia") == reward(RIGHT, "pneumonia")
    assert isinstance(again, UserReward)
