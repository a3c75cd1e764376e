"""``medreward sweep``."""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medreward.commands.complain import complain
from medreward.commands.why import add_trace, trace_rows
from medreward.errors import ConfigError

if TYPE_CHECKING:
    from medreward.runs.sweep import SweepOutcome
    from medreward.scoring.trace import TraceRow

_FIGURES = {
    "tau": "Kendall's tau-b of the rewards within groups (1: the same order)",
    "correlation": "correlation of the advantages",
    "best_changes": "share of groups whose best completion is another",
    "zero_variance": "share of groups with zero variance",
    "shift": "mean absolute change of the advantages",
}
_HEADS = ("tau", "corr", "best", "zero-var", "|dA|")


def add_parser(commands: Any) -> None:
    """Add the sub-command; what it needs is imported when it runs."""
    sweep = commands.add_parser(
        "sweep",
        help="say what other weights and settings would have changed, from a trace",
        description="Scores the completions of a trace under every combination of the grid and "
        "compares the advantages within groups with those under the card's settings.",
    )
    add_trace(sweep)
    sweep.add_argument(
        "--grid",
        action="append",
        required=True,
        metavar="NAME=VALUE,…",
        help="values of a setting, such as weights.recitation=0,0.05 or decay=exact,[1,0.5]; may "
        "be repeated",
    )
    sweep.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change the settings that are compared with (default: the card's)",
    )
    sweep.add_argument("--json", action="store_true", help="print everything as JSON")
    sweep.add_argument("--csv", type=Path, metavar="FILE", help="write the table as CSV as well")
    sweep.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from medreward.runs.sweep import Sweep, change_settings, grid
    from medreward.scoring.groups import gather_groups
    from medreward.scoring.task_book import TaskBook, load_named

    rows, name = _peeked(trace_rows(arguments), arguments.task)
    task = load_named(arguments.task) if arguments.task else TaskBook().task_of(name)
    base = grid(arguments.set)
    if len(base) > 1:
        raise ConfigError(f"--set: {' '.join(arguments.set)} has several values; give one a name")
    sweep = Sweep(task, grid(arguments.grid), change_settings(task.reward, base[0]))
    chosen = _chosen(rows, task.name, arguments.split)
    for group in gather_groups(chosen, arguments.group_size):
        sweep.add(group)
    found = sweep.results()
    if arguments.json:
        print(json.dumps([_plain(outcome) for outcome in found], ensure_ascii=False, indent=1))
    else:
        print(f"{sweep.rows} completions in {sweep.groups} groups, task {task.name}\n")
        print("\n".join(_table(found)))
    if arguments.csv:
        _write_csv(arguments.csv, found)
    return 0


def _peeked(rows: Iterator[TraceRow], task: str | None) -> tuple[Iterator[TraceRow], str]:
    """Return the rows and the task's name or card: that of the first row if none is given."""
    first = next(rows, None)
    if first is None:
        raise ConfigError("the trace has no rows")
    name = task or first.task
    if name is None:
        raise ConfigError("the trace names no task; --task names its card")
    return chain([first], rows), name


def _chosen(rows: Iterable[TraceRow], task: str, split: str | None) -> Iterator[TraceRow]:
    """Yield the rows of the task and the split; say how many others there were."""
    others = 0
    for row in rows:
        if row.task not in (None, task) or (split and row.split not in (None, split)):
            others += 1
        else:
            yield row
    if others:
        complain(f"{others} rows of other tasks or splits left out")


def _plain(outcome: SweepOutcome) -> dict[str, Any]:
    figures = {name: getattr(outcome, name) for name in _FIGURES}
    known = {name: None if math.isnan(value) else value for name, value in figures.items()}
    return {"changes": dict(outcome.changes), "refused": outcome.refused, **known}


def _label(outcome: SweepOutcome) -> str:
    pairs = (f"{k.removeprefix('weights.')}={v}" for k, v in outcome.changes.items())
    return " ".join(pairs) or "(reference)"


def _table(outcomes: Sequence[SweepOutcome]) -> Iterator[str]:
    width = max(len(_label(outcome)) for outcome in outcomes)
    yield f"{'setting':{width}}" + "".join(f"{head:>10}" for head in _HEADS)
    for outcome in outcomes:
        if not outcome.refused:
            values = (getattr(outcome, name) for name in _FIGURES)
            yield f"{_label(outcome):{width}}" + "".join(f"{value:10.3f}" for value in values)
    yield ""
    for head, meaning in zip(_HEADS, _FIGURES.values(), strict=True):
        yield f"{head}: {meaning}"
    refused = [outcome for outcome in outcomes if outcome.refused]
    if refused:
        yield f"\n{len(refused)} settings are refused:"
    for outcome in refused:
        yield f"- {_label(outcome)}: {outcome.refused}"


def _write_csv(path: Path, outcomes: Sequence[SweepOutcome]) -> None:
    from medreward.files.atomic import replacing

    names = list(dict.fromkeys(name for outcome in outcomes for name in outcome.changes))
    with replacing(path) as scratch, scratch.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow([*names, *_FIGURES, "refused"])
        for outcome in outcomes:
            plain = _plain(outcome)
            settings = (outcome.changes.get(name, "") for name in names)
            table.writerow([*settings, *(plain[name] for name in _FIGURES), outcome.refused])
