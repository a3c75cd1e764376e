"""Kinds of task: the only place that knows a kind by its name.

>>> from medreward import Task
>>> from medreward.kinds import right_answer
>>> right_answer(Task.load("retinamnist"), 2)
'2'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from medreward.lazy import import_late

if TYPE_CHECKING:
    from medreward.kinds.base import Kind, TargetType
    from medreward.kinds.honest import Honest
    from medreward.kinds.reading import read_label
    from medreward.kinds.right_answers import completion_with, right_answer
    from medreward.kinds.truth import ground_truth, target_of
    from medreward.kinds.verdict import Verdict
    from medreward.task.registry import register_kind, remove_kind
else:
    __getattr__, __dir__ = import_late(
        __name__,
        {
            "medreward.kinds.base": "Kind TargetType",
            "medreward.kinds.honest": "Honest",
            "medreward.kinds.reading": "read_label",
            "medreward.kinds.right_answers": "completion_with right_answer",
            "medreward.kinds.truth": "ground_truth target_of",
            "medreward.kinds.verdict": "Verdict",
            "medreward.task.registry": "register_kind remove_kind",
        },
    )

__all__ = [
    "Honest",
    "Kind",
    "TargetType",
    "Verdict",
    "completion_with",
    "ground_truth",
    "read_label",
    "register_kind",
    "remove_kind",
    "right_answer",
    "target_of",
]
