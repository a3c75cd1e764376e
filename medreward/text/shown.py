"""Text from data, models and servers -> text that a terminal only shows."""

from __future__ import annotations

import re
from typing import Any, TextIO

# Control characters but line feed and tab (ESC starts a terminal's commands), marks that change the
# direction of what follows, separators of lines, tags, and halves of characters (not UTF-8).
_COMMANDS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def escape_controls(text: str) -> str:
    r"""Return a text with what a terminal would obey, or cannot be seen, as ``\uXXXX``.

    JSON stays JSON of the same values, as these are its own escapes.

    >>> print(escape_controls("\x1b[31mred"))
    \u001b[31mred
    """
    return _COMMANDS.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


class EscapingStream:
    """A text stream that escapes what is written to it, and is else the stream beneath."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write a text, escaped; return its length."""
        shown = escape_controls(text)
        try:
            self.stream.write(shown)
        except UnicodeEncodeError:  # a terminal that has no such letters
            encoding = self.stream.encoding or "ascii"
            self.stream.write(shown.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write texts, escaped."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def signed(value: float, digits: int = 4) -> str:
    """Return a number with its sign; what rounds to 0 has no minus.

    >>> signed(-1e-9), signed(-0.05), signed(1.2, 3)
    ('+0.0000', '-0.0500', '+1.200')
    """
    return f"{round(value, digits) + 0.0:+.{digits}f}"
