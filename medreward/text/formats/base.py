"""What a completion format is.

A format is one class in one module of this package, registered by one line of
`medreward.text.formats.table`. Prompts ask for it, the format part of the reward checks it, and
demonstrations and checks of rewards write it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from medreward.text.completion import Completion, CompletionLike

THINK_TAGS = ("<think>", "</think>")
# How the sentences of `CompletionFormat.instruct` begin, and what is left of it without an image.
REASON = "First reason"
ABOUT_IMAGE = f"{REASON} about the image"


class CompletionFormat(ABC):
    """Where reasoning and answer stand in a completion.

    Attributes:
        name: its name among the reward settings.
        about: what it is, in a few words.
        marks: texts that a prompt holds which asks for this format in words of its own.
        reasoning: the marks before and behind the reasoning; None: there is no place for one.
        opened_by: who writes the first of them, out of
            `medreward.text.formats.described.OPENED_BY`.

    >>> from medreward.text.formats.registry import format_of
    >>> format_of("think_answer").write("Dot bleeds.", "2")
    '<think>Dot bleeds.</think><answer>2</answer>'
    """

    name: str
    about: str
    marks: tuple[str, ...]
    reasoning: tuple[str, str] | None = THINK_TAGS
    opened_by: str = "model"

    @abstractmethod
    def parse(self, completion: CompletionLike) -> Completion:
        """Return a completion taken apart, in time linear in its length; model text never raises.

        Raises:
            TypeError: if it is neither a string nor a list of chat messages.
        """

    @abstractmethod
    def write(self, reasoning: str | None, answer: str) -> str:
        """Return a completion with this reasoning and answer; None leaves the reasoning out."""

    @abstractmethod
    def instruct(self, answer: str) -> str:
        """Return the sentence of a prompt that asks for the format.

        Args:
            answer: what is to be answered, such as "the label".
        """
