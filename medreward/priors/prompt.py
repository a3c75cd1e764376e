"""A task's question with prior knowledge (PA_p), as the text of a prompt."""

from __future__ import annotations

from typing import NamedTuple

from medreward.task import Task

_FORMAT = (
    "First reason about the image inside <think> </think>, then give only the {what} inside "
    "<answer> </answer>."
)
_WHAT = {
    "classification": "label",
    "ordinal": "grade as a number",
    "multilabel": "labels that apply, or no finding,",
    "localisation": "list of boxes [[x1, y1, x2, y2]]",
    "segmentation": "list of polygons [[x1, y1, x2, y2, x3, y3, ...]]",
}
_BOXES_WITH_LABELS = 'list of boxes [{"bbox_2d": [x1, y1, x2, y2], "label": ...}]'


class Prompt(NamedTuple):
    """The text of a prompt, and the knowledge in it for the recitation reward to compare with."""

    text: str
    knowledge: str


def build_prompt(task: Task, level: str = "full") -> Prompt:
    """Return the prompt of a task with its knowledge at a level: "none", "context" or "full".

    >>> prompt = build_prompt(Task.load("pneumoniamnist"), "none")
    >>> print(prompt.text)  # doctest: +ELLIPSIS
    This is a frontal chest radiograph of a child. Does it show pneumonia, or is it normal?
    Possible labels: normal; pneumonia.
    First reason about the image inside <think> </think>, then give only the label inside ...
    """
    knowledge = task.knowledge_text(level)
    what = _BOXES_WITH_LABELS if task.kind == "localisation" and task.labels else _WHAT[task.kind]
    lines = [task.question, knowledge, _choices(task), _FORMAT.format(what=what)]
    return Prompt("\n".join(line for line in lines if line), knowledge)


def _choices(task: Task) -> str:
    if task.kind in ("classification", "multilabel", "localisation") and task.labels:
        return f"Possible labels: {'; '.join(label.name for label in task.labels)}."
    return ""
