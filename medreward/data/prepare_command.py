"""``medreward prepare``: parse arguments, call the library, print."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medreward.errors import ConfigError
from medreward.task import KNOWLEDGE_LEVELS, Task

if TYPE_CHECKING:
    from medreward.data.dataset_card import Log
    from medreward.data.sources.record import Found

_SOURCES = {
    "csv": "a folder of images and a CSV file with their labels",
    "folders": "a folder for each class, [split/]class/image",
    "medmnist": "an npz file of MedMNIST",
    "dicom": "a folder of DICOM files and a CSV file with their labels",
    "voc": "a folder in Pascal VOC's layout, with boxes",
}
_MOST_PRINTED = 40
_TABLES = ("csv", "dicom")
_DESCRIBED = (
    "source image_column label_column patient_column split_column object size limit seed split "
    "frame allow_burned_in knowledge map on_error on_leak"
).split()


def add_parser(commands: Any) -> None:
    """Add the sub-command; what it needs is imported when it runs."""
    kinds = "; ".join(f"{name}: {what}" for name, what in _SOURCES.items())
    parser = commands.add_parser(
        "prepare",
        help="make training rows of a folder of images",
        description="Write SPLIT.parquet for each split, dataset_card.md and contact_sheet.png.",
    )
    parser.add_argument("source", choices=_SOURCES, metavar="SOURCE_KIND", help=kinds)
    parser.add_argument("path", type=Path, metavar="PATH", help="the folder or file")
    parser.add_argument("--task", required=True, help="a shipped task's name or a YAML card")
    parser.add_argument("--out", required=True, type=Path, help="folder to write to")
    _add_table(parser)
    _add_rows(parser)
    dicom = parser.add_argument_group("DICOM")
    dicom.add_argument(
        "--frame",
        default="first",
        help="of several frames: first (default), middle, last, or a number from 1 on",
    )
    dicom.add_argument(
        "--allow-burned-in",
        action="store_true",
        help="take files whose header says that annotation is burned into the pixels",
    )
    parser.set_defaults(run=_run)


def _add_table(parser: argparse.ArgumentParser) -> None:
    table = parser.add_argument_group("labels")
    table.add_argument("--csv", type=Path, help="the CSV file (default: the one in PATH)")
    table.add_argument("--image-column", default="image", help="files, relative to PATH")
    table.add_argument("--label-column", default="label")
    table.add_argument("--patient-column", help="keeps a patient's images in one split")
    table.add_argument("--split-column", help="the split of each image")
    table.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="read the data's label OLD as the card's label NEW; may be repeated",
    )
    table.add_argument("--map-file", type=Path, help="a YAML file of OLD: NEW")
    table.add_argument(
        "--object",
        action="append",
        default=[],
        help="keep the boxes of this kind of object only; may be repeated",
    )


def _add_rows(parser: argparse.ArgumentParser) -> None:
    rows = parser.add_argument_group("rows")
    rows.add_argument(
        "--split",
        metavar="NAME=FRACTION,…",
        help="draw splits (default: the source's; if it has none, train=0.8,val=0.1,test=0.1)",
    )
    rows.add_argument("--size", type=int, help="longer side of the images in pixels")
    rows.add_argument("--limit", type=int, help="at most so many rows a split")
    rows.add_argument("--seed", type=int, default=0, help="of splits and limit (default: 0)")
    rows.add_argument("--knowledge", choices=KNOWLEDGE_LEVELS, default="full")
    rows.add_argument(
        "--on-error",
        choices=("stop", "skip"),
        default="stop",
        help="what to do about a file that cannot be used (default: stop)",
    )
    rows.add_argument(
        "--on-leak",
        choices=("stop", "drop", "keep"),
        default="stop",
        help="what to do about identical images in two splits: stop (default), drop all but those "
        "in the last of train, val, test, or keep them",
    )
    rows.add_argument("--workers", type=int, help="processes (default: one for each core)")


def _run(arguments: argparse.Namespace) -> int:
    try:
        return _prepare(arguments)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"prepare needs {error.name}: pip install 'medreward[data]' brings it"
        ) from error


def _prepare(arguments: argparse.Namespace) -> int:
    from medreward.data import prepare
    from medreward.data.labels import read_map
    from medreward.data.splits import read_fractions

    task = Task.load(arguments.task)
    settings = prepare.Settings(
        knowledge=arguments.knowledge,
        size=arguments.size,
        limit=arguments.limit,
        seed=arguments.seed,
        fractions=read_fractions(arguments.split) if arguments.split else None,
        renamed=read_map(arguments.map, arguments.map_file),
        on_error=arguments.on_error,
        on_leak=arguments.on_leak,
        workers=arguments.workers,
    )
    log = prepare.prepare(_found(arguments), task, arguments.out, settings, _described(arguments))
    _print(log, arguments.out)
    return 0


def _found(arguments: argparse.Namespace) -> Found:
    from medreward.data.sources import class_folders, csv_file, medmnist_npz, voc

    path = arguments.path
    if arguments.source == "folders":
        return class_folders.records(path)
    if arguments.source == "medmnist":
        return medmnist_npz.records(path)
    if arguments.source == "voc":
        return voc.records(path, arguments.object)
    columns = csv_file.Columns(
        arguments.image_column,
        arguments.label_column,
        arguments.patient_column,
        arguments.split_column,
    )
    if arguments.source == "dicom":
        from medreward.data.sources import dicom

        frame, burned_in = arguments.frame, arguments.allow_burned_in
        return dicom.records(path, arguments.csv, columns, frame=frame, burned_in=burned_in)
    return csv_file.records(path, arguments.csv, columns)


def _described(arguments: argparse.Namespace) -> dict[str, object]:
    """Return the options that shape the rows, without paths, as they were given."""
    unused = set() if arguments.source in _TABLES else {"image_column", "label_column"}
    unused |= set() if arguments.source == "dicom" else {"frame", "allow_burned_in"}
    given = {name: getattr(arguments, name) for name in _DESCRIBED if name not in unused}
    return {
        name.replace("_", "-"): ", ".join(value) if isinstance(value, list) else value
        for name, value in given.items()
        if not (value is None or value is False or value == [])
    }


def _print(log: Log, out: Path) -> None:
    from medreward.data.sources.record import shown

    lines = log.lines()
    for line in lines[:_MOST_PRINTED]:
        print(line)
    if len(lines) > _MOST_PRINTED:
        print(f"… and {len(lines) - _MOST_PRINTED} more lines, all in dataset_card.md")
    for split, counts in log.truths.items():
        answers = ", ".join(f"{answer}: {count}" for answer, count in sorted(counts.items()))
        print(f"{split:10} {counts.total():6} rows   {answers}")
    print(f"written to {shown(out)}")
