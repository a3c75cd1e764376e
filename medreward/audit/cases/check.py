"""Run the cases of a file or a text."""

from __future__ import annotations

from pathlib import Path

from medreward.audit.cases.case import CaseFile
from medreward.audit.cases.files import load_cases, parse_cases
from medreward.audit.cases.judge import Judge, Outcome


def check_file(
    path: str | Path, reward: str | None = None, signature: str | None = None
) -> list[Outcome]:
    """Return what becomes of each case in a file (see `medreward.audit.cases.judge.Judge`).

    >>> from medreward.audit.cases import shipped_cases
    >>> all(outcome.passed for outcome in check_file(shipped_cases()[0]))
    True
    """
    return _judged(load_cases(path), reward, signature)


def check_text(text: str, reward: str | None = None, signature: str | None = None) -> list[Outcome]:
    """Return what becomes of each case in the text of a YAML case file.

    >>> text = "{task: yes_no, cases: [{answer: 'yes', target: 'yes', expect: {correct: true}}]}"
    >>> [outcome.status for outcome in check_text(text)]
    ['passed']
    """
    return _judged(parse_cases(text), reward, signature)


def _judged(file: CaseFile, reward: str | None, signature: str | None) -> list[Outcome]:
    judge = Judge(file, reward, signature)
    return [judge.judge(case) for case in file.cases]
