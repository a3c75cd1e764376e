"""``medreward review``: have statements of cards read, and take the verdicts in."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from medreward.errors import ConfigError


def add_parser(commands: Any) -> None:
    """Add the sub-command; what it needs is imported when it runs."""
    review = commands.add_parser(
        "review",
        help="write a sheet on which a clinician judges cards, and take in the verdicts",
        description="A clinician judges the statements of cards on a sheet, in a browser or as a "
        "table; apply takes the verdicts in. A verdict holds for a text, its label and its source: "
        "if one of these changes, the statement is unreviewed again.",
    )
    actions = review.add_subparsers(required=True, metavar="ACTION")
    _add_sheet(actions)
    _add_apply(actions)


def _add_sheet(actions: Any) -> None:
    sheet = actions.add_parser(
        "sheet",
        help="write the sheet that a reader fills in",
        description="Writes one HTML file that needs no network and no installation, or a table if "
        "the name of --out ends in .csv.",
    )
    sheet.add_argument(
        "card", nargs="*", metavar="CARD", help="shipped names or files (default: all shipped)"
    )
    sheet.add_argument(
        "--specialty",
        action="append",
        default=[],
        metavar="NAME",
        help="cards of this one only; may be repeated",
    )
    sheet.add_argument(
        "--statements", action="store_true", help="leave out questions, names and costs"
    )
    sheet.add_argument("--reviews", metavar="DIR", help="folder with the reviews that there are")
    sheet.add_argument("--out", type=Path, default=Path("review.html"), help="default: review.html")
    sheet.set_defaults(run=_run_sheet)


def _add_apply(actions: Any) -> None:
    apply = actions.add_parser(
        "apply",
        help="write a reader's verdicts beside the cards",
        description="Writes the verdicts into NAME.reviews.yaml beside your card. For shipped "
        "cards, --reviews names the folder, which is made where it is missing. All of the file is "
        "written, or nothing.",
    )
    apply.add_argument("file", type=Path, help="what the sheet exported, or the table filled in")
    apply.add_argument(
        "card", nargs="*", metavar="CARD", help="shipped names or files (default: all shipped)"
    )
    apply.add_argument("--reviews", metavar="DIR", help="write into this folder")
    apply.add_argument(
        "--skip-unknown", action="store_true", help="leave out verdicts on texts that no card has"
    )
    for name, what in (("by", "name"), ("role", "role"), ("on", "day, YYYY-MM-DD")):
        text = f"for a table with empty cells: the reader's {what}"
        apply.add_argument(f"--{name}", default="", metavar=name.upper(), help=text)
    apply.set_defaults(run=_run_apply)


def _run_sheet(arguments: argparse.Namespace) -> int:
    from medreward.files.atomic import write_text_atomic
    from medreward.priors.review_files import csv_text, list_subjects, list_words, load_cards

    tasks = load_cards(arguments.card, arguments.specialty, arguments.reviews)
    subjects = list_subjects(tasks.values())
    words = [] if arguments.statements else list_words(tasks.values())
    if not (subjects or words):
        raise ConfigError(f"{', '.join(tasks)}: there is no statement to read")
    if arguments.out.suffix.lower() == ".csv":
        # With a byte order mark, by which spreadsheets know UTF-8.
        write_text_atomic(arguments.out, f"\ufeff{csv_text([*subjects, *words])}")
    else:
        _write_page(arguments.out, subjects, words)
    count = len({one.signed.text for one in subjects})
    said = f"{count} statements" + (f" and {len(words)} questions and names" if words else "")
    print(f"{arguments.out}: {said} to read, of {', '.join(task.name for task in tasks.values())}")
    return 0


def _write_page(out: Path, subjects: Any, words: Any) -> None:
    try:
        from medreward.sheets.review import write_review_sheet
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"review sheet needs {error.name}: pip install 'medreward[report]' brings it; "
            f"--out review.csv does without"
        ) from error
    write_review_sheet(out, subjects, words)


def _run_apply(arguments: argparse.Namespace) -> int:
    from medreward.priors.review_files import apply_reviews, read_verdicts

    filling = {name: getattr(arguments, name) for name in ("by", "role", "on")}
    verdicts = read_verdicts(arguments.file, filling)
    if not verdicts:
        raise ConfigError(f"{arguments.file}: there is no verdict in it")
    written = apply_reviews(
        verdicts, arguments.card, arguments.reviews, skip_unknown=arguments.skip_unknown
    )
    for path, total, new in written:
        print(f"{path}: {new} new or changed, {total} in all")
    if not written:
        print(f"{arguments.file}: nothing new")
    return 0
