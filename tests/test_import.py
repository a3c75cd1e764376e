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
# What the rewards need; the time that this takes is measured in benchmarks/, never in a test.
NEEDED = {"medreward", "rapidfuzz", "cython_runtime"}
LOADED = """
import json, sys
before = set(sys.modules)
import medreward
names = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps(sorted(names - sys.stdlib_module_names)))
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


def test_scoring_brings_in_numpy_and_nothing_else_that_is_heavy() -> None:
    assert json.loads(run(USED)) == ["numpy"]


def test_import_brings_in_no_more_than_it_needs() -> None:
    loaded = {name for name in json.loads(run(LOADED)) if not name.startswith("_")}
    assert loaded <= NEEDED
