"""The tutorials: their files are written, their commands run, and what they show is seen.

A block with a title is a file of the reader's; ``sh`` is run by bash in her folder; ``text`` behind
it is what she sees, where ``…`` stands for anything; ``console`` is shown and not run.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

FOLDER = Path(__file__).parent.parent / "docs" / "tutorials"
FENCE = re.compile(
    r'^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$',
    re.DOTALL | re.MULTILINE,
)
LANGUAGES = {"sh", "text", "console", "yaml", "python", "ini"}
# Tutorials that train or audit, and what others need from MEDREWARD_TEST_DATA.
SLOW = {"own-images.md", "boxes-first.md", "several-gpus.md", "test-a-reward.md"}
DATA = {"questions.md": "vqa-rad", "boxes-first.md": "bccd", "several-gpus.md": "medmnist"}
PAGES = [page for page in sorted(FOLDER.glob("*.md")) if page.name != "index.md"]


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    title: str | None
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(found["language"], found["title"], found["text"], line)


def run(block: Block, folder: Path) -> str:
    """Return what the commands of a block print; the last one may fail, as a page may show."""
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    env["MEDREWARD"] = str(FOLDER.parent.parent)
    if data := os.environ.get("MEDREWARD_TEST_DATA"):
        env["DATA"] = str(Path(data).resolve())  # it runs in a folder of its own
    done = subprocess.run(
        ["bash", "-c", block.text],
        cwd=folder,
        env={**env, "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


def squeeze(line: str) -> str:
    return " ".join(line.split())


def unseen(shown: str, printed: str) -> list[str]:
    """Return the lines that a page shows and no command printed."""
    lines = [squeeze(line) for line in printed.splitlines()]
    return [
        line
        for line in map(squeeze, shown.splitlines())
        if line and not any(fits(line, one) for one in lines)
    ]


def fits(shown: str, printed: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in shown.split("…"))
    return re.fullmatch(pattern, printed) is not None


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.stem, marks=[pytest.mark.slow] if page.name in SLOW else [])
        for page in PAGES
    ],
)
def test_a_tutorial_runs_and_shows_what_is_seen(page: Path, tmp_path: Path) -> None:
    needed = DATA.get(page.name)
    root = os.environ.get("MEDREWARD_TEST_DATA")
    if needed and not (root and (Path(root) / needed).is_dir()):
        pytest.skip(f"MEDREWARD_TEST_DATA has no {needed}")
    printed, ran = "", 0
    for block in blocks(page):
        assert block.language in LANGUAGES, f"{page.name}:{block.line}: {block.language}"
        if block.title:
            path = tmp_path / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "sh":
            printed = run(block, tmp_path)
            ran += 1
        elif block.language == "text":
            left = unseen(block.text, printed)
            assert not left, f"{page.name}:{block.line}: not printed: {left}\n{printed[-4000:]}"
    assert ran >= 2


def test_a_line_that_is_not_printed_is_found() -> None:
    printed = "train   12 images\nwrote rows/train.parquet\n"
    assert unseen("train … images\nwrote rows/train.parquet\n", printed) == []
    assert unseen("test … images\n", printed) == ["test … images"]
    assert unseen("train … rows\n", printed) == ["train … rows"]


def test_every_tutorial_is_in_the_index_and_in_the_navigation() -> None:
    index = (FOLDER / "index.md").read_text(encoding="utf-8")
    navigation = (FOLDER.parent.parent / "mkdocs.yml").read_text(encoding="utf-8")
    for page in PAGES:
        assert f"]({page.name})" in index
        assert f"tutorials/{page.name}" in navigation


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_prints_what_it_shows(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 3
    names: dict[str, object] = {"__name__": "notebook"}
    for cell in cells:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("".join(cell["source"]), path.name, "exec"), names)
        (output,) = cell["outputs"]
        assert printed.getvalue() == "".join(output["text"])
