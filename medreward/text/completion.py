"""Model text -> :class:`Completion`: the reasoning, the answer, and what is wrong with the format.

The format that VRFT-Aug trains (and R1-style recipes before it) is exactly one
``<think>…</think>`` followed by exactly one ``<answer>…</answer>`` with nothing but white space
outside. Parsing takes time linear in the length of the text, whatever the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

ChatMessages: TypeAlias = Sequence[Mapping[str, object]]
CompletionLike: TypeAlias = str | ChatMessages

# ASCII: without it, IGNORECASE would also accept the Kelvin sign for k and the long s for s.
_TAG = re.compile(r"<(/?)(think|answer)>", re.IGNORECASE | re.ASCII)
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")
# The right format with no other "<" in it: what most completions are, read at once.
_PLAIN = re.compile(
    r"\s*<think>([^<]*)</think>\s*<answer>([^<]*)</answer>\s*", re.IGNORECASE | re.ASCII
)
_WELL_FORMED = ("think", "/think", "answer", "/answer")


class Completion(NamedTuple):
    """A parsed completion.

    Attributes:
        text: the completion as the model wrote it.
        think: the text of the one closed ``<think>``, or None where there is no such thing.
        answer: the text of the one readable ``<answer>``, stripped, or None. An answer is readable
            when it is the only one, closed, has no tag inside and does not stand in the reasoning.
        problems: format problems as reason codes (see `medreward.text.reasons`), empty when well
            formed.
        written: the completion in the tags above where its format has others, "" where not.
    """

    text: str
    think: str | None
    answer: str | None
    problems: tuple[str, ...]
    written: str = ""

    @property
    def well_formed(self) -> bool:
        """Whether the completion has the required format."""
        return not self.problems

    @property
    def reasoning(self) -> str:
        """The text to hold against the injected knowledge: everything outside of answers.

        Where the format is right, that is the think text. Where it is not, neither leaving the
        tags out nor writing beside them is a way round the recitation penalty. What follows an
        ``<answer>`` up to the next tag is left out whether it can be read or not: with the same
        reasoning and the same tags, the penalty is the same whatever the answer.
        """
        if self.well_formed and self.think is not None:
            return self.think
        # Behind each tag's slash and name, what follows it.
        first, *rest = _TAG.split(self.written or self.text)
        behind = zip(rest[::3], rest[1::3], rest[2::3], strict=True)
        kept = [text for slash, name, text in behind if slash or name.lower() != "answer"]
        return " ".join([first, *kept])

    @classmethod
    def parse(cls, completion: CompletionLike) -> Completion:
        """Parse a completion: a string, or chat messages as TRL passes them.

        >>> Completion.parse("<think>Clear lungs.</think><answer>normal</answer>").answer
        'normal'
        >>> Completion.parse("<answer>A</answer><answer>B</answer>").problems
        ('no_think_tag', 'several_answers')
        """
        text = completion_text(completion)
        plain = _PLAIN.fullmatch(text)
        if plain and (answer := plain[2].strip()) and _LETTER_OR_DIGIT.search(plain[1]):
            return cls(text, plain[1], answer, ())
        tags = _tags(text)
        think, span = _think(text, tags), _answer_span(tags)
        answer = None if span is None else text[slice(*span)].strip()
        return cls(text, think, answer, tuple(_problems(text, tags, think, answer)))


def completion_text(completion: CompletionLike) -> str:
    """Return the text of a completion: the string itself, or what the assistant says in a chat.

    Raises:
        TypeError: if `completion` is neither a string nor a sequence of chat messages.
    """
    if isinstance(completion, str):
        return completion
    if not is_chat(completion):
        raise TypeError(
            f"a completion is a string or a list of chat messages "
            f"[{{'role': 'assistant', 'content': ...}}], not {type(completion).__name__}: "
            f"{str(completion)[:80]!r}"
        )
    said = (m for m in completion if m.get("role", "assistant") == "assistant")
    return "\n".join(_content_text(message.get("content")) for message in said)


def is_chat(value: object) -> bool:
    """Tell whether `value` is one completion in chat shape, not a batch."""
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str | bytes)
        and len(value) > 0
        and all(isinstance(message, Mapping) for message in value)
    )


def _content_text(content: object) -> str:
    """Text of a message's content: a string, None (a tool call), or a list of typed parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, Iterable) and not isinstance(content, bytes | Mapping):
        parts = [p for p in content if isinstance(p, Mapping)]
        return "".join(str(p["text"]) for p in parts if isinstance(p.get("text"), str))
    return ""


class _Tags(NamedTuple):
    """The tags of a text: names such as "think" and "/think", and where each starts and ends.

    Two lists and not a list of tags, which takes twice as long to make: a text may be all tags.
    """

    names: tuple[str, ...]
    spans: list[tuple[int, int]]


def _tags(text: str) -> _Tags:
    names: list[str] = []
    spans: list[tuple[int, int]] = []
    for found in _TAG.finditer(text):
        names.append(found[0][1:-1].lower())
        spans.append(found.span())
    return _Tags(tuple(names), spans)


def _element(tags: _Tags, name: str) -> int | None:
    """Index of the opening tag of the one `name` element with no tag inside."""
    names = tags.names
    if names.count(name) == names.count("/" + name) == 1:
        opened = names.index(name)
        return opened if names[opened + 1 : opened + 2] == ("/" + name,) else None
    return None


def _inside(tags: _Tags, opened: int) -> tuple[int, int]:
    """Where the text between a tag and the next one stands."""
    return tags.spans[opened][1], tags.spans[opened + 1][0]


def _think(text: str, tags: _Tags) -> str | None:
    opened = _element(tags, "think")
    return None if opened is None else text[slice(*_inside(tags, opened))]


def _answer_span(tags: _Tags) -> tuple[int, int] | None:
    """Where the text of the readable answer stands (see `Completion.answer`)."""
    opened = _element(tags, "answer")
    if opened is None or _in_think(tags.names[:opened]):
        return None
    return _inside(tags, opened)


def _in_think(names: Iterable[str]) -> bool:
    """Whether a think element is still open after tags; a stray closing tag closes nothing."""
    depth = 0
    for name in names:
        if name == "think":
            depth += 1
        elif name == "/think":
            depth = max(0, depth - 1)
    return depth > 0


def _problems(text: str, tags: _Tags, think: str | None, answer: str | None) -> Iterator[str]:
    names = tags.names
    nested = False
    if names != _WELL_FORMED:
        yield from _count_problems(names, "think", "several_thinks")
        yield from _count_problems(names, "answer", "several_answers")
        nested = _is_nested(names)
        if nested:
            yield "nested_tags"
        yield from _order_problems(names)
    if think is not None and not _LETTER_OR_DIGIT.search(think):
        yield "empty_think"
    if answer == "":
        yield "empty_answer"
    if names and not nested and _text_outside(text, tags):
        yield "text_outside"


def _count_problems(names: tuple[str, ...], name: str, several: str) -> Iterator[str]:
    opened, closed = names.count(name), names.count("/" + name)
    if opened == closed == 0:
        yield f"no_{name}_tag"
    elif opened > 1 or closed > 1:
        yield several
    elif closed == 0:
        yield f"{name}_unclosed"
    elif opened == 0:
        yield f"{name}_unopened"


def _is_nested(names: tuple[str, ...]) -> bool:
    """Whether a tag opens while another element is open."""
    inside = ""
    for name in names:
        if not name.startswith("/"):
            if inside:
                return True
            inside = name
        elif name[1:] == inside:
            inside = ""
    return False


def _order_problems(names: tuple[str, ...]) -> Iterator[str]:
    first = {name: names.index(name) for name in set(names)}
    if "think" in first and first.get("answer", len(names)) < first["think"]:
        yield "answer_before_think"
    if any(first.get("/" + name, len(names)) < first.get(name, -1) for name in ("think", "answer")):
        yield "tags_reordered"


def _text_outside(text: str, tags: _Tags) -> bool:
    """Whether anything but white space stands before, between or after the elements.

    What follows a tag that is never closed stands inside of it, as what precedes one never opened.
    """
    end = 0
    for name, (start, stop) in zip(tags.names, tags.spans, strict=True):
        if not name.startswith("/") and text[end:start].strip():
            return True
        end = stop
    return tags.names[-1].startswith("/") and bool(text[end:].strip())
