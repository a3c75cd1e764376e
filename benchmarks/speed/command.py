"""Compare medreward with what else one would use: ``python -m benchmarks.speed [--short]``.

The short form compares values only, on small inputs, and fails where they differ.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tqdm import tqdm

from benchmarks.speed import (
    bounds,
    boxes,
    chart,
    growth,
    labels,
    pictures,
    recitation,
    start,
    trainers,
    training,
    whole,
)
from benchmarks.speed.measure import Row, short_time, table
from medreward import Task
from medreward.files.atomic import write_text_atomic

TOPICS = {
    "recitation": recitation.rows,
    "whole": whole.rows,
    "boxes": boxes.rows,
    "labels": labels.rows,
    "start": start.rows,
    "trainers": trainers.rows,
    "pictures": pictures.rows,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="values only, no time")
    parser.add_argument("--topics", nargs="+", choices=TOPICS, default=list(TOPICS))
    parser.add_argument("--chart", type=Path, help="write the chart of growth to this SVG file")
    parser.add_argument("--verl", action="store_true", help="with verl's loop on Ray: a minute")
    parser.add_argument(
        "--training", action="store_true", help="with the reward's share of a demo's step: a minute"
    )
    arguments = parser.parse_args()
    rows: list[Row] = []
    for topic in tqdm(arguments.topics, desc="topics", disable=None):
        rows += TOPICS[topic](arguments.short)
    if arguments.short:
        print(f"{len(rows)} comparisons: values agree")
        return
    print(f"{table(rows)}\n\n{bounds.table(bounds.rates())}")
    print_memory()
    print_misread()
    if arguments.verl:
        for way, seconds in trainers.verl().items():
            print(f"verl's loop on Ray, one worker, {way}: {short_time(seconds)} a sample")
    if arguments.training:
        print(training.summary(training.measured(), training.long_completions()))
    if arguments.chart:
        curves = list(growth.curves())
        for curve in curves:
            print(f"{curve.name}: exponent {curve.exponent:.2f} over the upper half")
        write_text_atomic(arguments.chart, chart.svg(curves))


def print_memory() -> None:
    found = whole.memory()
    print(
        f"\n{whole.PROMPTS * whole.GROUP:,} completions ({found['mb']:.1f} MB of text): "
        f"{found['seconds']:.2f} s of processor time; the peak rises by {found['rss_mb']:.1f} MB, "
        f"{found['peak_mb']:.1f} MB by tracemalloc"
    )


def print_misread() -> None:
    for name in labels.TASKS:
        count, ours, theirs = labels.wrong_by(Task.load(name))
        print(f"{name}: {count} denied or open answers; paid by medreward {ours}, them {theirs}")
