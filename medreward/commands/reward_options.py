"""Command-line options that override a card's reward settings, for every command that scores."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from medreward.errors import ConfigError, quote
from medreward.task.completion_format import check_format
from medreward.task.profile import load_profile
from medreward.task.settings import DECAYS, GATES, RewardSettings


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


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--completion-format`` and ``--model-profile``."""
    parser.add_argument(
        "--completion-format",
        metavar="NAME|FILE",
        help="the format that completions are in, where it is not the card's",
    )
    parser.add_argument(
        "--model-profile",
        metavar="NAME|FILE",
        help="the profile of the model that wrote them, such as qwen3_vl",
    )


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


def check_together(settings: Mapping[str, str]) -> None:
    """Check what `reading_settings` returns, which no row has a part in.

    Raises:
        ConfigError: if a value is not allowed, or the completion format is not the profile's.
    """
    given = dict(settings)
    name = given.pop("model_profile", None)
    RewardSettings().updated(given)
    form, profile = given.get("completion_format"), load_profile(name) if name else None
    if form and profile and profile.completion_format not in ("", check_format(form)):
        raise ConfigError(
            f"--completion-format {form}: --model-profile {profile.name} has "
            f"{quote(profile.completion_format)}; give one of the two"
        )


def _number(text: str) -> float | str:
    """Return a number, or the text itself, which the settings will refuse by name."""
    try:
        return float(text)
    except ValueError:
        return text
