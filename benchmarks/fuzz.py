"""Fuzz every parser and reward for as long as one likes; finds what tests/test_fuzz.py would not.

    python benchmarks/fuzz.py [--minutes 10] [--property score …] [--engine auto]

With atheris (``pip install atheris``) the search is guided by coverage of medreward's code;
without it hypothesis draws examples. Each broken property is printed once, with the bytes that
break it and the place, and the run goes on. Exit status 1 where something was found.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
_REPORT_EVERY = 30.0  # seconds
_MAX_LENGTH = 400  # bytes


class Run:
    """Counts executions and keeps one example of each finding until the time is up."""

    def __init__(self, names: list[str], minutes: float) -> None:
        from tests.fuzzing import PROPERTIES

        self.properties = [(name, PROPERTIES[name]) for name in names or PROPERTIES]
        self.started = time.monotonic()
        self.ends = self.started + 60 * minutes
        self.reported = self.started
        self.executions = 0
        self.findings: dict[str, tuple[bytes, str]] = {}

    def one(self, data: bytes) -> None:
        """Check one property, which the first byte chooses, on the other bytes."""
        name, holds = (
            self.properties[data[0] % len(self.properties)] if data else self.properties[0]
        )
        self.executions += 1
        try:
            holds(data[1:])
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            self.note(name, data[1:], error)
        now = time.monotonic()
        if now - self.reported > _REPORT_EVERY:
            self.reported = now
            print(f"{now - self.started:.0f} s: {self.summary()}", flush=True)

    def note(self, name: str, data: bytes, error: Exception) -> None:
        """Keep the shortest bytes for each place that raises."""
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{name}: {type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
        if place not in self.findings or len(data) < len(self.findings[place][0]):
            new = place not in self.findings
            self.findings[place] = data, f"{type(error).__name__}: {error}"[:300]
            if new:
                print(f"FOUND {place}: {error}\n  {data!r}", flush=True)

    @property
    def over(self) -> bool:
        return time.monotonic() > self.ends

    def summary(self) -> str:
        return f"{self.executions} executions, {len(self.findings)} findings"

    def finish(self) -> int:
        for place, (data, message) in self.findings.items():
            print(f"\n{place}\n  {message}\n  {data!r}")
        seconds, busy = time.monotonic() - self.started, time.process_time()
        rate = self.executions / max(busy, 1e-9)
        print(f"\n{seconds:.0f} s, {busy:.0f} s of processor time, {rate:.0f}/s: {self.summary()}")
        return 1 if self.findings else 0


def guided(names: list[str], minutes: float) -> int:
    """Let atheris look for bytes that reach new code."""
    import atheris

    with atheris.instrument_imports(include=["medreward"]):
        import medreward.audit.cases.files
        import medreward.scoring.scorer
        import medreward.task.card  # noqa: F401

    run = Run(names, minutes)

    def one(data: bytes) -> None:
        run.one(data)
        if run.over:
            status = run.finish()
            sys.stdout.flush()
            os._exit(status)  # libFuzzer's own exit would hide the status

    with tempfile.TemporaryDirectory() as corpus:
        options = [
            f"-max_len={_MAX_LENGTH}",
            "-len_control=20",
            "-verbosity=0",
            "-report_slow_units=60",
            f"-artifact_prefix={corpus}/",
        ]
        atheris.Setup([sys.argv[0], *options, corpus], one)
        atheris.Fuzz()
    return run.finish()


def drawn(names: list[str], minutes: float) -> int:
    """Let hypothesis draw bytes."""
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st

    run = Run(names, minutes)

    @settings(
        max_examples=20_000, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.binary(max_size=_MAX_LENGTH))
    def some(data: bytes) -> None:
        if not run.over:
            run.one(data)

    while not run.over:
        some()
    return run.finish()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--property", action="append", default=[], dest="names")
    parser.add_argument("--engine", choices=("auto", "atheris", "hypothesis"), default="auto")
    arguments = parser.parse_args()
    engine = arguments.engine
    if engine == "auto":
        engine = "atheris" if importlib.util.find_spec("atheris") else "hypothesis"
    print(f"engine: {engine}")
    return (guided if engine == "atheris" else drawn)(arguments.names, arguments.minutes)


if __name__ == "__main__":
    sys.exit(main())
