"""Metrics and reports."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medreward import Task, explain
from medreward.scoring.groups import by_prompt, zero_variance_share
from medreward.sheets.report import Chart, Report, ReportSample, Row, render, write_report

TASK = Task.load("mni152_level")


@given(st.lists(st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=1), min_size=1))
def test_zero_variance_share_counts_constant_groups(groups: list[list[float]]) -> None:
    constant = sum(len(set(group)) == 1 for group in groups)
    assert zero_variance_share(groups) == pytest.approx(constant / len(groups))


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1)), max_size=30))
def test_groups_are_runs_of_one_prompt(rows: list[tuple[int, float]]) -> None:
    keys, rewards = [key for key, _ in rows], [reward for _, reward in rows]
    groups = by_prompt(keys, rewards)
    assert [reward for group in groups for reward in group] == rewards
    assert len(groups) == sum(i == 0 or keys[i] != keys[i - 1] for i in range(len(keys)))


HOSTILE = "<think></script><script>alert(1)</script>\"'&</think><answer>2</answer>"


@pytest.fixture
def report() -> Report:
    score = explain(HOSTILE, 2, task=TASK)
    return Report(
        title="A <run>",
        summary="Two & two.",
        facts={"seed": "0"},
        columns=("before", "after"),
        rows=[Row("accuracy", (0.25, 0.75), "higher is better")],
        charts=[Chart("Reward", {"total": [0.0, 0.5, 1.0], "format": [1.0, float("nan"), 1.0]})],
        samples=[
            ReportSample("slice-1", Image.new("L", (8, 8), 99), "2", {"after": (HOSTILE, score)})
        ],
        texts={"Prompt": "<image>What?"},
    )


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_report_is_one_escaped_file(report: Report) -> None:
    html = render(report)
    parser = _Tags()
    parser.feed(html)
    assert parser.open == []
    names = [name for name, _ in parser.tags]
    assert "script" not in names
    assert "think" not in names
    assert "&lt;script&gt;alert(1)" in html
    for name, attributes in parser.tags:
        assert name not in ("link", "iframe")
        assert not str(attributes.get("src", "data:")).startswith("http")
        if name == "img":
            assert attributes["alt"]
            assert str(attributes["src"]).startswith("data:image/png;base64,")
    assert "http://" not in html
    assert "https://" not in html


def test_a_report_shows_the_numbers_and_reasons(report: Report) -> None:
    html = render(report)
    for text in ("0.250", "0.750", "A &lt;run&gt;", "higher is better", "the answer is right"):
        assert text in html
    points = re.findall(r'class="smooth s0" points="([^"]*)"', html)
    assert points == ["0.0,220.0 320.0,165.0 640.0,110.0"]
    assert 'points="0.0,0.0 640.0,0.0"' in html  # a step without a value leaves a gap


def test_a_report_without_curves_and_samples(report: Report, tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", Report("t", "s", {}, ("a",), report.rows))
    assert "<svg" not in (tmp_path / "report.html").read_text(encoding="utf-8")
