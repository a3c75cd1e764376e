"""The taskset: one task a row, with the row's pictures in its prompt and medreward's reward."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import verifiers.v1 as vf
from pydantic import Field

from medreward import ConfigError, Score, Task
from medreward.data.check import check_shape, open_parquet, rows_in
from medreward.data.row_files import row_files
from medreward.data.rows import Row
from medreward.kinds.truth import target_of
from medreward.scoring.judge import check_decides
from medreward.scoring.scorer import Scorer, scorer
from medreward.scoring.task_book import TaskBook
from medreward_verifiers.prompts import chat_messages


class MedicalData(vf.TaskData):  # type: ignore[misc]
    """What is sent and recorded of a row.

    Attributes:
        data_source: names the row's task, with `own_task`.
        own_task: the row's ``extra_info.task``.
        target: the truth as text.
        knowledge: what was injected into the prompt; None: the card's own.
        split: the row's.
    """

    data_source: str
    own_task: str | None = None
    target: str
    knowledge: str | None = None
    split: str | None = None


class MedicalTaskConfig(vf.TaskConfig):  # type: ignore[misc]
    """How a completion is scored: ``--env.taskset.task.*``.

    Attributes:
        settings: reward settings over those of every card, such as ``{"decay": "linear"}``.
        cards: data source -> a card of your own, by a shipped name or a file.
        joins_reasoning: put the reasoning that a server has parsed out of a completion back in
            front of it, between ``<think>`` and ``</think>``.
    """

    settings: dict[str, Any] = Field(default_factory=dict)
    cards: dict[str, str] = Field(default_factory=dict)
    joins_reasoning: bool = True


class MedicalTask(vf.Task[MedicalData, vf.State, MedicalTaskConfig]):  # type: ignore[misc]
    """A row: its prompt is asked, its completion is scored."""

    @property
    def key(self) -> str:
        """The row's split and id, which no other row of a file has."""
        return f"{self.data.split or 'rows'}/{self.data.id}"

    @vf.reward  # type: ignore[untyped-decorator]
    async def medreward(self, trace: vf.Trace) -> float:
        """Return the shaped total."""
        return (await self._scored(trace)).total

    @vf.metric  # type: ignore[untyped-decorator]
    async def parts(self, trace: vf.Trace) -> dict[str, float]:
        """Return the parts, and whether the answer is exactly right or could not be read."""
        score = await self._scored(trace)
        unread = float(score.prediction is None)
        return {**score.parts, "correct": float(score.correct), "unreadable": unread}

    async def _scored(self, trace: vf.Trace) -> Score:
        """Score in a thread: a judge's endpoint may take its time, and others are at work."""
        return await asyncio.to_thread(self.score_of, trace)

    def score_of(self, trace: vf.Trace) -> Score:
        """Return the score of the last thing that the model wrote."""
        bound = bound_scorer(self.data, self.config)
        text = written_text(trace, joins_reasoning=self.config.joins_reasoning)
        return bound.score(text, target_of(bound.task, self.data.target), self.data.knowledge)


class MedicalTasksetConfig(vf.TasksetConfig):  # type: ignore[misc]
    """Which rows are served: ``--env.taskset.*``.

    Attributes:
        rows: a parquet file of ``medreward prepare``, or a folder of them.
        task: how they are scored.
    """

    rows: Path = Path("rows")
    task: MedicalTaskConfig = MedicalTaskConfig()


class MedicalTaskset(vf.Taskset[MedicalTask, MedicalTasksetConfig]):  # type: ignore[misc]
    """Rows of ``medreward prepare`` with their pictures."""

    def load(self) -> Iterator[MedicalTask]:
        """Yield a task for each row.

        Raises:
            ConfigError: if there is no file, or a row is not as `prepare` writes it, is of no known
                task or has a target that its task does not know; with file and row.
        """
        try:
            files = row_files(self.config.rows)
        except ConfigError as error:
            raise ConfigError(f"--env.taskset.rows: {error}") from error
        for file in files:
            with open_parquet(file) as opened:
                for number, row in enumerate(rows_in(opened, file)):
                    try:
                        yield self._task(row)
                    except ConfigError as error:
                        raise ConfigError(f"{file} row {number}: {error}") from error

    def _task(self, row: Row) -> MedicalTask:
        wrong = next(check_shape(row), None)
        if wrong:
            raise ConfigError(wrong)
        info = row["extra_info"]
        data = MedicalData(
            id=str(info["id"]),
            prompt=chat_messages(row),
            data_source=row["data_source"],
            own_task=info.get("task"),
            target=row["reward_model"]["ground_truth"],
            knowledge=info.get("knowledge"),
            split=info.get("split"),
        )
        bound = bound_scorer(data, self.config.task)
        target_of(bound.task, data.target)
        return MedicalTask(data, self.config.task)


_SCORERS: dict[tuple[str, str], Scorer] = {}


def bound_scorer(data: MedicalData, config: MedicalTaskConfig) -> Scorer:
    """Return the scorer of a row's task; it is made once for the same settings.

    Raises:
        ConfigError: if the task is not known, or a setting is wrong.
    """
    info = {} if data.own_task is None else {"task": data.own_task}
    book = _book(tuple(config.cards.items()))
    name = book.source_of(data.data_source, info)
    check_decides(config.settings.get("judge"), "verifiers")
    key = (name, config.model_dump_json(include={"settings", "cards"}))
    if key not in _SCORERS:
        _SCORERS[key] = scorer(book.task_of(data.data_source, info), config.settings)
    return _SCORERS[key]


@cache
def _book(cards: tuple[tuple[str, str], ...]) -> TaskBook:
    """Return the tasks that rows may be of; the cards are read once."""
    return TaskBook({source: Task.load(card) for source, card in cards})


def written_text(trace: vf.Trace, *, joins_reasoning: bool) -> str:
    """Return what the model wrote last, "" where it wrote nothing."""
    messages = trace.assistant_messages
    if not messages:
        return ""
    text = messages[-1].content or ""
    reasoning = messages[-1].reasoning_content
    if reasoning is not None and joins_reasoning:
        return f"<think>{reasoning}</think>{text}"
    return text
