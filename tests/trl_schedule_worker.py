"""One rank of tests/test_box_schedule.py: scores its share of each step's completions."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from accelerate import Accelerator, PartialState  # type: ignore[import-untyped]

from medreward_trl import reward_funcs


class SmallTrainer:
    """What the reward functions look at of a trainer, around real communication."""

    def __init__(self, funcs: list[Any], weights: list[float], accelerator: Any) -> None:
        self.reward_funcs, self.reward_weights = funcs, weights
        self.reward_func_names = [func.__name__ for func in funcs]
        self.accelerator = accelerator
        self.model = SimpleNamespace(training=True)

    def log_metric(self, name: str, value: float) -> None:
        """Take a metric."""


def main() -> None:
    """Score the steps of a file and write this rank's thresholds."""
    out = Path(sys.argv[1])
    asked = json.loads((out / "steps.json").read_text(encoding="utf-8"))
    PartialState(cpu=True, backend="gloo")  # what the launcher started, without a GPU
    accelerator = Accelerator(cpu=True)
    rank, ranks = accelerator.process_index, accelerator.num_processes
    settings = {"box_quality": "schedule", "box_schedule": asked["rules"]}
    funcs, weights = reward_funcs(
        asked["task"], trace=out / "trace.jsonl", weights={"recitation": 0}, **settings
    )
    trainer = SmallTrainer(funcs, weights, accelerator)
    thresholds = []
    for step, completions in enumerate(asked["steps"]):
        own = completions[rank::ranks]
        for func in funcs:
            func(
                completions=own,
                target=[asked["target"]] * len(own),
                id=["a"] * len(own),
                trainer_state=SimpleNamespace(global_step=step),
                log_metric=trainer.log_metric,
            )
        schedule = funcs[0].batch.schedule
        assert schedule is not None
        thresholds.append(schedule.states[asked["task"]].threshold)
        accelerator.wait_for_everyone()
    found = {"ranks": ranks, "thresholds": thresholds}
    (out / f"rank{rank}.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
