"""The parts of the reward, a module each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medreward.lazy import import_late

if TYPE_CHECKING:
    from medreward.scoring.judged import Judged
    from medreward.scoring.parts.base import Part, register_part, remove_part
    from medreward.scoring.parts.recitation import largest_recitation, words_needed
else:
    __getattr__, __dir__ = import_late(
        __name__,
        {
            "medreward.scoring.judged": "Judged",
            "medreward.scoring.parts.base": "Part register_part remove_part",
            "medreward.scoring.parts.recitation": "largest_recitation words_needed",
        },
    )

__all__ = [
    "Judged",
    "Part",
    "largest_recitation",
    "register_part",
    "remove_part",
    "words_needed",
]
