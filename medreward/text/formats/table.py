"""The completion formats: one line each."""

from __future__ import annotations

from medreward.text.formats.base import register_format
from medreward.text.formats.think_answer import ThinkAnswer

DEFAULT_FORMAT = ThinkAnswer.name

for completion_format in (ThinkAnswer,):
    register_format(completion_format())
