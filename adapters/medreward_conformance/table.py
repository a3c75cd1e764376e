"""The trainers whose own path to a reward can be run."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple

from medreward import ConfigError
from medreward.errors import expected
from medreward_conformance.protocol import Observation


class Trainer(NamedTuple):
    """A trainer that can be observed.

    Attributes:
        module: whose function `observe` runs it.
        needs: the modules of the trainer without which it cannot.
        mend: what to do where they are missing.
        untried: why no processes of one run are started.
        ranks: whose function `observe_ranks` starts them instead; "" for none.
    """

    module: str
    needs: tuple[str, ...]
    mend: str
    untried: str
    ranks: str = ""


TRAINERS: Mapping[str, Trainer] = {
    "trl": Trainer(
        "trl",
        ("trl",),
        "pip install 'medreward[trl]'",
        "one process was asked for",
        ranks="trl_ranks",
    ),
    "verl": Trainer(
        "verl",
        ("verl.experimental.reward_loop",),
        "pip install 'medreward[verl]'",
        "one worker was asked for",
        ranks="verl_ranks",
    ),
    "easyr1": Trainer(
        "easyr1",
        ("verl.workers.reward.function",),
        "put a checkout of EasyR1 before all else: PYTHONPATH=EasyR1 medreward conformance easyr1",
        "its trainer hands whole batches to one reward worker, whatever the number of GPUs",
    ),
    "ms-swift": Trainer(
        "swift",
        ("swift",),
        "pip install ms-swift msgspec, in its own environment",
        "one process was asked for",
        ranks="swift_ranks",
    ),
    "verifiers": Trainer(
        "verifiers",
        ("verifiers.v1.serve",),
        "pip install verifiers uv, with medreward[data]",
        "one environment server is run, no pool of several (max_workers)",
    ),
}


def observe(name: str, ranks: int = 1) -> Observation:
    """Run a trainer's path to its reward and return what was seen.

    Args:
        name: of `TRAINERS`.
        ranks: how many processes of one run to start, where that can be done for this trainer.

    Raises:
        ConfigError: if the trainer is not known, or not installed here.

    >>> observe("q")
    Traceback (most recent call last):
    ...
    medreward.errors.ConfigError: trainer: 'q' is not one of trl, verl, easyr1, ms-swift, verifiers
    """
    if name not in TRAINERS:
        raise expected("trainer", name, TRAINERS)
    trainer = TRAINERS[name]
    missing = [module for module in trainer.needs if not _is_there(module)]
    if missing:
        raise ConfigError(f"trainer: {name} is not here ({missing[0]}): {trainer.mend}")
    found: Observation = import_module(f"medreward_conformance.{trainer.module}").observe()
    found.ranks = trainer.untried
    if trainer.ranks and ranks > 1:
        of_ranks = import_module(f"medreward_conformance.{trainer.ranks}")
        found.ranks = of_ranks.observe_ranks(ranks)
    return found


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
