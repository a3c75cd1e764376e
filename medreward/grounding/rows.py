"""Grounding questions about a rendered image -> rows, each with the task that rewards it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from medreward.data.render import Rendered
from medreward.data.rows import Row, make_row
from medreward.data.sources.record import Record
from medreward.geometry.frames import qwen_resized
from medreward.geometry.regions import Box
from medreward.grounding.phrases import slugs, wordings
from medreward.grounding.questions import ANY, CARDS, Plan, Question
from medreward.kinds.truth import ground_truth
from medreward.priors.prompt import Prompt, PromptBuilder
from medreward.task.task import Task


class GroundingRows:
    """Makes the rows of each image that a plan has questions about.

    Args:
        plan: the questions.
        prompts: of the user's card, whose knowledge, level, order and budget are kept.
        seen: what the processor's resize goes by (`medreward.prepare.options.Options`).
        asked: gives the cards of the questions the settings that prompts are to ask for; None:
            their own.

    Attributes:
        plan: the questions.
    """

    def __init__(
        self,
        plan: Plan,
        prompts: PromptBuilder,
        seen: tuple[int, int, int] | None = None,
        asked: Callable[[Task], Task] | None = None,
    ) -> None:
        self.plan, self._base, self._seen = plan, prompts, seen
        self._slugs = slugs(plan.names)
        cards = {ask: Task.load(name) for ask, name in CARDS.items()}
        self._tasks: Mapping[str, Task] = {
            ask: asked(card) if asked else card for ask, card in cards.items()
        }
        self._builders: dict[tuple[str, str], PromptBuilder] = {}

    def total(self, ids: Iterator[str]) -> int:
        """Return how many rows the images of these ids are to give."""
        return sum(len(self.plan.questions.get(name, ())) for name in ids)

    def rows(
        self, record: Record, result: Rendered, note: Callable[[Prompt, str], object]
    ) -> Iterator[Row]:
        """Yield a row for each question about an image, with boxes in pixels of the row's image.

        A question is left out if rendering lost a box of what it asks about.

        Args:
            record: the image's record.
            result: the image.
            note: is told of each prompt, and what it asks for: "where, WBC", "where, no WBC".
        """
        before = Counter(box.name for box in record.boxes or ())
        lost = before - Counter(box.name for box in result.boxes)
        for question in self.plan.questions.get(record.id, ()):
            if not (lost[question.name] or (question.name == ANY and lost)):
                yield self._row(question, record, result, note)

    def _row(
        self,
        question: Question,
        record: Record,
        result: Rendered,
        note: Callable[[Prompt, str], object],
    ) -> Row:
        ask, name, _ = question
        boxes = [box.box for box in result.boxes if name in (ANY, box.name)]
        parts = [record.id, ask, *([] if name == ANY else [self._slugs[name]])]
        prompt = self.prompt(question, row_id := "-".join(parts))
        note(prompt, f"{ask}, {'' if boxes else 'no '}{name or 'object'}")
        split = str(record.split)
        seen = self._seen and qwen_resized(result.size, *self._seen)
        right = truth(self._tasks[ask], ask, boxes, result.size, seen)
        return make_row(self._tasks[ask], prompt, right, result.png, id=row_id, split=split)

    def prompt(self, question: Question, row_id: str) -> Prompt:
        """Return the prompt of a question, with the knowledge of the user's card."""
        key = question.ask, question.text
        if key not in self._builders:
            self._builders[key] = self._builder(question)
        return self._builders[key](row_id)

    def _builder(self, question: Question) -> PromptBuilder:
        base = self._base
        # The shipped card rewards the answer, so its frame is the one to name.
        reward = self._tasks[question.ask].reward
        return PromptBuilder(
            replace(base.task, question=question.text, reward=reward),
            base.level,
            shuffle=base.shuffled,
            seed=base.seed,
            budget=base.budget,
            tokenizer=base.tokenizer,
            template=wordings()[question.ask].prompt,
        )


def truth(
    task: Task,
    ask: str,
    boxes: Sequence[Box],
    size: tuple[int, int],
    seen: tuple[int, int] | None = None,
) -> str:
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
    return ground_truth(task, {"boxes": boxes, "size": size, "seen": seen})
