"""Words that stand silently beside labels, where the labels are of their sort."""

from __future__ import annotations

from itertools import permutations

import pytest

from medreward import Task, explain
from medreward.language.vocabulary import LANGUAGES, Role, lists_of, rivals_of
from medreward.task.labels import Label

# Lists whose words may stand beside a label and say nothing.
SILENT = {"modifiers", "pictures", "fillers", Role.DEGREE.value}
SORTS = [
    ["left", "right", "bilateral"], ["upper", "lower", "middle"], ["axial", "coronal", "sagittal"],
    ["small", "large", "moderate"], ["focal", "diffuse", "patchy"], ["single", "multiple"],
    ["acute", "chronic", "subacute"], ["bacterial", "viral", "fungal"], ["primary", "secondary"],
    ["round", "oval", "irregular"], ["mild", "moderate", "severe"], ["adult", "child", "infant"],
    ["lung", "lobe", "hemisphere"], ["chest", "breast", "eye"],
    ["MRI", "CT", "ultrasound", "X-ray"], ["two", "three", "four"],
]  # fmt: skip


def paid(task: Task, answer: str, target: object) -> bool:
    score = explain(f"<think>x</think><answer>{answer}</answer>", target, task=task, knowledge="")
    return score.parts["accuracy"] > 0


@pytest.mark.parametrize("sort", SORTS, ids=lambda words: words[0])
@pytest.mark.parametrize("join", [", ", " and ", " ", ". ", " (", "; ", " / "])
def test_two_words_of_a_sort_are_no_answer(sort: list[str], join: str) -> None:
    for right, other in permutations(sort, 2):
        open_question = Task("q", kind="short_answer", question="Which?")
        card = Task("q", labels=[right, "none of them"])
        options = Task("q", kind="choice", question="Which?")
        choice = {"options": [right, "none of them"], "answer": "A"}
        for answer in (f"{right}{join}{other}", f"{other}{join}{right}"):
            assert not paid(open_question, answer, right), answer
            assert not paid(card, answer, right), answer
            assert not paid(options, answer, choice), answer
        assert paid(open_question, right, right)
        assert paid(card, f"The answer is {right}.", right)
        assert paid(options, right, choice)


@pytest.mark.parametrize("answer", ["viral bacterial pneumonia", "bacterial pneumonia, viral"])
def test_labels_that_differ_in_one_word_take_its_sort(answer: str) -> None:
    apart = Task("q", labels=["bacterial pneumonia", "viral pneumonia"])
    assert not paid(apart, answer, "bacterial pneumonia")
    alike = Task("q", labels=[Label("pneumonia", ("bacterial pneumonia",)), "normal"])
    assert paid(alike, "viral pneumonia", "pneumonia")


@pytest.mark.parametrize("language", LANGUAGES)
def test_groups_are_of_words_that_are_silent_otherwise(language: str) -> None:
    for phrase, _ in rivals_of(language):
        lists = lists_of(language, " ".join(phrase))
        assert lists & SILENT, phrase
