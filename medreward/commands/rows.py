"""``medreward rows``: check rows that trainers are to read, and write them in other forms."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parser(commands: Any) -> None:
    """Add the sub-command; what it needs is imported when it runs."""
    rows = commands.add_parser("rows", help="check the rows that trainers read, export them")
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
    check.add_argument(
        "--completion-format",
        metavar="NAME|FILE",
        help="the format that the reward reads, where it is not the card's",
    )
    check.add_argument(
        "--model-profile",
        metavar="NAME|FILE",
        help="the model profile of the reward, such as qwen3_vl",
    )
    check.add_argument(
        "--recitation-measure",
        metavar="NAME",
        help="that of the reward, where it is not the card's: bleu, precision or containment",
    )
    check.add_argument(
        "--model",
        metavar="FOLDER|NAME",
        help="hold the rows against a model's configuration, chat template and image processor; "
        "its weights are not read",
    )
    check.add_argument(
        "--max-prompt",
        type=int,
        metavar="TOKENS",
        help="with --model: the most tokens that the trainer takes for a prompt",
    )
    check.set_defaults(run=_run_check)
    export = actions.add_parser("export", help="write rows for ms-swift, EasyR1 or as LLaVA's JSON")
    export.add_argument("folder", type=Path, help="what `medreward prepare` wrote")
    export.add_argument("--to", required=True, metavar="FORM", help="ms-swift, easyr1 or llava")
    export.add_argument("--out", type=Path, required=True, help="a folder to write to")
    export.add_argument(
        "--images",
        metavar="WHERE",
        help="beside the rows, as files, or inside them (default: inside for easyr1, else beside)",
    )
    export.add_argument(
        "--task",
        action="append",
        default=[],
        metavar="[SOURCE=]CARD",
        help="the card of a data source that is not a shipped task; may be repeated",
    )
    export.set_defaults(run=_run_export)


def _run_check(arguments: argparse.Namespace) -> int:
    from medreward.commands.reward_options import reading_settings
    from medreward.data.check import check_parquet, recitation_reach, scorers_of
    from medreward.data.model_check import check_rows_for_model
    from medreward.errors import ConfigError
    from medreward.scoring.task_book import name_tasks

    if arguments.max_prompt is not None and not arguments.model:
        raise ConfigError("--max-prompt: it goes with --model, whose tokens are counted")
    book = name_tasks(arguments.task)
    scorer_of = scorers_of(book, reading_settings(arguments))
    for file in arguments.file:
        count = check_parquet(file, book, image_root=arguments.images, scorer_of=scorer_of)
        print(f"{file}: {count} rows are right")
        for line in recitation_reach(file, scorer_of):
            print(f"  {line}")
        if arguments.model:
            limit = arguments.max_prompt
            for line in check_rows_for_model(arguments.model, file, scorer_of, max_prompt=limit):
                print(f"  {line}")
    return 0


def _run_export(arguments: argparse.Namespace) -> int:
    from medreward.data.exports import export_rows
    from medreward.scoring.task_book import name_tasks

    written = export_rows(
        arguments.folder,
        arguments.out,
        arguments.to,
        images=arguments.images,
        book=name_tasks(arguments.task),
    )
    for name, count in written.items():
        print(f"{arguments.out / name}: {count} rows")
    return 0
