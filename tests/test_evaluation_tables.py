"""Tables of evaluations show any text, in Markdown and LaTeX, and compare several models."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from medreward import Task
from medreward.commands.cli import main
from medreward.runs.evaluation import evaluate, latex, markdown
from medreward.runs.evaluation_intervals import Difference
from medreward.runs.evaluation_results import ModelComparison
from medreward.runs.evaluation_tables import p_text
from tests.evaluation_rows import scored, write_completions, write_rows

PIPED = Task("a_b|c", question="?", labels=["x | y", "[z](http://a/b) <b>", "50 % $&#{}~^\\"])


def cells(line: str) -> list[str]:
    """Return the cells of a line of a table, as a renderer takes it apart."""
    return re.split(r"(?<!\\)\|", line)[1:-1]


def test_a_table_shows_any_label_and_answer(tmp_path: Path) -> None:
    names = [label.name for label in PIPED.labels]
    own = scored(tmp_path, PIPED, [0, 0, 0, 1, 2], [names[0], names[0], names[1], *names[1:]])
    found = evaluate(own, resamples=100, model="m|n")
    text = markdown(found, sources={"rows": "a|b <i>"})
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == 2
    for table in tables:
        widths = {len(cells(line)) for line in table.splitlines()}
        assert len(widths) == 1, table
    assert "always 'x \\| y', the most frequent right answer" in text
    assert "&#91;z&#93;(http&#58;//a/b) &lt;b>" in text
    assert not re.search(r"\[z\]|<b>|<i>", text)


def test_latex_shows_any_label(tmp_path: Path) -> None:
    names = [label.name for label in PIPED.labels]
    own = scored(tmp_path, PIPED, [0, 1, 2], names)
    text = latex(evaluate(own, resamples=100, model="m_1 & 50 %"), sources={"rows": "a_b"})
    assert r"metric & m\_1 \& 50 \% & baseline 1 & baseline 2 \\" in text
    assert r"\caption{a\_b\textbar{}c: 3 rows. In brackets: 95 \% percentile bootstrap" in text
    assert r"Baseline 1: always 'x \textbar{} y', the right answer of one row. Baseline 2" in text
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {len(re.split(r"(?<!\\)&", line)) for line in body} == {4}  # two baselines
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 1
    assert_parses(text)


def test_several_models_are_compared_in_pairs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    true = ["normal", "pneumonia"] * 20
    rows = write_rows(tmp_path, Task.load("pneumoniamnist"), true)
    answers = {"base": ["normal"] * 40, "sft": [*true[:24], *["normal"] * 16], "rft": true}
    files = [
        f"{name}={write_completions(tmp_path / f'{name}.x=y.jsonl', said)}"
        for name, said in answers.items()
    ]
    out = tmp_path / "out"
    given = ["evaluate", str(rows), "--compare", *files, "--resamples", "400", "--out", str(out)]
    assert main(given) == 0
    said = capsys.readouterr().out
    assert "| metric | base | sft | rft | always" in said
    for heading in ("base minus sft", "base minus rft", "sft minus rft"):
        assert f"## pneumoniamnist: {heading}" in said
    content = json.loads((out / "report.json").read_text())
    found = [(m["p"], m["adjusted"]) for pair in content["comparisons"] for m in pair["metrics"]]
    assert len(found) == 3 * 4
    # Holm over all of them: the least p times their number.
    assert min(found)[1] == pytest.approx(min(1, min(found)[0] * len(found)))
    tex = (out / "report.tex").read_text()
    assert tex.count(r"\begin{tabular}") == 4
    assert r"\textbf{\boldmath $-0.500$ {\footnotesize [$-0." in tex
    assert tex.count("Bold: p after Holm's correction is below 0.05.") == 3
    assert "base minus sft, 40 rows. A positive difference: base is higher." in tex
    assert not re.search(r"[\[ ]-\d", "".join(re.findall(r"&.*", tex)))  # a hyphen is no minus
    assert_parses(tex)


def assert_parses(tex: str) -> None:
    """Make sure that braces, environments and mathematics close, and nothing special is bare."""
    text = re.sub(r"(?m)^%.*$", "", tex)
    opened: list[str] = []
    pattern = r"\\(begin|end)\{(\w+)\}|(\\[a-zA-Z]+|\\.)|([{}$#_^~%])"
    for what, name, _, mark in re.findall(pattern, text):
        if what == "begin" or mark == "{" or (mark == "$" and opened[-1:] != ["$"]):
            opened.append(name or mark)
        elif what == "end" or mark in ("}", "$"):
            assert opened.pop() == (name or {"}": "{"}.get(mark, mark))
        else:
            assert not mark, mark
    assert opened == []
    assert text.count(r"\begin{table}") == text.count(r"\caption{") > 0


def test_a_small_p_is_no_zero() -> None:
    change = Difference("accuracy", 0.2, 0.1, 0.3, 1 / 20_001, 4 / 20_001)
    pairs = [ModelComparison("t", "a", "b", [change], 20_000)]
    said = markdown([], pairs)
    assert "| 0.000050 | 0.00020 |" in said
    assert "least p that 20,000 permutations can give is 0.000050" in said
    assert "& $0.000050$ & $0.00020$" in latex([], pairs)
    assert (p_text(1.0), p_text(2 / 2001)) == ("1.0000", "0.0010")


def test_models_need_names_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = write_rows(tmp_path, Task.load("pneumoniamnist"), ["normal"])
    (tmp_path / "one").mkdir()
    files = [
        write_completions(folder / "c.jsonl", ["normal"]) for folder in (tmp_path, tmp_path / "one")
    ]
    assert main(["evaluate", str(rows), "--compare", *map(str, files)]) == 2
    assert "two files are called 'c'" in capsys.readouterr().err
    assert main(["evaluate", str(rows)]) == 2
    assert "--completions FILE or --compare FILE FILE is needed" in capsys.readouterr().err
