"""How well labelled answers are read: what is paid for nothing, misread, missed, and why.

    python -m benchmarks.reading benchmarks/reading/answers [--all] [--json]
    python -m benchmarks.reading --vqa-rad ../shared/data/vqa-rad

Files of labelled answers are JSON lines (`benchmarks.reading.labelled`); of a folder all `*.jsonl`
are read. Prints, for the whole, each form and each task: honest answers that are read and right,
read and wrong, and not read; and of the answers that nobody may be paid for (null) those that are
paid. Each share has Wilson's 95 % interval. Then the answers themselves, with the reason codes and
what was not understood. `--vqa-rad` measures coverage on that data set
(`benchmarks.reading.vqa_rad` says exactly what).

The shipped set was written for this project, and labelled before the reader that it measures: it
shows forms that models write, not how often they write them.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.reading import vqa_rad
from benchmarks.reading.judge import judge
from benchmarks.reading.labelled import read_answers
from benchmarks.reading.report import all_errors, as_json, as_text, shares_of, table
from medreward import ConfigError

SHOWN = 20  # answers of each kind of error, unless all are asked for


def main(arguments: list[str] | None = None) -> None:
    """Print the report of files of labelled answers, or of VQA-RAD."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reading",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="*", type=Path, metavar="FOLDER|FILE")
    parser.add_argument("--vqa-rad", type=Path, metavar="FOLDER", help="the data set's folder")
    parser.add_argument("--all", action="store_true", help="print every answer that went wrong")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    given = parser.parse_args(arguments)
    if not given.paths and not given.vqa_rad:
        parser.error("give files or folders of labelled answers, or --vqa-rad FOLDER")
    try:
        answers = judge(read_answers(given.paths)) if given.paths else []
        measured, left_out = vqa_rad.labelled(given.vqa_rad) if given.vqa_rad else ({}, {})
    except ConfigError as error:
        sys.exit(f"error: {error}")
    coverage = {
        measure: {form: judge(rows) for form, rows in forms.items()}
        for measure, forms in measured.items()
    }
    if given.json:
        report = {
            "answers": as_json(answers),
            "vqa_rad": {measure: shares_of(forms) for measure, forms in coverage.items()},
            "left_out": left_out,
        }
        print(json.dumps(report, ensure_ascii=False, indent=1))
        return
    shown = 0 if given.all else SHOWN
    if answers:
        print(as_text(answers, shown))
    for measure, forms in coverage.items():
        print(f"\n{table(f'VQA-RAD, {measure}', forms)}")
        print(all_errors([reading for rows in forms.values() for reading in rows], shown))
    for why, count in sorted(left_out.items()):
        print(f"left out: {count} {why}")
