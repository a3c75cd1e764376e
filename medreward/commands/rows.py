"""``medreward rows``: check rows that trainers are to read."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


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
        metavar="[SOURCE=]CARD",
        help="the card of a data source that is not a shipped task; may be repeated",
    )
    check.add_argument(
        "--images",
        type=Path,
        metavar="DIR",
        help="the folder under which rows may name pictures (default: rows hold bytes)",
    )
    check.set_defaults(run=_run_check)


def _run_check(arguments: argparse.Namespace) -> int:
    from medreward.data.check import check_parquet
    from medreward.scoring.task_book import name_tasks

    book = name_tasks(arguments.task)
    for file in arguments.file:
        count = check_parquet(file, book, image_root=arguments.images)
        print(f"{file}: {count} rows are right")
    return 0
