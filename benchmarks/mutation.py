"""Mutation testing of the rewards: mutmut writes the mutants, this runs the tests on them.

mutmut starts pytest anew for each mutant, which takes seconds with a thousand collected tests.
This collects them once and forks a process per mutant that runs the tests that reach the mutated
function until one fails: those first that killed mutants before, then the fastest. No test has run
before the fork, so no cache is warm.
What is mutated, and by which tests it is judged, stands in pyproject.toml.

    python benchmarks/mutation.py 'medreward.kinds.ordinal.*' 'medreward.task.task.*'
    python benchmarks/mutation.py 'medreward.language.*' --sample 300 --seed 1
    python -m mutmut show medreward.kinds.ordinal.x_read_grade__mutmut_8
"""

from __future__ import annotations

import argparse
import fnmatch
import gc
import json
import mmap
import os
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol
from mutmut import __main__ as mutmut
from mutmut.configuration import config
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state
from scipy.stats import binomtest
from tqdm import tqdm

KILLED, SURVIVED, TIMED_OUT, UNTESTED = "killed", "survived", "timed out", "untested"
CRASHED = 3
SECONDS = 240  # of processor time: several times what all tests take, on a busy machine too


def written_mutants() -> list[str]:
    """Write the mutants into mutants/ and return their names."""
    Path("mutants").mkdir(exist_ok=True)
    set_mutant_under_test("mutant_generation")
    mutmut.copy_src_dir()
    mutmut.copy_also_copy_files()
    mutmut.setup_source_paths()
    mutmut.create_mutants(1)
    metas = sorted(Path("mutants").rglob("*.py.meta"))
    return [name for meta in metas for name in json.loads(meta.read_text())["exit_code_by_key"]]


def passes(item: pytest.Item, following: pytest.Item | None) -> bool:
    return not any(report.failed for report in runtestprotocol(item, log=False, nextitem=following))


def in_a_fork(work: Callable[[], int], seconds: int) -> int:
    """Return the exit status of `work` in a process of its own; negative: a signal ended it."""
    child = os.fork()
    if not child:
        status = CRASHED
        try:
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 1)
            os.dup2(silence, 2)
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
            status = work()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def reach(items: list[pytest.Item], out: Path) -> int:
    """Write which tests reach each function, the fastest first; 1 where one of them fails."""
    set_mutant_under_test("stats")
    reached: dict[str, list[tuple[float, int]]] = {}
    failed = []
    for i, (item, following) in enumerate(zip(items, [*items[1:], None], strict=True)):
        start = time.perf_counter()
        if not passes(item, following):
            failed.append(item.nodeid)
        for function in state()._stats:
            reached.setdefault(function, []).append((time.perf_counter() - start, i))
        state()._stats.clear()
    tests = {name: [i for _, i in sorted(found)] for name, found in reached.items()}
    out.write_text(json.dumps(failed or tests))
    return int(bool(failed))


def outcome(mutant: str, items: list[pytest.Item]) -> tuple[str, int]:
    """Return what tests make of a mutant, and which one failed; "" is the unchanged code."""
    failed = mmap.mmap(-1, 4)  # shared with the fork

    def work() -> int:
        set_mutant_under_test(mutant)
        for i, (item, following) in enumerate(zip(items, [*items[1:], None], strict=True)):
            failed[:] = i.to_bytes(4)  # before it runs, as it may end the process
            if not passes(item, following):
                return 1
        return 0

    status = in_a_fork(work, SECONDS)
    if status == CRASHED:
        raise RuntimeError(f"{mutant}: the run of its tests broke")
    found = SURVIVED if status == 0 else TIMED_OUT if status < 0 else KILLED
    return found, int.from_bytes(failed)


class Mutations:
    """A pytest plugin whose loop runs the collected tests once per mutant."""

    def __init__(self, names: list[str], out: Path) -> None:
        self.names, self.out = names, out
        self.outcomes: dict[str, str] = {}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        # Not before: it would be the medreward without mutants.
        from medreward.files.atomic import write_text_atomic

        gc.freeze()
        reached = Path("reached.json").absolute()
        if in_a_fork(lambda: reach(session.items, reached), 10 * SECONDS):
            raise pytest.UsageError(f"tests fail on the unchanged code: {reached.read_text()}")
        if outcome("", session.items)[0] != SURVIVED:
            raise pytest.UsageError("tests fail on the unchanged code, or take too long")
        tests: dict[str, list[int]] = json.loads(reached.read_text())
        kills: Counter[int] = Counter()
        for name in tqdm(self.names, disable=None):
            # `sorted` is stable: of equal ones, the fastest first.
            order = sorted(tests.get(name.rpartition("__mutmut_")[0], []), key=lambda i: -kills[i])
            found, last = UNTESTED, 0
            if order:
                found, last = outcome(name, [session.items[i] for i in order])
            if found == KILLED:
                kills[order[last]] += 1
            self.outcomes[name] = found
            write_text_atomic(self.out, json.dumps(self.outcomes, indent=0))
        return True


def report(outcomes: dict[str, str]) -> None:
    """Print the survivors, then how many mutants of each module were killed."""
    modules: dict[str, Counter[str]] = {}
    for name, found in outcomes.items():
        module, _, _ = name.rpartition(".")
        modules.setdefault(module, Counter())[found] += 1
        if found != KILLED:
            print(f"{found}: {name}")
    for module, counts in modules.items():
        killed = counts[KILLED] + counts[TIMED_OUT]
        print(f"{module}: {killed} of {counts.total()} killed ({killed / counts.total():.1%})")
    counts = sum(modules.values(), Counter())
    killed, of = counts[KILLED] + counts[TIMED_OUT], counts.total()
    low, high = binomtest(killed, of).proportion_ci(method="wilson")
    print(f"all: {killed} of {of} killed ({killed / of:.1%}, {low:.1%} to {high:.1%})")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", default=["*"], help="patterns of mutants' names")
    parser.add_argument("--sample", type=int, help="so many of them, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default: 0)")
    parser.add_argument("--tests", nargs="+", help="only these; what they spare, others may kill")
    parser.add_argument("--out", default="build/mutation.json", type=Path)
    arguments = parser.parse_args()
    os.environ.setdefault("HYPOTHESIS_PROFILE", "mutation")
    written = written_mutants()
    # In the order of the patterns, each mutant once.
    names = list(
        dict.fromkeys(n for pattern in arguments.only for n in fnmatch.filter(written, pattern))
    )
    if arguments.sample is not None and arguments.sample < len(names):
        drawn = random.Random(arguments.seed).sample(names, arguments.sample)
        names = sorted(drawn, key=names.index)
    out = arguments.out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    mutations = Mutations(names, out)
    os.chdir("mutants")
    tests = arguments.tests or config().pytest_add_cli_args_test_selection
    options = ["-q", "-s", "--rootdir=.", *config().pytest_add_cli_args]
    status = pytest.main([*options, *tests], plugins=[mutations])
    report(mutations.outcomes)
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
