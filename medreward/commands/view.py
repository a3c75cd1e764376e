"""``medreward view``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from medreward.errors import ConfigError, quote


def add_parser(commands: Any) -> None:
    """Add the sub-command; what it needs is imported when it runs."""
    view = commands.add_parser(
        "view",
        help="show rows and the answers to them on an HTML page",
        description="Writes one HTML file: images with boxes, prompts and targets; with a trace "
        "also completions, their boxes, rewards and reasons. It needs no network and no script.",
    )
    view.add_argument("file", type=Path, help="parquet file of rows")
    view.add_argument("--trace", type=Path, metavar="FILE", help="completions, as JSON lines")
    view.add_argument("--out", type=Path, default=Path("view.html"), help="default: view.html")
    view.add_argument("--limit", type=int, default=50, help="at most so many rows (default: 50)")
    view.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="FIELD=PATTERN",
        help="id, task, kind, split, target; with a trace also reason, correct, step, prediction; "
        "* stands for anything; may be repeated, then all have to match",
    )
    view.add_argument(
        "--sort",
        metavar="ORDER",
        help="file (default without a trace), worst (default with one), best, zero-variance",
    )
    view.add_argument(
        "--completions", type=int, default=8, help="at most so many for each row (default: 8)"
    )
    view.add_argument(
        "--pixels", type=int, default=512, help="longest side of the pictures (default: 512)"
    )
    view.add_argument(
        "--task",
        action="append",
        default=[],
        metavar="[SOURCE=]CARD",
        help="the card of a data source that is not a shipped task; may be repeated",
    )
    view.add_argument(
        "--images",
        type=Path,
        metavar="DIR",
        help="the folder of pictures that rows name by path (default: rows hold the pictures)",
    )
    view.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    try:
        from medreward.scoring.task_book import name_tasks
        from medreward.sheets.view import Look, write_sheet
        from medreward.sheets.view_rows import RowChoice
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"view needs {error.name}: pip install 'medreward[data,report]' brings it"
        ) from error
    order = arguments.sort or ("worst" if arguments.trace else "file")
    choice = RowChoice(arguments.limit, [_pair(text) for text in arguments.filter], order)
    selection = write_sheet(
        arguments.file,
        arguments.out,
        choice,
        trace=arguments.trace,
        look=Look(arguments.pixels, arguments.completions, arguments.images),
        book=name_tasks(arguments.task),
    )
    print(f"{arguments.out}: {len(selection.entries)} of {selection.total} rows")
    return 0


def _pair(text: str) -> tuple[str, str]:
    name, equals, pattern = text.partition("=")
    if not equals:
        raise ConfigError(f"--filter: {quote(text)} is not FIELD=PATTERN")
    return name.strip(), pattern.strip()
