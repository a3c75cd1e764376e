"""``medreward audit``: attack a reward with every exploit family, before a policy does."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from medreward.commands.reward_options import (
    add_reading_options,
    add_reward_options,
    add_time_limit,
    reading_settings,
    reward_options,
)
from medreward.errors import ConfigError, expected, quote
from medreward.files.reading import parse_json, read_lines
from medreward.text.shown import escape_controls

_MOST_ROWS = 100_000

_SUFFIXES = (".html", ".md", ".json")


def add_parser(commands: Any) -> None:
    """Add the sub-command; what it needs is imported when it runs."""
    parser = commands.add_parser(
        "audit",
        help="try more than a hundred ways to cheat a reward",
        description="Exit status: 0 where every exploit family passes, 1 where one fails, 2 for "
        "wrong input.",
    )
    parser.add_argument(
        "reward",
        nargs="?",
        default="shaped",
        help="shaped (default), package.module:function or file.py:function",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--task", action="append", help="a shipped task's name or a YAML card")
    which.add_argument("--all", action="store_true", help="every shipped task")
    which.add_argument("--list", action="store_true", help="list the exploit families")
    parser.add_argument(
        "--signature", help="how the reward is called (default: told by its parameters)"
    )
    add_time_limit(parser)
    parser.add_argument(
        "--targets",
        type=Path,
        help="JSON lines with 'target', or a parquet file of rows, instead of the task's labels",
    )
    parser.add_argument("--family", action="append", help="only this family; may be repeated")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--out", type=Path, help="report to write: .html, .md or .json")
    add_reading_options(parser)
    add_reward_options(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from medreward.audit.battery_report import as_json, as_text

    if arguments.list:
        _list()
        return 0
    if arguments.out and arguments.out.suffix not in _SUFFIXES:
        raise expected("--out: suffix", arguments.out.suffix, _SUFFIXES)
    audits = _audits(arguments)
    if arguments.out:
        _write(arguments.out, audits)
    if arguments.json:
        print(json.dumps(as_json(audits), ensure_ascii=False))
    else:
        print(as_text(audits))
    return 0 if all(audit.passed for audit in audits) else 1


def _list() -> None:
    from medreward.audit.exploits import registered

    for family in registered():
        kinds = ", ".join(family.kinds) if family.traits else "all kinds"
        print(f"{family.name:32} {family.severity.name.lower():7} {kinds:40} {family.about}")


def _audits(arguments: argparse.Namespace) -> list[Any]:
    from medreward.audit.battery import audit
    from medreward.audit.reward_process import load_isolated
    from medreward.scoring.scorer import scorer
    from medreward.scoring.task_book import load_named
    from medreward.task.card import shipped

    settings = reward_options(arguments)
    reading = reading_settings(arguments)
    found = []
    for name in shipped() if arguments.all else arguments.task:
        bound = scorer(load_named(name), reading)
        task = replace(bound.task, reward=bound.settings.updated(settings))
        reward = load_isolated(
            arguments.reward,
            task,
            signature=arguments.signature,
            settings=settings,
            time_limit=arguments.time_limit,
        )
        targets = _targets(arguments.targets, task) if arguments.targets else None
        families = _families(arguments.family, task.kind)
        found.append(audit(reward, task, name=arguments.reward, targets=targets, families=families))
    return found


def _families(names: list[str] | None, kind: str) -> list[Any] | None:
    from medreward.audit.exploits import registered

    if names is None:
        return None
    known = {family.name: family for family in registered(kind)}
    for name in names:
        if name not in known:
            raise expected(f"--family for a task of kind {kind}", name, known)
    return [known[name] for name in names]


def _targets(path: Path, task: Any) -> list[object]:
    from medreward.kinds.truth import target_of

    if path.suffix == ".parquet" or path.is_dir():
        return _row_targets(path, task)
    targets = []
    for number, line in read_lines(path):
        try:
            targets.append(target_of(task, parse_json(line)["target"]))
            task.parse_target(targets[-1])
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{path}, line {number}: no target to use: {error}") from error
    return targets


def _row_targets(path: Path, task: Any) -> list[object]:
    """Return the targets of the rows of a file that are of a task, each once."""
    from medreward.data.check import first_rows
    from medreward.kinds.truth import target_of

    rows = [row for row in first_rows(path, _MOST_ROWS) if row["data_source"] == task.name]
    truths = dict.fromkeys(str(row["reward_model"]["ground_truth"]) for row in rows)
    if not truths:
        raise ConfigError(f"{path}: has no row of task {quote(task.name)}")
    targets = [target_of(task, truth) for truth in truths]
    for target in targets:
        task.parse_target(target)
    return targets


def _write(path: Path, audits: list[Any]) -> None:
    from medreward.audit.battery_report import as_html, as_json, as_markdown
    from medreward.files.atomic import write_text_atomic

    if path.suffix == ".html":
        text = as_html(audits)
    elif path.suffix == ".md":
        text = as_markdown(audits)
    else:
        text = json.dumps(as_json(audits), ensure_ascii=False, indent=1) + "\n"
    write_text_atomic(path, escape_controls(text))
