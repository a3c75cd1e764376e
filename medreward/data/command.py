"""``medreward rows``: check rows that trainers are to read."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from medreward.errors import ConfigError
from medreward.task import Task


def add_parser(commands: Any) -> None:
    """Add the sub-command; what it needs is imported when it runs."""
    rows = commands.add_parser("rows", help="check the parquet rows that trainers read")
    actions = rows.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser("check", help="check tasks, ground truths and images of rows")
    check.add_argument("file", type=Path, nargs="+", help="parquet file in veRL's schema")
    check.add_argument(
        "--task",
        action="append",
        default=[],
        metavar="SOURCE=CARD",
        help="the card of a data source that is not a shipped task; may be repeated",
    )
    check.set_defaults(run=_run_check)


def _run_check(arguments: argparse.Namespace) -> int:
    from medreward.data.check import check_parquet, shipped_task

    cards = dict(_named(text) for text in arguments.task)

    def task_of(data_source: str, extra_info: Any) -> Task:
        if data_source in cards and extra_info.get("task") is None:
            return cards[data_source]
        return shipped_task(data_source, extra_info)

    for file in arguments.file:
        print(f"{file}: {check_parquet(file, task_of)} rows are right")
    return 0


def _named(text: str) -> tuple[str, Task]:
    source, equals, card = text.partition("=")
    if not equals:
        raise ConfigError(f"--task: {text!r} is not SOURCE=CARD")
    return source, Task.load(card)
