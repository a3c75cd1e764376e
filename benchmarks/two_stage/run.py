"""Does localisation first help? All arms of recipes/trl_two_stage.py on the demo's tiny model.

For each seed: windows of BCCD images, a model from scratch, a short supervised warm start on both
tasks, then every arm of the recipe from there in a process of its own, and accuracy on windows
of held-out images. What is complete is not run again::

    python benchmarks/two_stage/run.py FOLDER_OF_BCCD --out runs/two_stage --seeds 5
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from datasets import Dataset, concatenate_datasets
from scipy import stats

sys.path.insert(0, str(Path(__file__).parent.parent))

from two_stage.fields import BOXES, GRID, KIND, SIZE, fields

from medreward import Task, explain
from medreward.data.parquet import write_parquet
from medreward.data.rows import make_rows
from medreward.files.atomic import replacing, write_text_atomic
from medreward.kinds.right_answers import completion_with, right_answer
from medreward.kinds.truth import target_of
from medreward_trl.dataset import from_parquet
from medreward_trl.demo import generation, model
from medreward_trl.demo.run import GRPO as TINY
from medreward_trl.demo.run import PROMPTS
from medreward_trl.demo.warm_start import imitate

RECIPE = Path(__file__).parents[2] / "recipes" / "trl_two_stage.py"
ARMS = ("two_stage", "direct", "supervised", "short")
DEMONSTRATIONS, WARM_STEPS = 100, 200
MAX_TOKENS = 64
STEPS = 100  # of each stage
GRPO = {**TINY, "max_completion_length": MAX_TOKENS, "warmup_steps": 10}
_OF_GRPO = ("num_generations", "per_device_train_batch_size", "max_completion_length")
SUPERVISED = {
    "per_device_train_batch_size": PROMPTS,
    **{name: value for name, value in GRPO.items() if name not in _OF_GRPO},
}


def prepare(folder: Path, out: Path, seed: int) -> None:
    """Write rows and the model after its warm start."""
    train, test = fields(folder, seed)
    completions: list[str] = []
    shown: list[Dataset] = []
    for task in (BOXES, KIND):
        for split, chosen in (("train", train), ("test", test)):
            examples = [field.example(task, split) for field in chosen]
            write_parquet(out / f"{task.name}_{split}.parquet", make_rows(examples, task, "none"))
        data = from_parquet(out / f"{task.name}_train.parquet").select(range(DEMONSTRATIONS))
        shown.append(data)
        completions += [demonstration(task, target) for target in data["target"]]
    words = " ".join(str(n) for n in range(0, SIZE + 1, GRID))
    labels = [completion_with(label.name) for label in KIND.labels]
    prompts = [data[0]["prompt"][0]["content"][-1]["text"] for data in shown]
    tiny = model.build(
        [*prompts, *completions, *labels, words], seed=seed, size=SIZE, mean=0.72, std=0.09
    )
    imitate(tiny, concatenate_datasets(shown), completions, steps=WARM_STEPS, seed=seed)
    with replacing(out / "warm_start") as scratch:
        model.save(tiny, scratch)


def demonstration(task: Task, target: Any) -> str:
    """Return the right completion of a row."""
    return completion_with(right_answer(task, target_of(task, target)))


def configuration(out: Path) -> dict[str, Any]:
    """Return the recipe's configuration for the rows in `out`."""
    stages = {
        name: {
            "task": str(Path(__file__).with_name(f"{task.name}.yaml")),
            "rows": str(out / f"{task.name}_train.parquet"),
            "steps": STEPS,
            "reward": {"box_quality": "giou"} if task is BOXES else {},
        }
        for name, task in (("localisation", BOXES), ("classification", KIND))
    }
    common = {"model": str(out / "warm_start"), "out": str(out)}
    return {**common, **stages, "grpo": GRPO, "supervised": SUPERVISED}


def evaluate(policy: Path, out: Path) -> dict[str, float]:
    """Return what a policy earns on the held-out windows, by its most likely completions."""
    tiny = model.load(policy)
    found: dict[str, float] = {}
    for task in (BOXES, KIND):
        data = from_parquet(out / f"{task.name}_test.parquet")
        texts = generation.most_likely(tiny, data, MAX_TOKENS)
        targets = [target_of(task, target) for target in data["target"]]
        scores = explain(texts, targets, task=task, knowledge=[""] * len(texts))
        found[task.name] = statistics.fmean(score.parts["accuracy"] for score in scores)
        found[f"{task.name}_format"] = statistics.fmean(s.parts["format"] for s in scores)
    return found


def run_seed(
    folder: Path, out: Path, seed: int, arms: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Run the arms of a seed and return what each policy earns."""
    if not (out / "warm_start").exists():
        prepare(folder, out, seed)
    config = out / "config.yaml"
    write_text_atomic(config, yaml.safe_dump(configuration(out)))
    policies = {"warm_start": out / "warm_start"}
    for arm in arms:
        command = [sys.executable, str(RECIPE), "--config", str(config), "--arm", arm]
        log = out / f"{arm}.log"
        with log.open("w", encoding="utf-8") as file:
            subprocess.run(
                [*command, "--set", f"seed={seed}"], check=True, stdout=file, stderr=file
            )
        policies[arm] = out / arm / f"seed_{seed}" / "classification"
        if arm in ("two_stage", "supervised"):
            policies[f"{arm}_stage_1"] = out / arm / f"seed_{seed}" / "localisation"
    known = out / "result.json"
    results = json.loads(known.read_text(encoding="utf-8")) if known.exists() else {}
    for name, policy in policies.items():
        if name not in results:
            results[name] = evaluate(policy, out)
            print(f"seed {seed} {name:20}", {k: round(v, 3) for k, v in results[name].items()})
    write_text_atomic(known, json.dumps(results, indent=1))
    return results


def table(results: Sequence[dict[str, dict[str, float]]], metric: str) -> str:
    """Return a Markdown table: mean and standard deviation of each policy over the seeds."""
    lines = [f"| policy | {metric} | minus `two_stage`, 95% interval |", "|---|---|---|"]
    for name in results[0]:
        values = [result[name][metric] for result in results]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        gaps = [result[name][metric] - result["two_stage"][metric] for result in results]
        lines.append(
            f"| {name} | {statistics.fmean(values):.3f} ± {spread:.3f} | {interval(gaps)} |"
        )
    return "\n".join(lines)


def interval(values: Sequence[float]) -> str:
    """Return the mean of paired differences with Student's 95% interval."""
    if len(values) < 2 or len(set(values)) == 1:
        return "–"
    mean, error = statistics.fmean(values), stats.sem(values)
    half = error * stats.t.ppf(0.975, len(values) - 1)
    return f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]"


def main() -> None:
    """Parse arguments and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bccd", type=Path, help="folder with Annotations and JPEGImages")
    parser.add_argument("--out", type=Path, default=Path("runs/two_stage"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", nargs="*", default=ARMS, choices=ARMS)
    arguments = parser.parse_args()
    results = [
        run_seed(arguments.bccd, arguments.out / f"seed_{seed}", seed, arguments.arms)
        for seed in range(arguments.seeds)
    ]
    for metric in (KIND.name, BOXES.name):
        print(f"\n{table(results, metric)}")


if __name__ == "__main__":
    main()
