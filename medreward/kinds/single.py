"""What classification and ordinal tasks share: one label or grade is right."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence

from medreward.kinds.base import Kind, TargetType
from medreward.kinds.honest import Honest
from medreward.task.settings import RewardSettings
from medreward.task.task import Task

_MOST_WRONG = 4  # so many wrong answers are given for each target


class SingleLabel(Kind):
    """A kind whose targets are the index of one label."""

    target_type = TargetType.LABEL

    def parse(self, task: Task, target: object) -> int:
        """Return the index of the label that a target gives by name, synonym, index or grade."""
        return task.target_index(target)

    def asserted_labels(self, target: int) -> frozenset[int]:
        """Return the one label."""
        return frozenset({target})

    def to_text(self, task: Task, target: int) -> str:
        """Return the label's name, or the number of a grade."""
        return task.answer_name(target)

    def right(self, task: Task, target: int, settings: RewardSettings) -> str:
        """Return the label's name as it is shown, or the number of a grade."""
        return task.shown_name(target)

    @abstractmethod
    def neighbours(self, task: Task, index: int) -> list[int]:
        """Return the labels that are a near miss where `index` is right."""

    @abstractmethod
    def sample(self, task: Task, index: int) -> object:
        """Return the target that stands for a label, as data have it."""

    def honest(self, task: Task, targets: Sequence[object] | None) -> Iterator[Honest]:
        """Yield each label, or each of `targets`, with the other labels as wrong answers."""
        names = [task.shown_name(i) for i in range(len(task.labels))]
        chosen = range(len(names)) if targets is None else map(task.target_index, targets)
        for index in dict.fromkeys(chosen):
            others = tuple(name for i, name in enumerate(names) if i != index)
            near = tuple(names[i] for i in self.neighbours(task, index))
            yield Honest(
                self.sample(task, index),
                right=names[index],
                wrong=tuple(dict.fromkeys([*near, *others]))[:_MOST_WRONG],
                near=near,
                names=(names[index],),
                others=others,
            )
