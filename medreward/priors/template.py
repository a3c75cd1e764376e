"""Templates of prompts: text with placeholders, shipped or the user's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from medreward.errors import ConfigError, expected, quote
from medreward.files.reading import parse_yaml, read_text
from medreward.kinds.base import kind_of
from medreward.task.task import Task
from medreward.text.formats.registry import format_names, format_of

PLACEHOLDERS = ("question", "knowledge", "labels", "frame", "reply")
IMAGE_MARK = "<image>"


def message_parts(content: str) -> list[dict[str, str]]:
    """Return a message's text with image marks as typed parts, as chat templates take them.

    >>> message_parts("<image>Which grade?")
    [{'type': 'image'}, {'type': 'text', 'text': 'Which grade?'}]
    """
    parts: list[dict[str, str]] = []
    for i, text in enumerate(content.split(IMAGE_MARK)):
        parts += [{"type": "image"}] if i else []
        parts += [{"type": "text", "text": text}] if text else []
    return parts


_NEEDED = ("{question}", "{knowledge}")
_REPLY = "{reply}"
_PARTS = ("system", "user", "answer")
_PLACEHOLDER = re.compile(r"\{([A-Za-z_]\w*)\}")
_SHIPPED = "templates.yaml"


@dataclass(frozen=True)
class Template:
    """The messages of a prompt, with ``{placeholders}``.

    Attributes:
        user: the user's message.
        system: the system message; "" for none.
        answer: what is to be answered, such as "the label", for ``{reply}``: the sentence by which
            the completion format asks for it. "": the template asks in words of its own.
    """

    user: str
    system: str = ""
    answer: str = ""

    def fill(self, values: Mapping[str, str]) -> tuple[str, str]:
        """Return the texts of the user's and the system message."""
        return fill(self.user, values), fill(self.system, values)


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return a text with its placeholders filled in, without lines that had only empty ones.

    >>> fill("Labels: {labels}. {question}", {"labels": "a; b", "question": "Which?"})
    'Labels: a; b. Which?'
    """
    lines = []
    for line in text.strip().split("\n"):
        names = _PLACEHOLDER.findall(line)
        if not names or any(values[name] for name in names):
            lines.append(_PLACEHOLDER.sub(lambda found: values[found[1]], line))
    return "\n".join(lines)


@dataclass(frozen=True)
class Templates:
    """The templates of all kinds of tasks, and a sentence for each frame of coordinates."""

    kinds: Mapping[str, Template]
    frames: Mapping[str, str]

    def of(self, task: Task) -> Template:
        """Return the template of a task's kind.

        Raises:
            ConfigError: if it asks, in words of its own, for another format of completions than the
                task's.
        """
        kind = kind_of(task)
        name = kind.template(task)
        found = self.kinds.get(name)
        if found is None:
            found = _template(f"kind {kind.name}: template {name}", kind.templates[name])
        wanted = format_of(task.reward.completion_format)
        text = f"{found.user}\n{found.system}"
        if _REPLY not in text and not all(mark in text for mark in wanted.marks):
            raise ConfigError(
                f"template {name}: it has neither {_REPLY} nor {', '.join(wanted.marks)}, which "
                f"completion_format {quote(wanted.name)} of task {quote(task.name)} needs"
            )
        return found

    def reply(self, task: Task) -> str:
        """Return the sentence that asks for the answer in the task's completion format."""
        return format_of(task.reward.completion_format).instruct(self.of(task).answer)

    def frame(self, task: Task) -> str:
        """Return the sentence on the frame of the answer's boxes or polygons, else ""."""
        return self.frames[task.reward.frame] if "frame" in kind_of(task).settings else ""


def load_templates(path: str | Path | Templates | None = None) -> Templates:
    """Return the shipped templates, with those of a file of the user's in their place.

    Templates that are loaded already are returned as they are.

    Raises:
        ConfigError: if the file cannot be read, a template has an unknown placeholder, or lacks
            the question, the knowledge or the answer's tags.
    """
    if isinstance(path, Templates):
        return path
    shipped = _shipped()
    if path is None:
        return shipped
    text = read_text(path, what="template")
    own = _parse(text, str(path), [*shipped.kinds], [*shipped.frames])
    return Templates({**shipped.kinds, **own.kinds}, {**shipped.frames, **own.frames})


@cache
def _shipped() -> Templates:
    text = files("medreward.priors").joinpath(_SHIPPED).read_text(encoding="utf-8")
    return _parse(text, _SHIPPED, None, None)


def _parse(text: str, where: str, kinds: list[str] | None, frames: list[str] | None) -> Templates:
    """Return the templates of a YAML text; `kinds` and `frames` are the names allowed in it."""
    try:
        content = parse_yaml(text)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    if not isinstance(content, Mapping) or not content:
        raise ConfigError(f"{where}: not a mapping of kinds of tasks to templates")
    sentences = content.get("frames", {})
    if not isinstance(sentences, Mapping):
        raise ConfigError(
            f"{where}: frames: {quote(sentences)} is not a mapping of frames to sentences"
        )
    for name, sentence in sentences.items():
        _known(f"{where}: frames", name, frames)
        if not isinstance(sentence, str):
            raise ConfigError(f"{where}: frames.{name}: {quote(sentence)} is not a text")
    made = {}
    for kind, value in content.items():
        if kind != "frames":
            _known(f"{where}: kind of task", kind, kinds and [*kinds, "frames"])
            made[kind] = _template(f"{where}: {kind}", value)
    return Templates(made, dict(sentences))


def _known(what: str, name: object, allowed: list[str] | None) -> None:
    if allowed is not None and name not in allowed:
        raise expected(what, name, allowed)


def _template(where: str, value: Any) -> Template:
    parts = {"user": value} if isinstance(value, str) else value
    if not isinstance(parts, Mapping) or "user" not in parts:
        raise ConfigError(
            f"{where}: {quote(value)} is neither a text nor a mapping with user, system"
        )
    for name, text in parts.items():
        _known(f"{where}: message", name, [*_PARTS])
        if not isinstance(text, str):
            raise ConfigError(f"{where}.{name}: {quote(text)} is not a text")
        if name != "answer":
            _check(f"{where}.{name}", text)
    whole = parts["user"] + parts.get("system", "")
    for needed in _NEEDED:
        if needed not in whole:
            raise ConfigError(f"{where}: has no {needed}, without which rewards mean nothing")
    marks = [mark for name in format_names() for mark in format_of(name).marks]
    if _REPLY not in whole and not any(mark in whole for mark in marks):
        raise ConfigError(
            f"{where}: has no {' or '.join(marks)}, nor {_REPLY}, without which rewards mean "
            f"nothing"
        )
    if (_REPLY in whole) != ("answer" in parts):
        raise ConfigError(
            f"{where}: {_REPLY} and the field 'answer', which it asks for, go together"
        )
    return Template(parts["user"], parts.get("system", ""), parts.get("answer", ""))


def _check(where: str, text: str) -> None:
    for name in _PLACEHOLDER.findall(text):
        if name not in PLACEHOLDERS:
            raise expected(f"{where}: placeholder", name, PLACEHOLDERS)
    if IMAGE_MARK in text:
        raise ConfigError(f"{where}: has {IMAGE_MARK}, which is put before the user's text anyway")
