"""Formats that are read by writing a completion anew in the tags of ``think_answer``: `Boxed`.

Each says how, and the parser of ``think_answer`` does the rest, so that all of them are as strict,
find the same problems and take time linear in the length of the text. Tags of ``think_answer`` that
a completion has itself stay in it, and count. Most are data: `medreward.text.formats.described`.
"""

from __future__ import annotations

import re
from abc import abstractmethod

from medreward.text.completion import Completion, CompletionLike, completion_text
from medreward.text.formats.base import ABOUT_IMAGE, CompletionFormat

# What trainers that decode with special tokens leave at the end of a completion.
END_TOKENS = (
    *("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end|>", "<|eot|>", "</s>", "<eos>"),
    *("<end_of_turn>", "<|end_of_text|>", "<turn|>", "<|return|>"),
)
CLOSING_THINK = re.compile(r"</think>", re.IGNORECASE | re.ASCII)
_OPENING_THINK = re.compile(r"<think>", re.IGNORECASE | re.ASCII)
_BOXED = "\\boxed{"
_BRACE = re.compile(r"[{}]")
# What may stand around a boxed answer and says nothing.
_FRAME_BEFORE = re.compile(
    r"(?:(?:so|thus|therefore|hence),?\s+)?(?:the\s+|my\s+)?(?:final\s+|correct\s+)?answer"
    r"(?:\s+is)?\s*:?\s*\$?\s*\Z",
    re.IGNORECASE,
)


def without_end_tokens(text: str, tokens: tuple[str, ...] = END_TOKENS) -> str:
    """Return a text without the end tokens behind it.

    >>> without_end_tokens("<answer>2</answer><|im_end|><|endoftext|>")
    '<answer>2</answer>'
    """
    end = _end_of_words(text, len(text))
    while text.endswith(tokens, 0, end):
        token = next(one for one in tokens if text.endswith(one, 0, end))
        end = _end_of_words(text, end - len(token))
    return text[:end]


def _end_of_words(text: str, end: int) -> int:
    """Return where white space before `end` begins."""
    while end and text[end - 1].isspace():
        end -= 1
    return end


class RewrittenFormat(CompletionFormat):
    """A format whose completions are written anew as ``<think>…</think><answer>…</answer>``.

    Attributes:
        needs_think: whether a completion without reasoning is malformed.
        end_tokens: tokens that are dropped at the end, beside the usual ones.
    """

    needs_think: bool = True
    end_tokens: tuple[str, ...] = ()

    @abstractmethod
    def rewrite(self, text: str) -> str:
        """Return a completion, without end tokens, in the tags of ``think_answer``."""

    def parse(self, completion: CompletionLike) -> Completion:
        """Return the completion taken apart; its text is as the model wrote it."""
        text = completion_text(completion)
        written = self.rewrite(without_end_tokens(text, self.end_tokens + END_TOKENS))
        parsed = Completion.parse(written)
        problems = parsed.problems
        if not self.needs_think:
            problems = tuple(code for code in problems if code != "no_think_tag")
        return parsed._replace(text=text, problems=problems, written=written)


class Boxed(RewrittenFormat):
    r"""``<think>…</think>`` and the answer in ``\boxed{…}``; the template may open the first."""

    name = "boxed"
    about = "<think>…</think>\\boxed{…}"
    marks = (_BOXED,)
    opened_by = "either"

    def rewrite(self, text: str) -> str:
        r"""Return the completion with tags around what ``\boxed{…}`` behind the reasoning holds.

        A sentence such as "The final answer is" before it says nothing, nor do a full stop and
        dollar signs around it; all else stays outside of the tags.
        """
        closing = CLOSING_THINK.search(text)
        end = closing.end() if closing else 0
        opening = "" if not closing or _OPENING_THINK.search(text, 0, end) else "<think>"
        return f"{opening}{text[:end]}{_with_boxes(text[end:])}"

    def write(self, reasoning: str | None, answer: str) -> str:
        r"""Return reasoning in its tags, and the answer in its box.

        >>> print(Boxed().write("Looking closely.", "2"))
        <think>Looking closely.</think>\boxed{2}
        """
        thought = "" if reasoning is None else f"<think>{reasoning}</think>"
        return f"{thought}\\boxed{{{answer}}}"

    def instruct(self, answer: str) -> str:
        """Return the sentence of the prompts."""
        return f"{ABOUT_IMAGE} inside <think> </think>, then give only {answer} inside \\boxed{{}}."


def _with_boxes(text: str) -> str:
    """Return a text with answer tags in place of boxes, and without what may stand around them."""
    parts: list[str] = []
    place = 0
    while (start := text.find(_BOXED, place)) >= 0:
        stop = _closing(text, start + len(_BOXED))
        if stop < 0:
            break
        before = _FRAME_BEFORE.sub("", text[place:start].rstrip("$ ")[-200:])
        parts.append(text[place:start].rstrip("$ ")[:-200] + before)
        parts.append(f"<answer>{text[start + len(_BOXED) : stop]}</answer>")
        place = stop + 1
    rest = text[place:]
    return "".join(parts) + (rest if not parts or rest.strip(" \n$.") else "")


def _closing(text: str, start: int) -> int:
    """Return where the brace that a box opened is closed, -1 if nowhere."""
    depth = 1
    for found in _BRACE.finditer(text, start):
        depth += 1 if found[0] == "{" else -1
        if not depth:
            return found.start()
    return -1
