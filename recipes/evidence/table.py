"""The files of a study's arms -> Markdown tables.

Everything is computed from what the policies wrote (``test.jsonl``, ``steps.jsonl``), so that a
table can be made again when a metric is added.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from medreward import ConfigError
from medreward.data.check import scorers_of
from medreward.files.atomic import write_text_atomic
from medreward.runs.evaluation import Scored, compare, evaluate, score_completions
from recipes.evidence.pictures import TEST
from recipes.evidence.studies import QUOTES, RECITED, Study

BEGIN, END = "<!-- evidence: begin -->", "<!-- evidence: end -->"
_INTERVAL = "In brackets: 95 % interval of a paired bootstrap over pictures, not over seeds."
_FEWEST, _RESAMPLES = 100, 2000
Values: TypeAlias = Any  # a numpy array, a number for each completion
_LAST = 3  # steps that stand for the end of the training
_KNOWN = ("recited", "quoting")  # of no use where prompts have no knowledge
DYNAMICS = {
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
        before: seed -> those of the stages before, by their names.
        tests: seed -> the scored completions of the test pictures.
    """

    name: str
    results: dict[int, dict[str, Any]]
    steps: dict[int, list[dict[str, Any]]]
    before: dict[int, dict[str, list[dict[str, Any]]]]
    tests: dict[int, Scored]


def tables(name: str, study: Study, out: Path) -> str:
    """Return a study's tables as Markdown.

    Raises:
        ConfigError: if no arm is finished.
    """
    arms = read_arms(name, study, out)
    parts = [_test_table(study, arms), *_dynamics(study, arms), _facts(arms)]
    return "\n\n".join(parts) + "\n"


def read_arms(name: str, study: Study, out: Path) -> list[ArmRuns]:
    """Return what the finished arms of a study gave.

    Raises:
        ConfigError: if no arm is finished.
    """
    home = out / (study.folder or name)
    arms = [runs for arm in study.arms if (runs := _read(home, arm, study, out)).results]
    if not arms:
        raise ConfigError(f"{home}: no arm is finished; `run --study {name}` makes them")
    return arms


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


def _read(home: Path, arm: str, study: Study, out: Path) -> ArmRuns:
    runs = ArmRuns(arm, {}, {}, {}, {})
    scorers = scorers_of(None, RECITED)  # by one measure and sign for all arms
    for path in sorted((home / arm.replace(" ", "-")).glob("seed*/result.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        seed, folder = result["seed"], path.parent
        rows = out / "rows" / result["rows"] / f"{TEST}.parquet"
        runs.results[seed] = result | {"signature": _signature(folder)}
        lines = (folder / "test.jsonl").read_text(encoding="utf-8").splitlines()
        completions = {row["id"]: row["completion"] for row in map(json.loads, lines)}
        runs.tests[seed] = score_completions(rows, completions, scorers)[study.source]
        if (folder / "steps.jsonl").is_file():
            runs.steps[seed] = _lines(folder / "steps.jsonl")
        runs.before[seed] = {
            path.stem.removeprefix("steps-stage"): _lines(path)
            for path in sorted(folder.glob("steps-stage*.jsonl"))
        }
    return runs


def _signature(folder: Path) -> str:
    """Return the signature of the last training's scores; "" where nothing was rewarded."""
    traces = [*sorted(folder.glob("trace-stage*.jsonl")), folder / "trace.jsonl"]
    path = [path for path in traces if path.is_file()][-1:]
    if not path:
        return ""
    with path[0].open(encoding="utf-8") as lines:
        return str(json.loads(next(lines))["signature"])


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# The test


def _test_table(study: Study, arms: Sequence[ArmRuns]) -> str:
    """Return metrics of the test: the mean of the seeds, and the difference from the reference."""
    measured = {
        runs.name: [_values(scored) | _recited(study, scored) for scored in runs.tests.values()]
        for runs in arms
    }
    names = list(measured[arms[0].name][0])
    head = [f"| arm | seeds | {' | '.join(names)} |", "|---|---:|" + "---:|" * len(names)]
    lines = [f"Test pictures: {_count(arms)}. Mean over seeds (least to largest).", "", *head]
    for name, seeds in measured.items():
        cells = []
        for metric in names:
            found = [own[metric] for own in seeds]
            cells.append(f"{np.mean(found):.3f} ({min(found):.3f} to {max(found):.3f})")
        lines.append(f"| {name} | {len(seeds)} | " + " | ".join(cells) + " |")
    compared = list(_compared(study, arms))
    if compared:
        about = f"Less the arm `{study.reference}`, over the seeds that both have. {_INTERVAL}"
        lines += ["", about, "", *head, *compared]
    return "\n".join(lines)


def _values(scored: Scored) -> dict[str, float]:
    """Return the metrics that `medreward evaluate` has."""
    return {one.name: one.value for one in evaluate(scored, resamples=_FEWEST)[0].metrics}


def _recited(study: Study, scored: Scored) -> dict[str, float]:
    """Return recitation's two metrics, where demonstrations quote."""
    return {name: float(np.mean(of(scored))) for name, of in _recitation(study).items()}


def _recitation(study: Study) -> Mapping[str, Callable[[Scored], Values]]:
    return _RECITATION if study.quoting else {}


def _compared(study: Study, arms: Sequence[ArmRuns]) -> Iterator[str]:
    """Yield a row for each arm: the completions of all seeds together, drawn picture by picture."""
    reference = next((runs for runs in arms if runs.name == study.reference), None)
    for runs in arms:
        seeds = sorted(set(runs.tests) & set(reference.tests)) if reference else []
        if reference is None or runs is reference or not seeds:
            continue
        ours, theirs = _pool(runs, seeds), _pool(reference, seeds)
        found = [(d.value, d.low, d.high) for d in compare(ours, theirs)]
        pictures = [one.cluster for one in ours.predictions]
        found += [_difference(of(ours), of(theirs), pictures) for of in _recitation(study).values()]
        cells = [f"{value:+.3f} ({low:+.3f} to {high:+.3f})" for value, low, high in found]
        yield f"| {runs.name} | {len(seeds)} | " + " | ".join(cells) + " |"


def _pool(runs: ArmRuns, seeds: Sequence[int]) -> Scored:
    several = [runs.tests[seed] for seed in seeds]
    return Scored(several[0].bound, [one for own in several for one in own.predictions])


def _raw(scored: Scored) -> Values:
    return np.array([one.score.parts["recitation"] for one in scored.predictions])


_RECITATION: Mapping[str, Callable[[Scored], Values]] = {
    "R_recite": _raw,
    "quoting": lambda scored: _raw(scored) > QUOTES,
}


def _difference(
    ones: Values, others: Values, pictures: Sequence[str]
) -> tuple[float, float, float]:
    """Return the difference of two means and its paired bootstrap interval over pictures."""
    place = {name: i for i, name in enumerate(dict.fromkeys(pictures))}
    sums = np.zeros((len(place), 2))
    changes = np.subtract(ones, others, dtype=float)
    np.add.at(sums, [place[name] for name in pictures], np.column_stack([changes, changes * 0 + 1]))
    chance = np.random.default_rng(0)
    drawn = chance.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=_RESAMPLES) @ sums
    low, high = np.percentile(drawn[:, 0] / drawn[:, 1], [2.5, 97.5])
    return float(changes.mean()), float(low), float(high)


def _count(arms: Sequence[ArmRuns]) -> int:
    return len(next(iter(arms[0].tests.values())).predictions)


# The training


def _dynamics(study: Study, arms: Sequence[ArmRuns]) -> Iterator[str]:
    if before := _stages_before(arms):
        about = (
            f"Stages before, on other pictures or another task, alike: first step → last {_LAST}."
        )
        yield "\n".join([about, "", *_first_and_last(before)])
    trained = [runs for runs in arms if runs.steps]
    if not trained:
        return
    about = f"Training completions: mean over seeds of the first step and of the last {_LAST}."
    yield "\n".join([about, "", *_first_and_last({r.name: [*r.steps.values()] for r in trained})])
    first = "quoting" if _recitation(study) else "zero_variance"
    for name in (first, "correct"):
        yield _by_step(trained, name)
    yield _by_seed(trained, first)


def _stages_before(arms: Sequence[ArmRuns]) -> dict[str, list[list[dict[str, Any]]]]:
    """Return the steps of each seed, by arm and stage."""
    found: dict[str, list[list[dict[str, Any]]]] = {}
    for runs in arms:
        for stages in runs.before.values():
            for stage, steps in stages.items():
                found.setdefault(f"{runs.name}, stage {stage}", []).append(steps)
    return found


def _first_and_last(arms: Mapping[str, Sequence[list[dict[str, Any]]]]) -> Iterator[str]:
    rows = [row for seeds in arms.values() for steps in seeds for row in steps]
    names = [n for n in DYNAMICS if all(n in row for row in rows)]
    names = [n for n in names if n not in _KNOWN or any(row[n] for row in rows)]
    yield "| arm | seeds | " + " | ".join(DYNAMICS[n] for n in names) + " |"
    yield "|---|---:|" + "---:|" * len(names)
    for arm, seeds in arms.items():
        cells = []
        for name in names:
            first = np.mean([steps[0][name] for steps in seeds])
            last = np.mean([row[name] for steps in seeds for row in steps[-_LAST:]])
            cells.append(f"{first:.3f} → {last:.3f}")
        yield f"| {arm} | {len(seeds)} | " + " | ".join(cells) + " |"


def _by_step(arms: Sequence[ArmRuns], name: str) -> str:
    count = min(len(steps) for runs in arms for steps in runs.steps.values())
    head = " | ".join(str(step + 1) for step in range(count))
    lines = [
        f"`{DYNAMICS[name]}` by step, mean over seeds (shares):",
        "",
        f"| arm | seeds | {head} |",
        "|---|---:|" + "---:|" * count,
    ]
    for runs in arms:
        values = np.array([[row[name] for row in s[:count]] for s in runs.steps.values()])
        cells = " | ".join(f"{value:.2f}" for value in values.mean(axis=0))
        lines.append(f"| {runs.name} | {len(values)} | {cells} |")
    return "\n".join(lines)


def _by_seed(arms: Sequence[ArmRuns], name: str) -> str:
    """Return what each seed came to: what an arm does to training has to be seen in all of them."""
    seeds = sorted({seed for runs in arms for seed in runs.steps})
    lines = [
        f"`{DYNAMICS[name]}` in the last {_LAST} steps, by seed:",
        "",
        f"| arm | {' | '.join(map(str, seeds))} |",
        "|---|" + "---:|" * len(seeds),
    ]
    for runs in arms:
        ends = {
            seed: f"{np.mean([row[name] for row in steps[-_LAST:]]):.2f}"
            for seed, steps in runs.steps.items()
        }
        lines.append(f"| {runs.name} | " + " | ".join(ends.get(s, "–") for s in seeds) + " |")
    return "\n".join(lines)


def _facts(arms: Sequence[ArmRuns]) -> str:
    """Return what was run: seeds, steps, cost, signatures."""
    lines = [
        "| arm | seeds | of the warm start | GRPO steps | CPU s a seed | signature |",
        "|---|---|---|---:|---:|---|",
    ]
    for runs in arms:
        some = next(iter(runs.results.values()))
        stages = max(1, len(some.get("stages", ())))
        steps = some["steps"] * stages if runs.steps or any(runs.before.values()) else 0
        cost = np.mean([one["cpu_seconds"]["all"] for one in runs.results.values()])
        seeds = ", ".join(map(str, sorted(runs.results)))
        signature = some["signature"].replace("|", "\\|")
        signed = f"`{signature}`" if signature else "none: no reward"
        warm = ", ".join(map(str, sorted({r["warm_start"]["seed"] for r in runs.results.values()})))
        lines.append(f"| {runs.name} | {seeds} | {warm} | {steps} | {cost:.0f} | {signed} |")
    return "\n".join(lines)
