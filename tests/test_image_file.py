"""One opener of pictures: no program is started, and rows do not choose what is read."""

from __future__ import annotations

import ast
import io
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from medreward import ConfigError
from medreward.commands.cli import main
from medreward.data.image_file import image_of_row, open_image
from medreward.data.picture import png_bytes
from medreward.data.sources.record import UnusableError
from tests.prepare_support import card as write_card

CELLS = """name: cells
kind: localisation
question: Where are cells?
reward: {delta: 0}
"""
ROOT = Path(__file__).parent.parent
EPS = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%Trailer\n%%EOF\n"
)
PNG = png_bytes(Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)))


@pytest.fixture
def ghostscript(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for gs in the path, which leaves a mark where it is started."""
    folder, mark = tmp_path / "bin", tmp_path / "STARTED"
    folder.mkdir()
    for name in ("gs", "gswin32c", "gswin64c"):
        program = folder / name
        program.write_text(f"#!/bin/sh\ntouch {mark}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return mark


def write_rows(path: Path, images: list[Any], **info: Any) -> Path:
    row = {
        "data_source": "pneumoniamnist",
        "prompt": [{"role": "user", "content": "<image>?"}],
        "images": images,
        "ability": "classification",
        "reward_model": {"style": "rule", "ground_truth": "normal"},
        "extra_info": {"id": "r-1", "split": "train", "knowledge": "", **info},
    }
    pq.write_table(pa.Table.from_pylist([row]), path)
    return path


def test_a_stand_in_is_started_by_pillow_alone(ghostscript: Path) -> None:
    """So that the tests below can fail."""
    with pytest.raises(Exception, match=r".*"), Image.open(io.BytesIO(EPS)) as image:
        image.load()
    assert ghostscript.exists()


def test_postscript_in_a_row_starts_nothing(
    tmp_path: Path, ghostscript: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = write_rows(tmp_path / "rows.parquet", [{"bytes": EPS, "path": None}])
    assert main(["rows", "check", str(rows)]) == 2
    assert "not a picture in a known format" in capsys.readouterr().err
    main(["view", str(rows), "--out", str(tmp_path / "view.html")])
    assert "not a picture in a known format" in (tmp_path / "view.html").read_text()
    from medreward_trl.dataset import from_parquet

    for streaming in (False, True):
        with pytest.raises(Exception, match="not a picture in a known format"):
            list(from_parquet(rows, streaming=streaming))
    assert not ghostscript.exists()


def test_postscript_named_png_starts_nothing(tmp_path: Path, ghostscript: Path) -> None:
    images, masks = tmp_path / "images", tmp_path / "masks"
    for folder, content in ((images, PNG), (masks, EPS)):
        folder.mkdir()
        (folder / "a.png").write_bytes(content)
    card = write_card(tmp_path, CELLS)
    out = str(tmp_path / "out")
    words = ["prepare", "--images", str(images), "--masks", str(masks), "--task", str(card)]
    assert main([*words, "--out", out]) == 2
    (images / "a.png").write_bytes(EPS)
    (masks / "a.png").write_bytes(PNG)
    assert main([*words, "--out", out]) == 2
    assert not ghostscript.exists()


@pytest.mark.parametrize("entry", ["a.png", {"bytes": None, "path": "a.png"}])
def test_a_path_needs_a_folder_that_the_user_named(tmp_path: Path, entry: Any) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "a.png").write_bytes(PNG)
    with pytest.raises(UnusableError, match="rows do not choose what is read; store the file's"):
        image_of_row(entry)
    with open_image(image_of_row(entry, inside)) as image:
        assert image.size == (8, 8)


@pytest.mark.parametrize("path", ["../secret.png", "link.png", "/etc/passwd", "a\0.png", "."])
def test_no_path_leads_out_of_the_folder(tmp_path: Path, path: str) -> None:
    (tmp_path / "secret.png").write_bytes(PNG)
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(UnusableError, match=r"leads out|no such file|cannot be followed"):
        image_of_row(path, inside)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(UnusableError, match="no such file"):
        image_of_row("pipe.png", tmp_path)
    with pytest.raises(UnusableError, match="no such file"), open_image(tmp_path / "pipe.png"):
        pass


def test_commands_take_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    rows = write_rows(tmp_path / "rows.parquet", ["a.png"])
    sheet = tmp_path / "view.html"
    assert main(["rows", "check", str(rows)]) == 2
    assert "--images DIR" in capsys.readouterr().err
    assert main(["rows", "check", str(rows), "--images", str(tmp_path)]) == 0
    assert main(["view", str(rows), "--out", str(sheet)]) == 0
    assert "data:image" not in sheet.read_text()
    assert main(["view", str(rows), "--out", str(sheet), "--images", str(tmp_path)]) == 0
    assert "data:image" in sheet.read_text()


def test_too_many_pixels_are_not_decoded() -> None:
    with pytest.raises(UnusableError, match="8 x 8 is more than 63 pixels"), open_image(PNG, 63):
        pass


def test_a_row_names_no_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = tmp_path / "own.yaml"
    card.write_text("name: own\nkind: classification\nquestion: q\nlabels: [normal, other]\n")
    rows = write_rows(tmp_path / "rows.parquet", [{"bytes": PNG}], task=str(card))
    assert main(["rows", "check", str(rows)]) == 2
    assert "rows do not choose what is read" in capsys.readouterr().err
    rows = write_rows(tmp_path / "rows.parquet", [{"bytes": PNG}], task="own")
    assert main(["rows", "check", str(rows)]) == 2
    assert main(["rows", "check", str(rows), "--task", str(card)]) == 0
    assert main(["rows", "check", str(rows), "--task", f"own={card}"]) == 0


def test_nothing_else_opens_pictures() -> None:
    found = set()
    for folder in ("medreward", "adapters", "recipes"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    owner = node.func.value
                    opens = node.func.attr == "open" and isinstance(owner, ast.Name | ast.Attribute)
                    name = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
                    if opens and name in ("Image", "PIL", "PILImage"):
                        found.add(path.relative_to(ROOT).as_posix())
    assert found == {"medreward/data/image_file.py"}


def test_an_error_names_the_row(tmp_path: Path) -> None:
    from medreward_trl.dataset import trl_row

    row = pq.read_table(write_rows(tmp_path / "r.parquet", ["/etc/passwd"])).to_pylist()[0]
    row["images"] = [{"bytes": None, "path": "/etc/passwd"}]
    with pytest.raises(ConfigError, match=r"row 'r-1': images\[0\]: it names the file"):
        trl_row(row)
