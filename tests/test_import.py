"""Importing medreward is quick and brings in nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = (
    "torch",
    "transformers",
    "trl",
    "verl",
    "ray",
    "numpy",
    "scipy",
    "pandas",
    "PIL",
    "sklearn",
)
TIMED = """
import sys, time
start = time.perf_counter()
import medreward
print(time.perf_counter() - start)
"""
USED = f"""
import json, sys
import medreward
text = "<think>x</think><answer>2</answer>"
medreward.shaped_reward([text], [2], task="retinamnist")
print(json.dumps([name for name in {HEAVY} if name in sys.modules]))
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_nothing_heavy_is_imported_even_to_score() -> None:
    assert json.loads(run(USED)) == []


def test_import_takes_under_a_fifth_of_a_second() -> None:
    assert min(float(run(TIMED)) for _ in range(5)) < 0.2
