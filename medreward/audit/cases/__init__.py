"""Labelled cases: completions with what a reward has to make of them.

>>> from medreward.audit.cases import check_text
>>> for outcome in check_text('''
... task: pneumoniamnist
... cases:
... - {answer: no pneumonia, target: pneumonia, expect: {correct: false}}
... '''):
...     print(outcome.status, outcome.case.place)
passed cases, line 4
"""

from medreward.audit.cases.case import Case, CaseFile
from medreward.audit.cases.check import check_file, check_text
from medreward.audit.cases.files import case_files, load_cases, parse_cases, shipped_cases
from medreward.audit.cases.judge import Judge, Outcome

__all__ = [
    "Case",
    "CaseFile",
    "Judge",
    "Outcome",
    "case_files",
    "check_file",
    "check_text",
    "load_cases",
    "parse_cases",
    "shipped_cases",
]
