"""The demo's tiny model on rows of one's own: pictures of any size, a card of one's own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import escape
from PIL import Image

from medreward import Task
from medreward.commands.cli import main
from medreward.data import Example, make_rows, write_parquet
from medreward_trl.demo import model

if TYPE_CHECKING:
    import pytest

CARD = "name: brightness\nkind: classification\nquestion: How bright?\nlabels: [dark, bright]\n"


def write_rows(folder: Path, count: int = 12) -> Path:
    """Write rows whose pictures are of three sizes, none of them the model's."""
    (folder / "card.yaml").write_text(CARD, encoding="utf-8")
    task = Task.load(str(folder / "card.yaml"))
    sizes = [(80, 40), (30, 90), (224, 224)]
    for split, number in (("train", count), ("test", 4)):
        examples = [
            Example(
                Image.new("L", sizes[i % 3], 200 * (i % 2) + 10),
                ("dark", "bright")[i % 2],
                f"{split}-{i}",
                split,
            )
            for i in range(number)
        ]
        write_parquet(folder / "rows" / f"{split}.parquet", make_rows(examples, task))
    return folder / "rows"


def test_it_trains_on_rows_of_any_size_and_says_what_it_learnt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, out = write_rows(tmp_path), tmp_path / "run"
    card = str(tmp_path / "card.yaml")
    words = ["demo", "--rows", str(rows), "--task", card, "--steps", "2", "--out", str(out)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "held-out rows: 4" in printed
    assert re.search(r"\naccuracy +\d\.\d{3} +\d\.\d{3} +0\.500 +0\.500\n", printed)
    assert "- one answer: always 'dark', the most frequent right answer" in printed
    for policy in ("warm_start", "policy"):
        lines = (out / f"{policy}.jsonl").read_text(encoding="utf-8").splitlines()
        assert [json.loads(line)["id"] for line in lines] == [f"test-{i}" for i in range(4)]
        assert model.load(out / policy).processor.image_processor.do_resize
    trace = [json.loads(line) for line in (out / "trace.jsonl").read_text().splitlines()]
    assert len(trace) == 2 * 64
    assert {line["task"] for line in trace} == {"brightness"}
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "brightness" in page
    assert "the right answers of the rows, shuffled" in page
    said = [json.loads(line) for line in (out / "policy.jsonl").read_text().splitlines()]
    for line in said:  # what the model wrote, not what was read in it
        assert f"<pre>{escape(line['completion'])}</pre>" in page
    assert "<figcaption>Parts of the reward</figcaption>" in page
    files = ["--completions", str(out / "policy.jsonl"), "--against", str(out / "warm_start.jsonl")]
    assert main(["evaluate", str(rows / "test.parquet"), "--task", card, *files]) == 0


def test_what_does_not_fit_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = write_rows(tmp_path, count=5)
    card = str(tmp_path / "card.yaml")
    for words, message in {
        ("--rows", "nowhere"): "nowhere: no such folder; give what `medreward prepare --out` wrote",
        ("--rows", str(tmp_path)): "no file train.parquet in this folder",
        ("--rows", str(rows), "--task", card): "has 5 rows; a step takes 8 of them",
        ("--rows", str(rows)): "'brightness' is not one of",
        ("--task", card): "give --rows DIR too",
        ("--rows", str(rows), "--reward", "binary"): "--reward is for the demo's own task",
    }.items():
        assert main(["demo", "--out", str(tmp_path / "run"), *words]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
