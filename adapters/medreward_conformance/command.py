"""``medreward conformance``: check whether a trainer hands a reward what its model wrote."""

from __future__ import annotations

import argparse
import json
from typing import Any


def add_parser(commands: Any) -> None:
    """Add the sub-command; what it needs is imported when it runs."""
    parser = commands.add_parser(
        "conformance",
        help="check whether a trainer hands a reward what its model wrote",
        description="Runs the trainer's own path to a reward on the CPU, with a probe in the "
        "reward's place. Exit status 0 if nothing differs, 1 if something does, 2 if the trainer "
        "is not here.",
    )
    parser.add_argument(
        "trainer", metavar="TRAINER", help="trl, verl, easyr1, ms-swift or verifiers"
    )
    parser.add_argument(
        "--ranks",
        type=int,
        default=2,
        choices=(1, 2, 4),
        help="processes of one run to compare with one process, for trl, verl and "
        "ms-swift; 1: none (default: 2)",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from medreward_conformance.protocol import as_lines, check
    from medreward_conformance.table import observe
    from medreward_conformance.verdicts import DIFFERS

    seen = observe(arguments.trainer, arguments.ranks)
    findings = check(seen)
    if arguments.json:
        rows = [finding._asdict() for finding in findings]
        print(json.dumps({"trainer": seen.trainer, "checks": rows}, ensure_ascii=False))
    else:
        print("\n".join(as_lines(seen)))
    return int(any(finding.verdict == DIFFERS for finding in findings))
