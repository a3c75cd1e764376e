"""The pictures of README and docs are what their code draws: `make pictures` draws them again."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.pictures import layers, mfrs
from benchmarks.pictures.command import DOCS, MOST_BYTES, PICTURES, main

DRAWN = {"explanation/layers.svg": layers.svg, "reference/mfrs.svg": mfrs.svg}


@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_shows_the_code_as_it_is(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == DRAWN[name](), "run `make pictures`"


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_small_and_shown_on_a_page(name: str) -> None:
    path = DOCS / name
    assert path.stat().st_size <= MOST_BYTES
    pages = [page.read_text(encoding="utf-8") for page in path.parent.glob("*.md")]
    assert any(f"]({path.name})" in page for page in pages)


def test_a_name_that_is_no_picture_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit):
        main(["--data", str(tmp_path), "nothing.png"])
    assert "no such picture: nothing.png" in capsys.readouterr().err
