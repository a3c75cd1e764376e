"""The command line: parse arguments, call the library, print."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, redirect_stdout
from importlib.metadata import entry_points
from typing import Any

from tqdm import tqdm

from medreward.commands.complain import complain
from medreward.commands.parser import LateParser
from medreward.commands.reward_options import (
    add_reading_options,
    add_reward_options,
    reading_settings,
    reward_options,
)
from medreward.errors import ConfigError, quote
from medreward.files.atomic import replacing
from medreward.files.reading import parse_json, read_lines
from medreward.kinds.truth import target_of
from medreward.language.mends import describe_unread
from medreward.scoring.mends import copy_hint, tried_mend
from medreward.scoring.scorer import Scorer, scorer
from medreward.scoring.task_book import load_named
from medreward.text.reasons import REASONS
from medreward.text.shown import EscapingStream, signed
from medreward.version import __version__

_COMPLETION, _TARGET, _KNOWLEDGE = "completion", "target", "knowledge"


def main(argv: Sequence[str] | None = None) -> int:
    """Run `medreward` and return its exit status: 0, or 2 for wrong input."""
    with redirect_stdout(EscapingStream(sys.stdout)):
        try:
            arguments = _parser().parse_args(argv)
            return int(arguments.run(arguments))
        except BrokenPipeError:
            sys.stderr.close()
            return 1
        except (ConfigError, OSError) as error:
            complain(str(error))
            return 2


def _parser() -> argparse.ArgumentParser:
    parser = LateParser(
        prog="medreward",
        description="Rewards for visual reinforcement fine-tuning of medical models.",
    )
    parser.add_argument("--version", action="version", version=f"medreward {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=LateParser)
    _add_score(commands)
    _add_explain(commands)
    for entry in sorted(entry_points(group="medreward.commands"), key=lambda e: e.name):
        entry.load()(commands)
    return parser


def _add_score(commands: Any) -> None:
    score = commands.add_parser(
        "score",
        help="score the completions of a JSON lines file",
        description="Each row has 'completion', 'target' and, optionally, 'knowledge'; the same "
        "rows come out with 'total', 'parts', 'reasons', 'signature' (the settings in force), "
        "'correct', 'prediction' and 'unread' (the first thing that was not understood).",
    )
    score.add_argument("file", help="JSON lines; - for standard input")
    score.add_argument("--out", default="-", help="where to write (default: standard output)")
    _add_settings(score)
    score.set_defaults(run=_run_score)


def _add_explain(commands: Any) -> None:
    explain = commands.add_parser("explain", help="score one completion and say why")
    explain.add_argument("completion", help="the completion's text; - for standard input")
    explain.add_argument("--target", required=True, help="label, grade; labels or boxes as JSON")
    explain.add_argument("--knowledge", help="text in the prompt (default: the card's)")
    explain.add_argument("--json", action="store_true", help="print the score as JSON")
    _add_settings(explain)
    explain.set_defaults(run=_run_explain)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", required=True, help="a shipped task's name or a YAML card")
    add_reading_options(parser)
    add_reward_options(parser)


def _scorer(arguments: argparse.Namespace) -> Scorer:
    settings = reward_options(arguments) | reading_settings(arguments)
    return scorer(load_named(arguments.task), settings)


def _run_score(arguments: argparse.Namespace) -> int:
    bound = _scorer(arguments)
    with ExitStack() as files:
        lines_in = _stdin_lines() if arguments.file == "-" else read_lines(arguments.file)
        scored = tqdm(_scored(lines_in, arguments.file, bound), unit="row", disable=None)
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in scored)
        if arguments.out == "-":
            sys.stdout.writelines(lines)
        else:
            out = files.enter_context(replacing(arguments.out))
            with out.open("w", encoding="utf-8", errors="backslashreplace") as file:
                file.writelines(lines)
    return 0


def _stdin_lines(*, blank: bool = False) -> Iterator[tuple[int, str]]:
    try:
        yield from ((i, line) for i, line in enumerate(sys.stdin, start=1) if blank or line.strip())
    except UnicodeDecodeError as error:
        raise ConfigError(f"standard input: cannot be read: {error}") from error


def _scored(lines: Iterable[tuple[int, str]], name: str, bound: Scorer) -> Iterator[dict[str, Any]]:
    for number, line in lines:
        try:
            row = _row(line)
            target = target_of(bound.task, row[_TARGET])
            score = bound.score(row[_COMPLETION], target, row.get(_KNOWLEDGE))
        except (ConfigError, TypeError) as error:
            raise ConfigError(f"{name}, line {number}: {error}") from error
        yield {**row, **score.as_dict()}


def _row(line: str) -> dict[str, Any]:
    row = parse_json(line)
    if not isinstance(row, dict):
        raise ConfigError(f"{quote(str(row)[:60])} is not an object with completion and target")
    for field in (_COMPLETION, _TARGET):
        if field not in row:
            raise ConfigError(f"field {quote(field)} is missing; the row has {quote(list(row))}")
    return row


def _run_explain(arguments: argparse.Namespace) -> int:
    text = arguments.completion
    if text == "-":
        text = "".join(line for _, line in _stdin_lines(blank=True))
    bound = _scorer(arguments)
    target = target_of(bound.task, arguments.target)
    score = bound.score(text, target, arguments.knowledge)
    if arguments.json:
        print(json.dumps(score.as_dict(), ensure_ascii=False))
        return 0
    weights = bound.settings.weights
    print(f"total       {signed(score.total)}")
    for part, value in score.parts.items():
        print(f"{part:11} {signed(value)}  x {weights[part]:g}")
    print(f"read as     {score.prediction or '(nothing)'}")
    for reason in score.reasons:
        print(f"reason      {reason}: {REASONS[reason]}")
    if score.unread:
        print(f"unread      {describe_unread(score.unread, bound.task.languages)}")
    if score.unread or score.reasons[0].endswith("_unknown"):
        mend = tried_mend(bound, text, target, score.unread)
        print(f"first guess {mend}")
        if hint := copy_hint(arguments.task, mend):
            print(f"            {hint}")
    print(f"signature   {score.signature}")
    return 0
