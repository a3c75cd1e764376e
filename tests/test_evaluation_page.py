"""The page of `medreward evaluate`: one escaped file, numbers where they belong, errors drawn."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_masks

from medreward import Task
from medreward.commands.cli import main
from medreward.runs.evaluation import Scored, compare_all, evaluate
from medreward.runs.evaluation_page import evaluation_page, worst_errors
from medreward.runs.evaluation_rules import suite_agreement
from medreward.sheets.evaluation import Bar, BarRow, render_evaluation
from tests.evaluation_rows import predictions, scored, write_completions, write_rows
from tests.samples import sample_task

EVIL = "<script>document.title = 'taken'</script> & \"quoted\" 'single' <img src=x onerror=a()>"
LETTERS = Task("letters", question="?", labels=["alpha", "beta", EVIL])
VOID = ("meta", "br")


class Page(HTMLParser):
    """What a browser would make of a page: its tags in order, its texts, what is not closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, tag: str, name: str = "") -> list[dict[str, str | None]]:
        """Return the attributes of each tag, of those with a class."""
        return [a for own, a in self.tags if own == tag and name in str(a.get("class", ""))]


def shown(rows: Path, models: dict[str, Scored], **more: Any) -> tuple[Page, str]:
    """Return the page of models on one task."""
    by_task = {name: {own.bound.task.name: own} for name, own in models.items()}
    several = len(models) > 1
    found = [
        one
        for name, own in models.items()
        for one in evaluate(own, by=more.get("by", ()), resamples=100, model=name * several)
    ]
    rules = [one for n, own in models.items() for one in suite_agreement(*own, n * several)]
    changes = compare_all(by_task, resamples=100)
    facts = {"rows": EVIL}
    content = evaluation_page(
        rows, by_task, found, changes, rules, facts=facts, errors=more.get("errors", 24)
    )
    html = render_evaluation(content)
    return Page(html), html


def numbers(tags: list[dict[str, str | None]], *names: str) -> set[tuple[float, ...]]:
    return {tuple(float(str(a[name])) for name in names) for a in tags}


@pytest.fixture
def two(tmp_path: Path) -> tuple[Page, str]:
    """Two models on labels of which one is hostile."""
    true = [0, 0, 0, 1, 1, 2]
    said = ["alpha", "beta", f"nothing {EVIL}", "beta", "alpha", "beta"]
    models = {
        "base": scored(tmp_path, LETTERS, true, said),
        "tuned & <b>": scored(tmp_path, LETTERS, true, ["alpha"] * 3 + ["beta"] * 3),
    }
    return shown(tmp_path / "rows.parquet", models)


def test_the_page_is_one_file_whose_texts_stay_texts(two: tuple[Page, str]) -> None:
    page, html = two
    assert page.open == []
    assert not any(page.of(tag) for tag in ("script", "link", "iframe", "img", "b onerror"))
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    places = [a[name] for _, a in page.tags for name in ("href", "src") if name in a]
    assert places
    assert all(place and place.startswith(("data:image/", "#")) for place in places)
    assert "url(" not in html
    assert "http" not in html
    assert EVIL in page.text
    assert "tuned & <b>" in page.text


def test_the_page_can_be_read_without_a_mouse_or_eyes(two: tuple[Page, str]) -> None:
    page, _ = two
    wide = page.of("div", "wide")
    assert len(wide) > 5
    assert all(a.get("tabindex") == "0" and a.get("aria-label") for a in wide)
    labels = [a["aria-label"] for a in wide]
    assert len(set(labels)) == len(labels)
    drawn = [a for a in page.of("svg") if a.get("role") == "img"]
    assert drawn
    assert all(a.get("aria-label") for a in drawn)
    assert all(a.get("aria-hidden") == "true" or a.get("role") for a in page.of("svg"))
    names = [a["id"] for _, a in page.tags if "id" in a]
    assert len(set(names)) == len(names)
    assert all(a.get("scope") in ("col", "row") for a in page.of("th"))


def test_the_confusion_matrix_counts_every_row(two: tuple[Page, str]) -> None:
    page, html = two
    first = html[html.index('<table class="matrix">') :]
    table = first[: first.index("</table>")]
    cells = [int(part.split("</b>")[0]) for part in table.split("<td ")[1:] for part in
             [part.split("<b>")[1]]]  # fmt: skip
    # Truth alpha: one each of alpha, beta, and not read. Beta: one beta, one alpha. The last: beta.
    assert cells == [1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 0]
    assert len(page.of("td", "diagonal")) == 2 * 3


def test_bars_stand_where_their_values_are(tmp_path: Path) -> None:
    own = scored(tmp_path, LETTERS, [0, 1, 0, 1], ["alpha", "beta", "alpha", "alpha"])
    page, _ = shown(tmp_path / "rows.parquet", {"one": own})
    dots = [a["cx"] for a in page.of("circle", "dot") if str(a["cx"]).endswith("%")]
    assert dots[1] == "75.0%"  # behind the legend's: accuracy
    assert BarRow("", [Bar("", 2.5, 2, 3.2)]).scale == (0.0, 4.0)
    assert BarRow("", [Bar("", 0.5, -0.25, 0.6)]).scale == pytest.approx((-0.3, 1.0))
    assert BarRow("", [Bar("", float("nan"), float("nan"), float("nan"))]).scale == (0.0, 1.0)


def test_a_difference_has_a_scale_around_zero(two: tuple[Page, str]) -> None:
    page, html = two
    part = html[html.index("base minus tuned") :]
    assert "base minus tuned &amp; &lt;b&gt;" in html
    assert part.count('class="zero" x1="50.0%"') >= 4
    assert "p, Holm" in page.text
    assert part.count('data-name="p"') == part.count('data-name="p, Holm"') == 4
    assert "A positive difference: base is higher. Higher is better, except for unreadable" in part
    assert html.count("lower is better") > 2
    assert "two-sided permutation test" in part[: part.index("<table")]


def test_the_signature_is_in_sight_once_and_methods_stand_above_their_tables(
    two: tuple[Page, str],
) -> None:
    page, html = two
    assert html.count('<p class="signature">') == 1
    top = html[: html.index("<h3>Metrics")]
    assert "knowledge:none</code>" in top
    assert "<details" not in top
    metrics = html[html.index("<h3>Metrics") :]
    assert "Interval: 95 % percentile bootstrap" in metrics[: metrics.index("<table")]
    assert "1 (not read)" in page.text


def test_worst_errors_come_first_and_each_reason_is_seen() -> None:
    answers = ["zorb", "alpha", "beta", "beta", "beta", "alpha"]
    own = predictions(LETTERS, [0, 0, 0, 0, 0, 1], answers)
    sure = [0.1, 0.9, 0.3, 0.8, 0.5, 0.2]
    own = [one._replace(confidence=c, place=i) for i, (one, c) in
           enumerate(zip(own, sure, strict=True))]  # fmt: skip
    # Wrong labels from the surest on, with the unknown one in turn; r1 is right.
    assert [one.id for one in worst_errors(own, 4)] == ["r3", "r0", "r4", "r2"]
    assert worst_errors(own, 0) == []


def test_only_so_many_errors_are_shown_and_all_right_is_said(tmp_path: Path) -> None:
    own = scored(tmp_path, LETTERS, [0] * 5, ["beta"] * 5)
    assert len(shown(tmp_path / "rows.parquet", {"m": own}, errors=2)[0].of("article")) == 2
    right = scored(tmp_path, LETTERS, [0] * 2, ["alpha"] * 2)
    page, _ = shown(tmp_path / "rows.parquet", {"m": right})
    assert "All answers are right." in page.text
    assert not page.of("article")


def test_boxes_of_an_error_are_drawn_over_its_image(tmp_path: Path) -> None:
    task = Task("own", kind="localisation", question="?", labels=["a", "b"], reward={"delta": 0})
    target = {"boxes": [{"box": [2, 3, 12, 13], "label": "b"}], "size": [28, 28]}
    said = '[{"bbox_2d": [2, 3, 12, 8], "label": "b"}, {"bbox_2d": [0, 0, 900, 8], "label": "b"}]'
    own = scored(tmp_path, task, [target], [said])
    page, _ = shown(tmp_path / "rows.parquet", {"m": own})
    assert numbers(page.of("rect", "line s"), "x", "y", "width", "height") == {
        (2, 3, 10, 10),
        (2, 3, 10, 5),
    }
    assert len(page.of("g", "guess")) == 1
    assert "2 boxes, 1 of them not in the image, or of no label" in page.text
    assert [a["width"] for a in page.of("image")] == ["28"]


def test_masks_and_points_of_errors_are_drawn(tmp_path: Path) -> None:
    task = Task("own", kind="segmentation", question="?")
    mask: Any = np.zeros((28, 28), np.uint8)
    mask[3:13, 2:12] = 1
    half = mask.copy()
    half[8:] = 0
    rle = coco_masks.encode(np.asfortranarray(half))
    said = json.dumps({"size": [28, 28], "counts": rle["counts"].decode()})
    own = scored(tmp_path, task, [mask], [said])
    page, _ = shown(tmp_path / "rows.parquet", {"m": own})
    assert {a["d"] for a in page.of("path", "line s")} == {
        "M2 3H12M2 13H12M2 3V13M12 3V13",
        "M2 3H12M2 8H12M2 3V8M12 3V8",
    }
    assert "100 pixels" in page.text
    assert "50 pixels" in page.text
    task = Task("own", kind="pointing", question="?", labels=["a"])
    own = scored(tmp_path, task, [[[2, 3, 12, 13]]], ["[[20, 21]]"])
    page, _ = shown(tmp_path / "rows.parquet", {"m": own})
    assert numbers(page.of("circle", "line s"), "cx", "cy") == {(20, 21)}


@pytest.mark.parametrize("kind", ["multilabel", "report", "fields", "number", "choice", "ordinal"])
def test_other_kinds_have_a_page_too(kind: str, tmp_path: Path) -> None:
    from medreward.kinds.base import kind_of

    task = sample_task(kind)
    target = next(iter(kind_of(task).honest(task, None))).target
    own = scored(tmp_path, task, [target], ["zorb"])
    page, _ = shown(tmp_path / "rows.parquet", {"m": own})
    assert page.open == []
    assert len(page.of("article")) == 1
    assert "Nothing was read." in page.text


def test_the_command_writes_the_page_with_reliability_and_parts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = write_rows(tmp_path, Task.load("pneumoniamnist"), ["normal", "pneumonia"] * 4)
    file = write_completions(
        tmp_path / "c.jsonl", ["normal"] * 8, confidence=[0.95, 0.15] * 3 + [0.95, 0.95]
    )
    given = ["evaluate", str(rows), "--completions", str(file), "--resamples", "100"]
    assert main([*given, "--by", "split", "--out", str(tmp_path / "out"), "--errors", "3"]) == 0
    assert "report.html" in capsys.readouterr().out
    page = Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert len(page.of("article")) == 3
    assert "Accuracy by split" in page.text
    assert "test (8 rows)" in page.text
    # Bins at 0.15 with none right and at 0.95 with 4 of 5 right.
    points = [a["points"] for a in page.of("polyline", "line-of")]
    assert [str(one).split() for one in points] == [["30.0,200.0", "190.0,40.0"]]


def test_images_are_those_of_their_rows(tmp_path: Path) -> None:
    import base64
    import io

    from PIL import Image

    own = scored(tmp_path, LETTERS, [0] * 6, ["alpha"] * 4 + ["beta", "alpha"])
    page, _ = shown(tmp_path / "rows.parquet", {"m": own})
    (url,) = [str(a["href"]) for a in page.of("image")]
    image = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    assert image.convert("RGB").getpixel((0, 0)) == (4, 0, 0)


def test_baselines_stand_in_numbers_and_intervals_in_one_piece(two: tuple[Page, str]) -> None:
    """Marks beside bars said their values to a mouse only."""
    _, text = two
    table = text[text.index("<h3>Baselines</h3>") :].partition("</table>")[0]
    assert "The marks beside the bars, in numbers." in table
    heads = re.findall(r'<th scope="col">(.*?)</th>', table)
    assert len(heads) == 3
    cells = re.findall(r'<th scope="row">accuracy</th><td class="cell">(.*?)</td>', table)
    assert re.fullmatch(r"[01]\.\d{3}", cells[0])
    labels = text[text.index("<h3>By label") :].partition("</table>")[0]
    assert re.search(r'<td class="cell">\d\.\d{3}\n\(\d\.\d{3}\xa0to\xa0\d\.\d{3}\)</td>', labels)


def test_a_scale_begins_at_0_where_rounding_leaves_less() -> None:
    assert BarRow("kappa", [Bar("", 0.5, 0.4, 0.6)], [-2.2e-16]).scale == (0.0, 1.0)
    assert BarRow("kappa", [Bar("", 0.5, -0.12, 0.6)]).scale == (-0.2, 1.0)
