"""Who imports whom: a table of the packages, read from the code as the tests read it."""

from __future__ import annotations

from benchmarks.pictures import svg as draw
from tests.test_architecture import IMPORTS, LAYERS, RANK

LEFT, TOP, CELL, FOOT = 150, 150, 26, 62
NAMES = [name for layer in reversed(LAYERS) for name in layer]


def edges() -> set[tuple[str, str]]:
    """Return each (importing package, imported package)."""
    found = {
        (name.partition(".")[0], other.partition(".")[0])
        for name, others in IMPORTS.items()
        for other in others
    }
    return {(here, there) for here, there in found if here != there}


def svg() -> str:
    """Return the picture."""
    size = len(NAMES) * CELL
    parts = [draw.text(16, 26, "Who imports whom in medreward", "bold")]
    for i, name in enumerate(NAMES):
        at = TOP + i * CELL
        style = "bold" if name == "kinds" else ""
        if RANK[name] % 2:
            parts.append(draw.band(16, at, LEFT + size - 16, CELL))
        parts += [
            draw.text(24, at + 17, str(RANK[name]), "small"),
            draw.text(LEFT - 10, at + 17, name, style, "end"),
            draw.turned(LEFT + i * CELL + 17, TOP - 10, name, style),
            draw.band(LEFT + i * CELL, at, CELL, CELL, "#c9d3d6"),
        ]
    for here, there in sorted(edges()):
        x, y = (NAMES.index(name) * CELL + CELL / 2 for name in (there, here))
        colour = draw.ORANGE if RANK[there] >= RANK[here] else draw.TEAL
        parts.append(draw.dot(LEFT + x, TOP + y, 6, colour))
    bottom = TOP + size
    parts += [
        draw.text(16, TOP - 10, "layer", "small"),
        draw.text(
            16,
            bottom + 24,
            "Read a row from left to right: the package imports those with a dot.",
            "small",
        ),
        draw.text(
            16,
            bottom + 42,
            "All dots are right of the grey line: a package imports from the "
            "layers below its own, never up.",
            "small",
        ),
    ]
    width = LEFT + size + 24
    return draw.page(width, bottom + FOOT, parts, "Which package of medreward imports which")
