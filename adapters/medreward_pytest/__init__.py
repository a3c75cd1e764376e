"""pytest collects case files: `*.cases.yaml`, `*.cases.yml` and `*.cases.jsonl`.

pytest loads this module at every start, so it imports nothing but what pytest has loaded anyway;
the rest comes with the first case file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from medreward_pytest.collect import CasesFile

# As medreward.audit.cases.case.SUFFIXES, which is not imported here.
SUFFIXES = (".cases.yaml", ".cases.yml", ".cases.jsonl")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options by which a reward is named, on the command line and in the ini file."""
    group = parser.getgroup("medreward", "labelled cases of rewards")
    for name, about in (
        ("reward", "reward to hold case files to: package.module:function or file.py:function"),
        ("signature", "how to call it: trl, trl-text, verl, plain or batch (default: detect)"),
    ):
        group.addoption(f"--medreward-{name}", metavar=name.upper(), help=about)
        parser.addini(f"medreward_{name}", about)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> CasesFile | None:
    """Collect a case file."""
    if not file_path.name.endswith(SUFFIXES):
        return None
    from medreward_pytest.collect import CasesFile

    return CasesFile.from_parent(parent, path=file_path)
