"""Scripts that are run as `python SCRIPT` runs them, in this process or in one of their own.

A process of its own imports torch and TRL anew, which takes longer than most of what is tested: one
test of each script starts one, the others run the same lines here.
"""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def run_here(script: Path, *words: object, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a script in this process; return its exit status."""
    monkeypatch.setattr(sys, "argv", [str(script), *map(str, words)])
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def run_alone(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python with these words in a process of its own."""
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
