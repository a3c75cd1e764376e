"""Texts from anywhere, as Markdown that shows them and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def plain(text: str) -> str:
    """Return a text on one line and without what Markdown would take for HTML or code."""
    return " ".join(text.split()).replace("<", "&lt;").replace("`", "'")


def cell(text: str) -> str:
    """Return a text for a cell of a table."""
    return plain(text).replace("|", "\\|")


def pairs(texts: Mapping[str, str]) -> str:
    """Return a list of names with their texts."""
    return "\n".join(f"- {name.replace('_', ' ')}: {plain(text)}" for name, text in texts.items())


def verbatim(text: str) -> str:
    """Return a text as a block of code: indented, since a fence could end inside it."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def pathless(text: str) -> str:
    """Return an absolute path's last part: the rest is about the machine, and may hold names.

    >>> pathless("/home/someone/labels.csv"), pathless("data/labels.csv")
    ('labels.csv', 'data/labels.csv')
    """
    return Path(text).name if Path(text).is_absolute() else text
