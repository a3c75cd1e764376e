"""Completion formats: where reasoning and answer stand in what a model writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medreward.lazy import import_late

if TYPE_CHECKING:
    from medreward.text.formats.base import CompletionFormat
    from medreward.text.formats.registry import register_format, remove_format
else:
    __getattr__, __dir__ = import_late(
        __name__,
        {
            "medreward.text.formats.base": "CompletionFormat",
            "medreward.text.formats.registry": "register_format remove_format",
        },
    )

__all__ = [
    "CompletionFormat",
    "register_format",
    "remove_format",
]
