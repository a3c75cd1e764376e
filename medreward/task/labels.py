"""Labels and statements: what a card consists of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medreward.checks import flag, number, texts
from medreward.errors import ConfigError, expected, quote
from medreward.language.answer_text import split_answer


@dataclass(frozen=True)
class Statement:
    """One sentence of prior knowledge with its source.

    Attributes:
        text: the sentence as it is injected into a prompt.
        source: a key of the task's references.
        findings: words of the text that name what is seen in the image, for the part ``findings``
            of the reward, which compares reasoning with them.

    >>> Statement("Microaneurysms only.", source="icdr").source
    'icdr'
    """

    text: str
    source: str
    findings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Label:
    """A class or a grade.

    Attributes:
        name: the name in the data set's own metadata.
        synonyms: other ways to name it that count as the same answer.
        absence: whether it says that nothing was found ("normal").
        attributes: imaging attributes that tell it from its neighbours.
        cost: how much it counts in a multi-label task, in [0.01, 100].
        display: what people and prompts call it, where the data's own name says little to them: one
            of its synonyms, so that an answer counts that says what the prompt asked for.

    >>> from medreward import Task
    >>> label = Label("pneumonia", synonyms=("consolidation",))
    >>> Task("chest", labels=[Label("normal", absence=True), label]).target_index("pneumonia")
    1
    """

    name: str
    synonyms: tuple[str, ...] = ()
    absence: bool = False
    attributes: tuple[Statement, ...] = ()
    cost: float = 1.0
    display: str = ""

    @property
    def shown(self) -> str:
        """The name that prompts and sheets show: `display`, or the data's own.

        >>> Label("pleural", ("pleural thickening",), display="pleural thickening").shown
        'pleural thickening'
        """
        return self.display or self.name


def check_label(what: str, label: Label) -> None:
    """Raise `ConfigError` if a field of a label is of the wrong type or out of its range."""
    synonyms = label.synonyms
    if not isinstance(synonyms, list | tuple) or not all(isinstance(s, str) for s in synonyms):
        raise ConfigError(f"{what}.synonyms: {quote(synonyms)} is not a list of texts")
    flag(f"{what}.absence", label.absence)
    number(f"{what}.cost", label.cost, 0.01, 100.0)
    names = ("", label.name, *synonyms)
    if label.display not in names:
        raise ConfigError(
            f"{what}.display: {quote(label.display)} is none of its names; prompts ask for it, so "
            f"add it to synonyms, which answers may use"
        )
    check_statements(f"{what}.attributes", label.attributes)


def check_fields(tasks: object, weights: object, of: type[object]) -> None:
    """Raise `ConfigError` unless fields map names to tasks, and weights some of them to numbers."""
    if not isinstance(tasks, Mapping) or not isinstance(weights, Mapping):
        raise ConfigError(f"fields: {quote(tasks)} is not a mapping of names to tasks")
    for name, task in tasks.items():
        if not isinstance(name, str) or not isinstance(task, of):
            raise ConfigError(f"fields: {quote(name)}: {quote(task)} is not a task")
    for name, weight in weights.items():
        if name not in tasks:
            raise expected("field_weights", name, tasks)
        number(f"field_weights.{name}", weight, 0.01, 100.0)


def check_statements(what: str, value: object) -> None:
    """Raise `ConfigError` if a value is no list of statements."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ConfigError(f"{what}: {quote(value)} is not a list of Statements")
    for i, item in enumerate(value):
        if not isinstance(item, Statement):
            raise ConfigError(f"{what}[{i}]: {quote(item)} is not a Statement")
        _check_findings(f"{what}[{i}]", item)


def _check_findings(what: str, statement: Statement) -> None:
    """Raise `ConfigError` unless each finding is words of the statement, as they stand there."""
    text = f" {' '.join(split_answer(statement.text).words)} "
    given = statement.findings
    for finding in texts(f"{what}.findings", [*given] if isinstance(given, tuple) else given):
        words = " ".join(split_answer(finding).words)
        if not words or f" {words} " not in text:
            raise ConfigError(
                f"{what}.findings: {quote(finding)} does not stand in the text "
                f"{quote(statement.text)}; a finding is words of its statement, so that what is "
                f"rewarded is what the source says"
            )
