"""Accuracy: 1 for the right label, else 0."""

from __future__ import annotations

from medreward.kinds.reading import read_label
from medreward.kinds.verdict import Verdict
from medreward.task.task import Task


def label_reward(answer: str | None, target: int, task: Task) -> Verdict:
    """Return 1 if `answer` asserts the label with index `target` and no other, else 0.

    >>> task = Task("demo", labels=["normal", "pneumonia"])
    >>> label_reward("pneumonia", 1, task).value, label_reward("no pneumonia", 1, task).reason
    (1.0, 'label_denied')
    """
    label, reason = read_label(answer, task)
    if label is None:
        return Verdict(0.0, reason)
    name = task.labels[label].name
    return Verdict(1.0, "correct", name) if label == target else Verdict(0.0, "wrong_label", name)
