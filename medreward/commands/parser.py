"""A parser whose arguments are added when they are needed.

A sub-command's options may stand in modules that need Pillow or numpy; `medreward --help` and the
other sub-commands do not wait for them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from medreward.text.shown import escape_controls


class LateParser(argparse.ArgumentParser):
    """A parser that calls `populate` once, before it is used."""

    populate: Callable[[LateParser], None] | None = None

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Add the arguments, then parse."""
        self._add_late_arguments()
        return super().parse_known_args(args, namespace)

    def format_help(self) -> str:
        """Add the arguments, then return the help."""
        self._add_late_arguments()
        return super().format_help()

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print help and errors, which quote arguments, escaped."""
        super()._print_message(escape_controls(message) if message else message, file)

    def _add_late_arguments(self) -> None:
        populate, self.populate = self.populate, None
        if populate is not None:
            populate(self)
