"""Completion formats beside ``think_answer``: what each reads and refuses, and that it is safe."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from medreward import ConfigError, Task, explain, shaped_reward
from medreward.audit import audit, load_reward
from medreward.kinds.right_answers import completion_with
from medreward.priors.prompt import PromptBuilder
from medreward.task.completion_format import check_format
from medreward.text.formats.by_rewriting import END_TOKENS, without_end_tokens
from medreward.text.formats.registry import format_names, format_of
from tests import at_most
from tests.growth import assert_linear

FORMATS = [name for name in format_names() if name != "think_answer"]
OTHERS = [name for name in FORMATS if name != "answer_only"]

# Format, completion, what is read as the answer, problems.
READ: list[tuple[str, str, str | None, tuple[str, ...]]] = [
    ("prefilled_think", "It is clear.</think><answer>2</answer>", "2", ()),
    ("prefilled_think", "It is clear.</think>\n\n<answer>2</answer><|im_end|>", "2", ()),
    ("prefilled_think", "<think>x</think><answer>2</answer>", None,
     ("think_put_back", "several_thinks", "nested_tags")),
    ("prefilled_think", "<answer>2</answer>", None, ("think_unclosed", "nested_tags")),
    ("prefilled_think", "x</think>2", None, ("no_answer_tag", "text_outside")),
    ("prefilled_think", "</think><answer>2</answer>", "2", ("empty_think",)),
    ("thinking_answer", "<thinking>Hm.</thinking><answer>2</answer>", "2", ()),
    ("thinking_answer", "<THINKING>Hm.</Thinking> <answer>2</answer></s>", "2", ()),
    ("thinking_answer", "<answer>2</answer>", "2", ("no_think_tag",)),
    ("thinking_answer", "<thinking>Hm.</thinking>2", None, ("no_answer_tag", "text_outside")),
    ("after_think", "<think>Hm.</think>2", "2", ()),
    ("after_think", "Hm.</think>\n\nGrade 2.<|im_end|>", "Grade 2.", ()),
    ("after_think", "Hm. 2", None, ("no_answer_tag", "think_unclosed")),
    ("after_think", "<think>Hm.</think>", "", ("empty_answer",)),
    ("after_think", "<think>a</think>1<think>b</think>2", None,
     ("no_answer_tag", "several_thinks", "text_outside")),
    ("after_think", "Hm.</think><answer>2</answer>", None, ("several_answers", "nested_tags")),
    ("answer_only", "2", "2", ()),
    ("answer_only", " Grade 2.\n<|endoftext|><|im_end|>", "Grade 2.", ()),
    ("answer_only", "<answer>2</answer>", None, ("several_answers", "nested_tags")),
    ("answer_only", "", "", ("empty_answer",)),
    ("boxed", "<think>Hm.</think>\\boxed{2}", "2", ()),
    ("boxed", "Hm.</think>\n\nThe final answer is $\\boxed{\\text{Two}}$.", "\\text{Two}", ()),
    ("boxed", "<think>Hm.</think> Answer: \\boxed{2}<|im_end|>", "2", ()),
    ("boxed", "\\boxed{2}", "2", ("no_think_tag",)),
    ("boxed", "<think>\\boxed{2}</think>", None, ("no_answer_tag",)),
    ("boxed", "<think>Hm.</think>\\boxed{1}\\boxed{2}", None, ("several_answers",)),
    ("boxed", "<think>Hm.</think>\\boxed{2", None, ("no_answer_tag", "text_outside")),
    ("boxed", "<think>Hm.</think>It is 3, no, \\boxed{2}", "2", ("text_outside",)),
    ("boxed", "<think>Hm.</think>2", None, ("no_answer_tag", "text_outside")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "answer", "problems"), READ)
def test_what_is_read(name: str, text: str, answer: str | None, problems: tuple[str, ...]) -> None:
    parsed = format_of(name).parse(text)
    assert (parsed.answer, {*parsed.problems}) == (answer, {*problems})
    assert parsed.text == text


@pytest.mark.parametrize("name", format_names())
def test_what_is_written_is_read_and_asked_for(name: str) -> None:
    form = format_of(name)
    parsed = form.parse(form.write("Dot bleeds.", "2"))
    assert (parsed.answer, parsed.problems) == ("2", ())
    assert parsed.reasoning.strip() == ("" if name == "answer_only" else "Dot bleeds.")
    card = Task.load("retinamnist")
    task = replace(card, reward=card.reward.updated({"completion_format": name}))
    prompt = PromptBuilder(task, "none")().text
    assert prompt.endswith(form.instruct("the grade as a number"))
    assert all(mark in prompt for mark in form.marks)
    right = completion_with("2", completion_format=name)
    score = explain(right, 2, task="retinamnist", completion_format=name, knowledge="")
    assert (score.total, score.correct) == (1.2, True)
    is_default = name == "think_answer"
    assert (f"|completion_format:{name}|" in score.signature) is not is_default


@pytest.mark.parametrize("name", OTHERS)
def test_recitation_is_held_against_the_reasoning(name: str) -> None:
    task = Task.load("retinamnist")
    told = task.knowledge_text()
    said = [completion_with("2", think, name) for think in ("Hm.", told)]
    given: dict[str, Any] = {"task": task, "completion_format": name}
    plain, recited = shaped_reward(said, [2, 2], **given)
    assert plain == pytest.approx(1.2, abs=1e-3)
    assert recited == pytest.approx(1.15)
    # Neither leaving the tags out nor a wrong answer is a way round it.
    wrong = explain(completion_with("?", told, name), 2, **given)
    assert wrong.parts["recitation"] == -1.0


# Each format with the card of the grades; the other cards with every second one, else `slow`.
AUDITED = [
    pytest.param(name, card, marks=[pytest.mark.slow] if (i + j) % 2 else [])
    for i, name in enumerate(FORMATS)
    for j, card in enumerate(("pneumoniamnist", "multiple_choice"))
]


@pytest.mark.parametrize(("name", "card"), [*((name, "retinamnist") for name in FORMATS), *AUDITED])
def test_no_family_of_the_audit_is_paid(name: str, card: str) -> None:
    loaded = Task.load(card)
    settings = {"completion_format": name}
    task = replace(loaded, reward=loaded.reward.updated(settings))
    families = [f for f in _families(task) if f.name not in ("keyword-stuffing",)]
    found = audit(
        load_reward("shaped", task, settings=settings),
        task,
        families=families,
        targets=[_target(card)],
    )
    assert [(r.family, r.worst and r.worst.text) for r in found.failures] == []


def _families(task: Task) -> list[Any]:
    from medreward.audit.exploits import registered

    return list(registered(task.kind))


def _target(card: str) -> Any:
    return {"options": ["CT", "MRI", "US"], "answer": "B"} if card == "multiple_choice" else 1


TAGGED: dict[str, Any] = {
    "name": "tagged",
    "reasoning": {"open": "<reason>", "close": "</reason>"},
    "answer": {"open": "<final>", "close": "</final>"},
}
BEHIND: dict[str, Any] = {
    "name": "behind",
    "reasoning": {"open": "[REASON]", "close": "[/REASON]", "opened_by": "template"},
    "answer": {"open": "####", "close": ""},
    "silent": ["Conclusion:", "----"],
    "end_tokens": ["<|stop|>"],
    "instruction": "Reason, then write {answer} behind ####, as in \\boxed{}.",
}
REST: dict[str, Any] = {
    "name": "rest",
    "reasoning": {"open": "<r>", "close": "</r>", "opened_by": "either"},
    "answer": {"open": "", "close": ""},
    "silent": ["Answer:"],
}
BARE: dict[str, Any] = {
    "name": "bare", "reasoning": None, "answer": {"open": "<<", "close": ">>"},
}  # fmt: skip
DESCRIBED = {one["name"]: check_format(one) for one in (TAGGED, BEHIND, REST, BARE)}

# Format, completion, what is read as the answer, problems.
READ_BY_MARKS: list[tuple[str, str, str | None, tuple[str, ...]]] = [
    ("tagged", "<reason>Hm.</reason><final>2</final>", "2", ()),
    ("tagged", "<Reason>Hm.</REASON>\n<final>2</final><|im_end|>", "2", ()),
    ("tagged", "<final>2</final>", "2", ("no_think_tag",)),
    ("tagged", "<think>Hm.</think><answer>2</answer>", "2", ()),
    ("tagged", "<reason>Hm.</reason><final>2</final><answer>3</answer>", None,
     ("several_answers",)),
    ("tagged", "<reason>Hm.</reason>So: <final>2</final>", "2", ("text_outside",)),
    ("tagged", "<reason>Hm. <final>2</final></reason>", None, ("nested_tags",)),
    ("behind", "Hm.[/REASON] #### 2", "2", ()),
    ("behind", "Hm.[/REASON] conclusion: #### 2<|stop|><|im_end|>", "2", ()),
    ("behind", "Hm.[/REASON] maybe #### 2", "2", ("text_outside",)),
    ("behind", "Hm.[/REASON] #### 2 #### 3", None,
     ("several_answers", "nested_tags")),
    ("behind", "Hm. #### 2", None, ("think_unclosed", "nested_tags")),
    ("behind", "Hm.[/REASON] 2", None, ("no_answer_tag", "text_outside")),
    ("behind", "[REASON]Hm.[/REASON] #### 2", None,
     ("think_put_back", "several_thinks", "nested_tags")),
    ("rest", "<r>Hm.</r> 2", "2", ()),
    ("rest", "Hm.</r>Answer: 2", "2", ()),
    ("rest", "Hm.</r>Answer: Answer: 2", "Answer: 2", ()),
    ("rest", "<r>Hm.</r><r>x</r> 2", None, ("several_thinks", "no_answer_tag", "text_outside")),
    ("bare", "<<2>>", "2", ()),
    ("bare", "It is <<2>>", "2", ("text_outside",)),
    ("bare", "<<2>> <<3>>", None, ("several_answers",)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "answer", "problems"), READ_BY_MARKS)
def test_a_format_of_a_users_own(
    name: str, text: str, answer: str | None, problems: tuple[str, ...]
) -> None:
    parsed = format_of(DESCRIBED[name]).parse(text)
    assert (parsed.answer, {*parsed.problems}) == (answer, {*problems})
    assert parsed.text == text


@pytest.mark.parametrize("given", [TAGGED, BEHIND, REST, BARE])
def test_a_description_is_kept_asked_for_and_signed(given: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(given), encoding="utf-8")
    kept = check_format(given)
    assert kept == check_format(kept) == check_format(str(path)) == check_format(path)
    card = Task.load("retinamnist")
    task = replace(card, reward=card.reward.updated({"completion_format": given}))
    assert pickle.loads(pickle.dumps(task)).reward == task.reward
    form = format_of(task.reward.completion_format)
    prompt = PromptBuilder(task, "none")().text
    assert form.instruct("the grade as a number") in prompt
    assert all(mark in prompt for mark in form.marks)
    right = form.write("Dot bleeds.", "2")
    score = explain(right, 2, task=task, knowledge="")
    assert score == explain(right, 2, task=card, knowledge="", completion_format=str(path))
    assert (score.total, score.correct) == (1.2, True)
    assert f"|completion_format:{given['name']}-" in score.signature
    other = {**given, "end_tokens": ["<|other|>"]}
    assert explain(right, 2, task=card, completion_format=other).signature != score.signature


@pytest.mark.parametrize("name", [*DESCRIBED])
def test_no_family_of_the_audit_is_paid_in_a_users_own(name: str) -> None:
    loaded = Task.load("pneumoniamnist")
    settings = {"completion_format": DESCRIBED[name]}
    task = replace(loaded, reward=loaded.reward.updated(settings))
    families = [f for f in _families(task) if f.name not in ("keyword-stuffing",)]
    found = audit(load_reward("shaped", task, settings=settings), task, families=families)
    assert [(r.family, r.worst and r.worst.text) for r in found.failures] == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "boxed"}, "name: 'boxed' is a format that is there already"),
        ({"name": "a b"}, "'a b' is not made of letters"),
        ({"name": ""}, "name: '' is"),
        ({"tags": []}, "tags"),
        ({"reasoning": {"open": "<a>", "closed": "</a>"}}, "closed"),
        ({"reasoning": {"opened_by": "nobody"}}, "opened_by: 'nobody'.*model, template, either"),
        ({"answer": {"open": "", "close": "x:"}}, "open is empty"),
        ({"reasoning": None, "answer": {"open": "A:", "close": ""}}, "without close"),
        ({"answer": {"open": "answer", "close": ""}}, "a mark has a sign in it"),
        ({"answer": {"open": "<a>", "close": "<a>"}}, "'<a>' is a part of '<a>'"),
        ({"answer": {"open": "<a", "close": "<a>"}}, "cannot be told apart"),
        ({"silent": ["</THINK>."]}, "cannot be told apart"),
        ({"end_tokens": ["<|a|>\n"]}, "without white space"),
        ({"silent": "So:"}, "silent"),
        ({"instruction": "Answer."}, "has no {answer}"),
    ],
)
def test_a_description_that_is_not_allowed_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"completion_format.*{message}"):
        check_format({"name": "own", **changes})


def test_a_description_of_another_type_is_named(tmp_path: Path) -> None:
    for value in (3, ["boxed"], None, "boxd", str(tmp_path / "none.yaml"), "{}", "{", '{"a": 1}'):
        with pytest.raises(ConfigError):
            Task.load("icdr").reward.updated({"completion_format": value})


@examples(max_examples=at_most(300))
@given(
    st.sampled_from([*FORMATS, *DESCRIBED.values()]),
    st.text(alphabet="<>/thinkaswer \\boxed{}$2\n", max_size=80),
)
def test_any_text_is_taken_apart(name: str, text: str) -> None:
    parsed = format_of(name).parse(text)
    assert parsed.text == text
    assert parsed.answer is None or "<answer>" not in parsed.answer.lower()
    assert isinstance(parsed.reasoning, str)


UNITS = ("<think>", "</think>", "\\boxed{", "}", "{", "<answer>", "</answer>", "x ", "<|im_end|>",
         "$", "answer is ", "\\boxed{2}", "<thinking>", "</s> ", "Answer: ", "<<",
         "</r>", "####")  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("name", [*FORMATS, *DESCRIBED.values()])
def test_time_grows_with_the_length(name: str, unit: str) -> None:
    def work(length: int) -> Any:
        text = f"x</think>{unit * (length // len(unit))}"
        return lambda: format_of(name).parse(text).reasoning

    assert_linear(work, 40_000)


@pytest.mark.parametrize("token", END_TOKENS)
def test_end_tokens_are_dropped_at_the_end_only(token: str) -> None:
    assert without_end_tokens(f"a{token} {token}\n") == "a"
    assert without_end_tokens(f"a{token}b") == f"a{token}b"
