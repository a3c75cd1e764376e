"""``medreward rows``: check rows that trainers are to read, and write them in other forms."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medreward.data.model_check import ModelFiles


def add_parser(commands: Any) -> None:
    """Add the sub-command; what it needs is imported when it runs."""
    rows = commands.add_parser("rows", help="check, export or merge rows")
    actions = rows.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser("check", help="check tasks, ground truths and images of rows")
    check.add_argument(
        "file",
        type=Path,
        nargs="+",
        help="parquet file in veRL's schema, a folder of them, or a pattern in quotes",
    )
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
        help="the folder of pictures that rows name by path (default: rows hold the pictures)",
    )
    check.add_argument(
        "--completion-format",
        metavar="NAME|FILE",
        help="the completion format of the reward, if it is not the card's",
    )
    check.add_argument(
        "--model-profile",
        metavar="NAME|FILE",
        help="the model profile of the reward, such as qwen3_vl",
    )
    check.add_argument(
        "--recitation-measure",
        metavar="NAME",
        help="the measure of the reward, if it is not the card's: bleu, precision or containment",
    )
    check.add_argument(
        "--model",
        metavar="FOLDER|NAME",
        help="compare the rows with a model's configuration, chat template and image processor; "
        "its weights are not read",
    )
    check.add_argument(
        "--template-option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="with --model: what the trainer hands the chat template, such as enable_thinking=true",
    )
    check.add_argument(
        "--max-prompt",
        type=int,
        metavar="TOKENS",
        help="with --model: the most tokens that the trainer takes for a prompt",
    )
    check.set_defaults(run=_run_check)
    export = actions.add_parser("export", help="write rows for ms-swift, EasyR1 or as LLaVA's JSON")
    export.add_argument(
        "folder",
        type=Path,
        nargs="+",
        help="what `medreward prepare` wrote; rows of several folders become one set, each "
        "with its folder's name before its id and its pictures' names",
    )
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
    _add_merge(actions)


def _add_merge(actions: Any) -> None:
    merge = actions.add_parser(
        "merge",
        help="join the parts of a run of `medreward prepare --part`",
        description="Joins the parts of a run into the same files as one run writes, after the "
        "checks over all parts: pictures in two splits, splits that are left empty, parts that are "
        "missing or saw other labels, splits, patients or options. The parts stay.",
    )
    merge.add_argument(
        "folders", type=Path, nargs="+", metavar="FOLDER", help="parts, or folders that hold them"
    )
    merge.add_argument("--out", type=Path, help="folder to write to (default: the one FOLDER)")
    merge.add_argument(
        "--shard-rows",
        type=int,
        metavar="N",
        help="several files for each split, of at most N rows (default: as for the parts)",
    )
    merge.set_defaults(run=_run_merge)


def _run_check(arguments: argparse.Namespace) -> int:
    from medreward.commands.reward_options import check_together, reading_settings
    from medreward.data.check import check_parquet, constant_targets, recitation_reach, scorers_of
    from medreward.data.model_check import ModelFiles, check_rows_for_model
    from medreward.errors import ConfigError
    from medreward.scoring.task_book import name_tasks

    if arguments.max_prompt is not None and not arguments.model:
        raise ConfigError("--max-prompt: it goes with --model, whose tokens are counted")
    if arguments.template_option and not arguments.model:
        raise ConfigError("--template-option: it goes with --model, whose chat template takes it")
    book = name_tasks(arguments.task)
    settings = reading_settings(arguments)
    check_together(settings)
    options = _template_options(arguments.template_option)
    model = ModelFiles(arguments.model, options) if arguments.model else None  # before the rows
    scorer_of = scorers_of(book, settings)
    for file in arguments.file:
        try:
            count = check_parquet(file, book, image_root=arguments.images, scorer_of=scorer_of)
        except ConfigError as error:
            mend = _profile_for(model) if model and not settings else ""
            raise ConfigError(f"{error}{mend}") from error
        print(f"{file}: {count} rows are right")
        for line in (*constant_targets(file), *recitation_reach(file, scorer_of)):
            print(f"  {line}")
        if model:
            limit = arguments.max_prompt
            for line in check_rows_for_model(model, file, scorer_of, max_prompt=limit):
                print(f"  {line}")
    return 0


def _template_options(given: list[str]) -> dict[str, Any]:
    """Return the values of ``--template-option``, read as YAML."""
    from medreward.errors import ConfigError, quote
    from medreward.files.reading import parse_yaml

    found = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not name or not equals:
            raise ConfigError(f"--template-option: {quote(one)} is not NAME=VALUE")
        found[name] = parse_yaml(value)
    return found


def _profile_for(model: ModelFiles) -> str:
    """Return what to add to an error of rows where the model has profiles and none was named."""
    names = " or ".join(one.name for one in model.profiles)
    if not names:
        return ""
    return (
        f"\nno --model-profile was given, so that the cards' own format and frame were taken; the "
        f"profile of {model.name} is {names}: where the rows were prepared for it, give it here too"
    )


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


def _run_merge(arguments: argparse.Namespace) -> int:
    from medreward.checks import whole
    from medreward.errors import ConfigError
    from medreward.prepare.merge import merge_parts

    out = arguments.out or (arguments.folders[0] if len(arguments.folders) == 1 else None)
    if out is None:
        raise ConfigError("--out: the folder to write to is missing; several folders are given")
    if arguments.shard_rows is not None:
        whole("--shard-rows", arguments.shard_rows, 1)
    summary = merge_parts(arguments.folders, out, shard_rows=arguments.shard_rows)
    print(summary.text())
    print("\n".join(f"wrote {path}" for path in summary.files))
    return 0
