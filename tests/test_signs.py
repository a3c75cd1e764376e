"""A sign or bound of a label or option is part of it."""

from __future__ import annotations

from string import ascii_uppercase

import pytest

from medreward import Task, explain
from medreward.audit.battery import audit
from medreward.audit.exploits import registered
from medreward.audit.user_rewards import load_reward
from medreward.task.labels import Label

CHOICE = Task("q", kind="choice", question="Which?")
OPEN = Task("q", kind="short_answer", question="Which?")
NUMBER = Task("q", kind="number", question="How much?")
# Options, an answer, and the option that it is: 0, 1 or None.
READ = [
    (["-2.5", "-1.0"], "2.5", None), (["-2.5", "-1.0"], "-2.5", 0), (["-2.5", "-1.0"], "−2.5", 0),
    (["−2.5", "0"], "-2.5", 0), (["−2.5", "0"], "The answer is –2.50.", None),
    (["-2.5", "2.5"], "2.5", 1), (["-2.5", "2.5"], "−2.5", 0), (["-2.5", "2.5"], "- 2.5", None),
    (["-2.5", "2.5"], "A. −2.5", 0), (["-2.5", "2.5"], "+2.5", None),
    (["-2.5", "-1"], "-2.5: yes", 0),
    (["- 5 D", "3 D"], "5 D", None), (["- 5 D", "3 D"], "-5 D", 0),
    (["> 5.5 cm", "3 cm"], "5.5 cm", None), (["> 5.5 cm", "3 cm"], "It is >5.5 cm.", 0),
    (["> 5.5 cm", "3 cm"], "< 5.5 cm", None), (["> 5.5 cm", "3 cm"], "> 3 cm", None),
    (["> 5.5 cm", "3 cm"], "at least 3 cm", None),
    (["≥ 5 cm", "at least 3 mm"], "5 cm", None), (["≥ 5 cm", "at least 3 mm"], ">= 5 cm", 0),
    (["≥ 5 cm", "at least 3 mm"], "3 mm", None), (["≥ 5 cm", "at least 3 mm"], "at least 3 mm", 1),
    (["HER2+", "HER2-"], "HER2", None), (["HER2+", "HER2-"], "The answer is HER2-.", 1),
    (["Gram+", "none"], "Gram", None), (["Gram+", "none"], "Gram-", None),
    (["2+", "3+"], "2", None), (["2+", "3+"], "It is 2+.", 0),
    ([".5 mg", "2 mg"], "5 mg", None), ([".5 mg", "2 mg"], "0.5 mg", 0),
    (["1:25", "2"], "1.25", None), (["1:25", "2"], "1:25", 0),
]  # fmt: skip


def accuracy(answer: str, target: object, task: Task) -> float:
    text = f"<think>x</think><answer>{answer}</answer>"
    return explain(text, target, task=task, knowledge="").parts["accuracy"]


@pytest.mark.parametrize(("options", "answer", "read"), READ)
def test_the_sign_of_an_option_is_part_of_it(
    options: list[str], answer: str, read: int | None
) -> None:
    for i, option in enumerate(options):
        choice = {"options": options, "answer": ascii_uppercase[i]}
        assert accuracy(answer, choice, CHOICE) == float(i == read)
        others = [other for other in options if other != option]
        assert accuracy(answer, {"answers": [option], "not": others}, OPEN) == float(i == read)
    card = Task("q", labels=[Label(option) for option in options])
    paid = [option for option in options if accuracy(answer, option, card)]
    assert paid == ([] if read is None else [options[read]])


@pytest.mark.parametrize(
    ("answer", "value", "paid"),
    [("−2.5", -2.5, 1), ("-2.5", -2.5, 1), ("2.5", -2.5, 0), ("-2.5 D", 2.5, 0), ("+40 HU", 40, 1),
     ("It is −2.5.", -2.5, 1), ("> 40", 40, 0), (".5 mm", 0.5, 1), ("-1,200", -1200, 1),
     ("-3%", -3, 0), ("2+", 2, 0), ("± 2", 2, 0)],
)  # fmt: skip
def test_the_sign_of_a_number_is_read(answer: str, value: float, paid: int) -> None:
    unit = {"HU": "HU", "mm": "mm"}.get(answer.rpartition(" ")[2], "")
    assert accuracy(answer, {"value": value, "unit": unit}, NUMBER) == paid


def test_an_audit_tries_other_signs() -> None:
    targets = [{"options": ["-2.5", "2.5", "> 5"], "answer": letter} for letter in "ABC"]
    families = [one for one in registered("choice") if one.name == "another-sign"]
    found = audit(load_reward("shaped", CHOICE), CHOICE, targets=targets, families=families)
    assert found.passed
    assert found.results[-1].attacks > 30


@pytest.mark.parametrize(
    ("answer", "target"),
    [("420 ms", "420 ms"), ("0.42 s", "420 ms"), ("420ms", {"value": 0.42, "unit": "s"}),
     ("72/min", {"value": 72, "unit": "bpm"}), ("72 beats/min", {"value": 72, "unit": "bpm"}),
     ("72 per minute", {"value": 72, "unit": "bpm"})],
)  # fmt: skip
def test_units_of_time_and_rate_are_read(answer: str, target: object) -> None:
    assert accuracy(answer, target, NUMBER) == 1
