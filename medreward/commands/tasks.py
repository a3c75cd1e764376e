"""``medreward tasks``: list the shipped tasks, show one, or draft a new one."""

from __future__ import annotations

import argparse
import json
from typing import Any

from medreward.commands.tasks_new import add_new
from medreward.task.card import copied_card
from medreward.task.review import REVIEWED
from medreward.task.task import KNOWLEDGE_LEVELS, Task


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    tasks = commands.add_parser(
        "tasks", help="list the shipped tasks, show one, or draft a new one"
    )
    _add_reviews(tasks, "of the shipped cards")
    tasks.set_defaults(run=_run_list)
    actions = tasks.add_subparsers(metavar="ACTION")
    show = actions.add_parser("show", help="print a card, or the prompt that it makes")
    show.add_argument("task", metavar="NAME", help="a shipped task's name or a YAML card")
    _add_reviews(show, "of the card", default=argparse.SUPPRESS)
    how = show.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print the card as JSON")
    how.add_argument(
        "--yaml",
        action="store_true",
        help="print the card's YAML, to copy and change: … --yaml > my_card.yaml",
    )
    how.add_argument(
        "--level",
        choices=(*KNOWLEDGE_LEVELS, REVIEWED),
        help="print the prompt with this much knowledge, labels in the card's order; reviewed: "
        "only what the readers in --reviews signed",
    )
    show.set_defaults(run=_run_show)
    add_new(actions)


def _add_reviews(parser: argparse.ArgumentParser, what: str, default: Any = None) -> None:
    parser.add_argument(
        "--reviews", metavar="DIR", default=default, help=f"folder with reviews {what}"
    )


def _run_list(arguments: argparse.Namespace) -> int:
    from medreward.priors.show import listing

    print("\n".join(listing(arguments.reviews)))
    return 0


def _run_show(arguments: argparse.Namespace) -> int:
    from medreward.priors.prompt import build_prompt
    from medreward.priors.show import card_json, card_text

    task = Task.load(arguments.task, arguments.reviews)
    if arguments.yaml:
        print(copied_card(arguments.task), end="")
    elif arguments.level:
        level = arguments.level
        if level == REVIEWED:
            task, level = task.only_reviewed(), "full"
        for message in build_prompt(task, level).messages:
            print(f"[{message['role']}]\n{message['content']}")
    elif arguments.json:
        print(json.dumps(card_json(task), ensure_ascii=False, indent=2))
    else:
        print(card_text(task))
    return 0
