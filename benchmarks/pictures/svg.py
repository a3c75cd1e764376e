"""Boxes, arrows and texts as SVG, on a white card that reads in light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

INK, GREY, LIGHT, TEAL, ORANGE = "#222", "#777", "#e8eef0", "#00796b", "#c75a00"
_STYLE = f"""
text {{ font: 13px system-ui, 'DejaVu Sans', sans-serif; fill: {INK} }}
.small {{ font-size: 11px; fill: #555 }} .bold {{ font-weight: 600 }}
.code {{ font-family: ui-monospace, 'DejaVu Sans Mono', monospace; font-size: 11.5px }}
"""


def page(width: float, height: float, parts: Sequence[str], label: str) -> str:
    """Return a whole picture; the label is for readers who do not see it."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" aria-label="{escape(label)}">'
        f"<style>{_STYLE}</style>"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
        f'markerHeight="8" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="{GREY}"/></marker></defs>'
        f'<rect width="{width:g}" height="{height:g}" rx="8" fill="#fff"/>'
        + "".join(parts)
        + "</svg>\n"
    )


def text(x: float, y: float, said: str, style: str = "", anchor: str = "start") -> str:
    """Return one line of text."""
    return (
        f'<text x="{x:g}" y="{y:g}" class="{style}" text-anchor="{anchor}" '
        f'xml:space="preserve">{escape(said)}</text>'
    )


def box(
    x: float, y: float, width: float, height: float, fill: str = LIGHT, edge: str = TEAL
) -> str:
    """Return a rectangle with round corners."""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="5" fill="{fill}" '
        f'stroke="{edge}"/>'
    )


def arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    """Return a line with a tip."""
    return (
        f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{GREY}" stroke-width="1.5" '
        'marker-end="url(#tip)"/>'
    )


def turned(x: float, y: float, said: str, style: str = "") -> str:
    """Return one line of text that reads upwards."""
    return (
        f'<text transform="translate({x:g},{y:g}) rotate(-90)" class="{style}">'
        f"{escape(said)}</text>"
    )


def band(x: float, y: float, width: float, height: float, fill: str = "#f2f5f6") -> str:
    """Return a rectangle without an edge."""
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" fill="{fill}"/>'


def dot(x: float, y: float, radius: float, fill: str) -> str:
    """Return a disc."""
    return f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{fill}"/>'


def line(x1: float, x2: float, y: float) -> str:
    """Return a level line."""
    return f'<line x1="{x1:g}" x2="{x2:g}" y1="{y:g}" y2="{y:g}" stroke="{GREY}"/>'
