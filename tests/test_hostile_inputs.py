"""Hostile inputs end in one clear line and status 2, or in a score: no traceback, no hang."""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import medreward
from medreward import ConfigError, Task, explain
from medreward.commands.cli import main
from medreward.errors import quote
from medreward.files.reading import parse_json, parse_yaml
from medreward.text.shown import escape_controls

RIGHT = "<think>Hm</think><answer>0</answer>"
DEEP = "[" * 20_000
BIG = "9" * 400


def bomb(levels: int = 10) -> str:
    """Return YAML lines of anchors k0 to k9, each ten aliases of the one before."""
    lines = ["- &k0 [x]"] + [
        f"- &k{i} [{', '.join([f'*k{i - 1}'] * 10)}]" for i in range(1, levels)
    ]
    return "\n  ".join(lines)


YAML = {
    "bomb": f"name: {{a: \n  {bomb()}\n  }}".replace("{a: ", "").replace("}", ""),
    "itself": "name: &a [*a]",
    "itself in a mapping": "name: &a {x: *a}",
    "merges": "name: &a {<<: *a}",
    "deep": "name: " + DEEP,
    "rather deep": "name: " + "[" * 200 + "]" * 200,
    "digits": f"first_grade: {BIG}",
    "more digits": f"first_grade: {'9' * 5000}",
    "hexadecimal": f"first_grade: 0x{'f' * 5000}",
    "nan": "name: x\nkind: ordinal\nquestion: q\nfirst_grade: .nan",
    "inf": "name: x\nkind: ordinal\nquestion: q\nmax_typos: .inf",
    "twice": "name: a\nname: b",
    "list as key": "? [a]\n: b",
    "escape": 'name: "\\e[31m"\nkind: x\nquestion: q',
    "laterality": "name: a\nkind: classification\nquestion: q\nlabels: [a, b]\n"
    "laterality: {keep: 5}",
    "no finding": "name: a\nkind: multilabel\nquestion: q\nlabels: [a, b]\nno_finding: 5",
    "surrogate": 'name: "\\ud800"\nkind: x\nquestion: q',
}
BYTES = {
    **{name: text.encode() for name, text in YAML.items()},
    "latin": "name: é".encode("latin-1"),
    "utf-16": "name: é".encode("utf-16"),
    "binary": bytes(range(256)),
}
JSON = {
    "deep": DEEP,
    "deep objects": '{"a":' * 100_000,
    "deep and closed": "[" * 500 + "]" * 500,
    "digits": BIG,
    "more digits": "9" * 5000,
    "float": "1e999",
    "nan": "NaN",
    "infinity": "[-Infinity, 0, 1, 2]",
    "twice": '{"boxes": [], "boxes": []}',
    "half": '"\\ud800"',
    "box": f"[[0, 0, {BIG}, 5]]",
    "polygon": f'{{"polygons": [[0, 0, {BIG}, 5, 5, 5]], "size": [9, 9]}}',
    "escape": '"\\u001b[31m"',
}


def fails(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that has to refuse its input; return what it says."""
    capsys.readouterr()
    try:
        status: Any = main(words)
    except SystemExit as error:  # argparse's
        status = error.code
    said = capsys.readouterr()
    assert status == 2, said.out[-300:]
    check_clean(said.out + said.err)
    assert said.err.startswith(("medreward: ", "usage: "))
    assert len(said.err) < 3000
    return said.err


def check_clean(text: str) -> None:
    """Make sure that a terminal would obey nothing in a text, and that it is UTF-8."""
    assert "Traceback" not in text
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text
    )


COMMANDS: dict[str, Callable[[str, Path], list[str]]] = {
    "score": lambda card, _: ["score", "no.jsonl", "--task", card],
    "explain": lambda card, _: ["explain", RIGHT, "--target=0", "--task", card],
    "audit": lambda card, _: ["audit", "--task", card],
    "tasks": lambda card, _: ["tasks", "show", card],
    "lint": lambda card, _: ["priors", "lint", card],
    "check": lambda card, _: ["check", card],
    "rows": lambda card, rows: ["rows", "check", str(rows), "--task", f"x={card}"],
    "view": lambda card, rows: ["view", str(rows), "--task", f"x={card}"],
    "why": lambda card, folder: ["why", str(folder / "t.jsonl"), "--task", card],
    "sweep": lambda card, folder: [
        "sweep", str(folder / "t.jsonl"), "--task", card, "--grid", "delta=0"
    ],
    "prepare": lambda card, folder: ["prepare", "--folders", str(folder), "--task", card],
}  # fmt: skip


# Every content once and every command with a third of them; the rest is `slow`.
CARD_PAIRS = [
    pytest.param(name, command, marks=[] if (i + j) % 3 == 0 else [pytest.mark.slow])
    for i, name in enumerate(BYTES)
    for j, command in enumerate(COMMANDS)
]


@pytest.mark.parametrize(("name", "command"), CARD_PAIRS)
def test_cards(name: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = tmp_path / ("x.cases.yaml" if command == "check" else "card.yaml")
    card.write_bytes(BYTES[name])
    (tmp_path / "t.jsonl").write_text(json.dumps({"completion": RIGHT, "target": 0}))
    if command == "lint":  # what is wrong in a card are findings, with status 1
        assert main(COMMANDS[command](str(card), tmp_path)) in (1, 2)
        said = capsys.readouterr()
        check_clean(said.out + said.err)
        return
    fails(COMMANDS[command](str(card), tmp_path), capsys)


@pytest.mark.parametrize("name", JSON)
@pytest.mark.parametrize("task", ["retinamnist", "mni152_brain_box", "pneumoniamnist"])
def test_targets(name: str, task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = JSON[name]
    lines = tmp_path / "rows.jsonl"
    lines.write_text(f'{{"completion": "x", "target": {text}}}')
    fails(["score", str(lines), "--task", task], capsys)
    fails(["audit", "--task", task, "--targets", str(lines), "--family", "x"], capsys)
    fails(["explain", RIGHT, "--target", text, "--task", task], capsys)


def test_half_characters_and_escapes_are_written_as_json_writes_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    row = {"completion": "\ud800\x1b[31m\x9b\u202e", "target": 0, "knowledge": "\udfff"}
    lines.write_text(json.dumps(row))
    assert main(["score", str(lines), "--task", "retinamnist"]) == 0
    said = capsys.readouterr().out
    check_clean(said)
    assert json.loads(said)["completion"] == row["completion"]
    assert main(["score", str(lines), "--task", "retinamnist", "--out", str(out)]) == 0
    assert json.loads(out.read_text(encoding="utf-8"))["knowledge"] == row["knowledge"]


def picture() -> dict[str, Any]:
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, format="PNG")
    return {"bytes": buffer.getvalue()}


ROW = {
    "data_source": "retinamnist",
    "prompt": [{"role": "user", "content": "<image>?"}],
    "images": [picture()],
    "ability": "ordinal",
    "reward_model": {"style": "rule", "ground_truth": "0"},
    "extra_info": {"id": "a", "split": "train"},
}


@pytest.mark.parametrize(
    "change",
    [
        {"extra_info": "a text"},
        {"extra_info": [1]},
        {"reward_model": 5},
        {"reward_model": "0"},
        {"prompt": "a text"},
        {"prompt": [None]},
        {"prompt": ["a"]},
        {"prompt": 7},
        {"prompt": [{"role": "user", "content": 3}]},
        {"images": b"png"},
        {"images": 3},
        {"data_source": 3},
        {"data_source": None},
    ],
    ids=str,
)
def test_columns_of_another_type(
    change: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist([ROW | change]), file)
    (column,) = change
    assert column in fails(["rows", "check", str(file)], capsys)
    assert column in fails(["view", str(file), "--out", str(tmp_path / "v.html")], capsys)


@pytest.mark.parametrize("images", [[[1, 2]], [5], ["\0"], [{"bytes": 5}], [{"path": "a" * 5000}]])
def test_images_of_another_type(
    images: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist([ROW | {"images": images}]), file)
    assert "images[0]" in fails(["rows", "check", str(file)], capsys)
    assert main(["view", str(file), "--out", str(tmp_path / "v.html")]) == 0  # a sheet that says so


@pytest.mark.parametrize("truth", JSON.values(), ids=JSON)
@pytest.mark.parametrize("source", ["retinamnist", "mni152_brain_box"])
def test_ground_truths(
    truth: str, source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rows.parquet"
    row = ROW | {"data_source": source, "reward_model": {"ground_truth": truth}}
    pq.write_table(pa.Table.from_pylist([row]), file)
    fails(["rows", "check", str(file)], capsys)
    assert main(["view", str(file), "--out", str(tmp_path / "v.html")]) == 0
    check_clean("".join(capsys.readouterr()))


@pytest.mark.parametrize("name", ["bomb", "itself", "deep", "laterality", "digits"])
def test_a_card_that_a_row_names(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card, file = tmp_path / "card.yaml", tmp_path / "rows.parquet"
    card.write_text(YAML[name])
    row = ROW | {"extra_info": {"id": "a", "task": str(card)}}
    pq.write_table(pa.Table.from_pylist([row]), file)
    fails(["rows", "check", str(file)], capsys)
    assert main(["view", str(file), "--out", str(tmp_path / "v.html")]) == 0


COCO: dict[str, Any] = {
    "images": [{"id": 1, "file_name": "a.png", "width": 8, "height": 8}],
    "categories": [{"id": 1, "name": "c"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 4, 4]}],
}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"bbox": [0', f'"bbox": [{BIG}'),
        ('"bbox": [0', '"bbox": [NaN'),
        ('"width": 8', '"width": Infinity'),
        ('"width": 8', f'"width": {BIG}'),
        ('"width": 8', '"width": -8'),
        ('"images": [{"id": 1', '"images": [{"id": [1]'),
        ('"image_id": 1', '"image_id": [1]'),
        ('"category_id": 1', '"category_id": {}'),
        ('"images": [', f'"images": [{DEEP}'),
        ('"images": [', '"images": [null, '),
    ],
)
def test_coco(old: str, new: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "coco.json"
    text = json.dumps(COCO)
    assert old in text
    file.write_text(text.replace(old, new))
    words = ["prepare", "--task", "mni152_brain_box", "--images", str(tmp_path), "--coco"]
    assert "coco.json" in fails([*words, str(file), "--out", str(tmp_path / "out")], capsys)


def test_python_values_that_hold_themselves() -> None:
    itself: list[Any] = []
    itself.append(itself)
    level: list[Any] = ["x"]
    for _ in range(12):
        level = [level] * 10
    for value in (itself, level, 10**400, float("nan"), {"a": itself}):
        for task in ("retinamnist", "mni152_brain_box", "pneumoniamnist"):
            with pytest.raises(ConfigError) as caught:
                explain(RIGHT, value, task=task)
            assert len(str(caught.value)) < 600
    make: Any = Task
    for field in ("labels", "question", "no_finding", "references", "laterality"):
        with pytest.raises(ConfigError) as caught:
            make(**{"name": "a", "labels": ["a", "b"], field: {"x": level}})
        assert len(str(caught.value)) < 600


def test_quotes_are_short_and_else_those_of_repr() -> None:
    values: tuple[Any, ...] = ({"a": [1, (2,), ()]}, "it's", b"x", None, 1.5, [], {1, 2})
    for value in values:
        assert quote(value) == repr(value)
    assert len(quote(["x" * 1000] * 1000)) == 200


def test_readers_take_what_is_right() -> None:
    assert parse_json('[1, 2.5, {"a": null}]') == [1, 2.5, {"a": None}]
    assert parse_yaml("a: &x [1, 2]\nb: *x\nc: &y {<<: {d: 1}, f: 2}\ne: {<<: *y}") == {
        "a": [1, 2],
        "b": [1, 2],
        "c": {"d": 1, "f": 2},
        "e": {"d": 1, "f": 2},
    }


def test_escapes_are_those_of_json() -> None:
    text = "\x1b\x7f\x9b\u202e\ud800\U000e0041é\n\t"
    assert json.loads(f'"{escape_controls(text[:-2])}"') == text[:-2]
    assert escape_controls("é\n\t") == "é\n\t"


# Read what models and medreward's own processes write, within limits of their own, or what is
# shipped; or write.
_ALLOWED = {
    "files/reading.py", "files/atomic.py", "kinds/boxes/read.py", "kinds/segmentation.py",
    "audit/reward_process.py", "audit/reward_child.py", "scoring/trace.py", "sheets/view.py",
    "sheets/review.py",
    "priors/draft.py", "priors/template.py", "grounding/phrases.py", "task/card.py",
    "data/sources/table.py", "data/sources/huggingface.py", "language/vocabulary.py",
    "task/profile.py", "text/formats/described.py", "runs/generation.py",
    "data/record_list.py",  # what it packed itself, in memory
}  # fmt: skip
_READS = {"read_text", "read_bytes", "safe_load", "loads"}
# Of what `read_text` is called that reads an answer.
_READERS = {"reader", "self"}


def _is_reader(value: ast.expr) -> bool:
    """Whether a method is called of `task.reader` or, within the reader, of itself."""
    name = value.attr if isinstance(value, ast.Attribute) else getattr(value, "id", "")
    return name in _READERS


def test_one_module_reads() -> None:
    root = Path(medreward.__file__).parent
    found = set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = node.func
            method = isinstance(called, ast.Attribute) and called.attr in _READS
            if isinstance(called, ast.Attribute) and _is_reader(called.value):
                continue
            if method or (isinstance(called, ast.Name) and called.id == "open"):
                found.add(path.relative_to(root).as_posix())
    assert found <= _ALLOWED, found - _ALLOWED


def test_files_that_are_not_utf8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = tmp_path / "rows.jsonl"
    for content in ("é".encode("latin-1"), "{}\n".encode("utf-16"), b"\x80\x00\xff"):
        lines.write_bytes(b'{"completion": "x", "target": 0}\n' + content)
        assert "line 2" in fails(["score", str(lines), "--task", "retinamnist"], capsys)
        words = ["audit", "--task", "retinamnist", "--targets", str(lines)]
        assert "line 2" in fails(words, capsys)


EVIL = "\x1b[31m\x9b2J\u202eb"
CARD = f"""
name: {json.dumps("a" + EVIL)}
kind: classification
question: {json.dumps("q" + EVIL)}
labels: [{json.dumps("lung" + EVIL)}, heart]
"""


def test_nothing_in_cards_and_traces_is_obeyed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card, trace, cases = (tmp_path / name for name in ("card.yaml", "t.jsonl", "c.cases.yaml"))
    card.write_text(CARD)
    answers = ["<think>a</think><answer>heart</answer>", "heart"] * 2
    rows = [
        {"id": EVIL, "group": EVIL, "task": f"a{EVIL}", "target": "heart", "completion": text}
        for text in answers
    ]
    trace.write_text("\n".join(map(json.dumps, rows)))
    case = {"answer": "heart", "target": "heart", "expect": "right", "id": EVIL, "note": EVIL}
    cases.write_text(json.dumps({"defaults": {"task": str(card)}, "cases": [case]}))
    assert main(["explain", answers[0], "--target=heart", f"--task={card}"]) == 0
    assert main(["tasks", "show", str(card)]) == 0
    assert main(["tasks", "show", str(card), "--json"]) == 0
    main(["why", str(trace), f"--task={card}"])
    main(["sweep", str(trace), f"--task={card}", "--grid", "delta=0,1"])
    main(["check", str(cases), "-v"])
    main(["priors", "lint", str(card)])
    said = capsys.readouterr()
    assert "\\u001b[31m" in said.out
    check_clean(said.out + said.err)
    for words in (["score", EVIL, "--task=x"], ["tasks", "show", EVIL], ["tasks", EVIL], [EVIL]):
        fails(words, capsys)


def test_names_of_files_and_labels_are_text_in_the_card_of_a_data_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    link, tag = "![x](http://evil.example/t.png)", "<img src=x>[y](javascript:z)\u202e"
    for split in ("train", "val"):
        for label in ("normal", "pneumonia", link.replace("/", "%")):
            folder = tmp_path / "in" / split / label
            folder.mkdir(parents=True)
            Image.new("L", (8, 8), len(label) + len(split)).save(folder / f"a{tag[:-1]}.png")
    words = ["prepare", "--folders", str(tmp_path / "in"), "--task", "pneumoniamnist"]
    words += ["--map", link.replace("/", "%") + "=", "--out", str(tmp_path / "out")]
    status = main(words)
    said = capsys.readouterr()
    check_clean(said.out + said.err)
    assert status == 0, said.err
    text = (tmp_path / "out" / "dataset_card.md").read_text(encoding="utf-8")
    body = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    assert "evil.example" in body
    assert "![x](" not in body
    assert "<img" not in text
