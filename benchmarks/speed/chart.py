"""Curves of growth as an SVG of small panels, both axes logarithmic, in light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from benchmarks.speed.growth import Curve
from benchmarks.speed.measure import short_time

WIDTH, HEIGHT, LEFT, TOP, BOTTOM, COLUMNS = 330, 230, 62, 44, 34, 3
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #333 }
.title { font-weight: 600 }
.grid { stroke: #ddd } .curve { stroke: #1663c7; fill: none; stroke-width: 2 }
.linear { stroke: #999; stroke-dasharray: 4 4 } .dot { fill: #1663c7 } .page { fill: #fff }
@media (prefers-color-scheme: dark) {
  text { fill: #ddd } .grid { stroke: #444 } .page { fill: #1b1b1f }
  .curve { stroke: #7db4ff } .dot { fill: #7db4ff } .linear { stroke: #888 }
}
"""


def svg(curves: Sequence[Curve]) -> str:
    """Return the panels; the dashed line is linear growth through the last point."""
    rows = -(-len(curves) // COLUMNS)
    width, height = COLUMNS * WIDTH, rows * HEIGHT
    panels = "".join(
        f'<g transform="translate({i % COLUMNS * WIDTH},{i // COLUMNS * HEIGHT})">{_panel(c)}</g>'
        for i, c in enumerate(curves)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="time against size"><style>{_STYLE}</style>'
        f'<rect class="page" width="{width}" height="{height}"/>{panels}</svg>\n'
    )


def _panel(curve: Curve) -> str:
    low, high = _decades(curve.seconds)
    first, last = math.log10(curve.sizes[0]), math.log10(curve.sizes[-1])

    def x(size: float) -> float:
        return LEFT + (WIDTH - LEFT - 24) * (math.log10(size) - first) / (last - first)

    def y(seconds: float) -> float:
        share = (math.log10(seconds) - low) / (high - low)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(1.0, max(0.0, share))

    parts = [
        f'<text class="title" x="{LEFT}" y="16">{escape(curve.name)}</text>',
        f'<text x="{LEFT}" y="32">exponent {curve.exponent:.2f}</text>',
    ]
    for power in range(low, high + 1):
        at = y(10.0**power)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 24}" y1="{at:.1f}" y2="{at:.1f}"/>'
        )
        label = short_time(10.0**power)
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{label}</text>')
    for size in (curve.sizes[0], curve.sizes[len(curve.sizes) // 2], curve.sizes[-1]):
        label = f"{size:,} {curve.unit}".strip()
        parts.append(
            f'<text x="{x(size):.1f}" y="{HEIGHT - 14}" text-anchor="middle">{label}</text>'
        )
    start = max(curve.sizes[0], curve.sizes[-1] * 10**low / curve.seconds[-1])
    level = curve.seconds[-1] * start / curve.sizes[-1]
    parts.append(
        f'<line class="linear" x1="{x(start):.1f}" y1="{y(level):.1f}" '
        f'x2="{x(curve.sizes[-1]):.1f}" y2="{y(curve.seconds[-1]):.1f}"/>'
    )
    places = [(x(k), y(s)) for k, s in zip(curve.sizes, curve.seconds, strict=True)]
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
    parts.append(f'<polyline class="curve" points="{line}"/>')
    parts += [f'<circle class="dot" cx="{a:.1f}" cy="{b:.1f}" r="3"/>' for a, b in places]
    return "".join(parts)


def _decades(seconds: Sequence[float]) -> tuple[int, int]:
    low, high = math.floor(math.log10(min(seconds))), math.ceil(math.log10(max(seconds)))
    return low, max(high, low + 1)
