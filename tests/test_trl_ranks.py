"""Two processes that train together: what they log, trace and write, against one process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from medreward import shaped_reward
from medreward.runs.trace_sources import read_trace
from medreward.scoring.groups import gather_groups
from medreward.scoring.trace import TraceRow
from medreward_trl import reward_funcs
from tests.trl_tools import make_trainer
from tests.trl_two_ranks_worker import EACH, GROUP, STEPS

ROOT = Path(__file__).parent.parent
TASK = "pneumoniamnist"
TRACE = "trace-{rank}.jsonl"


class Ranks(NamedTuple):
    """What the two processes left behind."""

    out: Path
    found: list[dict[str, Any]]
    rows: list[TraceRow]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> Ranks:
    """A run of two processes, as `accelerate launch` starts them, with gloo."""
    out = tmp_path_factory.mktemp("two_ranks")
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
    command += ["--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no"]
    command += ["--dynamo_backend", "no", "--main_process_port", "0", "--module"]
    command += ["tests.trl_two_ranks_worker", str(out), TRACE]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads((out / f"rank{i}.json").read_text()) for i in range(2)]
    return Ranks(out, found, list(read_trace(sorted(out.glob("trace-*.jsonl")))))


def test_every_completion_is_traced_once(ranks: Ranks) -> None:
    assert [one["ranks"] for one in ranks.found] == [2, 2]
    seen = Counter(tuple(row) for one in ranks.found for row in one["seen"])
    assert seen.total() == 2 * EACH * STEPS
    assert Counter((row.step, row.id, row.completion) for row in ranks.rows) == seen


def test_no_rank_writes_into_anothers_file(ranks: Ranks) -> None:
    files = sorted(ranks.out.glob("trace-*.jsonl"))
    assert [file.name for file in files] == ["trace-0.jsonl", "trace-1.jsonl"]
    for file, one in zip(files, ranks.found, strict=True):
        own = [(row.step, row.id, row.completion) for row in read_trace([file])]
        assert own == [tuple(row) for row in one["seen"]]


def test_groups_that_span_ranks_are_whole(ranks: Ranks) -> None:
    groups = list(gather_groups(ranks.rows))
    assert [len(group) for group in groups] == [GROUP] * (2 * EACH * STEPS // GROUP)
    spanning = {
        (step, row_id)
        for step, row_id, _ in map(tuple, ranks.found[0]["seen"])
        if [step, row_id] in [row[:2] for row in ranks.found[1]["seen"]]
    }
    assert len(spanning) == STEPS


def test_metrics_are_those_of_one_process(ranks: Ranks, tmp_path: Path) -> None:
    funcs, weights = reward_funcs(TASK)
    trainer = make_trainer(tmp_path, funcs, reward_weights=weights)
    dataset = {row["id"]: row for row in trainer.train_dataset}
    totals = set()
    for step in range(1, STEPS + 1):
        rows = [row for one in ranks.found for row in one["seen"] if row[0] == step]
        inputs = [dataset[row_id] for _, row_id, _ in rows]
        chats = [[{"role": "assistant", "content": text}] for _, _, text in rows]
        prompts = [one["prompt"] for one in inputs]
        table = trainer._calculate_rewards(inputs, prompts, chats, [[1]] * len(rows))
        expected = {name: values[-1] for name, values in trainer._pending_metrics.items()}
        for one in ranks.found:
            logged = one["logged"][step - 1]
            assert {name: logged[name] for name in expected} == pytest.approx(expected)
            assert logged["reward"] == pytest.approx(
                (table * trainer.reward_weights).sum(1).mean().item(), abs=1e-6
            )
            for i, part in enumerate(("accuracy", "format", "recitation")):
                assert logged[f"rewards/{part}/mean"] == pytest.approx(table[:, i].mean().item())
        totals |= {shaped_reward(text, 0, task=TASK, knowledge="") for _, _, text in rows}
    assert len(totals) > 1  # right and wrong answers


def test_the_table_of_completions_holds_all_ranks(ranks: Ranks) -> None:
    table = list(read_trace([ranks.out / "completions"]))
    assert Counter(row.completion for row in table) == Counter(row.completion for row in ranks.rows)
