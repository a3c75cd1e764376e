"""The sources that `medreward prepare` reads, one line each, and how one of them is chosen."""

from __future__ import annotations

import argparse
import shlex
import textwrap
from dataclasses import replace
from pathlib import Path

from medreward.data.sources.base import CSV, Option, SourceType, option
from medreward.data.sources.box_columns import find_box_columns, find_cell_of_boxes
from medreward.data.sources.coco import CocoFiles
from medreward.data.sources.cvat import CvatFile
from medreward.data.sources.dicom import DicomFolder
from medreward.data.sources.folders import ClassFolders
from medreward.data.sources.huggingface import HuggingFaceDataset
from medreward.data.sources.label_studio import LabelStudioFile
from medreward.data.sources.labelme import LabelMeFolder
from medreward.data.sources.masks import PIXELS, REGIONS, MaskFolder
from medreward.data.sources.measures import MEASURES
from medreward.data.sources.nifti import NiftiFolder
from medreward.data.sources.npz import MedMnistDownload, NpzFile
from medreward.data.sources.patients import with_patients
from medreward.data.sources.questions import QuestionFiles
from medreward.data.sources.record import Remark, Source
from medreward.data.sources.table import ImageTable, columns_of, header_of
from medreward.data.sources.voc import VocFolder
from medreward.data.sources.yolo import YoloFolder
from medreward.errors import ConfigError, quote
from medreward.kinds.base import TargetType, kind_of
from medreward.task.task import Task
from medreward.task.traits import Trait

PATIENT_PATTERN = option(
    "--patient-pattern",
    metavar="REGEX",
    help="what it finds in the path of an image is the patient, such as 'patient[0-9]+'",
)
_BOXED = (TargetType.BOXES, TargetType.PLACES)  # what columns of boxes can be the target of
# In the order of `medreward prepare --help`.
SOURCES: list[SourceType] = [
    MedMnistDownload(),
    NpzFile(),
    ImageTable(),
    QuestionFiles(),
    CocoFiles(),
    MaskFolder(),
    ClassFolders(),
    VocFolder(),
    YoloFolder(),
    CvatFile(),
    LabelMeFolder(),
    LabelStudioFile(),
    DicomFolder(),
    NiftiFolder(),
    HuggingFaceDataset(),
]


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags and options of all sources, each once, with the sources that it goes with."""
    flags = parser.add_argument_group("sources (one of them)")
    for flag in dict.fromkeys(flag for source in SOURCES for flag in source.flags):
        flags.add_argument(flag.name, **flag.settings)
    options = parser.add_argument_group("where the source has what")
    for one in _all_options():
        leads = ", ".join(
            dict.fromkeys(_title(source) for source in SOURCES if _takes(source, one))
        )
        text = f"{one.settings.get('help', '')} [{leads}]".strip()
        options.add_argument(one.name, **{**one.settings, "help": text})
    options.add_argument(PATIENT_PATTERN.name, **PATIENT_PATTERN.settings)


def sources_help(command: str) -> str:
    r"""Return a text on all sources: their flags, the options that go with them, an example.

    >>> print(sources_help("medreward prepare").partition("\n\n")[2].partition("\n")[0])
    --medmnist: A MedMNIST set by its name.
    """
    lines = ["sources, the options that go with each, and an example:"]
    for source in SOURCES:
        options = [one.name for one in source.options]
        said = (type(source).__doc__ or "").partition("\n")[0]
        lines += ["", f"{_title(source)}: {said}"]
        lines += textwrap.wrap(
            f"with {', '.join(options)}" if options else "",
            width=96,
            initial_indent="    ",
            subsequent_indent="    ",
            break_on_hyphens=False,
        )
        lines.append(f"    {command} {source.example} --out rows")
    return "\n".join(lines)


def _title(source: SourceType) -> str:
    """Return the flags that name a source: the one that it has alone, or all of them."""
    return " ".join(flag.name for flag in source.flags)


def _all_options() -> list[Option]:
    return [*dict.fromkeys(one for source in SOURCES for one in source.options)]


def _takes(source: SourceType, one: Option) -> bool:
    return one in source.options


def open_source(arguments: argparse.Namespace, task: Task | None = None) -> Source:
    """Return the one source that the arguments name.

    Args:
        arguments: the parsed command line.
        task: the card that the data are for, which may ask for masks; None: there is none yet.

    Raises:
        ConfigError: if they name none or several, a flag is missing beside another, or an option is
            given that does not go with the source.
    """
    chosen = _chosen(arguments)
    _check_options(chosen, arguments)
    if task is not None and Trait.NUMBER in task.traits:
        arguments = argparse.Namespace(**{**vars(arguments), "measures": MEASURES})
    arguments, said = _with_box_columns(_with_regions(arguments, task), chosen, task)
    source = chosen.open(arguments)
    source = replace(source, remarks=(*said, *source.remarks)) if said else source
    if arguments.patient_pattern is None:
        return source
    if arguments.patient_column is not None:
        raise ConfigError("--patient-column and --patient-pattern: one of them, not both")
    return with_patients(source, arguments.patient_pattern)


def _with_regions(arguments: argparse.Namespace, task: Task | None) -> argparse.Namespace:
    """Return the arguments with what is made of masks, where they do not say it: as the card is."""
    if arguments.mask_regions is not None:
        return arguments
    asks_for_masks = task is not None and Trait.PIXELS in task.traits
    regions = PIXELS if asks_for_masks else REGIONS[0]
    return argparse.Namespace(**{**vars(arguments), "mask_regions": regions})


def _with_box_columns(
    arguments: argparse.Namespace, chosen: SourceType, task: Task | None
) -> tuple[argparse.Namespace, list[Remark]]:
    """Return the arguments with the columns of boxes of a table that are named so, and a remark.

    Raises:
        ConfigError: if a card of boxes has a table without such columns, and with one whose cells
            may hold boxes, of which the form has to be said.
    """
    named = (arguments.box_columns, arguments.corner_columns, arguments.mask_column)
    wanted = task is not None and kind_of(task).target_type in _BOXED
    if not wanted or any(named) or CSV not in chosen.flags or not arguments.csv:
        return arguments, []
    names = header_of(arguments.csv, columns_of(arguments))
    found = find_box_columns(names)
    if found is None:
        cell = find_cell_of_boxes(names)
        if cell is None:
            return arguments, []
        raise ConfigError(
            f"{arguments.csv}: column {quote(cell)} seems to hold boxes: --box-columns {cell} says "
            f"that they are x, y, width, height, --corner-columns {cell} x1, y1, x2, y2"
        )
    attribute = "corner_columns" if found.corners else "box_columns"
    words = " ".join((found.option, *map(shlex.quote, found.names)))
    said = Remark(Path(arguments.csv).name, "its columns of boxes were found by their names", words)
    return argparse.Namespace(**{**vars(arguments), attribute: [*found.names]}), [said]


def _check_options(chosen: SourceType, arguments: argparse.Namespace) -> None:
    """Raise `ConfigError` for an option that the source would pass over in silence."""
    for one in _all_options():
        unset = False if one.settings.get("action") == "store_true" else None
        default = one.settings.get("default", unset)
        if getattr(arguments, one.attribute) != default and not _takes(chosen, one):
            leads = " or ".join(_title(source) for source in SOURCES if _takes(source, one))
            raise ConfigError(f"{one.name}: it goes with {leads}, not with {_title(chosen)}")


def _chosen(arguments: argparse.Namespace) -> SourceType:
    leads = dict.fromkeys(source.flags[0] for source in SOURCES)
    given = [lead for lead in leads if getattr(arguments, lead.attribute)]
    if len(given) != 1:
        named = ", ".join(lead.name for lead in given) or "none"
        options = ", ".join(lead.name for lead in leads)
        raise ConfigError(f"one source is needed, out of {options}; given: {named}")
    others = {flag for source in SOURCES for flag in source.flags[1:]}
    companions = {flag for flag in others if getattr(arguments, flag.attribute)}
    candidates = [source for source in SOURCES if source.flags[0] == given[0]]
    for source in candidates:
        if {*source.flags[1:]} == companions:
            return source
    wanted = [" and ".join(flag.name for flag in source.flags[1:]) for source in candidates]
    every = dict.fromkeys(flag.name for source in SOURCES for flag in source.flags[1:])
    needed = " or ".join(filter(None, wanted)) or f"none of {', '.join(every)}"
    raise ConfigError(f"{given[0].name} goes with {needed}")
