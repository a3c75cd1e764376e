"""Messages on standard error, with what a terminal would obey shown as escapes."""

from __future__ import annotations

import sys

from medreward.text.shown import escape_controls


def complain(message: str) -> None:
    """Write a message to standard error."""
    print(f"medreward: {escape_controls(message)}", file=sys.stderr)
