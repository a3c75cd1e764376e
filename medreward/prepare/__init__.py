"""From a source of data to rows: labels, pictures, splits, a data set card."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medreward.lazy import import_late

if TYPE_CHECKING:
    from medreward.prepare.merge import merge_parts
    from medreward.prepare.options import Options
    from medreward.prepare.run import prepare
else:
    __getattr__, __dir__ = import_late(
        __name__,
        {
            "medreward.prepare.merge": "merge_parts",
            "medreward.prepare.options": "Options",
            "medreward.prepare.run": "prepare",
        },
    )

__all__ = [
    "Options",
    "merge_parts",
    "prepare",
]
