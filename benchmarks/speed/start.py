"""`import medreward`: how long it takes, and what it brings in."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from statistics import median
from typing import Any

from benchmarks.speed.measure import Row

HEAVY = ("torch", "transformers", "trl", "verl", "ray", "numpy", "scipy", "pandas", "PIL")
RUNS = 9
_CODE = """
import json, sys, time
start = time.perf_counter()
import {module}
seconds = time.perf_counter() - start
print(json.dumps([seconds, [name for name in {heavy} if name in sys.modules]]))
"""


def imported(module: str) -> Any:
    """Return the seconds of an import in a new process, and the heavy modules it brought."""
    code = _CODE.format(module=module, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def rows(short: bool) -> Iterator[Row]:
    names = "import medreward", f"a new process, least of {RUNS}", "`import numpy`"
    bound = "reading and running 30 modules, rapidfuzz among them"
    assert imported("medreward")[1] == [], "a heavy module is imported"
    if short:
        yield Row(*names, math.nan, (), bound)
        return
    runs = [(imported("medreward")[0], imported("numpy")[0]) for _ in range(RUNS)]
    ratios = [theirs / ours for ours, theirs in runs]
    assert median(ratios) > 0
    yield Row(*names, min(ours for ours, _ in runs), ratios, bound)
