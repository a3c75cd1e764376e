"""The adapter for ms-swift: by its call, and in its own GRPO trainer where ms-swift is installed.

Set MEDREWARD_SWIFT to the Python of an environment with ms-swift (and medreward's requirements) for
the latter: it needs an older TRL than the rest, and so an environment of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from medreward import ConfigError, Task, shaped_reward
from medreward.data.exports import export_rows
from medreward.data.parquet import write_parquet
from medreward.kinds.right_answers import completion_with
from medreward.kinds.truth import ground_truth
from medreward.runs.trace_sources import read_trace
from medreward_swift import plugin_path, reward_classes, swift_options
from medreward_swift.rewards import SwiftReward
from tests.trainer_rows import ANSWERS, TARGETS, target_rows

ROOT = Path(__file__).parent.parent
PARTS = ("medreward_accuracy", "medreward_format", "medreward_recitation")
WEIGHTS = [1.0, 0.2, 0.05]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MEDREWARD_TASK", "MEDREWARD_SETTINGS"):
        monkeypatch.delenv(name, raising=False)


def rewards(*names: str, weights: list[float] | None = None) -> list[SwiftReward]:
    """Return the functions of one trainer."""
    args = SimpleNamespace(reward_weights=weights)
    return [reward_classes()[name](args=args) for name in names]


def test_it_scores_as_shaped_reward_does() -> None:
    columns: dict[str, list[str]] = {"task": [], "target": [], "knowledge": []}
    texts, expected = [], []
    for name, target in TARGETS.items():
        for answer in ANSWERS:
            texts.append(completion_with(answer))
            columns["task"].append(name)
            columns["target"].append(ground_truth(Task.load(name), target))
            columns["knowledge"].append("")
            expected.append(shaped_reward(texts[-1], target, task=name, knowledge=""))
    [total] = rewards("medreward")
    assert total(texts, **columns) == expected
    parts = [part(texts, **columns) for part in rewards(*PARTS, weights=WEIGHTS)]
    sums = [sum(w * v for w, v in zip(WEIGHTS, row)) for row in zip(*parts)]  # noqa: B905
    assert sums == pytest.approx(expected)
    shown = rewards("medreward", "medreward_correct", "medreward_unreadable", weights=[1, 0, 0])
    assert shown[1](texts, **columns).count(1.0) == 4
    assert sum(shown[2](texts, **columns)) > 0  # type: ignore[arg-type]


def test_log_names_do_not_collide() -> None:
    """ms-swift logs a function under its class's name."""
    names = [type(one).__name__ for one in rewards(*reward_classes())]
    assert names == [*reward_classes()]
    assert len(set(names)) == len(names)


GRADE = {"task": ["retinamnist"], "target": ["2"]}
TEXT = [completion_with("1")]


@pytest.mark.parametrize("weights", [WEIGHTS, [2.0, 0.4, 0.1], [7.0, 1.0, 0.2, 3.0, 0.05]])
def test_the_weights_and_their_multiples_are_taken(weights: list[float]) -> None:
    assert rewards(*PARTS, weights=weights)[0](TEXT, **GRADE) == [0.25]


@pytest.mark.parametrize("weights", [None, [1.0, 1.0, 1.0], [0.2, 1.0, 0.05], [0.0, 0.0, 0.0]])
def test_forgotten_weights_are_refused(weights: list[float] | None) -> None:
    with pytest.raises(ConfigError, match=r"reward_weights: .*python -m medreward_swift TASK"):
        rewards(*PARTS, weights=weights)[0](TEXT, **GRADE)


def test_beside_the_total_the_parts_have_no_weight() -> None:
    names = ("medreward", "medreward_accuracy")
    assert rewards(*names, weights=[1.0, 0.0])[1](TEXT, **GRADE) == [0.25]
    with pytest.raises(ConfigError, match="reward_weights"):
        rewards(*names, weights=[1.0, 1.0])[0](TEXT, **GRADE)


def test_settings_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MEDREWARD_SETTINGS", "{decay: linear, target_column: solution}")
    monkeypatch.setenv("MEDREWARD_TASK", "retinamnist")
    [total] = rewards("medreward")
    assert total(TEXT, solution=["2"]) == pytest.approx([0.95])
    (tmp_path / "settings.yaml").write_text("tasks: {eye: {task: retinamnist, decay: linear}}")
    monkeypatch.setenv("MEDREWARD_SETTINGS", str(tmp_path / "settings.yaml"))
    [total] = rewards("medreward")
    assert total(TEXT * 2, task=["eye", None], target=["2", "2"]) == pytest.approx([0.95, 0.45])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("nowhere.yaml", "nowhere.yaml"),
        ("{tasks: {eye: nobodys}}", "tasks.eye: .*nobodys"),
        ("{tasks: [eye]}", "tasks: .* is not a mapping"),
        ("{trace: {pth: x}}", "trace"),
        ("{decay", "MEDREWARD_SETTINGS"),
    ],
)
def test_wrong_settings_are_named(
    settings: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDREWARD_SETTINGS", settings)
    with pytest.raises(ConfigError, match=f"MEDREWARD_SETTINGS.*{message}|{message}"):
        rewards("medreward")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"task": ["retinamnist"]},
            "column 'target' is missing; the rows have task; .*rows export",
        ),
        ({"target": ["2"]}, "row 0 of the batch: column 'task' is missing.*MEDREWARD_TASK"),
        ({"task": ["nobodys"], "target": ["2"]}, "row 0 of the batch: .*'nobodys'"),
        ({"task": ["retinamnist"], "target": ["9"]}, "row 0 of the batch: .*9"),
    ],
)
def test_wrong_rows_are_named(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        rewards("medreward")[0](TEXT, **columns)


def test_a_batch_is_traced_once_and_the_next_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "trace.jsonl"
    monkeypatch.setenv("MEDREWARD_SETTINGS", json.dumps({"trace": str(path)}))
    functions = rewards(*PARTS, weights=WEIGHTS)
    place = {"id": ["a"], "split": ["train"]}
    for finished in (0, 0, 1):
        state = SimpleNamespace(global_step=finished)
        for function in functions:
            function(TEXT, **GRADE, **place, trainer_state=state)
    found = list(read_trace([path]))
    assert [(row.step, row.id, row.split, row.total) for row in found] == [
        (1, "a", "train", 0.45),
        (1, "a", "train", 0.45),  # the same text sampled again
        (2, "a", "train", 0.45),
    ]
    rewards(*PARTS, weights=WEIGHTS)[0](  # resumed after step 1: step 2 is made again
        TEXT, **GRADE, **place, trainer_state=SimpleNamespace(global_step=1)
    )
    assert [row.step for row in read_trace([path])] == [1, 1, 2]


@pytest.mark.parametrize(("name", "marks"), [("trace.jsonl", 0), ("trace-{rank}.jsonl", 1)])
def test_a_rank_marks_a_resumed_run_in_its_own_file_alone(
    name: str, marks: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MEDREWARD_SETTINGS", json.dumps({"trace": str(tmp_path / name)}))
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    rewards("medreward")[0](TEXT, **GRADE, trainer_state=SimpleNamespace(global_step=3))
    path = tmp_path / name.replace("{rank}", "1")
    assert path.read_text().count("resumed_after") == marks


def test_its_options_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert swift_options(["retinamnist", "yes_no"]) == [
        *("--external_plugins", str(plugin_path()), "--reward_funcs", *PARTS),
        *("--reward_weights", "1.0", "0.2", "0.05"),
    ]
    assert plugin_path().is_file()
    monkeypatch.setenv("MEDREWARD_SETTINGS", "{tasks: {eye: {task: yes_no, weights: {format: 1}}}}")
    with pytest.raises(ConfigError, match=r"weights: the tasks differ.*eye"):
        swift_options(["retinamnist", "eye"])
    command = [sys.executable, "-m", "medreward_swift"]
    for arguments, status, said in (([], 0, str(plugin_path())), (["nobodys"], 1, "")):
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout.strip()) == (status, said), done.stderr


def never_sample(tiny: Any, token: str) -> None:
    """Make a token all but impossible: an image token in a completion has no image and ends a run.

    One dimension is the same for all words, and counts against the token.
    """
    model, number = tiny.model, tiny.processor.tokenizer.convert_tokens_to_ids(token)
    model.get_input_embeddings().weight.data[:, 0] = 1.0
    model.lm_head.weight.data[number, 0] = -10.0


needs_swift = pytest.mark.skipif(
    "MEDREWARD_SWIFT" not in os.environ,
    reason="MEDREWARD_SWIFT names no Python with ms-swift",
)


@pytest.fixture(scope="module")
def swift(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What ms-swift says of exported rows, known completions and two steps of GRPO."""
    out = tmp_path_factory.mktemp("swift")
    (out / "rows").mkdir()
    rows = target_rows()
    write_parquet(out / "rows" / "train.parquet", rows)
    export_rows(out / "rows", out / "swift", "ms-swift")
    from medreward_trl.demo.model import build, save

    words = [row["prompt"][0]["content"].replace("<image>", "") for row in rows]
    tiny = build([*words, *map(completion_with, ANSWERS)], seed=0, size=28)
    never_sample(tiny, "<image>")
    save(tiny, out / "tiny")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")]),
        "ROOT_IMAGE_DIR": str(out / "swift"),
        "MEDREWARD_SETTINGS": json.dumps({"trace": str(out / "trace.jsonl")}),
        "USE_HF": "1",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [os.environ["MEDREWARD_SWIFT"], str(ROOT / "tests" / "swift_worker.py"), str(out)],
        input=json.dumps([completion_with(answer) for answer in ANSWERS[:4]]),
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    found: dict[str, Any] = json.loads((out / "found.json").read_text())
    return {**found, "trace": list(read_trace([out / "trace.jsonl"]))}


@needs_swift
def test_ms_swift_scores_known_completions(swift: dict[str, Any]) -> None:
    assert swift["names"] == [*PARTS, "medreward_correct"]
    assert [row[0] for row in swift["table"]] == [1.0] * 4
    totals = [sum(w * v for w, v in zip([*WEIGHTS, 0], row)) for row in swift["table"]]  # noqa: B905
    assert totals == pytest.approx([1.2] * 4)


@needs_swift
def test_ms_swift_trains_on_the_reward(swift: dict[str, Any]) -> None:
    steps = [line for line in swift["logged"] if "reward" in line]
    assert len(steps) == 2
    for number, line in enumerate(steps, start=1):
        rows = [row for row in swift["trace"] if row.step == number]
        assert len(rows) == 4
        assert len({row.id for row in rows}) == 2  # two groups of two
        mean = sum(row.total or 0.0 for row in rows) / 4
        assert float(line["reward"]) == pytest.approx(mean, abs=1e-4)
        for part in ("accuracy", "format", "recitation"):
            of_part = sum(row.parts[part] for row in rows) / 4
            assert float(line[f"rewards/medreward_{part}/mean"]) == pytest.approx(of_part, abs=1e-4)
