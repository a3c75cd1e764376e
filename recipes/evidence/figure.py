"""What GRPO's steps gave -> a figure: a panel for each measure, a line for each arm and seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from recipes.evidence.studies import Study
from recipes.evidence.table import DYNAMICS, ArmRuns, read_arms

_WIDTH, _HEIGHT, _ACROSS = 260, 160, 3
_LEFT, _TOP, _GAP = 58, 28, 56
_PARTS = {
    "part/accuracy": "R_accuracy",
    "part/format": "format",
    "part/recitation": "recitation, with its sign",
}
# Okabe and Ito's colours, which the colour-blind tell apart; dashes tell them apart without colour.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#a05000")
_DASHES = ("", "7 3", "2 3", "9 3 2 3", "", "7 3", "2 3", "9 3 2 3")
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #333 }
.title { font-weight: 600 } .page { fill: #fff }
.axis { stroke: #999 } .grid { stroke: #e3e3e3 }
.mean { fill: none; stroke-width: 2.5 } .seed { fill: none; stroke-width: 1; opacity: .5 }
@media (prefers-color-scheme: dark) {
  text { fill: #ddd } .page { fill: #1b1b1f } .grid { stroke: #3a3a3f } .axis { stroke: #777 }
}
"""


class _Panel(NamedTuple):
    """One measure.

    Attributes:
        name: the measure's.
        arms: each with a line of values for each seed.
        low: the least value that is drawn.
        high: the largest.
    """

    name: str
    arms: Sequence[tuple[str, Sequence[Sequence[float]]]]
    low: float
    high: float


def figure(name: str, study: Study, out: Path) -> str:
    """Return the steps of a study's finished arms as SVG: thick the mean, thin the seeds.

    Raises:
        ConfigError: if no arm is finished.
    """
    arms = [runs for runs in read_arms(name, study, out) if runs.steps]
    panels = [*_panels(arms)]
    rows = -(-len(panels) // _ACROSS)
    width = _ACROSS * (_WIDTH + _GAP) + _LEFT
    legend = [*_legend([runs.name for runs in arms], width)]
    top = 16 + 20 * -(-len(arms) // _ACROSS)
    height = top + rows * (_HEIGHT + _TOP + _GAP)
    drawn = [
        f'<g transform="translate({_LEFT + number % _ACROSS * (_WIDTH + _GAP)} '
        f'{top + _TOP + number // _ACROSS * (_HEIGHT + _TOP + _GAP)})">'
        + "".join(_draw(panel))
        + "</g>"
        for number, panel in enumerate(panels)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(study.question)}"><style>{_STYLE}</style>'
        f'<rect class="page" width="{width}" height="{height}"/>{"".join(legend)}'
        f"{''.join(drawn)}</svg>\n"
    )


def _panels(arms: Sequence[ArmRuns]) -> Iterator[_Panel]:
    for key, title in (DYNAMICS | _PARTS).items():
        lines = [
            (runs.name, [[float(row[key]) for row in steps] for steps in runs.steps.values()])
            for runs in arms
            if all(key in row for steps in runs.steps.values() for row in steps)
        ]
        values = [value for _, seeds in lines for line in seeds for value in line]
        if values and (any(values) or title == "unreadable"):
            low, high = min(0.0, *values), max(values)
            yield _Panel(title, lines, low, high if high > low else low + 1)


def _draw(panel: _Panel) -> Iterator[str]:
    longest = max(len(line) for _, seeds in panel.arms for line in seeds)
    for share in (0.0, 0.5, 1.0):
        y, value = _HEIGHT * (1 - share), panel.low + share * (panel.high - panel.low)
        yield f'<line class="grid" x1="0" x2="{_WIDTH}" y1="{y:.0f}" y2="{y:.0f}"/>'
        yield f'<text x="-6" y="{y + 4:.0f}" text-anchor="end">{value:.2g}</text>'
    yield f'<line class="axis" x1="0" x2="{_WIDTH}" y1="{_HEIGHT}" y2="{_HEIGHT}"/>'
    for step, anchor in ((1, "start"), (longest, "end")):
        x = 0 if step == 1 else _WIDTH
        yield f'<text x="{x}" y="{_HEIGHT + 16}" text-anchor="{anchor}">step {step}</text>'
    yield f'<text class="title" x="0" y="-10">{escape(panel.name)}</text>'
    for number, (_, seeds) in enumerate(panel.arms):
        for line in seeds:
            yield _line(line, panel, longest, number, "seed")
        steps = range(max(map(len, seeds)))
        means = [_mean([line[i] for line in seeds if i < len(line)]) for i in steps]
        yield _line(means, panel, longest, number, "mean")


def _line(values: Sequence[float], panel: _Panel, longest: int, number: int, kind: str) -> str:
    points = " ".join(
        f"{_WIDTH * i / max(1, longest - 1):.1f},"
        f"{_HEIGHT * (1 - (value - panel.low) / (panel.high - panel.low)):.1f}"
        for i, value in enumerate(values)
    )
    return f'<polyline class="{kind}" {_stroke(number)} points="{points}"/>'


def _stroke(number: int) -> str:
    colour, dash = _COLOURS[number % len(_COLOURS)], _DASHES[number % len(_DASHES)]
    return f'stroke="{colour}" stroke-dasharray="{dash}"'


def _legend(names: Sequence[str], width: int) -> Iterator[str]:
    """Yield a stroke and a text for each arm."""
    for number, name in enumerate(names):
        x = _LEFT + number % _ACROSS * (width - _LEFT) // _ACROSS
        y = 16 + 20 * (number // _ACROSS)
        yield f'<line class="mean" {_stroke(number)} x1="{x}" x2="{x + 34}" y1="{y}" y2="{y}"/>'
        yield f'<text x="{x + 40}" y="{y + 4}">{escape(name)}</text>'


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
