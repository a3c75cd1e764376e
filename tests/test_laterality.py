"""What depends on side is rewritten as the card says when an image is mirrored, or refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medreward import ConfigError, Label, Task
from medreward.data.example import Example
from medreward.data.rows import make_rows
from medreward.perception import Region, RowTransform, Sample, parse
from medreward.perception.sides import check_task
from medreward.priors.prompt import build_prompt
from medreward.scoring.task_book import TaskBook
from medreward.task.card import shipped
from medreward.task.laterality import Laterality, check_quarter_turn, mirrored_texts, side_words
from medreward.task.task import parse_card
from tests.prepare_support import noise

EYES = """
name: eyes
kind: classification
question: Is this the right eye (OD) or the left eye (OS)?
labels: [{name: OD, synonyms: [right eye]}, {name: OS, synonyms: [left eye]}]
laterality: {swap: [[right, left], [OD, OS]]}
"""
SWAP: Any = [["left", "right"], ["laevocardia", "dextrocardia"], ["OD", "OS"]]
WORDS = [
    ("the left kidney", "the right kidney"),
    ("Left or RIGHT?", "Right or LEFT?"),
    ("kidney-left, kidney_right", "kidney-right, kidney_left"),
    ("bright, lefty, upright", "bright, lefty, upright"),
    ("Dextrocardia, OS", "Laevocardia, OD"),
    ("left left right", "right right left"),
    ("the os pubis, OS", "the os pubis, OD"),
    ("x to the right, left lung", "x to the right, right lung"),
]


@pytest.mark.parametrize(("text", "wanted"), WORDS)
def test_words_change_places(text: str, wanted: str) -> None:
    sides = Laterality(swap=SWAP, keep=("x to the right",))
    assert sides.mirrored(text, "horizontal") == wanted


@given(st.lists(st.sampled_from("left Right LEFT lefts a, OD OS od-os \n é right".split(" "))))
def test_two_flips_restore_a_text(words: list[str]) -> None:
    sides, text = Laterality(swap=SWAP), " ".join(words)
    assert sides.mirrored(sides.mirrored(text, "horizontal"), "horizontal") == text


FOUND = [
    ("Is the LEFT lung clear?", ["LEFT"], ["LEFT"]),
    ("levocardia or situs inversus", ["levocardia"], ["levocardia"]),
    ("an opacity in the RLL", ["RLL"], ["RLL"]),
    ("the os (bone) is bright, mode", [], []),
    ("upper lobe, apical", [], ["upper", "apical"]),
    ("pneumonia or normal", [], []),
]


@pytest.mark.parametrize(("text", "across", "upright"), FOUND)
def test_which_words_depend_on_side(text: str, across: list[str], upright: list[str]) -> None:
    assert side_words(text) == across
    assert side_words(text, "vertical") == upright


REFUSED = {
    "organamnist": ["Flip(vertical)", "Rotate(90)", "Rotate(180)", "Rotate(-60..60)"],
    "organcmnist": ["Flip(vertical)", "Flip(horizontal/vertical, p=0.1)", "Rotate(135)"],
    "organsmnist": ["Flip()", "Flip(vertical)", "Rotate(270)", "Rotate(-180..180)"],
}
ALLOWED = {
    "organamnist": ["Flip(p=0.5)", "Rotate(-45..45)", "Rotate(355)", "Scale(2)", "CropPart(0.5)"],
    "organcmnist": ["Flip()"],
    "organsmnist": ["Rotate(-20..20)", "Gamma(0.5..2)"],
}


@pytest.mark.parametrize(("name", "text"), [(n, t) for n, ts in REFUSED.items() for t in ts])
def test_shipped_cards_with_sides_refuse(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=f"task '{name}'.*laterality"):
        check_task(parse(text), Task.load(name))


@pytest.mark.parametrize(("name", "text"), [(n, t) for n, ts in ALLOWED.items() for t in ts])
def test_shipped_cards_with_sides_allow(name: str, text: str) -> None:
    check_task(parse(text), Task.load(name))


@pytest.mark.parametrize("name", [n for n in shipped() if n not in REFUSED])
def test_other_shipped_cards_do_not_depend_on_side(name: str) -> None:
    check_task(parse("Flip(horizontal/vertical) | Rotate(-180..180, expand=true)"), Task.load(name))


def task(*labels: Any, question: str = "Which?", **fields: Any) -> Task:
    return Task("sides", labels=labels or ("a", "b"), question=question, **fields)


GUARDED = [
    (task(question="Is the heart on the left?"), "question: 'left'"),
    (task("lung-left", "lung-right"), r"labels\[0\]: 'left'"),
    (task("situs", Label("inversus", ("dextrocardia",))), r"synonyms\[0\]: 'dextrocardia'"),
    (task(laterality=Laterality()), "no words are given to swap"),
    (
        task("heart-left", "lung", laterality=Laterality(swap=SWAP)),
        "becomes 'heart-right' .* not a label",
    ),
    (
        task(
            "situs",
            Label("situs inversus", ("heart on the right",)),
            laterality=Laterality(swap=SWAP),
        ),
        "its label 'situs inversus' stays",
    ),
    (task("leftward", "b", laterality=Laterality(swap=SWAP)), "'leftward' may be wrong"),
]


@pytest.mark.parametrize(("guarded", "message"), GUARDED)
def test_a_flip_is_refused_unless_the_card_says_how(guarded: Task, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_task(parse("Flip(p=0.01)"), guarded)
    check_task(parse("Rotate(-10..10) | Blur(1)"), guarded)


def test_a_card_may_say_that_nothing_depends_on_side() -> None:
    card = task(question="Is the right answer A or B?", laterality=Laterality(dependent=False))
    check_task(parse("Flip(horizontal/vertical) | Rotate(0..360)"), card)
    kept = task(question="x to the right", laterality=Laterality(swap=(), keep=("x to the right",)))
    check_task(parse("Flip()"), kept)


def test_eyes_are_swapped_with_their_words() -> None:
    card = parse_card(EYES)
    check_task(parse("Flip()"), card)
    sample = Sample(
        (noise(0, 30, 20),),
        (Region((2, 3, 10, 9), "left disc"),),
        {"question": card.question, "target": "OD"},
        card.laterality,
    )
    after = parse("Flip()")(sample)
    assert after.texts == {
        "question": "Is this the left eye (OS) or the right eye (OD)?",
        "target": "OS",
    }
    assert [(r.label, r.box) for r in after.regions] == [("right disc", (20, 3, 28, 9))]
    assert parse("Flip()")(after) == sample


def test_labels_of_boxes_change_sides_in_a_row() -> None:
    card = parse_card(
        "{name: discs, kind: localisation, question: Box the left and the right disc., "
        "labels: [{name: left disc}, {name: right disc}], reward: {delta: 0}, "
        "laterality: {swap: [[left, right]]}}"
    )
    target = [{"box": [2, 3, 10, 9], "label": "left disc"}]
    example = Example(noise(0, 30, 20), target, "train-0", "train")
    after = RowTransform(parse("Flip()"), TaskBook({card.name: card}))(
        next(make_rows([example], card))
    )
    assert json.loads(after["reward_model"]["ground_truth"]) == [
        {"box": [20, 3, 28, 9], "label": "right disc"}
    ]
    assert "Box the right and the left disc." in after["prompt"][0]["content"]


@pytest.mark.parametrize("name", ["bccd", "grounding_where", "grounding_point", "mni152_brain_box"])
def test_the_axes_of_coordinates_are_no_sides(name: str) -> None:
    card = Task.load(name)
    assert "to the right" in card.question
    check_task(parse("Flip() | Rotate(90)"), card)
    assert Laterality(swap=SWAP).mirrored(card.question, "horizontal") == card.question
    prompt = build_prompt(card, "none").text
    assert "top left corner" in prompt
    assert mirrored_texts(None, {"prompt": prompt}, "vertical") == {"prompt": prompt}
    check_quarter_turn(None, {"prompt": prompt})


def test_a_half_turn_is_both_flips() -> None:
    anatomical = Laterality(swap=SWAP, swap_vertical=SWAP)
    positional = Laterality(swap=SWAP, swap_vertical=[["upper", "lower"]])  # type: ignore[arg-type]
    image = noise(0, 30, 20)
    text = {"question": "upper left"}
    turn = parse("Rotate(180)")
    assert turn(Sample((image,), (), text, positional)).texts["question"] == "lower right"
    both = Sample((image,), (), {"question": "the left kidney"}, anatomical)
    assert turn(both).texts == both.texts


@pytest.mark.parametrize("text", ["Flip()", "Rotate(90)", "Rotate(180)", "Flip(vertical)"])
def test_a_row_with_side_words_is_refused_though_its_card_has_none(text: str) -> None:
    sample = Sample((noise(0, 20, 20),), (), {"question": "the left upper lobe"})
    with pytest.raises(ConfigError, match="question: 'left'"):
        parse(text)(sample)
    assert parse("Rotate(30)")(sample).texts == sample.texts


BAD = [
    ({"dependent": 1}, "neither true nor false"),
    ({"dependent": False, "swap": [["a", "b"]]}, "though dependent is false"),
    ({"swap": "left"}, "not a list of pairs"),
    ({"swap": [["left"]]}, "not a pair"),
    ({"swap": [["left", 3]]}, "not a word"),
    ({"swap": [["left", "right"], ["Right", "up"]]}, "given twice"),
    ({"keep": "x"}, "not a list of phrases"),
    ({"swaps": []}, "did you mean 'swap'"),
    ("left", "not a mapping"),
]


@pytest.mark.parametrize(("content", "message"), BAD)
def test_a_wrong_laterality_is_named(content: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Laterality.of(content)
    with pytest.raises(ConfigError, match=r"cards\.yaml: laterality"):
        parse_card(
            "{name: x, kind: classification, question: q, labels: [a, b], laterality: 3}",
            "cards.yaml",
        )


def test_laterality_shapes_no_reward() -> None:
    assert task().digest == task(laterality=Laterality(swap=SWAP)).digest


def test_texts_are_named_in_errors() -> None:
    with pytest.raises(ConfigError, match=r"prompt\[0\]: 'left' may be wrong"):
        mirrored_texts(None, {"prompt[0]": "the left lung"}, "horizontal")
