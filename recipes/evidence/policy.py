"""An arm: GRPO or supervised steps from the warm start, then the test, once."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from medreward import Task, explain
from medreward.files.atomic import replacing, write_text_atomic
from medreward.runs.generation import generate
from medreward.runs.local_model import LocalModel
from medreward.scoring.groups import zero_variance_share
from medreward.scoring.trace import read_rows
from medreward.text.words import tokenize
from medreward_trl.dataset import from_parquet
from medreward_trl.demo.model import Tiny, load, save
from medreward_trl.demo.pretrained_run import SETTINGS, pretrained_trainer, trained
from medreward_trl.demo.progress import Progress
from medreward_trl.demo.shared_prefix import share_prefix
from medreward_trl.rewards import reward_funcs
from recipes.evidence.pictures import TEST, TRAIN
from recipes.evidence.studies import GRPO, QUOTES, RECITED, SUPERVISED, Arm
from recipes.evidence.warm_start import BATCH, supervised

_TESTED_AT_ONCE = 32
_LOGGED = ("loss", "grad_norm", "entropy", "completions/mean_length", "completions/clipped_ratio")


class Stage(NamedTuple):
    """A run of GRPO.

    Attributes:
        task: the task.
        rows: the folder of its rows.
        reward: settings of the reward in place of the card's.
        name: what tells its files from those of other stages: none of the last on the study's own
            source.
    """

    task: Task
    rows: Path
    reward: Mapping[str, Any]
    name: str = ""


def train(arm: Arm, stages: Sequence[Stage], warm: Path, out: Path, **run: Any) -> Tiny:
    """Return the policy of an arm.

    Args:
        arm: what is done.
        stages: the runs of GRPO, or the one run of supervised steps.
        warm: the folder of the warm start.
        out: the folder that gets the traces and the logs.
        **run: ``steps``, ``seed``, ``device`` and, for a supervised arm, ``quoting``.
    """
    tiny = load(warm)
    if run["device"] == "cuda":
        tiny.model.to("cuda")
    share_prefix(tiny.model)
    if arm.training == SUPERVISED:
        completions = run["steps"] * SETTINGS["per_device_train_batch_size"]  # as many as GRPO's
        return supervised(
            tiny,
            {arm.level: from_parquet(stages[-1].rows / f"{TRAIN}.parquet")},
            steps=completions // BATCH,
            seed=run["seed"],
            quoting=run["quoting"],
        )
    if arm.training == GRPO:
        for stage in stages:
            tiny = _grpo(tiny, stage, out, run)
    return tiny


def _grpo(tiny: Tiny, stage: Stage, out: Path, run: Mapping[str, Any]) -> Tiny:
    """Return the policy after a stage."""
    trace = out / f"trace{stage.name}.jsonl"
    trainer = pretrained_trainer(
        tiny,
        from_parquet(stage.rows / f"{TRAIN}.parquet"),
        reward_funcs(stage.task, trace=trace, **stage.reward),
        out / "trainer",
        {"seed": run["seed"], "max_steps": run["steps"]},
    )
    trainer.add_callback(Progress(run["steps"]))
    trainer.train()
    logged = [log for log in trainer.state.log_history if "reward" in log]
    _write_lines(out / f"steps{stage.name}.jsonl", _steps(trace, stage.task, logged))
    shutil.rmtree(out / "trainer", ignore_errors=True)
    return trained(trainer, tiny)


def test(policy: Tiny, rows: Path, out: Path) -> None:
    """Write the greedy completion of each test row to ``test.jsonl``."""
    folder = out / "policy"
    with replacing(folder) as scratch:
        save(policy, scratch)
    generate(
        LocalModel(folder, SETTINGS["max_completion_length"]),
        rows / f"{TEST}.parquet",
        out / "test.jsonl",
        batch=_TESTED_AT_ONCE,
    )
    shutil.rmtree(folder)  # half a gigabyte, which its settings and seed make again


def _steps(trace: Path, task: Task, logged: list[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield what each step's completions earned, what they say, and what TRL logged."""
    rows: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in read_rows(trace):
        rows[row["step"]].append(row)
    for log, (step, own) in zip(logged, sorted(rows.items()), strict=True):
        texts = [row["completion"] for row in own]
        raw = _recited(own, task)
        groups: dict[str, list[float]] = defaultdict(list)
        for row in own:
            groups[row["id"]].append(row["total"])
        yield {
            "step": step,
            "completions": len(own),
            "reward": _mean([row["total"] for row in own]),
            "correct": _mean([row["correct"] for row in own]),
            "unreadable": _mean([row["prediction"] is None for row in own]),
            **{
                f"part/{part}": _mean([row["parts"][part] for row in own])
                for part in own[0]["parts"]
            },
            **(_quoting(raw) if raw else {}),
            "words": _mean([len(tokenize(text)) for text in texts]),
            "zero_variance": zero_variance_share(list(groups.values())),
            **{name: float(log[name]) for name in _LOGGED if name in log},
        }


def _recited(rows: Sequence[Mapping[str, Any]], task: Task) -> list[float]:
    """Return R_recite of each completion; none where recitation is not for the task's kind."""
    if not task.labels:
        return []
    scores = explain(
        [row["completion"] for row in rows],
        [row["target"] for row in rows],
        task=task,
        knowledge=[row["knowledge"] for row in rows],
        **RECITED,
    )
    return [score.parts["recitation"] for score in scores]


def _quoting(raw: list[float]) -> dict[str, float]:
    return {"recited": _mean(raw), "quoting": _mean([value > QUOTES for value in raw])}


def _mean(values: list[Any]) -> float:
    return sum(map(float, values)) / len(values)


def _write_lines(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    write_text_atomic(path, "".join(json.dumps(row) + "\n" for row in rows))
