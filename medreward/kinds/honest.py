"""Honest answers to a target: the right one, outright wrong ones and near misses."""

from __future__ import annotations

from dataclasses import dataclass

from medreward.geometry.regions import Box, Size

# The image of a kind's own sample targets: width and height.
SAMPLE_SIZE = (224.0, 224.0)


@dataclass(frozen=True)
class Honest:
    """A target and what an honest policy could answer.

    Attributes:
        target: the target, as `Task.parse_target` takes it.
        right: the right answer.
        wrong: answers that are outright wrong, the worst known first.
        near: near misses: the neighbouring grades, a label too many or too few, boxes half off.
        names: what the right answer names, one by one.
        others: what the task could be answered with instead, one by one.
        boxes: the true boxes of a target of places, in the frame in which answers are given.
        classes: the name of each box's label, in a task that has labels.
        size: width and height of the image that the boxes lie in.
        empty: whether the right answer is that there is nothing.

    >>> Honest(2, right="2", wrong=("0",), near=("1", "3")).empty
    False
    """

    target: object
    right: str
    wrong: tuple[str, ...]
    near: tuple[str, ...]
    names: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()
    classes: tuple[str, ...] = ()
    size: Size = SAMPLE_SIZE
    empty: bool = False
