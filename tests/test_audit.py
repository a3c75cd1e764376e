"""Metrics and reports."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import cohen_kappa_score

from medreward import ConfigError, Task, explain
from medreward.runs.metrics import ordinal_metrics
from medreward.scoring.groups import by_prompt, zero_variance_share
from medreward.sheets.report import Chart, Report, ReportSample, Row, render, write_report

TASK = Task.load("mni152_level")
GRADES = st.integers(0, 4)


def scores_of(answers: list[str]) -> list:  # type: ignore[type-arg]
    texts = [f"<think>x</think><answer>{answer}</answer>" for answer in answers]
    return explain(texts, [0] * len(texts), task=TASK)


@given(st.lists(st.tuples(GRADES, GRADES), min_size=2, max_size=20))
def test_metrics_of_readable_answers_are_the_usual_ones(pairs: list[tuple[int, int]]) -> None:
    truth, answers = (np.array(column) for column in zip(*pairs, strict=True))
    metrics = ordinal_metrics(scores_of([str(a) for a in answers]), truth.tolist(), TASK)
    assert metrics.accuracy == pytest.approx(np.mean(truth == answers))
    assert metrics.mae == pytest.approx(np.abs(truth - answers).mean())
    assert metrics.unreadable == 0.0
    if len({*truth, *answers}) > 1:
        kappa = cohen_kappa_score(truth, answers, labels=range(5), weights="quadratic")
        assert metrics.qwk == pytest.approx(kappa)


def test_an_unreadable_answer_is_worse_than_any_other() -> None:
    for truth in range(5):
        unreadable = ordinal_metrics(scores_of(["?", "0"]), [truth, 0], TASK)
        assert unreadable.unreadable == 0.5
        for answer in "01234":
            read = ordinal_metrics(scores_of([answer, "0"]), [truth, 0], TASK)
            assert unreadable.mae >= read.mae
            assert unreadable.accuracy <= read.accuracy


def test_perfect_agreement_on_one_grade_has_kappa_one() -> None:
    assert ordinal_metrics(scores_of(["0", "0"]), [0, 0], TASK).qwk == 1.0


def test_as_many_targets_as_scores() -> None:
    with pytest.raises(ConfigError, match="1 scores and 2 targets"):
        ordinal_metrics(scores_of(["0"]), [0, 1], TASK)
    with pytest.raises(ConfigError, match="0 scores"):
        ordinal_metrics([], [], TASK)


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
