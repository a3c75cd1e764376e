"""A tiny vision-language model, rows to ask it about, and a server that holds it."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
from PIL import Image

from medreward import Task
from medreward.data.example import Example
from medreward.data.parquet import write_parquet
from medreward.data.rows import make_rows

SIZE = 28


def tiny_model(folder: Path) -> Path:
    """Save a tiny model in `folder`, which is made, and return it."""
    from medreward_trl.demo.model import build, save

    folder.mkdir()
    tiny = build(["normal pneumonia Possible labels"], seed=0, size=SIZE)
    tiny.model.generation_config.do_sample = True  # without it, temperatures are left aside
    save(tiny, folder)
    return folder


def picture_rows(folder: Path) -> Path:
    """Write four rows of different pictures and return their file."""
    file = folder / "rows.parquet"
    gradient = Image.linear_gradient("L").resize((SIZE, SIZE))
    examples = [Example(gradient.rotate(90 * i), "normal", f"r{i}", "test") for i in range(4)]
    write_parquet(file, make_rows(examples, Task.load("pneumoniamnist"), "none"))
    return file


@contextmanager
def serving(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Yield the address of a server that `command` starts, which takes `--port`, once it is up."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with log.open("wb") as out:
        server = subprocess.Popen(
            [*command, "--port", str(port)], stdout=out, stderr=out,
            env={**(environment or os.environ), "HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
    url = f"http://localhost:{port}"
    try:
        for _ in range(1200):
            assert server.poll() is None, log.read_text()
            try:
                if httpx.get(f"{url}/health", timeout=5).is_success:
                    break
            except httpx.HTTPError:
                time.sleep(0.25)
        yield f"{url}/v1"
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
