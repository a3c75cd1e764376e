"""What is written to: files are replaced, links followed, devices and pipes written to."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from medreward import ConfigError
from medreward.commands.cli import main
from medreward.files.atomic import replacing, write_text_atomic

ROW = '{"completion": "<think>a</think><answer>2</answer>", "target": 2}\n'


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def stop_halfway(path: Path) -> None:
    with replacing(path) as scratch:
        scratch.write_text("half")
        raise ConfigError("halfway")


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    file, link = tmp_path / "far" / "file.txt", tmp_path / "link.txt"
    file.write_text("old")
    link.symlink_to(file)
    write_text_atomic(link, "new")
    assert link.is_symlink()
    assert file.read_text() == "new"
    assert names(tmp_path) == {"far", "link.txt"}
    assert names(tmp_path / "far") == {"file.txt"}


def test_a_link_to_nothing_yet_makes_its_file(tmp_path: Path) -> None:
    link = tmp_path / "link.txt"
    link.symlink_to("later.txt")
    write_text_atomic(link, "new")
    assert link.is_symlink()
    assert (tmp_path / "later.txt").read_text() == "new"


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_text_atomic(tmp_path / "a", "x")


def test_an_error_leaves_what_a_link_points_to(tmp_path: Path) -> None:
    file, link = tmp_path / "file.txt", tmp_path / "link.txt"
    file.write_text("old")
    link.symlink_to(file)
    with pytest.raises(ConfigError, match="halfway"):
        stop_halfway(link)
    assert file.read_text() == "old"
    assert names(tmp_path) == {"file.txt", "link.txt"}


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    for _ in range(500):  # until the reader has opened it
        try:
            write_text_atomic(pipe, "x" * 200_000)
            break
        except ConfigError:
            threading.Event().wait(0.01)
    reader.join(10)
    assert got == ["x" * 200_000]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_pipe_that_nobody_reads_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe, rows = tmp_path / "pipe", tmp_path / "rows.jsonl"
    os.mkfifo(pipe)
    rows.write_text(ROW)
    assert main(["score", str(rows), "--task", "retinamnist", "--out", str(pipe)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].endswith(": cannot be written: it is a pipe that nobody reads")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert names(tmp_path) == {"pipe", "rows.jsonl"}


def test_a_device_is_written_to_and_stays(tmp_path: Path) -> None:
    device = tmp_path / "null"
    try:
        os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        device.open("wb").close()
    except OSError as error:
        pytest.skip(f"no device can be made or opened here: {error}")
    write_text_atomic(device, "gone")
    rows = tmp_path / "rows.jsonl"
    rows.write_text(ROW)
    assert main(["score", str(rows), "--task", "retinamnist", "--out", str(device)]) == 0
    assert stat.S_ISCHR(device.stat().st_mode)


def test_a_device_under_dev_is_written_to(tmp_path: Path) -> None:
    write_text_atomic("/dev/null", "gone")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    import socket

    address = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(address))
        with pytest.raises(ConfigError, match="it is a socket; name a file"):
            write_text_atomic(address, "x")
    with pytest.raises(ConfigError, match="cannot be written: Is a directory"):
        write_text_atomic(tmp_path, "x")
    with pytest.raises(ConfigError, match="it is no folder"), replacing("/dev/null") as scratch:
        scratch.mkdir()
