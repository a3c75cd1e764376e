"""Formats that are told apart by their marks alone: data, shipped or a user's own."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import islice
from typing import Any

from medreward.text.completion import Completion, CompletionLike
from medreward.text.formats.base import ABOUT_IMAGE, THINK_TAGS
from medreward.text.formats.by_rewriting import CLOSING_THINK, RewrittenFormat

OPENED_BY = {
    "model": "the model writes the mark",
    "template": "the chat template writes it, so that a completion begins inside of the reasoning",
    "either": "the template may have written it",
}
_TAGS = (THINK_TAGS, ("<answer>", "</answer>"))


@dataclass(frozen=True)
class DescribedFormat(RewrittenFormat):
    """Reasoning and answer between marks.

    Attributes:
        name: its name.
        about: what it is, in a few words.
        reasoning: the marks before and behind the reasoning; None: there is no place for one.
        opened_by: who writes the first of them, out of `OPENED_BY`.
        answer: the marks before and behind the answer. Without the second one the answer ends with
            the completion; without both it is all that stands behind the reasoning.
        silent: texts that may stand outside of the two, before or behind the answer, and say
            nothing.
        end_tokens: tokens that are dropped at the end, beside the usual ones.
        instruction: the sentence of prompts that asks for it, with ``{answer}`` for what is to be
            answered; "": made from the marks.

    >>> form = DescribedFormat("tagged", reasoning=("<r>", "</r>"), answer=("Answer:", ""))
    >>> form.write("Looking closely.", "2"), form.parse("<r>Hm.</r> Answer: 2<|im_end|>").answer
    ('<r>Looking closely.</r>Answer: 2', '2')
    >>> form.instruct("the grade")
    'First reason about the image inside <r> </r>, then give only the grade behind Answer:'
    """

    name: str
    about: str = ""
    reasoning: tuple[str, str] | None = _TAGS[0]
    opened_by: str = "model"
    answer: tuple[str, str] = _TAGS[1]
    silent: tuple[str, ...] = ()
    end_tokens: tuple[str, ...] = ()
    instruction: str = ""

    @property
    def needs_think(self) -> bool:  # type: ignore[override]
        """Whether a completion without reasoning is malformed."""
        return self.reasoning is not None

    @property
    def marks(self) -> tuple[str, ...]:  # type: ignore[override]
        """Texts that a prompt holds which asks for this format in words of its own."""
        opening, closing = self.reasoning or ("", "")
        written = opening if self.opened_by == "model" else ""
        return tuple(filter(None, (written, self.answer[0] or closing)))

    def rewrite(self, text: str) -> str:
        """Return a completion in the tags of ``think_answer``."""
        written = self._pattern.sub(self._tag, text) if self._pattern else text
        if self.reasoning is not None and self.opened_by != "model":
            is_open = self.opened_by == "either" and _find(self.reasoning[0], text)
            written = written if is_open else f"<think>{written}"
        if self._silence:
            written = self._silence.sub("", written)
        if not self.answer[0]:
            return self._with_rest_as_answer(written)
        if not self.answer[1] and "<answer>" in written:
            return f"{written}</answer>"
        return written

    def parse(self, completion: CompletionLike) -> Completion:
        """Return the completion taken apart, and whether it begins with the template's mark."""
        parsed = super().parse(completion)
        if self.opened_by != "template" or not self._begins(parsed.text):
            return parsed
        return parsed._replace(problems=("think_put_back", *parsed.problems))

    def _begins(self, text: str) -> bool:
        opening = self.reasoning[0].lower() if self.reasoning else ""
        return bool(opening) and text[: len(opening) + 100].lstrip().lower().startswith(opening)

    def without_prefill(self, completion: str) -> str:
        """Return a completion without the mark that the template wrote and a trainer put back.

        >>> from medreward.text.formats.registry import format_of
        >>> format_of("prefilled_think").without_prefill("<think>Hm.</think><answer>2</answer>")
        'Hm.</think><answer>2</answer>'
        """
        if self.opened_by != "template" or self.reasoning is None or not self._begins(completion):
            return completion
        return completion.lstrip()[len(self.reasoning[0]) :]

    def _with_rest_as_answer(self, written: str) -> str:
        """Return a text with answer tags around what follows the only reasoning."""
        if self.reasoning is None:
            return f"<answer>{written}</answer>"
        closings = [*islice(CLOSING_THINK.finditer(written), 2)]
        if len(closings) != 1:  # it is not said where the answer begins
            return written
        end = closings[0].end()
        return f"{written[:end]}<answer>{written[end:]}</answer>"

    def write(self, reasoning: str | None, answer: str) -> str:
        """Return a completion as the model writes it; None leaves the reasoning out."""
        thought = ""
        if self.reasoning is not None and (
            reasoning is not None or self.opened_by == "template" or not self.answer[0]
        ):
            opening = "" if self.opened_by == "template" else self.reasoning[0]
            thought = f"{opening}{reasoning or ''}{self.reasoning[1]}"
        before, after = self.answer
        gap = " " if before and not after else ""
        return f"{thought}{before}{gap}{answer}{after}"

    def instruct(self, answer: str) -> str:
        """Return the sentence of a prompt that asks for the format."""
        sentence = self.instruction or self._sentence
        asked = answer.rstrip(",") if "{answer}." in sentence else answer
        return sentence.replace("{answer}", asked)

    @cached_property
    def _sentence(self) -> str:
        opening, closing = self.reasoning or ("", "")
        before, after = self.answer
        if self.reasoning is None:
            first = "Give"
        elif self.opened_by == "model":
            first = f"{ABOUT_IMAGE} inside {opening} {closing}, then give"
        else:
            first = f"{ABOUT_IMAGE}, then give"
        if not before:
            return (
                f"{first} only {{answer}} behind {closing}."
                if closing
                else f"{first} only {{answer}}."
            )
        where = f"inside {before} {after}." if after else f"behind {before}"
        return f"{first} only {{answer}} {where}"

    @cached_property
    def _tags_of(self) -> dict[str, str]:
        """The tags of ``think_answer`` by the marks that stand for them, in lower case."""
        pairs = [(self.reasoning or ("", ""), _TAGS[0]), (self.answer, _TAGS[1])]
        tags = {m.lower(): t for marks, own in pairs for m, t in zip(marks, own, strict=True) if m}
        return {} if all(mark == tag for mark, tag in tags.items()) else tags

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        marks = sorted(self._tags_of, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, marks)), _FLAGS) if marks else None

    def _tag(self, found: re.Match[str]) -> str:
        return self._tags_of[found[0].lower()]

    @cached_property
    def _silence(self) -> re.Pattern[str] | None:
        """What matches a silent text right before or right behind the answer."""
        if not self.silent:
            return None
        texts = "|".join(map(re.escape, sorted(self.silent, key=len, reverse=True)))
        before = r"(?<=</think>)" if self.reasoning is not None else r"\A"
        end = r"(?=<answer>)" if self.answer[0] else ""
        return re.compile(
            rf"{before}\s{{0,20}}(?:{texts})\s{{0,20}}{end}|(?<=</answer>)\s{{0,20}}(?:{texts})\s*\Z",
            _FLAGS,
        )


_FLAGS = re.IGNORECASE | re.ASCII


def _find(mark: str, text: str) -> bool:
    return re.search(re.escape(mark), text, _FLAGS) is not None


@lru_cache(maxsize=64)
def parse_described(text: str) -> DescribedFormat:
    """Return the format that checked JSON describes."""
    values: dict[str, Any] = json.loads(text)
    for name, one in values.items():
        values[name] = tuple(one) if isinstance(one, list) else one
    return DescribedFormat(**values)
