"""What a kind of task is: everything that tells one from another, in one protocol.

A kind is one class in one module of this package, registered by one line of
`medreward.kinds.table`. Nothing outside of the package compares a kind's name: prompts, rewards,
rows, transforms, the audit and the pages ask the kind, its traits, or the type of its targets.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from enum import Enum
from typing import Any, ClassVar, TypeVar

from medreward.errors import ConfigError
from medreward.geometry.regions import Size
from medreward.kinds.honest import Honest
from medreward.kinds.open_questions import OpenQuestion
from medreward.kinds.verdict import Verdict
from medreward.language.claims import Rules
from medreward.language.vocabulary import Vocabulary
from medreward.language.word_checks import label_of_no, labels_of_normal, labels_of_nothing
from medreward.task.registry import kind_names, rules_of
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.task.traits import Trait

RowT = TypeVar("RowT", bound=Task)


class TargetType(Enum):
    """The form of a kind's parsed targets, by which other layers choose what they do with it.

    Each table by this type has an entry for every member and no default:
    `medreward.prepare.labels.SETTLERS`, `medreward.prepare.finish.FINISHERS`,
    `medreward.perception.moving.MOVING`, `medreward.sheets.shapes.SHAPES`,
    `medreward.runs.evaluation_readings.READERS`, and `MEASURES` and `TABLES` of
    `medreward.runs.evaluation_metrics`.
    """

    QUESTION = "a question of the row's own: its options, or the answers that are accepted"
    FINDINGS = "a set of labels with their states"
    FIELDS = "the targets of several fields, a FieldsTarget"
    LABEL = "the index of a label or grade"
    LABELS = "a set of indices of labels"
    BOXES = "boxes, a BoxTarget"
    SERIES = "the boxes on each of several images, a SeriesTarget"
    MASK = "a mask, a MaskTarget"
    PLACES = "boxes or masks to point at, a BoxTarget or MaskPlaces"


def row_of(task: Task, make: Callable[..., RowT], **changes: Any) -> RowT:
    """Return the task of a row: what the card says, but for some changes.

    Args:
        task: the card.
        make: the class of the row's task, with the fields of `Task` and perhaps others.
        changes: values of its fields.
    """
    own = {field.name: getattr(task, field.name) for field in fields(Task)}
    return make(**{**own, **changes})


class Kind(ABC):
    """A kind of task.

    Attributes:
        name: its name in a card.
        traits: what it has in common with other kinds.
        target_type: the form of its parsed targets.
        settings: the fields of `RewardSettings` that shape its scores beside those that shape all
            scores; a signature names them.
        shuffles: whether labels stand in an order of each row's own unless a user says otherwise.
        templates: templates of prompts that it brings along, by name, beside the shipped ones.
        same_word: gives the word that stands for all spellings of one; None: each is its own.

    >>> kind_of(Task.load("retinamnist")).name
    'ordinal'
    """

    name: ClassVar[str]
    traits: ClassVar[frozenset[Trait]]
    target_type: ClassVar[TargetType]
    settings: ClassVar[tuple[str, ...]] = ()
    shuffles: ClassVar[bool] = True
    templates: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    same_word: ClassVar[Any] = None

    # Cards

    def check(self, task: Task) -> None:
        """Raise `ConfigError` for a card that cannot be of this kind; by default with one label."""
        if len(task.labels) < 2:
            raise ConfigError(f"labels: {len(task.labels)} given; a task has at least 2")

    def check_settings(self, task: Task, settings: RewardSettings) -> None:  # noqa: B027 - as a rule all fit
        """Raise `ConfigError` if reward settings do not fit the task."""

    def forms(self, task: Task) -> list[tuple[str, ...]]:
        """Return the forms of each label that the lexicon finds in an answer.

        A kind whose targets may be empty gives one more: the phrases that say so.
        """
        return [(label.name, *label.synonyms) for label in task.labels]

    def reading_rules(self, task: Task, words: Vocabulary) -> Rules:
        """Return what the reader of answers has to know of the task."""
        is_one = Trait.ONE_ANSWER in self.traits
        absences = task.absences
        if is_one and not absences:  # a label "normal" of a card that does not say so is one too
            absences = labels_of_normal(task.forms, range(len(task.labels)), words)
        return Rules(
            absences,
            one_answer=is_one,
            no_label=label_of_no(task.forms, words),
            normal=labels_of_normal(task.forms, absences, words),
            nothing=labels_of_nothing(task.forms, absences, words),
        )

    # Targets

    @abstractmethod
    def parse(self, task: Task, target: object) -> Any:
        """Return a target in the form in which `reward` compares it.

        Raises:
            ConfigError: if it is not one of the task's.
        """

    @abstractmethod
    def to_text(self, task: Task, target: Any) -> str:
        """Return a parsed target as the text that a row holds."""

    def from_text(self, task: Task, text: str) -> object:
        """Return the target that a row's text stands for, as `parse` takes it.

        Raises:
            ConfigError: if it is not in the kind's form.
        """
        return text

    def size(self, target: Any) -> Size | None:
        """Return width and height of the image that a parsed target is for, where it says so."""
        return None

    def asserted_labels(self, target: Any) -> frozenset[int]:
        """Return the labels that a parsed target says are there; by default none."""
        return frozenset()

    def row_task(self, task: Task, target: Any) -> Task:
        """Return the task of one row, by which its answers are read and its prompt is made.

        It is the task itself, but for kinds whose rows bring what may be answered along.

        Args:
            task: the card.
            target: the row's target, parsed.
        """
        return task

    # Rewards

    @abstractmethod
    def reward(
        self, answer: str | None, target: Any, task: Task, settings: RewardSettings
    ) -> Verdict:
        """Return what an answer earns, in [0, 1], and why; model text never raises."""

    def undecided(
        self, answer: str, verdict: Verdict, target: Any, task: Task
    ) -> tuple[OpenQuestion, ...]:
        """Return what a judge would have to say of an answer; by default nothing.

        Args:
            answer: the answer.
            verdict: what `reward` returned for it.
            target: the row's target, parsed.
            task: the card.
        """
        return ()

    def decided(
        self,
        answer: str,
        verdict: Verdict,
        target: Any,
        task: Task,
        settings: RewardSettings,
        decisions: Sequence[float | None],
    ) -> Verdict:
        """Return the verdict on an answer with the decisions on what `undecided` gave."""
        raise NotImplementedError(f"{self.name} leaves nothing undecided")

    def best_wrong(self, task: Task, settings: RewardSettings) -> float:
        """Return the most that a wrong answer can earn, or a bound of it; by default nothing."""
        return 0.0

    # Prompts

    def template(self, task: Task) -> str:
        """Return the name of the template of its prompts."""
        return self.name

    def choices(self, task: Task, order: Sequence[int]) -> str:
        """Return what a prompt says of the labels, in this order."""
        return "; ".join(task.labels[i].shown for i in order)

    # Answers

    @abstractmethod
    def right(self, task: Task, target: Any, settings: RewardSettings) -> str:
        """Return the right answer to a parsed target, in the form that the prompt asks for."""

    @abstractmethod
    def honest(self, task: Task, targets: Sequence[object] | None) -> Iterator[Honest]:
        """Yield targets with honest answers: of the given targets, or of samples of its own."""


def kind_of(task: Task) -> Kind:
    """Return the kind of a task."""
    kind: Kind = rules_of(task.kind)
    return kind


def target_type_of(name: str) -> TargetType | None:
    """Return the type of the targets of the kind of that name; None: there is no such kind."""
    return rules_of(name).target_type if name in kind_names() else None
