"""medreward evaluate: metrics equal scikit-learn's, intervals, comparisons, a model's answers."""

from __future__ import annotations

import gzip
import json
import math
import random
import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn import metrics as sk

from medreward import ConfigError, Task
from medreward.commands.cli import main
from medreward.data.example import Example
from medreward.data.rows import make_rows
from medreward.kinds.base import TargetType, kind_of
from medreward.kinds.right_answers import completion_with, right_answer
from medreward.runs.evaluation import (
    ModelComparison,
    Scored,
    as_json,
    compare,
    compare_all,
    evaluate,
    latex,
    markdown,
    read_completions,
    score_completions,
)
from medreward.runs.evaluation_files import ModelAnswer
from medreward.runs.evaluation_intervals import ratio_metric, share_metric
from medreward.runs.evaluation_metrics import MEASURES, TABLES, Metric, differences, estimates, holm
from medreward.runs.evaluation_readings import READERS
from medreward.runs.generation import Sampling, generate
from medreward.scoring.scorer import Scorer
from medreward.task.registry import kind_names
from tests.evaluation_rows import (
    metrics_by_name,
    predictions,
    scored,
    write_completions,
    write_rows,
)
from tests.samples import sample_task

GRADES = Task("grades", kind="ordinal", question="?", labels=list("abcde"))
LETTERS = Task("letters", question="?", labels=["alpha", "beta", "gamma"])
CHEST = Task("chest", kind="multilabel", question="?", labels=["edema", "effusion, left", "mass"],
             reward={"delta": 0})  # fmt: skip
SAID = Callable[[random.Random, Any], str]


def values_of(own: Scored) -> dict[str, float]:
    return {m.name: m.value for m in evaluate(own, resamples=100)[0].metrics}


def test_labels_and_grades_equal_scikit_learn(tmp_path: Path) -> None:
    chance = random.Random(3)
    for task in (LETTERS, GRADES):
        names = [task.answer_name(i) for i in range(len(task.labels))]
        true = [chance.randrange(len(names)) for _ in range(80)]
        said = [t if chance.random() < 0.5 else chance.randrange(len(names)) for t in true]
        answers = [names[i] for i in said]
        answers[:6] = ["zorbic"] * 6
        found = values_of(scored(tmp_path, task, true, answers))
        none = len(names)
        read = [none] * 6 + said[6:]
        labels = sorted({*true})
        assert found["accuracy"] == pytest.approx(sk.accuracy_score(true, read), abs=1e-12)
        recall = sk.recall_score(true, read, labels=labels, average="macro", zero_division=0)
        assert found["balanced accuracy"] == pytest.approx(recall, abs=1e-12)
        f1 = sk.f1_score(true, read, labels=labels, average="macro", zero_division=0)
        assert found["macro F1"] == pytest.approx(f1, abs=1e-12)
        assert found["unreadable"] == pytest.approx(6 / 80)
        if task is GRADES:
            last = none - 1
            graded = [(last if 2 * t < last else 0) if r == none else r
                      for t, r in zip(true, read, strict=True)]  # fmt: skip
            kappa = sk.cohen_kappa_score(true, graded, weights="quadratic")
            assert found["quadratic weighted kappa"] == pytest.approx(kappa, abs=1e-12)
            error = sk.mean_absolute_error(true, graded)
            assert found["mean absolute error"] == pytest.approx(error, abs=1e-12)


def test_an_unreadable_answer_is_worse_than_any_other() -> None:
    for truth in range(len(GRADES.labels)):
        unread = metrics_by_name(GRADES, predictions(GRADES, [truth, 0], ["?", "a"]))
        assert unread["unreadable"] == 0.5
        for answer in range(len(GRADES.labels)):
            read = metrics_by_name(GRADES, predictions(GRADES, [truth, 0], ["abcde"[answer], "a"]))
            assert unread["mean absolute error"] >= read["mean absolute error"]
            assert unread["accuracy"] <= read["accuracy"]


def test_agreement_on_one_grade_alone_has_kappa_one() -> None:
    found = metrics_by_name(GRADES, predictions(GRADES, [0, 0], ["a", "a"]))
    assert found["quadratic weighted kappa"] == 1.0


def test_sets_equal_scikit_learn(tmp_path: Path) -> None:
    chance = random.Random(5)
    names = [label.name for label in CHEST.labels]

    def some() -> list[str]:
        return [name for name in names if chance.random() < 0.4]

    true, said = ([some() for _ in range(60)] for _ in range(2))
    answers = [json.dumps(x) if x else "no finding" for x in said]
    own = scored(tmp_path, CHEST, true, answers)
    # An answer of all labels is read, and earns nothing.
    read = [{n for n in names if n in (p.score.prediction or "")} for p in own.predictions]
    matrix: Any = np.array([[n in x for n in names] for x in true])
    guess: Any = np.array([[n in x for n in names] for x in read])
    found = values_of(own)
    micro = sk.f1_score(matrix, guess, average="micro", zero_division=0)
    assert found["micro F1"] == pytest.approx(micro, abs=1e-12)
    macro = sk.f1_score(matrix, guess, average="macro", zero_division=0)
    assert found["macro F1"] == pytest.approx(macro, abs=1e-12)
    exact = sk.accuracy_score(matrix, guess)
    assert found["exact match"] == pytest.approx(exact, abs=1e-12)


def test_every_type_of_target_has_its_metrics(tmp_path: Path) -> None:
    for table in (MEASURES, READERS, TABLES):
        assert {*table} == {*TargetType}
    for kind in kind_names():
        task = sample_task(kind)
        targets = [honest.target for honest in kind_of(task).honest(task, None)][:3]
        answers = [right_answer(task, target) for target in targets]
        own = scored(tmp_path, task, targets, answers, side=224)
        found = evaluate(own, resamples=100)[0]
        first, *_, unread = found.metrics
        assert (first.value, unread.value) == (1.0, 0.0), kind
        assert (first.low, first.high) == (1.0, 1.0)
        assert found.reasons == found.unread == {}
        whole = {m.name: m.value for m in found.metrics if "error" not in m.name}
        assert {name for name, value in whole.items() if value == 0.0} == {
            name for name in whole if "unreadable" in name
        }


def share(values: Any) -> Metric:
    column: Any = np.array(values, float)
    features: Any = np.column_stack([column, np.ones(len(column))])
    return Metric("share", features, lambda sums: sums[..., 0] / sums[..., 1])


def test_intervals_cover_and_copies_of_an_image_do_not_narrow_them() -> None:
    chance: Any = np.random.default_rng(1)
    inside = 0
    for seed in range(200):
        values = (chance.random(60) < 0.7).astype(float)
        found = estimates([share(values)], [str(i) for i in range(60)], resamples=400, seed=seed)[0]
        inside += found.low <= 0.7 <= found.high
    assert 180 <= inside <= 199  # nominally 190; a percentile interval is a little narrow
    values = (chance.random(40) < 0.6).astype(float)
    alone = estimates([share(values)], [str(i) for i in range(40)], seed=0)[0]
    copied = estimates([share(np.repeat(values, 9))], [str(i // 9) for i in range(360)], seed=0)[0]
    assert copied == alone


def test_a_difference_is_found_and_none_is_made_up() -> None:
    chance: Any = np.random.default_rng(2)
    clusters = [str(i) for i in range(200)]
    small = 0
    for seed in range(60):
        one, other = ((chance.random(200) < 0.6).astype(float) for _ in range(2))
        found = differences([share(one)], [share(other)], clusters, resamples=200, seed=seed)[0]
        small += found.p < 0.05
    assert small <= 9  # 3 are expected
    better = np.where(chance.random(200) < 0.3, 1.0, one)
    found = differences([share(better)], [share(one)], clusters, resamples=999)[0]
    assert found.value > 0 < found.low
    assert found.p == pytest.approx(0.001)
    same = differences([share(one)], [share(one)], clusters, resamples=99)[0]
    assert (same.value, same.low, same.high, same.p) == (0.0, 0.0, 0.0, 1.0)
    assert holm([0.02, 0.5, 0.03]) == [0.06, 0.5, 0.06]


def test_a_difference_without_a_value_has_no_p(tmp_path: Path) -> None:
    """Else recall of boxes, where there is none to find, would differ with p = 0.0005."""
    nothing = ratio_metric("recall", np.zeros(20), np.zeros(20))
    right = share_metric("accuracy", [1.0] * 10 + [0.0] * 10)
    wrong = share_metric("accuracy", [0.0] * 20)
    clusters = [str(i) for i in range(20)]
    found = differences([nothing, right], [nothing, wrong], clusters, resamples=999)
    assert all(math.isnan(number) for number in found[0][1:])
    assert found[1].adjusted == found[1].p < 0.01  # the other one does not count as a comparison
    compared = ModelComparison("boxes", "a", "b", found, 999)
    content = json.loads(as_json([], [compared]))["comparisons"][0]["metrics"][0]
    assert content["p"] is content["adjusted"] is None
    assert "| recall | – | – | – |" in markdown([], [compared])
    assert r"recall & -- & -- & -- \\" in latex([], [compared])


def test_permutations_without_a_value_are_left_out() -> None:
    """Of two boxes in all, one model's is right; exchanged alone, they leave it with none."""
    one = ratio_metric("precision", np.array([1.0, 0.0]), np.array([1.0, 0.0]))
    other = ratio_metric("precision", np.array([0.0, 0.0]), np.array([0.0, 1.0]))
    found = differences([one], [other], "ab", resamples=200)[0]
    assert (found.value, found.p) == (1.0, 1.0)  # counted as no difference, they would halve p


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = Task.load("pneumoniamnist")
    true = ["normal", "pneumonia"] * 20
    rows = write_rows(tmp_path, task, true)
    good = write_completions(tmp_path / "a.jsonl", [*true[:36], *["?"] * 4])
    bad = write_completions(tmp_path / "b.jsonl", ["normal"] * 40)
    out = tmp_path / "out"
    given = ["evaluate", str(rows), "--completions", str(good), "--resamples", "200"]
    assert main([*given, "--against", str(bad), "--by", "split", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "## pneumoniamnist (40 rows)" in said
    assert "## pneumoniamnist, split=test (40 rows)" in said
    assert "| metric | a | b | always 'normal', the most frequent right answer | the right" in said
    assert "| accuracy | 0.900 (" in said
    assert re.search(r"\| accuracy \| 0.900 \(.*?\) \| 0.500 \(.*?\) \| 0.500 \| 0.\d+ \|", said)
    assert "Not right, a: label_unknown 4" in said
    assert "Not read, a: label_unknown 4" in said
    assert "| accuracy | +0.400 (" in said
    assert (out / "report.md").read_text() == said[: said.rindex("wrote ")]
    content = json.loads((out / "report.json").read_text())
    assert content["evaluations"][0]["metrics"][0]["value"] == 0.9
    (pair,) = content["comparisons"]
    assert (pair["one"], pair["other"]) == ("a", "b")
    assert pair["metrics"][0]["adjusted"] <= 0.05
    digest = sha256(rows.read_bytes()).hexdigest()[:16]
    assert content["rows"] == {"file": "rows.parquet", "sha256": digest}
    assert f"SHA-256 {digest}" in said
    assert "$0.900$" in (out / "report.tex").read_text()
    assert main([*given, "--against", str(bad), "--by", "split", "--out", str(out)]) == 0
    assert json.loads((out / "report.json").read_text()) == content  # the same seed


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['{"id": "r0", "completion": "x"}'], "1 of 2 rows .* have no completion: 'r1'; --missing"),
        (['{"id": "r0", "completion": "x"}', '{"id": "r9", "completion": "x"}'],
         "1 of 2 completions are of no row of .*: 'r9'. Its ids are 'r0', 'r1'; are they of"),
        (['{"id": "r0", "completion": "x"}'] * 2, "the id 'r0' is there twice"),
        (['{"id": "r0", "text": "x"}'], "line 1: no 'completion'; it has id, text. A file"),
        (['{"id": null, "completion": "x"}'], "line 1: 'id' is null; it has id, completion"),
        (['{"id": ["r0"], "completion": "x"}'], r"line 1: id: \['r0'\] is not a text or a number"),
        (['{"id": 0, "completion": ["x"]}'], r"line 1: completion: \['x'\] is not a text; of sev"),
        ([f'{{"id": {i}, "completion": "x", "model": "{name}"}}' for i, name in enumerate("ab")],
         "line 2: a completion of the model 'b', and line 1 is one of 'a'; each model has a file"),
        (["[1]"], "line 1: not an object; a list is not read; write JSON lines, a line for each"),
        (["{"], "line 1: not JSON: [^n].*; it needs a line for each row, {"),
        ([], "it has no completions"),
    ],
)  # fmt: skip
def test_completions_that_do_not_fit_are_named(
    lines: list[str], message: str, tmp_path: Path
) -> None:
    rows = write_rows(tmp_path, Task.load("pneumoniamnist"), ["normal", "pneumonia"])
    path = tmp_path / "c.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        score_completions(rows, read_completions(path))


def test_forms_of_files_that_are_read_and_not_read(tmp_path: Path) -> None:
    line = '{"id": "r0", "completion": "x"}'
    for content in (f"\ufeff{line}\n", f"{line}\r\n\r\n", line):
        path = tmp_path / "c.jsonl"
        path.write_bytes(content.encode())
        assert read_completions(path) == {"r0": "x"}
    packed = tmp_path / "c.jsonl.gz"
    packed.write_bytes(gzip.compress(line.encode()))
    with pytest.raises(ConfigError, match=r"c.jsonl.gz: a packed file; unpack it first"):
        read_completions(packed)
    table = tmp_path / "c.csv"
    table.write_text("id,completion\nr0,x\n")
    with pytest.raises(
        ConfigError, match=r"c.csv line 1: .*; a table is not read; write JSON lines"
    ):
        read_completions(table)


def test_what_is_wrong_with_options_is_said_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "c.jsonl"
    file.write_text('{"id": "r0", "completion": "x"}')
    for given, message in {
        ("--completions", str(file), "--out", str(file)): f"--out: {file}: File exists; name a fol",
        ("--compare", str(file)): f"--compare: {file} is alone; name two files or more",
        ("--model", "none"): "--model: add --completions FILE",
        ("--completions", str(file), "--seed", "-1"): "--seed: -1 is not a whole number",
    }.items():
        assert main(["evaluate", str(tmp_path / "no_rows.parquet"), *given]) == 2
        assert message in capsys.readouterr().err


def test_rows_without_a_value_are_a_part_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = Task.load("pneumoniamnist")
    sites = ["a", None, "", "None"]
    rows = [
        {**row, "extra_info": {**row["extra_info"], "site": site}}
        for row, site in zip(
            make_rows(
                [Example(Image.new("L", (8, 8), i), "normal", f"r{i}", "test") for i in range(4)],
                task,
                "none",
            ),
            sites,
            strict=True,
        )
    ]
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    file = write_completions(tmp_path / "c.jsonl", ["normal"] * 4)
    given = ["evaluate", str(path), "--completions", str(file), "--resamples", "100"]
    assert main([*given, "--by", "site, split,site"]) == 0
    heads = re.findall("^## .*", capsys.readouterr().out, re.MULTILINE)
    assert [head.removeprefix("## pneumoniamnist") for head in heads] == [
        " (4 rows)", ", site=(no value) (2 rows)", ", site=None (1 row)", ", site=a (1 row)",
        ", split=test (4 rows)",
    ]  # fmt: skip


def test_a_file_without_rows_is_named(tmp_path: Path) -> None:
    path = write_rows(tmp_path, Task.load("pneumoniamnist"), ["normal"])
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    with pytest.raises(ConfigError, match=r"rows.parquet: there are no rows"):
        score_completions(path, {"r0": "x"})


def test_a_row_without_an_id_is_named(tmp_path: Path) -> None:
    path = write_rows(tmp_path, Task.load("pneumoniamnist"), ["normal", "pneumonia"])
    rows = pq.read_table(path).to_pylist()
    rows[1]["extra_info"]["id"] = None
    pq.write_table(pa.Table.from_pylist(rows), path)
    with pytest.raises(ConfigError, match=r"rows.parquet: row 1: extra_info has no 'id', by which"):
        score_completions(path, {"r0": "x"})


def test_a_row_without_a_completion_may_count_as_unread(tmp_path: Path) -> None:
    rows = write_rows(tmp_path, Task.load("pneumoniamnist"), ["normal", "pneumonia"])
    own = score_completions(rows, {"r0": completion_with("normal")}, missing="unread")
    assert values_of(own["pneumoniamnist"])["unreadable"] == 0.5
    other = score_completions(rows, {"r0": "x", "r1": "y"})["pneumoniamnist"]
    with pytest.raises(ConfigError, match="not of the same rows"):
        compare(own["pneumoniamnist"], Scored(other.bound, other.predictions[:1]))
    with pytest.raises(ConfigError, match=r"--by: .* extra_info has no 'site'; it has id, split"):
        score_completions(rows, {"r0": "x", "r1": "y"}, by=["site"])


def test_rows_are_drawn_together_by_a_field(tmp_path: Path) -> None:
    rows = write_rows(tmp_path, Task.load("pneumoniamnist"), ["normal", "pneumonia"] * 10)
    said = {f"r{i}": completion_with("normal") for i in range(20)}
    alone = evaluate(score_completions(rows, said)["pneumoniamnist"], resamples=100)[0].metrics[0]
    assert alone.low < alone.value < alone.high
    one = score_completions(rows, said, cluster="split")["pneumoniamnist"]
    together = evaluate(one, resamples=100)[0].metrics[0]
    assert together.low == together.value == together.high == 0.5  # all of one split
    with pytest.raises(ConfigError, match=r"--cluster: .* has no 'patient'.*--patient-column"):
        score_completions(rows, said, cluster="patient")
    with pytest.raises(ConfigError, match=r"--cluster: .* extra_info has no 'site'; it has id"):
        score_completions(rows, said, cluster="site")


def test_texts_that_are_no_text_are_shown_as_escapes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = write_rows(tmp_path, Task.load("pneumoniamnist"), ["normal"] * 4)
    said = ["\ud800", "\x1b[31mnormal", "normal\u202e | x", ""]
    file = write_completions(tmp_path / "c.jsonl", said)
    out = tmp_path / "out"
    given = ["evaluate", str(rows), "--completions", str(file), "--rules", "--out", str(out)]
    assert main([*given, "--resamples", "100"]) == 0
    capsys.readouterr()
    for path in out.iterdir():
        text = path.read_text(encoding="utf-8")
        assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", text), path.name
    found = json.loads((out / "report.json").read_text(encoding="utf-8"))
    shown = {one["answer"] for suite in found["rules"] for one in suite["examples"]}
    assert "\x1b[31mnormal" in shown


def test_a_model_answers_and_a_run_that_was_ended_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from medreward_trl.demo.model import build

    task = Task.load("pneumoniamnist")
    rows = write_rows(tmp_path, task, ["normal", "pneumonia"] * 3)
    tiny = build(["normal pneumonia Possible labels"], seed=0, size=28)
    tiny.model.save_pretrained(tmp_path / "model")
    tiny.processor.save_pretrained(tmp_path / "model")
    path = tmp_path / "made" / "c.jsonl"
    given = ["evaluate", str(rows), "--completions", str(path), "--model", str(tmp_path / "model")]
    given += ["--max-new-tokens", "3", "--resamples", "100", "--batch", "4"]
    assert main(given) == 0
    assert "6 new completions" in capsys.readouterr().out
    whole = path.read_text(encoding="utf-8")
    lines = whole.splitlines()
    path.write_text("\n".join([*lines[:2], lines[2][:9]]), encoding="utf-8")  # killed in a line
    assert main(given) == 0
    assert "4 new completions" in capsys.readouterr().out
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == [
        f"r{i}" for i in range(6)
    ]
    assert path.read_text(encoding="utf-8").splitlines()[:2] == lines[:2]
    assert main([*given[:4], "--model", str(tmp_path / "none")]) == 2

    path.write_text(json.dumps({"id": "r0", "completion": "x", "model": "another"}) + "\n")
    assert main(given) == 2
    assert "a completion of 'another', not of" in capsys.readouterr().err

    drawn = tmp_path / "made" / "samples.jsonl"
    given[3] = str(drawn)
    given += ["--samples", "3", "--temperature", "2"]
    assert main(given) == 0
    assert "18 new completions" in capsys.readouterr().out
    whole = drawn.read_text(encoding="utf-8")
    lines = whole.splitlines()
    assert len({line for line in lines if '"r0"' in line}) > 1
    drawn.write_text("\n".join([*lines[:4], lines[4][:9]]), encoding="utf-8")  # in a row's samples
    assert main(given) == 0
    assert "15 new completions" in capsys.readouterr().out
    assert drawn.read_text(encoding="utf-8") == whole  # the same chance
    assert main([*given[:-3], "2", *given[-2:]]) == 2
    assert "is there 3 times, and --samples is 2" in capsys.readouterr().err


class Parrot:
    """Answers each row with its id."""

    name = "parrot"

    def __init__(self, max_new_tokens: int = 8) -> None:
        self.max_new_tokens = max_new_tokens

    def complete(self, rows: Any, sampling: Sampling) -> list[str]:
        return [row["extra_info"]["id"] for row in rows for _ in range(sampling.draws)]


@pytest.mark.parametrize(
    "content",
    [b"id,completion\nr0,normal", b"PAR1\x00\x15\n\xff\xfe", b'{"id": "r0"}\n', b"[1]\n", b"notes",
     b'{"id": "r0", "completion": "x"}\nmy notes', b'\xef\xbb\xbf{"id": "r0"}'],
)  # fmt: skip
def test_a_file_that_is_no_file_of_completions_is_left_as_it_is(
    content: bytes, tmp_path: Path
) -> None:
    """The end of it was cut off, as that of a line that was not finished."""
    rows = write_rows(tmp_path, Task.load("pneumoniamnist"), ["normal", "pneumonia"])
    path = tmp_path / "mine"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"mine line \d: not a line that --model writes; name"):
        generate(Parrot(), rows, path)
    assert path.read_bytes() == content


def test_a_run_goes_on_behind_a_line_without_an_end(tmp_path: Path) -> None:
    rows = write_rows(tmp_path, Task.load("pneumoniamnist"), ["normal", "pneumonia"])
    path = tmp_path / "c.jsonl"
    path.write_text('{"id": "r0", "completion": "mine"}')
    assert generate(Parrot(), rows, path) == 1
    assert read_completions(path) == {"r0": "mine", "r1": "r1"}
    assert generate(Parrot(), rows, path) == 0


def test_completions_of_other_prompts_or_settings_are_no_completions_of_these_rows(
    tmp_path: Path,
) -> None:
    """The rows of `prepare --knowledge none` and `full` have the same ids."""
    rows = write_rows(tmp_path, Task.load("pneumoniamnist"), ["normal", "pneumonia"])
    path = tmp_path / "c.jsonl"
    assert generate(Parrot(), rows, path) == 2
    assert generate(Parrot(), rows, path) == 0
    with pytest.raises(ConfigError, match=r"line 1: .*by 'greedy, at most 8 tokens', not by 'gre"):
        generate(Parrot(9), rows, path)
    other = write_rows(tmp_path, Task.load("breastmnist"), ["normal", "malignant"])
    with pytest.raises(ConfigError, match=r"its completion of 'r0' was made of another prompt or"):
        generate(Parrot(), other, path)
    drawn = tmp_path / "d.jsonl"
    assert generate(Parrot(), rows, drawn, sampling=Sampling(2, 0.5)) == 4
    with pytest.raises(ConfigError, match=r"'temperature 0.5, seed 0, at most 8 tokens', not by"):
        generate(Parrot(), rows, drawn, sampling=Sampling(2, 0.7))


def noted(own: Any) -> str:
    return " ".join(evaluate(own, resamples=100)[0].notes)


def patients_of(folder: Path, count: int, patients: int) -> Path:
    """Write rows of which several are of one patient."""
    path = write_rows(folder, Task.load("pneumoniamnist"), ["normal", "pneumonia"] * (count // 2))
    rows = pq.read_table(path).to_pylist()
    for i, row in enumerate(rows):
        row["extra_info"]["patient"] = str(i % patients)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_intervals_that_are_too_narrow_are_remarked_on(tmp_path: Path) -> None:
    rows = patients_of(tmp_path, 60, 20)
    said = {f"r{i}": completion_with("normal") for i in range(60)}
    found = noted(score_completions(rows, said)["pneumoniamnist"])
    assert "20 of 20 patients have several images" in found
    assert "--cluster patient" in found
    assert "No answers are unreadable: a bootstrap interval of this share has no width" in found
    assert "off by about 0.05 (the rule of three)" in found  # 3 / 60
    drawn = noted(score_completions(rows, said, cluster="patient")["pneumoniamnist"])
    assert "The rows are drawn in only 20 clusters: the intervals say little." in drawn
    assert "patients have several" not in drawn
    assert "off by about 0.15" in drawn
    alone = noted(score_completions(patients_of(tmp_path, 60, 60), said)["pneumoniamnist"])
    assert "patients" not in alone


def test_answers_that_are_mostly_unread_are_remarked_on(tmp_path: Path) -> None:
    rows = write_rows(tmp_path, Task.load("pneumoniamnist"), ["normal", "pneumonia"] * 20)
    said = {f"r{i}": [ModelAnswer("normal", 0.9)] for i in range(30)}
    found = noted(score_completions(rows, said, missing="unread")["pneumoniamnist"])
    assert "40 of 40 answers cannot be read (no_answer 40): do --completion-format" in found
    assert "10 answers that cannot be read have the confidence 0 and are wrong: AUROC" in found


def test_a_correction_that_leaves_nothing_significant_is_remarked_on(tmp_path: Path) -> None:
    rows = write_rows(tmp_path, Task.load("pneumoniamnist"), ["normal", "pneumonia"] * 20)
    texts = [["normal", "pneumonia"] * 20, ["normal"] * 40, ["?"] * 40]
    models = {
        str(i): score_completions(rows, {f"r{j}": completion_with(t) for j, t in enumerate(own)})
        for i, own in enumerate(texts)
    }
    few, many = (compare_all(models, resamples=count) for count in (200, 300))
    assert few[0].compared == 12  # three pairs of four metrics
    assert min(own.adjusted for one in few for own in one.metrics) > 0.05
    assert "Corrected for 12 comparisons, that is at least 0.0597" in markdown([], few)
    assert "--resamples 480 or more" in markdown([], few)
    assert "Corrected for" not in markdown([], many)
    assert min(own.adjusted for one in many for own in one.metrics) < 0.05


def test_a_note_of_one_model_says_whose_it_is() -> None:
    own = predictions(LETTERS, [0, 1] * 20, ["alpha"] * 40)
    bad = predictions(LETTERS, [0, 1] * 20, ["?"] * 40)
    found = markdown(
        [
            evaluate(Scored(Scorer(LETTERS), each), resamples=100, model=name)[0]
            for name, each in (("one", own), ("other", bad))
        ]
    )
    assert "\nother: 40 of 40 answers cannot be read" in found
    assert "\nThe rows are drawn in only 1 clusters" in found


def test_each_label_has_intervals(tmp_path: Path) -> None:
    chance: Any = np.random.default_rng(4)
    true = chance.integers(0, 3, 60)
    said = np.where(chance.random(60) < 0.7, true, chance.integers(0, 2, 60))
    names = ["alpha", "beta", "gamma"]
    own = scored(tmp_path, LETTERS, [int(i) for i in true], [names[i] for i in said])
    (found,) = evaluate(own, resamples=500, seed=7)
    weights = np.random.default_rng(7).multinomial(60, np.full(60, 1 / 60), size=500)
    for i, row in enumerate(found.labels):
        there, told = true == i, said == i
        counts = weights @ np.column_stack([there & told, there, told])
        for name, values in {
            "recall": counts[:, 0] / counts[:, 1],
            "precision": counts[:, 0] / counts[:, 2],
            "f1": 2 * counts[:, 0] / (counts[:, 1] + counts[:, 2]),
        }.items():
            ends = row["intervals"][name]
            assert ends == pytest.approx([*np.percentile(values, [2.5, 97.5])], abs=1e-12)
            assert ends[0] <= row[name] <= ends[1]
    shown = "{:.3f} ({:.3f} to {:.3f})".format(row["recall"], *row["intervals"]["recall"])
    assert f"| gamma | {row['rows']} | {shown} |" in markdown([found])
    assert json.loads(as_json([found]))["evaluations"][0]["labels"] == found.labels


def test_metrics_that_only_one_model_has_are_named(tmp_path: Path) -> None:
    rows = write_rows(tmp_path, Task.load("pneumoniamnist"), ["normal", "pneumonia"] * 20)
    text = completion_with("normal")
    sure = {f"r{i}": [ModelAnswer(text, 0.9)] for i in range(40)}
    plain = {f"r{i}": text for i in range(40)}
    models = {"a": score_completions(rows, sure), "b": score_completions(rows, plain)}
    (found,) = compare_all(models, resamples=100)
    assert "macro AUROC" in found.left_out
    assert "Not compared, since only one of the two has them: macro AUROC," in markdown([], [found])
    assert json.loads(as_json([], [found]))["comparisons"][0]["left_out"] == found.left_out
    (found,) = compare_all({"a": models["a"], "b": models["a"]}, resamples=100)
    assert "Not compared" not in markdown([], [found])


@pytest.mark.parametrize("task", [GRADES, LETTERS], ids=["grades", "letters"])
def test_few_rows_equal_scikit_learn(task: Task) -> None:
    """Labels that are true of no row or said of none, ties, one class alone, unread answers."""
    names = [task.answer_name(i) for i in range(len(task.labels))]
    none = len(names)
    for seed in range(40):
        chance = random.Random(seed)
        count = chance.randint(1, 9)
        true = [chance.randrange(chance.choice([1, 2, none])) for _ in range(count)]
        said = [chance.randrange(none + 1) for _ in range(count)]
        sure: Any = np.array([[chance.choice([0, 0.25, 0.5, 1]) for _ in names] for _ in true])
        own = predictions(task, true, [*map([*names, "zorbic"].__getitem__, said)])
        own = [p._replace(confidence=tuple(c)) for p, c in zip(own, sure, strict=True)]
        found = metrics_by_name(task, own)
        there = sorted({*true})
        given: Any = {"labels": there, "average": "macro", "zero_division": 0}
        wanted = {
            "accuracy": sk.accuracy_score(true, said),
            "balanced accuracy": sk.recall_score(true, said, **given),
            "macro F1": sk.f1_score(true, said, **given),
        }
        hot = np.eye(none)[true]
        some = [i for i in there if hot[:, i].sum() < count]
        for name, score in (
            ("macro AUROC", sk.roc_auc_score),
            ("macro average precision", sk.average_precision_score),
        ):
            values = [score(hot[:, i], sure[:, i]) for i in some]
            wanted[name] = np.mean(values) if values else np.nan
        if task is GRADES:
            graded = [(none - 1 if t < 2 else 0) if r == none else r
                      for t, r in zip(true, said, strict=True)]  # fmt: skip
            wanted["mean absolute error"] = sk.mean_absolute_error(true, graded)
        for name, value in wanted.items():
            assert found[name] == pytest.approx(value, abs=1e-9, nan_ok=True), (name, seed)
