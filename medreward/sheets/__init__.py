"""Pages that a person looks at: reports, contact sheets, views of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medreward.lazy import import_late

if TYPE_CHECKING:
    from medreward.sheets.view import write_sheet
else:
    __getattr__, __dir__ = import_late(
        __name__,
        {
            "medreward.sheets.view": "write_sheet",
        },
    )

__all__ = [
    "write_sheet",
]
