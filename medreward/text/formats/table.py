"""The completion formats: one entry each."""

from __future__ import annotations

from medreward.text.formats.by_rewriting import Boxed
from medreward.text.formats.described import DescribedFormat
from medreward.text.formats.registry import register_format
from medreward.text.formats.think_answer import ThinkAnswer

DEFAULT_FORMAT = ThinkAnswer.name

for completion_format in (
    ThinkAnswer(),
    DescribedFormat(
        "prefilled_think",
        "…</think><answer>…</answer>, behind a <think> that the chat template wrote",
        opened_by="template",
    ),
    DescribedFormat(
        "thinking_answer",
        "<thinking>…</thinking><answer>…</answer>",
        reasoning=("<thinking>", "</thinking>"),
    ),
    Boxed(),
    DescribedFormat(
        "after_think",
        "<think>…</think> and the answer as plain text behind it",
        opened_by="either",
        answer=("", ""),
    ),
    DescribedFormat("answer_only", "the answer and nothing else", reasoning=None, answer=("", "")),
):
    register_format(completion_format)
