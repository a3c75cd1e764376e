"""How the time of a score grows with the length of the text: ratios from one doubling to the next.

Linear work doubles with the text (ratio 2), quadratic work quadruples (ratio 4). Each cell is the
best of three runs, in processor time. Longer answers than a mask may have are refused, which would
hide how the reading of masks grows, so that limit is lifted here:

    python benchmarks/linear.py [--from-kb 64] [--to-kb 4096] [--json FILE]

Then, of each kind of task, answers of 3,000 and 24,000 characters in which words of denial and
doubt, pairs of them, special characters, tags and brackets are repeated (`linear_answers`); those
whose time grows more than twice as much as their length are named, and the exit status is 1. By
themselves, or with every pair, which takes an hour or two:

    python benchmarks/linear.py --only answers [--pairs 1000 | --pairs all] [--kind ordinal …]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from time import process_time
from typing import Any
from unittest.mock import patch

from tqdm import tqdm

from medreward import RewardSettings, Task
from medreward.kinds import segmentation as masks
from medreward.scoring.scorer import Scorer

sys.path.insert(0, str(Path(__file__).parent.parent))
RUNS = 3
# Less than this is noise on a busy machine, and says nothing of how the time grows.
_MEASURABLE = 0.005
# The target, and an answer that can be read, so that recitation is counted.
TASKS: dict[str, tuple[Any, str]] = {
    "pneumoniamnist": ("pneumonia", "pneumonia"),
    "retinamnist": (2, "2"),
    "chestmnist": ({0, 2}, "effusion"),
    "mni152_brain_box": ([[10, 10, 50, 50]], "[[10, 10, 50, 50]]"),
    "grounding_point": ([[10, 10, 50, 50]], "[[30, 30]]"),
}
# What stands before and after what is repeated; {} is the answer.
FRAMES = {
    "alone": ("", ""),
    "reasoning": ("<think>", "</think><answer>{}</answer>"),
    "answer": ("<think>x</think><answer>", "</answer>"),
}
# What is repeated, and where.
SHAPES = {
    "open tags": ("<think>", "alone"),
    "closed tags": ("</answer>", "alone"),
    "elements": ("<think>x</think>", "alone"),
    "answers": ("<answer>2</answer>", "alone"),
    "brackets": ("<", "alone"),
    "tag-like": ("<answe", "alone"),
    "words of the knowledge": ("opacity lung grade box ", "reasoning"),
    "one letter": ("a", "reasoning"),
    "accents": ("\u0301", "reasoning"),
    "accents of two classes": ("a\u0323\u0301", "reasoning"),
    "invisible": ("\u200b", "reasoning"),
    "line breaks": ("\n", "reasoning"),
    "white space at the end": (" ", "alone"),
    "long answer": ("not pneumonia or ", "answer"),
    "long answer of digits": ("2", "answer"),
    "long answer of boxes": ("[10, 10, 50, 50], ", "answer"),
    "long answer of points": ("[30, 30], ", "answer"),
    "long answer of lists": ("[", "answer"),
}
# Answers to the segmentation task: how they begin, what is repeated, how they end.
SEGMENTATION = Task("segmentation", kind="segmentation", reward=RewardSettings(delta=0.0))
SQUARE = {"polygons": [[200, 200, 800, 200, 800, 800, 200, 800]], "size": [1024, 1024]}
_PACKED, _LISTED = '{"size": [1024, 1024], "counts": "', '{"size": [1024, 1024], "counts": ['
MASKS = {
    "packed runs of 0": (_PACKED, "0", '"}'),
    "packed runs of 1": (_PACKED, "1", '"}'),
    "packed run without end": (_PACKED, "o", '"}'),
    "listed runs of 0": (_LISTED, "0,", "1048576]}"),
    "listed runs of 1": (_LISTED, "1,", "1]}"),
    "many run lengths": ("[", _LISTED + "1048576]},", "[]]"),
    "one polygon of many corners": ("[", "10,10,20,20,", "10,20]"),
    "one polygon of many points": ("[", "[10,10],", "[10,20]]"),
    "many polygons": ("[", "[10,10,20,10,20,20],", "[]]"),
    "empty lists": ("[", "[],", "[]]"),
    "open lists": ("", "[", ""),
    "digits of a number": ("[", "1", "]"),
    "fields of an object": ("{", '"polygons": [],', '"polygons": []}'),
    "code fences": ("", "```json ", ""),
    "words": ("", "no lesion ", ""),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--from-kb", type=int, default=64)
    parser.add_argument("--to-kb", type=int, default=4096)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", choices=("texts", "answers"))
    parser.add_argument("--pairs", default="1000", help="of each kind, or all")
    parser.add_argument("--kind", action="append", help="of answers: one of the kinds")
    arguments = parser.parse_args()
    if arguments.only != "answers":
        measure_texts(arguments)
    if arguments.only != "texts" and measure_answers(arguments):
        sys.exit(1)


def measure_texts(arguments: argparse.Namespace) -> None:
    sizes = list(doublings(arguments.from_kb, arguments.to_kb))
    cells = [(task, shape) for task in TASKS for shape in SHAPES]
    cells += [(SEGMENTATION.name, shape) for shape in MASKS]
    with patch.object(masks, "MAX_LENGTH", 2**30):
        rows = [measured(task, shape, sizes) for task, shape in tqdm(cells, disable=None)]
    heads = " ".join(f"{kb:>6}" for kb in sizes)
    print(f"{'task':18}{'shape':29}ms at KB: {heads}   ratios, then the slope of log time")
    for row in rows:
        times = " ".join(f"{1000 * t:6.1f}" for t in row["seconds"])
        ratios = " ".join(f"{r:4.2f}" for r in row["ratios"]) or "too fast to tell"
        print(f"{row['task']:18}{row['shape']:29}          {times}   {ratios}  {row['slope']:.2f}")
    slopes = [row["slope"] for row in rows if not math.isnan(row["slope"])]
    worst = max((r for row in rows for r in row["ratios"]), default=math.nan)
    slopest = max(slopes, default=math.nan)
    print(f"{len(rows)} shapes; largest ratio {worst:.2f}, largest slope {slopest:.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"sizes_kb": sizes, "rows": rows}, indent=1))


def measure_answers(arguments: argparse.Namespace) -> int:
    """Print how reading grows for each kind; return how many shapes grow faster than length."""
    from benchmarks import linear_answers as answers

    found = 0
    pairs = None if arguments.pairs == "all" else int(arguments.pairs)
    with answers.unlimited():
        for kind in tqdm(arguments.kind or answers.EXAMPLES, disable=None):
            count, longest, faster = answers.measure_kind(kind, pairs)
            found += len(faster)
            print(
                f"{kind:18}{count:6} answers; {answers.LONG} characters take at most "
                f"{1000 * longest:.0f} ms; {len(faster)} grow faster than their length",
                flush=True,
            )
            for grown, shape in faster:
                print(f"    {grown:.1f} times as fast: {shape}")
    return found


def doublings(first: int, last: int) -> Iterator[int]:
    while first <= last:
        yield first
        first *= 2


def measured(task: str, shape: str, sizes: list[int]) -> dict[str, Any]:
    """Return the seconds at each size, the ratios of neighbours that are measurable, the slope."""
    scorer, target, (before, unit, after) = _texts(task, shape)
    texts = [before + unit * (kb * 1024 // len(unit.encode())) + after for kb in sizes]
    seconds = [fastest(scorer, text, target) for text in texts]
    pairs = [(a, b) for a, b in pairwise(seconds) if a >= _MEASURABLE]
    return {
        "task": task,
        "shape": shape,
        "seconds": seconds,
        "ratios": [b / a for a, b in pairs],
        "slope": slope(sizes, seconds),
    }


def _texts(task: str, shape: str) -> tuple[Scorer, Any, tuple[str, str, str]]:
    """Return a task's scorer, its target, and what stands before, is repeated and comes after."""
    if task == SEGMENTATION.name:
        before, unit, after = MASKS[shape]
        before, after = f"<think>x</think><answer>{before}", f"{after}</answer>"
        return Scorer(SEGMENTATION), SEGMENTATION.parse_target(SQUARE), (before, unit, after)
    unit, frame = SHAPES[shape]
    target, answer = TASKS[task]
    before, after = (part.format(answer) for part in FRAMES[frame])
    return Scorer(Task.load(task)), target, (before, unit, after)


def fastest(scorer: Scorer, text: str, target: Any) -> float:
    runs = []
    for _ in range(RUNS):
        start = process_time()
        scorer.score(text, target)
        runs.append(process_time() - start)
    return min(runs)


def slope(sizes: list[int], seconds: list[float], least: float = _MEASURABLE) -> float:
    """Return the exponent of growth over the measurable sizes: 1 is linear, 2 quadratic."""
    points = [(math.log(k), math.log(s)) for k, s in zip(sizes, seconds, strict=True) if s >= least]
    if len(points) < 3:
        return math.nan
    mx, my = (sum(axis) / len(points) for axis in zip(*points, strict=True))
    return sum((x - mx) * (y - my) for x, y in points) / sum((x - mx) ** 2 for x, _ in points)


if __name__ == "__main__":
    main()
