"""What should a box earn? The demo's tiny model trained on BCCD's windows with each `box_quality`.

The rows and the warm start are those of run.py, the same for all arms of a seed; each arm trains
on boxes alone. What is complete is not run again::

    python benchmarks/two_stage/box_rewards.py FOLDER_OF_BCCD --out runs/box_rewards --seeds 3
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from two_stage.fields import BOXES
from two_stage.run import GRPO, MAX_TOKENS, STEPS, interval, prepare

from medreward.files.atomic import write_text_atomic
from medreward.runs.evaluation import evaluate, score_completions
from medreward.scoring.scorer import Scorer
from medreward_trl import from_parquet, make_trainer, reward_funcs
from medreward_trl.demo import generation, model

# A window of 10 steps, so that the threshold can rise within a run; else the rules' own numbers.
ARMS: dict[str, dict[str, Any]] = {
    "iou": {"box_quality": "iou"},
    "giou": {"box_quality": "giou"},
    "threshold 0.3": {"box_quality": "threshold", "box_threshold": 0.3},
    "threshold 0.5": {"box_quality": "threshold", "box_threshold": 0.5},
    "above 0.3": {"box_quality": "above", "box_threshold": 0.3},
    "schedule": {"box_quality": "schedule", "box_schedule": {"window": 10}},
}
METRICS = ("mean IoU", "F1 at IoU", "unreadable")


def train(arm: str, out: Path, seed: int, steps: int) -> dict[str, Any]:
    """Train an arm from the seed's warm start and return its held-out metrics."""
    tiny = model.load(out / "warm_start")
    folder = out / arm.replace(" ", "-")
    folder.mkdir(exist_ok=True)
    trace = folder / "trace.jsonl"
    trace.unlink(missing_ok=True)
    settings = ARMS[arm]
    trainer = make_trainer(
        model=tiny.model,
        dataset=from_parquet(out / f"{BOXES.name}_train.parquet"),
        reward=reward_funcs(BOXES, trace=trace, **settings),
        settings={
            **GRPO,
            "output_dir": str(folder / "trainer"),
            "seed": seed,
            "max_steps": steps,
            "disable_tqdm": True,
        },
        processor=tiny.processor,
    )
    trainer.train()
    found = measure(tiny, out)
    if settings["box_quality"] == "schedule":
        (schedule,) = {id(f.batch): f.batch.schedule for f in trainer.reward_funcs}.values()
        found["threshold"] = schedule.states[BOXES.name].threshold
    return found


def measure(tiny: model.Tiny, out: Path) -> dict[str, Any]:
    """Return the metrics of the most likely completions of the held-out windows."""
    path = out / f"{BOXES.name}_test.parquet"
    data = from_parquet(path)
    texts = generation.most_likely(tiny, data, MAX_TOKENS)
    scored = score_completions(path, dict(zip(data["id"], texts, strict=True)), _scorer_of)
    metrics = evaluate(scored[BOXES.name], resamples=100)[0].metrics
    return {one.name: one.value for one in metrics}


def _scorer_of(source: Any, info: Any) -> Scorer:
    return Scorer(BOXES)


def run_seed(
    folder: Path, out: Path, seed: int, steps: int, arms: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return the metrics of each arm of a seed, running those that are not there."""
    if not (out / "warm_start").exists():
        prepare(folder, out, seed)
    known = out / "boxes.json"
    results = json.loads(known.read_text(encoding="utf-8")) if known.exists() else {}
    if "warm start" not in results:
        results["warm start"] = measure(model.load(out / "warm_start"), out)
    for arm in arms:
        if arm not in results:
            results[arm] = train(arm, out, seed, steps)
            write_text_atomic(known, json.dumps(results, indent=1))
            print(f"seed {seed} {arm}: {results[arm]}", flush=True)
    return results


def table(results: Sequence[dict[str, dict[str, Any]]]) -> str:
    """Return a Markdown table: means over the seeds, and mean IoU against the arm iou."""
    metrics = [name for name in results[0]["iou"] if name.startswith(METRICS)]
    lines = [f"| arm | {' | '.join(metrics)} | mean IoU minus `iou`, 95 % interval | threshold |"]
    lines.append("|---|" + "---:|" * len(metrics) + "---|---|")
    for arm in results[0]:
        values = [statistics.fmean(one[arm][name] for one in results) for name in metrics]
        gaps = [one[arm]["mean IoU"] - one["iou"]["mean IoU"] for one in results]
        ends = [f"{one[arm]['threshold']:g}" for one in results if "threshold" in one[arm]]
        cells = " | ".join(f"{value:.3f}" for value in values)
        lines.append(f"| `{arm}` | {cells} | {interval(gaps)} | {', '.join(ends) or '–'} |")
    return "\n".join(lines)


def main() -> None:
    """Parse arguments and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bccd", type=Path, help="folder with Annotations and JPEGImages")
    parser.add_argument("--out", type=Path, default=Path("runs/box_rewards"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--arms", nargs="*", default=[*ARMS], choices=ARMS)
    arguments = parser.parse_args()
    results = [
        run_seed(
            arguments.bccd,
            arguments.out / f"seed_{seed}",
            seed,
            arguments.steps,
            arguments.arms,
        )
        for seed in range(arguments.seeds)
    ]
    print(f"\n{table(results)}")


if __name__ == "__main__":
    main()
