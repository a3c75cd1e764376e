"""pytest collects case files: `*.cases.yaml`, `*.cases.yml` and `*.cases.jsonl`.

pytest loads this module at every start, so it imports nothing but what pytest has loaded anyway;
the rest comes with the first case file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

    from medreward_pytest.collect import CasesFile

# As medreward.audit.cases.case.SUFFIXES, which is not imported here.
SUFFIXES = (".cases.yaml", ".cases.yml", ".cases.jsonl")
UNJUDGED = "medreward_unjudged"  # the property of a report: names, with spaces between


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options by which a reward is named, on the command line and in the ini file."""
    group = parser.getgroup("medreward", "labelled cases of rewards")
    for name, about in (
        ("reward", "reward to hold case files to: package.module:function or file.py:function"),
        ("signature", "how to call it: trl, trl-text, verl, plain or batch (default: detect)"),
    ):
        group.addoption(f"--medreward-{name}", metavar=name.upper(), help=about)
        parser.addini(f"medreward_{name}", about)
    numbers = "judge totals and parts too, where the files are about another reward"
    group.addoption("--medreward-numbers", action="store_true", help=numbers)
    parser.addini("medreward_numbers", numbers, type="bool")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> CasesFile | None:
    """Collect a case file."""
    if not file_path.name.endswith(SUFFIXES):
        return None
    from medreward_pytest.collect import CasesFile

    return CasesFile.from_parent(parent, path=file_path)


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Show that a case passed of which a part was not judged."""
    if report.when == "call" and report.passed and _unjudged(report):
        return "passed", "p", "PASSED IN PART"
    return None


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many cases were judged in part or not at all, and why."""
    reports = [one for group in terminalreporter.stats.values() for one in group]
    unjudged = [names for names in map(_unjudged, reports) if names]
    if unjudged:
        from medreward.audit.cases.show import why_unjudged

        count = len(unjudged)
        terminalreporter.write_sep("-", f"{count} labelled cases were judged in part or not at all")
        for line in why_unjudged(name for names in unjudged for name in names):
            terminalreporter.write_line(f"not judged: {line}")


def _unjudged(report: Any) -> list[str]:
    """Return the expectations of a case that were not judged; none of what is no case."""
    if getattr(report, "when", None) != "call":
        return []
    return str(dict(report.user_properties).get(UNJUDGED, "")).split()
