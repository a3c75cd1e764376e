"""Boxes, masks and frames, and how alike two of them are. No task is known here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medreward.lazy import import_late

if TYPE_CHECKING:
    from medreward.geometry.frames import qwen_resized
else:
    __getattr__, __dir__ = import_late(
        __name__,
        {
            "medreward.geometry.frames": "qwen_resized",
        },
    )

__all__ = [
    "qwen_resized",
]
