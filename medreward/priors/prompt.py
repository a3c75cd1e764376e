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
}
_BOXES_WITH_LABELS = 'list of boxes [{"bbox_2d": [x1, y1, x2, y2], "label": ...}]'


class Prompt(NamedTuple):
    """The text of a prompt, and the knowledge in it for the recitation reward to compare with."""

    text: str
    knowledge: str


def build_prompt(task: Task, level: str = "full", *, what: str = "") -> Prompt:
    """Return the prompt of a task with its knowledge at a level: "none", "context" or "full".

    `what` says what the answer is to hold, where the words for the task's kind do not fit.

    >>> prompt = build_prompt(Task.load("pneumoniamnist"), "none")
    >>> print(prompt.text)  # doctest: +ELLIPSIS
    This is a frontal chest radiograph of a child. Does it show pneumonia, or is it normal?
    Possible labels: normal; pneumonia.
    First reason about the image inside <think> </think>, then give only the label inside ...
    """
    knowledge = task.knowledge_text(level)
    if not what:
        labelled = task.kind == "localisation" and task.labels
        what = _BOXES_WITH_LABELS if labelled else _WHAT[task.kind]
    lines = [task.question, knowledge, _choices(task), _FORMAT.format(what=what)]
    return Prompt("\n".join(line for line in lines if line), knowledge)


def _choices(task: Task) -> str:
    if task.kind in ("classification", "multilabel", "localisation") and task.labels:
        return f"Possible labels: {'; '.join(label.name for label in task.labels)}."
    return ""
