"""``medreward check``: compare a reward with labelled cases."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medreward.commands.complain import complain
from medreward.commands.reward_options import add_time_limit
from medreward.errors import expected

if TYPE_CHECKING:
    from medreward.audit.cases.case import Case, CaseFile
    from medreward.audit.cases.judge import Outcome

# The shipped files with a case that holds a mask.
_MASKS = ("masks.cases.yaml", "pointing.cases.yaml")


def add_parser(commands: Any) -> None:
    """Add the sub-command; what it needs is imported when it runs."""
    check = commands.add_parser(
        "check",
        help="compare a reward with labelled cases",
        description="Exit status 0 if every case is as expected, 1 if one is not, 2 for a file or "
        "an option that is wrong.",
    )
    check.add_argument(
        "files",
        type=Path,
        nargs="*",
        metavar="FILE",
        help="case files, or folders of them (default: the library that comes with medreward)",
    )
    add_reward(check)
    add_time_limit(check)
    check.add_argument(
        "--task",
        action="append",
        metavar="NAME",
        help="only cases of this task; may be repeated",
    )
    check.add_argument(
        "--numbers",
        action="store_true",
        help="judge totals and parts too, where the files are about another reward",
    )
    check.add_argument("--json", action="store_true", help="print every outcome as JSON")
    check.add_argument("-v", "--verbose", action="store_true", help="show every case")
    check.set_defaults(run=_run)


def add_reward(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a reward."""
    from medreward.audit.user_rewards import OWN, SIGNATURES

    parser.add_argument(
        "--reward",
        metavar="PATH",
        help=f"the reward: {OWN}, package.module:function or file.py:function "
        f"(default: {OWN}, medreward's own)",
    )
    parser.add_argument(
        "--signature", choices=SIGNATURES, help="how to call it (default: told by its parameters)"
    )


def _run(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    from medreward.audit.cases.files import case_files, load_cases
    from medreward.audit.cases.judge import Judge

    paths = case_files(arguments.files) if arguments.files else _library()
    chosen = _chosen([load_cases(path) for path in paths], arguments.task)
    options = arguments.reward, arguments.signature, arguments.time_limit
    cases = [
        (file, judge, case)
        for file, own in chosen
        for judge in [Judge(file, *options, numbers=arguments.numbers)]
        for case in own
    ]
    show_outcome = tqdm(cases, unit="case", disable=None, leave=False)
    outcomes = [(file.path, judge.judge(case)) for file, judge, case in show_outcome]
    if arguments.json:
        _print_json(outcomes)
    else:
        _print_text(outcomes, verbose=arguments.verbose)
    return 0 if all(outcome.passed for _, outcome in outcomes) else 1


def _chosen(
    files: Sequence[CaseFile], tasks: Sequence[str] | None
) -> list[tuple[CaseFile, Sequence[Case]]]:
    """Return files with their cases, only those of some tasks where these are named."""
    if tasks is None:
        return [(file, file.cases) for file in files]
    known = sorted({case.task.name for file in files for case in file.cases})
    for name in tasks:
        if name not in known:
            raise expected("--task", name, known)
    found = [(file, [case for case in file.cases if case.task.name in tasks]) for file in files]
    return [(file, own) for file, own in found if own]


def _library() -> list[Path]:
    """Return the shipped files; those with masks are left out where pycocotools is missing."""
    from medreward.audit.cases.files import shipped_cases

    paths = shipped_cases()
    if find_spec("pycocotools") is None:
        complain(
            f"{' and '.join(_MASKS)} are left out: masks need pycocotools (pip install "
            f"'medreward[masks]')"
        )
        paths = [path for path in paths if path.name not in _MASKS]
    return paths


def _print_json(outcomes: list[tuple[str, Outcome]]) -> None:
    from medreward.audit.cases.show import as_dict

    rows = [{"file": file, **as_dict(outcome)} for file, outcome in outcomes]
    print(json.dumps({"counts": _counts([o for _, o in outcomes]), "cases": rows}, default=str))


def _print_text(outcomes: list[tuple[str, Outcome]], *, verbose: bool) -> None:
    from medreward.audit.cases.show import show_outcome, why_unjudged

    for _, outcome in outcomes:
        if verbose or not outcome.passed:
            print(f"{outcome.status.upper()} {show_outcome(outcome)}\n")
    for file in dict.fromkeys(file for file, _ in outcomes):
        print(f"{file}: {_summary([o for f, o in outcomes if f == file])}")
    count = f"{len(outcomes)} case{'s' * (len(outcomes) != 1)}"
    print(f"{count}: {_summary([o for _, o in outcomes])}")
    for line in why_unjudged(name for _, outcome in outcomes for name in outcome.unjudged):
        print(f"not judged: {line}")


def _summary(outcomes: list[Outcome]) -> str:
    counts = _counts(outcomes)
    unjudged = sum(bool(o.unjudged) and o.status != "skipped" for o in outcomes)
    partly = f" ({unjudged} of them in part only)" if unjudged else ""
    return ", ".join(f"{n} {status}" for status, n in counts.items() if n) + partly


def _counts(outcomes: list[Outcome]) -> dict[str, int]:
    from medreward.audit.cases.judge import STATUSES

    found = Counter(outcome.status for outcome in outcomes)
    return {status: found[status] for status in STATUSES}
