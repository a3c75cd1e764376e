"""The TRL adapter, by itself and inside a real GRPOTrainer."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from medreward import ConfigError, Task, explain, shaped_reward
from medreward.data.example import Example
from medreward.data.rows import make_rows
from medreward.runs.trace_sources import read_trace
from medreward.scoring.groups import gather_groups, zero_variance_share
from medreward_trl import reward_funcs, shaped, tasks

RIGHT = "<think>Microaneurysms only.</think><answer>1</answer>"
NEAR = "<think>More than just microaneurysms.</think><answer>Grade 2</answer>"
BROKEN = "<answer>1"
GROUP = [RIGHT, NEAR, BROKEN]


def chat(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def test_weighted_sum_of_the_functions_is_the_shaped_reward() -> None:
    funcs, weights = reward_funcs("retinamnist", decay="reported", delta=-1)
    columns: dict[str, Any] = {"target": [1, 1, 1], "prompts": ["p"] * 3, "trainer_state": None}
    parts = [func(completions=[chat(c) for c in GROUP], **columns) for func in funcs]
    totals = [
        sum(w * p for w, p in zip(weights, row, strict=True)) for row in zip(*parts, strict=True)
    ]
    assert totals == pytest.approx(
        shaped_reward(GROUP, 1, task="retinamnist", decay="reported"), abs=1e-12
    )
    assert totals[0] > totals[1] > totals[2] == pytest.approx(0.0, abs=1e-12)


def test_each_completion_is_scored_once_for_all_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    funcs, _ = reward_funcs("retinamnist")
    scorer = funcs[0].batch.scorers["retinamnist"]
    seen: list[str] = []
    original = scorer.judged

    def judged(text: str, *rest: Any) -> Any:
        seen.append(text)
        return original(text, *rest)

    monkeypatch.setattr(scorer, "judged", judged)
    for func in funcs:
        func(completions=GROUP, target=[1, 1, 1])
    assert seen == GROUP
    funcs[2](completions=GROUP, target=[1, 1, 2])  # another target: not the same batch
    assert len(seen) == 2 * len(GROUP)


def test_rows_of_other_tasks_are_not_applicable() -> None:
    funcs, _ = reward_funcs("retinamnist")
    values = funcs[0](completions=GROUP, target=[1, 1, "cat"], task=["retinamnist", "cats", "cats"])
    assert values == [1.0, None, None]


def test_a_batch_without_any_row_of_the_tasks_names_both_and_the_mend() -> None:
    rows: dict[str, Any] = {"target": [1] * 3, "task": ["icdr"] * 3}
    for reward in (shaped("retinamnist"), reward_funcs("retinamnist")[0][0]):
        with pytest.raises(ConfigError, match=r"'icdr'.*'retinamnist'.*reward_funcs\('icdr'\)"):
            reward(completions=GROUP, **rows)


def test_a_mixture_without_a_trainer_may_have_batches_of_others_only() -> None:
    rows: dict[str, Any] = {"target": [1] * 3, "task": ["icdr"] * 3}
    told = shaped("retinamnist", other_tasks=["icdr"])
    assert told(completions=GROUP, **rows) == [None] * 3
    seen = shaped("retinamnist")
    assert seen(completions=GROUP[:1], target=[1], task=["retinamnist"]) == [1.2]
    assert seen(completions=GROUP, **rows) == [None] * 3
    with pytest.raises(ConfigError, match="other_tasks"):
        shaped("retinamnist", other_tasks="icdr")


def test_boxes_as_rows_hold_them() -> None:
    funcs, _ = reward_funcs("mni152_brain_box")
    text = "<think>x</think><answer>[[0, 0, 10, 10]]</answer>"
    values = funcs[0](completions=[text] * 2, target=["[[0.0, 0.0, 10.0, 5.0]]", [[0, 0, 10, 10]]])
    assert values == [0.5, 1.0]


def test_the_trace_has_what_was_scored(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    funcs, _ = reward_funcs(["retinamnist", "pneumoniamnist"], trace={"path": path, "every": 2})
    told = Task.load("retinamnist").knowledge_text()
    columns: dict[str, Any] = {
        "target": [1, 1, "cat"],
        "task": ["retinamnist", "retinamnist", "cats"],
        "id": ["a", "a", "b"],
        "split": ["train"] * 3,
        "knowledge": [told, "", ""],
    }
    for finished in range(3):
        for func in funcs:
            state = SimpleNamespace(global_step=finished)
            func(completions=[chat(c) for c in GROUP], trainer_state=state, **columns)
    rows = list(read_trace([path]))
    assert [row.step for row in rows] == [1, 1, 3, 3]  # every second step, without the cat
    assert [(r.id, r.split, r.task, r.target) for r in rows[:2]] == [
        ("a", "train", "retinamnist", "1")
    ] * 2
    assert [row.knowledge for row in rows[:2]] == [None, ""]  # the card's own, and none
    score = explain(RIGHT, 1, task="retinamnist")
    assert (rows[0].total, rows[0].parts) == (score.total, score.parts)
    assert rows[0].completion == RIGHT


def test_several_tasks_in_one_batch() -> None:
    funcs, _ = reward_funcs(["retinamnist", "pneumoniamnist"])
    values = funcs[0](
        completions=[RIGHT, "<think>x</think><answer>normal</answer>"],
        target=["1", "normal"],
        task=["retinamnist", "pneumoniamnist"],
    )
    assert values == [1.0, 1.0]
    with pytest.raises(ConfigError, match="'task' is missing"):
        funcs[0](completions=[RIGHT], target=["1"])


def test_tasks_that_differ_in_weights_are_refused() -> None:
    heavy = Task("heavy", labels=("a", "b"), reward={"weights": {"format": 0.5}})
    with pytest.raises(ConfigError, match="weights"):
        reward_funcs(["retinamnist", heavy])


def test_the_knowledge_column_is_what_recitation_compares_with() -> None:
    _, _, recitation = reward_funcs("retinamnist", delta=1)[0]
    values = recitation(
        completions=[RIGHT, RIGHT], target=[1, 1], knowledge=["Microaneurysms only.", ""]
    )
    assert values[0] == pytest.approx(
        explain(RIGHT, 1, task="retinamnist", knowledge="Microaneurysms only.", delta=1).parts[
            "recitation"
        ]
    )
    assert values[1] == 0.0


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "column 'target' is missing"),
        ({"target": [1, 9, 1]}, "row 1 of the batch.*target 9"),
        ({"target": [1, None, 1]}, "row 1 of the batch.*target None"),
        ({}, "has no column but the prompts; target_column="),
        ({"target": [1, 1]}, "column 'target': 2 values for 3 completions"),
        ({"target": None}, "column 'target' is missing; the data set has"),
        ({"target": "1"}, "column 'target': '1' is no list"),
        ({"target": [1] * 3, "knowledge": [""]}, "column 'knowledge': 1 values for 3"),
    ],
)
def test_wrong_rows_are_named(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        shaped("retinamnist")(completions=GROUP, **columns)


def test_each_of_several_tasks_has_its_metrics() -> None:
    metrics: dict[str, float] = {}
    yes = "<think>x</think><answer>yes</answer>"
    shaped(["retinamnist", "yes_no"])(
        completions=[RIGHT, NEAR, yes, yes, yes],
        target=[1, 1, "yes", "no", "no"],
        knowledge=[""] * 5,
        task=["retinamnist"] * 2 + ["yes_no"] * 3,
        log_metric=metrics.__setitem__,
    )
    assert metrics == {
        "correct": 0.4,
        "unreadable": 0.0,
        "correct/retinamnist": 0.5,
        "accuracy/retinamnist": 0.625,
        "correct/yes_no": 1 / 3,
        "accuracy/yes_no": 1 / 3,
    }


def test_metrics_are_logged_where_trl_offers_a_place() -> None:
    metrics: dict[str, float] = {}
    extra: dict[str, list[Any]] = {}
    completions = [RIGHT, RIGHT, RIGHT, NEAR, "?"]
    shaped("retinamnist")(
        completions=completions,
        target=[1] * 5,
        knowledge=[""] * 5,
        task=["retinamnist"] * 4 + ["cats"],
        id=["a", "a", "b", "b", "c"],
        log_metric=metrics.__setitem__,
        log_extra=extra.__setitem__,
    )
    assert metrics == {"correct": 0.75, "unreadable": 0.0, "zero_variance": 0.5}
    assert extra["prediction"] == ["1", "1", "1", "2", None]
    assert extra["reasons"] == ["correct", "correct", "correct", "wrong_grade", ""]


def test_functions_pickle_and_have_names() -> None:
    funcs, _ = pickle.loads(pickle.dumps(reward_funcs("retinamnist")))
    assert [func.__name__ for func in funcs] == ["accuracy", "format", "recitation"]
    assert funcs[0](completions=GROUP, target=[1, 1, 1]) == [1.0, 0.25, 0.0]


def test_dotted_path_for_the_command_line() -> None:
    assert tasks.retinamnist(completions=[RIGHT], target=[1], knowledge=[""]) == [1.2]
    with pytest.raises(AttributeError, match="retinamnist"):
        _ = tasks.nothing


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from trl import GRPOConfig, GRPOTrainer

    from medreward_trl.dataset import from_rows
    from medreward_trl.demo.model import build

    task = Task.load("pneumoniamnist")
    images = [Image.new("L", (56, 56), 60 * i) for i in range(4)]
    examples = [Example(image, i % 2, f"e{i}", "train", {}) for i, image in enumerate(images)]
    data = from_rows(make_rows(examples, task))
    tiny = build([data[0]["prompt"][0]["content"][1]["text"], RIGHT], seed=0, size=56)
    out = tmp_path_factory.mktemp("grpo")
    funcs, weights = reward_funcs(task, trace=out / "trace.jsonl")
    config = GRPOConfig(
        output_dir=str(out),
        reward_weights=weights,
        per_device_train_batch_size=4,
        num_generations=2,
        max_completion_length=8,
        max_steps=1,
        logging_steps=1,
        log_completions=True,
        use_cpu=True,
        bf16=False,
        report_to=[],
        save_strategy="no",
    )
    return GRPOTrainer(
        model=tiny.model,
        processing_class=tiny.processor,
        reward_funcs=funcs,
        args=config,
        train_dataset=data,
    )


def test_a_real_trainer_logs_the_parts(trainer: Any) -> None:
    trainer.train()
    logged = trainer.state.log_history[0]
    for name in ("rewards/accuracy/mean", "rewards/format/mean", "rewards/recitation/mean"):
        assert name in logged
    assert 0.0 <= logged["correct"] <= 1.0
    assert len(trainer._logs["extra"]["reasons"]) == len(trainer._logs["completion"])
    assert all(trainer._logs["extra"]["reasons"])
    _compare_trace_and_table(Path(trainer.args.output_dir))
    # The groups of a batch of four are those of the trace: unread text is charged what it recites.
    groups = gather_groups(read_trace([Path(trainer.args.output_dir) / "trace.jsonl"]))
    totals = [[row.total or 0.0 for row in group] for group in groups]
    assert logged["zero_variance"] == zero_variance_share(totals)


def _compare_trace_and_table(out: Path) -> None:
    """The trace says the step, the rows and the scores that TRL's own table says."""
    trace = list(read_trace([out / "trace.jsonl"]))
    table = list(read_trace([out / "completions"]))
    assert len(trace) == len(table) == 4
    for row, logged in zip(trace, table, strict=True):
        assert row.step == logged.step == 1
        assert row.id == logged.id
        assert row.completion == logged.completion
        assert row.reasons == logged.reasons
        assert row.unreadable == logged.unreadable
        assert row.parts == pytest.approx(logged.parts)
        score = explain(row.completion, row.target, task=row.task or "", knowledge=row.knowledge)
        assert (row.total, row.signature) == (score.total, score.signature)
    assert [len(group) for group in gather_groups(trace)] == [2, 2]


def test_a_real_trainer_adds_the_parts_up_to_the_shaped_reward(trainer: Any) -> None:
    row = trainer.train_dataset[0]
    texts = [
        "<think>x</think><answer>normal</answer>",
        f"<think>{row['knowledge']}</think><answer>normal</answer>",
        "<think>x</think><answer>pneumonia</answer>",
        "normal",
    ]
    inputs = [row] * len(texts)
    prompts = [row["prompt"]] * len(texts)
    table = trainer._calculate_rewards(inputs, prompts, [chat(t) for t in texts], [[1]] * 4)
    totals = (table * trainer.reward_weights).sum(dim=1).tolist()
    assert totals == pytest.approx(
        shaped_reward(texts, row["target"], task="pneumoniamnist", knowledge=row["knowledge"]),
        abs=1e-6,
    )
    assert totals[0] > totals[1] > totals[2] > totals[3] == pytest.approx(0.0, abs=1e-12)


def test_trl_finds_the_dotted_path_as_its_command_line_does() -> None:
    import importlib

    module, name = "medreward_trl.tasks.pneumoniamnist".rsplit(".", 1)
    func = getattr(importlib.import_module(module), name)
    assert func(completions=["<answer>normal</answer>"], target=["normal"], knowledge=[""]) == [1.0]


def test_parquet_rows_become_the_same_data_set(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from medreward_trl.dataset import from_parquet, from_rows

    task = Task.load("retinamnist")
    examples = [Example(Image.new("RGB", (8, 8), (i, 0, 0)), i, f"e{i}", "train") for i in range(3)]
    made = list(make_rows(examples, task, "context"))
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(made), path)
    direct, loaded = from_rows(made), from_parquet(path)
    assert loaded.column_names == direct.column_names
    for one, other in zip(direct, loaded, strict=True):
        assert one["target"] == other["target"]
        assert one["image"].tobytes() == other["image"].tobytes()
        assert [p["type"] for p in other["prompt"][0]["content"]] == ["image", "text"]
    with pytest.raises(ConfigError, match="No such file"):
        from_parquet(tmp_path / "none.parquet")


def test_completions_may_come_by_position() -> None:
    """As trainers of TRL's shape give them."""
    funcs, _ = reward_funcs("retinamnist")
    texts = ["<think>x</think><answer>1</answer>"]
    assert [func(texts, target=["2"]) for func in funcs][:2] == [[0.25], [1.0]]


def test_a_trainer_that_does_not_show_its_weights_is_warned_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Before log_metric, and in AsyncGRPO; a call by hand has no prompts."""
    row: dict[str, Any] = {"completions": ["<think>x</think><answer>1</answer>"], "target": ["2"]}
    funcs, _ = reward_funcs("retinamnist")
    for func in funcs:
        func(**row)
    shaped("retinamnist")(**row, prompts=["p"])
    assert caplog.messages == []
    for func in (*funcs, *funcs):
        func(**row, prompts=["p"])
    [message] = caplog.messages
    assert message.startswith("reward_weights: this trainer does not show its weights")
