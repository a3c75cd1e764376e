"""The completion formats: one line each."""

from __future__ import annotations

from medreward.text.formats.base import register_format
from medreward.text.formats.by_rewriting import (
    AfterThink,
    AnswerOnly,
    Boxed,
    PrefilledThink,
    ThinkingAnswer,
)
from medreward.text.formats.think_answer import ThinkAnswer

DEFAULT_FORMAT = ThinkAnswer.name

for completion_format in (
    *(ThinkAnswer, PrefilledThink, ThinkingAnswer),
    *(Boxed, AfterThink, AnswerOnly),
):
    register_format(completion_format())
