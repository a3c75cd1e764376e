"""Grounding questions about a rendered image -> rows, each with the task that rewards it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from medreward.data.render import Rendered
from medreward.data.rows import Row, ground_truth, row
from medreward.data.sources.record import Record
from medreward.perception.grounding import ANY, CARDS, Plan, Question
from medreward.perception.phrases import slugs, wordings
from medreward.priors.prompt import Prompt, build_prompt
from medreward.regions import Box
from medreward.task import Statement, Task


class GroundingRows:
    """Makes the rows of each image that a plan has questions about.

    Attributes:
        plan: the questions.
        counts: split -> "where, WBC" or "where, no WBC" -> number of rows made so far.
    """

    def __init__(self, plan: Plan, task: Task, level: str) -> None:
        self.plan = plan
        self.counts: dict[str, Counter[str]] = {}
        self._knowledge = task.knowledge_text(level)
        self._slugs = slugs(plan.names)
        self._tasks: Mapping[str, Task] = {ask: Task.load(name) for ask, name in CARDS.items()}
        self._prompts: dict[tuple[str, str], Prompt] = {}

    def total(self, ids: Iterator[str]) -> int:
        """Return how many rows the images of these ids are to give."""
        return sum(len(self.plan.questions.get(name, ())) for name in ids)

    def rows(self, record: Record, result: Rendered) -> Iterator[Row]:
        """Yield a row for each question about an image, with boxes in pixels of the row's image.

        A question is left out if rendering lost a box of what it asks about.
        """
        before = Counter(box.name for box in record.boxes or ())
        lost = before - Counter(box.name for box in result.boxes)
        for question in self.plan.questions.get(record.id, ()):
            if not (lost[question.name] or (question.name == ANY and lost)):
                yield self._row(question, record, result)

    def _row(self, question: Question, record: Record, result: Rendered) -> Row:
        ask, name, _ = question
        boxes = [box.box for box in result.boxes if name in (ANY, box.name)]
        split = str(record.split)
        counted = f"{ask}, {'' if boxes else 'no '}{name or 'object'}"
        self.counts.setdefault(split, Counter())[counted] += 1
        parts = [record.id, ask, *([] if name == ANY else [self._slugs[name]])]
        return row(
            self._tasks[ask],
            self._prompt(question),
            truth(self._tasks[ask], ask, boxes, result.size),
            result.png,
            id="-".join(parts),
            split=split,
        )

    def _prompt(self, question: Question) -> Prompt:
        key = question.ask, question.text
        if key not in self._prompts:
            knowledge = (Statement(self._knowledge, "card"),) if self._knowledge else ()
            asked = replace(self._tasks[question.ask], question=question.text, knowledge=knowledge)
            what = wordings()[question.ask].answer
            self._prompts[key] = build_prompt(asked, "context", what=what)
        return self._prompts[key]


def truth(task: Task, ask: str, boxes: Sequence[Box], size: tuple[int, int]) -> str:
    """Return the ground truth of a question whose class has these boxes in an image of that size.

    >>> truth(Task.load("grounding_count"), "count", [(0, 0, 5, 5), (3, 3, 9, 9)], (10, 10))
    '2'
    >>> truth(Task.load("grounding_present"), "present", [], (10, 10))
    'no'
    """
    if ask == "count":
        return ground_truth(task, len(boxes))
    if ask == "present":
        return ground_truth(task, "yes" if boxes else "no")
    return ground_truth(task, {"boxes": boxes, "size": size})
