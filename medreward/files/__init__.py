"""Files and processes: atomic writes, a pool of processes, Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medreward.lazy import import_late

if TYPE_CHECKING:
    from medreward.files.atomic import replacing
else:
    __getattr__, __dir__ = import_late(
        __name__,
        {
            "medreward.files.atomic": "replacing",
        },
    )

__all__ = [
    "replacing",
]
