"""From rows to scores: the parts of the reward, the scorer, signatures, traces.

>>> from medreward import Task
>>> from medreward.scoring import Scorer
>>> Scorer(Task.load("retinamnist")).score("<think>x</think><answer>2</answer>", 2).total
1.2
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from medreward.lazy import import_late

if TYPE_CHECKING:
    from medreward.scoring.rows import judge_row, score_rows
    from medreward.scoring.scorer import Scorer
    from medreward.scoring.task_book import TaskBook
    from medreward.scoring.trace import TraceWriter, trace_row
else:
    __getattr__, __dir__ = import_late(
        __name__,
        {
            "medreward.scoring.rows": "judge_row score_rows",
            "medreward.scoring.scorer": "Scorer",
            "medreward.scoring.task_book": "TaskBook",
            "medreward.scoring.trace": "TraceWriter trace_row",
        },
    )

__all__ = [
    "Scorer",
    "TaskBook",
    "TraceWriter",
    "judge_row",
    "score_rows",
    "trace_row",
]
