"""A case file as pytest's collector, and each of its cases as an item."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from medreward import ConfigError
from medreward.audit.cases.files import load_cases
from medreward.audit.cases.judge import GAP, SKIPPED, Judge, Outcome
from medreward.audit.cases.show import show_outcome
from medreward.audit.user_rewards import beside
from medreward_pytest import UNJUDGED


class NotAsExpected(Exception):  # noqa: N818 - it is shown, never caught by name
    """A case is not as expected."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.case.id)
        self.outcome = outcome


class CasesFile(pytest.File):
    """A case file."""

    def collect(self) -> Iterator[CaseItem]:
        """Yield an item a case."""
        try:
            file = load_cases(self.path)
            options = _option(self.config, "reward"), _option(self.config, "signature")
            judge = Judge(file, *options, numbers=_numbers(self.config))
        except ConfigError as error:
            raise self.CollectError(str(error)) from error
        for case in file.cases:
            # A name of printable ASCII, which is the same in every process and on every terminal.
            name = case.id.encode("unicode_escape").decode("ascii")
            yield CaseItem.from_parent(self, name=name, judge=judge, case=case)


class CaseItem(pytest.Item):
    """A case."""

    def __init__(self, *, judge: Judge, case: Any, **options: Any) -> None:
        super().__init__(**options)
        self.judge = judge
        self.case = case

    def runtest(self) -> None:
        """Judge the case."""
        outcome = self.judge.judge(self.case)
        if outcome.unjudged:  # reports carry it to xdist's controller
            self.user_properties.append((UNJUDGED, " ".join(outcome.unjudged)))
        if outcome.status == SKIPPED:
            pytest.skip(f"not judged for this reward: {', '.join(outcome.unjudged)}")
        if outcome.status == GAP:
            pytest.xfail(f"known gap: {self.case.gap}")
        if not outcome.passed:
            raise NotAsExpected(outcome)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return a failure as completion, parts, reasons and what is expected."""
        if isinstance(excinfo.value, NotAsExpected):
            outcome = excinfo.value.outcome
            # pytest repeats the first line in its summary.
            first = "; ".join(f.split("\n")[0] for f in map(str, outcome.findings))
            return f"{first or outcome.error.partition(chr(10))[0]}\n{show_outcome(outcome)}"
        if isinstance(excinfo.value, ConfigError):
            return f"{self.case.place}: case {self.case.id!r}: {excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Return where the case stands."""
        line = int(self.case.place.rpartition("line ")[2]) - 1
        return self.path, line, f"case {self.name}"


def _numbers(config: pytest.Config) -> bool:
    return bool(config.getoption("--medreward-numbers") or config.getini("medreward_numbers"))


def _option(config: pytest.Config, name: str) -> str | None:
    """Return an option; a file that the ini file names is relative to that."""
    given = config.getoption(f"--medreward-{name}")
    if given or not (ini := config.getini(f"medreward_{name}")):
        return given or None
    return beside(ini, config.inipath.parent) if config.inipath else str(ini)
