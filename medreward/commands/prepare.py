"""``medreward prepare``."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medreward.commands.grounding_options import add_options, asking_of
from medreward.errors import ConfigError, quote
from medreward.task.review import REVIEWED
from medreward.task.task import KNOWLEDGE_LEVELS, Task

if TYPE_CHECKING:
    from medreward.prepare.options import Options
    from medreward.task.profile import ModelProfile


# Of a command line, what leaves no trace in the rows.
_NOT_SHOWN = ("run", "out", "workers", "dry_run", "part", "cache")


def add_parser(commands: Any) -> None:
    """Add the sub-command; what it needs is imported when it runs."""
    prepare = commands.add_parser(
        "prepare",
        help="turn images and labels into parquet rows for TRL and veRL",
        description="From a source of images to OUT/{train,val,test}.parquet, dataset_card.md and\n"
        "contact_sheet.png, in one command. No row is written unless all goes well.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    prepare.populate = _add_arguments


def _add_arguments(prepare: argparse.ArgumentParser) -> None:
    try:
        from medreward.data.sources.registry import add_source_options, sources_help
    except ModuleNotFoundError as error:
        raise missing_package(error) from error
    prepare.epilog = sources_help("medreward prepare")
    prepare.add_argument("--task", required=True, help="a shipped task's name or a YAML card")
    prepare.add_argument("--out", type=Path, help="folder to write to")
    prepare.add_argument(
        "--dry-run",
        action="store_true",
        help="print what would be written and write nothing; no image is decoded",
    )
    add_source_options(prepare)
    _add_rows(prepare)
    _add_transforms(prepare)
    _add_prompts(prepare)
    _add_reading(prepare)
    add_options(prepare)
    prepare.set_defaults(run=partial(_run, prepare))


def missing_package(error: ModuleNotFoundError, command: str = "prepare") -> ConfigError:
    """Return the error on a package that a command needs."""
    return ConfigError(f"{command} needs {error.name}: pip install 'medreward[data]' brings it")


def _add_rows(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("rows")
    group.add_argument(
        "--size", type=int, help="longest side of images in pixels (default: unchanged)"
    )
    group.add_argument(
        "--split",
        metavar="SHARES",
        help="for a source without splits (default: train=0.8,val=0.1,test=0.1); by patient",
    )
    group.add_argument(
        "--stratify",
        action="store_true",
        help="the same with labels spread evenly over the splits, patients kept together",
    )
    group.add_argument("--limit", type=int, help="at most so many images of each split")
    group.add_argument(
        "--seed", type=int, default=0, help="of splits, --limit and the order of labels"
    )
    group.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="a label in the source and its name in the card; OLD= leaves it out",
    )
    group.add_argument(
        "--map-file", metavar="FILE", help="such mappings in a file: YAML, JSON or CSV"
    )
    group.add_argument(
        "--box-label",
        action="append",
        default=[],
        metavar="NAME",
        help="for boxes and masks: names that count (default: all); may be repeated",
    )
    group.add_argument(
        "--seen",
        nargs=3,
        type=int,
        metavar=("FACTOR", "MIN", "MAX"),
        help="for boxes in frame resized: patch x merge size and pixel limits of a Qwen processor",
    )
    group.add_argument(
        "--unannotated",
        default="left-out",
        choices=("left-out", "negative"),
        help="images without any annotation: left out (default), or negative, if they show nothing "
        "of what is looked for",
    )
    group.add_argument(
        "--drop-duplicates",
        action="store_true",
        help="of a picture in two splits keep the one in test, else in val (default: an error)",
    )
    group.add_argument(
        "--on-error",
        default="stop",
        choices=("stop", "skip"),
        help="at images that cannot be used: stop after naming all of them (default), or skip them",
    )
    group.add_argument(
        "--workers", type=int, help="number of processes (default: one for each core)"
    )
    group.add_argument(
        "--no-cache",
        dest="cache",
        action="store_false",
        help="do not keep rendered images in OUT after an error, for the next run",
    )
    group.add_argument(
        "--shard-rows",
        type=int,
        metavar="N",
        help="several files for each split, of at most N rows: train-00000-of-00012.parquet",
    )
    group.add_argument(
        "--part",
        metavar="I/N",
        help="only the I-th of N parts, into a folder in OUT; `medreward rows merge` joins them",
    )


def _add_transforms(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("transforms (image, boxes and words together)")
    group.add_argument(
        "--transforms",
        metavar="TEXT|FILE",
        help="such as 'Rotate(degrees=-10..10) | Gamma(gamma=0.8..1.25)', or a YAML list",
    )
    group.add_argument(
        "--copies",
        type=int,
        default=0,
        metavar="N",
        help="keep each row and add N transformed copies (default: transform the row itself)",
    )
    group.add_argument(
        "--transform-splits",
        default="train",
        metavar="NAMES",
        help="the splits to transform, separated by commas (default: train)",
    )


def _add_prompts(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("prompts")
    group.add_argument(
        "--knowledge",
        default="full",
        choices=(*KNOWLEDGE_LEVELS, REVIEWED),
        help="how much knowledge (default: full); reviewed: only statements that a reader signed",
    )
    group.add_argument("--reviews", metavar="DIR", help="folder with reviews of the card")
    group.add_argument(
        "--shuffle-labels",
        action=argparse.BooleanOptionalAction,
        help="each row has its own order of labels (default: yes, except for grades)",
    )
    group.add_argument(
        "--budget",
        type=int,
        metavar="TOKENS",
        help="leave out statements until a prompt has at most so many tokens, without the image",
    )
    group.add_argument(
        "--tokenizer",
        metavar="NAME",
        help="counts the tokens: a Hugging Face name, a folder or a tokenizer.json",
    )
    group.add_argument("--template", metavar="FILE", help="templates in place of the shipped ones")
    group.add_argument(
        "--completion-format",
        metavar="NAME|FILE",
        help="what prompts ask for, in place of the card's; the reward needs the same setting",
    )
    group.add_argument(
        "--model-profile",
        metavar="NAME|FILE",
        help="completion format and frame of a model, such as qwen3_vl; the reward needs the same",
    )


def _add_reading(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("reading")
    group.add_argument(
        "--max-pixels",
        type=int,
        default=100_000_000,
        help="images with more pixels cannot be used (default: 100000000)",
    )
    group.add_argument(
        "--intensity",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="the values that become black and white (for more than 8 bits, DICOM, NIfTI)",
    )
    group.add_argument("--frame", default="middle", help="of a DICOM: first, middle or a number")
    group.add_argument(
        "--allow-burned-in",
        action="store_true",
        help="take DICOM whose header says BurnedInAnnotation: YES",
    )


def _run(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    try:
        from medreward.data.sources.registry import open_source
        from medreward.prepare.run import prepare
    except ModuleNotFoundError as error:
        raise missing_package(error) from error
    task = _card(arguments.task, arguments.reviews)
    profile = _profile(task, arguments) if arguments.model_profile else None
    options = replace(_options(arguments), profile=profile)
    if arguments.dry_run:
        from medreward.prepare.run import plan_rows

        print(plan_rows(open_source(arguments, task), task, options))
        return 0
    if arguments.out is None:
        raise ConfigError("--out: the folder to write to is missing")
    command = _command(parser, arguments)
    summary = prepare(open_source(arguments, task), task, arguments.out, options, command=command)
    print(summary.text())
    print("\n".join(f"wrote {path}" for path in summary.files))
    if options.part is not None:
        print(f"when all {options.part[1]} parts are there: medreward rows merge {arguments.out}")
    return 0


def _card(text: str, reviews: str | None) -> Task:
    """Return the task of ``--task``: rows get its card's name, whatever stands before the card."""
    from medreward.scoring.task_book import name_tasks
    from medreward.task.card import reviews_of

    ((source, task),) = name_tasks([text]).named.items()
    if source != task.name:
        raise ConfigError(
            f"--task: {quote(text)}: rows get the name of their card, {quote(task.name)}, not "
            f"{quote(source)}; change the name in the card, or leave {quote(source)} out"
        )
    if reviews is None:
        return task
    return task.with_reviews(reviews_of(text.partition("=")[2] or text, reviews))


def _profile(task: Task, arguments: argparse.Namespace) -> ModelProfile:
    """Return the model profile, and set `--seen` where it says that.

    Raises:
        ConfigError: if another option contradicts the profile, or `--seen` is not known.
    """
    from medreward.task.profile import load_profile

    profile = load_profile(arguments.model_profile)
    if arguments.completion_format and profile.completion_format:
        raise ConfigError(
            f"--completion-format: --model-profile {profile.name} asks for one; "
            f"leave out one of the two"
        )
    if arguments.seen and profile.factor not in (None, arguments.seen[0]):
        raise ConfigError(
            f"--seen: FACTOR {arguments.seen[0]} does not fit --model-profile {profile.name}, "
            f"whose factor is {profile.factor}"
        )
    if task.has_places and profile.frame == "resized" and not arguments.seen:
        arguments.seen = [profile.factor, profile.min_pixels, profile.max_pixels]
        if None in arguments.seen:
            raise ConfigError(
                f"--seen: --model-profile {profile.name} gives boxes in pixels of the image after "
                f"the processor's resize; add --seen {profile.factor or 'FACTOR'} MIN MAX, with "
                f"min_pixels and max_pixels of the model's preprocessor_config.json"
            )
    return profile


def _options(arguments: argparse.Namespace) -> Options:
    from medreward.data.sources.record import ReadingOptions
    from medreward.data.splits import parse_fractions
    from medreward.perception import load
    from medreward.prepare.labels import parse_mapping
    from medreward.prepare.options import Options

    frame = arguments.frame
    return Options(
        size=arguments.size,
        knowledge=arguments.knowledge,
        shuffle_labels=arguments.shuffle_labels,
        budget=arguments.budget,
        tokenizer=arguments.tokenizer,
        template=arguments.template,
        fractions=parse_fractions(arguments.split) if arguments.split else None,
        limit=arguments.limit,
        seed=arguments.seed,
        mapping=parse_mapping(arguments.map, arguments.map_file),
        box_labels=arguments.box_label,
        on_error=arguments.on_error,
        drop_duplicates=arguments.drop_duplicates,
        unannotated=arguments.unannotated,
        seen=tuple(arguments.seen) if arguments.seen else None,
        reading=ReadingOptions(
            max_pixels=arguments.max_pixels,
            intensity=tuple(arguments.intensity) if arguments.intensity else None,
            frame=int(frame) if frame.isdecimal() else frame,
            allow_burned_in=arguments.allow_burned_in,
        ),
        workers=arguments.workers,
        transforms=load(arguments.transforms) if arguments.transforms else None,
        copies=arguments.copies,
        transform_splits=arguments.transform_splits.split(","),
        asking=asking_of(arguments),
        completion_format=arguments.completion_format,
        shard_rows=arguments.shard_rows,
        part=_part(arguments.part) if arguments.part else None,
        cache=arguments.cache,
        stratify=arguments.stratify,
    )


def _part(text: str) -> tuple[int, int]:
    number, slash, count = text.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal()):
        raise ConfigError(f"--part: {quote(text)} is not I/N, such as 1/4 for the first of four")
    return int(number), int(count)


def _command(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> str:
    """Return the command line without --workers and what is as by default.

    Its --out is the same for all folders, since what is in them does not depend on their names.
    """
    from medreward.files.markdown import pathless

    words = ["medreward", "prepare"]
    several = {action.dest for action in parser._actions if action.nargs not in (None, 0)}
    for name, value in vars(arguments).items():
        if name in _NOT_SHOWN or value == parser.get_default(name):
            continue
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(option if value else f"--no-{option[2:]}")
        elif name in several:
            words += [option, *(pathless(str(item)) for item in value)]
        else:
            for item in value if isinstance(value, list) else [value]:
                words += option_words(option, pathless(str(item)))
    return shlex.join([*words, "--out", "rows"])


def option_words(option: str, value: str) -> list[str]:
    """Return an option and its value as words of a command line.

    >>> option_words("--flag-value", "-1=0"), option_words("--csv", "a.csv")
    (['--flag-value=-1=0'], ['--csv', 'a.csv'])
    """
    return [f"{option}={value}"] if value.startswith("-") else [option, value]
