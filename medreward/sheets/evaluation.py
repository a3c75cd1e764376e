"""What completions are worth, as one self-contained HTML page: bars, confusion, worst errors.

The page needs no network, script or mouse, reads in light and dark and on paper, and shows every
text of rows and completions escaped. It is given numbers and pictures, and works none out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medreward.files.atomic import write_text_atomic
from medreward.sheets.report import page
from medreward.sheets.view import Drawing
from medreward.text.reasons import REASONS


@dataclass(frozen=True)
class Bar:
    """A value with its interval, on a scale.

    Attributes:
        model: whose it is, "" where there is one model only.
        value: NaN for none.
        low: the lower end of the interval.
        high: the upper end.
        p: p-values that stand beside it, as they are shown (`EvaluationPage` heads them).
    """

    model: str
    value: float
    low: float
    high: float
    p: Sequence[str] = ()

    @property
    def known(self) -> bool:
        """Whether there is a value to draw."""
        return math.isfinite(self.value)

    @property
    def interval(self) -> bool:
        """Whether there is an interval to draw."""
        return math.isfinite(self.low) and math.isfinite(self.high)


@dataclass(frozen=True)
class BarRow:
    """A metric: a bar for each model, and marks for baselines.

    Attributes:
        name: its name.
        bars: a value for each model.
        marks: a value for each baseline.
        note: what stands below the name.
        span: the ends of the scale; None: those that the values need.
    """

    name: str
    bars: Sequence[Bar]
    marks: Sequence[float] = ()
    note: str = ""
    span: tuple[float, float] | None = None

    @property
    def scale(self) -> tuple[float, float]:
        """The ends of the scale: 0 and 1 where all values lie between them."""
        if self.span is not None:
            return self.span
        ends = [end for bar in self.bars for end in (bar.value, bar.low, bar.high)]
        # Rounding leaves a kappa of 0 below it.
        known = [round(end, 9) for end in (*ends, *self.marks) if math.isfinite(end)]
        return round_out(min([0.0, *known]), down=True), round_out(max([1.0, *known]), down=False)

    def place(self, value: float) -> float:
        """Return where a value stands on the scale, in percent of its length.

        >>> BarRow("", [Bar("", 0.5, -1, 1)]).place(0.5)
        75.0
        """
        low, high = self.scale
        return round(100 * (value - low) / (high - low), 2)


def round_out(value: float, *, down: bool) -> float:
    """Return an end of a scale: 0, 1, or the next number of one digit beyond the value."""
    if value in (0.0, 1.0):
        return value
    step = 10.0 ** math.floor(math.log10(abs(value)))
    return (math.floor if down else math.ceil)(value / step) * step


@dataclass(frozen=True)
class Confusion:
    """How often each truth was answered by each label.

    Attributes:
        model: whose answers.
        labels: the labels; what is not read has a column behind the last one.
        counts: a row for each truth.
    """

    model: str
    labels: Sequence[str]
    counts: Sequence[Sequence[int]]

    @property
    def shares(self) -> list[list[float]]:
        """The counts by the sum of their row."""
        return [[count / max(1, sum(row)) for count in row] for row in self.counts]


@dataclass(frozen=True)
class ReliabilityPlot:
    """How often answers are right, by how sure they are.

    Attributes:
        model: whose answers.
        bins: each with "from", "to", "rows", "confidence" and "right".
    """

    model: str
    bins: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class TextTable:
    """A table of texts: a heading, the names of its columns, its rows, a note."""

    heading: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True)
class ErrorCard:
    """An answer that is not right.

    Attributes:
        id: the row's.
        facts: what is known of it, by name.
        drawings: its pictures, with what is true and what was said over the first.
        truth: the right answer.
        read: what was read, None for nothing.
        unread: the first thing that was not understood.
        reasons: the codes.
        completion: the text.
    """

    id: str
    facts: Mapping[str, str]
    drawings: Sequence[Drawing]
    truth: str
    read: str | None
    unread: str
    reasons: Sequence[str]
    completion: str


@dataclass(frozen=True)
class TaskSection:
    """What the page shows of a task.

    Attributes:
        task: its name.
        rows: how many rows.
        notes: what a reader should know.
        signatures: of the rewards, each once.
        metrics: their bars.
        baselines: the names of their marks.
        parts: bars of the first metric by part of the rows.
        confusions: one for each model, where answers are one label.
        reliability: one for each model whose confidence is known.
        tables: of labels, reasons and suites.
        differences: bars by pair of models.
        readings: how to read the differences, by pair of models.
        errors: cards of each model.
    """

    task: str
    rows: int
    notes: Sequence[str]
    metrics: Sequence[BarRow]
    baselines: Sequence[str]
    parts: Mapping[str, Sequence[BarRow]] = field(default_factory=dict)
    confusions: Sequence[Confusion] = ()
    reliability: Sequence[ReliabilityPlot] = ()
    tables: Sequence[TextTable] = ()
    differences: Mapping[str, Sequence[BarRow]] = field(default_factory=dict)
    readings: Mapping[str, str] = field(default_factory=dict)
    signatures: Sequence[str] = ()
    errors: Mapping[str, Sequence[ErrorCard]] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluationPage:
    """Everything that the page shows.

    Attributes:
        title: its heading.
        facts: what the numbers come from, by name.
        sections: one for each task.
        intervals: what an interval is; stands above each table of metrics.
        tests: what the p-values are; stands above each table of differences.
        signed: what a signature says; stands below each task's.
    """

    title: str
    facts: Mapping[str, str]
    sections: Sequence[TaskSection]
    intervals: str = ""
    tests: str = ""
    signed: str = ""


def render_evaluation(content: EvaluationPage) -> str:
    """Return the page as HTML."""
    return page("evaluation.html.jinja", content=content, reasons=REASONS)


def write_evaluation(path: str | Path, content: EvaluationPage) -> None:
    """Write the page to a file, whole or not at all."""
    write_text_atomic(path, render_evaluation(content))
