"""What a card may add to the words of an answer: modifiers and names of labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml

from medreward import ConfigError, Label, Task, explain
from medreward.kinds.ordinal import read_grade
from medreward.language.vocabulary import make_vocabulary, phrases_of
from medreward.language.word_checks import is_reserved
from medreward.task.task import parse_card

SKIN: dict[str, Any] = {"name": "skin", "labels": ["melanoma", Label("nevus", ("mole",))]}


@pytest.mark.parametrize(
    ("modifier", "message"),
    [
        ("...", "modifiers[0]: '...' has no letter or digit"),
        ("melanoma", "modifiers[0]: 'melanoma' contains 'melanoma', which names a label"),
        ("in a Mole", "modifiers[0]: 'in a Mole' contains 'mole', which names a label"),
        ("melanomas-like melanoma", "which names a label"),
        ("no longer", "modifiers[0]: 'no longer' contains 'no', which denies, affirms or joins"),
        ("hardly not", "contains 'not'"),
        ("without any", "contains 'without any'"),
        ("ruled out", "contains 'ruled out'"),
        ("possibly early", "contains 'possibly'"),
        ("left or right", "contains 'or'"),
        ("yes", "contains 'yes'"),
        ("absent", "contains 'absent'"),
        ("history of", "contains 'history of'"),
    ],
)
def test_a_modifier_that_turns_or_names_a_label_is_refused(modifier: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        Task(**SKIN, modifiers=(modifier,))
    assert message in str(error.value)
    assert "skin" in str(error.value)


@pytest.mark.parametrize("modifiers", ["spiculated", ["a", 2], [None], {"a": 1}, [["a"]]])
def test_modifiers_are_a_list_of_texts(modifiers: object) -> None:
    with pytest.raises(ConfigError, match="modifiers"):
        Task(**SKIN, modifiers=modifiers)  # type: ignore[arg-type]
    card = {"name": "x", "kind": "classification", "question": "q", "labels": [{"name": "a"}]}
    with pytest.raises(ConfigError, match="modifiers"):
        parse_card(yaml.safe_dump({**card, "modifiers": modifiers}))


def test_the_place_of_a_modifier_is_named() -> None:
    with pytest.raises(ConfigError, match=r"modifiers\[1\]: 'not'"):
        Task(**SKIN, modifiers=("spiky", "not"))


@pytest.mark.parametrize("answer", ["spiky melanoma", "melanoma, spiky", "melanoma (spiky)"])
def test_a_modifier_may_stand_beside_a_label(answer: str) -> None:
    text = f"<think>x</think><answer>{answer}</answer>"
    assert not explain(text, "melanoma", task=Task(**SKIN)).correct
    assert explain(text, "melanoma", task=Task(**SKIN, modifiers=("spiky",))).correct


@pytest.mark.parametrize(
    "answer", ["not spiky melanoma", "no melanoma, spiky", "spiky", "spiky nevus"]
)
def test_a_modifier_changes_nothing_else(answer: str) -> None:
    text = f"<think>x</think><answer>{answer}</answer>"
    assert not explain(text, "melanoma", task=Task(**SKIN, modifiers=("spiky",))).correct


@pytest.mark.parametrize("language", ["en", "de", "zh"])
def test_a_modifier_that_is_a_frame_of_the_language_leaves_it_one(language: str) -> None:
    """A card with the modifier "level" read "slice level 3" as no grade."""
    plain = Task("scale", "ordinal", ["none", "mild", "severe"], languages=(language,))
    frames = [phrase for phrase, kind in phrases_of(language).items() if kind == "frames"]
    assert len(frames) > 45
    read = 0
    for frame in frames:
        frame = frame if frame.isascii() else frame.replace(" ", "")  # noqa: PLW2901
        try:
            own = replace(plain, modifiers=(frame, f"slice {frame}"))
        except ConfigError:  # a frame with "is" in it is refused as one that affirms
            continue
        for answer in (f"{frame} 2", f"{frame}: 2", f"2 {frame}"):
            found = read_grade(answer, plain).label
            assert read_grade(answer, own).label == found, answer
            read += found is not None
        # And beside a label it passes, as a modifier does.
        assert read_grade(f"{frame}: severe", own).label in (2, None)
    assert read > 100


@pytest.mark.parametrize(
    "modifiers", [(), ("level",), ("slice level",), ("brain", "level", "slice")]
)
def test_a_card_s_own_modifier_breaks_no_shipped_frame(modifiers: tuple[str, ...]) -> None:
    task = replace(Task.load("mni152_level"), modifiers=modifiers)
    for answer in ("slice level 3", "level 3", "3 level", "the level is 3", "level: 3"):
        assert read_grade(answer, task).label == 3
    for answer in ("level", "no level", "level 2 and level 3", "level 9", "not level 3"):
        assert read_grade(answer, task).label is None


def test_the_name_of_another_scale_is_what_the_card_says() -> None:
    """BI-RADS 4 is no breast density of 4, and Kellgren-Lawrence 3 is of that card."""
    density, knee = Task.load("birads_density"), Task.load("kellgren_lawrence")
    assert read_grade("BI-RADS 4", density).label is None
    assert read_grade("BI-RADS density D", density).label == 3
    assert read_grade("BI-RADS 4", replace(density, modifiers=())).label == 3
    assert read_grade("KL 3", knee).label == read_grade("Kellgren-Lawrence: 3", knee).label == 3


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["no", "melanoma"], "labels[0].name: 'no' is a word that denies, affirms or joins"),
        (["melanoma", "not"], "labels[1].name: 'not'"),
        ([Label("melanoma", ("no",)), "nevus"], "labels[0].synonyms[0]: 'no'"),
        ([Label("melanoma", ("lentigo", "or")), "nevus"], "labels[0].synonyms[1]: 'or'"),
        (["yes", "no", "and"], "labels[2].name: 'and'"),
        (["yes", "nevus"], "labels[0].name: 'yes'"),
        ([Label("yes", ("no",)), "nevus"], "labels[0].name: 'yes'"),
    ],
)
def test_a_label_is_no_word_that_denies_or_joins(labels: list[Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        Task("skin", labels=labels)
    assert message in str(error.value)


@pytest.mark.parametrize(
    "labels",
    [
        ["yes", "no"],
        [Label("yes", ("y",)), Label("no", ("n",))],
        ["yes", "no", "maybe"],
        ["yes", "no", "cannot be told"],
        [Label("fracture", ("yes",)), Label("no fracture", ("no",), absence=True)],
        ["none", "mild"],
        ["neither", "one"],
        ["positive", "negative"],
        ["no fracture", "fracture"],
        ["absent", "present"],
    ],
)
def test_verdicts_may_be_labels(labels: list[Any]) -> None:
    task = Task("x", labels=labels)
    for label in task.labels:
        text = f"<think>x</think><answer>{label.name}</answer>"
        assert explain(text, label.name, task=task).correct


def test_words_of_the_cards_language_are_refused() -> None:
    with pytest.raises(ConfigError, match="'kein'"):
        Task(**SKIN, modifiers=("kein",), languages=("de",))
    assert Task(**SKIN, modifiers=("kein",)).modifiers == ("kein",)


MAYBE = Task("maybe", labels=["yes", "no", "maybe"])


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("No.", "no"),
        ("The answer is maybe.", "maybe"),
        ("Yes, there is.", "yes"),
        ("No, there is no fracture.", "no"),
        ("maybe yes", None),
        ("yes or no", None),
        ("no fracture", None),
        ("yes, maybe", None),
        ("not maybe", None),
    ],
)
def test_yes_no_and_maybe(answer: str, label: str | None) -> None:
    score = explain(f"<think>x</think><answer>{answer}</answer>", "yes", task=MAYBE)
    assert score.prediction == label


@pytest.mark.parametrize(
    ("form", "forms", "reserved"),
    [
        ("no", ["no", "mild"], True),
        ("no", ["no", "yes"], False),
        ("yes", ["no", "yes"], False),
        ("not", ["no", "yes", "not"], True),
        ("or", ["no", "yes", "or"], True),
        ("or", ["or", "mild"], True),
        ("mild", ["no", "mild"], False),
        ("mild", ["no", "yes", "mild"], False),
    ],
)
def test_yes_and_no_are_answers_only_together(form: str, forms: list[str], reserved: bool) -> None:
    assert is_reserved(form, forms, make_vocabulary(("en",))) is reserved
