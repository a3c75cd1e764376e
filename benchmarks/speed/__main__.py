"""Compare medreward with what else one would use: ``python -m benchmarks.speed [--short]``.

The short form compares values only, on small inputs, and fails where they differ.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

sys.path.append(str(Path(__file__).parents[2]))

from benchmarks.speed import boxes, labels, recitation, start, trainers, whole
from benchmarks.speed.measure import Row, table

TOPICS = {
    "recitation": recitation.rows,
    "whole": whole.rows,
    "boxes": boxes.rows,
    "labels": labels.rows,
    "start": start.rows,
    "trainers": trainers.rows,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="values only, no time")
    parser.add_argument("--topics", nargs="+", choices=TOPICS, default=list(TOPICS))
    arguments = parser.parse_args()
    rows: list[Row] = []
    for topic in tqdm(arguments.topics, desc="topics", disable=None):
        rows += TOPICS[topic](arguments.short)
    if arguments.short:
        print(f"{len(rows)} comparisons: values agree")
        return
    print(table(rows))


if __name__ == "__main__":
    main()
