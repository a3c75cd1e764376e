"""Classification: one of several labels is right. Accuracy: 1 for it, else 0."""

from __future__ import annotations

from medreward.kinds.reading import read_label
from medreward.kinds.single import SingleLabel
from medreward.kinds.verdict import Verdict
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.task.traits import Trait


def label_reward(answer: str | None, target: int, task: Task) -> Verdict:
    """Return 1 if `answer` asserts the label with index `target` and no other, else 0.

    >>> task = Task("demo", labels=["normal", "pneumonia"])
    >>> label_reward("pneumonia", 1, task).value, label_reward("no pneumonia", 1, task).reason
    (1.0, 'label_denied')
    """
    label, reason, unread = read_label(answer, task)
    if label is None:
        return Verdict(0.0, reason, unread=unread)
    name = task.labels[label].name
    return Verdict(1.0, "correct", name) if label == target else Verdict(0.0, "wrong_label", name)


class Classification(SingleLabel):
    """One of several labels."""

    name = "classification"
    traits = frozenset((Trait.NAMES_LABELS, Trait.ONE_ANSWER))

    def reward(
        self, answer: str | None, target: int, task: Task, settings: RewardSettings
    ) -> Verdict:
        """Return 1 for the right label, else 0."""
        return label_reward(answer, target, task)

    def neighbours(self, task: Task, index: int) -> list[int]:
        """Return all other labels: they have no order."""
        return [i for i in range(len(task.labels)) if i != index]

    def sample(self, task: Task, index: int) -> str:
        """Return the label's name."""
        return task.labels[index].name
