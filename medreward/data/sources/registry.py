"""The sources that `medreward prepare` reads, one line each, and how one of them is chosen."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from medreward.data.sources.base import Option, SourceType, option
from medreward.data.sources.coco import CocoFiles
from medreward.data.sources.cvat import CvatFile
from medreward.data.sources.dicom import DicomFolder
from medreward.data.sources.folders import ClassFolders
from medreward.data.sources.huggingface import HuggingFaceDataset
from medreward.data.sources.label_studio import LabelStudioFile
from medreward.data.sources.labelme import LabelMeFolder
from medreward.data.sources.masks import MaskFolder
from medreward.data.sources.nifti import NiftiFolder
from medreward.data.sources.npz import MedMnistDownload, NpzFile
from medreward.data.sources.patients import with_patients
from medreward.data.sources.questions import QuestionFiles
from medreward.data.sources.record import Source
from medreward.data.sources.table import ImageTable
from medreward.data.sources.voc import VocFolder
from medreward.data.sources.yolo import YoloFolder
from medreward.errors import ConfigError

PATIENT_PATTERN = option(
    "--patient-pattern",
    metavar="REGEX",
    help="what it finds in an image's path is the patient, such as 'patient[0-9]+'",
)
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
    """Add the flags and options of all sources, each once."""
    flags = parser.add_argument_group("sources (one of them)")
    _add(flags, (flag for source in SOURCES for flag in source.flags))
    options = parser.add_argument_group("where the source has what")
    _add(options, (one for source in SOURCES for one in source.options))
    _add(options, [PATIENT_PATTERN])


def open_source(arguments: argparse.Namespace) -> Source:
    """Return the one source that the arguments name.

    Raises:
        ConfigError: if they name none or several, or a flag is missing beside another.
    """
    source = _chosen(arguments).open(arguments)
    if arguments.patient_pattern is None:
        return source
    if arguments.patient_column is not None:
        raise ConfigError("--patient-column and --patient-pattern: one of them, not both")
    return with_patients(source, arguments.patient_pattern)


def _add(group: argparse._ArgumentGroup, options: Iterable[Option]) -> None:
    for one in dict.fromkeys(options):
        group.add_argument(one.name, **one.settings)


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
