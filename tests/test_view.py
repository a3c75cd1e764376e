"""`medreward view`: what the sheet shows, texts that stay texts, boxes where they are."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medreward import ConfigError, Task, explain
from medreward.commands.cli import main
from medreward.data.parquet import write_parquet
from medreward.data.rows import make_row
from medreward.kinds.truth import ground_truth
from medreward.priors.prompt import Prompt
from medreward.scoring.task_book import name_tasks
from medreward.scoring.trace import TraceRow
from medreward.sheets.outlines import svg_outline
from medreward.sheets.pictures import EmbeddedPicture, picture
from medreward.sheets.shapes import named_boxes, predicted_shapes
from medreward.sheets.view import Look, write_sheet
from medreward.sheets.view_rows import RowChoice, choose_rows
from tests import prepare_support as support
from tests.prepare_support import noise

EVIL = "<script>document.title = 'taken'</script><img src=x onerror=alert(1)> & \"quoted\" 'single'"
PNEUMONIA = Task.load("pneumoniamnist")
SMEAR = Task.load("bccd")
SEVERAL = {"annotators": [[[2, 2, 9, 9]], [[1, 1, 8, 8], [20, 5, 30, 9]]], "size": [60, 40]}


def png(seed: int, width: int = 60, height: int = 40) -> bytes:
    buffer = io.BytesIO()
    noise(seed, width, height).save(buffer, format="PNG")
    return buffer.getvalue()


def a_row(name: str, task: Task, truth: str, **changes: Any) -> dict[str, Any]:
    prompt = Prompt(f"What is it? {name}\nKnown: a fact.", "Known: a fact.")
    return make_row(task, prompt, truth, png(len(name)), id=name, split="train") | changes


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Rows of several kinds: labels, boxes with labels, an evil prompt, two images, an own task."""
    box = {"boxes": [{"box": [5, 6, 25, 30], "label": "WBC"}], "size": [60, 40]}
    two = [{"bytes": png(8)}, {"bytes": png(9, 30, 20)}]
    own = support.task(support.CELLS)
    found = [
        a_row("plain", PNEUMONIA, "pneumonia"),
        a_row("boxed", SMEAR, json.dumps(box)),
        a_row("empty", SMEAR, json.dumps({"boxes": [], "size": [60, 40]})),
        a_row("evil", PNEUMONIA, "normal", prompt=[{"role": "user", "content": EVIL}]),
        a_row("two", PNEUMONIA, "normal", images=two),
        a_row("own", own, json.dumps(SEVERAL)),
        a_row("broken", PNEUMONIA, "normal", images=[{"bytes": b"no image"}]),
    ]
    path = tmp_path / "rows.parquet"
    write_parquet(path, found)
    return path


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Completions: "plain" right and wrong, "boxed" near, "evil" twice the same."""
    near = '[{"bbox_2d": [5, 6, 25, 20], "label": "WBC"}]'
    answers = [
        ("plain", PNEUMONIA, "pneumonia", "pneumonia"),
        ("plain", PNEUMONIA, "pneumonia", "normal"),
        ("boxed", SMEAR, [{"box": [5, 6, 25, 30], "label": "WBC"}], near),
        ("evil", PNEUMONIA, "normal", EVIL),
        ("evil", PNEUMONIA, "normal", EVIL),
        ("elsewhere", PNEUMONIA, "normal", "normal"),
    ]
    path = tmp_path / "trace.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for name, task, target, answer in answers:
            text = f"<think>Hm.</think><answer>{answer}</answer>"
            score = explain(text, target, task=task)
            line = {"step": 3, "id": name, "task": task.name, "completion": text}
            file.write(json.dumps(line | score.as_dict()) + "\n")
    return path


class Page(HTMLParser):
    """Counts what a browser would make of a page, and notes its texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def sheet(rows: Path, **options: Any) -> Page:
    out = rows.parent / "view.html"
    write_sheet(rows, out, **options)
    return Page(out.read_text(encoding="utf-8"))


def test_texts_of_rows_and_completions_stay_texts(rows: Path, trace: Path) -> None:
    page = sheet(rows, trace=trace)
    assert not page.of("script")
    assert not page.of("img")
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert page.text.count(EVIL) == 3  # the prompt and two completions


def test_nothing_is_loaded_from_elsewhere(rows: Path, trace: Path) -> None:
    page = sheet(rows, trace=trace)
    places = [a[name] for _, a in page.tags for name in ("href", "src", "action") if name in a]
    assert places
    assert all(place and place.startswith(("data:image/", "#")) for place in places)
    assert not page.of("link")
    assert "url(" not in (rows.parent / "view.html").read_text(encoding="utf-8")


def test_boxes_are_drawn_where_they_are(rows: Path, trace: Path) -> None:
    page = sheet(rows, trace=trace, choice=RowChoice(filters=[("id", "boxed")]))
    drawn = [a for a in page.of("rect") if "line" in str(a["class"])]
    corners = [tuple(float(str(a[n])) for n in ("x", "y", "width", "height")) for a in drawn]
    truth, guess = (5.0, 6.0, 20.0, 24.0), (5.0, 6.0, 20.0, 14.0)
    assert corners == [truth, truth, guess]  # in the row, and beside the answer's own
    assert {a["viewBox".lower()] for a in page.of("svg")} >= {"0 0 60 40"}
    assert "true WBC [5, 6, 25, 30]" in page.text
    assert "predicted WBC [5, 6, 25, 20]" in page.text
    assert len(page.of("image")) == 1
    assert page.of("use")[0]["href"] == "#" + str(page.of("image")[0]["id"])


def test_every_picture_has_words(rows: Path, trace: Path) -> None:
    page = sheet(rows, trace=trace)
    pictures = [a for a in page.of("svg") if a.get("role") == "img"]
    assert pictures
    assert all(a["aria-label"] for a in pictures)
    others = [a for a in page.of("svg") if a.get("role") != "img"]
    assert all(a["aria-hidden"] == "true" for a in others)
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))


def test_rows_of_every_kind_are_shown(rows: Path) -> None:
    page = sheet(rows)
    assert len(page.of("article")) == 7
    assert "nothing to find" in page.text
    assert "annotator 2 [20, 5, 30, 9]" in page.text  # the card of "own" is not known
    assert "image 2 of 2 of row two" in page.text
    assert "this image cannot be shown" in page.text
    assert "[knowledge, see below]" in page.text
    assert page.text.count("Known: a fact.") == 7  # folded, and marked in the prompt


def test_reasons_and_parts_are_shown(rows: Path, trace: Path) -> None:
    page = sheet(rows, trace=trace, choice=RowChoice(filters=[("id", "plain")]))
    assert "wrong_label: the answer names another label" in page.text.replace("\n", "")
    assert "accuracy +1.000" in page.text
    assert "step 3" in page.text
    assert "trace.jsonl has 6 completions, 1 of them of rows" in page.text


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("worst", ["evil", "plain", "boxed"]),
        ("best", ["boxed", "plain", "evil"]),
        ("zero-variance", ["evil", "plain", "boxed"]),
    ],
)
def test_order(rows: Path, trace: Path, order: str, names: list[str]) -> None:
    found = choose_rows(rows, RowChoice(order=order), trace)
    assert [entry.row["extra_info"]["id"] for entry in found.entries] == names


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ([("reason", "wrong_*")], ["plain"]),
        ([("correct", "true")], ["plain"]),
        ([("task", "bccd")], ["boxed"]),
        ([("step", "4")], []),
        ([("prediction", "none")], ["evil"]),
        ([("task", "pneumoniamnist"), ("target", "normal")], ["evil"]),
    ],
)
def test_filters(rows: Path, trace: Path, filters: list[tuple[str, str]], names: list[str]) -> None:
    choice = RowChoice(filters=filters, order="worst")
    if not names:
        with pytest.raises(ConfigError, match="no row matches step=4"):
            choose_rows(rows, choice, trace)
        return
    found = choose_rows(rows, choice, trace)
    assert [entry.row["extra_info"]["id"] for entry in found.entries] == names
    assert found.matching == len(names)


def test_limits_bound_the_sheet(rows: Path, trace: Path) -> None:
    page = sheet(
        rows, trace=trace, choice=RowChoice(limit=1, order="worst"), look=Look(completions=1)
    )
    assert len(page.of("article")) == 1
    assert len(page.of("section")) == 1
    assert "1 of 2" in page.text


def test_large_pictures_are_scaled_down_and_small_ones_kept() -> None:
    def decoded(shown: EmbeddedPicture) -> Image.Image:
        return Image.open(io.BytesIO(base64.b64decode(shown.url.partition(",")[2])))

    large = picture({"bytes": png(1, 1200, 900)}, 300)
    assert (large.width, large.height, large.crisp) == (1200, 900, False)
    assert decoded(large).size == (300, 225)
    small = picture({"bytes": png(2, 28, 28)}, 300)
    assert small.crisp
    assert decoded(small).tobytes() == noise(2, 28, 28).tobytes()


def test_an_answer_that_is_no_boxes_draws_none() -> None:
    for text in ("[[1, 2, 3]]", "{", "[" * 5000, "null", '[{"box": [9, 9, 1, 1]}]'):
        assert predicted_shapes(TraceRow("x", prediction=text), SMEAR, {}) == []
    assert named_boxes("not json", "localisation", None) is None
    assert named_boxes("[[0, 0, 1, 1]]", "classification", PNEUMONIA) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sort", "worst"], "need a trace (--trace)"),
        (["--filter", "reason=correct"], "need a trace (--trace)"),
        (["--filter", "rison=x"], "filter: 'rison' is not one of"),
        (["--filter", "id"], "--filter: 'id' is not FIELD=PATTERN"),
        (["--filter", "id=zzz"], "no row matches id=zzz"),
        (["--sort", "random"], "sort: 'random' is not one of"),
        (["--limit", "0"], "limit: 0 is not a whole number from 1 to 1000"),
        (["--pixels", "0"], "pixels: 0 is not from 1"),
        (["--trace", "absent.jsonl"], "absent.jsonl: No such file"),
        (["--task", "=cells.yaml"], "--task: '=cells.yaml' is not SOURCE=CARD"),
    ],
)
def test_wrong_options_are_named(
    rows: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = rows.parent / "view.html"
    assert main(["view", str(rows), "--out", str(out), *options]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_a_trace_of_other_rows_is_an_error(rows: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text('{"id": "elsewhere", "completion": "x"}\n')
    with pytest.raises(ConfigError, match=r"none of its ids is a row of .*; it has elsewhere"):
        choose_rows(rows, RowChoice(), other)


def test_the_command_writes_the_sheet(
    rows: Path, trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card, out = rows.parent / "cells.yaml", rows.parent / "sheet.html"
    card.write_text(support.CELLS)
    options = ["--trace", str(trace), "--out", str(out), "--task", f"cells={card}"]
    assert main(["view", str(rows), *options]) == 0
    assert capsys.readouterr().out == f"{out}: 3 of 7 rows\n"
    html = out.read_text(encoding="utf-8")
    assert html.index("row-3-name") < html.index("row-0-name") < html.index("row-1-name")


def test_a_browser_shows_the_script_as_text(rows: Path, trace: Path, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no chromium here")
    out = tmp_path / "view.html"
    write_sheet(rows, out, RowChoice(), trace=trace)
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", out.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False).stdout
    assert "<title>Rows of rows.parquet</title>" in dom
    assert "<script" not in dom
    assert EVIL in unescape(re.sub(r"<[^>]*>", "", dom))


def test_fields_are_shown_beside_their_boxes(tmp_path: Path) -> None:
    card = tmp_path / "both.yaml"
    card.write_text(
        "name: both\nkind: fields\nquestion: What is it, and where?\nfields:\n"
        "  finding: {kind: short_answer}\n  size: {kind: number}\n"
        "  box: {kind: localisation, reward: {delta: 0}}\nreward: {delta: 0}\n"
    )
    task = Task.load(str(card))
    target = {
        "finding": {"answers": ["effusion <b>"]},
        "size": {"value": 3.2, "unit": "cm"},
        "box": {"boxes": [[5, 6, 25, 30]], "size": [60, 40]},
    }
    path = tmp_path / "rows.parquet"
    write_parquet(path, [a_row("both", task, ground_truth(task, target))])
    write_sheet(path, tmp_path / "v.html", book=name_tasks([str(card)]))
    page = Page((tmp_path / "v.html").read_text(encoding="utf-8"))
    said = " ".join(page.text.split())
    assert "finding: effusion <b> size: 3.2 cm box: 1 box As in the row" in said


def test_masks_are_drawn_along_their_pixels(tmp_path: Path) -> None:
    card = tmp_path / "seg.yaml"
    card.write_text("name: seg\nkind: segmentation\nquestion: Where?\n")
    task = Task.load(str(card))
    mask: Any = np.zeros((40, 60), np.uint8)
    mask[10:20, 5:25] = 1
    names = {"set": mask, "none": 0 * mask}
    found = [a_row(name, task, ground_truth(task, one)) for name, one in names.items()]
    path = tmp_path / "rows.parquet"
    write_parquet(path, found)
    said = TraceRow("x", prediction='{"polygons": [[0, 0, 9, 0, 9, 9, 0, 9]], "size": [60, 40]}')
    (shape,) = predicted_shapes(said, task, {})
    assert shape.path == "M0 0H9M0 9H9M0 0V9M9 0V9"
    write_sheet(path, tmp_path / "v.html", book=name_tasks([str(card)]))
    page = Page((tmp_path / "v.html").read_text(encoding="utf-8"))
    (outline,) = (one for one in page.of("path") if one["class"] == "line s0")
    assert outline["d"] == "M5 10H25M5 20H25M5 10V20M25 10V20"
    text = " ".join(page.text.split())
    assert "Target 1 mask As in the row" in text
    assert "Target nothing to find As in the row" in text
    assert "true mask [5, 10, 25, 20]" in text


def test_outlines_of_large_masks_are_coarse() -> None:
    mask: Any = np.zeros((3000, 4000), np.uint8)
    mask[::2, ::2] = 1
    assert svg_outline(mask) == "M0 0H4000M0 3000H4000M0 0V3000M4000 0V3000"
    mask[:] = 0
    mask[17, 1234] = 1
    assert svg_outline(mask) == "M1232 16H1248M1232 32H1248M1232 16V32M1248 16V32"
