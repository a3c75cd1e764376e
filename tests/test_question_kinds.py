"""Kinds whose rows bring answers along: what targets may be, and what is wrong with others."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from medreward import ConfigError, Score, Task, explain
from medreward.commands.cli import main
from medreward.kinds.base import kind_of
from medreward.kinds.choice import LETTERS, ChoiceTarget, shuffle_options
from medreward.kinds.right_answers import completion_with, right_answer
from medreward.kinds.truth import ground_truth, target_of
from medreward.text.spellings import same_spelling
from medreward.text.units import factor, unit_forms, unit_names, unit_of
from tests import at_most
from tests.samples import sample_task

CHOICE, SHORT, NUMBER = (sample_task(kind) for kind in ("choice", "short_answer", "number"))
FIELDS = sample_task("fields")
CHEST = ["Normal", "Pneumonia", "Pleural effusion"]


def accuracy(task: Task, answer: str, target: Any, **settings: Any) -> float:
    score: Score = explain(completion_with(answer), target, task=task, **settings)
    return score.parts["accuracy"]


@pytest.mark.parametrize(
    ("task", "target", "message"),
    [
        (CHOICE, "B", "is not a mapping such as"),
        (CHOICE, {"options": CHEST, "answer": "E"}, "'E' is no option; they are A. Normal; B. Pn"),
        (CHOICE, {"options": CHEST, "answer": "mass"}, "'mass' is no option"),
        (CHOICE, {"options": ["a", "A "], "answer": "A"}, "have the same text"),
        (CHOICE, {"options": ["one"], "answer": "A"}, "1 given; a choice has 2 to 26"),
        (CHOICE, {"options": [str(i) for i in range(27)], "answer": "A"}, "27 given"),
        (CHOICE, {"options": ["x", ""], "answer": "A"}, r"options\[1\]: '' is not a text"),
        (CHOICE, {"options": "A, B", "answer": "A"}, "is not a list of texts"),
        (CHOICE, {"options": {"A": "x", "C": "y"}, "answer": "A"}, "are not the letters A, B"),
        (CHOICE, {"options": CHEST}, "give either answer or answers; given: neither"),
        (CHOICE, {"options": CHEST, "answer": "A", "answers": ["B"]}, "answer and answers"),
        (CHOICE, {"options": CHEST, "answers": []}, "with at least one in it"),
        (CHOICE, {"options": CHEST, "right": "A"}, "field: 'right' is not one of"),
        (CHOICE, {"options": ["B", "A"], "answer": "B"}, "letter of option B and the text of"),
        (SHORT, [], "there are none; a row accepts at least one"),
        (SHORT, None, "is not a text or a list of texts"),
        (SHORT, {"answers": ["?"]}, "has no letter or digit"),
        (SHORT, {"answers": ["x" * 1001]}, "at most 1000 are allowed"),
        (SHORT, {"answers": ["lung"], "not": ["Lungs"]}, "'Lungs' is among both answers and not"),
        (SHORT, {"answers": ["not"]}, "denies or joins others"),
        (SHORT, {"answers": ["yes", "no"]}, "yes and no are accepted both"),
        (SHORT, {"answer": "lung"}, "field: 'answer' is not one of answers, not"),
        (NUMBER, "large", "is not a number"),
        (NUMBER, {"value": 3, "unit": "furlong"}, "unit: 'furlong' is not one of"),
        (NUMBER, {"value": float("nan")}, "is not a finite number"),
        (NUMBER, {"value": True}, "is not a finite number"),
        (NUMBER, {"value": 3, "low": 1, "high": 2}, "give either value, or low and high"),
        (NUMBER, {"low": 3, "high": 2}, "low 3 is above high 2"),
        (NUMBER, {"value": 3, "tolerance": 1, "relative": 0.1}, "tolerance or relative, not both"),
        (NUMBER, {"value": 3, "tolerance": -1}, "neither below 0"),
        (NUMBER, {"value": 3, "units": "cm"}, "field: 'units' is not one of"),
        (FIELDS, "left", "is not a mapping of fields"),
        (FIELDS, {"side": "left", "grade": 0}, "field 'size' is missing"),
        (FIELDS, {"side": "up", "grade": 0, "size": 1}, "field 'side'.*'up' is not one of"),
        (FIELDS, {"side": "left", "grade": 0, "size": 1, "age": 5}, "field: 'age' is not one of"),
    ],
)
def test_a_wrong_target_is_named(task: Task, target: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        task.parse_target(target)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "choice", "modifiers": ("left",)}, "nothing stands beside it"),
        ({"kind": "short_answer", "modifiers": ("left",)}, "list the whole answer"),
        ({"kind": "choice", "labels": [f"option {i}" for i in range(27)]}, "at most 26 options"),
        ({"kind": "number", "labels": ["1"]}, "a number has none"),
        ({"kind": "fields"}, "0 given; a card of fields has at least 2"),
        ({"kind": "fields", "fields": {"a b": CHOICE, "a_b": CHOICE}}, "two names read alike"),
        ({"kind": "fields", "fields": {"a": FIELDS, "b": CHOICE}}, "no fields of its own"),
        ({"kind": "fields", "fields": {"a": "x", "b": CHOICE}}, "'x' is not a task"),
        (
            {
                "kind": "fields",
                "fields": {
                    name: Task(name, kind="localisation", reward={"delta": 0}) for name in "ab"
                },
            },
            "a, b ask for places all",
        ),
        (
            {"kind": "fields", "fields": {"a": Task.load("busi"), "b": NUMBER}},
            "knowledge stands in the card's own",
        ),
    ],
)
def test_a_wrong_card_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Task("wrong", question="q", **changes)


def test_a_weight_of_no_field_is_named() -> None:
    fields = {"a": Task("a", labels=["x", "y"]), "b": Task("b", kind="number")}
    with pytest.raises(ConfigError, match="field_weights: 'c' is not one of"):
        Task("weights", kind="fields", fields=fields, field_weights={"c": 2})
    with pytest.raises(ConfigError, match=r"field_weights\.a: 0"):
        Task("weights", kind="fields", fields=fields, field_weights={"a": 0})


@pytest.mark.parametrize(
    "answer", ["B", "b", "Pneumonia", " (B). ", "B. Pneumonia", "B) pneumonia"]
)
def test_the_right_option_may_be_given_as_data_have_it(answer: str) -> None:
    target = CHOICE.parse_target({"options": CHEST, "answer": answer})
    assert target.letters == ("B",)
    assert target == CHOICE.parse_target(
        {"options": dict(zip("ABC", CHEST, strict=True)), "answer": "B"}
    )


OPTIONS = st.lists(
    st.text("abcdefghij no1.,-<>()&/ABC", min_size=1, max_size=12).filter(
        lambda text: any(c.isalnum() for c in text)
    ),
    min_size=2,
    max_size=5,
    unique_by=lambda text: " ".join(text.casefold().split()),
)


@examples(max_examples=at_most(300))
@given(OPTIONS, st.data())
def test_any_options_are_read_as_at_most_one_and_letters_as_themselves(
    options: list[str], data: st.DataObject
) -> None:
    """What is read as right for one option is right for no other, whatever the texts are."""
    targets = [
        ChoiceTarget(tuple(" ".join(o.split()) for o in options), frozenset({i}))
        for i in range(len(options))
    ]
    answers = [*LETTERS[: len(options)], *options]
    answers += [f"{LETTERS[i]}. {o}" for i, o in enumerate(options)]
    answers.append(data.draw(st.text("ABCabc no.,:()-12<> ", max_size=20)))
    for answer in answers:
        right = [i for i, target in enumerate(targets) if accuracy(CHOICE, answer, target)]
        assert len(right) <= 1
    for i, target in enumerate(targets):
        assert accuracy(CHOICE, LETTERS[i], target) == 1.0
        # A text that begins with a mark may look like another option's behind a separator.
        if target.options[i][0].isalnum() or target.options[i][0] in "<>":
            assert accuracy(CHOICE, f"{LETTERS[i]}. {target.options[i]}", target) == 1.0


@pytest.mark.parametrize(
    ("options", "paid", "unpaid"),
    [
        (["10", "- 5"], ["B", "B. - 5", "- 5"], ["A. - 5", "5. A"]),
        (["5", "- 5"], ["B", "- 5"], ["B. 5", "5"]),
        (["5", "-5"], ["B", "B. -5", "B) -5"], ["B. 5", "A. -5"]),
        (["ER+", "ER-"], ["B. ER-", "ER-"], ["B. ER+", "A. ER-", "ER"]),
    ],
)
def test_signs_in_options(options: list[str], paid: list[str], unpaid: list[str]) -> None:
    target = ChoiceTarget(tuple(options), frozenset({1}))
    for text in paid:
        assert accuracy(CHOICE, text, target) == 1.0, text
    for text in unpaid:
        assert accuracy(CHOICE, text, target) == 0.0, text


@given(OPTIONS, st.text(max_size=5))
def test_shuffling_keeps_the_right_text(options: list[str], key: str) -> None:
    target = ChoiceTarget(tuple(options), frozenset({0}))
    shuffled = shuffle_options(target, key)
    assert sorted(shuffled.options) == sorted(options)
    assert [shuffled.options[i] for i in shuffled.right] == [options[0]]
    assert shuffle_options(target, key) == shuffled


@pytest.mark.parametrize(
    ("options", "stays"),
    [
        (["CT", "MRI", "X-ray", "none of the above"], {3}),
        (["all of these", "CT", "MRI", "US"], {0}),
        (["CT", "MRI", "both A and B", "US"], {0, 1, 2, 3}),
        (["CT", "MRI", "A and B", "neither"], {0, 1, 2, 3}),
        (["CT", "MRI", "Both", "US"], {2}),
        (["Hepatitis B", "Hepatitis C", "Vitamin A deficiency"], set()),
    ],
)
def test_options_that_speak_of_others_keep_their_place(options: list[str], stays: set[int]) -> None:
    target = ChoiceTarget(tuple(options), frozenset({1}))
    made = [shuffle_options(target, str(key)).options for key in range(40)]
    kept = {i for i in range(len(options)) if all(one[i] == options[i] for one in made)}
    assert kept == stays


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("haemorrhages", "hemorrhage"), ("oedema", "edema"), ("tumours", "tumor"),
        ("centres", "center"), ("vertebrae", "vertebra"), ("metastases", "metastasis"),
        ("bronchi", "bronchus"), ("biopsies", "biopsy"), ("abscesses", "abscess"),
        ("oesophagus", "esophagus"), ("localised", "localized"), ("anaemia", "anemia"),
    ],
)  # fmt: skip
def test_spellings_of_one_word_are_one(one: str, other: str) -> None:
    assert same_spelling(one) == same_spelling(other)


OPPOSITES = [
    ("hypotension", "hypertension"), ("hypoechoic", "hyperechoic"), ("ileum", "ilium"),
    ("perineal", "peroneal"), ("abduction", "adduction"), ("anterior", "posterior"),
    ("left", "right"), ("afferent", "efferent"), ("systole", "diastole"), ("artery", "arteries2"),
    ("malleus", "malleolus"), ("ureter", "urethra"), ("dysphagia", "dysphasia"), ("gas", "gap"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), OPPOSITES)
def test_words_of_different_things_stay_apart(one: str, other: str) -> None:
    assert same_spelling(one) != same_spelling(other)
    assert accuracy(SHORT, other, one) == 0.0


@given(st.from_regex(r"[a-z]{4,14}", fullmatch=True))
def test_a_spelling_of_a_spelling_is_itself(word: str) -> None:
    """The words of accepted answers are kept in one spelling, and compared with such words."""
    once = same_spelling(word)
    assert accuracy(SHORT, word, f"{word} zorbic") == 0.0
    assert accuracy(SHORT, f"{word} zorbic", f"{word} zorbic") == 1.0
    assert once


def test_units_are_those_of_pint() -> None:
    pint = pytest.importorskip("pint")
    registry = pint.UnitRegistry()
    assert factor("mm", "cm") == registry.Quantity(1, "mm").to("cm").magnitude
    assert factor("in", "mm") == pytest.approx(registry.Quantity(1, "inch").to("mm").magnitude)
    assert factor("ml", "mm3") == pytest.approx(1000)
    assert [factor(one, "cm") for one in ("kg", "HU", "", "%", "cm2")] == [None] * 5
    forms = [form for group in unit_forms() for form in group]
    assert len(forms) == len(set(forms))
    for name, group in zip(unit_names(), unit_forms(), strict=True):
        assert [unit_of("unit", form) for form in group] == [name] * len(group)


@examples(max_examples=at_most(200))
@given(
    st.floats(-1e4, 1e4).map(lambda x: round(x, 2)),
    st.sampled_from(["", "cm", "mm", "%", "years"]),
    st.floats(0, 10).map(lambda x: round(x, 2)),
)
def test_a_number_that_is_written_is_read(value: float, unit: str, slack: float) -> None:
    target = {"value": value, "unit": unit, "tolerance": slack}
    assert accuracy(NUMBER, right_answer(NUMBER, target), target) == 1.0
    beyond = f"{value + slack + max(1.0, abs(value) / 10):.4f} {unit}"
    assert accuracy(NUMBER, beyond, target) == 0.0
    bound = accuracy(NUMBER, f"at least {right_answer(NUMBER, target)}", target)
    assert bound == 0.0


@pytest.mark.parametrize("task", [CHOICE, SHORT, NUMBER, FIELDS], ids=lambda task: task.kind)
def test_targets_and_rows_tasks_can_be_pickled(task: Task) -> None:
    for honest in kind_of(task).honest(task, None):
        target = task.parse_target(honest.target)
        assert pickle.loads(pickle.dumps(target)) == target
        row = kind_of(task).row_task(task, target)
        assert pickle.loads(pickle.dumps(row)) == row
        assert task.parse_target(target_of(task, ground_truth(task, target))) == target


def test_one_field_never_buys_off_another() -> None:
    """Whatever the weights: giving a field up costs at least half of the reward."""
    fields = {"a": Task("a", labels=["x", "y"]), "b": Task("b", labels=["z", "w"])}
    task = Task(
        "two",
        kind="fields",
        fields=fields,
        field_weights={"a": 99},
        reward={"delta": 0},
        question="q",
    )
    target = {"a": "x", "b": "z"}
    assert accuracy(task, "a: x\nb: z", target) == 1.0
    assert accuracy(task, "a: x\nb: w", target) == pytest.approx(0.5 * 0.99)
    assert accuracy(task, "a: y\nb: z", target) == pytest.approx(0.5 * 0.01)
    assert accuracy(task, "a: x\nb: w", target, field_balance=0) == pytest.approx(0.99)
    assert accuracy(task, "a: x\nb: w", target, field_balance=1) == 0.0


def test_a_card_of_fields_comes_from_yaml(tmp_path: Any) -> None:
    path = tmp_path / "card.yaml"
    path.write_text(
        "name: mammogram\nkind: fields\nquestion: Read it.\n"
        "fields:\n"
        "  density: {kind: ordinal, labels: [fatty, scattered, dense], reward: {decay: linear}}\n"
        "  mass: {kind: classification, labels: ['no', 'yes']}\n"
        "field_weights: {mass: 2}\n",
        encoding="utf-8",
    )
    task = Task.load(path)
    assert task.fields["density"].reward.decay == "linear"
    near = accuracy(task, '{"density": 1, "mass": "yes"}', {"density": 2, "mass": "yes"})
    assert near == pytest.approx(0.5 * (0.5 + 2) / 3 + 0.5 * 0.5)
    path.write_text(path.read_text().replace("decay: linear", "decay: none"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"fields\.density: decay: 'none' is not one of"):
        Task.load(path)


def test_a_card_of_fields_is_shown(tmp_path: Any, capsys: Any) -> None:
    path = tmp_path / "card.yaml"
    path.write_text(
        "name: two\nkind: fields\nquestion: Read it.\nfield_weights: {size: 2}\n"
        "fields: {side: {kind: classification, labels: [left, right]}, size: {kind: number}}\n",
        encoding="utf-8",
    )
    assert main(["tasks", "show", str(path)]) == 0
    said = capsys.readouterr().out
    assert "side (classification)" in said
    assert "size (number, counts 2)" in said
    assert "    left" in said
    assert main(["tasks", "show", str(path), "--json"]) == 0
