"""Command-line options that override a card's reward settings, for every command that scores."""

from __future__ import annotations

import argparse
from typing import Any

from medreward.task.settings import DECAYS, GATES


def add_reward_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--decay``, ``--delta``, ``--weight`` and ``--gate``."""
    parser.add_argument("--decay", help=f"one of {', '.join(DECAYS)}, or credits such as 1,0.5,0.1")
    parser.add_argument("--delta", choices=("+", "-", "0"), help="sign of recitation")
    parser.add_argument(
        "--weight",
        action="append",
        default=[],
        metavar="PART=NUMBER",
        help="weight of accuracy, format or recitation; may be repeated",
    )
    parser.add_argument("--gate", action="append", help=f"one of {', '.join(GATES)}")


def add_time_limit(parser: argparse.ArgumentParser) -> None:
    """Add ``--time-limit``, for commands that call a user's reward."""
    parser.add_argument(
        "--time-limit",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long your reward may take for one completion (default: 60)",
    )


def reward_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that were given, as `RewardSettings.updated` takes them."""
    settings: dict[str, Any] = {}
    if arguments.decay:
        table = [_number(x) for x in arguments.decay.split(",")]
        settings["decay"] = arguments.decay if isinstance(table[0], str) else table
    if arguments.delta:
        settings["delta"] = arguments.delta
    if arguments.gate:
        settings["gates"] = arguments.gate
    if arguments.weight:
        pairs = (weight.partition("=") for weight in arguments.weight)
        settings["weights"] = {name: _number(value) for name, _, value in pairs}
    return settings


def reading_settings(arguments: argparse.Namespace) -> dict[str, str]:
    """Return the settings that say how completions of prepared rows are read, where given."""
    names = ("completion_format", "model_profile", "recitation_measure")
    given = {name: getattr(arguments, name, None) for name in names}
    return {name: value for name, value in given.items() if value}


def _number(text: str) -> float | str:
    """Return a number, or the text itself, which the settings will refuse by name."""
    try:
        return float(text)
    except ValueError:
        return text
