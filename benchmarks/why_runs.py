"""Short GRPO runs of the demo's model under rewards that go wrong, each with its trace.

    python benchmarks/why_runs.py --out runs/why          # a few minutes on two cores
    medreward why runs/why/exact/trace.jsonl

exact       right or wrong only: no partial credit
recites     delta +1 with a large weight, and knowledge that is short enough to copy
cold        no warm start: the policy does not know the format
one_grade   every image is of grade 2 in training, as in a badly sampled data set
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medreward import Task
from medreward.data import mni152
from medreward_trl.demo import generation, model, run
from medreward_trl.demo.demonstrations import demonstration
from medreward_trl.demo.warm_start import imitate
from medreward_trl.rewards import reward_funcs
from medreward_trl.train import make_trainer

TOLD = "small area, some white matter"
SETTINGS: Mapping[str, dict[str, Any]] = {
    "mfrs": {"decay": "geometric"},
    "exact": {"decay": "exact"},
    "recites": {"decay": "exact", "delta": 1, "weights": {"recitation": 0.9}},
    "cold": {"decay": "geometric"},
    "one_grade": {"decay": "linear"},
}


def train(name: str, out: Path, steps: int, seed: int) -> None:
    """Train under one reward and write its trace."""
    task = Task.load(run.TASK)
    examples = mni152.examples(run.TASK, split="train", count=run.TRAIN, seed=seed, size=run.SIZE)
    data = run._dataset(out / "train.parquet", task, examples)
    if name == "recites":
        data = data.map(lambda row: {"knowledge": TOLD})
    said = [demonstration(example) for example in examples]
    prompt = data[0]["prompt"][0]["content"][-1]["text"]
    tiny = model.build([prompt, *said], seed=seed, size=run.SIZE)
    shown = range(run.DEMONSTRATIONS)
    if name != "cold":
        imitate(tiny, data.select(shown), said[: len(shown)], steps=run.WARM_STEPS, seed=seed)
    if name == "one_grade":
        data = data.filter(lambda row: row["target"] == "2")
    trace = out / "trace.jsonl"
    trace.unlink(missing_ok=True)
    make_trainer(
        model=tiny.model,
        dataset=data,
        reward=reward_funcs(task, trace=trace, **SETTINGS[name]),
        settings={
            "output_dir": str(out / "policy"),
            "seed": seed,
            "max_steps": steps,
            "num_generations": run.GROUP,
            "per_device_train_batch_size": run.GROUP * run.PROMPTS,
            "max_completion_length": generation.MAX_TOKENS,
            "learning_rate": 3e-4,
            "gradient_checkpointing": False,
            "bf16": False,
            "use_cpu": True,
            "logging_steps": 1,
            "log_completions": True,
            "save_strategy": "no",
            "report_to": [],
        },
        processor=tiny.processor,
    ).train()


def main() -> None:
    """Train under each of the rewards that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(SETTINGS), metavar="NAME")
    parser.add_argument("--out", type=Path, default=Path("runs/why"))
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for name in arguments.names:
        train(name, arguments.out / name, arguments.steps, arguments.seed)


if __name__ == "__main__":
    main()
