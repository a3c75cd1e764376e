"""A task's question with prior knowledge (PA_p), as the messages of a prompt."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from medreward.checks import whole
from medreward.errors import ConfigError, quote
from medreward.kinds.base import kind_of
from medreward.priors.selection import Selection, is_shuffled, label_order, selections
from medreward.priors.template import IMAGE_MARK, Templates, load_templates
from medreward.priors.tokens import count_tokens
from medreward.task.labels import Statement
from medreward.task.task import Task
from medreward.text.formats.base import ABOUT_IMAGE, REASON


class Prompt(NamedTuple):
    """The text of a prompt, and the knowledge in it for the recitation reward to compare with.

    Attributes:
        text: the user's message, without the image's mark.
        knowledge: exactly what was injected into it, in its order.
        system: the system message; "" for none.
        left_out: the statements that the budget had no room for.
        images: how many images stand before the text.

    >>> prompt = PromptBuilder(Task.load("pneumoniamnist"), "none")("train-7")
    >>> prompt.knowledge, [message["role"] for message in prompt.messages]
    ('', ['user'])
    """

    text: str
    knowledge: str
    system: str = ""
    left_out: tuple[Statement, ...] = ()
    images: int = 1

    @property
    def messages(self) -> list[dict[str, str]]:
        """The chat messages, a mark for each image before the user's text."""
        said = [{"role": "system", "content": self.system}] if self.system else []
        return [*said, {"role": "user", "content": IMAGE_MARK * self.images + self.text}]

    def with_images(self, count: int) -> Prompt:
        """Return the prompt for so many images.

        >>> prompt = PromptBuilder(Task.load("pneumoniamnist"), "none")("train-7").with_images(2)
        >>> prompt.messages[0]["content"][:20]
        '<image><image>This i'
        >>> PromptBuilder(Task.load("yes_no"))().with_images(0).text[-89:-43]
        'First reason inside <think> </think>, then giv'
        """
        prompt = self if count == self.images else self._replace(images=count)
        if count == 0 and ABOUT_IMAGE in prompt.text:
            prompt = prompt._replace(text=prompt.text.replace(ABOUT_IMAGE, REASON))
        return prompt


class PromptBuilder:
    """Makes the prompts of a task, one a row.

    Args:
        task: the task.
        level: how much knowledge: "none", "context" or "full".
        shuffle: whether labels, in the list of choices and in the knowledge, stand in an order of
            each row's own; None: for all kinds but ordinal. The order depends on the row's id and
            the seed and on nothing else, so it is the same at every level.
        seed: of that order.
        budget: how many tokens a prompt may have, without the image and the chat template. Whole
            statements are left out until it does (see `medreward.priors.selection`).
        tokenizer: counts the tokens (see `count_tokens`); needed for a budget.
        template: a file with templates in place of the shipped ones, or templates.

    Raises:
        ConfigError: if an argument is wrong, or a prompt without knowledge is over the budget.

    >>> builder = PromptBuilder(Task.load("pneumoniamnist"), "context")
    >>> print(builder("train-7").text)
    This is a frontal chest radiograph of a child. Does it show pneumonia, or is it normal?
    Look at both lung fields and compare the two sides; the question is whether there is any \
abnormal opacity.
    Possible labels: normal; pneumonia.
    First reason about the image inside <think> </think>, then give only the label inside \
<answer> </answer>.
    """

    def __init__(
        self,
        task: Task,
        level: str = "full",
        *,
        shuffle: bool | None = None,
        seed: int = 0,
        budget: int | None = None,
        tokenizer: Any = None,
        template: str | Path | Templates | None = None,
    ) -> None:
        if budget is not None:
            whole("budget", budget, 1)
        if budget is not None and tokenizer is None:
            raise ConfigError("budget: needs a tokenizer, which says what a token is")
        self.task, self.level, self.seed = task, level, seed
        self.shuffled = is_shuffled(task, shuffle)
        self.budget, self.tokenizer = budget, tokenizer
        self._templates = load_templates(template)
        self._template = self._templates.of(task)
        self._selections = selections(task, level)

    def __call__(self, row: str | None = None) -> Prompt:
        """Return the prompt of the row with that id; None: with labels in the card's order."""
        order = self._card_order
        if row is not None and self.shuffled:
            order = label_order(self.task, row, self.seed)
        for selection in self._selections[self._first :]:
            prompt = self._prompt(selection, order)
            if self._fits(prompt):
                return prompt
        raise ConfigError(
            f"budget: {self.budget} tokens are too few for task {quote(self.task.name)}: its "
            f"prompt "
            f"has {self._size(prompt)} without any knowledge"
        )

    def for_row(self, target: Any, question: str = "") -> PromptBuilder:
        """Return what makes the prompt of a row that brings its question along.

        Args:
            target: the row's target, parsed.
            question: what is asked; "": the card's own question.

        >>> card = Task.load("multiple_choice")
        >>> target = card.parse_target({"options": ["CT", "MRI"], "answer": "B"})
        >>> print(PromptBuilder(card).for_row(target, "Which modality is it?")().text)
        Which modality is it?
        A. CT
        B. MRI
        First reason about the image inside <think> </think>, then give only the letter of the \
right option inside <answer> </answer>.
        """
        row = kind_of(self.task).row_task(self.task, target)
        if question and question != row.question:
            row = replace(row, question=question)
        return self if row is self.task else self.of(row)

    def of(self, task: Task) -> PromptBuilder:
        """Return a builder for another task, such as that of a row, that does all else alike."""
        return PromptBuilder(
            task,
            self.level,
            shuffle=self.shuffled,
            seed=self.seed,
            budget=self.budget,
            tokenizer=self.tokenizer,
            template=self._templates,
        )

    @cached_property
    def _card_order(self) -> list[int]:
        return list(range(len(self.task.labels)))

    @cached_property
    def _first(self) -> int:
        """The index of the first selection that fits in the card's order: where rows start.

        The number of tokens hardly depends on the order, so rows have the same statements.
        """
        prompts = (self._prompt(selection, self._card_order) for selection in self._selections)
        fitting = (i for i, prompt in enumerate(prompts) if self._fits(prompt))
        return next(fitting, len(self._selections) - 1)

    def _fits(self, prompt: Prompt) -> bool:
        return self.budget is None or self._size(prompt) <= self.budget

    def _size(self, prompt: Prompt) -> int:
        return count_tokens(self.tokenizer, f"{prompt.system}\n{prompt.text}".strip())

    def _prompt(self, selection: Selection, order: list[int]) -> Prompt:
        statements = selection.statements(self.task, order)
        knowledge = " ".join(statement.text for statement in statements)
        values = {
            "question": self.task.question,
            "knowledge": knowledge,
            "labels": self._fields() if self.task.fields else self._choices(self.task, order),
            "frame": self._templates.frame(self.task),
            "reply": self._templates.reply(self.task),
        }
        user, system = self._template.fill(values)
        return Prompt(user, knowledge, system, selection.left_out(self.task, self.level))

    def _choices(self, task: Task, order: list[int]) -> str:
        return kind_of(task).choices(task, order)

    def _fields(self) -> str:
        """Return a line a field: its name, what is to be answered, and its labels."""
        lines = []
        for name, field in self.task.fields.items():
            labels = self._choices(field, list(range(len(field.labels))))
            told = " ".join(
                filter(
                    None,
                    (
                        field.question,
                        f"Give {self._templates.of(field).answer.rstrip(',')}.",
                        f"Possible: {labels}." if labels else "",
                        self._templates.frame(field),
                    ),
                )
            )
            lines.append(f"- {name}: {told}")
        return "\n".join(lines)


def build_prompt(task: Task, level: str = "full") -> Prompt:
    """Return the prompt of a task with its knowledge at a level, labels in the card's order."""
    return PromptBuilder(task, level)()
