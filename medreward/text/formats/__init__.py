"""Completion formats: where reasoning and answer stand in what a model writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medreward.lazy import import_late

if TYPE_CHECKING:
    from medreward.text.formats.base import CompletionFormat, register_format, remove_format
else:
    __getattr__, __dir__ = import_late(
        __name__,
        {
            "medreward.text.formats.base": "CompletionFormat register_format remove_format",
        },
    )

__all__ = [
    "CompletionFormat",
    "register_format",
    "remove_format",
]
