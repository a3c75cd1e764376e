"""The reward's share of a training step: the demo's GRPO in TRL, its reward functions timed.

A process of its own trains as `medreward demo` does: the same model, batch, trace and threads.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.speed import whole
from benchmarks.speed.measure import REPEATS, timed
from medreward import Task, shaped_reward

STEPS, WARM = 40, 5  # steps measured, and steps before these


def measured(steps: int = STEPS) -> list[list[float]]:
    """Return seconds of wall time of each step of a demo's training, and those of its reward."""
    env = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    env["OMP_WAIT_POLICY"] = "PASSIVE"  # as `medreward demo` sets it
    command = [sys.executable, "-m", "benchmarks.speed.training", str(steps)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=env)
    found: list[list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def summary(steps: Sequence[Sequence[float]], long: float) -> str:
    """Return the result as text; `long` is the reward's seconds for as many long completions."""
    step, reward = (median(each[i] for each in steps) for i in (0, 1))
    found = sorted(part / all_of_it for all_of_it, part in steps)
    return (
        f"a training step of the demo takes {1000 * step:.0f} ms, the reward's three functions "
        f"{1000 * reward:.2f} ms of it: {median(found):.2%} ({found[0]:.2%} to {found[-1]:.2%}, "
        f"{len(found)} steps); as many completions of 300 words take {1000 * long:.1f} ms, "
        f"{long / (step - reward + long):.1%} of a step that is the same otherwise"
    )


def long_completions() -> float:
    """Return seconds of wall time of the reward for a step's worth of completions of 300 words."""
    from medreward_trl.demo.run import GROUP, PROMPTS

    completions, targets, task = whole.step(GROUP * PROMPTS // whole.GROUP)
    work = partial(shaped_reward, completions, targets, task=task)
    return median(timed(work, perf_counter) for _ in range(REPEATS))


class Timed:
    """A reward function whose time is added up."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.__name__ = function.__name__
        self.seconds = 0.0

    def __call__(self, **columns: Any) -> Any:
        start = perf_counter()
        values = self.function(**columns)
        self.seconds += perf_counter() - start
        return values


def _train(steps: int) -> list[tuple[float, float]]:
    from transformers import TrainerCallback

    from medreward_trl.demo.run import TASK, DemoOptions, grpo_trainer, warm_started
    from medreward_trl.rewards import RewardFuncs, reward_funcs

    ends: list[tuple[float, float]] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append((perf_counter(), sum(f.seconds for f in watched)))

    with tempfile.TemporaryDirectory() as name:
        options = DemoOptions(Path(name), steps=1 + WARM + steps)
        task = Task.load(TASK)
        funcs, weights = reward_funcs(task, trace=options.out / "trace.jsonl")
        watched = [Timed(function) for function in funcs]
        tiny, data = warm_started(task, options)
        grpo_trainer(tiny, data, RewardFuncs(watched, weights), options, [Clock()]).train()  # type: ignore[arg-type]
    measured = ends[WARM:]
    return [(end[0] - start[0], end[1] - start[1]) for start, end in pairwise(measured)]


if __name__ == "__main__":
    print(json.dumps(_train(int(sys.argv[1]))))
