"""What `prepare` does with a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from medreward.checks import whole
from medreward.data.sources.record import ReadingOptions
from medreward.data.splits import SPLITS
from medreward.errors import ConfigError, expected, quote
from medreward.grounding.questions import Asking
from medreward.perception.transforms.pipeline import Pipeline
from medreward.priors.prompt import PromptBuilder
from medreward.priors.tokens import load_tokenizer
from medreward.task.profile import ModelProfile
from medreward.task.review import REVIEWED
from medreward.task.task import KNOWLEDGE_LEVELS, Task

MAX_SIZE, MAX_COPIES, MAX_PARTS = 8192, 100, 9999
KNOWLEDGE = (*KNOWLEDGE_LEVELS, REVIEWED)
UNANNOTATED = ("left-out", "negative")
_CHOICES = {"on_error": ("stop", "skip"), "unannotated": UNANNOTATED}


@dataclass(frozen=True)
class Options:
    """What `prepare` does with a source.

    Attributes:
        size: length of the images' longest side in pixels; None: as they are.
        knowledge: level of knowledge in the prompt: "none", "context" or "full"; or "reviewed",
            those statements alone that hold after review.
        fractions: shares of the splits, for a source without; None: 0.8, 0.1, 0.1.
        stratify: whether these splits are drawn so that labels lie evenly over them, patients kept
            together; else by a hash of the patient.
        shuffle_labels: whether labels stand in an order of each row's own; None: unless they are
            grades.
        budget: how many tokens a prompt may have, without the image and the chat template.
        tokenizer: counts them: a Hugging Face name, a local folder or a tokenizer.json.
        template: a file with templates of prompts in place of the shipped ones.
        limit: at most so many images of each split.
        seed: of the split, of the choice under `limit` and of the order of labels.
        mapping: label in the source -> label in the card; "" leaves it out.
        box_labels: of boxes and masks, the names that count; none: all.
        on_error: "stop" at images that cannot be used, after looking at all, or "skip" them.
        drop_duplicates: drop a picture from train (or val) that is in val or test too, instead of
            an error.
        seen: factor, least and largest number of pixels of a Qwen processor, whose resized size
            goes into the targets of boxes and masks (`medreward.geometry.frames.qwen_resized`);
            None: none.
        reading: how pictures are read.
        workers: processes; None: one a core.
        transforms: applied to the rows, drawn from `seed` and a row's id; None: nothing.
        copies: so many transformed copies follow each row; 0: the row itself is transformed.
        transform_splits: the splits that are transformed.
        asking: grounding questions to ask of each image, instead of the card's own; None: none.
        unannotated: what images are of which the source says nothing: "left-out", or "negative",
            those that show nothing of what is looked for.
        completion_format: what prompts ask for in place of the card's; None: the card's.
        profile: the model profile by which prompts ask for format and frame; None: none.
        shard_rows: at most so many rows a file, of which a split has several then; None: one file
            a split.
        part: which part of a run this is, and of how many; None: the whole run.
        cache: whether rendered images are kept in the folder to write to until all has gone well,
            so that a run after an error does not render them again.

    >>> Options(size=336, knowledge="context", fractions={"train": 0.9, "test": 0.1}).on_error
    'stop'
    """

    size: int | None = None
    knowledge: str = "full"
    shuffle_labels: bool | None = None
    budget: int | None = None
    tokenizer: str | None = None
    template: str | Path | None = None
    fractions: Mapping[str, float] | None = None
    limit: int | None = None
    seed: int = 0
    mapping: Mapping[str, str] = field(default_factory=dict)
    box_labels: Sequence[str] = ()
    on_error: str = "stop"
    drop_duplicates: bool = False
    seen: tuple[int, int, int] | None = None
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    workers: int | None = None
    transforms: Pipeline | None = None
    copies: int = 0
    transform_splits: Sequence[str] = ("train",)
    asking: Asking | None = None
    unannotated: str = "left-out"
    completion_format: str | None = None
    profile: ModelProfile | None = None
    shard_rows: int | None = None
    part: tuple[int, int] | None = None
    cache: bool = True
    stratify: bool = False

    def asked(self, task: Task) -> Task:
        """Return a task with the settings of the reward that its prompts are to ask for.

        Raises:
            ConfigError: if the card contradicts the profile.
        """
        if self.completion_format:
            changes = {"completion_format": self.completion_format}
            task = replace(task, reward=task.reward.updated(changes))
        return self.profile.apply(task) if self.profile else task

    def prompts(self, task: Task) -> PromptBuilder:
        """Return what makes the prompts of a task's rows.

        Raises:
            ConfigError: if only what is reviewed is to be told, and nothing of it is.
        """
        only_reviewed = self.knowledge == REVIEWED
        return PromptBuilder(
            task.only_reviewed() if only_reviewed else task,
            "full" if only_reviewed else self.knowledge,
            shuffle=self.shuffle_labels,
            seed=self.seed,
            budget=self.budget,
            tokenizer=load_tokenizer(self.tokenizer) if self.tokenizer else None,
            template=self.template,
        )

    def _check_transforms(self) -> None:
        if not 0 <= self.copies <= MAX_COPIES:
            raise ConfigError(f"copies: {quote(self.copies)} is not from 0 to {MAX_COPIES}")
        if self.copies and (self.transforms is None or self.transforms.is_fixed):
            raise ConfigError("copies: they would all be the same; transforms needs a range or p")
        for split in self.transform_splits:
            if split not in SPLITS:
                raise expected("transform_splits", split, SPLITS)

    def __post_init__(self) -> None:
        if self.knowledge not in KNOWLEDGE:
            raise expected("knowledge", self.knowledge, KNOWLEDGE)
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise expected(name, getattr(self, name), allowed)
        if self.seen is not None and not 1 <= self.seen[0] <= self.seen[1] <= self.seen[2]:
            raise ConfigError(
                f"seen: {quote(self.seen)} is not a factor and a least and largest area"
            )
        if self.asking and self.template:
            raise ConfigError("template: grounding questions (ask) have templates of their own")
        if self.tokenizer and self.budget is None:
            raise ConfigError("tokenizer: it counts the tokens of a budget, and there is no budget")
        numbers = {"size": MAX_SIZE, "limit": 10**9, "workers": 1024, "budget": 10**9}
        numbers["shard_rows"] = 10**9
        for name, most in numbers.items():
            value = getattr(self, name)
            if value is not None:
                whole(name, value, 1, most)
        self._check_transforms()
        if self.part is not None and not 1 <= self.part[0] <= self.part[1] <= MAX_PARTS:
            raise ConfigError(
                f"part: {quote('{}/{}'.format(*self.part))} is not I/N, with I from 1 to N and N "
                f"at most {MAX_PARTS}"
            )
