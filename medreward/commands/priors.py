"""``medreward priors``: check the prior knowledge in cards, and have missing parts drafted."""

from __future__ import annotations

import argparse
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medreward.checks import whole
from medreward.errors import ConfigError
from medreward.task.card import shipped
from medreward.task.review import ReviewCount
from medreward.task.task import Task

if TYPE_CHECKING:
    from medreward.priors.findings import Finding


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    priors = commands.add_parser(
        "priors", help="check the knowledge in cards, or let a model draft some"
    )
    actions = priors.add_subparsers(required=True, metavar="ACTION")
    _add_lint(actions)
    _add_draft(actions)


def _add_lint(actions: Any) -> None:
    lint = actions.add_parser(
        "lint",
        help="check the knowledge in cards",
        description="Exit status: 0 without errors, 1 with errors, 2 if a file cannot be read.",
    )
    lint.add_argument(
        "task", nargs="*", metavar="NAME|FILE", help="shipped names or cards (default: all shipped)"
    )
    lint.add_argument("--budget", type=int, help="how long a prompt may be (default: 600 words)")
    lint.add_argument("--tokenizer", metavar="NAME", help="count its tokens instead of words")
    lint.add_argument("--reviews", metavar="DIR", help="folder with reviews of the cards")
    lint.add_argument("--strict", action="store_true", help="warnings count as errors")
    lint.add_argument("--json", action="store_true", help="print the findings as JSON")
    lint.set_defaults(run=_run_lint)


def _add_draft(actions: Any) -> None:
    draft = actions.add_parser(
        "draft",
        help="let a language model draft attributes for labels that have none",
        description="Writes a new card. What is drafted is unreviewed and has no source until you "
        "give it one, which `medreward priors lint` insists on.",
    )
    draft.add_argument("--task", required=True, help="a shipped task's name or a YAML card")
    draft.add_argument(
        "--endpoint",
        required=True,
        metavar="URL",
        help="an OpenAI-compatible endpoint, such as http://localhost:8000/v1",
    )
    draft.add_argument("--model", required=True, help="the name of the model at the endpoint")
    draft.add_argument("--out", type=Path, help="default: NAME.drafts.yaml")
    draft.add_argument("--key-env", metavar="NAME", help="environment variable that has the key")
    draft.add_argument(
        "--timeout", type=float, default=60, help="seconds for a request (default: 60)"
    )
    draft.set_defaults(run=_run_draft)


def _run_lint(arguments: argparse.Namespace) -> int:
    from medreward.priors.lint import DEFAULT_BUDGET, lint_card
    from medreward.priors.tokens import load_tokenizer

    budget = DEFAULT_BUDGET if arguments.budget is None else arguments.budget
    whole("--budget", budget, 1)
    tokenizer = load_tokenizer(arguments.tokenizer) if arguments.tokenizer else str.split
    found: list[Finding] = []
    for task in arguments.task or shipped():
        found += lint_card(task, budget=budget, tokenizer=tokenizer, reviews=arguments.reviews)
    errors = sum(finding.error for finding in found)
    if arguments.json:
        print(json.dumps([f.as_dict() for f in found], ensure_ascii=False, indent=2))
    else:
        for finding in found:
            print(finding)
        count = len(arguments.task or shipped())
        cards = "1 card" if count == 1 else f"{count} cards"
        print(f"{cards}: {errors} errors, {len(found) - errors} warnings")
        print(_count_reviews(arguments))
    return int(bool(found if arguments.strict else errors))


def _count_reviews(arguments: argparse.Namespace) -> str:
    """Return how many statements of the cards that can be loaded are reviewed."""
    total = ReviewCount({})
    for task in arguments.task or shipped():
        with suppress(ConfigError):
            total += Task.load(task, arguments.reviews).count_reviews()
    return str(total)


def _run_draft(arguments: argparse.Namespace) -> int:
    from medreward.files.chat import Endpoint, key_from
    from medreward.priors.draft import draft

    endpoint = Endpoint(
        arguments.endpoint,
        arguments.model,
        key_from(arguments.key_env),
        timeout=arguments.timeout,
    )
    path, count = draft(arguments.task, endpoint, arguments.out)
    total = len(Task.load(path).statements)
    print(f"{path}: drafted attributes of {count} labels; the card has {total} statements now.")
    print("They have no source: check each, give it one, then run")
    print(f"medreward priors lint {path}")
    return 0
