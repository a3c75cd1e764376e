"""A labelled case: one completion, and what a reward has to make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medreward.task.completion_format import check_format
from medreward.task.task import Task
from medreward.text.completion import CompletionLike, completion_text
from medreward.text.formats.registry import format_of

SUFFIXES = (".cases.yaml", ".cases.yml", ".cases.jsonl")
TOLERANCE = 1e-6  # the float32 in which trainers add up rewards
THINK = "Looked at closely."

# What may be expected. Numbers are about the total; orders name other cases of the file, or the
# honest right and wrong answer to the same target.
BOUNDS = ("at_least", "at_most", "above", "below")
ORDERS = ("better_than", "worse_than", "equal_to", "no_better_than", "no_worse_than")
EXPECTATIONS = ("correct", "prediction", "reasons", "parts", "total", *BOUNDS, *ORDERS)
HONEST = ("right", "wrong")


@dataclass(frozen=True)
class Case:
    """One completion, and what is expected of its reward.

    Attributes:
        id: its name, unique in its file.
        place: the file and the line, for messages.
        task: the task.
        completion: what the model wrote.
        target: the truth.
        expect: expectation -> value, out of `EXPECTATIONS`.
        tolerance: how much numbers may differ and still be the same.
        settings: override the card's reward settings (for medreward's own reward).
        knowledge: the knowledge in the prompt (None: the card's).
        prompt: the prompt's text (None: the task's question).
        think: the reasoning of honest answers and of cases that give the answer alone.
        columns: further columns of the row, for a user's reward.
        gap: why the file's own reward is known not to meet what is expected ("" if it does).
        note: what the case is about.
    """

    id: str
    place: str
    task: Task
    completion: CompletionLike
    target: object
    expect: Mapping[str, Any]
    tolerance: float = TOLERANCE
    settings: Mapping[str, Any] = field(default_factory=dict)
    knowledge: str | None = None
    prompt: str | None = None
    think: str = THINK
    columns: Mapping[str, Any] = field(default_factory=dict)
    gap: str = ""
    note: str = ""

    @property
    def format_name(self) -> str:
        """The name of the format that its completions are written in."""
        given = self.settings.get("completion_format", self.task.reward.completion_format)
        return check_format(given)

    @property
    def text(self) -> str:
        """The completion's text."""
        return completion_text(self.completion)

    def say(self, answer: str) -> str:
        """Return a well-formed completion with this answer and the case's reasoning."""
        return format_of(self.format_name).write(self.think, answer)


@dataclass(frozen=True)
class CaseFile:
    """The cases of one file, and the reward that they are about."""

    path: str
    cases: tuple[Case, ...]
    reward: str = "shaped"
    signature: str | None = None
