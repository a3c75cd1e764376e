"""A text as a model writes it: words, parts of a completion, reason codes. No task is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medreward.lazy import import_late

if TYPE_CHECKING:
    from medreward.text.reasons import REASONS
else:
    __getattr__, __dir__ = import_late(
        __name__,
        {
            "medreward.text.reasons": "REASONS",
        },
    )

__all__ = [
    "REASONS",
]
