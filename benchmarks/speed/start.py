"""`import medreward`: how long it takes, and what it brings in."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmarks.speed.measure import Row

HEAVY = ("torch", "transformers", "trl", "verl", "ray", "numpy", "scipy", "pandas", "PIL")
RUNS = 9
_CODE = """
import json, sys, time
before = set(sys.modules)
start = time.perf_counter()
for name in {names}:
    __import__(name)
seconds = time.perf_counter() - start
new = [name for name, module in sys.modules.items() if getattr(module, "__spec__", None)]
print(json.dumps([seconds, [name for name in new if name not in before]]))
"""


class Import(NamedTuple):
    """The seconds of an import in a new process, and the modules that it brought."""

    seconds: float
    modules: list[str]


def imported(names: Sequence[str]) -> Import:
    code = _CODE.format(names=list(names))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return Import(*json.loads(done.stdout))


def rows(short: bool) -> Iterator[Row]:
    names = "import medreward", f"a new process, least of {RUNS}", "`import numpy`"
    found = imported(["medreward"]).modules
    assert not set(HEAVY).intersection(found), "a heavy module is imported"
    others = [name for name in found if name.partition(".")[0] != "medreward"]
    bound = f"the {len(others)} other modules that it needs"
    if short:
        yield Row(*names, math.nan, (), bound)
        return
    imports = (["medreward"], ["numpy"], others)
    runs = [[imported(each).seconds for each in imports] for _ in range(RUNS)]
    ratios = [theirs / ours for ours, theirs, _ in runs]
    yield Row(*names, min(run[0] for run in runs), ratios, bound, min(run[2] for run in runs))
