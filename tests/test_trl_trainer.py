"""The reward functions inside real TRL trainers: weights, names, ranks, evaluation, resuming."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from medreward import ConfigError, shaped_reward
from medreward.commands.cli import main
from medreward.runs.trace_sources import read_trace
from medreward.runs.why import analyse, notes
from medreward.scoring.groups import gather_groups
from medreward_trl import reward_funcs, shaped
from medreward_trl.dataset import from_rows
from tests.trl_tools import RIGHT, WRONG, level_rows, make_trainer, score_batch

ROOT = Path(__file__).parent.parent
TASK = "pneumoniamnist"


def test_forgotten_weights_are_refused(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, reward_funcs(TASK).funcs)
    with pytest.raises(ConfigError, match=r"reward_weights: .*\[1.0, 0.2, 0.05\].*weights=weights"):
        trainer.train()


def len_reward(completions: list[Any], **_: Any) -> list[float]:
    return [float(len(completion)) for completion in completions]


@pytest.mark.parametrize("weights", [[1.0, 0.2, 0.05], [2.0, 0.4, 0.1]])
def test_the_weights_and_their_multiples_are_taken(tmp_path: Path, weights: list[float]) -> None:
    trainer = make_trainer(tmp_path, reward_funcs(TASK).funcs, reward_weights=weights)
    totals = (score_batch(trainer, [RIGHT, WRONG]) * trainer.reward_weights).sum(dim=1).tolist()
    wanted = shaped_reward([RIGHT, WRONG], 0, task=TASK, knowledge="")
    assert totals == pytest.approx([weights[0] * value for value in wanted], abs=1e-6)


def test_other_functions_may_have_any_weight(tmp_path: Path) -> None:
    funcs, weights = reward_funcs(TASK)
    trainer = make_trainer(tmp_path, [len_reward, *funcs], reward_weights=[7.0, *weights])
    assert score_batch(trainer, [RIGHT])[0].tolist() == [1.0, 1.0, 1.0, 0.0]
    wrong = make_trainer(tmp_path, [len_reward, *funcs], reward_weights=[*weights, 7.0])
    with pytest.raises(ConfigError, match="reward_weights"):
        score_batch(wrong, [RIGHT])


def with_tasks(*tasks: str) -> Any:
    data = from_rows(level_rows(len(tasks)))
    return data.remove_columns("task").add_column("task", list(tasks))


def zero_reward(completions: list[Any], **_: Any) -> list[float]:
    return [0.0] * len(completions)


def test_rows_of_another_task_stop_the_run_at_its_first_batch(tmp_path: Path) -> None:
    data = with_tasks("chexpert", "chexpert")
    message = rf"rows of the data set are of 'chexpert'.*'{TASK}'.*reward_funcs\('chexpert'\)"
    for funcs in (shaped(TASK), [shaped(TASK), zero_reward]):
        trainer = make_trainer(tmp_path, funcs, data)
        with pytest.raises(ConfigError, match=message):
            trainer.train()


def test_a_mixture_needs_a_function_for_each_task(tmp_path: Path) -> None:
    data = with_tasks(TASK, "yes_no", TASK, TASK)
    with pytest.raises(ConfigError, match="some rows of the data set are of 'yes_no'"):
        make_trainer(tmp_path, shaped(TASK), data).train()
    data = data.remove_columns("target").add_column("target", ["normal", "yes", *["normal"] * 2])
    sets = [shaped(TASK, name="chest"), shaped("yes_no", name="asked")]
    for funcs in (sets, shaped([TASK, "yes_no"]), [shaped(TASK), zero_reward]):
        make_trainer(tmp_path, funcs, data, max_steps=2).train()


def test_rloo_is_checked_too(tmp_path: Path) -> None:
    from trl import RLOOConfig, RLOOTrainer

    kind = {"trainer": RLOOTrainer, "config": RLOOConfig, "beta": 0.0}
    with pytest.raises(ConfigError, match="reward_weights"):
        score_batch(make_trainer(tmp_path, reward_funcs(TASK).funcs, **kind), [RIGHT])
    score_batch(make_trainer(tmp_path, shaped(TASK), **kind), [RIGHT])


def test_the_pair_in_place_of_the_functions_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="funcs, weights = reward_funcs"):
        make_trainer(tmp_path, reward_funcs(TASK))


def test_two_sets_need_names(tmp_path: Path) -> None:
    one, two = reward_funcs(TASK), reward_funcs(TASK, delta=0)
    trainer = make_trainer(
        tmp_path, [*one.funcs, *two.funcs], reward_weights=[*one.weights, *two.weights]
    )
    with pytest.raises(ConfigError, match=r"2 functions named 'accuracy'.*name="):
        trainer.train()


def test_two_named_sets_both_stand_in_the_table(tmp_path: Path) -> None:
    one = reward_funcs(TASK, name="first")
    two = reward_funcs(TASK, name="second", delta=0, weights={"format": 0.5})
    trainer = make_trainer(
        tmp_path,
        [*one.funcs, *two.funcs],
        reward_weights=[*one.weights, *two.weights],
        log_completions=True,
    )
    trainer.train()
    logged = trainer.state.log_history[0]
    for name in ("first", "second"):
        assert f"rewards/{name}/accuracy/mean" in logged
        assert {f"{name}/correct", f"{name}/unreadable", f"{name}/zero_variance"} <= {*logged}
        for column in ("prediction", "reasons"):
            assert len(trainer._logs["extra"][f"{name}/{column}"]) == 4
    assert len(trainer._logs["extra"]["id"]) == 4  # one set writes it
    table = list(read_trace([tmp_path / "completions"]))
    assert [len(group) for group in gather_groups(table)] == [2, 2]


@pytest.mark.parametrize("name", ["", " ", 3])
def test_a_wrong_name_is_refused(name: Any) -> None:
    with pytest.raises(ConfigError, match="name"):
        reward_funcs(TASK, name=name)


def test_pictures_that_the_model_would_not_see_stop_the_run(tmp_path: Path) -> None:
    funcs, weights = reward_funcs("pneumoniamnist")
    rows = from_rows(level_rows())
    trainer = make_trainer(tmp_path, funcs, rows, reward_weights=weights, sees_images=False)
    with pytest.raises(ConfigError, match=r"processing_class: .* has a tokenizer \("):
        score_batch(trainer, [RIGHT, WRONG])  # this TRL fails before that; 1.9 goes on
    texts = rows.remove_columns("image")
    trainer = make_trainer(tmp_path, funcs, texts, reward_weights=weights, sees_images=False)
    assert score_batch(trainer, [RIGHT, WRONG])[:, 0].tolist() == [1.0, 0.0]


def test_a_removed_column_is_explained(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, shaped(TASK), remove_unused_columns=True)
    with pytest.raises(ConfigError, match="remove_unused_columns=False"):
        trainer.train()


def test_an_empty_chat_is_scored() -> None:
    assert shaped(TASK)(completions=[[], RIGHT], target=[0, 0]) == pytest.approx([0.0, 1.2])


def test_groups_of_one_have_no_zero_variance(tmp_path: Path) -> None:
    held_out = from_rows(level_rows(2, "test"))
    trainer = make_trainer(
        tmp_path,
        shaped(TASK),
        eval_dataset=held_out,
        num_generations_eval=1,
        generation_kwargs={"do_sample": False},
    )
    found = trainer.evaluate()
    assert "eval_correct" in found
    assert "eval_zero_variance" not in found


@pytest.mark.parametrize("split", ["test", "train", None])
def test_evaluated_rows_are_told_apart(tmp_path: Path, split: str | None) -> None:
    """Also where a user cut the evaluation rows off the training rows, or rows have no split."""
    path = tmp_path / "trace.jsonl"
    held_out = from_rows(level_rows(2, split or "train"))
    trainer = make_trainer(
        tmp_path,
        shaped(TASK, trace={"path": path, "every": 2}),
        eval_dataset=held_out if split else held_out.remove_columns("split"),
        eval_strategy="steps",
        eval_steps=2,
        max_steps=2,
    )
    if split is None:
        trainer.train_dataset = trainer.train_dataset.remove_columns("split")
    trainer.train()
    told = "test" if split == "test" else "evaluation"
    found = [(row.step, row.split) for row in read_trace([path])]
    # `every` leaves out step 2 of the training; the evaluation after step 2 is written.
    assert found == [(1, "train")] * 4 + [(2, told)] * 4
    assert analyse(read_trace([path])).all.rows == 4
    assert analyse(read_trace([path]), split=told).all.rows == 4


def test_rows_keep_their_split(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from medreward_trl.dataset import from_parquet

    pq.write_table(pa.Table.from_pylist(level_rows(2, "test")), tmp_path / "rows.parquet")
    assert from_parquet(tmp_path / "rows.parquet")["split"][:] == ["test", "test"]


def test_a_resumed_run_replaces_the_steps_that_it_makes_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "trace.jsonl"

    def run(steps: int, resume: bool = False) -> None:  # a process that starts anew
        trainer = make_trainer(
            tmp_path,
            shaped(TASK, trace=path),
            max_steps=steps,
            save_strategy="steps",
            save_steps=2,
        )
        trainer.train(resume_from_checkpoint=resume)

    run(3)  # killed after step 3, with checkpoint-2 and checkpoint-3
    import shutil

    shutil.rmtree(tmp_path / "checkpoint-3", ignore_errors=True)
    run(4, resume=True)
    found = list(read_trace([path]))
    assert [row.step for row in found] == [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4
    assert [len(group) for group in gather_groups(found)] == [2] * 8
    assert sum(b'"step": 3' in line for line in path.open("rb")) == 8  # nothing is removed
    assert main(["why", str(path)]) == 0
    printed = capsys.readouterr()
    assert "16 completions, 4 steps" in printed.out
    assert "4 completions left out: the run was resumed before their steps" in printed.err


def test_a_second_run_in_a_file_is_not_taken_for_a_resumed_one(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    for _ in range(2):
        reward = shaped(TASK, trace=path)
        for finished in range(5):
            state = SimpleNamespace(global_step=finished)
            reward(completions=[RIGHT], target=[0], id=["a"], trainer_state=state)
    assert len(list(read_trace([path]))) == 10
    assert any("go back" in note for note in notes(analyse(read_trace([path]))))


def test_a_run_may_be_resumed_twice(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    for first, last in ((0, 5), (3, 7), (2, 4)):
        reward = shaped(TASK, trace=path)
        for finished in range(first, last):
            state = SimpleNamespace(global_step=finished)
            reward(completions=[f"{first}"], target=[0], id=["a"], trainer_state=state)
    found = [(row.step, row.completion) for row in read_trace([path])]
    assert found == [(1, "0"), (2, "0"), (3, "2"), (4, "2")]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """What two ranks log, with gloo."""
    out = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc_per_node", "2", "-m", "tests.trl_ranks_worker", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    return out, [json.loads((out / f"rank{i}.json").read_text()) for i in range(2)]


@pytest.mark.slow
def test_zero_variance_is_that_of_groups_that_span_ranks(
    ranks: tuple[Path, list[dict[str, Any]]],
) -> None:
    for found in ranks[1]:
        assert found["differ"] == {"correct": 0.5, "unreadable": 0.0, "zero_variance": 0.0}
        assert found["same"] == {"correct": 1.0, "unreadable": 0.0, "zero_variance": 1.0}
    logged = ranks[1][0]["logged"]
    assert logged["zero_variance"] == logged["frac_reward_zero_std"] == 1.0


@pytest.mark.slow
def test_ranks_that_are_resumed_lose_none_of_their_own_rows(
    ranks: tuple[Path, list[dict[str, Any]]],
) -> None:
    found = list(read_trace([ranks[0] / "trace.jsonl"]))
    assert [row.step for row in found] == [4] * 4 + [5] * 4 + [1] * 4
    lines = (ranks[0] / "trace.jsonl").read_text().splitlines()
    assert sum("resumed_after" in line for line in lines) == 2  # each rank marks, before any row
    assert all("resumed_after" in line for line in lines[:2])


def test_why_names_the_chat_template(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "trace.jsonl"
    reward = shaped(TASK, trace=path)
    for finished in range(30):
        state = SimpleNamespace(global_step=finished)
        texts = ["lungs</think><answer>normal</answer>", "lungs</think><answer>pneumonia</answer>"]
        reward(completions=texts, target=[0, 0], id=["a", "a"], trainer_state=state)
    assert main(["why", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "constant_part: format is 0" in printed.replace("part format", "format")
    assert "most often by think_unopened: the chat template seems to open <think>" in printed
    assert "warm start" not in printed
