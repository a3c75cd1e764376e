"""Rows that bring their questions along, in real trainers: TRL's and veRL's reward loop on Ray."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from medreward import ConfigError, Task, shaped_reward
from medreward.data.example import Example
from medreward.data.parquet import write_parquet
from medreward.data.rows import Row, make_row, make_rows
from medreward.kinds.base import kind_of
from medreward.kinds.right_answers import completion_with, right_answer
from medreward.kinds.truth import ground_truth
from medreward.priors.prompt import PromptBuilder
from tests.samples import sample_task
from tests.trl_tools import SIZE, make_trainer, score_batch

KINDS = ("choice", "short_answer", "number", "fields", "report", "free_report")


def targets_of(task: Task) -> list[Any]:
    return [honest.target for honest in kind_of(task).honest(task, None)][:4]


def rows_of(kind: str) -> list[Row]:
    task = sample_task(kind)
    examples = [
        Example(Image.new("L", (SIZE, SIZE), 10 * i), target, f"train{i}", "train", {}, f"Ask {i}?")
        for i, target in enumerate(targets_of(task))
    ]
    return list(make_rows(examples, task, "none"))


@pytest.mark.parametrize("kind", KINDS)
def test_trl_trains_a_step_on_questions(kind: str, tmp_path: Path) -> None:
    from medreward_trl import from_rows, reward_funcs

    task = sample_task(kind)
    funcs, weights = reward_funcs(task)
    trainer = make_trainer(tmp_path, funcs, from_rows(rows_of(kind)), reward_weights=weights)
    trainer.train()
    assert trainer.state.global_step == 1
    names = [name for line in trainer.state.log_history for name in line]
    assert "rewards/accuracy/mean" in names
    # What a model says reaches the reward as it does anybody else's.
    for i, target in enumerate(targets_of(task)):
        texts = [completion_with(right_answer(task, target)), completion_with("?"), "nothing"]
        scored = score_batch(trainer, texts, i)
        expected = [shaped_reward(text, target, task=task, knowledge="") for text in texts]
        assert (scored.nan_to_num(0.0) @ scored.new_tensor(weights)).tolist() == pytest.approx(
            expected, abs=1e-6
        )


def test_trl_trains_on_two_images_and_on_none(tmp_path: Path) -> None:
    """Rows of one set may differ in how many images they have; each is in its place."""
    from medreward_trl import from_rows, reward_funcs

    task = sample_task("choice")
    target = task.parse_target({"options": ["left", "right"], "answer": "B"})
    prompt = PromptBuilder(task, "none").for_row(target, "Which is brighter?")()
    pngs = [rows_of("choice")[i]["images"][0]["bytes"] for i in range(2)]
    rows = [
        make_row(task, prompt, ground_truth(task, target), shown, id=f"row-{i}", split="train")
        for i, shown in enumerate((pngs, pngs[::-1], pngs, pngs[::-1]))
    ]
    assert [row["prompt"][0]["content"].count("<image>") for row in rows] == [2, 2, 2, 2]
    data = from_rows(rows)
    funcs, weights = reward_funcs(task)
    trainer = make_trainer(tmp_path, funcs, data, reward_weights=weights)
    trainer.train()
    assert trainer.state.global_step == 1
    first = [image.getpixel((0, 0)) for image in data[0]["images"]]
    assert first == [0, 10]
    assert [image.getpixel((0, 0)) for image in data[1]["images"]] == first[::-1]


def rows_with(counts: Sequence[int]) -> list[Row]:
    task = sample_task("choice")
    target = task.parse_target({"options": ["left", "right"], "answer": "B"})
    prompt = PromptBuilder(task, "none").for_row(target, "Which is brighter?")()
    png = rows_of("choice")[0]["images"][0]["bytes"]
    return [
        make_row(task, prompt, ground_truth(task, target), [png] * n, id=f"t{i}", split="")
        for i, n in enumerate(counts)
    ]


def test_trl_trains_on_rows_without_an_image(tmp_path: Path) -> None:
    from medreward_trl import from_rows, reward_funcs

    data = from_rows(rows_with([0, 0, 0, 0]))
    assert data[0]["images"] == []
    funcs, weights = reward_funcs(sample_task("choice"))
    trainer = make_trainer(tmp_path, funcs, data, reward_weights=weights, max_steps=2)
    trainer.train()
    assert trainer.state.global_step == 2


def test_a_mixture_that_trl_cannot_train_on_is_refused_before_it_starts(tmp_path: Path) -> None:
    from medreward_trl import from_parquet, from_rows
    from medreward_trl.export import export_rows

    rows, message = rows_with([0, 1, 2, 0]), r"2 of 4 rows have no image; TRL trains on rows of"
    with pytest.raises(ConfigError, match=f"rows: {message}"):
        from_rows(rows)
    write_parquet(tmp_path / "train.parquet", rows)
    with pytest.raises(ConfigError, match=message):
        from_parquet(tmp_path / "train.parquet")
    with pytest.raises(ConfigError, match=message):
        export_rows(tmp_path, tmp_path / "out")


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    from tests.verl_tools import local_ray

    with local_ray():
        yield


@pytest.mark.usefixtures("ray")
def test_verls_reward_manager_scores_a_batch_of_questions(tmp_path: Path) -> None:
    from verl.experimental.reward_loop import RewardLoopManager

    from tests.verl_tools import MANAGER, REWARD, batch, byte_tokenizer, compose, row

    folder = tmp_path / "tokenizer"
    tokenizer = byte_tokenizer()
    tokenizer.save_pretrained(folder)
    cards = {kind: _card(tmp_path, kind) for kind in (*KINDS, "multi_image_localisation")}
    named = ",".join(f"{kind}:{path}" for kind, path in cards.items())
    settings = [f"{REWARD}.tasks={{{named}}}", f"actor_rollout_ref.model.path={folder}"]
    loop = RewardLoopManager(compose(*MANAGER, *settings, "reward.num_workers=1"))
    cases = []
    for kind, path in cards.items():
        task = Task.load(path)
        for target in targets_of(task):
            answers = (right_answer(task, target), "?", "not this")
            cases += [(kind, task, target, completion_with(answer)) for answer in answers]
    rows = [row(kind, ground_truth(task, target)) for kind, task, target, _ in cases]
    scored = loop.compute_rm_score(batch(tokenizer, [text for *_, text in cases], rows))
    expected = [shaped_reward(text, target, task=task) for _, task, target, text in cases]
    assert scored.batch["rm_scores"].sum(dim=1).tolist() == pytest.approx(expected, abs=1e-6)
    correct = scored.non_tensor_batch["correct"].tolist()
    assert correct == [float(i % 3 == 0) for i in range(len(cases))]


def _card(folder: Path, kind: str) -> Path:
    labels = "labels: [effusion, edema, mass, fracture]\nreward: {delta: 0}\n"
    fields = "fields: {side: {kind: classification, labels: [left, right]}, size: {kind: number}}\n"
    path = folder / f"{kind}.yaml"
    bare = "reward: {delta: 0}\n"
    more = {"fields": fields, "report": labels, "free_report": bare}.get(kind, "")
    path.write_text(f"name: {kind}\nkind: {kind}\nquestion: Answer.\n{more}", encoding="utf-8")
    return path
