"""The options of ``swift rlhf`` that use the rewards."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from medreward import ConfigError, Task
from medreward.errors import quote
from medreward.scoring.parts.base import used_parts
from medreward_swift.settings import SETTINGS, read_scorers


def plugin_path() -> Path:
    """Return the file for ``--external_plugins``.

    >>> plugin_path().name
    'medreward_plugin.py'
    """
    return Path(__file__).parent / "plugin" / "medreward_plugin.py"


def check_names(tasks: Sequence[str]) -> None:
    """Make sure that no task is a card's file, which the run itself would not know.

    Raises:
        ConfigError: with the setting that names it.

    >>> check_names(["measure=num.yaml"])
    Traceback (most recent call last):
    ...
    medreward.errors.ConfigError: task 'measure=num.yaml': a card of your own is named in the \
environment, where the run sees it too: export MEDREWARD_SETTINGS='{tasks: {measure: num.yaml}}', \
then python -m medreward_swift measure
    """
    for task in tasks:
        source, _, card = task.rpartition("=")
        if not source and Path(card).suffix not in (".yaml", ".yml"):
            continue
        source = source or (Task.load(card).name if Path(card).is_file() else Path(card).stem)
        beside = " (beside what it holds)" if os.environ.get(SETTINGS) else ""
        raise ConfigError(
            f"task {quote(task)}: a card of your own is named in the environment, where the run "
            f"sees it too: export {SETTINGS}='{{tasks: {{{source}: {card}}}}}'{beside}, then "
            f"python -m medreward_swift {source}"
        )


def swift_options(tasks: Sequence[str]) -> list[str]:
    """Return the options that reward rows of these tasks, with the parts' weights.

    Raises:
        ConfigError: if a task is not known, or the tasks differ in their weights.

    >>> swift_options(["retinamnist"])[-4:]
    ['--reward_weights', '1.0', '0.2', '0.05']
    """
    scorers = read_scorers()
    weights = {name: scorers.of(name).settings.weights for name in tasks}
    if len(set(weights.values())) > 1:
        raise ConfigError(
            f"weights: the tasks differ ({weights}), but ms-swift has one weight a function; set "
            f"weights in MEDREWARD_SETTINGS, or take --reward_funcs medreward, which is the total"
        )
    found = next(iter(weights.values()))
    parts = [part.name for part in used_parts(found)]
    return [
        *("--external_plugins", str(plugin_path())),
        *("--reward_funcs", *(f"medreward_{part}" for part in parts)),
        *("--reward_weights", *(str(found[part]) for part in parts)),
    ]
