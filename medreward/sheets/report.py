"""What a run did, as one self-contained HTML file: metrics, curves over time, samples.

The file needs no network, script or mouse, reads in light and dark, and shows model text escaped.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from medreward.files.atomic import write_text_atomic
from medreward.scoring.scorer import Score
from medreward.text.reasons import REASONS
from medreward.version import __version__

if TYPE_CHECKING:
    from PIL.Image import Image

_WIDTH, _HEIGHT = 640, 220
_SMOOTHING = 10  # steps


@dataclass(frozen=True)
class Row:
    """A line of the metrics table: what, its values, and how to read it."""

    name: str
    values: Sequence[float]
    note: str = ""


@dataclass(frozen=True)
class Chart:
    """Curves over the steps of a run, and the scale they share."""

    title: str
    curves: Mapping[str, Sequence[float]]
    note: str = ""
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True)
class ReportSample:
    """An image with its target and what each policy answered."""

    id: str
    image: Image
    target: str
    answers: Mapping[str, tuple[str, Score]]


@dataclass(frozen=True)
class Report:
    """Everything a report shows.

    Attributes:
        title: the heading.
        summary: a sentence or two under it.
        facts: settings by name.
        columns: the columns of the metrics table.
        rows: its lines.
        charts: curves over the steps.
        samples: images with completions.
        texts: long texts (prompt, signature) by name, folded away.
        heading: that of the metrics table.
        findings: what stands out, each with a guess at the fix.
    """

    title: str
    summary: str
    facts: Mapping[str, str]
    columns: Sequence[str]
    rows: Sequence[Row]
    charts: Sequence[Chart] = ()
    samples: Sequence[ReportSample] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    heading: str = "Held-out metrics"
    findings: Sequence[tuple[str, str]] = ()


def page(template: str, **context: Any) -> str:
    """Return an HTML page from one of the templates in this package; what it shows is escaped."""
    environment = Environment(
        loader=PackageLoader("medreward", "sheets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["png"] = _data_url
    environment.filters["drawing"] = _drawing
    environment.filters["number"] = _number
    html: str = environment.get_template(template).render(version=__version__, **context)
    return html


def render(report: Report) -> str:
    """Return the report as HTML."""
    return page("report.html.jinja", report=report, reasons=REASONS)


def write_report(path: str | Path, report: Report) -> None:
    """Write the report to an HTML file, whole or not at all."""
    write_text_atomic(path, render(report))


def smooth_line(values: Sequence[float], window: int = _SMOOTHING) -> list[float]:
    """Return the mean of each value with the up to `window` - 1 before it.

    >>> smooth_line([0.0, 1.0, 1.0], window=2)
    [0.0, 0.5, 1.0]
    """
    spans = (values[max(0, i + 1 - window) : i + 1] for i in range(len(values)))
    return [math.fsum(span) / len(span) for span in spans]


def _data_url(image: Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _number(value: float, digits: int = 3, sign: str = "") -> str:
    """Return a number with so many digits after the point, and no minus before a zero."""
    return "–" if math.isnan(value) else f"{round(value, digits) + 0.0:{sign}.{digits}f}"


def _drawing(chart: Chart) -> dict[str, Any]:
    """Return what the template draws of a chart: points of raw and smoothed lines, ticks."""
    steps = max(map(len, chart.curves.values()), default=0)
    return {
        "width": _WIDTH,
        "digits": 2 if chart.high - chart.low >= 1 else 4,
        "height": _HEIGHT,
        "lines": [
            {
                "name": name,
                "raw": _points(values, chart),
                "smooth": _points(smooth_line(values), chart),
                "last": smooth_line(values)[-1] if values else math.nan,
            }
            for name, values in chart.curves.items()
        ],
        "x_ticks": [(_x(i, steps), i + 1) for i in _tick_indices(steps)],
        "y_ticks": [
            (_y(chart.low + share * (chart.high - chart.low), chart), share)
            for share in (0, 0.25, 0.5, 0.75, 1)
        ],
    }


def _points(values: Sequence[float], chart: Chart) -> str:
    pairs = ((_x(i, len(values)), _y(v, chart)) for i, v in enumerate(values) if math.isfinite(v))
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in pairs)


def _x(index: int, count: int) -> float:
    return _WIDTH * index / max(1, count - 1)


def _y(value: float, chart: Chart) -> float:
    share = (value - chart.low) / (chart.high - chart.low)
    return _HEIGHT * (1 - min(1.0, max(0.0, share)))


def _tick_indices(count: int) -> list[int]:
    return sorted({round((count - 1) * share / 4) for share in range(5)}) if count else []
