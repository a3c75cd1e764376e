"""Texts from anywhere, as Markdown that shows them and nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from medreward.text.shown import escape_controls

# As entities, which no renderer undoes in a second pass, as it may a backslash. A plain address is
# a link too, hence the colon and www.
_ENTITIES = {
    "&": "&amp;",
    "<": "&lt;",
    "[": "&#91;",
    "]": "&#93;",
    "://": "&#58;//",
    "www.": "www&#46;",
}
_MARKUP = re.compile("|".join(map(re.escape, _ENTITIES)))


def plain(text: str) -> str:
    r"""Return a text on one line that Markdown shows as it is: no link, image or HTML.

    >>> print(plain("![x](http://a/b.png)"))
    !&#91;x&#93;(http&#58;//a/b.png)
    """
    line = escape_controls(" ".join(text.split())).replace("`", "'")
    return _MARKUP.sub(lambda found: _ENTITIES[found[0]], line)


def cell(text: str) -> str:
    """Return a text for a cell of a table."""
    return plain(text).replace("|", "\\|")


def pairs(texts: Mapping[str, str]) -> str:
    """Return a list of names with their texts."""
    return "\n".join(f"- {name.replace('_', ' ')}: {plain(text)}" for name, text in texts.items())


def verbatim(text: str) -> str:
    """Return a text as a block of code: indented, since a fence could end inside it."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def code_line(text: str) -> str:
    """Return a text on one line as a block of code, to be copied as it is.

    Nothing is live in one, and a line that does not begin with the fence cannot end it.

    >>> print(code_line("medreward prepare --patient-pattern 'PT[0-9]+'"))
    ```
    medreward prepare --patient-pattern 'PT[0-9]+'
    ```
    """
    line = escape_controls(" ".join(text.split()))
    return f"```\n{line}\n```" if not line.startswith("```") else verbatim(line)


def pathless(text: str) -> str:
    """Return an absolute path's last part: the rest is about the machine, and may hold names.

    >>> pathless("/home/someone/labels.csv"), pathless("data/labels.csv")
    ('labels.csv', 'data/labels.csv')
    """
    return Path(text).name if Path(text).is_absolute() else text
