"""The options of ``medreward prepare`` for grounding questions."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from medreward.errors import ConfigError

if TYPE_CHECKING:
    from medreward.grounding.questions import Asking


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options to the sub-command's parser."""
    group = parser.add_argument_group("grounding questions from boxes, instead of the card's own")
    group.add_argument(
        "--ask",
        metavar="KINDS",
        help="one or several of where, all, point, count, present, such as where,count",
    )
    group.add_argument(
        "--negatives",
        type=float,
        metavar="SHARE",
        help="share of questions about what the image does not show (default: 0.2)",
    )
    group.add_argument(
        "--count-up-to",
        type=int,
        metavar="N",
        help="do not ask for the count if there are more than N (default and maximum: 100)",
    )


def asking_of(arguments: argparse.Namespace) -> Asking | None:
    """Return what the options ask for, or None.

    Raises:
        ConfigError: if a value is not allowed, or goes with --ask, which is not given.
    """
    from medreward.grounding.questions import Asking

    given = {"negatives": arguments.negatives, "most": arguments.count_up_to}
    settings = {name: value for name, value in given.items() if value is not None}
    if arguments.ask is None:
        if settings:
            raise ConfigError("--negatives and --count-up-to go with --ask")
        return None
    return Asking(tuple(kind.strip() for kind in arguments.ask.split(",")), **settings)
