"""Attacks are held against honest answers behind the same reasoning, and in the same tags."""

from __future__ import annotations

import re
from typing import Any

import pytest

from medreward import Task
from medreward.audit.battery import Audit, audit
from medreward.audit.battery_report import as_html, as_json, as_markdown, as_text
from medreward.audit.exploits import cases_of, registered
from medreward.audit.exploits.case import EMPTY, LEFT_OUT, PLAIN, REASONINGS, RECITED
from medreward.audit.user_rewards import load_reward
from medreward.text.words import tokenize
from tests.test_exploits import EXAMPLES

CHEST = Task.load("pneumoniamnist")
UNREAD = {"empty-answer", "hedge-or", "hedge-question", "negated", "no-commitment"}
ANSWERS = ("labels", "hedging", "negation", "markup", "across_kinds")  # whose families only answer
_COMPLETION = re.compile(r"(?:<think>(.*)</think>)?<answer>(.*)</answer>", re.DOTALL)


def charges(completion: str, target: object, knowledge: str, *, spares_unread: bool) -> float:
    """A reward with a penalty on recited knowledge, which may be spared where nothing is read."""
    found = _COMPLETION.fullmatch(completion)
    if found is None:
        return 0.0
    think, answer = found[1] or "", found[2].strip().strip('."`*').lower()
    known, words = {*tokenize(knowledge)}, tokenize(think)
    recited = sum(word in known for word in words) / len(words) if words else 0.0
    read = answer in ("normal", "pneumonia")
    charged = recited if read or not spares_unread else 0.0
    return float(answer == target) + 0.2 * bool(words) - 0.05 * charged


def spares_unread(completion: str, target: object, *, prompt: str, knowledge: str) -> float:
    """The old fault: δ⁻ is charged only where an answer can be read."""
    return charges(completion, target, knowledge, spares_unread=True)


def charges_all(completion: str, target: object, *, prompt: str, knowledge: str) -> float:
    """The same reward without the fault."""
    return charges(completion, target, knowledge, spares_unread=False)


def failed(found: Audit) -> set[str]:
    return {result.family for result in found.failures}


def test_a_reward_that_spares_unread_answers_the_penalty_is_found() -> None:
    found = audit(spares_unread, CHEST)
    assert failed(found) >= UNREAD
    for result in found.results:
        if result.family in UNREAD:
            assert result.worst is not None
            assert result.worst.reasoning == RECITED
            assert result.worst.earned == pytest.approx(0.2)
            assert result.worst.wrong < 0.2
            assert "behind the same reasoning (the knowledge, recited)" in result.worst.problem
    assert "behind the same reasoning" in as_text([found])


def test_the_same_reward_without_the_fault_passes_there() -> None:
    assert failed(audit(charges_all, CHEST)).isdisjoint(UNREAD)


def test_what_is_paid_beside_an_unread_answer_only_without_reasoning_is_found() -> None:
    def reward(completion: str, target: object, *, prompt: str, knowledge: str) -> float:
        consoled = completion == "<answer></answer>"
        return 0.1 * consoled + charges_all(completion, target, prompt=prompt, knowledge=knowledge)

    by_name = {result.family: result for result in audit(reward, CHEST).failures}
    worst = by_name["empty-answer"].worst
    assert worst is not None
    assert (worst.reasoning, worst.text) == (LEFT_OUT, "<answer></answer>")


NAMES = ("pneumoniamnist", "retinamnist", "chestmnist")
WEIGHTS: tuple[dict[str, float], ...] = ({}, {"format": 0.0}, {"accuracy": 4.0, "recitation": 0.1})
# A Latin square: each two of task, sign and weights meet once. The other combinations are slow.
SIGNED = [
    pytest.param(name, sign, weights, marks=[] if (i + j + k) % 3 == 0 else pytest.mark.slow)
    for i, name in enumerate(NAMES)
    for j, sign in enumerate("+-0")
    for k, weights in enumerate(WEIGHTS)
]


@pytest.mark.parametrize(("name", "delta", "weights"), SIGNED)
def test_our_own_reward_pays_nothing_for_being_unread(
    name: str, delta: str, weights: dict[str, float]
) -> None:
    task = Task.load(name)
    settings: dict[str, Any] = {"delta": delta, "weights": weights}
    answers = [
        f for f in registered(task.kind) if f.generate.__module__.rpartition(".")[2] in ANSWERS
    ]
    reward = load_reward("shaped", task, settings=settings)
    found = audit(reward, task, families=answers)
    assert [(r.family, r.worst) for r in found.failures] == []
    assert [row.reasoning for row in found.compared] == [*REASONINGS]
    means = {row.reasoning: row.wrong for row in found.compared}
    if delta == "-":
        assert means[RECITED] < means[PLAIN]
    if delta == "+":
        assert means[RECITED] > means[PLAIN]


@pytest.mark.parametrize("kind", EXAMPLES)
def test_each_kind_is_compared_behind_each_reasoning_that_it_has(kind: str) -> None:
    case = cases_of(EXAMPLES[kind])[0]
    behind = {other.reasoning: other.say("x") for other in case.vary_reasoning()}
    assert behind[EMPTY] == "<think></think><answer>x</answer>"
    assert behind[LEFT_OUT] == "<answer>x</answer>"
    assert (RECITED in behind) == bool(case.knowledge)
    if case.knowledge:
        assert behind[RECITED] == f"<think>{case.knowledge}</think><answer>x</answer>"


def test_only_what_differs_in_the_answer_alone_is_compared() -> None:
    for case in [cases_of(CHEST)[0], *cases_of(CHEST)[0].vary_reasoning()]:
        assert case.says(case.say("normal or pneumonia"))
        assert case.says(case.say(""))
        assert not case.says(case.say("normal", think="Something else."))
        assert not case.says(case.say("normal") + "\nOr not.")
        assert not case.says(case.say("<answer>normal</answer>"))
        assert not case.says("normal")


def test_reports_name_the_reasoning() -> None:
    found = audit(spares_unread, CHEST)
    for report in (as_html([found]), as_markdown([found])):
        assert "left out with its tags" in report
        assert "the knowledge, recited" in report
    audits = as_json([found])["audits"]
    assert [row["reasoning"] for row in audits[0]["compared"]] == [*REASONINGS]
    assert {r["worst"]["reasoning"] for r in audits[0]["results"] if r["worst"]} >= {RECITED}
