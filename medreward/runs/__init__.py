"""What a training run did: why it learns nothing, what other settings would have paid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medreward.lazy import import_late

if TYPE_CHECKING:
    from medreward.runs.frame_report import compare_frames
    from medreward.runs.metrics import ordinal_metrics
    from medreward.runs.trace_sources import read_trace
    from medreward.runs.why import analyse, describe_run
else:
    __getattr__, __dir__ = import_late(
        __name__,
        {
            "medreward.runs.frame_report": "compare_frames",
            "medreward.runs.metrics": "ordinal_metrics",
            "medreward.runs.trace_sources": "read_trace",
            "medreward.runs.why": "analyse describe_run",
        },
    )

__all__ = [
    "analyse",
    "compare_frames",
    "describe_run",
    "ordinal_metrics",
    "read_trace",
]
