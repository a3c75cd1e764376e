"""``medreward sweep``."""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medreward.commands.complain import complain
from medreward.commands.why import add_trace, trace_rows
from medreward.errors import ConfigError
from medreward.task.task_scale import METHODS, NO_SCALE

if TYPE_CHECKING:
    from medreward.runs.sweep import SweepOutcome
    from medreward.runs.task_scales import MeasuredTask
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
    add_trace(sweep, tasks=True)
    sweep.add_argument(
        "--grid",
        action="append",
        default=[],
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
    sweep.add_argument(
        "--scale",
        choices=METHODS,
        help="in place of a grid: measure the setting task_scale of each task of the trace",
    )
    sweep.add_argument(
        "--out", type=Path, metavar="FILE", help="with --scale: write it as JSON, for a reward"
    )
    sweep.add_argument("--json", action="store_true", help="print everything as JSON")
    sweep.add_argument("--csv", type=Path, metavar="FILE", help="write the table as CSV as well")
    sweep.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from medreward.runs.sweep import Sweep, change_settings, grid
    from medreward.scoring.task_book import TaskBook, load_named

    if arguments.scale:
        return _scale(arguments)
    if not arguments.grid:
        raise ConfigError("--grid NAME=VALUE,… says what to compare, or --scale what to measure")
    if arguments.out:
        raise ConfigError("--out goes with --scale; a sweep's table is written by --csv")
    if len(arguments.task or ()) > 1:
        raise ConfigError("--task: a sweep is of one task; several go with --scale")
    own = arguments.task[0] if arguments.task else None
    rows, name = _peeked(trace_rows(arguments), own)
    task = load_named(own) if own else TaskBook().task_of(name)
    sweep = Sweep(task, grid(arguments.grid), change_settings(task.reward, _base(arguments)))
    scored: Counter[str] = Counter()
    chosen = _signed(_chosen(rows, task.name, arguments.split), scored)
    for group in _groups(chosen, arguments.group_size):
        sweep.add(group)
    found = sweep.results()
    if arguments.json:
        print(json.dumps([_plain(outcome) for outcome in found], ensure_ascii=False, indent=1))
    else:
        print(f"{sweep.rows} completions in {sweep.groups} groups, task {task.name}")
        print("\n".join(_reference(sweep.signature(), scored)), end="\n\n")
        print("\n".join(_table(found)))
    if arguments.csv:
        _write_csv(arguments.csv, found)
    return 0


def _signed(rows: Iterable[TraceRow], scored: Counter[str]) -> Iterator[TraceRow]:
    """Yield rows; count by which settings they were scored."""
    for row in rows:
        if row.signature:
            scored[_without_knowledge(row.signature)] += 1
        yield row


def _without_knowledge(signature: str) -> str:
    return signature.partition("|knowledge:")[0]


def _reference(signature: str, scored: Mapping[str, int]) -> Iterator[str]:
    """Yield what is compared with, and in what other settings the trace was scored."""
    reference = _without_knowledge(signature)
    yield f"reference: {reference}"
    own = reference.split("|")
    for other, count in scored.items():
        changed = [field for field in other.split("|") if field not in own]
        if other != reference:
            yield (
                f"note: {count} completions were scored under other settings: "
                f"{', '.join(changed) or other}; --set NAME=VALUE compares with these"
            )


def _groups(rows: Iterable[TraceRow], size: int | None) -> Iterator[list[TraceRow]]:
    """Yield the groups of a trace; say where two of them may have been taken for one."""
    from medreward.scoring.groups import gather_groups

    sizes: Counter[int] = Counter()
    for group in gather_groups(rows, size):
        sizes[len(group)] += 1
        yield group
    if not sizes:
        return
    usual = sizes.most_common(1)[0][0]
    several = sum(n for length, n in sizes.items() if length > usual and length % usual == 0)
    if usual > 1 and several:
        complain(
            f"{several} of {sum(sizes.values())} groups have twice as many completions as most, or "
            f"more: rows of several runs share step and id; --group-size {usual} keeps them apart"
        )


def _base(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what changes the reference."""
    from medreward.runs.sweep import grid

    base = grid(arguments.set)
    if len(base) > 1:
        raise ConfigError(f"--set: {' '.join(arguments.set)} has several values; give one a name")
    return dict(base[0])


def _scale(arguments: argparse.Namespace) -> int:
    """Measure the scale of each task, print it and write it down."""
    from medreward.files.atomic import write_text_atomic
    from medreward.runs.sweep import change_settings
    from medreward.runs.task_scales import measure_tasks, scale_tasks
    from medreward.scoring.scorer import Scorer
    from medreward.scoring.task_book import name_tasks

    if arguments.grid or arguments.csv:
        raise ConfigError("--scale: it measures, and takes neither --grid nor --csv")
    book, changes = name_tasks(arguments.task or ()), _base(arguments) | {"task_scale": NO_SCALE}
    own = next(iter(book.named)) if len(book.named) == 1 else None
    scorers: dict[str, Scorer] = {}

    def scorer_of(name: str | None) -> Scorer:
        source = name if name is not None else own
        if source is None:
            raise ConfigError("the trace names no task; --task names its card")
        if source not in scorers:
            task = book.task_of(source)
            scorers[source] = Scorer(task, change_settings(task.reward, changes))
        return scorers[source]

    rows = (r for r in trace_rows(arguments) if not arguments.split or r.split == arguments.split)
    measured = measure_tasks(_groups(rows, arguments.group_size), scorer_of)
    found = {
        "method": arguments.scale,
        "task_scale": scale_tasks(measured, arguments.scale),
        "measured": {name: one._asdict() for name, one in measured.items()},
    }
    if arguments.json:
        print(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        print("\n".join(_scale_table(measured, found["task_scale"])))
    if arguments.out:
        write_text_atomic(arguments.out, json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    return 0


def _scale_table(measured: Mapping[str, MeasuredTask], scales: Mapping[str, str]) -> Iterator[str]:
    width = max(len("task"), *map(len, measured))
    heads = ("rows", "groups", "p25", "p50", "p75", "deviation")
    yield f"{'task':{width}}" + "".join(f"{head:>10}" for head in heads) + "  task_scale"
    for name, one in measured.items():
        figures = "".join(f"{value:10.3f}" for value in (*one.quartiles, one.deviation))
        yield f"{name:{width}}{one.completions:10}{one.groups:10}{figures}  {scales[name]}"
    yield ""
    yield "p25, p50, p75: quartiles of R_accuracy; deviation: of the total, within groups"


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
