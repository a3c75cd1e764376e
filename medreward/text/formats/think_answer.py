"""``<think>…</think><answer>…</answer>``: the format of VRFT-Aug and of R1-style recipes."""

from __future__ import annotations

from medreward.text.completion import Completion
from medreward.text.formats.base import ABOUT_IMAGE, CompletionFormat


class ThinkAnswer(CompletionFormat):
    """One ``<think>…</think>``, then one ``<answer>…</answer>``, and nothing outside."""

    name = "think_answer"
    about = "<think>…</think><answer>…</answer>"
    marks = ("<answer>",)

    # The reasoning, the answer, and what is wrong with the tags; for every completion, so without
    # a call of its own.
    parse = staticmethod(Completion.parse)

    def write(self, reasoning: str | None, answer: str) -> str:
        """Return both in their tags.

        >>> ThinkAnswer().write("Looking closely.", "2")
        '<think>Looking closely.</think><answer>2</answer>'
        """
        thought = "" if reasoning is None else f"<think>{reasoning}</think>"
        return f"{thought}<answer>{answer}</answer>"

    def instruct(self, answer: str) -> str:
        """Return the sentence of the shipped prompts."""
        return (
            f"{ABOUT_IMAGE} inside <think> </think>, then give only {answer} "
            f"inside <answer> </answer>."
        )
