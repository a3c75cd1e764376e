"""compute_score and the reward manager by themselves, and in verl's own reward loop on Ray."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from medreward import ConfigError, explain, shaped_reward
from medreward.runs.trace_sources import read_trace, rescore_row
from medreward.scoring.groups import gather_groups
from medreward.scoring.scorer import scorer
from medreward_verl import KEYS, RowScorer, compute_score
from medreward_verl.scoring import BASIC_KEYS
from tests.verl_tools import FUNCTION, MANAGER, REWARD, batch, byte_tokenizer, compose, row

RIGHT = "<think>Microaneurysms only.</think><answer>1</answer>"
NEAR = "<think>More than just microaneurysms.</think><answer>Grade 2</answer>"
BOX = "<think>x</think><answer>[[0, 0, 10, 10]]</answer>"
GARBAGE = ["", "\x00\ufffd</think><answer>", "<answer>" * 3000, "🩻" * 500, "1" * 5000, "<think>"]

CARD = """
name: {name}
kind: classification
question: Which one?
labels: [cyst, polyp]
reward: {{delta: 0, weights: {{format: 0.1}}}}
"""


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(CARD.format(name="own"), encoding="utf-8")
    return path


def test_the_score_is_the_shaped_reward_with_its_parts() -> None:
    result = compute_score("retinamnist", NEAR, "1", {"knowledge": "More than just."}, delta=-1)
    score = explain(NEAR, "1", task="retinamnist", knowledge="More than just.", delta=-1)
    assert result["score"] == score.total
    assert {part: result[part] for part in score.parts} == score.parts
    assert [k for k, v in result.items() if k.startswith("reason_") and v] == sorted(
        (f"reason_{code}" for code in score.reasons), key=KEYS.index
    )
    assert (result["correct"], result["acc"], result["unreadable"]) == (0.0, 0.0, 0.0)


def test_every_row_has_the_same_keys_and_plain_numbers(card: Path) -> None:
    results = [
        compute_score("retinamnist", RIGHT, "1"),
        compute_score("pneumoniamnist", "", "normal"),
        compute_score("mni152_brain_box", BOX, "[[0, 0, 10, 5]]"),
        compute_score("mine", "<answer>polyp</answer>", "polyp", tasks={"mine": str(card)}),
    ]
    for result in results:
        assert tuple(result) == KEYS
        assert {type(value) for value in result.values()} == {float}
    assert results[2]["accuracy"] == 0.5
    assert results[3]["correct"] == 1.0


def test_the_row_may_name_its_card_and_knowledge(card: Path) -> None:
    named = {"own": str(card)}
    row = ("whatever", "<answer>polyp</answer>", "polyp", {"task": "own"})
    assert compute_score(*row, tasks=named)["score"] == 1.0
    with pytest.raises(ConfigError, match=r"extra_info.task: .* is a file, and rows do not choose"):
        compute_score("retinamnist", "<answer>polyp</answer>", "polyp", {"task": str(card)})
    told = {"knowledge": "Microaneurysms only."}
    recited = compute_score("retinamnist", RIGHT, "1", told)
    assert recited["recitation"] < 0.0
    assert recited["reason_recitation_penalised"] == 1.0
    assert compute_score("retinamnist", RIGHT, "1", {"knowledge": ""})["recitation"] == 0.0


def test_settings_override_all_cards_and_a_source_may_have_its_own(card: Path) -> None:
    assert compute_score("retinamnist", NEAR, "1", decay="linear")["accuracy"] == 0.75
    own = {"boxes": {"task": "mni152_brain_box", "delta": 0}, "mine": str(card)}
    settings: dict[str, Any] = {"delta": 1, "weights": {"format": 0.3}, "tasks": own}
    assert compute_score("boxes", BOX, "[[0, 0, 10, 10]]", **settings)["score"] == 1.3
    text = "<think>x</think><answer>polyp</answer>"
    assert compute_score("mine", text, "polyp", **settings)["score"] == 1.3


def test_settings_as_omegaconf_gives_them() -> None:
    from omegaconf import OmegaConf

    config = OmegaConf.create({"decay": [1, 0.5], "weights": {"format": 0}, "gates": []})
    given: dict[str, Any] = {str(key): config[key] for key in config}
    assert compute_score("retinamnist", NEAR, "1", {"knowledge": ""}, **given)["score"] == 0.5


def test_reasons_may_be_chosen() -> None:
    few = compute_score("retinamnist", "<answer>2</answer>", "1", reasons=["no_think_tag"])
    assert tuple(few) == (*BASIC_KEYS, "reason_no_think_tag")
    assert few["reason_no_think_tag"] == 1.0
    assert tuple(compute_score("retinamnist", RIGHT, "1", reasons=[])) == BASIC_KEYS


def test_what_verl_adds_for_a_reward_model_is_no_setting() -> None:
    extra: dict[str, Any] = {"reward_router_address": "a:1", "reward_model_tokenizer": object()}
    assert compute_score("retinamnist", RIGHT, "1", **extra)["correct"] == 1.0


@pytest.mark.parametrize(
    ("source", "truth", "settings", "message"),
    [
        ("retinamist", "1", {}, "data_source: 'retinamist' is not one of .*mean 'retinamnist'"),
        ("mine", "1", {"tasks": {"mine": "retinamist"}}, "tasks.mine: .*mean 'retinamnist'"),
        (
            "mine",
            "1",
            {"tasks": {"other": "retinamnist"}},
            r"'mine' is not one of the \d+ known names; .* tasks={SOURCE: CARD.yaml}",
        ),
        ("retinamnist", "1", {"tasks": "retinamnist"}, "tasks: 'retinamnist' is not a mapping"),
        ("retinamnist", "1", {"reasons": "all"}, "reasons: 'all' is not a list"),
        ("retinamnist", "1", {"reasons": ["no_thnk_tag"]}, "mean 'no_think_tag'"),
        ("retinamnist", "7", {}, "target '7' .*grades 0 to 4"),
        ("retinamnist", "1", {"decya": "linear"}, "mean 'decay'"),
        ("retinamnist", "1", {"weights": {"format": -1}}, "weights.format: -1"),
        ("mni152_brain_box", "left", {}, "'left' is not JSON boxes"),
        ("mni152_brain_box", "[[0, 0, 10, 5]]", {"delta": -1}, "set delta: 0"),
    ],
)
def test_wrong_rows_and_settings_are_named(
    source: str, truth: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        compute_score(source, RIGHT, truth, **settings)


def test_a_card_is_read_once(card: Path) -> None:
    rows = RowScorer({"tasks": {"mine": str(card)}})
    card.unlink()
    assert rows.scorer("mine") is rows.scorer("mine")
    assert rows.scorer("retinamnist") is rows.scorer("retinamnist", {"task": None})


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("tokenizer")
    made = byte_tokenizer()
    made.save_pretrained(folder)
    return made, folder


@pytest.mark.parametrize("text", [RIGHT, *GARBAGE])
def test_the_tokenizer_returns_what_it_is_given(text: str, tokenizer: tuple[Any, Path]) -> None:
    assert tokenizer[0].decode(tokenizer[0](text)["input_ids"], skip_special_tokens=True) == text


def test_calls_that_come_together_are_decoded_together(
    tokenizer: tuple[Any, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from medreward_verl.manager import MedRewardManager

    reward = MedRewardManager(compose(*MANAGER), tokenizer[0], None)
    sizes: list[int] = []
    decode = tokenizer[0].batch_decode

    def batch_decode(tokens: list[Any], **options: Any) -> Any:
        sizes.append(len(tokens))
        return decode(tokens, **options)

    monkeypatch.setattr(tokenizer[0], "batch_decode", batch_decode)
    data = batch(tokenizer[0], [RIGHT, NEAR, RIGHT], [row("retinamnist", "1")] * 3)

    async def together() -> list[Any]:
        return list(await asyncio.gather(*(reward.run_single(data[i : i + 1]) for i in range(3))))

    first, second, third = asyncio.run(together())
    assert sizes == [3]
    assert first == third != second
    assert first["reward_extra_info"]["correct"] == 1.0


def test_a_wrong_row_fails_by_itself(tokenizer: tuple[Any, Path]) -> None:
    from medreward_verl.manager import MedRewardManager

    reward = MedRewardManager(compose(*MANAGER), tokenizer[0], None)
    rows = [row("retinamnist", "1"), row("retinamist", "1"), row("retinamnist", "9")]
    data = batch(tokenizer[0], [RIGHT] * 3, rows)

    async def together() -> list[Any]:
        calls = (reward.run_single(data[i : i + 1]) for i in range(3))
        return list(await asyncio.gather(*calls, return_exceptions=True))

    good, unknown, outside = asyncio.run(together())
    assert good["reward_extra_info"]["acc"] == 1.0
    assert "data_source: 'retinamist' is not one of" in str(unknown)
    assert "did you mean 'retinamnist'" in str(unknown)
    assert "target '9'" in str(outside)


def test_the_function_traces_what_it_scores(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    info = {"id": "p1", "split": "train", "knowledge": "", "global_steps": 4}
    for text in (RIGHT, NEAR):
        compute_score("retinamnist", text, "1", info, trace={"path": str(path), "share": 1.0})
    compute_score("retinamnist", NEAR, "1", {}, trace={"path": str(path), "share": 1.0})
    right, near, bare = read_trace([path])
    assert (bare.step, bare.id, bare.completion) == (None, None, NEAR)
    assert (right.step, right.id, right.split, right.target) == (5, "p1", "train", "1")
    assert near.reasons == explain(NEAR, "1", task="retinamnist", knowledge="").reasons


def test_the_manager_traces_with_verls_step_and_prompt(
    tokenizer: tuple[Any, Path], tmp_path: Path
) -> None:
    import numpy as np

    from medreward_verl.manager import MedRewardManager

    path = tmp_path / "trace.jsonl"
    reward = MedRewardManager(compose(*MANAGER, f"{REWARD}.trace={path}"), tokenizer[0], None)
    data = batch(tokenizer[0], [RIGHT, NEAR], [row("retinamnist", "1", id="p1")] * 2)
    data.non_tensor_batch["uid"] = np.array(["u7", "u7"])
    data.non_tensor_batch["global_steps"] = np.array([3, 3])

    async def together() -> list[Any]:
        return list(await asyncio.gather(*(reward.run_single(data[i : i + 1]) for i in range(2))))

    results = asyncio.run(together())
    rows = list(read_trace([path]))
    assert [(r.step, r.group, r.id) for r in rows] == [(3, "u7", "p1")] * 2
    assert [r.total for r in rows] == [result["reward_score"] for result in results]
    assert [r.completion for r in rows] == [RIGHT, NEAR]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full to fill a disk with")
def test_a_trace_that_cannot_be_written_fails_every_call(tokenizer: tuple[Any, Path]) -> None:
    from medreward_verl.manager import MedRewardManager

    reward = MedRewardManager(compose(*MANAGER, f"{REWARD}.trace=/dev/full"), tokenizer[0], None)
    data = batch(tokenizer[0], [RIGHT] * 2, [row("retinamnist", "1")] * 2)

    async def together() -> list[Any]:
        calls = (reward.run_single(data[i : i + 1]) for i in range(2))
        waiting = asyncio.gather(*calls, return_exceptions=True)
        return list(await asyncio.wait_for(waiting, timeout=60))

    for error in asyncio.run(together()):
        assert "/dev/full" in str(error)


@pytest.mark.parametrize("module", ["ppo.ray_trainer", "ppo.v1.trainer_base"])
def test_verls_dumps_are_read(module: str, tmp_path: Path) -> None:
    """veRL's own writers write; the older one dumps what our reward reports, the newer one keys."""
    import importlib
    import inspect

    found = importlib.import_module(f"verl.trainer.{module}")
    (write,) = {
        cls._write_generations
        for _, cls in inspect.getmembers(found, inspect.isclass)
        if hasattr(cls, "_write_generations") and cls.__module__ == found.__name__
    }
    texts = [RIGHT, NEAR, "<answer>", RIGHT]
    results = [compute_score("retinamnist", text, "1", {"knowledge": ""}) for text in texts]
    old = module == "ppo.ray_trainer"
    extra: dict[str, list[Any]] = {"uid": [f"u_{i // 2}_{i}_0" for i in range(4)]}
    if old:
        extra = {key: [result[key] for result in results] for key in KEYS if key != "score"}
    inputs = [f"prompt {i // 2}" for i in range(4)]
    scores = [result["score"] for result in results]
    for step in (2, 10):
        write(inputs, texts, ["1"] * 4, scores, extra, str(tmp_path), step)
    rows = list(read_trace([tmp_path]))
    assert [r.step for r in rows] == [2] * 4 + [10] * 4
    assert [r.completion for r in rows[:4]] == texts
    assert [r.total for r in rows[:4]] == scores
    assert [len(group) for group in gather_groups(rows)] == [2, 2, 2, 2]
    if old:
        assert [r.correct for r in rows[:4]] == [True, False, False, True]
        assert [r.unreadable for r in rows[:4]] == [False, False, True, False]
        assert rows[1].reasons == explain(NEAR, "1", task="retinamnist", knowledge="").reasons
        assert rows[1].parts["accuracy"] == 0.25
    again = rescore_row(rows[1], scorer("retinamnist"))
    assert again.correct is False
    assert again.prediction is not None


def test_the_manager_refuses_a_second_reward(tokenizer: tuple[Any, Path]) -> None:
    from medreward_verl.manager import MedRewardManager

    with pytest.raises(ConfigError, match="one of the two"):
        MedRewardManager(compose(*FUNCTION, *MANAGER), tokenizer[0], None)


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    from tests.verl_tools import local_ray

    with local_ray():
        yield


@pytest.mark.usefixtures("ray")
@pytest.mark.parametrize("way", [FUNCTION, MANAGER], ids=["function", "manager"])
def test_verls_reward_loop_scores_as_shaped_reward_does(
    way: list[str], tokenizer: tuple[Any, Path], tmp_path: Path
) -> None:
    from verl.experimental.reward_loop import RewardLoopManager

    path = tmp_path / "trace.jsonl"
    settings = [f"{REWARD}.decay=reported", f"{REWARD}.weights={{format:0.3}}"]
    settings.append(f"{REWARD}.trace={{path:{path},on_error:warn}}")
    model = [f"actor_rollout_ref.model.path={tokenizer[1]}", "reward.num_workers=2"]
    loop = RewardLoopManager(compose(*way, *settings, *model))
    cases = [
        *((text, "retinamnist", "1") for text in (RIGHT, NEAR, *GARBAGE)),
        *((text, "pneumoniamnist", "normal") for text in ("<answer>normal</answer>", *GARBAGE)),
        (BOX, "mni152_brain_box", "[[0.0, 0.0, 10.0, 5.0]]"),
    ]
    told = "More than just microaneurysms."
    texts = [text for text, _, _ in cases]
    rows = [row(source, truth, knowledge=told) for _, source, truth in cases]
    scored = loop.compute_rm_score(batch(tokenizer[0], texts, rows))
    expected = [
        shaped_reward(
            text,
            [[0, 0, 10, 5]] if source == "mni152_brain_box" else truth,
            task=source,
            knowledge=told,
            decay="reported",
            weights={"format": 0.3},
        )
        for text, source, truth in cases
    ]
    assert scored.batch["rm_scores"].sum(dim=1).tolist() == pytest.approx(expected, abs=1e-6)
    extra = scored.non_tensor_batch
    assert tuple(scored.meta_info["reward_extra_keys"]) == KEYS == tuple(extra)
    assert extra["score"].tolist() == expected
    right = 0, 2 + len(GARBAGE)
    assert extra["correct"].tolist() == [float(i in right) for i in range(len(cases))]
    assert extra["reason_recitation_penalised"].tolist()[1] == 1.0
    assert extra["unreadable"].sum() >= 2 * len(GARBAGE) - 2
    traced = list(read_trace([path]))  # two workers wrote
    assert sorted((r.completion, r.total) for r in traced) == sorted(
        zip(texts, expected, strict=True)
    )
