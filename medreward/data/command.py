"""``medreward rows``: write rows from images with labels, and check rows."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from medreward.task import KNOWLEDGE_LEVELS, Task


def add_parser(commands: Any) -> None:
    """Add the sub-command; what it needs is imported when it runs."""
    rows = commands.add_parser("rows", help="write or check the parquet rows that trainers read")
    actions = rows.add_subparsers(required=True, metavar="ACTION")
    write = actions.add_parser("write", help="write rows from a MedMNIST npz file")
    write.add_argument("npz", type=Path, help="MedMNIST file, such as retinamnist_224.npz")
    write.add_argument("--task", required=True, help="a shipped task's name or a YAML card")
    write.add_argument("--split", default="train", help="train, val or test (default: train)")
    write.add_argument("--limit", type=int, help="at most so many rows")
    write.add_argument(
        "--knowledge",
        choices=KNOWLEDGE_LEVELS,
        default="full",
        help="how much prior knowledge the prompts hold (default: full)",
    )
    write.add_argument("--out", type=Path, required=True, help="parquet file to write")
    write.set_defaults(run=_run_write)
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


def _run_write(arguments: argparse.Namespace) -> int:
    from medreward.data import medmnist
    from medreward.data.parquet import write_parquet
    from medreward.data.rows import rows

    task = Task.load(arguments.task)
    examples = medmnist.examples(arguments.npz, arguments.split, arguments.limit)
    count = write_parquet(arguments.out, rows(examples, task, arguments.knowledge))
    print(f"{arguments.out}: {count} rows of task {task.name}")
    return 0


def _run_check(arguments: argparse.Namespace) -> int:
    from medreward.data.check import check_parquet, task_finder

    task_of = task_finder(arguments.task)
    for file in arguments.file:
        print(f"{file}: {check_parquet(file, task_of)} rows are right")
    return 0
