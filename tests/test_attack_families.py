"""What no wording may gain, over all kinds and cards: the attacks of the audit's families, changed.

`tests/test_exploits.py` runs the families themselves. Here unknown words are put into attacks, and
answers are made of the words that the reader knows, in any order.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from unicodedata import category

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from medreward import Task
from medreward.audit.exploits import AttackCase, Limit, cases_of, registered
from medreward.language.vocabulary import phrases_of
from medreward.scoring.scorer import Scorer
from medreward.task.card import shipped
from medreward.task.labels import Label
from medreward.task.registry import kind_names
from medreward.task.traits import Trait
from tests import at_most
from tests.samples import SAMPLES

UNKNOWN = ("zorbic", "qux", "flimm", "Xylo", "zorbisch", "unzorb", "zorb7", "zorb-qux")
# Beside the shipped cards: kinds that none of them is of, letters, and two labels with an absence.
OWN = {
    "mask": Task("mask", kind="segmentation", reward={"delta": 0}),
    "lesions": Task("lesions", kind="pointing", labels=["lesion"], reward={"delta": 0}),
    "choice": Task("choice", labels=["A", "B", "C", "D"]),
    "fracture": Task("fracture", labels=[Label("no fracture", absence=True), "fracture"]),
    "side": Task("side", labels=["left", "right"]),
    "options": Task("options", kind="choice"),
    "short": Task("short", kind="short_answer"),
    "size": Task("size", kind="number"),
    "several": SAMPLES["fields"],
    "series": SAMPLES["multi_image_localisation"],
    "findings": SAMPLES["report"],
    "prose": SAMPLES["free_report"],
    "levels": Task("levels", kind="ordinal", labels=["none", "mild", "moderate", "severe"]),
    "german": Task(
        "german", labels=[Label("normal", absence=True), "Pneumonie"], languages=("de",)
    ),
    "chinese": Task("chinese", labels=[Label("正常", absence=True), "肺炎"], languages=("zh",)),
}
NAMES = (*shipped(), *OWN)
LONGEST = 300  # characters of an attack that is changed
MOST = at_most(400)  # attacks of a card


@cache
def scorer_of(name: str) -> Scorer:
    return Scorer(OWN[name] if name in OWN else Task.load(name))


@cache
def best_wrong(name: str, index: int) -> float:
    """Return the most that an honest wrong answer earns for a target."""
    case = cases(name)[index]
    return max(earned(name, case, answer) for answer in case.wrong)


@cache
def cases(name: str) -> tuple[AttackCase, ...]:
    return tuple(cases_of(scorer_of(name).task))


def earned(name: str, case: AttackCase, answer: str) -> float:
    return scorer_of(name).score(case.say(answer), case.target).total


@cache
def unpaid(name: str) -> tuple[tuple[int, str], ...]:
    """Return answers that earn no more than a wrong one, with the index of their case."""
    found = []
    for index, case in enumerate(cases(name)[:4]):
        before, after = case.say("\0").split("\0")
        for family in registered(scorer_of(name).task.kind):
            if family.limit is not Limit.WRONG:
                continue
            for attack in family.attacks(case):
                text = attack.text
                if len(text) > LONGEST or not text.startswith(before) or not text.endswith(after):
                    continue
                answer = text[len(before) : len(text) - len(after)]
                if earned(name, case, answer) <= best_wrong(name, index) + 1e-9:
                    found.append((index, answer))
    return tuple(Random(name).sample(found, min(MOST, len(found))))


def test_all_kinds_are_tried() -> None:
    assert {scorer_of(name).task.kind for name in NAMES} == {*kind_names()}


def boundaries(answer: str) -> list[int]:
    """Return the places that are within no word: half a word more is a change of that word."""
    inside = [one.isalnum() or category(one) in ("Mn", "Cf") for one in answer]
    return [
        place
        for place in range(len(answer) + 1)
        if not (0 < place < len(answer) and inside[place - 1] and inside[place])
    ]


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_word_turns_no_unpaid_answer_into_a_paid_one(name: str) -> None:
    """Between any two words and marks of an answer, with and without spaces around it."""
    chance = Random(f"insert {name}")
    assert len(unpaid(name)) > 50
    gained = []
    for index, answer in unpaid(name):
        case, most = cases(name)[index], best_wrong(name, index)
        for _ in range(2):
            place = chance.choice(boundaries(answer))
            word = chance.choice(UNKNOWN)
            gap = chance.choice((" ", " ", ", ", ". ", "\n"))
            changed = f"{answer[:place]}{gap}{word}{gap}{answer[place:]}"
            if earned(name, case, changed) > most + 1e-9:
                gained.append((answer, changed, case.target))
    assert gained == []


LABELLED = [name for name in NAMES if Trait.ONE_ANSWER in scorer_of(name).task.traits]
WORDS = {language: sorted(phrases_of(language)) for language in ("en", "de", "zh")}
MARKS = (", ", ". ", "; ", ": ", "\n", " - ", " | ", "? ", " (", ") ", "/", " = ", "\t", " ")


@st.composite
def soups(draw: st.DrawFn) -> tuple[str, str]:
    """A card, and an answer made of its labels, of words that are known, and of marks."""
    name = draw(st.sampled_from(LABELLED))
    task = cases(name)[0].task
    labels = [form for forms in task.forms for form in forms]
    known = st.sampled_from(WORDS[task.languages[0]])
    word = st.one_of(st.sampled_from(labels), known, st.sampled_from(UNKNOWN[:2]))
    parts = draw(st.lists(st.tuples(word, st.sampled_from(MARKS)), min_size=1, max_size=8))
    return name, "".join(f"{one}{mark}" for one, mark in parts)


@examples(max_examples=at_most(600), suppress_health_check=[HealthCheck.too_slow])
@given(soups())
def test_an_answer_is_right_for_one_label_at_most(drawn: tuple[str, str]) -> None:
    name, answer = drawn
    scorer = scorer_of(name)
    labels = cases(name)[0].task.labels
    right = {
        json.dumps(case.target)
        for case in cases(name)
        if case.task.labels == labels  # of the same question, where rows have their own
        and scorer.score(case.say(answer), case.target).parts["accuracy"] == 1.0
    }
    assert len(right) <= 1


TURNING = ("not", "deny_before", "absent", "open")
SKIN = Task("skin", labels=["melanoma", "nevus", "keratosis"])


def paid(task: Task, answer: str, target: object) -> bool:
    """Whether an answer earns accuracy."""
    completion = f"<think>x</think><answer>{answer}</answer>"
    return Scorer(task).score(completion, target).parts["accuracy"] > 0


@pytest.mark.parametrize("shape", ["{turning} {label}", "{label} {turning}", "{label}: {turning}"])
def test_no_word_that_turns_a_label_leaves_it_asserted(shape: str) -> None:
    turning = [phrase for phrase, name in phrases_of("en").items() if name in TURNING]
    assert len(turning) > 120
    for label in ("melanoma", "the melanoma", "a nodular melanoma", "**melanoma**"):
        answers = [shape.format(turning=phrase, label=label) for phrase in turning]
        assert [answer for answer in answers if paid(SKIN, answer, "melanoma")] == []


@pytest.mark.parametrize("turned", ["not", "deny_before", "absent"])
def test_a_denied_label_beside_an_asserted_one_is_not_paid(turned: str) -> None:
    """ "deny A, assert B" in every order: A earns nothing, whatever B does."""
    phrases = [phrase for phrase, name in phrases_of("en").items() if name == turned]
    for phrase in phrases:
        denied = f"melanoma {phrase}" if turned == "absent" else f"{phrase} melanoma"
        for gap in (", ", "; ", ". ", " but ", "\n", " and ", " - ", ": "):
            for other in ("nevus", "it is nevus", "the diagnosis is nevus", "nevus: yes"):
                for answer in (f"{denied}{gap}{other}", f"{other}{gap}{denied}"):
                    assert not paid(SKIN, answer, "melanoma"), answer


CHARACTERS = [
    *("\u0336", "\u0335", "\u0338", "\u20e0", "\u20e5", "\u0489"),
    *("\u2260", "\u00ac", "\u2204", "\u2209", "\u22a5", "\u226e", "\u2249", "\u2a2f"),
    *("\U0001f6ab", "\u274c", "\u274e", "\u2718", "\u2717", "\u26d4", "\U0001f44e", "\U0001f645"),
    *("~", "~~", "!", "-", "--", "--", "<", ">", "^", "#", "%", "@", "\\", "?", "\u00bf"),
    *(
        "0",
        "\u2070",
        "\u00d7",
        "\u2610",
        "\u2205",
        "\ufffd",
        "\u2620",
        "\u303d",
        "\u26a0",
        "\u2752",
    ),
]


@pytest.mark.parametrize("character", CHARACTERS)
def test_signs_that_may_deny_are_not_passed_over(character: str) -> None:
    label = "melanoma"
    shapes = (f"{character}{label}", f"{character} {label}", f"{label}{character}")
    struck = "".join(letter + character for letter in label)
    # Bullets, headings and an exclamation.
    honest = {f"{mark}{gap}{label}" for mark in ("-", "--", "#") for gap in ("", " ")}
    honest |= {f"{label}{gap}#" for gap in ("", " ")}
    honest |= {f"{label}!", f"{label} !", f"{label} -", f"{label} --", f"{label}-", f"{label}--"}
    for answer in (*shapes, f"{label} {character}", struck):
        if answer not in honest:
            assert not paid(SKIN, answer, label), answer


def shared(test_data: Path, name: str) -> list[dict[str, Any]]:
    """Return the rows of a file of inputs that are kept beside the test data."""
    file = test_data.parent / "cases" / name
    if not file.exists():
        pytest.skip(f"{file} is not there")
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def task_of(card: str | dict[str, Any]) -> Task:
    if isinstance(card, str):
        return Task.load(card)
    labels = [
        Label(**{**one, "synonyms": tuple(one.get("synonyms", ()))})
        if isinstance(one, dict)
        else one
        for one in card["labels"]
    ]
    return Task(**{**card, "labels": labels})


# Honest answers that are not read: the first is a list of two numbers to the reader, "no" is no
# number, and so on; docs/reference/reading.md says which kinds.
UNREAD = {
    *("B1-1", "B1-12", "B3-4", "B3-5", "B3-6", "B4-2"),
    *("mc-safe", "mc-10-I", "mc-option-not", "yn-yes-echo", "yn-no-echo", "yn-affirm-3"),
    "side-compared",
}


def test_attacks_that_others_wrote_earn_no_more_than_a_wrong_answer(test_data: Path) -> None:
    failed = set()
    for row in shared(test_data, "attacks.jsonl"):
        score = Scorer(task_of(row["task"])).score(row["completion"], parsed(row))
        if row["expected"].startswith("no more"):
            assert score.total <= row["wrong_total"] + 1e-9, row["id"]
        elif score.total < row["right_total"] - 1e-9:
            failed.add(row["id"])
    assert failed <= UNREAD


def test_answers_that_others_wrote_are_read(test_data: Path) -> None:
    failed = set()
    for row in shared(test_data, "answers.jsonl"):
        score = Scorer(task_of(row["task"])).score(row["completion"], parsed(row))
        if any(getattr(score, name) != value for name, value in row["expected"].items()):
            assert not score.correct or row["expected"].get("correct"), row["id"]
            failed.add(row["id"])
    assert failed <= UNREAD


def parsed(row: dict[str, Any]) -> Any:
    return task_of(row["task"]).parse_target(row["target"])


def test_no_answer_is_paid_that_says_nothing(test_data: Path) -> None:
    """Answers of another question: what radiologists said, on a card about something else."""
    rows: Sequence[dict[str, Any]] = json.loads(
        (test_data / "vqa-rad" / "trainset.json").read_text(encoding="utf-8")
    )
    answers = {str(row["answer"]) for row in rows if row["answer_type"] == "OPEN"}
    assert [answer for answer in answers if paid(SKIN, answer, "melanoma")] == []
