"""What is asked about an image and what may be answered: tasks, cards, reward settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medreward.lazy import import_late

if TYPE_CHECKING:
    from medreward.task.review import Opinion, SignedText
    from medreward.task.traits import Trait
else:
    __getattr__, __dir__ = import_late(
        __name__,
        {
            "medreward.task.review": "Opinion SignedText",
            "medreward.task.traits": "Trait",
        },
    )

__all__ = [
    "Opinion",
    "SignedText",
    "Trait",
]
