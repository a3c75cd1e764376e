"""The files of a study's arms -> Markdown tables.

Everything is computed from what the policies wrote (``test.jsonl``, ``steps.jsonl``), so that a
table can be made again when a metric is added.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from medreward import ConfigError, Task
from medreward.data.check import scorers_of
from medreward.files.atomic import write_text_atomic
from medreward.runs.evaluation import Scored, read_completions, score_completions
from medreward.runs.evaluation_metrics import Metric, differences, metrics_of
from recipes.evidence.pictures import TEST
from recipes.evidence.studies import QUOTES, RECITED, Study

BEGIN, END = "<!-- evidence: begin -->", "<!-- evidence: end -->"
_INTERVAL = "In brackets: 95 % interval of a paired bootstrap over pictures, not over seeds."
_LAST = 3  # steps that stand for the end of the training
_DYNAMICS = {
    "reward": "reward",
    "correct": "right",
    "unreadable": "unreadable",
    "recited": "R_recite",
    "quoting": "quoting",
    "words": "words",
    "zero_variance": "zero-variance groups",
    "entropy": "entropy",
}


class ArmRuns(NamedTuple):
    """What the seeds of one arm gave.

    Attributes:
        name: the arm's.
        results: seed -> the content of ``result.json``.
        steps: seed -> the rows of ``steps.jsonl``; none without GRPO.
        tests: seed -> the scored completions of the test pictures.
    """

    name: str
    results: dict[int, dict[str, Any]]
    steps: dict[int, list[dict[str, Any]]]
    tests: dict[int, Scored]


def tables(name: str, study: Study, out: Path) -> str:
    """Return a study's tables as Markdown.

    Raises:
        ConfigError: if no arm is finished.
    """
    arms = [runs for arm in study.arms if (runs := _read(name, arm, study, out)).results]
    if not arms:
        raise ConfigError(f"{out / name}: no arm is finished; `run --study {name}` makes them")
    parts = [_test_table(study, arms), *_dynamics(arms), _facts(arms)]
    return "\n\n".join(parts) + "\n"


def fill(page: Path, text: str) -> None:
    """Put tables between a page's two marks.

    Raises:
        ConfigError: if the page has no marks.
    """
    content = page.read_text(encoding="utf-8")
    before, begin, rest = content.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ConfigError(f"{page}: it has no lines {BEGIN} and {END}, between which tables stand")
    write_text_atomic(page, f"{before}{BEGIN}\n\n{text}\n{END}{after}")


def _read(study_name: str, arm: str, study: Study, out: Path) -> ArmRuns:
    runs = ArmRuns(arm, {}, {}, {})
    scorers = scorers_of(None, RECITED)  # by one measure and sign for all arms
    for path in sorted((out / study_name / arm.replace(" ", "-")).glob("seed*/result.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        seed, folder = result["seed"], path.parent
        rows = out / "rows" / result["rows"] / f"{TEST}.parquet"
        runs.results[seed] = result
        completions = read_completions(folder / "test.jsonl")
        runs.tests[seed] = score_completions(rows, completions, scorers)[study.source]
        if (folder / "steps.jsonl").is_file():
            text = (folder / "steps.jsonl").read_text(encoding="utf-8")
            runs.steps[seed] = [json.loads(line) for line in text.splitlines()]
    return runs


# The test


def _test_table(study: Study, arms: Sequence[ArmRuns]) -> str:
    """Return metrics of the test: the mean of the seeds, and the difference from the reference."""
    task = Task.load(study.source)
    measured = {runs.name: {s: _metrics(task, runs, s) for s in runs.tests} for runs in arms}
    names = [metric.name for metric in next(iter(measured[arms[0].name].values()))]
    lines = [
        f"Test pictures: {_count(arms)}. Mean over seeds (least to largest).",
        "",
        "| arm | seeds | " + " | ".join(names) + " |",
        "|---|---:|" + "---:|" * len(names),
    ]
    for runs in arms:
        values = np.array([[_value(m) for m in own] for own in measured[runs.name].values()])
        cells = [
            f"{column.mean():.3f} ({column.min():.3f} to {column.max():.3f})" for column in values.T
        ]
        lines.append(f"| {runs.name} | {len(values)} | " + " | ".join(cells) + " |")
    compared = list(_compared(study, arms, task))
    if compared:
        lines += [
            "",
            f"Less the arm `{study.reference}`, over the seeds that both have. {_INTERVAL}",
            "",
            "| arm | seeds | " + " | ".join(names) + " |",
            "|---|---:|" + "---:|" * len(names),
            *compared,
        ]
    return "\n".join(lines)


def _compared(study: Study, arms: Sequence[ArmRuns], task: Task) -> Iterator[str]:
    reference = next((runs for runs in arms if runs.name == study.reference), None)
    for runs in arms:
        seeds = sorted(set(runs.tests) & set(reference.tests)) if reference else []
        if reference is None or runs is reference or not seeds:
            continue
        ours, theirs = _pooled(task, runs, seeds), _pooled(task, reference, seeds)
        clusters = [p.cluster for seed in seeds for p in runs.tests[seed].predictions]
        cells = [
            f"{d.value:+.3f} ({d.low:+.3f} to {d.high:+.3f})"
            for d in differences(ours, theirs, clusters)
        ]
        yield f"| {runs.name} | {len(seeds)} | " + " | ".join(cells) + " |"


def _metrics(task: Task, runs: ArmRuns, seed: int) -> list[Metric]:
    """Return the metrics of one seed: what `medreward evaluate` has, and recitation's two."""
    scored = runs.tests[seed]
    raw = np.array([one.score.parts["recitation"] for one in scored.predictions])
    ones = np.ones(len(raw))
    return [
        *metrics_of(task, scored.predictions),
        Metric("R_recite", np.column_stack([raw, ones]), _ratio),
        Metric("quoting", np.column_stack([raw > QUOTES, ones]), _ratio),
    ]


def _pooled(task: Task, runs: ArmRuns, seeds: Sequence[int]) -> list[Metric]:
    """Return the metrics of all seeds' completions together.

    Sums of features add up over seeds, and a picture's completions of all seeds are drawn together.
    """
    several = [_metrics(task, runs, seed) for seed in seeds]
    return [
        Metric(own[0].name, np.concatenate([one.features for one in own]), own[0].compute)
        for own in zip(*several, strict=True)
    ]


def _value(metric: Metric) -> float:
    return float(metric.compute(metric.features.sum(axis=0)))


def _ratio(sums: Any) -> Any:
    return sums[..., 0] / sums[..., 1]


def _count(arms: Sequence[ArmRuns]) -> int:
    return len(next(iter(arms[0].tests.values())).predictions)


# The training


def _dynamics(arms: Sequence[ArmRuns]) -> Iterator[str]:
    trained = [runs for runs in arms if runs.steps]
    if not trained:
        return
    names = [n for n in _DYNAMICS if all(n in row for row in _rows(trained))]
    lines = [
        f"Training completions: mean over seeds of the first step and of the last {_LAST}.",
        "",
        "| arm | seeds | " + " | ".join(_DYNAMICS[n] for n in names) + " |",
        "|---|---:|" + "---:|" * len(names),
    ]
    for runs in trained:
        cells = []
        for name in names:
            first = np.mean([steps[0][name] for steps in runs.steps.values()])
            last = np.mean([row[name] for steps in runs.steps.values() for row in steps[-_LAST:]])
            cells.append(f"{first:.3f} → {last:.3f}")
        lines.append(f"| {runs.name} | {len(runs.steps)} | " + " | ".join(cells) + " |")
    yield "\n".join(lines)
    for name in ("quoting", "correct"):
        yield _by_step(trained, name)


def _by_step(arms: Sequence[ArmRuns], name: str) -> str:
    count = min(len(steps) for runs in arms for steps in runs.steps.values())
    head = " | ".join(str(step + 1) for step in range(count))
    lines = [
        f"`{_DYNAMICS[name]}` by step, mean over seeds (share of a step's completions):",
        "",
        f"| arm | seeds | {head} |",
        "|---|---:|" + "---:|" * count,
    ]
    for runs in arms:
        values = np.array([[row[name] for row in s[:count]] for s in runs.steps.values()])
        cells = " | ".join(f"{value:.2f}" for value in values.mean(axis=0))
        lines.append(f"| {runs.name} | {len(values)} | {cells} |")
    return "\n".join(lines)


def _rows(arms: Sequence[ArmRuns]) -> Iterator[Mapping[str, Any]]:
    for runs in arms:
        for steps in runs.steps.values():
            yield from steps


def _facts(arms: Sequence[ArmRuns]) -> str:
    """Return what was run: seeds, steps, cost, signatures."""
    lines = ["| arm | seeds | GRPO steps | CPU s a seed | signature |", "|---|---|---:|---:|---|"]
    for runs in arms:
        some = next(iter(runs.results.values()))
        steps = some["steps"] if runs.steps else 0
        cost = np.mean([one["cpu_seconds"]["all"] for one in runs.results.values()])
        seeds = ", ".join(map(str, sorted(runs.results)))
        signature = some["signature"].replace("|", "\\|")
        lines.append(f"| {runs.name} | {seeds} | {steps} | {cost:.0f} | `{signature}` |")
    return "\n".join(lines)
