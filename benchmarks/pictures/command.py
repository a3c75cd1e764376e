"""Draw the pictures of README and docs again.

    python -m benchmarks.pictures --data DATA [NAME ...]

DATA holds the folders `busi` and `bccd` of the tests. Without names all are drawn. Those of pages
need a chromium.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from benchmarks.pictures import layers, mfrs, pages, row, transforms
from medreward.files.atomic import write_text_atomic

DOCS = Path(__file__).parents[2] / "docs"
MOST_BYTES = 200_000

Draw = Callable[[Path, Path], None]  # (data, the file to write)


def as_text(svg: Callable[[], str]) -> Draw:
    """Return what writes an SVG that needs no data."""
    return lambda data, path: write_text_atomic(path, svg())


PICTURES: dict[str, Draw] = {
    "explanation/layers.svg": as_text(layers.svg),
    "reference/mfrs.svg": as_text(mfrs.svg),
    "explanation/row.png": row.draw_png,
    "reference/perception.jpg": transforms.draw,
    "reference/audit.png": pages.audit,
    "how-to/contact-sheet.png": pages.contact_sheet,
    "how-to/review-sheet.png": pages.review_sheet,
    "how-to/view.png": pages.view,
}


def main(arguments: list[str]) -> int:
    """Draw the pictures that are named, or all; return the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks.pictures", description=__doc__)
    parser.add_argument("name", nargs="*", help=f"some of {', '.join(PICTURES)}")
    parser.add_argument("--data", type=Path, required=True, help="folder with busi and bccd")
    given = parser.parse_args(arguments)
    unknown = set(given.name) - set(PICTURES)
    if unknown:
        parser.error(f"no such picture: {', '.join(sorted(unknown))}")
    for name in given.name or PICTURES:
        path = DOCS / name
        PICTURES[name](given.data, path)
        size = path.stat().st_size
        print(f"docs/{name}: {size / 1000:.0f} kB")
        if size > MOST_BYTES:
            print(f"docs/{name} is larger than {MOST_BYTES / 1000:.0f} kB")
            return 1
    return 0
