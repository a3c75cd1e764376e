"""A kind, a part, a completion format and a source of one's own: what adding one takes.

Each is one class and one line that registers it; `tests/test_additions.py` uses them everywhere.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from PIL import Image

from medreward.data.sources.base import SourceType, option
from medreward.data.sources.record import Picture, ReadingOptions, Record, Source
from medreward.data.sources.registry import SOURCES
from medreward.errors import ConfigError
from medreward.kinds.base import Kind, TargetType
from medreward.kinds.honest import Honest
from medreward.kinds.verdict import Verdict
from medreward.scoring.judged import Judged
from medreward.scoring.parts.base import Part, register_part, remove_part
from medreward.task.registry import register_kind, remove_kind
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.task.traits import Trait
from medreward.text.completion import Completion, CompletionLike, completion_text
from medreward.text.formats.base import CompletionFormat
from medreward.text.formats.registry import register_format, remove_format


class FirstLetter(Kind):
    """A label by its first letter."""

    name = "first_letter"
    traits = frozenset((Trait.NAMES_LABELS, Trait.ONE_ANSWER))
    target_type = TargetType.LABEL
    templates = {  # noqa: RUF012 - the protocol's class variable
        "first_letter": {
            "user": "{question}\n{knowledge}\nLabels: {labels}.\n{reply}",
            "answer": "the first letter of the label",
        }
    }

    def parse(self, task: Task, target: object) -> int:
        return task.target_index(target)

    def to_text(self, task: Task, target: int) -> str:
        return task.answer_name(target)

    def reward(
        self, answer: str | None, target: int, task: Task, settings: RewardSettings
    ) -> Verdict:
        letters = [label.name[0].lower() for label in task.labels]
        said = (answer or "").lower()
        if said not in letters:
            return Verdict(0.0, "label_unknown" if answer else "no_answer")
        name = task.labels[letters.index(said)].name
        right = letters.index(said) == target
        return Verdict(float(right), "correct" if right else "wrong_label", name)

    def right(self, task: Task, target: int, settings: RewardSettings) -> str:
        return task.labels[target].name[0]

    def honest(self, task: Task, targets: Sequence[object] | None) -> Iterator[Honest]:
        letters = [label.name[0] for label in task.labels]
        chosen = range(len(letters)) if targets is None else map(task.target_index, targets)
        for index in dict.fromkeys(chosen):
            others = tuple(letter for i, letter in enumerate(letters) if i != index)
            yield Honest(
                task.labels[index].name,
                right=letters[index],
                wrong=others,
                near=others,
                names=(letters[index],),
                others=others,
            )


class Brevity(Part):
    """1 for a completion of at most 200 characters, else 0."""

    name = "brevity"
    default_weight = 0.01

    def bounds(self, settings: RewardSettings) -> tuple[float, float]:
        return 0.0, 1.0

    def values(self, rows: Sequence[Judged], settings: RewardSettings) -> list[float]:
        return [float(len(row.completion.text) <= 200) for row in rows]


class AnswerLine(CompletionFormat):
    """Reasoning, and a last line "Answer: …"."""

    name = "answer_line"
    about = "Answer: … in the last line"
    marks = ("Answer:",)

    def parse(self, completion: CompletionLike) -> Completion:
        text = completion_text(completion)
        think, found, answer = text.rpartition("\nAnswer: ")
        if not found:
            return Completion(text, None, None, ("no_answer_tag",))
        return Completion(text, think, answer.strip(), ())

    def write(self, reasoning: str | None, answer: str) -> str:
        return f"{reasoning or ''}\nAnswer: {answer}"

    def instruct(self, answer: str) -> str:
        return f'Reason first; then write "Answer: " and {answer} in the last line.'


class GreyImages(SourceType):
    """So many grey images, of labels in turn."""

    flags = (option("--grey", metavar="LABEL,LABEL", help="labels of grey images"),)

    def open(self, arguments: argparse.Namespace) -> Source:
        labels = str(arguments.grey).split(",")
        if "" in labels:
            raise ConfigError("--grey: a label is empty")
        records = [
            Record(f"grey-{i}", f"grey {i}", i, label=labels[i % len(labels)], key=str(i))
            for i in range(24)
        ]
        return Source("grey images", records, draw_grey)


def draw_grey(place: Any, reading: ReadingOptions) -> Picture:
    """Return one of the images."""
    image = Image.new("L", (16, 16), 8 * place)
    image.putpixel((place % 16, place // 16), 255)
    return Picture(image)


@contextmanager
def first_letter() -> Iterator[None]:
    register_kind(FirstLetter())
    try:
        yield
    finally:
        remove_kind("first_letter")


@contextmanager
def brevity() -> Iterator[None]:
    register_part(Brevity())
    try:
        yield
    finally:
        remove_part("brevity")


@contextmanager
def answer_line() -> Iterator[None]:
    register_format(AnswerLine())
    try:
        yield
    finally:
        remove_format("answer_line")


@contextmanager
def grey_images() -> Iterator[None]:
    SOURCES.append(GreyImages())
    try:
        yield
    finally:
        SOURCES.pop()
