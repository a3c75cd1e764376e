"""Prompts: templates, levels, the order of labels, a budget in tokens; golden files."""

from __future__ import annotations

import json
from collections import Counter
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import chisquare
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from medreward import ConfigError, Label, Statement, Task, shaped_reward
from medreward.commands.cli import main
from medreward.data.example import Example
from medreward.data.rows import make_rows
from medreward.geometry.frames import FRAMES
from medreward.priors.prompt import PromptBuilder, build_prompt
from medreward.priors.template import load_templates
from medreward.priors.tokens import count_tokens, load_tokenizer
from medreward.task.card import shipped
from medreward.task.settings import RewardSettings
from medreward.task.task import KNOWLEDGE_LEVELS
from medreward_trl.dataset import trl_row

GOLDEN = Path(__file__).parent / "golden"


def label(name: str, *texts: str) -> Label:
    return Label(name, attributes=tuple(Statement(text, "ref") for text in texts))


def task_of(name: str, **fields: Any) -> Task:
    return Task(name, **fields)


CELLS = task_of(
    "cells",
    question="Which cell is this?",
    labels=[
        label("alpha", "Alpha is round.", "Alpha has one nucleus.", "Alpha is blue."),
        label("beta", "Beta is oval.", "Beta has two nuclei."),
        label("gamma", "Gamma is a ring.", "Gamma has no nucleus."),
    ],
    knowledge=(Statement("Look at the shape.", "ref"), Statement("Then at the nucleus.", "ref")),
    references={"ref": "A citation."},
)
GRADES = task_of(
    "effusion",
    kind="ordinal",
    question="How large is the effusion?",
    labels=[label("none", "None: sharp angles."), label("small", "Small: a blunt angle."), "large"],
    first_grade=1,
)
BOXES = task_of(
    "boxes",
    kind="localisation",
    question="Where are the cells?",
    labels=["red cell", "white cell"],
    reward=RewardSettings(frame="per-mille"),
)


@pytest.fixture(scope="module")
def bpe() -> Tokenizer:
    """A byte-level BPE tokenizer like Qwen's, trained on the shipped questions."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=["<s>"], show_progress=False)
    texts = [build_prompt(Task.load(name)).text for name in shipped()]
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


# Golden files


@pytest.mark.parametrize(
    ("name", "builder", "row"),
    [
        ("classification_full", PromptBuilder(CELLS), "train-7"),
        ("classification_context", PromptBuilder(CELLS, "context"), "train-7"),
        ("classification_none", PromptBuilder(CELLS, "none"), "train-7"),
        ("ordinal_full", PromptBuilder(GRADES), "train-7"),
        ("multilabel_none", PromptBuilder(Task.load("chestmnist"), "none"), None),
        ("localisation_labelled", PromptBuilder(BOXES, shuffle=False), "train-7"),
    ],
)
def test_golden_prompts(name: str, builder: PromptBuilder, row: str | None) -> None:
    """Change a golden file by hand, and only on purpose: old and new prompts do not compare."""
    prompt = builder(row)
    wanted = json.loads((GOLDEN / f"prompt_{name}.json").read_text(encoding="utf-8"))
    assert {"messages": prompt.messages, "knowledge": prompt.knowledge} == wanted


# Levels and the order of labels


def order_in(text: str) -> list[str]:
    listed = text.partition("Possible labels: ")[2].partition(".\n")[0]
    return listed.split("; ")


@pytest.mark.parametrize("row", ["train-0", "row-000017", "é"])
def test_levels_differ_in_nothing_but_the_knowledge(row: str) -> None:
    none, context, full = (PromptBuilder(CELLS, level, seed=3)(row) for level in KNOWLEDGE_LEVELS)
    assert none.knowledge == ""
    assert full.knowledge.startswith(f"{context.knowledge} ")
    for prompt in (context, full):
        assert prompt.text.replace(f"{prompt.knowledge}\n", "") == none.text
    attributes = full.knowledge.removeprefix(context.knowledge).split(". ")
    named = list(dict.fromkeys(x.split()[0].lower() for x in attributes))
    assert named == order_in(full.text)


def test_every_order_comes_equally_often() -> None:
    builder = PromptBuilder(CELLS, "none")
    counts = Counter(tuple(order_in(builder(f"train-{i}").text)) for i in range(6000))
    assert set(counts) == set(permutations(["alpha", "beta", "gamma"]))
    assert chisquare(list(counts.values())).pvalue > 1e-4


def test_the_order_depends_on_row_and_seed_and_not_on_other_labels() -> None:
    first, again = PromptBuilder(CELLS), PromptBuilder(CELLS)
    ids = [f"train-{i}" for i in range(50)]
    assert [first(i) for i in ids] == [again(i) for i in reversed(ids)][::-1]
    assert [first(i).text for i in ids] != [PromptBuilder(CELLS, seed=1)(i).text for i in ids]
    more = task_of("cells", question="Which?", labels=[*CELLS.labels, "delta"])
    for i in ids:
        longer = order_in(PromptBuilder(more, "none")(i).text)
        assert [x for x in longer if x != "delta"] == order_in(first(i).text)


@pytest.mark.parametrize(
    ("task", "shuffle", "moves"),
    [
        *((CELLS, None, True), (CELLS, True, True), (CELLS, False, False)),
        *((GRADES, None, False), (GRADES, True, True)),
        *((Task.load("chestmnist"), None, True), (BOXES, None, True)),
    ],
)
def test_grades_keep_their_order_unless_asked(
    task: Task, shuffle: bool | None, moves: bool
) -> None:
    builder = PromptBuilder(task, shuffle=shuffle)
    assert (len({builder(f"train-{i}").text for i in range(20)}) > 1) == moves
    assert builder().text == build_prompt(task).text


def test_grades_are_named_where_their_names_say_more_than_numbers() -> None:
    assert "Grades: 1 = none; 2 = small; 3 = large.\n" in build_prompt(GRADES, "none").text
    assert "Grades" not in build_prompt(Task.load("retinamnist")).text


# The knowledge travels in the row


@pytest.mark.parametrize("level", KNOWLEDGE_LEVELS)
def test_a_row_has_exactly_what_was_injected(level: str) -> None:
    examples = [Example(Image.new("L", (4, 4)), i % 3, f"train-{i}", "train") for i in range(12)]
    made = list(make_rows(examples, CELLS, PromptBuilder(CELLS, level, seed=5)))
    texts = set()
    for row in made:
        told, said = row["extra_info"]["knowledge"], row["prompt"][-1]["content"]
        assert told in said
        assert bool(told) == (level != "none")
        texts.add(told)
        if told:  # reciting it word for word is BLEU 1, whatever the order
            copied = f"<think>{told}</think><answer>alpha</answer>"
            weights = {"recitation": 0.1, "format": 0.0}
            score = shaped_reward(
                copied, "alpha", task=CELLS, knowledge=told, delta=-1, weights=weights
            )
            assert score == pytest.approx(0.9)
    assert (len(texts) > 1) == (level == "full")


# The budget


@given(data=st.data())
def test_a_budget_is_kept_with_whole_statements_in_balance(data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(0, 4), min_size=2, max_size=5), label="attributes")
    words = st.integers(1, 12)
    labels = [
        label(f"l{i}", *(f"l{i}a{n} " + "w " * data.draw(words) + "." for n in range(count)))
        for i, count in enumerate(counts)
    ]
    context = tuple(Statement(f"c{n} fact.", "ref") for n in range(data.draw(st.integers(0, 3))))
    task = task_of("t", question="Which?", labels=labels, knowledge=context)
    floor = count_tokens(str.split, PromptBuilder(task, "none")().text)
    budget = data.draw(st.integers(floor, floor + 90), label="budget")
    builder = PromptBuilder(task, budget=budget, tokenizer=str.split)
    sizes = set()
    for row in ("a", "b", "c"):
        prompt = builder(row)
        assert len(prompt.text.split()) <= budget
        kept = [s.text for s in task.statements if s.text in prompt.knowledge]
        gone = [s.text for s in prompt.left_out]
        assert sorted(kept + gone) == sorted(s.text for s in task.statements)
        assert sum(map(len, kept)) + max(len(kept) - 1, 0) == len(prompt.knowledge)
        rounds = [sum(t.startswith(f"l{i}a") for t in kept) for i in range(len(counts))]
        assert rounds == [min(count, max(rounds)) for count in counts]
        if any(text.startswith("c") for text in gone):
            assert max(rounds) == 0
        sizes.add(len(kept))
    assert len(sizes) == 1
    more = PromptBuilder(task, budget=budget + 1, tokenizer=str.split)("a")
    assert len(more.left_out) <= len(prompt.left_out)


def test_a_budget_with_real_tokenizers(bpe: Tokenizer, tmp_path: Path) -> None:
    bpe.save(str(tmp_path / "tokenizer.json"))
    fast = PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<s>", eos_token="<s>")
    fast.save_pretrained(tmp_path / "model")
    loaded = [load_tokenizer(tmp_path / "tokenizer.json"), load_tokenizer(tmp_path / "model")]
    text = build_prompt(CELLS).text
    whole = len(bpe.encode(text).ids)
    assert {count_tokens(t, text) for t in (bpe, fast, *loaded)} == {whole}
    assert count_tokens(lambda text: {"input_ids": text.split()}, text) == len(text.split())
    for tokenizer in (bpe, fast, *loaded):
        assert not PromptBuilder(CELLS, budget=whole, tokenizer=tokenizer)().left_out
        short = PromptBuilder(CELLS, budget=whole - 1, tokenizer=tokenizer)
        assert [s.text for s in short().left_out] == ["Alpha is blue."]
        for i in range(20):
            assert len(bpe.encode(short(f"train-{i}").text).ids) < whole


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": 5, "tokenizer": str.split}, "budget: 5 tokens are too few .* its prompt has"),
        ({"budget": 50}, "budget: needs a tokenizer"),
        ({"budget": 0, "tokenizer": str.split}, "budget: 0 is not a whole number"),
        ({"budget": 50, "tokenizer": 7}, r"tokenizer: 7 has no encode\(\)"),
        ({"budget": 50, "tokenizer": len}, "returns [0-9]+, not tokens"),
        ({"level": "all"}, "knowledge level: 'all' is not one of none, context, full"),
        ({"template": "no.yaml"}, "template 'no.yaml' cannot be read"),
    ],
)
def test_wrong_arguments_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PromptBuilder(CELLS, **options)()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("no-such-folder", None, "cannot be loaded"),
        ("x.json", None, "No such file"),
        ("x.json", "{", "not JSON"),
        ("x.json", "[]", "no field 'model'"),
    ],
)
def test_wrong_tokenizers_are_named(
    name: str, content: str | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=message):
        load_tokenizer(tmp_path / name)


# Templates


def test_a_template_of_ones_own_with_a_system_message(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "classification:\n"
        "  system: 'You are careful. {knowledge}'\n"
        "  user: '{question} Choose from {labels}. <think> </think> <answer>{\"a\": 1}</answer>'\n"
    )
    prompt = PromptBuilder(CELLS, "context", template=path)()
    assert prompt.messages == [
        {
            "role": "system",
            "content": "You are careful. Look at the shape. Then at the nucleus.",
        },
        {
            "role": "user",
            "content": "<image>Which cell is this? Choose from alpha; beta; gamma. "
            '<think> </think> <answer>{"a": 1}</answer>',
        },
    ]
    assert PromptBuilder(CELLS, "none", template=path)().messages[0]["role"] == "user"
    assert PromptBuilder(GRADES, template=path)() == build_prompt(GRADES)  # as shipped
    [row] = make_rows(
        [Example(Image.new("L", (4, 4)), 0, "train-0", "train")],
        CELLS,
        PromptBuilder(CELLS, "context", template=path),
    )
    assert [message["role"] for message in trl_row(row)["prompt"]] == ["system", "user"]


GOOD = "{question} {knowledge} <answer>"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"classification: '{GOOD} {{lables}}'", "placeholder: 'lables' .* mean 'labels'"),
        (f"clasification: '{GOOD}'", "kind of task: 'clasification' .* mean 'classification'"),
        ("classification: '{question} <answer>'", "has no {knowledge}"),
        ("classification: '{question} {knowledge}'", "has no <answer>"),
        ("classification: 5", "5 is neither a text nor a mapping"),
        ("classification: {system: x}", "is neither a text nor a mapping"),
        (f"classification: {{user: '{GOOD}', asistant: x}}", "message: 'asistant'"),
        ("classification: {user: 7}", r"classification\.user: 7 is not a text"),
        (f"classification: '{GOOD} <image>'", "has <image>, which is put before"),
        ("frames: {pixel: x}", "frames: 'pixel' .* mean 'pixels'"),
        ("frames: {pixels: 5}", r"frames\.pixels: 5 is not a text"),
        ("frames: [x]", "frames: .* is not a mapping"),
        ("[]", "not a mapping of kinds"),
        ("'", "found unexpected end of stream"),
    ],
)
def test_wrong_templates_are_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"(?s)mine\.yaml: .*{message}"):
        load_templates(path)


@pytest.mark.parametrize("frame", FRAMES)
def test_each_frame_is_told_apart(frame: str) -> None:
    task = Task("b", kind="localisation", question="Where?", reward=RewardSettings(frame=frame))
    said = build_prompt(task).text
    assert load_templates().frames[frame] in said
    assert len(set(load_templates().frames.values())) == len(FRAMES)


# On the command line


def test_a_card_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "show", "retinamnist"]) == 0
    said = capsys.readouterr().out
    task = Task.load("retinamnist")
    for statement in task.statements:
        assert " ".join(statement.text.split()[:3]) in said
    assert "[wilkinson2003; unreviewed]" in said
    assert "6 statements, 0 reviewed" in said
    path = tmp_path / "own.yaml"
    path.write_text(
        "name: own\nkind: classification\nquestion: Which?\nlabels: [a, b]\n"
        "knowledge: [{text: Look., source: r}]\n"
        "references: {r: 'draft: m'}\nreward: {weights: {format: 0.5}, delta: 0}\n"
    )
    assert main(["tasks", "show", str(path)]) == 0
    said = capsys.readouterr().out
    assert "- Look. [r, a draft without a source; unreviewed]" in said
    assert "format 0.5" in said
    assert "delta: 0" in said
    assert main(["tasks", "show", str(path), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["statements"]["total"] == shown["statements"]["drafted"] == 1
    assert main(["tasks", "show", "retinamnst"]) == 2
    assert "did you mean 'retinamnist'" in capsys.readouterr().err


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_card_can_be_shown(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "show", name, "--level", "context"]) == 0
    assert Task.load(name).question in capsys.readouterr().out
    assert main(["tasks", "show", name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == name
