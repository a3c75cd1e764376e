"""What a user is told about a word that was not understood, and where it is shown."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from medreward import Task, explain
from medreward.audit.cases import check_text
from medreward.audit.cases.show import show_outcome
from medreward.commands.cli import main
from medreward.language.mends import describe_unread, mend_of
from medreward.language.vocabulary import LANGUAGES, phrases_of
from medreward.scoring.mends import tried_mend
from medreward.scoring.scorer import Scorer
from medreward.scoring.trace import TraceRow, TraceWriter, read_rows, trace_row

TASK = Task.load("pneumoniamnist")
TURNING = {"not", "deny_before", "plain_no", "absent", "echo_no", "open", "or", "but"}


@pytest.mark.parametrize(
    ("unread", "languages", "mend"),
    [
        ("zorbic", ("en",), "modifiers: ['zorbic']"),
        ("Zorbic", ("en",), "modifiers: ['zorbic']"),
        ("spiculated", ("en",), "modifiers: ['spiculated']"),
        ("zorbic", ("en",), "synonyms"),
        ("nicht", ("en",), "denies or leaves open in German (de)"),
        ("nicht", ("en", "zh"), "languages: [en, zh, de]"),
        ("nicht", ("de",), "it is known, but not where it stands"),
        ("links", ("en",), "says something in German"),
        ("\u65e0", ("en",), "denies or leaves open in Chinese (zh)"),
        ("\u043d\u0435\u0442", ("en",), "it is no word of english: set the card's languages"),
        ("~", ("en",), "it is no word: say in the prompt"),
        ("7", ("en",), "it is no word: say in the prompt"),
        ("is", ("en",), "it is known, but not where it stands"),
        ("abnormality", ("en",), "it is known, but not where it stands"),
    ],
)
def test_the_mend_fits_the_word(unread: str, languages: tuple[str, ...], mend: str) -> None:
    assert mend in mend_of(unread, languages)


def test_the_whole_of_a_mend() -> None:
    alone = "say in the prompt that the answer is the label alone, with nothing beside it"
    assert mend_of("zorbic") == (
        "if it never denies, grades or changes a label, add it to the card: modifiers: ['zorbic']; "
        "if it belongs to another name of a label, add that name to the label's synonyms; "
        f"else {alone}"
    )
    assert mend_of("is") == f"it is known, but not where it stands in the answer: {alone}"
    assert mend_of("instead of") == f"it is known, but not where it stands in the answer: {alone}"
    assert mend_of("\u043d\u0435\u0442") == (
        f"it is no word of english: set the card's languages (en, de, zh ship), or {alone}"
    )


def test_no_modifier_is_offered_where_nothing_may_describe_an_answer() -> None:
    assert mend_of("zorbic", takes_modifiers=False) == (
        "nothing may describe the answer to a question of this kind; if it is one that is "
        "accepted, list it in the row; else say in the prompt to give the answer alone, with "
        "nothing beside it"
    )
    assert "modifiers" in mend_of("zorbic", takes_modifiers=True)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_word_that_denies_is_never_offered_as_a_modifier(language: str) -> None:
    turning = [phrase for phrase, name in phrases_of(language).items() if name in TURNING]
    assert len(turning) > 20
    for languages in (("en",), ("de",), ("zh",), ("en", "de")):
        assert [phrase for phrase in turning if "modifiers" in mend_of(phrase, languages)] == []


def test_a_modifier_that_is_offered_mends_the_answer() -> None:
    text = "<think>x</think><answer>zorbic pneumonia</answer>"
    assert explain(text, "pneumonia", task=TASK).unread == "zorbic"
    card = Task("chest", labels=["normal", "pneumonia"], modifiers=("zorbic",))
    assert explain(text, "pneumonia", task=card).correct


NAMED = "is another name of a label"


MEASURE = Task("measure", kind="number", question="How long is it?")
JSON_ANSWER = '[{"bbox_2d": [10, 20, 30, 40], "labl": "WBC"}]'
CHOICE = {"options": ["liver", "pancreas"], "answer": "B"}


@pytest.mark.parametrize(
    ("task", "target", "answer", "said", "not_said"),
    [
        (MEASURE, {"value": 5, "unit": "bpm"}, "1.2 Hz", "'1.2' is read, 'Hz' beside", "modifiers"),
        (MEASURE, {"value": 5, "unit": "cm"}, "5 cm zorbic", "modifiers: ['zorbic']", "Hz"),
        ("vqa_rad", {"answers": ["MRI"]}, "CT", "list it in the row", "German"),
        (
            *("multiple_choice", CHOICE, "B, because the pancreas lies retroperitoneally"),
            *("'B, because the pancreas lies' is read, 'retroperitoneally' beside", "label"),
        ),
        ("busi", "malignant", "suspicious lesion", "'suspicious' denies or leaves open", NAMED),
        ("busi", "malignant", "heart", f"'heart' {NAMED}", "modifiers"),
        (
            *("bccd", [{"box": [1, 2, 3, 4], "label": "WBC"}], JSON_ANSWER),
            *("no change of the card alone makes it read", "beside it is not"),
        ),
    ],
)
def test_explain_says_what_to_do_about_an_answer_of_any_kind(
    task: str | Task,
    target: object,
    answer: str,
    said: str,
    not_said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = f"<think>x</think><answer>{answer}</answer>"
    if isinstance(task, Task):
        card = tmp_path / "card.yaml"
        fields = {"name": task.name, "kind": task.kind, "question": task.question}
        card.write_text(yaml.safe_dump(fields), encoding="utf-8")
        task = str(card)
    given = target if isinstance(target, str) else json.dumps(target)
    assert main(["explain", "--task", task, "--target", given, text]) == 0
    (guess,) = (x for x in capsys.readouterr().out.splitlines() if x.startswith("first guess"))
    assert said in guess
    assert not_said not in guess


def test_how_a_shipped_card_is_changed_is_said_where_one_is_to_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = "a shipped card is changed in a copy: medreward tasks show busi --yaml > my_card.yaml"
    text = "<think>x</think><answer>{} malignant</answer>"
    words = ["explain", "--task", "busi", "--target", "malignant"]
    assert main([*words, text.format("zorbic")]) == 0
    assert copy in capsys.readouterr().out
    assert main([*words, text.format("~")]) == 0  # no change of the card is proposed
    assert "shipped card" not in capsys.readouterr().out
    assert main(["tasks", "show", "busi", "--yaml"]) == 0
    card = tmp_path / "my_card.yaml"
    card.write_text(capsys.readouterr().out + "modifiers: [zorbic]\n", encoding="utf-8")
    words[2] = str(card)
    assert main([*words, text.format("zorbic")]) == 0
    assert "read as     malignant" in capsys.readouterr().out
    assert main([*words, text.format("quorbic")]) == 0
    assert "shipped card" not in capsys.readouterr().out

    bound = Scorer(Task.load("busi"))
    trace = TraceWriter(tmp_path / "trace.jsonl")
    for word in ("zorbic", "quorbic"):
        said = text.format(word)
        trace.write([trace_row(bound.score(said, 2), bound.task, said, 2, None, step=1, id=word)])
    assert main(["why", str(tmp_path / "trace.jsonl")]) == 0
    assert capsys.readouterr().out.count(copy) == 1
    assert main(["why", str(tmp_path / "trace.jsonl"), "--task", f"busi={card}"]) == 0
    assert "shipped card" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("task", "target", "answer", "proposed", "not_proposed"),
    [
        ("retinamnist", 2, "Moderate NPDR with macular xylo", ["['macular', 'xylo']"], []),
        (
            *("retinamnist", 2, "Moderate NPDR without macular xylo"),
            ["'Moderate NPDR' is read, 'without macular xylo' beside it is not"],
            ["modifiers", "languages", NAMED],
        ),
        ("retinamnist", 0, "normal", [f"'normal' {NAMED}"], ["German", "modifiers"]),
        ("retinamnist", 0, "healthy retina", [f"'healthy retina' {NAMED}"], ["modifiers"]),
        ("busi", 2, "carcinoma in situ", ["['in situ']", f"'carcinoma in situ' {NAMED}"], []),
        ("pneumoniamnist", 1, "keine Pneumonie", ["German"], ["modifiers", NAMED]),
        ("pneumoniamnist", 1, "pneumonia nicht", ["leave it unread"], ["modifiers", NAMED]),
        ("pneumoniamnist", 1, "~ pneumonia", ["'pneumonia' is read, '~' beside"], ["modifiers"]),
    ],
)
def test_what_is_proposed_makes_the_answer_read(
    task: str, target: int, answer: str, proposed: list[str], not_proposed: list[str]
) -> None:
    bound = Scorer(Task.load(task))
    text = f"<think>x</think><answer>{answer}</answer>"
    score = bound.score(text, target)
    assert score.unread
    said = tried_mend(bound, text, target, score.unread)
    assert [part for part in proposed if part not in said] == [], said
    assert [part for part in not_proposed if part in said] == [], said


def listed(field: str, said: str) -> tuple[str, ...]:
    """Return the words of ``field: [...]`` in a mend."""
    match = re.search(rf"{field}: \[(.*?)\]", said)
    return tuple(yaml.safe_load(f"[{match[1]}]")) if match else ()


def proposals(said: str, task: Task, answer: str) -> list[Task]:
    """Return the task with each change that a mend proposes."""
    found = []
    if words := listed("modifiers", said):
        found.append(replace(task, modifiers=(*task.modifiers, *words)))
    if languages := listed("languages", said):
        found.append(replace(task, languages=languages))
    if NAMED in said:
        first = task.labels[0]
        named = replace(first, synonyms=(*first.synonyms, answer))
        found.append(replace(task, labels=(named, *task.labels[1:])))
    return found


@pytest.mark.parametrize("name", ["retinamnist", "pneumoniamnist", "busi", "chexpert", "bccd"])
def test_no_change_is_proposed_that_does_not_help(name: str) -> None:
    task = Task.load(name)
    bound, label = Scorer(task), task.labels[-1].name
    target: Any = {"busi": 2, "retinamnist": 2, "pneumoniamnist": 1, "chexpert": [1], "bccd": []}[
        name
    ]
    frames = ["{0} zorbic", "zorbic", "{0} mit zorbic", "no zorbic {0}", "{0} without zorbic"]
    frames += ["normal", "{0} in zorbic", "moderate {0}", "nicht {0}", "{0}, zorbic, glim", "is"]
    tried = 0
    for frame in frames:
        answer = frame.format(label)
        text = f"<think>x</think><answer>{answer}</answer>"
        score = bound.score(text, target)
        if not score.unread:
            continue
        for changed in proposals(tried_mend(bound, text, target, score.unread), task, answer):
            again = Scorer(changed, bound.settings).score(text, target)
            assert not again.unread, (answer, changed.modifiers, changed.languages)
            tried += 1
    assert tried or name == "bccd"


def test_a_known_word_is_not_said_to_be_unknown() -> None:
    assert describe_unread("zorbic") == "'zorbic' is not understood"
    assert "known, but not understood in this place" in describe_unread("suspicious")


def test_nothing_is_printed_as_minus_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    text = "<think>Dot bleeds in one quadrant.</think><answer>x</answer>"
    assert main(["explain", text, "--target", "2", "--task", "retinamnist"]) == 0
    shown = capsys.readouterr().out
    assert "-0.0000" not in shown
    assert "total       +0.2000" in shown


def write_trace(path: Path, answers: list[str]) -> Path:
    writer = TraceWriter(path)
    for step, answer in enumerate(answers, start=1):
        text = f"<think>x</think><answer>{answer}</answer>"
        score = explain(text, "pneumonia", task=TASK)
        writer.write([trace_row(score, TASK, text, "pneumonia", None, step=step, id=f"t{step}")])
    return path


def test_a_trace_holds_what_was_not_understood(tmp_path: Path) -> None:
    path = write_trace(tmp_path / "trace.jsonl", ["pneumonia zorbic", "pneumonia"])
    first, second = read_rows(path)
    assert first["unread"] == "zorbic"
    assert "unread" not in second
    assert TraceRow.from_dict(first).unread == "zorbic"
    assert TraceRow.from_dict(second).unread is None


def test_why_counts_what_was_not_understood(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = ["pneumonia"] * 40 + ["Zorbic pneumonia", "zorbic pneumonia", "pneumonia nicht"] * 10
    path = write_trace(tmp_path / "trace.jsonl", answers)
    assert main(["why", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    first, second = found["not_understood"]
    assert (first["text"], first["count"], first["share"]) == ("zorbic", 20, 20 / 70)
    assert "modifiers: ['zorbic']" in first["mend"]
    assert first["example"]["id"] == "t41"
    assert (second["text"], second["count"]) == ("nicht", 10)
    assert "not_understood" in {finding["rule"] for finding in found["findings"]}

    html = tmp_path / "why.html"
    assert main(["why", str(path), "--html", str(html)]) == 0
    text = capsys.readouterr().out
    assert "what was not understood first in 30 of 70 answers (42.9%), 2 different" in text
    assert text.index("'zorbic'") < text.index("'nicht'")
    page = html.read_text(encoding="utf-8")
    assert "not understood: &#39;zorbic&#39;" in page
    assert "modifiers: [" in page


def test_why_says_nothing_where_all_is_understood(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_trace(tmp_path / "trace.jsonl", ["pneumonia", "normal"] * 30)
    assert main(["why", str(path)]) == 0
    assert "not understood" not in capsys.readouterr().out


def test_explain_says_what_was_not_understood(capsys: pytest.CaptureFixture[str]) -> None:
    text = "<think>x</think><answer>pneumonia \x1b[31mzorbic</answer>"
    arguments = ["explain", text, "--target", "pneumonia", "--task", "pneumoniamnist"]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "is not understood" in shown
    assert "first guess" in shown
    assert main([*arguments[:1], "a" + arguments[1].replace("\x1b[31m", ""), *arguments[2:]]) == 0
    assert "unread      'zorbic' is not understood" in capsys.readouterr().out


def test_a_failed_case_names_the_word() -> None:
    text = "{task: yes_no, cases: [{answer: 'yes zorbic', target: 'yes', expect: {correct: true}}]}"
    (outcome,) = check_text(text)
    assert "unread      'zorbic' is not understood" in show_outcome(outcome)


def test_a_word_of_another_script_names_the_cards_languages() -> None:
    said = mend_of("пневмония", ("en", "de"))
    assert said.startswith("it is no word of english, german: set the card's languages (en, de, zh")
