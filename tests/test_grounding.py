"""Grounding questions on real blood smears: right against the XML, negatives, both trainers."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from medreward import ConfigError, Task
from medreward.commands.cli import main
from medreward.data.sources.boxes import missing_names
from medreward.data.sources.record import NamedBox, Record
from medreward.grounding.phrases import wordings, words_of
from medreward.grounding.questions import ANY, CARDS, Asking, Question, canonical, plan
from medreward.grounding.rows import GroundingRows
from medreward.priors.prompt import PromptBuilder
from medreward.task.registry import rules_of
from medreward.task.traits import Trait
from medreward.text.formats.think_answer import ThinkAnswer
from medreward_trl import reward_funcs
from medreward_trl.dataset import from_parquet
from medreward_verl import compute_score
from tests import prepare_support as support
from tests.prepare_support import boxes_of, run

NAMES = ("RBC", "WBC", "Platelets")
TASK = Task.load("bccd")
KINDS = tuple(CARDS)
DEGENERATE = ("BloodImage_00338", "BloodImage_00343")  # each has an RBC without area
FEW = 24


def xml_boxes(path: Path) -> dict[str, list[list[int]]]:
    """Read an annotation without medreward: half-open boxes of each class that have an area."""
    boxes: dict[str, list[list[int]]] = {name: [] for name in NAMES}
    for item in ElementTree.parse(path).getroot().iter("object"):
        x1, y1, x2, y2 = (
            int(item.find("bndbox").find(c).text)  # type: ignore[union-attr, arg-type]
            for c in ("xmin", "ymin", "xmax", "ymax")
        )
        if x1 < x2 and y1 < y2:
            corners = [max(0, x1 - 1), max(0, y1 - 1), min(640, x2), min(480, y2)]
            boxes[str(item.findtext("name"))].append(corners)
    return boxes


@pytest.fixture(scope="module")
def smears(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a few smears in VOC's layout, those with degenerate boxes among them."""
    source, folder = test_data / "bccd", tmp_path_factory.mktemp("bccd")
    stems = sorted(p.stem for p in (source / "Annotations").iterdir())
    for part, suffix in (("Annotations", ".xml"), ("JPEGImages", ".jpg")):
        (folder / part).mkdir()
        for stem in [*stems[: FEW - len(DEGENERATE)], *DEGENERATE]:
            name = f"{stem}{suffix}"
            (folder / part / name).write_bytes((source / part / name).read_bytes())
    return folder


@pytest.fixture(scope="module")
def prepared(smears: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All kinds of questions about them, in one split."""
    out = tmp_path_factory.mktemp("rows")
    options = ["--voc", smears, "--ask", ",".join(KINDS), "--split", "train=1", "--out", out]
    assert run("--task", "bccd", *options) == 0
    return out


def test_questions_ask_for_what_a_model_profile_says(smears: Path, tmp_path: Path) -> None:
    """Format and frame reach the cards of the questions, whose rewards take the same profile."""
    options = ["--voc", smears, "--ask", "where,point,count", "--split", "train=1", "--limit", 2]
    profile = ("--model-profile", "qwen3_vl_thinking")
    assert run("--task", "bccd", *options, *profile, "--out", tmp_path) == 0
    rows = str(tmp_path / "train.parquet")
    assert main(["rows", "check", rows, *profile]) == 0
    assert main(["rows", "check", rows]) == 2
    said = support.rows(tmp_path, "train")[0]["prompt"][0]["content"]
    assert "from 0 to 1000" in said
    assert "<think>" not in said
    other = tmp_path / "other"
    assert run("--task", "bccd", *options, "--model-profile", "qwen2_5_vl", "--out", other) == 2
    seen = ("--seen", 28, 3136, 1003520)
    assert (
        run("--task", "bccd", *options, *seen, "--model-profile", "qwen2_5_vl", "--out", other) == 0
    )
    assert (
        main(["rows", "check", str(other / "train.parquet"), "--model-profile", "qwen2_5_vl"]) == 0
    )


@pytest.fixture(scope="module")
def asked(prepared: Path) -> list[dict[str, Any]]:
    return support.rows(prepared, "train")


def parts_of(row: dict[str, Any]) -> tuple[int, str, str]:
    """Return the image's number, the kind of question and the class of a row's id."""
    _, number, kind, *name = row["extra_info"]["id"].split("-")
    named = {n.lower(): n for n in NAMES}
    return int(number), kind, named[name[0]] if name else ANY


def truths(smears: Path) -> list[dict[str, list[list[int]]]]:
    return [xml_boxes(path) for path in sorted((smears / "Annotations").iterdir())]


def test_answers_are_those_of_the_annotations(smears: Path, asked: list[dict[str, Any]]) -> None:
    boxes = truths(smears)
    for row in asked:
        number, kind, name = parts_of(row)
        found = boxes[number - 1]
        expected = [box for n in NAMES for box in found[n] if name in (ANY, n)]
        truth = row["reward_model"]["ground_truth"]
        assert row["data_source"] == CARDS[kind]
        if kind == "count":
            assert truth == str(len(expected))
        elif kind == "present":
            assert truth == ("yes" if expected else "no")
        else:
            target = json.loads(truth)
            assert sorted(target["boxes"]) == sorted(expected)
            assert target["size"] == [640, 480]


def test_every_class_that_is_there_is_asked_about(
    smears: Path, asked: list[dict[str, Any]]
) -> None:
    found = {parts_of(row) for row in asked}
    assert len(found) == len(asked)
    for number, boxes in enumerate(truths(smears), start=1):
        degenerate = number > FEW - len(DEGENERATE)
        for name in NAMES:
            unsure = degenerate and name == "RBC"
            for kind in ("where", "count", "point"):
                asks = (number, kind, name) in found
                assert asks is not unsure if boxes[name] else not (asks and unsure)
        assert ((number, "all", ANY) in found) is not degenerate


def test_negatives_have_their_share(smears: Path, asked: list[dict[str, Any]]) -> None:
    boxes = truths(smears)
    for kind in ("where", "count", "point"):
        of_kind = [parts_of(row) for row in asked if parts_of(row)[1] == kind]
        negatives = sum(not boxes[number - 1][name] for number, _, name in of_kind)
        absent = sum(not found[name] for found in boxes for name in NAMES)
        wanted = round(0.25 * (len(of_kind) - negatives))
        assert 0 < negatives == min(wanted, absent)


def test_whether_a_class_is_there_cannot_be_told_from_the_class(
    asked: list[dict[str, Any]],
) -> None:
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for row in asked:
        _, kind, name = parts_of(row)
        if kind == "present":
            answers[name][row["reward_model"]["ground_truth"]] += 1
    assert answers
    for counts in answers.values():
        assert counts["yes"] == counts["no"] > 0


def test_wordings_vary_and_use_the_cards_words(asked: list[dict[str, Any]]) -> None:
    words = words_of(TASK, NAMES)
    seen: dict[str, set[str]] = defaultdict(set)
    for row in asked:
        _, kind, name = parts_of(row)
        line = row["prompt"][0]["content"].removeprefix("<image>").splitlines()[0]
        if name != ANY:
            possible = {
                template.replace("{name}", form): template
                for template in wordings()[kind].questions
                for form in words[name]
            }
            seen[kind].add(possible[line])
        asked_for = wordings()[kind].prompt.kinds["localisation"].answer
        assert row["prompt"][0]["content"].endswith(ThinkAnswer().instruct(asked_for))
    for kind in ("where", "count", "point"):
        assert seen[kind] == set(wordings()[kind].questions)


def test_the_same_bytes_again_and_another_seed_asks_otherwise(
    smears: Path, prepared: Path, tmp_path: Path
) -> None:
    def texts(seed: int) -> Any:
        records = [
            Record(
                id=path.stem,
                where=path.name,
                place=None,
                split="train",
                boxes=tuple(
                    NamedBox(name, (box[0], box[1], box[2], box[3]))
                    for name, found in xml_boxes(path).items()
                    for box in found
                ),
            )
            for path in sorted((smears / "Annotations").iterdir())
        ]
        return plan(records, TASK, Asking(KINDS), seed).questions

    assert texts(0) == texts(0) != texts(1)
    options = ["--voc", smears, "--ask", ",".join(KINDS), "--split", "train=1"]
    assert run("--task", "bccd", *options, "--out", tmp_path / "out", "--workers", 2) == 0
    again = (tmp_path / "out" / "train.parquet").read_bytes()
    assert again == (prepared / "train.parquet").read_bytes()


def completion(answer: str) -> str:
    return f"<think>Looking.</think><answer>{answer}</answer>"


def right_answer(row: dict[str, Any]) -> str:
    """Answer a question from its ground truth in the form that its prompt asks for."""
    truth = row["reward_model"]["ground_truth"]
    if Trait.PLACES not in rules_of(row["ability"]).traits:
        return str(truth)
    boxes = boxes_of(row)
    if row["data_source"] == "grounding_point":
        return json.dumps([[(x1 + x2) / 2, (y1 + y2) / 2] for x1, y1, x2, y2 in boxes])
    return json.dumps(boxes)


def wrong_answer(row: dict[str, Any]) -> str:
    if row["ability"] == "ordinal":
        return str(int(row["reward_model"]["ground_truth"]) + 1)
    if row["ability"] == "classification":
        return "no" if row["reward_model"]["ground_truth"] == "yes" else "yes"
    nothing = "[]"
    some = "[[1, 1]]" if row["data_source"] == "grounding_point" else "[[1, 1, 2, 2]]"
    return nothing if boxes_of(row) else some


def test_rows_pass_the_check_and_score_in_both_trainers(
    prepared: Path, asked: list[dict[str, Any]]
) -> None:
    """Without any setting, card or path beside the rows themselves."""
    assert main(["rows", "check", str(prepared / "train.parquet")]) == 0
    data = from_parquet(prepared / "train.parquet")
    funcs, weights = reward_funcs(sorted(set(CARDS.values())))
    columns = {name: data[name] for name in ("task", "target", "knowledge", "id")}
    for answer_of, is_right in ((right_answer, True), (wrong_answer, False)):
        texts = [completion(answer_of(row)) for row in asked]
        ours = [f(completions=texts, **columns) for f in funcs]
        for i, row in enumerate(asked):
            info, truth = row["extra_info"], row["reward_model"]["ground_truth"]
            score = compute_score(row["data_source"], texts[i], truth, info)
            assert score["correct"] == is_right, (row["extra_info"], texts[i], score)
            total = sum(w * (values[i] or 0.0) for w, values in zip(weights, ours, strict=True))
            assert total == pytest.approx(score["score"])
            assert score["accuracy"] <= (1.0 if is_right else 0.25)


def test_knowledge_of_the_users_card_is_in_the_prompt(smears: Path) -> None:
    card = support.task(
        support.CELLS
        + "labels: [WBC, RBC]\nknowledge: [{text: White cells have a nucleus., source: x}]\n"
        "references: {x: y}\n"
    )
    records = [
        Record("a", "a", None, boxes=(NamedBox("wbc", (0, 0, 4, 4)),), split="train"),
    ]
    planned = plan(canonical(records, card), card, Asking(("where",)), 0)
    for level, there in (("full", True), ("none", False)):
        rows = GroundingRows(planned, PromptBuilder(card, level))
        prompt = rows.prompt(planned.questions["a"][0], "a")
        assert ("White cells have a nucleus." in prompt.text) is there
        assert prompt.knowledge == ("White cells have a nucleus." if there else "")


def test_templates_are_the_questions_own(
    test_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    template = tmp_path / "own.yaml"
    template.write_text("localisation: '{question} {knowledge} <answer>'")
    options = ["--ask", "where", "--template", template, "--out", tmp_path / "out"]
    assert run("--task", "bccd", "--voc", test_data / "bccd", *options) == 2
    assert "have templates of their own" in capsys.readouterr().err


def records_of(*contents: str, dropped: tuple[str, ...] = ()) -> list[Record]:
    """A record for each text, with a box for each letter."""
    return [
        Record(
            id=f"r{i}",
            where=f"r{i}",
            place=None,
            split="train",
            boxes=tuple(NamedBox(letter, (0, 0, 1, 1)) for letter in text),
            dropped=dropped if i == 0 else (),
        )
        for i, text in enumerate(contents)
    ]


CELLS = support.task(support.CELLS)


def asked_of(records: list[Record], asking: Asking, seed: int = 0) -> list[tuple[str, Question]]:
    planned = plan(records, CELLS, asking, seed)
    return [(name, q) for name, questions in planned.questions.items() for q in questions]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5])
def test_the_share_of_negatives_is_met_where_there_are_enough(share: float) -> None:
    records = records_of(*["a", "b", "ab", "", ""] * 40)
    found = asked_of(records, Asking(("where",), negatives=share))
    counts = {r.id: Counter(box.name for box in r.boxes or ()) for r in records}
    negatives = sum(not counts[name][q.name] for name, q in found)
    assert len(found) - negatives == 160  # every positive
    assert negatives / len(found) == pytest.approx(share, abs=0.01)


def test_too_few_negatives_are_reported() -> None:
    planned = plan(records_of("ab", "ab", "ab", "a"), CELLS, Asking(("where",), negatives=0.5), 0)
    said = [remark for remark in planned.remarks if "fewer negatives" in remark.what]
    assert [remark.detail for remark in said] == ["1 of 8 rows"]


def test_a_class_with_a_lost_box_is_not_asked_about() -> None:
    found = asked_of(records_of("aab", "b", dropped=("a",)), Asking(("where", "count", "all")))
    assert ("r0", "a") not in {(name, q.name) for name, q in found}
    assert {(name, q.ask) for name, q in found if q.name == ANY} == {("r1", "all")}
    assert missing_names([NamedBox("a", (0, 0, 0, 0))], []) == ("a",)


def test_counts_beyond_the_limit_are_not_asked_for() -> None:
    planned = plan(records_of("aaa", "aa"), CELLS, Asking(("count",), negatives=0, most=2), 0)
    assert list(planned.questions) == ["r1"]
    assert any("more than can be asked" in remark.what for remark in planned.remarks)


def test_new_images_leave_the_wording_of_old_ones_alone() -> None:
    before = dict(asked_of(records_of("a", "ab"), Asking(("where",), negatives=0)))
    after = dict(asked_of(records_of("a", "ab", "b", "a"), Asking(("where",), negatives=0)))
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ask", "wher"], "ask: 'wher' is not one of where, all, point, count, present; did you"),
        (["--ask", "where,where"], "name each kind once"),
        (["--ask", "where", "--negatives", "1"], "negatives: 1.0 is not a finite number from 0"),
        (["--ask", "count", "--count-up-to", "0"], "most: 0 is not a whole number from 1 to 100"),
        (["--negatives", "0.5"], "go with --ask"),
    ],
)
def test_wrong_options_are_named(
    options: list[str],
    message: str,
    test_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    assert run("--task", "bccd", "--voc", test_data / "bccd", "--out", out, *options) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_only_a_localisation_card_can_ask() -> None:
    with pytest.raises(ConfigError, match="task 'letters' is classification; --ask needs"):
        plan(records_of("a"), support.task(support.LETTERS), Asking(("where",)), 0)
    with pytest.raises(ConfigError, match="no image of which this can be asked"):
        plan(records_of("a", "a"), CELLS, Asking(("present",)), 0)
    with pytest.raises(ConfigError, match="no box, and the card no label"):
        plan(records_of("", ""), CELLS, Asking(("present",)), 0)
