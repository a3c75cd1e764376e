"""What a run did: why it learns nothing, what other settings would have paid, what it is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medreward.lazy import import_late

if TYPE_CHECKING:
    from medreward.runs.evaluation import compare, evaluate, read_completions, score_completions
    from medreward.runs.frame_report import compare_frames
    from medreward.runs.trace_sources import read_trace
    from medreward.runs.why import analyse, describe_run
else:
    __getattr__, __dir__ = import_late(
        __name__,
        {
            "medreward.runs.evaluation": "compare evaluate read_completions score_completions",
            "medreward.runs.frame_report": "compare_frames",
            "medreward.runs.trace_sources": "read_trace",
            "medreward.runs.why": "analyse describe_run",
        },
    )

__all__ = [
    "analyse",
    "compare",
    "compare_frames",
    "describe_run",
    "evaluate",
    "read_completions",
    "read_trace",
    "score_completions",
]
