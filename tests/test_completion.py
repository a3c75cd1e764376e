"""Parsing: the required format, and a reason code for every way to miss it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medreward.text import completion
from medreward.text.completion import Completion, completion_text, is_chat
from medreward.text.reasons import FORMAT_REASONS

GOOD = "<think>Clear lungs.</think><answer>normal</answer>"
TAGS = ("<think>", "</think>", "<answer>", "</answer>")


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"\n  {GOOD}\t\n",
        "<think>\nline one\nline two\n</think>\n\n<answer>\nnormal\n</answer>\n",
        "<THINK>Clear.</Think> <Answer>normal</ANSWER>",
        "<think>肺は清明。</think><answer>正常</answer>",
        "<think>p < 0.05 and a > b</think><answer><b>normal</b></answer>",
        "<think>one</think>\u00a0\u2003<answer>normal</answer>",
        "<think>the thinking tag, the <answers> and < answer ></think><answer>normal</answer>",
    ],
)
def test_the_required_format(text: str) -> None:
    parsed = Completion.parse(text)
    assert parsed.well_formed
    assert parsed.problems == ()
    assert parsed.think
    assert parsed.answer


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ("no_think_tag", "no_answer_tag")),
        ("normal", ("no_think_tag", "no_answer_tag")),
        ("<answer>A</answer>", ("no_think_tag",)),
        ("<think>x</think>", ("no_answer_tag",)),
        ("<think>x</think>normal", ("no_answer_tag", "text_outside")),
        ("<think>x</think><answer>A", ("answer_unclosed",)),
        ("<think>x<answer>A</answer>", ("think_unclosed", "nested_tags")),
        ("x</think><answer>A</answer>", ("think_unopened",)),
        ("<think>x</think>A</answer>", ("answer_unopened",)),
        ("<answer>A</answer><think>x</think>", ("answer_before_think",)),
        ("<answer>A</answer><answer>B</answer>", ("no_think_tag", "several_answers")),
        (
            "<think>x</think><answer>A</answer><answer>A</answer>",
            ("several_answers",),
        ),
        ("<think>x</think><think>y</think><answer>A</answer>", ("several_thinks",)),
        ("<think>x</think><answer>A</answer></answer>", ("several_answers",)),
        ("<think><answer>A</answer></think>", ("nested_tags",)),
        (
            "<think>x<answer>A</answer></think><answer>B</answer>",
            ("several_answers", "nested_tags"),
        ),
        ("<think>x</think><answer><think>y</think>A</answer>", ("several_thinks", "nested_tags")),
        ("<think>x<think>y</think></think><answer>A</answer>", ("several_thinks", "nested_tags")),
        ("</think>x<think><answer>A</answer>", ("nested_tags", "tags_reordered")),
        ("<think>x</think></answer>A<answer>", ("tags_reordered", "text_outside")),
        (f"Sure! {GOOD}", ("text_outside",)),
        (f"{GOOD} I hope this helps.", ("text_outside",)),
        ("<think>x</think> so <answer>A</answer>", ("text_outside",)),
        ("<think></think><answer>A</answer>", ("empty_think",)),
        ("<think> \n… </think><answer>A</answer>", ("empty_think",)),
        ("<think>x</think><answer> \n </answer>", ("empty_answer",)),
    ],
)
def test_every_format_error_has_its_code(text: str, problems: tuple[str, ...]) -> None:
    assert Completion.parse(text).problems == problems


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (GOOD, "normal"),
        ("<answer> \n two\nlines \n</answer>", "two\nlines"),
        ("<answer></answer>", ""),
        ("<answer>A</answer><answer>A</answer>", None),
        ("<think>I would say <answer>A</answer>", None),
        ("<think>x<answer>A</answer></think>", None),
        ("<answer><answer>A</answer>", None),
        ("<answer>A", None),
        ("A</answer>", None),
        ("normal", None),
        ("x</think><answer>A</answer>", "A"),
        ("<answer>A</answer> <think>x</think>", "A"),
        ("\uff1canswer\uff1eA\uff1c/answer\uff1e", None),
        ("<an\u200bswer>A</answer>", None),
        ("<thin\u212a>x</thin\u212a><answer>A</answer>", "A"),
    ],
)
def test_the_readable_answer(text: str, answer: str | None) -> None:
    assert Completion.parse(text).answer == answer


def test_only_the_ascii_tags_are_tags() -> None:
    assert "no_think_tag" in Completion.parse("<thin\u212a>x</thin\u212a>").problems


@pytest.mark.parametrize(
    ("text", "reasoning"),
    [
        (GOOD, "Clear lungs."),
        ("Clear lungs. <answer>normal</answer> Really.", "Clear lungs. <> Really."),
        ("<think>Clear lungs.", "Clear lungs."),
        ("<think>Clear <answer>normal or not</answer> lungs.", "Clear lungs."),
        ("Clear <answer>a</answer><answer>b</answer> lungs.", "Clear lungs."),
        ("Clear lungs. <answer>normal or", "Clear lungs."),
        ("<answer>Clear<think>lungs.</think></answer>", "lungs."),
        ("Clear lungs.", "Clear lungs."),
    ],
)
def test_leaving_tags_out_hides_no_reasoning(text: str, reasoning: str) -> None:
    assert Completion.parse(text).reasoning.split() == reasoning.replace("<>", "").split()


plain_texts = st.text(alphabet="ab .\n<>/?", max_size=8).filter(lambda text: "<" not in text)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["<think>", "</think>", "<answer>", "</Answer>"]),
            plain_texts,
            plain_texts,
        ),
        max_size=7,
    ),
    plain_texts,
)
def test_the_reasoning_does_not_depend_on_what_stands_in_answers(
    pieces: list[tuple[str, str, str]], head: str
) -> None:
    one = head + "".join(tag + text for tag, text, _ in pieces)
    other = head + "".join(
        tag + (another if tag == "<answer>" else text) for tag, text, another in pieces
    )
    assert Completion.parse(one).reasoning.split() == Completion.parse(other).reasoning.split()


@pytest.mark.parametrize(
    "completion",
    [
        [{"role": "assistant", "content": GOOD}],
        [{"content": GOOD}],
        ({"role": "assistant", "content": [{"type": "text", "text": GOOD}]},),
        [
            {"role": "assistant", "content": [{"type": "image"}, {"type": "text", "text": GOOD}]},
            {"role": "tool", "content": "<answer>pneumonia</answer>"},
        ],
        [
            {"role": "assistant", "content": None, "tool_calls": []},
            {"role": "assistant", "content": GOOD},
        ],
    ],
)
def test_chat_messages_are_a_completion(completion: list[dict[str, object]]) -> None:
    assert is_chat(completion)
    assert Completion.parse(completion).answer == "normal"
    assert Completion.parse(completion).well_formed


@pytest.mark.parametrize("value", [None, 5, b"x", ["x"], [], [["x"]], {"content": "x"}])
def test_anything_else_is_no_completion(value: object) -> None:
    named = f"not {type(value).__name__}: {str(value)!r}"
    with pytest.raises(TypeError, match="a completion is a string or a list of chat") as raised:
        completion_text(value)  # type: ignore[arg-type]
    assert str(raised.value).endswith(named)


@given(
    st.lists(st.sampled_from([*TAGS, "x", " ", "normal", "<", "é", "<THINK>"]), max_size=12).map(
        "".join
    )
)
def test_any_text_parses_and_is_well_formed_only_in_the_one_order(text: str) -> None:
    parsed = Completion.parse(text)
    assert set(parsed.problems) <= FORMAT_REASONS.keys()
    assert len(set(parsed.problems)) == len(parsed.problems)
    lowered = text.lower()
    counts = [lowered.count(tag) for tag in TAGS]
    order = [lowered.find(tag) for tag in TAGS]
    if parsed.well_formed:
        assert counts == [1, 1, 1, 1]
        assert order == sorted(order)
        assert parsed.think is not None
        assert parsed.answer
    if counts[2:] != [1, 1]:
        assert parsed.answer is None


@pytest.mark.parametrize("space", ["", " ", "\n\t", "\x1c", "\u00a0", "\x00"])
@pytest.mark.parametrize("inner", ["x", " x ", "", " ", "...", "<", "a < b", "<b>", "\u017f"])
def test_the_usual_format_is_read_as_any_other(
    space: str, inner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [
        template.format(_=space, x=inner)
        for template in (
            "{_}<think>{x}</think>{_}<answer>{x}</answer>{_}",
            "<THINK>{x}</think><Answer>A</aNSWER>{_}",
            "<think>{x}</think>{x}<answer>{_}</answer>",
            "<answer>{x}</answer><think>y</think>{_}",
            "{x}<think>y</think><answer>{x}</answer>",
        )
    ]
    quick = [Completion.parse(text) for text in texts]
    monkeypatch.setattr(completion, "_PLAIN", re.compile("(?!)"))
    assert quick == [Completion.parse(text) for text in texts]


@given(st.text())
def test_any_unicode_text_parses(text: str) -> None:
    inner = text.replace("<", "")
    parsed = Completion.parse(f"<think>a{inner}</think><answer>{inner}b</answer>")
    assert parsed.well_formed
    assert parsed.answer == f"{inner}b".strip()


@pytest.mark.parametrize(
    ("text", "answer", "problem"),
    [
        ("<think><think></think><answer>A</answer>", None, "several_thinks"),
        ("<think>x</think><answer>A<answer>B</answer>", None, "several_answers"),
        ("x<think>y</think><answer>A</answer>", "A", "text_outside"),
    ],
)
def test_what_a_mutation_of_the_parser_would_miss(
    text: str, answer: str | None, problem: str
) -> None:
    parsed = Completion.parse(text)
    assert parsed.answer == answer
    assert problem in parsed.problems


def test_parts_of_a_message_are_joined_without_anything_between() -> None:
    parts = [{"type": "text", "text": "<answer>no"}, {"type": "text", "text": "rmal</answer>"}]
    assert Completion.parse([{"role": "assistant", "content": parts}]).answer == "normal"
