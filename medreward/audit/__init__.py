"""Whether a reward pays for what it should not: attacks, labelled cases, rewards of users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medreward.lazy import import_late

if TYPE_CHECKING:
    from medreward.audit.battery import audit
    from medreward.audit.reward_process import load_isolated
    from medreward.audit.user_rewards import load_reward
else:
    __getattr__, __dir__ = import_late(
        __name__,
        {
            "medreward.audit.battery": "audit",
            "medreward.audit.reward_process": "load_isolated",
            "medreward.audit.user_rewards": "load_reward",
        },
    )

__all__ = [
    "audit",
    "load_isolated",
    "load_reward",
]
