"""Which statements of prior knowledge a prompt holds, and in which order.

Context comes before attributes. Attributes go by label, the labels in the given order. Where not
all of it may stay, attributes go first: the last one of *every* label that has so many, then the
one before, so that labels stay balanced. Then context goes, from its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from medreward.errors import expected
from medreward.kinds.base import kind_of
from medreward.task.labels import Statement
from medreward.task.task import KNOWLEDGE_LEVELS, Task


@dataclass(frozen=True)
class Selection:
    """How much of a card's knowledge is kept.

    Attributes:
        context: how many statements about the task, from the first.
        attributes: how many attributes of each label, from the first; a label may have fewer.
    """

    context: int
    attributes: int

    def statements(self, task: Task, order: Sequence[int]) -> list[Statement]:
        """Return the statements that are kept, the labels' in `order`."""
        kept = list(task.knowledge[: self.context])
        return kept + [s for i in order for s in task.labels[i].attributes[: self.attributes]]

    def left_out(self, task: Task, level: str) -> tuple[Statement, ...]:
        """Return the statements of a level that are not kept, in the card's order."""
        whole = selections(task, level)[0]
        rest = list(task.knowledge[self.context : whole.context])
        for label in task.labels:
            rest += label.attributes[self.attributes : whole.attributes]
        return tuple(rest)


def selections(task: Task, level: str) -> list[Selection]:
    """Return what may be kept of a level's knowledge, from all of it to nothing.

    >>> from medreward import Label
    >>> fact = Statement("It is round.", "source")
    >>> task = Task("t", labels=("a", Label("b", attributes=(fact, fact))), knowledge=(fact,))
    >>> [tuple(vars(s).values()) for s in selections(task, "full")]
    [(1, 2), (1, 1), (1, 0), (0, 0)]

    Raises:
        ConfigError: if there is no such level.
    """
    if level not in KNOWLEDGE_LEVELS:
        raise expected("knowledge level", level, KNOWLEDGE_LEVELS)
    context = len(task.knowledge) if level != "none" else 0
    most = max((len(label.attributes) for label in task.labels), default=0)
    rounds = most if level == "full" else 0
    return [Selection(context, n) for n in range(rounds, 0, -1)] + [
        Selection(n, 0) for n in range(context, -1, -1)
    ]


def is_shuffled(task: Task, shuffle: bool | None) -> bool:
    """Whether labels are shuffled; None: unless they are grades, whose order says something."""
    return kind_of(task).shuffles if shuffle is None else shuffle


def label_order(task: Task, row: str, seed: int) -> list[int]:
    """Return the indices of the task's labels in the order that a row and a seed give.

    Each label's place goes by a hash of its name, so it depends on neither the level of knowledge
    nor the version of Python, and labels keep their relative order when a card gets another one.

    >>> task = Task("t", labels=["a", "b", "c"])
    >>> label_order(task, "train-0", 0), label_order(task, "train-6", 0)
    ([0, 2, 1], [2, 1, 0])
    """

    def place(index: int) -> bytes:
        text = f"{seed}/label order/{row}/{task.labels[index].name}"
        return sha256(text.encode("utf-8", "surrogatepass")).digest()

    return sorted(range(len(task.labels)), key=place)
