"""``medreward why``."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medreward.checks import whole
from medreward.commands.complain import complain
from medreward.commands.reward_options import add_reward_options, reading_settings, reward_options
from medreward.errors import ConfigError


def add_parser(commands: Any) -> None:
    """Add the sub-command; what it needs is imported when it runs."""
    why = commands.add_parser(
        "why",
        help="say what stands out in a run: unread answers, groups that teach nothing, trends",
        description="Reads a trace of medreward, TRL's completions tables (log_completions) or "
        "veRL's dumps (trainer.rollout_data_dir), as files or folders.",
    )
    add_trace(why)
    add_reward_options(why)
    why.add_argument("--completion-format", metavar="NAME", help="with --task: how answers stand")
    why.add_argument("--json", action="store_true", help="print everything as JSON")
    why.add_argument("--html", type=Path, metavar="FILE", help="write a report as well")
    why.set_defaults(run=_run)


def add_trace(parser: argparse.ArgumentParser, *, tasks: bool = False) -> None:
    """Add the arguments that name a trace and how to read it; ``--task`` may be several."""
    parser.add_argument("file", type=Path, nargs="+", help="JSON lines or parquet, or a folder")
    again = "; may be repeated with --scale" if tasks else ""
    parser.add_argument(
        "--task",
        action="append" if tasks else "store",
        metavar="[SOURCE=]CARD",
        help=f"a shipped task's name or a YAML card, to score by{again}",
    )
    parser.add_argument(
        "--group-size", type=int, help="so many neighbouring rows are a group, if rows name none"
    )
    parser.add_argument("--split", help="the split to look at, if rows name theirs")


def trace_rows(arguments: argparse.Namespace) -> Iterator[Any]:
    """Yield the trace's rows with a progress bar; say at the end which lines could not be read."""
    from tqdm import tqdm

    from medreward.runs.trace_sources import read_trace

    if arguments.group_size is not None:
        whole("--group-size", arguments.group_size, 2)
    skipped: list[tuple[Path, int]] = []
    replaced: list[tuple[Path, int]] = []
    rows = read_trace(arguments.file, skipped, replaced)
    yield from tqdm(rows, unit=" completions", disable=None)
    for path, line in skipped:
        complain(f"{path}, line {line}: not JSON, left out")
    for path, count in Counter(path for path, _ in replaced).items():
        complain(
            f"{path}: {count} completions left out: the run was resumed before their steps, which "
            f"were made again"
        )


def _run(arguments: argparse.Namespace) -> int:
    from medreward.runs import why
    from medreward.runs.trace_sources import rescore_row
    from medreward.scoring.scorer import scorer
    from medreward.scoring.task_book import load_named

    rows = trace_rows(arguments)
    settings = {**reward_options(arguments), **reading_settings(arguments)}
    if settings and not arguments.task:
        raise ConfigError(
            f"{', '.join(settings)}: settings score the completions anew, which needs --task; "
            f"without it the trace's own scores are shown"
        )
    cards = {}
    if arguments.task:
        bound = scorer(load_named(arguments.task), settings)
        rows = (rescore_row(row, bound) for row in rows)
        cards = {bound.task.name: bound.task}
    view = why.analyse(rows, group_size=arguments.group_size, split=arguments.split, cards=cards)
    if view.all.known["reward"] == 0:
        raise ConfigError(f"{arguments.file[0]}: there are no scores; --task names the task's card")
    if arguments.json:
        print(json.dumps(why.summary(view), ensure_ascii=False, indent=1))
    else:
        print(why.describe_run(view))
    if arguments.html:
        _write_html(arguments, view)
    return 0


def _write_html(arguments: argparse.Namespace, view: Any) -> None:
    from medreward.runs import why

    try:
        from medreward.sheets.report import write_report
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"--html needs {error.name}: pip install 'medreward[report]' brings it"
        ) from error
    write_report(arguments.html, why.report(view, f"Why: {arguments.file[0].name}"))
