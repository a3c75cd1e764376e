"""Doctests and literal blocks of docstrings as code blocks, for the API pages of the site.

Docstrings here show examples as bare doctests (``>>>``), which Markdown would take for quotes. The
site's build loads this file as an extension of griffe; mkdocs.yml names it.
"""

from __future__ import annotations

from typing import Any

import griffe


def fence_examples(text: str) -> str:
    """Return a docstring with each run of doctest lines in a fenced block, and ``::`` as ``:``."""
    lines: list[str] = []
    inside = False
    for line in text.splitlines():
        if line.lstrip().startswith(">>> ") and not inside:
            indent = line[: len(line) - len(line.lstrip())]
            lines.append(f"{indent}```pycon")
            inside = True
        elif inside and not line.strip():
            lines.append(f"{indent}```")
            inside = False
        lines.append(line.replace("::", ":") if line.endswith("::") and not inside else line)
    return "\n".join([*lines, *([f"{indent}```"] if inside else [])])


class FencedExamples(griffe.Extension):  # type: ignore[misc]
    """Rewrites every docstring of a package once it is loaded, before any is parsed."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Fence the examples of all docstrings of a package."""
        pending: list[griffe.Object] = [pkg]
        while pending:
            found = pending.pop()
            if found.docstring is not None:
                found.docstring.value = fence_examples(found.docstring.value)
            pending += [member for member in found.members.values() if not member.is_alias]
