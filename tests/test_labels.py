"""Reading labels: what is paid, what is refused, and why."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from medreward import Task
from medreward.kinds.classification import label_reward
from medreward.kinds.reading import MAX_ANSWER_LENGTH, read_label
from medreward.language.lexicon import Lexicon
from medreward.task.card import shipped
from medreward.text.reasons import REASONS
from tests import at_most
from tests.reading_tables import BREAST, TABLES, TASKS, make

CHEST = TASKS["chest"]
NO_ABSENCE = make("plain", "normal", "benign", "malignant")
LABELS = [
    (CHEST, "pneumonia"),
    (CHEST, "normal"),
    (BREAST, "malignant"),
    (BREAST, "benign"),
    (BREAST, "normal"),
]


def read(answer: str | None, task: Task) -> str | None:
    index = read_label(answer, task).label
    return None if index is None else task.labels[index].name


def opposite(task: Task, label: str) -> str | None:
    """The label that a denial of `label` asserts: "normal" for "no pneumonia"."""
    return "normal" if task is CHEST and label == "pneumonia" else None


@pytest.mark.parametrize("template", [*TABLES["denials"], *TABLES["not understood"]])
def test_a_denied_or_open_label_is_not_read(template: str) -> None:
    for task, label in LABELS:
        assert read(template.format(label), task) in (None, opposite(task, label))


@pytest.mark.parametrize("template", TABLES["assertions"])
def test_an_asserted_label_is_read(template: str) -> None:
    for task, label in LABELS:
        assert read(template.format(label), task) == label


@pytest.mark.parametrize("template", TABLES["assertions"])
def test_the_reading_does_not_depend_on_which_label_says_that_nothing_was_found(
    template: str,
) -> None:
    for label in ("normal", "benign", "malignant"):
        assert read(template.format(label), NO_ABSENCE) == label


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "no_answer"),
        ("", "empty_answer"),
        ("a", "label_unknown"),
        ("abnormal", "label_unknown"),
        ("I cannot tell", "label_unknown"),
        ("not normal", "label_denied"),
        ("pneumonia?", "label_open"),
        ("pneumonia cannot be excluded", "label_open"),
        ("pneumonia or atelectasis", "answer_not_understood"),
        ("pneumonia. Not pneumonia.", "label_denied"),
        ("pneumonia or normal", "several_labels"),
        ("normal, but pneumonia cannot be excluded", "several_labels"),
        ("n\u043ermal", "label_unknown"),
        ("pneumonia, n\u043ermal", "answer_not_understood"),
        ("normal " * 200, "answer_too_long"),
    ],
)
def test_a_refused_answer_says_why(answer: str | None, reason: str) -> None:
    assert read_label(answer, CHEST)[:2] == (None, reason)
    assert label_reward(answer, 1, CHEST)[:3] == (0.0, reason, None)
    assert reason in REASONS


def test_the_longest_answer_that_is_read() -> None:
    assert read("normal" + " " * (MAX_ANSWER_LENGTH - 6), CHEST) == "normal"
    assert read("normal" + " " * (MAX_ANSWER_LENGTH - 5), CHEST) is None


@pytest.mark.parametrize(
    ("answer", "target", "value", "reason"),
    [
        ("pneumonia", 1, 1.0, "correct"),
        ("bronchopneumonia", 1, 1.0, "correct"),
        ("normal", 1, 0.0, "wrong_label"),
        ("no pneumonia", 0, 1.0, "correct"),
        ("not normal", 1, 0.0, "label_denied"),
    ],
)
def test_one_for_the_right_label_else_nothing(
    answer: str, target: int, value: float, reason: str
) -> None:
    verdict = label_reward(answer, target, CHEST)
    assert (verdict.value, verdict.reason) == (value, reason)
    assert (verdict.prediction is None) == (reason == "label_denied")


def test_absence_begins_a_statement_where_another_label_continues_the_list() -> None:
    assert read("No pneumonia, normal", CHEST) == "normal"
    assert read("No benign, malignant", BREAST) is None
    findings = make("findings", "effusion", "pneumonia")
    assert read("No effusion, pneumonia", findings) is None


fragments = st.sampled_from(
    "pneumonia normal no not is or and , . ? : - ( ) without excluded cannot unlikely but yes the "
    "of 0 % abnormal \n \u200b \u0301 NORMAL bacterial non- r/o \u2260".split(" ")
)


@given(st.lists(fragments, max_size=14).map(" ".join))
def test_whatever_the_words_a_reading_names_what_stands_there(answer: str) -> None:
    label, reason, _ = read_label(answer, CHEST)
    assert (label is None) == bool(reason)
    assert not reason or reason in REASONS
    if label is not None:
        assert CHEST.labels[label].name in answer.lower() or (label == 0 and "pneumonia" in answer)
    assert read_label(answer.upper(), CHEST)[:2] == (label, reason)


@pytest.mark.parametrize("name", shipped())
def test_an_answer_that_is_a_form_is_read_as_by_the_rules(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task.load(name)
    words = [" ".join(form) for form in task.lexicon._label_of]
    names = [form for label in task.labels for form in (label.name, *label.synonyms)]
    answers = [
        pattern.format(form, form.replace(" ", gap))
        for form in (*words, *names, "no", "not", "yes")
        for gap in ("  ", "-", "_", ". ", ", ", "? ", "\n", " - ", ": ", "/", "~~", "\u0301 ")
        for pattern in ("{}", "{}.", "{}?", "{}..", "{} .", "!{}", "({})", "{}:", "{1}", "{1}.")
    ]
    quick = [read_label(answer, task) for answer in answers]
    monkeypatch.setattr(Lexicon, "exact", lambda lexicon, text: None)
    assert quick == [read_label(answer, task) for answer in answers]


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_without_an_error(answer: str) -> None:
    label, reason, _ = read_label(answer, BREAST)
    assert label in (None, 0, 1, 2)
    assert (label is None) == (reason in REASONS)


@examples(max_examples=at_most(1000))
@given(
    st.sampled_from(TABLES["denials"]),
    st.sampled_from(TABLES["denials"]),
    st.sampled_from(TABLES["assertions"]),
    st.sampled_from([". ", "; ", ", ", " - "]),
)
def test_a_denied_label_is_not_read_whatever_is_said_beside_it(
    denial: str, other: str, assertion: str, between: str
) -> None:
    denied, asserted = denial.format("benign"), assertion.format("malignant")
    assert read(denied + between + asserted, BREAST) != "benign"
    assert read(asserted + between + denied, BREAST) != "benign"
    assert read(asserted + between + denial.format("malignant"), BREAST) is None
    assert read(denied + between + other.format("malignant"), BREAST) is None
    assert read(denied + between + "the image is sharp", BREAST) is None
    assert read("the image is sharp" + between + denied, BREAST) is None


@given(
    st.sampled_from(TABLES["denials"]),
    st.sampled_from(["", "Findings: ", "The image is sharp. ", "Answer: "]),
    st.sampled_from(LABELS),
)
def test_what_stands_before_a_denial_does_not_undo_it(
    template: str, before: str, label: tuple[Task, str]
) -> None:
    task, name = label
    assert read(before + template.format(name), task) in (None, opposite(task, name))


@pytest.mark.parametrize(
    ("explanation", "is_borne_out"),
    [
        ("The lesion has smooth margins", True),
        ("The lesion has 2 smooth margins", True),
        ("The lesion has smooth margins, pleural effusion", False),
        ("The lesion has smooth margins, pleural 2 effusion", False),
        ("The lesion has smooth margins, pleural 3cm effusion", False),
    ],
)
def test_no_number_hides_a_label_in_an_explanation(explanation: str, is_borne_out: bool) -> None:
    task = make("lesions", "benign", "pleural effusion", "malignant")
    assert read(f"Benign. {explanation}.", task) == ("benign" if is_borne_out else None)


@pytest.mark.parametrize(
    ("text", "is_read"),
    [
        ("Zorbic consolidation in the lobe.", True),
        ("Zorbic qux consolidation in the lobe.", True),
        ("Zorbic / consolidation in the lobe.", False),
        ("Zorbic 'consolidation' in the lobe.", False),
        ("Zorbic qux *consolidation* in the lobe.", False),
        ('Zorbic "qux consolidation" in the lobe.', False),
    ],
)
def test_unknown_words_of_an_explanation_stand_right_before_a_noun(
    text: str, is_read: bool
) -> None:
    assert (read(f"pneumonia. {text}", CHEST) == "pneumonia") == is_read
