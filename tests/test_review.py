"""Reviews: bound to what was read, kept beside cards, counted, and told to a model alone."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from medreward.commands.cli import main
from medreward.errors import ConfigError
from medreward.priors.lint import lint_card
from medreward.priors.review_files import apply_reviews, list_subjects, reviews_text
from medreward.task.card import shipped
from medreward.task.labels import Label
from medreward.task.review import (
    STATES,
    VERDICTS,
    Opinion,
    ReviewCount,
    SignedText,
    merge_reviews,
    parse_opinion,
    parse_reviews,
)
from medreward.task.task import Task

CARD: dict[str, Any] = {
    "name": "cells",
    "kind": "classification",
    "question": "Which cell is this?",
    "modality": "smear",
    "labels": [
        {"name": "round cell", "attributes": [{"text": "A round cell is even.", "source": "book"}]},
        {"name": "oval cell", "attributes": [{"text": "An oval cell is long.", "source": "book"}]},
    ],
    "knowledge": [{"text": "Look at the whole cell.", "source": "book"}],
    "references": {
        "book": {
            "citation": "Author A. On the roundness of cells. Journal of Cells 1:2-3, 2020.",
            "url": "https://example.org/cells",
        }
    },
}
CITATION = CARD["references"]["book"]["citation"]
ANNA = {"verdict": "agree", "by": "Anna A", "role": "haematologist", "on": "2026-01-31"}
BEN = {**ANNA, "by": "Ben B"}


def write_card(folder: Path, **changes: Any) -> Path:
    path = folder / "cells.yaml"
    path.write_text(yaml.safe_dump({**CARD, **changes}))
    return path


def signed(text: str, label: str, *said: dict[str, str]) -> SignedText:
    return SignedText(text, label, CITATION, tuple(Opinion(**one) for one in said))


def write_reviews(folder: Path, *reviews: SignedText) -> Path:
    path = folder / "cells.reviews.yaml"
    path.write_text(reviews_text(reviews))
    return path


ROUND = ("A round cell is even.", "round cell")
OVAL = ("An oval cell is long.", "oval cell")
WHOLE = ("Look at the whole cell.", "")


# States


@pytest.mark.parametrize(
    ("verdicts", "state"),
    [
        ([], "unreviewed"),
        (["not_my_field"], "unreviewed"),
        (["agree"], "reviewed"),
        (["agree", "agree"], "reviewed"),
        (["agree", "not_my_field"], "reviewed"),
        (["wrong"], "rejected"),
        (["not_visible", "not_visible", "not_my_field"], "rejected"),
        (["agree_with_edit"], "rejected"),
        (["agree", "wrong"], "disputed"),
        (["agree", "agree_with_edit"], "disputed"),
        (["wrong", "not_visible"], "disputed"),
    ],
)
def test_the_state_of_a_statement(verdicts: list[str], state: str) -> None:
    said = [{**ANNA, "by": f"Reader {i}x", "verdict": v} for i, v in enumerate(verdicts)]
    assert signed(*ROUND, *said).state == state


def test_every_verdict_has_a_state_of_its_own_reader() -> None:
    for verdict in VERDICTS:
        assert signed(*ROUND, {**ANNA, "verdict": verdict}).state in STATES


def test_the_hash_is_of_text_label_and_source_and_not_of_their_spaces() -> None:
    one = signed(*ROUND)
    assert one.digest == SignedText("A  round\ncell is even.", " round cell", CITATION).digest
    others = {
        SignedText("A round cell is odd.", "round cell", CITATION).digest,
        SignedText(ROUND[0], "oval cell", CITATION).digest,
        SignedText(ROUND[0], "round cell", "Another book").digest,
        SignedText("A round", "cell is even. round cell", CITATION).digest,
    }
    assert len(others | {one.digest}) == 5


def test_of_one_reader_the_latest_day_counts() -> None:
    old, new = {**ANNA, "on": "2026-01-01"}, {**ANNA, "verdict": "wrong", "by": " anna  a"}
    new["by"] = "anna A"
    for order in ([old, new], [new, old]):
        merged = merge_reviews(*([signed(*ROUND, said)] for said in order))
        assert [o.verdict for one in merged for o in one.opinions] == ["wrong"]


# Files


def test_a_file_of_reviews_says_what_was_written() -> None:
    ben = {**BEN, "comment": "One: ‘x’\nand more", "verdict": "agree_with_edit", "edit": "Even."}
    reviews = (signed(*ROUND, ANNA, ben), signed(*WHOLE, ANNA))
    assert parse_reviews(reviews_text(reviews), "x") == reviews


FUTURE = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"on": FUTURE}, r"verdicts\[0\]\.on: .* is in the future; write the day of the reading"),
        ({"on": "2099-01-01"}, "in the future"),
        ({"on": "31.1.2026"}, "'31.1.2026' is no day; write the day of the reading as YYYY-MM-DD"),
        ({"on": ""}, r"\.on: missing; write the day"),
        ({"on": 5}, "5 is no day"),
        ({"by": ""}, r"\.by: missing; write the reader's name"),
        ({"by": "..."}, "'...' has no letter; write the reader's name"),
        ({"role": ""}, r"\.role: missing; say what Anna A is, such as 'consultant radiologist'"),
        ({"role": None}, r"\.role: missing"),
        ({"verdict": "agreed"}, "'agreed' is not one of agree, .*did you mean 'agree'"),
        ({"verdict": "agree_with_edit"}, r"\.edit: missing; write the text as it should be"),
        ({"who": "x"}, "field: 'who' is not one of verdict, by"),
    ],
)
def test_a_verdict_that_is_not_whole_is_refused(changes: dict[str, Any], message: str) -> None:
    content = yaml.safe_load(reviews_text([signed(*ROUND, ANNA)]))
    content["reviews"][0]["verdicts"][0].update(changes)
    with pytest.raises(ConfigError, match=rf"^x: reviews\[0\].*{message}"):
        parse_reviews(yaml.safe_dump(content), "x")


def test_a_day_that_has_begun_anywhere_is_not_in_the_future() -> None:
    east = (datetime.now(UTC) + timedelta(hours=14)).date().isoformat()
    assert parse_opinion("x", {**ANNA, "on": east}).on == east


@pytest.mark.parametrize("name", ["text", "label", "source", "of"])
def test_what_was_signed_cannot_be_changed_after(name: str) -> None:
    content = yaml.safe_load(reviews_text([signed(*ROUND, ANNA)]))
    content["reviews"][0][name] = "the heart is missing"
    with pytest.raises(ConfigError, match=r"reviews\[0\]\.of: .* was changed after it was signed"):
        parse_reviews(yaml.safe_dump(content), "x")


# Beside a card


def test_a_review_beside_a_card_holds_until_the_text_changes(tmp_path: Path) -> None:
    path = write_card(tmp_path)
    write_reviews(tmp_path, signed(*ROUND, ANNA))
    task = Task.load(path)
    assert [one.state for one in task.reviewed_statements] == [
        "unreviewed",
        "reviewed",
        "unreviewed",
    ]
    assert str(task.count_reviews()) == "3 statements, 1 reviewed"
    changed = yaml.safe_load(path.read_text())
    changed["labels"][0]["attributes"][0]["text"] = "the heart is missing"
    path.write_text(yaml.safe_dump(changed))
    task = Task.load(path)
    assert {one.state for one in task.reviewed_statements} == {"unreviewed"}
    assert str(task.count_reviews()) == "3 statements, 0 reviewed, 1 stale"
    assert [one.text for one in task.stale_reviews] == [ROUND[0]]
    assert [(f.code, f.error) for f in lint_card(path)][-1] == ("stale-review", False)


def test_an_address_and_a_key_do_not_change_what_was_signed(tmp_path: Path) -> None:
    write_reviews(tmp_path, signed(*ROUND, ANNA))
    labels = [{**x, "attributes": [{**x["attributes"][0], "source": "b"}]} for x in CARD["labels"]]
    path = write_card(tmp_path, labels=labels, knowledge=[], references={"b": CITATION})
    assert str(Task.load(path).count_reviews()) == "2 statements, 1 reviewed"


def test_no_review_is_shipped_unless_somebody_read() -> None:
    """Reviews come from readers; a maintainer who merges some takes the card out of here."""
    for name in shipped():
        assert Task.load(name).reviews == ()
    assert not any("reviews" in name for name in shipped())


def test_reviews_of_shipped_cards_are_kept_in_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verdicts = [s.joined([Opinion(**ANNA)]) for s in Task.load("busi").reviewed_statements][:3]
    file = tmp_path / "back.yaml"
    file.write_text(reviews_text(verdicts))
    assert main(["review", "apply", str(file)]) == 2
    assert "is a shipped card, beside which nothing is written" in capsys.readouterr().err
    assert main(["tasks", "--reviews", str(tmp_path / "none")]) == 2
    assert f"is no folder; medreward review apply FILE --reviews {tmp_path / 'none'} makes it" in (
        capsys.readouterr().err
    )
    tmp_path /= "made"
    assert main(["review", "apply", str(file), "--reviews", str(tmp_path)]) == 0
    written = capsys.readouterr().out.splitlines()
    assert f"{tmp_path / 'busi.reviews.yaml'}: 3 new or changed, 3 in all" in written
    # One of the texts is in another card too, with the same label and source.
    shared = {path.name for path in tmp_path.glob("*.reviews.yaml")}
    using = {t for s in verdicts for t in shipped() if s.digest in digests(t)}
    assert shared == {f"{name}.reviews.yaml" for name in using}
    assert Task.load("busi").count_reviews().states == {"unreviewed": 7}
    assert Task.load("busi", tmp_path).count_reviews().as_dict()["reviewed"] == 3
    assert main(["review", "apply", str(file), "--reviews", str(tmp_path)]) == 0
    assert "nothing new" in capsys.readouterr().out
    assert main(["tasks", "--reviews", str(tmp_path)]) == 0
    line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("busi"))
    assert line.split()[2:7] == ["7", "3", "0", "0", "0"]
    assert main(["tasks", "show", "busi", "--reviews", str(tmp_path)]) == 0
    assert "reviewed: Anna A (haematologist, 2026-01-31) agrees" in " ".join(
        capsys.readouterr().out.split()
    )
    assert main(["tasks", "show", "busi", "--reviews", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["statements"]["reviewed"] == 3


def digests(name: str) -> set[str]:
    return {one.digest for one in Task.load(name).reviewed_statements}


# Apply


def test_apply_takes_all_or_nothing(tmp_path: Path) -> None:
    path = write_card(tmp_path)
    known, unknown = signed(*ROUND, ANNA), signed("A round cell is smooth.", "round cell", ANNA)
    with pytest.raises(ConfigError) as caught:
        apply_reviews([known, unknown], [str(path)])
    assert "1 of the texts that were read are in none of" in str(caught.value)
    assert f"{unknown.digest[:12]}… 'A round cell is smooth.'; the nearest is" in str(caught.value)
    assert "--skip-unknown" in str(caught.value)
    assert not (tmp_path / "cells.reviews.yaml").exists()
    (done,) = apply_reviews([known, unknown], [str(path)], skip_unknown=True)
    assert done == (tmp_path / "cells.reviews.yaml", 1, 1)


def test_several_readers_are_kept_and_their_dispute_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_card(tmp_path)
    apply_reviews([signed(*ROUND, ANNA), signed(*WHOLE, ANNA)], [str(path)])
    apply_reviews([signed(*ROUND, {**BEN, "verdict": "wrong", "comment": "No."})], [str(path)])
    apply_reviews([signed(*OVAL, {**BEN, "verdict": "not_visible"})], [str(path)])
    task = Task.load(path)
    assert str(task.count_reviews()) == "3 statements, 1 reviewed, 1 disputed, 1 rejected"
    assert [f.code for f in lint_card(path)] == ["disputed", "rejected"]
    assert main(["priors", "lint", str(path)]) == 0
    said = capsys.readouterr().out
    assert "disputed: Anna A (haematologist, 2026-01-31) agrees; Ben B" in said
    assert said.endswith("3 statements, 1 reviewed, 1 disputed, 1 rejected\n")
    assert [s.text for s in task.only_reviewed().statements] == [WHOLE[0]]
    assert main(["tasks", "show", str(path), "--level", "reviewed"]) == 0
    shown = capsys.readouterr().out
    assert WHOLE[0] in shown
    assert ROUND[0] not in shown


def test_a_broken_file_beside_a_card_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_card(tmp_path)
    (tmp_path / "cells.reviews.yaml").write_text("reviews: [{text: x}]")
    with pytest.raises(ConfigError, match=r"cells\.reviews\.yaml: reviews\[0\]\.source: ''"):
        Task.load(path)
    assert [f.code for f in lint_card(path)] == ["bad-review"]
    assert main(["priors", "lint", str(path)]) == 1
    assert "bad-review" in capsys.readouterr().out


# Tables


def fill(path: Path, out: Path, delimiter: str = ",", **cells: str) -> None:
    """Fill in the first line of a table, as a spreadsheet saves it."""
    rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    rows[0].update(cells)
    with out.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(reversed(rows[0])), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_goes_out_and_comes_back(
    tmp_path: Path, delimiter: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_card(tmp_path)
    table, back = tmp_path / "out.csv", tmp_path / "back.csv"
    assert main(["review", "sheet", str(path), "--out", str(table)]) == 0
    assert capsys.readouterr().out == (
        f"{table}: 3 statements and 1 questions and names to read, of cells\n"
    )
    assert main(["review", "apply", str(table), str(path)]) == 2
    assert "there is no verdict in it" in capsys.readouterr().err
    fill(table, back, delimiter, verdict="Not visible", comment='so "small"; really')
    assert main(["review", "apply", str(back), str(path)]) == 2
    assert "line 2.by: missing; write the reader's name" in capsys.readouterr().err
    who = ["--by", "Anna A", "--role", "haematologist", "--on", "2026-01-31"]
    assert main(["review", "apply", str(back), str(path), *who]) == 0
    (one,) = Task.load(path).reviews
    assert one.text == WHOLE[0]
    assert one.opinions == (
        Opinion("not_visible", "Anna A", "haematologist", "2026-01-31", 'so "small"; really'),
    )


def test_a_table_whose_texts_were_changed_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_card(tmp_path)
    table, back = tmp_path / "out.csv", tmp_path / "back.csv"
    main(["review", "sheet", str(path), "--out", str(table)])
    fill(
        table,
        back,
        verdict="agree",
        text="Look elsewhere.",
        **{k: ANNA[k] for k in ("by", "role", "on")},
    )
    assert main(["review", "apply", str(back), str(path)]) == 2
    assert "line 2: of:" in capsys.readouterr().err
    back.write_text("a,b\n1,2\n")
    assert main(["review", "apply", str(back), str(path)]) == 2
    assert "columns of, label, text, source, verdict are missing" in capsys.readouterr().err


# What is to be read


def test_the_words_of_a_card_are_signed_like_statements(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = [{**CARD["labels"][0], "synonyms": ["disc", "egg"]}, CARD["labels"][1]]
    path = write_card(tmp_path, labels=labels, modifiers=["stained"])
    words = Task.load(path).reviewed_words
    assert {place: one.text for place, one in words.items()} == {
        "question": "Which cell is this?",
        "labels[0].synonyms": "disc; egg",
        "modifiers": "stained",
    }
    edited = {**ANNA, "verdict": "agree_with_edit", "edit": "disc"}
    said = words["labels[0].synonyms"].joined([Opinion(**edited)])
    apply_reviews([said, words["question"].joined([Opinion(**ANNA)])], [str(path)])
    task = Task.load(path)
    assert str(task.count_reviews()) == "3 statements, 0 reviewed"  # words are none
    assert [(f.code, f.field) for f in lint_card(path)] == [("rejected", "labels[0].synonyms")]
    assert main(["tasks", "show", str(path)]) == 0
    assert "question [reviewed: Anna A" in capsys.readouterr().out
    # Who wrote the names as they are now agrees with them.
    labels[0]["synonyms"] = ["disc"]
    write_card(tmp_path, labels=labels, modifiers=["stained"])
    assert lint_card(path) == []
    assert Task.load(path).reviewed_words["labels[0].synonyms"].state == "reviewed"
    labels[0]["synonyms"] = ["ring"]
    write_card(tmp_path, labels=labels, modifiers=["stained"])
    assert [f.code for f in lint_card(path)] == ["stale-review"]
    assert str(Task.load(path).count_reviews()) == "3 statements, 0 reviewed"


@pytest.mark.parametrize(
    ("card", "text"),
    [
        ("icdr", "A grade that is too low and one that is as much too high are equally wrong."),
        (
            Task("x", "ordinal", ["no", "yes"], reward={"under_grading": 0.5}),
            (
                "A grade that is too low earns 0.5 times what its distance alone would earn, one "
                "that is too high 1 times."
            ),
        ),
        (
            Task("x", "ordinal", [*"0123"], reward={"thresholds": [2, 3]}),
            (
                "A grade that is too low and one that is as much too high are equally wrong. "
                "Something else is done from grade 2 and from 3 on: for each such threshold "
                "between it and the true grade, a grade earns 0.5 times that."
            ),
        ),
        (
            "chestmnist",
            ("To leave out a label is as wrong as to name one too many; all labels count alike."),
        ),
        (
            Task("x", "multilabel", [Label("a", cost=3), "b"], reward={"beta": 2, "delta": 0}),
            (
                "To leave out a label counts 4 times as much as to name one too many; labels "
                "count a 3, others 1."
            ),
        ),
        ("pneumoniamnist", None),
    ],
)
def test_which_error_is_worse_is_said_in_words(card: str | Task, text: str | None) -> None:
    task = card if isinstance(card, Task) else Task.load(card)
    found = task.reviewed_words.get("reward")
    assert (found and found.text) == text


def test_a_text_that_several_cards_share_is_read_once() -> None:
    tasks = [Task.load(name) for name in shipped()]
    subjects = list_subjects(tasks)
    assert len({one.signed.digest for one in subjects}) == len(subjects)
    assert {one.signed.digest for one in subjects} == set().union(*map(digests, shipped()))
    shared = [one for one in subjects if len(one.tasks) > 1]
    assert any(one.cards == "breastmnist, busi" for one in shared)


def test_a_sheet_of_one_specialty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "x.csv")
    assert main(["review", "sheet", "--specialty", "ophthalmology", "--out", out]) == 0
    with open(out, encoding="utf-8-sig") as file:
        cards = {row["cards"] for row in csv.DictReader(file)}
    assert {"icdr", "octmnist", "retinamnist"} <= cards
    assert "chestmnist" not in cards
    assert main(["review", "sheet", "--specialty", "ophtalmology", "--out", out]) == 2
    assert "did you mean 'ophthalmology'" in capsys.readouterr().err
    assert main(["review", "sheet", "yes_no", "--statements", "--out", out]) == 2
    assert "yes_no: there is no statement to read" in capsys.readouterr().err


def test_counts_add_up() -> None:
    one = ReviewCount({"reviewed": 2, "disputed": 1}, 1, 0)
    assert str(one + ReviewCount({"reviewed": 1}, 2, 1)) == (
        "4 statements, 3 reviewed, 1 disputed, 3 stale, 1 drafted by a model without a source"
    )


# prepare --knowledge reviewed


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for i, label in enumerate(("round cell", "oval cell")):
        place = tmp_path / "images" / "train" / label
        place.mkdir(parents=True)
        Image.new("L", (32, 32), 40 * i + 10).save(place / "1.png")
    return tmp_path / "images"


def test_prepare_tells_what_holds_and_nothing_else(
    tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_card(tmp_path)
    out = tmp_path / "rows"
    command = ["prepare", "--task", str(path), "--folders", str(images), "--out", str(out)]
    command += ["--knowledge", "reviewed", "--workers", "1"]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "'cells' has no statement that holds after review (3 statements, 0 reviewed)" in said
    assert "medreward review sheet" in said
    assert not out.exists()
    folder = tmp_path / "ours"
    folder.mkdir()
    wrong = {**BEN, "verdict": "wrong", "comment": "No."}
    apply_reviews([signed(*ROUND, ANNA), signed(*OVAL, ANNA, wrong)], [str(path)], folder)
    assert main([*command, "--reviews", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "is disputed; left out (--knowledge reviewed)" in said
    rows = pq.read_table(out / "train.parquet").to_pylist()
    assert {row["extra_info"]["knowledge"] for row in rows} == {ROUND[0]}
    assert all(OVAL[0] not in row["prompt"][-1]["content"] for row in rows)
    card = (out / "dataset_card.md").read_text()
    assert "knowledge: reviewed: 1 statement, 1 reviewed" in card
    assert "readers: Anna A (haematologist)" in card


def test_the_card_of_a_data_set_counts_disputes(tmp_path: Path, images: Path) -> None:
    path = write_card(tmp_path)
    apply_reviews(
        [signed(*ROUND, ANNA, {**BEN, "verdict": "wrong", "comment": "No."})], [str(path)]
    )
    changed = yaml.safe_load(path.read_text())
    changed["knowledge"] = []
    path.write_text(yaml.safe_dump(changed))
    write_reviews(tmp_path, *Task.load(path).reviews, signed(*WHOLE, ANNA))
    out = tmp_path / "rows"
    command = ["prepare", "--task", str(path), "--folders", str(images), "--out", str(out)]
    assert main([*command, "--workers", "1"]) == 0
    card = (out / "dataset_card.md").read_text()
    assert "knowledge: full: 2 statements, 0 reviewed, 1 disputed, 1 stale" in card
