"""A completion whose answer is judged: what the parts of the reward are made from."""

from __future__ import annotations

from typing import Any, NamedTuple

from medreward.kinds.verdict import Verdict
from medreward.task.task import Task
from medreward.text.completion import Completion


class Judged(NamedTuple):
    """A completion before its parts are counted.

    Attributes:
        completion: the completion, taken apart.
        verdict: what its answer earns, and why.
        knowledge: the text that was injected into the prompt.
        target: the row's target, parsed.
        task: the card.

    >>> from medreward import Task
    >>> from medreward.scoring import Scorer
    >>> scorer = Scorer(Task.load("yes_no"))
    >>> judged = scorer.judged("<think>x</think><answer>no</answer>", "yes", "")
    >>> judged.completion.answer, judged.verdict.value
    ('no', 0.0)
    """

    completion: Completion
    verdict: Verdict
    knowledge: str
    target: Any
    task: Task
