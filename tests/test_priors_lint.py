"""`medreward priors lint`, and review states in cards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from medreward.commands.cli import main
from medreward.priors.findings import CODES
from medreward.priors.lint import lint_card
from medreward.task.card import shipped
from tests.growth import Work, assert_linear

REFERENCE = "Author A, Author B. On the roundness of cells. 2020, doi:10.1000/182."
ROUND = {"text": "An alpha cell is round and blue.", "source": "ref"}
AT = {"citation": REFERENCE, "url": "https://a.org/cells"}
NO_ADDRESS = "Author A. On the roundness of cells. Journal of Cells, 2020."
OVAL = {"text": "A beta cell is oval, and its nucleus fills it.", "source": "ref"}
CARD: dict[str, Any] = {
    "name": "cells",
    "kind": "classification",
    "question": "Which cell is this?",
    "labels": [
        {"name": "alpha", "synonyms": ["first cell"], "attributes": [ROUND]},
        {"name": "beta", "attributes": [OVAL]},
    ],
    "knowledge": [{"text": "Look at the shape of the cell.", "source": "ref"}],
    "references": {"ref": REFERENCE},
}


def linted(folder: Path, card: Any, **options: Any) -> list[tuple[str, bool, str]]:
    path = folder / "card.yaml"
    text = card if isinstance(card, str) else yaml.safe_dump(card, sort_keys=False)
    path.write_text(text, encoding="utf-8")
    found = lint_card(path, **options)
    assert all(finding.file == str(path) for finding in found)
    assert all(finding.code in CODES for finding in found)
    return [(finding.code, finding.error, finding.field) for finding in found]


def alpha(*statements: Any) -> dict[str, Any]:
    told = {"attributes": list(statements)} if statements else {}
    labels = [{"name": "alpha", "synonyms": ["first cell"], **told}, CARD["labels"][1]]
    return {**CARD, "labels": labels}


def said(text: str) -> dict[str, Any]:
    return alpha({"text": text, "source": "ref"})


FIRST = "labels[0].attributes[0]"


def test_a_good_card_has_no_findings(tmp_path: Path) -> None:
    assert linted(tmp_path, CARD) == []


@pytest.mark.parametrize(
    ("card", "found"),
    [
        (alpha({"text": ROUND["text"]}), [("no-source", True, FIRST)]),
        (alpha({**ROUND, "source": "rf"}), [("no-source", True, f"{FIRST}.source")]),
        (
            {**CARD, "references": {"ref": "A book."}},
            [("not-citable", True, "references.ref")],
        ),
        (
            {**CARD, "references": {"ref": "Author A. On the roundness of cells. A journal."}},
            [("no-address", False, "references.ref")],
        ),
        (
            {**CARD, "references": {"ref": "Author A. On cells. https://doi.org/10.1000/182"}},
            [],
        ),
        (
            {**CARD, "references": {"ref": {"citation": NO_ADDRESS, "url": "https://a.org/cells"}}},
            [],
        ),
        ({**CARD, "references": {"ref": f"{NO_ADDRESS} arXiv:2001.00001"}}, []),
        ({**CARD, "references": {"ref": f"{NO_ADDRESS} PMC1234567"}}, []),
        (
            {**CARD, "references": {"ref": {"citation": NO_ADDRESS, "url": "cells"}}},
            [("invalid-card", True, "card")],
        ),
        (
            {**CARD, "references": {"ref": REFERENCE, "other": REFERENCE}},
            [("unused-reference", False, "references.other")],
        ),
        (
            {
                **CARD,
                "references": {"ref": REFERENCE, "set": REFERENCE},
                "data": {"citation": "set, wang2017"},
            },
            [],
        ),
        (
            {**CARD, "references": {"ref": "draft: some model, 2026-01-01"}},
            [("draft", True, x) for x in ("knowledge[0]", FIRST, "labels[1].attributes[0]")],
        ),
        (alpha({**ROUND, "review": "Dr A, 2026-02-03"}), [("bad-review", True, f"{FIRST}.review")]),
        ({**CARD, "labels": ["alpha", "beta"]}, []),
        (alpha(), [("no-attributes", False, "labels[0]")]),
        (
            said("The nucleus is round and the rest is blue."),
            [("label-not-named", False, f"{FIRST}.text")],
        ),
        (said("A first cell is round and blue."), []),
        (said("Alphas are round and blue."), []),
        (
            said("An alpha cell is oval, and its nucleus fills it."),
            [("near-duplicate", False, "labels[1].attributes[0].text")],
        ),
        (
            alpha({**OVAL, "text": OVAL["text"].upper() + " alpha"}),
            [("near-duplicate", False, "labels[1].attributes[0].text")],
        ),
        (alpha(ROUND, ROUND), [("repeated", False, "labels[0].attributes[1].text")]),
        (
            said("An alpha cell is round, " + "and so on, " * 30 + "and blue."),
            [("unbalanced", False, "labels[0].attributes")],
        ),
        (
            {
                **said("An alpha cell is round, " + "and so on, " * 30 + "and blue."),
                "kind": "ordinal",
            },
            [],
        ),
        ({**CARD, "labels": [{"name": "alpha", "attributes": []}, CARD["labels"][1]]}, []),
        (
            {**CARD, "references": {"ref": {**AT, "opened": False}}},
            [("not-opened", False, "references.ref.opened")],
        ),
        ({**CARD, "references": {"ref": {**AT, "opened": True}}}, []),
        (
            {**CARD, "references": {"ref": {"citation": REFERENCE, "opened": False}}},
            [("not-opened", False, "references.ref.opened")],
        ),
        (
            {**CARD, "references": {"ref": {**AT, "opened": "no"}}},
            [("invalid-card", True, "card")],
        ),
        (said("An alpha cell is <answer>round</answer>."), [("markup", True, f"{FIRST}.text")]),
        ({**CARD, "kind": "clasification"}, [("invalid-card", True, "card")]),
        ("name: [", [("invalid-card", True, "card")]),
        ("just a text", [("invalid-card", True, "card")]),
        ("name: x\nname: y\n", [("invalid-card", True, "card")]),
        (
            {**CARD, "labels": 5, "knowledge": "x", "references": []},
            [("invalid-card", True, "card")],
        ),
    ],
)
def test_findings(card: Any, found: list[tuple[str, bool, str]], tmp_path: Path) -> None:
    assert linted(tmp_path, card) == found


def test_the_same_text_for_two_labels_is_an_error(tmp_path: Path) -> None:
    both = {"text": "Alpha or beta: the cell is round.", "source": "ref"}
    labels = [{"name": name, "attributes": [both]} for name in ("alpha", "beta")]
    found = linted(tmp_path, {**CARD, "labels": labels})
    assert found == [("same-text", True, "labels[1].attributes[0].text")]


def test_a_text_given_thrice_is_held_against_the_first(tmp_path: Path) -> None:
    found = linted(tmp_path, alpha(ROUND, ROUND, ROUND))
    assert found == [("repeated", False, f"labels[0].attributes[{i}].text") for i in (1, 2)]


def test_cards_of_many_labels_and_statements_are_linted_in_linear_time(tmp_path: Path) -> None:
    def work(count: int) -> Work:
        many = [{"text": f"Statement {i} is shown.", "source": "ref"} for i in range(count)]
        card = {**CARD, "knowledge": many, "labels": [f"grade {i}" for i in range(count)]}
        return lambda: linted(tmp_path, card)

    assert_linear(work, 4_000)


@pytest.mark.parametrize(
    "text",
    [
        "This image shows an alpha cell.",
        "this radiograph is of alpha type",
        "The given scan demonstrates alpha.",
        "The patient has alpha disease.",
        "The patient presents with alpha.",
        "The answer is alpha.",
        "The correct label is alpha.",
        "The right diagnosis here is alpha.",
        "In this image, alpha is round.",
        "An alpha cell is seen here.",
        "The ground truth says alpha.",
    ],
)
def test_a_text_that_gives_the_answer_away(text: str, tmp_path: Path) -> None:
    assert linted(tmp_path, said(text)) == [("answer-given", True, f"{FIRST}.text")]


@pytest.mark.parametrize(
    "text",
    [
        "An alpha image shows a round cell.",
        "In images of alpha cells, the nucleus is round.",
        "Whether alpha is the answer depends on the nucleus.",
        "Patients with alpha cells have round nuclei.",
        "In this disease, alpha cells are round.",
        "The diagnosis of alpha needs two signs.",
        "The label alpha goes by the nucleus.",
    ],
)
def test_a_text_about_images_in_general_does_not(text: str, tmp_path: Path) -> None:
    assert linted(tmp_path, said(text)) == []


def test_a_prompt_over_the_budget_is_counted_in_words_or_tokens(tmp_path: Path) -> None:
    assert linted(tmp_path, CARD, budget=20) == [("over-budget", True, "card")]
    assert linted(tmp_path, CARD, budget=100) == []
    assert linted(tmp_path, CARD, budget=100, tokenizer=list) == [("over-budget", True, "card")]


@pytest.mark.parametrize("name", shipped())
def test_shipped_cards_have_no_errors(name: str) -> None:
    assert [str(finding) for finding in lint_card(name) if finding.error] == []


def test_lint_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "card.yaml"
    path.write_text(yaml.safe_dump(CARD))
    assert main(["priors", "lint", str(path)]) == 0
    assert capsys.readouterr().out == ("1 card: 0 errors, 0 warnings\n3 statements, 0 reviewed\n")
    assert main(["priors", "lint", str(path), "--budget", "20"]) == 1
    assert "card.yaml: card: error: the prompt with all knowledge has" in capsys.readouterr().out
    path.write_text(yaml.safe_dump(alpha()))
    assert main(["priors", "lint", str(path)]) == 0
    assert main(["priors", "lint", str(path), "--strict"]) == 1
    capsys.readouterr()
    assert main(["priors", "lint", str(path), "--json"]) == 0
    [finding] = json.loads(capsys.readouterr().out)
    assert (finding["code"], finding["error"]) == ("no-attributes", False)
    assert main(["priors", "lint"]) == 0
    assert f"{len(shipped())} cards: 0 errors" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["retinamnst"], "did you mean 'retinamnist'"),
        (["none.yaml"], "'none.yaml' cannot be read"),
        (["--budget", "0"], "--budget: 0 is not"),
        (["--budget", "9", "--tokenizer", "none.json"], "No such file"),
    ],
)
def test_lint_of_what_is_not_there(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["priors", "lint", *words]) == 2
    assert message in capsys.readouterr().err
