"""Traces: what is written is read back, whoever writes, and whatever breaks."""

from __future__ import annotations

import json
import logging
import pickle
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from medreward import ConfigError, explain
from medreward.scoring.trace import TraceRow, TraceWriter, read_rows, trace_writer

TEXT = "<think>Dot bleeds.</think><answer>2</answer>"


def row(text: str = TEXT, step: int | None = 1, id: str = "a") -> TraceRow:  # noqa: A002
    score = explain(text, 2, task="retinamnist", knowledge="")
    known = score._asdict() | {"unreadable": score.prediction is None}
    return TraceRow(
        step=step, id=id, task="retinamnist", target="2", completion=text, knowledge="", **known
    )


def read(path: Path) -> list[TraceRow]:
    return [TraceRow.from_dict(found) for found in read_rows(path)]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(), max_size=5))
@example(["\ud800 is half a character", "\x00\u2028\r\n"])
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("trace") / "trace.jsonl"
    rows = [row(text) for text in texts]
    assert TraceWriter(path).write(rows) == len(rows)
    assert read(path) == rows


def test_a_line_has_the_documented_fields(tmp_path: Path) -> None:
    TraceWriter(tmp_path / "new" / "trace.jsonl").write([row()])
    line = json.loads((tmp_path / "new" / "trace.jsonl").read_text(encoding="utf-8"))
    score = explain(TEXT, 2, task="retinamnist", knowledge="").as_dict()
    place = {"step": 1, "id": "a", "task": "retinamnist", "target": "2", "completion": TEXT}
    assert line == place | {"knowledge": ""} | score


def test_every_takes_whole_steps_and_share_whole_groups(tmp_path: Path) -> None:
    rows = [row(step=step, id=f"p{i}") for step in range(1, 41) for i in range(8) for _ in "ab"]
    TraceWriter(tmp_path / "every.jsonl", every=10).write(rows)
    assert {r.step for r in read(tmp_path / "every.jsonl")} == {1, 11, 21, 31}
    TraceWriter(tmp_path / "share.jsonl", share=0.25).write(rows)
    kept = [(r.step, r.id) for r in read(tmp_path / "share.jsonl")]
    assert all(kept.count(group) == 2 for group in kept)
    assert 0.15 < len(kept) / len(rows) < 0.35
    TraceWriter(tmp_path / "none.jsonl", every=4).write(
        row(step=None, id=f"p{i}") for i in range(400)
    )
    assert 60 < len(read(tmp_path / "none.jsonl")) < 140


def test_it_ends_at_max_bytes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "trace.jsonl"
    writer = TraceWriter(path, max_bytes=2000)
    assert [writer.write([row()]) for _ in range(10)].count(1) == len(read(path)) > 1
    assert path.stat().st_size <= 2000
    assert writer.write([row("")]) == 0  # nothing slips in behind
    assert [r.levelno for r in caplog.records] == [logging.WARNING]
    assert "has reached 2000 bytes" in caplog.text


@pytest.mark.parametrize(
    ("trace", "message"),
    [
        ({"path": "t", "every": 0}, "trace.every: 0 is not a whole number from 1 on"),
        ({"path": "t", "share": 2}, "trace.share: 2 is not a finite number from 1e-09 to 1"),
        ({"path": "t", "max_bytes": "1 GB"}, "trace.max_bytes: '1 GB'"),
        ({"path": "t", "on_error": "stop"}, "trace.on_error: 'stop' is not one of raise, warn"),
        ({"path": "t", "evry": 1}, "trace: 'evry' is not one of .*mean 'every'"),
        ({"every": 1}, "trace: .* is neither a path nor a mapping with a path"),
        (3, "trace: 3 is neither a path nor"),
    ],
)
def test_wrong_settings_are_named(
    trace: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message):
        trace_writer(trace)


def test_a_folder_in_its_place_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"trace {tmp_path}: cannot be written: Is a directory"):
        TraceWriter(tmp_path)


def test_it_pickles(tmp_path: Path) -> None:
    writer = pickle.loads(pickle.dumps(TraceWriter(tmp_path / "trace.jsonl", every=2)))
    writer.write([row(step=1), row(step=2)])
    assert len(read(tmp_path / "trace.jsonl")) == 1


WORKER = """
import sys
from medreward.scoring.trace import TraceRow, TraceWriter
writer = TraceWriter(sys.argv[1])
print("ready", flush=True)
for step in range(1, int(sys.argv[3]) + 1):
    text = sys.argv[2] * 20_000
    writer.write(TraceRow(text, step=step, id=sys.argv[2]) for _ in range(4))
"""


def worker(path: Path, name: str, steps: int) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", WORKER, str(path), name, str(steps)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def test_processes_and_threads_write_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    processes = [worker(path, name, 30) for name in "xyz"]
    writer = TraceWriter(path)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: writer.write([row(step=i + 1, id="t")]), range(100)))
    assert [process.wait() for process in processes] == [0, 0, 0]
    skipped: list[int] = []
    found = [TraceRow.from_dict(r) for r in read_rows(path, skipped)]
    assert skipped == []
    for name in "xyz":
        own = [r for r in found if r.id == name]
        assert [r.step for r in own] == [s for s in range(1, 31) for _ in range(4)]
        assert all(set(r.completion) == {name} for r in own)
    assert sum(r.id == "t" for r in found) == 100


def test_a_kill_costs_the_last_line_at_most(tmp_path: Path) -> None:
    for attempt in range(5):
        path = tmp_path / f"{attempt}.jsonl"
        process = worker(path, "k", 100_000)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.05 + 0.03 * attempt)
        process.send_signal(signal.SIGKILL)
        process.wait()
        skipped: list[int] = []
        rows = list(read_rows(path, skipped))
        assert len(rows) > 4
        assert skipped in ([], [len(rows) + 1])
        assert {len(r["completion"]) for r in rows} == {20_000}


@pytest.mark.parametrize("cut", [1, 100, 250])
def test_a_torn_last_line_is_left_out_and_the_next_line_is_whole(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "trace.jsonl"
    writer = TraceWriter(path)
    writer.write([row(), row(id="torn")])
    path.write_bytes(path.read_bytes()[:-cut])
    skipped: list[int] = []
    assert [r["id"] for r in read_rows(path, skipped)] == (["a", "torn"] if cut == 1 else ["a"])
    assert skipped == ([] if cut == 1 else [2])
    writer.write([row(id="next")])
    ids = [r["id"] for r in read_rows(path)]
    assert ids == (["a", "torn", "next"] if cut == 1 else ["a", "next"])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 64 KiB, where that is allowed."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if done.returncode:
        pytest.skip(f"may not mount: {done.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def fill(writer: TraceWriter) -> int:
    return sum(writer.write([row("x" * 5000, step=i)]) for i in range(1, 101))


def test_a_full_disk_ends_the_run_with_a_clear_error(small_disk: Path) -> None:
    with pytest.raises(ConfigError, match=r"No space left on device; .*trace.on_error: warn"):
        fill(TraceWriter(small_disk / "trace.jsonl"))
    assert len(read(small_disk / "trace.jsonl")) > 2


def test_a_full_disk_need_not_end_the_run(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (small_disk / "other").write_bytes(b"0" * 20_000)
    writer = TraceWriter(small_disk / "trace.jsonl", on_error="warn")
    count = fill(writer)
    assert 2 < count < 10
    assert len(caplog.records) == 1
    assert "No space left on device; the run goes on without" in caplog.text
    assert writer.lost == 100 - count
    skipped: list[int] = []
    assert len(list(read_rows(small_disk / "trace.jsonl", skipped))) == count
    assert skipped == []  # no half line
    (small_disk / "other").unlink()
    assert writer.write([row()]) == 1
    assert f"{100 - count} lines were lost; it goes on" in caplog.text


def test_a_file_size_limit_is_a_fault_like_a_full_disk(tmp_path: Path) -> None:
    code = """
import resource, sys
from medreward.scoring.trace import TraceRow, TraceWriter
from medreward.errors import ConfigError
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
warned = TraceWriter(sys.argv[1], on_error="warn")
print(sum(warned.write([TraceRow("x" * 7000, step=1)]) for _ in range(20)))
try:
    TraceWriter(sys.argv[1]).write([TraceRow("x" * 7000, step=1)])
except ConfigError as error:
    print(error)
"""
    words = [sys.executable, "-c", code, str(tmp_path / "trace.jsonl")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    count, error = done.stdout.splitlines()
    assert len(read(tmp_path / "trace.jsonl")) == int(count) > 3
    assert "File too large" in error
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 50_000


def test_a_device_that_is_always_full(caplog: pytest.LogCaptureFixture) -> None:
    writer = TraceWriter("/dev/full", on_error="warn")
    assert writer.write([row()]) == 0
    assert "No space left on device" in caplog.text
    with pytest.raises(ConfigError, match="No space left on device"):
        TraceWriter("/dev/full").write([row()])


def test_a_file_that_is_no_trace_is_named(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="none of its 2 lines is a JSON object"):
        list(read_rows(path))
    with pytest.raises(ConfigError, match="No such file"):
        list(read_rows(tmp_path / "none.jsonl"))
    with pytest.raises(ConfigError, match="'completion' is missing or no text; there is step"):
        TraceRow.from_dict({"step": 1})
    with pytest.raises(ConfigError, match="'step': 'one' is of a wrong type"):
        TraceRow.from_dict({"completion": "", "step": "one"})


def test_each_rank_may_have_a_file_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for rank, name in ((None, "trace-0.jsonl"), ("3", "trace-3.jsonl")):
        if rank is None:
            monkeypatch.delenv("RANK", raising=False)
        else:
            monkeypatch.setenv("RANK", rank)
        writer = TraceWriter(tmp_path / "trace-{rank}.jsonl")
        assert (writer.path.name, writer.is_one_ranks) == (name, True)
    assert not TraceWriter(tmp_path / "trace.jsonl").is_one_ranks
