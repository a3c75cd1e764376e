"""Answers that repeat what readers look for, and how the time of reading them grows.

Repeated are all words that answers may have, pairs of those of different use, every ASCII character
that is no letter, and tags and brackets: alone, beside a label, one block behind another; for every
kind of task. The limits on an answer's length are lifted, as they would hide how
the time grows.
"""

from __future__ import annotations

import string
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from random import Random
from time import process_time
from typing import Any, NamedTuple
from unittest.mock import patch

from medreward import RewardSettings, Task
from medreward.kinds import pointing, reading, segmentation
from medreward.kinds.boxes import read
from medreward.language.vocabulary import phrases_of
from medreward.scoring.scorer import Scorer

SHORT, LONG = 3_000, 24_000  # characters
# Time may grow by so much more than length: caches and the collector of garbage, not a square.
SLACK = 2.0
# Less than this is noise on a busy machine.
MEASURABLE = 0.04
RETRIES = 4
_UNLIMITED = 2**30


class Example(NamedTuple):
    """A task, a target, and two answers to it: one says that nothing is there where it can."""

    task: Task
    target: Any
    nothing: str
    something: str


BOX = [[10, 10, 50, 50]]
EXAMPLES = {
    "classification": Example(Task.load("yes_no"), "no", "no", "yes"),
    "ordinal": Example(Task.load("retinamnist"), 2, "0", "2"),
    "multilabel": Example(Task.load("chestmnist"), {0}, "no finding", "effusion"),
    "localisation": Example(Task.load("grounding_where"), BOX, "nothing", "[10, 10, 50, 50]"),
    "multi_image_localisation": Example(
        Task("slices", kind="multi_image_localisation"),
        {"images": [[], BOX]},
        "nothing",
        "Image 2: [10, 10, 50, 50]",
    ),
    "segmentation": Example(
        Task("segmentation", kind="segmentation", reward=RewardSettings(delta=0.0)),
        {"polygons": [[2, 2, 8, 2, 8, 8, 2, 8]], "size": [16, 16]},
        "nothing",
        "[[2, 2, 8, 2, 8, 8]]",
    ),
    "pointing": Example(Task.load("grounding_point"), BOX, "none", "[30, 30]"),
    "choice": Example(
        Task("choice", kind="choice"),
        {"options": ["normal", "effusion", "mass"], "answer": "B"},
        "none",
        "B. effusion",
    ),
    "short_answer": Example(
        Task("short_answer", kind="short_answer", reward={"answer_quality": "f1", "delta": 0}),
        {"answers": ["pleural effusion"], "not": ["mass"]},
        "none",
        "pleural effusion",
    ),
    "free_report": Example(
        Task("free_report", kind="free_report", reward={"delta": 0}),
        "The heart is of normal size. No effusion.",
        "No finding",
        "The heart is enlarged.",
    ),
    "report": Example(
        Task("report", kind="report", labels=["effusion", "mass"], reward={"delta": 0}),
        {"effusion": "present", "mass": "absent"},
        "no finding",
        "effusion: present",
    ),
    "number": Example(Task("number", kind="number"), "3.2 cm", "none", "3.2 cm"),
    "fields": Example(
        Task(
            "fields",
            kind="fields",
            fields={"a": Task("a", labels=["left", "right"]), "b": Task("b", kind="number")},
        ),
        {"a": "left", "b": 2},
        "a: left",
        '{"a": "left", "b": 2}',
    ),
}
PHRASES = phrases_of("en")
# Of the longest lists, whose words all do the same, those of `representatives` have to do.
WORDS = [f"{phrase} " for phrase, name in PHRASES.items() if name not in ("modifiers", "nouns")]
CHARACTERS = [
    *string.punctuation, *string.digits, *" \t\n", "\u00a0", "\u200b", "\u0301", "\u2610", "\u2022",
    "\u00b2", "\u2192", "\u2265", "\u00bd", "&lt;", "&amp;", "\n- ", "\n\n", ", ", ". ", "? ", ": ",
    " - ", "...", "1.", "7% ", "2/", "non-", "a'",
]  # fmt: skip
MARKUP = [
    "[]", "{}", "()", "[ ] ", "( ", ") ", "<b>", "</b>", "<s>", "</del>", "<box>", "</box>",
    "<|box_start|>", "<ref>", "```json ", "~~", "\\sout ", "\\cancel{", "[1", "[1, 2]",
    "[1, 2, 3, 4]", "(1, 2)", "(1, 2), ", '{"a": ', '"a" ', '"a": [], ', "'a' ", "nan ", "1e5 ",
    '{"bbox_2d": [1, 2, 3, 4], "label": "x"}, ', '{"point_2d": [1, 2]}, ',
]  # fmt: skip


class Shape(NamedTuple):
    """What is repeated in an answer: `unit`, and then `behind`; and what stands before that."""

    before: str
    unit: str
    behind: str = ""

    def answer(self, length: int) -> str:
        """Return an answer of about this many characters."""
        blocks = [text for text in (self.unit, self.behind) if text]
        share = length // len(blocks)
        return self.before + "".join(text * (share // len(text)) for text in blocks)


def representatives() -> list[str]:
    """Return two phrases of each list of words, and the characters and markup that matter most."""
    of_list: dict[str, list[str]] = defaultdict(list)
    for phrase, name in PHRASES.items():
        of_list[name].append(f"{phrase} ")
    chosen = {phrase for phrases in of_list.values() for phrase in (phrases[0], phrases[-1])}
    marks = (", ", ". ", "? ", ": ", " - ", "( ", ") ", "/", "\n", "\n- ", "...", "0 ", "7% ")
    return [*sorted(chosen), "zorb ", *marks, "[1, 2, 3, 4]", "[] ", "<b>", "</del>", '"a": [], ']


def single_shapes(example: Example) -> Iterator[Shape]:
    """Yield everything repeated, alone and beside the example's answers."""
    nothing, something = example.nothing, example.something
    for unit in [*WORDS, *CHARACTERS, *MARKUP]:
        yield Shape("", unit)
        yield Shape(f"{nothing} ", unit)
        yield Shape("", f"{unit}{nothing} ")
        yield Shape("", f"{something}, {unit}")


def pair_shapes(example: Example, count: int | None = None) -> Iterator[Shape]:
    """Yield pairs repeated in turn, beside an answer, and one block behind the other.

    Args:
        example: the task and its answers.
        count: how many, drawn by chance; None: all pairs.
    """
    answers = [f"{example.nothing} ", f"{example.something} ", f"{example.nothing}, "]
    units = [*representatives(), *answers]
    pairs = list(product(units, units))
    for one, other in pairs if count is None else Random(0).choices(pairs, k=count // 3):
        yield Shape("", one + other)
        yield Shape("", f"{one}{other}{example.something} ")
        yield Shape("", one, other)


@contextmanager
def unlimited() -> Iterator[None]:
    """Lift the limits on the length of an answer."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(reading.unreadable, "__defaults__", (_UNLIMITED,)))
        for module in (read, pointing, segmentation):
            stack.enter_context(patch.object(module, "MAX_LENGTH", _UNLIMITED))
        stack.enter_context(patch.object(segmentation, "MAX_ANSWER_LENGTH", _UNLIMITED))
        yield


class Reader:
    """Measures how long one kind's answers take."""

    def __init__(self, kind: str) -> None:
        example = EXAMPLES[kind]
        self._scorer = Scorer(example.task)
        self._target = example.task.parse_target(example.target)

    def seconds(self, shape: Shape, length: int) -> float:
        """Return the processor time of one score."""
        text = f"<think>x</think><answer>{shape.answer(length)}</answer>"
        start = process_time()
        self._scorer.score(text, self._target)
        return process_time() - start

    def growth(self, shape: Shape) -> tuple[float, float]:
        """Return the seconds at `LONG`, and by how much more than in proportion they grew."""
        least = {SHORT: float("inf"), LONG: float("inf")}
        grown = float("inf")
        for _ in range(RETRIES):
            least = {length: min(s, self.seconds(shape, length)) for length, s in least.items()}
            grown = least[LONG] / least[SHORT] * SHORT / LONG
            if grown <= SLACK or least[LONG] < MEASURABLE:
                break
        return least[LONG], grown


def measure_kind(kind: str, pairs: int | None) -> tuple[int, float, list[tuple[float, Shape]]]:
    """Return how many shapes there are, the longest seconds, and what grows faster than length."""
    reader, count, longest, faster = Reader(kind), 0, 0.0, []
    for make in (single_shapes(EXAMPLES[kind]), pair_shapes(EXAMPLES[kind], pairs)):
        for shape in make:
            seconds, grown = reader.growth(shape)
            count, longest = count + 1, max(longest, seconds)
            if grown > SLACK and seconds >= MEASURABLE:
                faster.append((grown, shape))
    return count, longest, faster
