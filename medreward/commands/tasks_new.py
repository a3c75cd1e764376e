"""``medreward tasks new``: draft a card from the labels in data."""

from __future__ import annotations

import argparse
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medreward.commands.prepare import option_words
from medreward.errors import ConfigError

if TYPE_CHECKING:
    from medreward.data.sources.patient_names import NamesInPaths
    from medreward.data.sources.record import Source


def add_new(actions: Any) -> None:
    """Add the action; what it needs is imported when it runs."""
    new = actions.add_parser(
        "new",
        help="draft a card from the labels in data",
        description="Drafts a card from the labels in data: a folder of classes, a CSV file, COCO, "
        "YOLO, Pascal VOC, CVAT, LabelMe, Label Studio, npz or a saved Hugging Face set. Kind "
        "and columns are guessed from what is there, and the guesses are printed. Synonyms and the "
        "question are for you to write. To name the source yourself, give its options in place "
        "of --from.",
        epilog="medreward tasks new --from Dataset_BUSI --out busi_card.yaml",
    )
    new.populate = _add_arguments


def _add_arguments(new: argparse.ArgumentParser) -> None:
    from medreward.commands.prepare import missing_package

    try:
        from medreward.data.sources.registry import add_source_options
    except ModuleNotFoundError as error:
        raise missing_package(error, "tasks new") from error
    new.add_argument(
        "--from", dest="source", type=Path, metavar="PATH", help="folder, table or annotation file"
    )
    new.add_argument("--out", type=Path, required=True, help="the card to write, a .yaml file")
    new.add_argument("--name", help="the task's name (default: from the data's)")
    new.add_argument("--kind", help="the task's kind (default: guessed and printed)")
    add_source_options(new)
    new.set_defaults(run=partial(_run, new))


def _run(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    from medreward.data.sources.detect import detect_source
    from medreward.data.sources.registry import open_source
    from medreward.files.atomic import write_text_atomic
    from medreward.prepare.draft_card import draft_card

    out = arguments.out
    if out.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"--out: {out} is no .yaml file")
    if out.exists():
        raise ConfigError(f"--out: {out} is there already; a card is not overwritten")
    given = source_words(parser, arguments)
    said: list[str] = []
    if arguments.source is not None:
        detected = detect_source(arguments.source, arguments.images, given)
        given = _joined(detected.options, given)
        said = [*detected.why]
    opened = parser.parse_args([*given, "--out", str(out)])
    source = open_source(opened)
    draft = draft_card(source, name=arguments.name, kind=arguments.kind)
    write_text_atomic(out, draft.text)
    names = _names(source)
    if names is not None:
        given = [*given, *option_words("--patient-pattern", names.pattern)]
        said.append(
            f"patients: no patient is given, and {names.where} look as if several images shared "
            f"one ({len(set(names.names))} such names in {len(names.names)} files); the commands "
            f"below keep each in one split by --patient-pattern: look whether it is the patient"
        )
    options = shlex.join(given)
    print("\n".join([*said, *draft.said, f"wrote {out}: look at every line, then"]))
    print(f"  medreward tasks show {out} --level full")
    print(f"  medreward prepare --task {out} {options} --dry-run")
    print(f"  medreward prepare --task {out} {options} --out rows")
    return 0


def _names(source: Source) -> NamesInPaths | None:
    """Return what looks like patients in paths, where the source does not say who they are."""
    from medreward.data.sources.patient_names import names_in_paths

    known = any(record.group is not None for record in source.records)
    return None if known else names_in_paths(source.records)


def source_words(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> list[str]:
    """Return the options of the source that were given, as words of a command line."""
    from medreward.data.sources.registry import PATIENT_PATTERN, SOURCES

    words: list[str] = []
    options = dict.fromkeys(one for source in SOURCES for one in (*source.flags, *source.options))
    for one in (*options, PATIENT_PATTERN):
        value = getattr(arguments, one.attribute)
        if value == parser.get_default(one.attribute) or value is None:
            continue
        if isinstance(value, bool):
            words.append(one.name)
        elif one.settings.get("action") == "append":
            words += [word for item in value for word in option_words(one.name, str(item))]
        elif isinstance(value, list):
            words += [one.name, *map(str, value)]
        else:
            words += option_words(one.name, str(value))
    return words


def _joined(detected: list[str], given: list[str]) -> list[str]:
    """Return the options that were seen in the data, and those that were given, which win."""
    named = {word for word in given if word.startswith("--")}
    kept: list[str] = []
    for i, word in enumerate(detected):
        name = word if word.startswith("--") else detected[i - 1]
        if name not in named:
            kept.append(word)
    return [*kept, *given]
