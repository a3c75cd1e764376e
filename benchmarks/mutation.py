"""Mutation testing of the rewards: mutmut writes the mutants, this runs the tests on them.

mutmut starts pytest anew for each mutant, which takes seconds with a thousand collected tests.
This collects them once and forks a process per mutant that runs the tests that reach the mutated
function, the fastest first, until one fails. No test has run before the fork, so no cache is warm.

    HYPOTHESIS_PROFILE=mutation python benchmarks/mutation.py 'medreward.rewards.ordinal*'
"""

from __future__ import annotations

import argparse
import fnmatch
import gc
import json
import os
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from mutmut import __main__ as mutmut
from mutmut.configuration import config
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state
from tqdm import tqdm

KILLED, SURVIVED, TIMED_OUT, UNTESTED = "killed", "survived", "timed out", "untested"
CRASHED = 3


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


def passes(item: Any, following: Any) -> bool:
    return not any(report.failed for report in runtestprotocol(item, log=False, nextitem=following))


def in_a_fork(work: Any, seconds: float) -> int:
    """Return the exit status of `work` in a process of its own; -signal where one ended it."""
    child = os.fork()
    if not child:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        limit = int(seconds) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
        status = CRASHED
        try:
            status = work()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Mutations:
    """A pytest plugin whose loop runs the collected tests once per mutant."""

    def __init__(self, names: list[str], out: Path) -> None:
        self.names, self.out = names, out
        self.outcomes: dict[str, str] = {}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        gc.freeze()
        reached = Path("reached.json").absolute()
        if in_a_fork(lambda: self.reach(session.items, reached), 900):
            raise pytest.UsageError(f"tests fail on the unchanged code: {reached.read_text()}")
        tests: dict[str, list[int]] = json.loads(reached.read_text())
        if self.outcome("", session.items) != SURVIVED:
            raise pytest.UsageError("tests fail on the unchanged code in a fork")
        for name in tqdm(self.names, disable=None):
            items = [session.items[i] for i in tests.get(name.rpartition("__mutmut_")[0], [])]
            self.outcomes[name] = self.outcome(name, items)
            self.out.write_text(json.dumps(self.outcomes, indent=0))
        return True

    def reach(self, items: list[Any], out: Path) -> int:
        """Write which tests reach each function, the fastest first."""
        set_mutant_under_test("stats")
        reached: dict[str, list[tuple[float, int]]] = {}
        failed = []
        for i, item in enumerate(items):
            start = time.perf_counter()
            following = items[i + 1] if i + 1 < len(items) else None
            if not passes(item, following):
                failed.append(item.nodeid)
            for function in state()._stats:
                reached.setdefault(function, []).append((time.perf_counter() - start, i))
            state()._stats.clear()
        tests = {name: [i for _, i in sorted(found)] for name, found in reached.items()}
        out.write_text(json.dumps(failed or tests))
        return bool(failed)

    def outcome(self, name: str, items: list[Any]) -> str:
        if not items:
            return UNTESTED

        def work() -> int:
            set_mutant_under_test(name)
            following = [*items[1:], None]
            return int(not all(map(passes, items, following)))

        status = in_a_fork(work, 60)
        if status == CRASHED:
            raise RuntimeError(f"{name}: the run itself failed")
        return SURVIVED if status == 0 else TIMED_OUT if status < 0 else KILLED


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", default=["*"], help="patterns of mutants' names")
    parser.add_argument("--out", default="build/mutation.json", type=Path)
    arguments = parser.parse_args()
    written = written_mutants()
    # In the order of the patterns, each mutant once.
    chosen = [n for pattern in arguments.only for n in fnmatch.filter(written, pattern)]
    names = list(dict.fromkeys(chosen))
    out = arguments.out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    mutations = Mutations(names, out)
    os.chdir("mutants")
    tests = [*config().pytest_add_cli_args, *config().pytest_add_cli_args_test_selection]
    status = pytest.main(["-q", "-s", "--rootdir=.", *tests], plugins=[mutations])
    modules = {name: name.partition(".x")[0] for name in names}
    for module in dict.fromkeys(modules.values()):
        found = Counter(o for name, o in mutations.outcomes.items() if modules[name] == module)
        print(f"{module}: {found.total() - found[SURVIVED] - found[UNTESTED]} of {found.total()} {dict(found)}")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
