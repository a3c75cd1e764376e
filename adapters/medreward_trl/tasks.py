"""Shaped rewards by dotted path, for TRL's command line.

``trl grpo --reward_funcs medreward_trl.tasks.retinamnist`` rewards with the card's own settings.

>>> from medreward_trl import tasks
>>> tasks.retinamnist(completions=["<think>a</think><answer>2</answer>"], target=[2])
[1.2]
"""

from __future__ import annotations

from medreward.task.card import shipped
from medreward_trl.rewards import ShapedReward, shaped


def __getattr__(name: str) -> ShapedReward:
    if name in shipped():
        return shaped(name)
    raise AttributeError(f"module {__name__!r} has no task {name!r}; it has {', '.join(shipped())}")


def __dir__() -> list[str]:
    return [*globals(), *shipped()]
